/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "base/text.h"

static void integers_are_strict(void **state)
{
    (void)state;
    int64_t x = -1;
    const char *const refused[] = {"",   "-",  "064", "1e2", "64abc", "+5",
                                   " 5", "5 ", "0x5", "1.0", "--1",   "maybe"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(il_text_to_i64(refused[i], &x), IL_E_PARSE);
    }
    assert_int_equal(x, -1);
    assert_int_equal(il_text_to_i64("9223372036854775808", &x), IL_E_RANGE);
    assert_int_equal(il_text_to_i64("-9223372036854775808", &x), IL_OK);
    assert_true(x == INT64_MIN);
    assert_int_equal(il_text_to_i64("0", &x), IL_OK);
    assert_int_equal(x, 0);
}

static void reals_are_strict(void **state)
{
    (void)state;
    double x = 7;
    const char *const refused[] = {"", "nan", "inf", "0x1p3", "1e", "1.5ms", "+1", "."};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(il_text_to_f64(refused[i], &x), IL_E_PARSE);
    }
    assert_int_equal(il_text_to_f64("1e999", &x), IL_E_RANGE);
    assert_int_equal(il_text_to_f64("1e2", &x), IL_OK);
    check_near(x, 100.0, 0);
    assert_int_equal(il_text_to_f64("-0.5", &x), IL_OK);
    check_near(x, -0.5, 0);
}

static void distance_is_levenshtein(void **state)
{
    (void)state;
    assert_int_equal(il_text_distance("kitten", "sitting"), 3);
    assert_int_equal(il_text_distance("", "abc"), 3);
    assert_int_equal(il_text_distance("same", "same"), 0);
    const char *const names[] = {"gen_tokens", "repetitions", "seed"};
    assert_string_equal(il_text_nearest("gen_token", names, 3), "gen_tokens");
    assert_string_equal(il_text_nearest("repetition", names, 3), "repetitions");
    assert_null(il_text_nearest("quantum", names, 3));
}

static void fnv_matches_published_vectors(void **state)
{
    (void)state;
    assert_true(il_fnv1a64("", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(il_fnv1a64("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(il_fnv1a64("foobar", 6) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_strict),
        cmocka_unit_test(reals_are_strict),
        cmocka_unit_test(distance_is_levenshtein),
        cmocka_unit_test(fnv_matches_published_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
