/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The parameter table: strict values, ranges, lists, flags, nearest names.
 */
#include "check.h"

#include "param/param.h"

static il_arena arena;

static int cleanup(void **state)
{
    (void)state;
    il_arena_free(&arena);
    return 0;
}

static void init(il_param_set *set, uint64_t scope)
{
    il_error err = {0};
    check_ok(il_param_set_init(set, scope, &arena, &err), &err);
}

static void test_table(void **state)
{
    (void)state;
    for (int i = 0; i < IL_P_COUNT; i++) {
        const il_param *row = il_param_row((il_param_id)i);
        assert_non_null(row->name);
        assert_true(row->scopes != 0);
        assert_true(row->min <= row->max);
        if (row->type == IL_PARAM_CHOICE) {
            assert_non_null(row->choices);
        }
        /* No two rows of one scope share a name or a letter. */
        for (int k = 0; k < i; k++) {
            const il_param *other = il_param_row((il_param_id)k);
            if (row->scopes & other->scopes) {
                assert_string_not_equal(row->name, other->name);
                assert_false(row->letter && row->letter == other->letter);
            }
        }
        /* Every default is legal. */
        il_param_set set;
        init(&set, row->scopes & (~row->scopes + 1));
    }
}

static void test_integers(void **state)
{
    (void)state;
    static const char *const bad[] = {"1e2",
                                      "064",
                                      "64abc",
                                      "",
                                      "+5",
                                      "0x10",
                                      " 5",
                                      "5 ",
                                      "5.0",
                                      "-",
                                      "--5",
                                      "1_0",
                                      "9223372036854775808"};
    il_param_set set;
    init(&set, IL_SCOPE_STUDY);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        il_error err = {0};
        assert_int_equal(il_param_set_text(&set, IL_P_REPETITIONS, bad[i], IL_ORIGIN_FILE, &err),
                         IL_E_USAGE);
        assert_non_null(strstr(err.what, "repetitions"));
        assert_int_equal(il_param_i64(&set, IL_P_REPETITIONS), 3);
    }
    il_error err = {0};
    assert_int_equal(il_param_set_text(&set, IL_P_REPETITIONS, "0", IL_ORIGIN_FILE, &err),
                     IL_E_USAGE);
    assert_non_null(strstr(err.what, "outside 1 to"));
    check_ok(il_param_set_text(&set, IL_P_REPETITIONS, "7", IL_ORIGIN_FILE, &err), &err);
    assert_int_equal(il_param_i64(&set, IL_P_REPETITIONS), 7);
    assert_true(il_param_is_set(&set, IL_P_REPETITIONS));
    assert_false(il_param_is_set(&set, IL_P_SEED));
}

static void test_other_types(void **state)
{
    (void)state;
    il_param_set set;
    il_error err = {0};
    init(&set, IL_SCOPE_BACKEND);
    assert_int_equal(il_param_set_text(&set, IL_P_DEVICE, "cud", IL_ORIGIN_FILE, &err), IL_E_USAGE);
    assert_int_equal(il_param_set_text(&set, IL_P_DEVICE, "cpu|cuda", IL_ORIGIN_FILE, &err),
                     IL_E_USAGE);
    check_ok(il_param_set_text(&set, IL_P_DEVICE, "cuda", IL_ORIGIN_FILE, &err), &err);
    static const char *const bad[] = {"inf", "nan", "0x1p3", "1e", "1.5s", "", "1e999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_not_equal(il_param_set_text(&set, IL_P_DEADLINE_S, bad[i], IL_ORIGIN_FILE, &err),
                             IL_OK);
    }
    init(&set, IL_SCOPE_SCHEDULE);
    assert_int_equal(il_param_set_text(&set, IL_P_AA, "maybe", IL_ORIGIN_FILE, &err), IL_E_USAGE);
    assert_int_equal(il_param_set_text(&set, IL_P_AA, "yes", IL_ORIGIN_FILE, &err), IL_E_USAGE);
    check_ok(il_param_set_text(&set, IL_P_AA, "true", IL_ORIGIN_FILE, &err), &err);
    assert_true(il_param_flag(&set, IL_P_AA));
}

static void test_argv(void **state)
{
    (void)state;
    il_param_set set;
    il_error err = {0};
    char *words[2];
    unsigned n;
    init(&set, IL_SCOPE_RUN);
    char *good[] = {"study.yaml", "--gen-tokens=8", "-r",    "5", "--models",
                    "a,b",        "--no-plots",     "--plan"};
    check_ok(il_param_parse_argv(&set, 8, good, words, 2, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_int_equal(il_param_i64(&set, IL_P_GEN_TOKENS), 8);
    assert_int_equal(il_param_i64(&set, IL_P_REPETITIONS), 5);
    assert_int_equal(set.values[IL_P_ONLY_MODELS].n, 2);
    assert_string_equal(set.values[IL_P_ONLY_MODELS].texts[1], "b");
    assert_false(il_param_flag(&set, IL_P_PLOTS));
    assert_true(il_param_flag(&set, IL_P_PLAN));
    static char *const bad[][2] = {{"--gen-tokenz", "8"}, {"--gen-tokens", NULL},
                                   {"--plan=1", NULL},    {"-Z", NULL},
                                   {"--models", "a,,b"},  {"-r", "0"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        init(&set, IL_SCOPE_RUN);
        assert_int_equal(il_param_parse_argv(&set, bad[i][1] ? 2 : 1, bad[i], words, 2, &n, &err),
                         IL_E_USAGE);
    }
    char *typo[] = {"--gen-tokenz", "8"};
    (void)il_param_parse_argv(&set, 2, typo, words, 2, &n, &err);
    assert_non_null(strstr(err.hint, "--gen-tokens"));
}

static void test_lists(void **state)
{
    (void)state;
    il_param_set set;
    il_error err = {0};
    init(&set, IL_SCOPE_COLD_START);
    assert_int_equal(set.values[IL_P_PAGE_CACHE].n, 2); /* the default */
    check_ok(il_param_set_append(&set, IL_P_PAGE_CACHE, "warm", IL_ORIGIN_FILE, &err), &err);
    assert_int_equal(set.values[IL_P_PAGE_CACHE].n, 1); /* replaced, not added to */
    assert_int_equal(il_param_set_append(&set, IL_P_PAGE_CACHE, "hot", IL_ORIGIN_FILE, &err),
                     IL_E_USAGE);
    init(&set, IL_SCOPE_STUDY);
    for (int i = 1; i <= 100; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "%d", i);
        check_ok(il_param_set_append(&set, IL_P_BATCH_SIZES, text, IL_ORIGIN_FILE, &err), &err);
    }
    assert_int_equal(set.values[IL_P_BATCH_SIZES].i64s[99], 100);
    assert_int_equal(il_param_set_append(&set, IL_P_BATCH_SIZES, "65537", IL_ORIGIN_FILE, &err),
                     IL_E_USAGE);
    json_t *json = il_param_set_json(&set);
    assert_int_equal(json_array_size(json_object_get(json, "batch_sizes")), 100);
    assert_int_equal(json_integer_value(json_object_get(json, "seed")), 42);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_table, cleanup),
        cmocka_unit_test_teardown(test_integers, cleanup),
        cmocka_unit_test_teardown(test_other_types, cleanup),
        cmocka_unit_test_teardown(test_argv, cleanup),
        cmocka_unit_test_teardown(test_lists, cleanup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
