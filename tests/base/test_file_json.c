/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "base/file.h"
#include "base/json.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[512];

static const char *in_dir(const char *name)
{
    static char path[1024];
    assert_int_equal(il_path_join(path, sizeof path, dir, name), IL_OK);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("file"));
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void atomic_write_replaces_whole_files(void **state)
{
    (void)state;
    il_error err = {0};
    check_ok(il_file_write_atomic(in_dir("a"), "first", 5, &err), &err);
    check_ok(il_file_write_atomic(in_dir("a"), "second version", 14, &err), &err);
    il_buf text;
    il_buf_init(&text, 100);
    check_ok(il_file_read(in_dir("a"), &text, &err), &err);
    assert_string_equal(il_buf_text(&text), "second version");
    il_buf_free(&text);
    /* No temporary is left, and a failed write leaves none either. */
    assert_int_equal(il_file_write_atomic(in_dir("none/b"), "x", 1, &err), IL_E_NOT_FOUND);
    assert_non_null(strstr(err.where, "none/b"));
    char command[700];
    (void)snprintf(command, sizeof command, "test \"$(ls '%s')\" = a", dir);
    assert_int_equal(system(command), 0);
}

static void reading_knows_its_limits(void **state)
{
    (void)state;
    il_error err = {0};
    il_buf text;
    il_buf_init(&text, 4);
    check_ok(il_file_write_atomic(in_dir("five"), "12345", 5, &err), &err);
    assert_int_equal(il_file_read(in_dir("five"), &text, &err), IL_E_RANGE);
    assert_int_equal(il_file_read(in_dir("absent"), &text, &err), IL_E_NOT_FOUND);
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    assert_int_equal(il_file_read(in_dir("fifo"), &text, &err), IL_E_INVALID);
    assert_int_equal(il_file_read(dir, &text, &err), IL_E_INVALID);
    il_buf_free(&text);
}

static void directories_are_made_with_parents(void **state)
{
    (void)state;
    il_error err = {0};
    check_ok(il_dir_make(in_dir("x/y/z"), &err), &err);
    assert_true(il_path_is_dir(in_dir("x/y/z")));
    check_ok(il_dir_make(in_dir("x/y/z"), &err), &err);
    check_ok(il_file_write_atomic(in_dir("plain"), "", 0, &err), &err);
    assert_int_equal(il_dir_make(in_dir("plain/under"), &err), IL_E_NOT_FOUND);
    assert_int_equal(il_dir_make(in_dir("plain"), &err), IL_E_EXISTS);
    assert_string_equal(il_path_base("a/b/c"), "c");
    assert_string_equal(il_path_base("c"), "c");
}

static json_t *parse(const char *text, int expected)
{
    il_error err = {0};
    json_t *value = NULL;
    int rc = il_json_parse(text, strlen(text), "memory", &value, &err);
    if (rc != expected) {
        print_error("%s: %s\n", text, err.what);
    }
    assert_int_equal(rc, expected);
    return value;
}

static void json_is_strict_about_documents(void **state)
{
    (void)state;
    assert_null(parse("{\"a\":1,\"a\":2}", IL_E_PARSE));
    assert_null(parse("{\"a\":1", IL_E_PARSE));
    assert_null(parse("{\"a\":1} x", IL_E_PARSE));
    assert_null(parse("", IL_E_PARSE));
    assert_null(parse("{\"a\":1e999}", IL_E_PARSE));
    char deep[5000];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_null(parse(deep, IL_E_PARSE));
}

static void json_getters_check_types_and_ranges(void **state)
{
    (void)state;
    il_error err = {0};
    json_t *obj = parse("{\"i\":7,\"neg\":-1,\"big\":1000000000000000019884624838656,"
                        "\"f\":2.5,\"s\":\"t\",\"n\":null,\"b\":true}",
                        IL_OK);
    int64_t i = 0;
    uint32_t u = 99;
    double f = 0;
    bool b = false;
    const char *s = NULL;
    check_ok(il_json_get_i64(obj, "i", true, &i, &err), &err);
    assert_int_equal(i, 7);
    assert_int_equal(il_json_get_i64(obj, "f", true, &i, &err), IL_E_INVALID);
    assert_int_equal(il_json_get_i64(obj, "big", true, &i, &err), IL_E_INVALID);
    check_ok(il_json_get_f64(obj, "big", true, &f, &err), &err);
    check_near(f, 1e30, 1e-15);
    assert_int_equal(il_json_get_u32(obj, "neg", true, &u, &err), IL_E_RANGE);
    check_ok(il_json_get_u32(obj, "absent", false, &u, &err), &err);
    check_ok(il_json_get_u32(obj, "n", false, &u, &err), &err);
    assert_int_equal(u, 99);
    assert_int_equal(il_json_get_u32(obj, "n", true, &u, &err), IL_E_INVALID);
    assert_non_null(strstr(err.what, "\"n\""));
    check_ok(il_json_get_bool(obj, "b", true, &b, &err), &err);
    assert_true(b);
    check_ok(il_json_get_text(obj, "s", true, &s, &err), &err);
    assert_string_equal(s, "t");
    assert_int_equal(il_json_get_text(obj, "i", true, &s, &err), IL_E_INVALID);
    json_decref(obj);
    assert_true(json_is_null(il_json_real(NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(atomic_write_replaces_whole_files),
        cmocka_unit_test(reading_knows_its_limits),
        cmocka_unit_test(directories_are_made_with_parents),
        cmocka_unit_test(json_is_strict_about_documents),
        cmocka_unit_test(json_getters_check_types_and_ranges),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
