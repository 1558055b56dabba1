/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table: alignment for people, full numbers for programs.
 */
#include "check.h"

#include "cli/table.h"

static const il_column columns[] = {
    {"model", "model"}, {"params M", "params"}, {"ok", "ok"}, {"note", "note"}};

static void fill(il_table *t)
{
    il_table_init(t, columns, 4);
    il_table_text(t, "gpt2-25m");
    il_table_scaled(t, 25016064, 1e-6, 3);
    il_table_flag(t, true);
    il_table_text(t, "µ");
    il_table_text(t, "é");
    il_table_real(t, NAN, 3);
    il_table_flag(t, false);
    il_table_text(t, NULL);
    il_table_text(t, "x");
    il_table_real(t, 0.1, 2);
    il_table_none(t);
    il_table_int(t, -7);
}

static void print(bool as_json, char *out, size_t n)
{
    il_table t;
    il_error err = {0};
    FILE *to = fmemopen(out, n, "w");
    assert_non_null(to);
    fill(&t);
    check_ok(il_table_print(&t, as_json, to, &err), &err);
    (void)fclose(to);
    il_table_free(&t);
}

static void test_text(void **state)
{
    (void)state;
    char out[512];
    print(false, out, sizeof out);
    assert_string_equal(out, "model     params M  ok   note\n"
                             "gpt2-25m    25.016  yes  µ\n"
                             "é                   no   \n"
                             "x             0.10       -7\n");
}

static void test_json(void **state)
{
    (void)state;
    char out[1024];
    print(true, out, sizeof out);
    json_t *rows = json_loads(out, 0, NULL);
    assert_int_equal(json_array_size(rows), 3);
    const json_t *first = json_array_get(rows, 0), *second = json_array_get(rows, 1);
    assert_int_equal(json_integer_value(json_object_get(first, "params")), 25016064);
    assert_true(json_is_true(json_object_get(first, "ok")));
    assert_true(json_is_null(json_object_get(second, "params")));
    assert_true(json_is_null(json_object_get(second, "note")));
    assert_true(json_real_value(json_object_get(json_array_get(rows, 2), "params")) == 0.1);
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
