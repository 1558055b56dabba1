/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "report/words.h"

static const char *clean(const char *text, size_t most)
{
    static char out[512];
    il_words_clean(out, sizeof out, text, most);
    return out;
}

static void clean_text_is_one_harmless_line(void **state)
{
    (void)state;
    assert_string_equal(clean("gpt2-25m", 20), "gpt2-25m");
    assert_string_equal(clean("a\nb\tc\x1b[31m\x7f", 20), "a b c [31m ");
    assert_string_equal(clean("\xff\xfe\xc3", 20), "???");           /* no UTF-8 */
    assert_string_equal(clean("\xc0\xaf\xed\xa0\x80", 20), "?????"); /* overlong, surrogate */
    assert_string_equal(clean("\xe2\x80\xae"
                              "abc",
                              20),
                        " abc"); /* right-to-left override */
    assert_string_equal(clean("模型", 20), "模型");
    assert_int_equal(il_words_width("模型"), 2);
    assert_string_equal(clean("abcdefghij", 10), "abcdefghij");
    assert_string_equal(clean("abcdefghijk", 7), "abc\xE2\x80\xA6ijk");
    assert_string_equal(clean("模型模型模型", 3), "模\xE2\x80\xA6型");
}

static void sentences_end_at_a_word(void **state)
{
    (void)state;
    char out[128];
    const char *text = "the slope stays between 0.834 and 1.297 whichever model is left out";
    il_words_sentence(out, sizeof out, text, 100);
    assert_string_equal(out, text);
    /* Every cut leaves whole words, so that no number loses digits, and keeps the limit. */
    for (size_t most = 6; most < strlen(text); most++) {
        il_words_sentence(out, sizeof out, text, most);
        assert_true(il_words_width(out) <= most);
        char *mark = strstr(out, " …");
        assert_non_null(mark);
        size_t n = (size_t)(mark - out);
        assert_memory_equal(out, text, n);
        assert_true(text[n] == ' ');
    }
}

static void clean_text_fits_its_buffer(void **state)
{
    (void)state;
    char out[16], text[300];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(out, 'Z', sizeof out);
    il_words_clean(out, 12, text, 200);
    assert_true(strlen(out) < 12);
    assert_int_equal(out[12], 'Z');
}

static const char *markdown(const char *text)
{
    static il_buf buf;
    il_buf_free(&buf);
    il_buf_init(&buf, 1 << 16);
    il_words_markdown(&buf, text);
    return il_buf_text(&buf);
}

static void markdown_shows_text_literally(void **state)
{
    (void)state;
    assert_string_equal(markdown("hf_cpu_fp32"), "hf_cpu_fp32");
    assert_string_equal(markdown("__all__"), "\\_\\_all\\_\\_");
    assert_string_equal(markdown("<script>&"), "&lt;script&gt;&amp;");
    assert_string_equal(markdown("a|b"), "a\\|b");
    assert_string_equal(markdown("![x](y)"), "\\!\\[x\\](y)");
    assert_string_equal(markdown("`$(x)`"), "\\`\\$(x)\\`");
    assert_string_equal(markdown("# no\nheading"), "\\# no heading");
    assert_string_equal(markdown("*b*"), "\\*b\\*");
}

static void file_parts_never_leave_their_folder(void **state)
{
    (void)state;
    char out[96], name[256];
    assert_false(il_words_file_part(out, sizeof out, "hf_cpu_fp32"));
    assert_string_equal(out, "hf_cpu_fp32");
    assert_true(il_words_file_part(out, sizeof out, "../../etc/passwd"));
    assert_null(strchr(out, '/'));
    assert_int_not_equal(out[0], '.');
    assert_true(il_words_file_part(out, sizeof out, ".."));
    assert_string_not_equal(out, "..");
    assert_true(il_words_file_part(out, sizeof out, ""));
    assert_true(out[0] != '\0');
    memset(name, 'a', 255);
    name[255] = '\0';
    assert_true(il_words_file_part(out, sizeof out, name));
    assert_true(strlen(out) <= 80);
}

static void check_number(double v, double low, double high, const char *wanted)
{
    char out[64];
    il_words_interval(out, sizeof out, v, low, high);
    assert_string_equal(out, wanted);
}

static void digits_follow_the_interval(void **state)
{
    (void)state;
    check_number(12.2437, 12.167, 12.321, "12.24 (12.17 to 12.32)");
    check_number(0.29119, 0.14923, 0.43317, "0.29 (0.15 to 0.43)");
    check_number(1374.22, 1290.0, 1460.0, "1374 (1290 to 1460)");
    check_number(0.0162499, 0.01615, 0.01635, "0.01625 (0.01615 to 0.01635)");
    check_number(20.71, NAN, NAN, "20.7");
    check_number(NAN, 1, 2, "-");
    check_number(5.0, 5.0, 5.0, "5.000 (5.000 to 5.000)");
    check_number(0.0, -0.11, 0.11, "0.00 (-0.11 to 0.11)");
    check_number(-0.8, -1.3, -0.3, "-0.8 (-1.3 to -0.3)");
    char out[64];
    il_words_plain(out, sizeof out, 0.103);
    assert_string_equal(out, "0.103");
    il_words_plain(out, sizeof out, 20900);
    assert_string_equal(out, "20900");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_text_is_one_harmless_line),
        cmocka_unit_test(sentences_end_at_a_word),
        cmocka_unit_test(clean_text_fits_its_buffer),
        cmocka_unit_test(markdown_shows_text_literally),
        cmocka_unit_test(file_parts_never_leave_their_folder),
        cmocka_unit_test(digits_follow_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
