/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "base/file.h"
#include "report/artifact.h"

static char path[600];

static int load(const char *text, size_t n, il_arena *arena, il_artifact *table, il_error *err)
{
    (void)snprintf(path, sizeof path, "%s/t.csv", check_scratch_dir("csv"));
    check_ok(il_file_write_atomic(path, text, n, err), err);
    return il_artifact_load(path, "t.csv", arena, table, err);
}

static void reads_quotes_breaks_and_crlf(void **state)
{
    (void)state;
    static const char text[] = "a,\"b\"\"x\",c\r\n"
                               "1,\"two\nlines, and \"\"quotes\"\"\",\r\n"
                               ",'=cmd,True\n"
                               "-0.5,x,1e2"; /* no newline at the end */
    il_arena arena = {0};
    il_artifact t;
    il_error err = {0};
    check_ok(load(text, sizeof text - 1, &arena, &t, &err), &err);
    assert_int_equal(t.n_rows, 3);
    assert_string_equal(il_artifact_text(&t, 0, "b\"x"), "two\nlines, and \"quotes\"");
    assert_string_equal(il_artifact_text(&t, 0, "c"), "");
    assert_string_equal(il_artifact_text(&t, 1, "b\"x"), "=cmd");
    assert_true(il_artifact_flag(&t, 1, "c"));
    check_near(il_artifact_number(&t, 2, "a"), -0.5, 0);
    check_near(il_artifact_number(&t, 2, "c"), 100.0, 0);
    /* not measured is not zero; a column that is not there reads as empty */
    assert_true(isnan(il_artifact_number(&t, 1, "a")));
    assert_string_equal(il_artifact_text(&t, 0, "nowhere"), "");
    assert_string_equal(il_artifact_text(&t, 99, "a"), "");
    il_arena_free(&arena);
}

static void refuses_damage_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *line;
    } bad[] = {
        {"", 0, ":1"},                 /* not even a header */
        {"a,a\n1,2\n", 8, ":1"},       /* a name twice */
        {"a,\n1,2\n", 7, ":1"},        /* an unnamed column */
        {"a,b\n1,2\n3\n", 10, ":3"},   /* short row */
        {"a,b\n1,2,3\n", 10, ":2"},    /* long row */
        {"a,b\n1,\"x\n", 9, ":2"},     /* quote never closed */
        {"a,b\n1,\"x\"y\n", 11, ":2"}, /* text after a quote */
        {"a,b\n1,\0\n", 8, ":2"},      /* NUL */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        il_arena arena = {0};
        il_artifact t;
        il_error err = {0};
        assert_int_equal(load(bad[i].text, bad[i].n, &arena, &t, &err), IL_E_DAMAGED);
        if (!strstr(err.where, bad[i].line)) {
            fail_msg("case %zu: where is \"%s\", wanted line %s", i, err.where, bad[i].line);
        }
        assert_true(err.hint[0] != '\0');
        il_arena_free(&arena);
    }
}

static void absent_is_not_an_error_but_a_directory_is(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_artifact t;
    il_error err = {0};
    check_ok(il_artifact_load("/nonexistent/t.csv", "t.csv", &arena, &t, &err), &err);
    assert_false(t.present);
    assert_int_equal(t.n_rows, 0);
    assert_int_not_equal(il_artifact_load("/tmp", "t.csv", &arena, &t, &err), IL_OK);
    il_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_quotes_breaks_and_crlf),
        cmocka_unit_test(refuses_damage_with_its_line),
        cmocka_unit_test(absent_is_not_an_error_but_a_directory_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
