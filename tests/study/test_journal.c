/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Durability rules of the journal: what is written is read back, a torn tail is dropped at every
 * possible cut, damage before the tail is refused with its line.
 */
#include "check.h"

#include "base/buf.h"
#include "base/file.h"
#include "study/journal.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct seen {
    uint64_t n, last_value, stop_at;
} seen;

static int note(json_t *line, uint64_t number, void *user, il_error *err)
{
    seen *s = user;
    assert_int_equal(number, s->n + 1);
    if (s->stop_at && number == s->stop_at) {
        return il_fail(err, IL_E_INVALID, "the visitor stops");
    }
    s->n++;
    s->last_value = (uint64_t)json_integer_value(json_object_get(line, "value"));
    return IL_OK;
}

static void path_in(char *out, size_t n, const char *name)
{
    (void)snprintf(out, n, "%s/journal.jsonl", check_scratch_dir(name));
}

static void write_lines(const char *path, int n)
{
    il_journal *j = NULL;
    il_error err = {0};
    check_ok(il_journal_create(path, &j, &err), &err);
    for (int i = 0; i < n; i++) {
        check_ok(il_journal_write(j, "call", json_pack("{s:i,s:s}", "value", i * 7, "text", "ä\n"),
                                  &err),
                 &err);
    }
    assert_int_equal(il_journal_next_seq(j), n);
    il_journal_close(j);
}

static void slurp(const char *path, il_buf *buf)
{
    il_error err = {0};
    il_buf_init(buf, 1 << 20);
    check_ok(il_file_read(path, buf, &err), &err);
}

static void spill(const char *path, const char *bytes, size_t n)
{
    il_error err = {0};
    check_ok(il_file_write_atomic(path, bytes, n, &err), &err);
}

static void test_round_trip(void **state)
{
    (void)state;
    char path[600];
    path_in(path, sizeof path, "round");
    write_lines(path, 5);
    seen s = {0};
    il_journal_info info;
    il_error err = {0};
    check_ok(il_journal_read(path, note, &s, &info, &err), &err);
    assert_int_equal(s.n, 5);
    assert_int_equal(s.last_value, 28);
    assert_int_equal(info.torn_bytes, 0);
    il_journal *j = NULL;
    assert_int_equal(il_journal_create(path, &j, &err), IL_E_EXISTS);
    s = (seen){.stop_at = 3};
    assert_int_equal(il_journal_read(path, note, &s, &info, &err), IL_E_INVALID);
    assert_int_equal(s.n, 2);
}

/* Cut after every byte: the whole lines survive, the torn one is dropped, and writing goes on. */
static void test_every_cut(void **state)
{
    (void)state;
    char path[600];
    path_in(path, sizeof path, "cut");
    write_lines(path, 3);
    il_buf whole;
    slurp(path, &whole);
    for (size_t cut = 0; cut <= whole.len; cut++) {
        size_t lines = 0, good = 0;
        for (size_t i = 0; i < cut; i++) {
            if (whole.data[i] == '\n') {
                lines++;
                good = i + 1;
            }
        }
        spill(path, whole.data, cut);
        seen s = {0};
        il_journal_info info;
        il_error err = {0};
        check_ok(il_journal_read(path, note, &s, &info, &err), &err);
        assert_int_equal(s.n, lines);
        assert_int_equal(info.valid_bytes, good);
        assert_int_equal(info.torn_bytes, cut - good);
        il_journal *j = NULL;
        check_ok(il_journal_append_to(path, &info, &j, &err), &err);
        check_ok(il_journal_write(j, "call", json_pack("{s:i}", "value", 99), &err), &err);
        il_journal_close(j);
        s = (seen){0};
        check_ok(il_journal_read(path, note, &s, &info, &err), &err);
        assert_int_equal(s.n, lines + 1);
        assert_int_equal(s.last_value, 99);
    }
    il_buf_free(&whole);
}

/* One flipped bit anywhere: in the last line it is a torn tail, before it damage with its line. */
static void test_every_flip(void **state)
{
    (void)state;
    char path[600], where[700];
    path_in(path, sizeof path, "flip");
    write_lines(path, 3);
    il_buf whole;
    slurp(path, &whole);
    size_t line = 1;
    for (size_t i = 0; i < whole.len; i++) {
        bool newline = whole.data[i] == '\n';
        whole.data[i] = (char)(whole.data[i] ^ 0x10);
        spill(path, whole.data, whole.len);
        whole.data[i] = (char)(whole.data[i] ^ 0x10);
        seen s = {0};
        il_journal_info info;
        il_error err = {0};
        int rc = il_journal_read(path, note, &s, &info, &err);
        /* A lost newline joins its line with the next: the joined line is the bad one. */
        bool in_tail = line == 3 || (newline && line == 2);
        assert_int_equal(rc, in_tail ? IL_OK : IL_E_DAMAGED);
        assert_int_equal(s.n, line - 1);
        if (!in_tail) {
            (void)snprintf(where, sizeof where, "%s:%zu", path, line);
            assert_string_equal(err.where, where);
        }
        line += newline;
    }
    il_buf_free(&whole);
}

static void test_sequence(void **state)
{
    (void)state;
    char path[600];
    path_in(path, sizeof path, "sequence");
    write_lines(path, 3);
    il_buf whole;
    slurp(path, &whole);
    size_t first = strcspn(whole.data, "\n") + 1;
    /* The last line is intact but its predecessor is gone: not a torn tail. */
    size_t second = first + strcspn(whole.data + first, "\n") + 1;
    char *bytes = malloc(whole.len);
    assert_non_null(bytes);
    memcpy(bytes, whole.data, first);
    memcpy(bytes + first, whole.data + second, whole.len - second);
    spill(path, bytes, whole.len - (second - first));
    il_error err = {0};
    seen s = {0};
    assert_int_equal(il_journal_read(path, note, &s, NULL, &err), IL_E_DAMAGED);
    free(bytes);
    il_buf_free(&whole);
    assert_int_equal(il_journal_read("/nonexistent/j", note, &s, NULL, &err), IL_E_NOT_FOUND);
}

/* A file-size limit stands for a full disk: the failed line is cut away, the others stay. */
static void test_full_disk(void **state)
{
    (void)state;
    char path[600];
    path_in(path, sizeof path, "full");
    il_journal *j = NULL;
    il_error err = {0};
    check_ok(il_journal_create(path, &j, &err), &err);
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, tight = {0};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    int rc = IL_OK, n = 0;
    while (rc == IL_OK && n < 100) {
        rc = il_journal_write(j, "call", json_pack("{s:i}", "value", n), &err);
        n += rc == IL_OK;
    }
    assert_int_not_equal(rc, IL_OK);
    assert_int_equal(il_journal_write(j, "call", json_object(), &err), rc);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    il_journal_close(j);
    seen s = {0};
    il_journal_info info;
    check_ok(il_journal_read(path, note, &s, &info, &err), &err);
    assert_int_equal(s.n, n);
    assert_int_equal(info.torn_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_every_flip), cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
