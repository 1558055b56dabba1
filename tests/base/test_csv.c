/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "base/csv.h"
#include "base/file.h"

static char path[1024];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/t.csv", check_scratch_dir("csv"));
    return 0;
}

static void put(const char *text, size_t n)
{
    il_error err = {0};
    check_ok(il_file_write_atomic(path, text, n, &err), &err);
}

/* Joins the fields of all records as [a][b]… with | after each record. */
static int read_all(char *out, size_t out_bytes, il_error *err)
{
    il_csv_reader *csv;
    int rc = il_csv_open(path, &csv, err);
    out[0] = '\0';
    while (rc == IL_OK) {
        const il_csv_field *f;
        size_t n;
        rc = il_csv_next(csv, &f, &n, err);
        if (rc != IL_OK || n == 0) {
            break;
        }
        for (size_t i = 0; i < n; i++) {
            size_t len = strlen(out);
            (void)snprintf(out + len, out_bytes - len, "[%.*s]", (int)f[i].len, f[i].text);
        }
        (void)strncat(out, "|", out_bytes - strlen(out) - 1);
    }
    il_csv_free(csv);
    return rc;
}

static void records_are_split(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"a,b\n1,2\n", "[a][b]|[1][2]|"},
        {"a,b\r\n1,2", "[a][b]|[1][2]|"},
        {"\xef\xbb\xbf"
         "a,b\n,\n",
         "[a][b]|[][]|"},
        {"\"a,\"\"x\"\"\",b\n\"1\r\n2\",\"\"\n", "[a,\"x\"][b]|[1\r\n2][]|"},
        {"\n\r\na\n\n", "[a]|"},
        {"", ""},
        {"\xef\xbb\xbf", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char got[256];
        il_error err = {0};
        put(cases[i].text, strlen(cases[i].text));
        check_ok(read_all(got, sizeof got, &err), &err);
        assert_string_equal(got, cases[i].want);
    }
}

static void damage_has_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *line;
    } cases[] = {
        {"a,b\n1,\"2\n", 9, "t.csv:2"},
        {"a\n\"x\ny\"\n\"z\"z\n", 14, "t.csv:4"},
        {"a\n1\"2\"\n", 8, "t.csv:2"},
        {"a\n1\0002\n", 6, "t.csv:2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char got[256];
        il_error err = {0};
        put(cases[i].text, cases[i].n);
        assert_int_equal(read_all(got, sizeof got, &err), IL_E_DAMAGED);
        assert_non_null(strstr(err.where, cases[i].line));
    }
}

/* Records longer than the buffer, quotes at every offset of its end. */
static void long_records_survive_the_buffer(void **state)
{
    (void)state;
    for (size_t pad = (1 << 20) - 8; pad < (1 << 20) + 8; pad++) {
        char *text = malloc(pad + 64);
        memset(text, 'x', pad);
        memcpy(text + pad, ",\"a\"\"\n,b\"\nlast\n", 15);
        put(text, pad + 15);
        il_csv_reader *csv;
        const il_csv_field *f;
        size_t n;
        il_error err = {0};
        check_ok(il_csv_open(path, &csv, &err), &err);
        check_ok(il_csv_next(csv, &f, &n, &err), &err);
        assert_int_equal(n, 2);
        assert_int_equal(f[0].len, pad);
        assert_int_equal(f[1].len, 5);
        assert_memory_equal(f[1].text, "a\"\n,b", 5);
        check_ok(il_csv_next(csv, &f, &n, &err), &err);
        assert_int_equal(n, 1);
        assert_int_equal(il_csv_line(csv), 3);
        il_csv_free(csv);
        free(text);
    }
}

/* Against strtod, on numbers of 1 to 19 digits with every place of the point. */
static void numbers_are_rounded_correctly(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 200000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        char digits[32];
        int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)seed);
        n = 1 + (int)(seed % (unsigned)n);
        int point = (int)((seed >> 20) % (unsigned)(n + 1));
        char text[40];
        (void)snprintf(text, sizeof text, "%s%.*s.%.*s", seed & 1 ? "-" : "", point, digits,
                       n - point, digits + point);
        double got;
        assert_true(il_csv_to_f64((il_csv_field){text, strlen(text)}, &got));
        check_near(got, strtod(text, NULL), 0);
    }
    double x = 7;
    const char *const refused[] = {"",    "-",   ".",  "1,5",   "1e", "nan",
                                   "inf", "0x1", "1 ", "1e999", "--1"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_false(il_csv_to_f64((il_csv_field){refused[i], strlen(refused[i])}, &x));
    }
    check_near(x, 7, 0);
    assert_true(il_csv_to_f64((il_csv_field){"-1.5e-3", 7}, &x));
    check_near(x, -0.0015, 0);
    /* halfway between two doubles: to even */
    assert_true(il_csv_to_f64((il_csv_field){"9007199254740993", 16}, &x));
    check_near(x, 9007199254740992.0, 0);
}

static void numbers_print_short_and_read_back(void **state)
{
    (void)state;
    static const struct {
        double x;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {64, "64"},
                 {-3, "-3"},
                 {1e300, "1e+300"},
                 {NAN, ""},
                 {INFINITY, ""},
                 {123.456, "123.456"},
                 {1.0 / 3, "0.3333333333333333"},
                 {5e-324, "4.94065645841247e-324"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[IL_NUMBER_BYTES];
        assert_int_equal(il_number_print(cases[i].x, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        assert_true(isnan(cases[i].x) || isinf(cases[i].x) || strtod(text, NULL) == cases[i].x);
    }
}

static void writer_quotes_and_defuses(void **state)
{
    (void)state;
    il_csv_writer w;
    il_error err = {0};
    put("old", 3);
    check_ok(il_csv_create(path, &w, &err), &err);
    static const char *const texts[] = {"plain", "a,b", "a\"b", "a\nb", "=1+1",
                                        "-x",    "\tz", "",     "\r"};
    il_csv_row(&w, texts, 9);
    il_csv_f64(&w, -1.5); /* numbers keep their sign */
    il_csv_bool(&w, true);
    il_csv_empty(&w);
    il_csv_i64(&w, -7);
    il_csv_f64(&w, NAN);
    il_csv_end_row(&w);
    char got[256];
    check_ok(read_all(got, sizeof got, &err), &err);
    assert_string_equal(got, "[old]|"); /* until it is closed */
    check_ok(il_csv_close(&w, &err), &err);
    check_ok(read_all(got, sizeof got, &err), &err);
    assert_string_equal(got, "[plain][a,b][a\"b][a\nb]['=1+1]['-x]['\tz][]['\r]|"
                             "[-1.5][True][][-7][]|");
    il_csv_field field = il_csv_unprefix((il_csv_field){"'=1", 3});
    assert_int_equal(field.len, 2);
    field = il_csv_unprefix((il_csv_field){"'quoted'", 8});
    assert_int_equal(field.len, 8);
    check_ok(il_csv_create(path, &w, &err), &err);
    il_csv_text(&w, "half");
    il_csv_abandon(&w);
    check_ok(read_all(got, sizeof got, &err), &err);
    assert_non_null(strstr(got, "plain"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_split),
        cmocka_unit_test(damage_has_a_line),
        cmocka_unit_test(long_records_survive_the_buffer),
        cmocka_unit_test(numbers_are_rounded_correctly),
        cmocka_unit_test(numbers_print_short_and_read_back),
        cmocka_unit_test(writer_quotes_and_defuses),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
