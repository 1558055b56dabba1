/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/entry.h"

#include "base/buf.h"
#include "base/file.h"

#include <unistd.h>
#include <zlib.h>

static char dir[512], path[600];

static const char plan[] =
    "\"kind\":\"plan\",\"scenarios\":[{\"name\":\"micro\",\"prompt\":\"Hello\"},"
    "{\"name\":\"other\",\"prompt\":\"Howdy\"},{\"name\":\"p4\",\"prompt\":null}],\"cells\":["
    "{\"cell\":0,\"backend\":\"cpu\",\"model\":\"m1\",\"scenario\":\"micro\",\"batch_size\":1,"
    "\"gen_tokens\":2,\"seq_len\":1,\"skip\":null},"
    "{\"cell\":1,\"backend\":\"cpu\",\"model\":\"m1\",\"scenario\":\"p4\",\"batch_size\":1,"
    "\"gen_tokens\":2,\"seq_len\":4,\"skip\":null},"
    "{\"cell\":2,\"backend\":\"cpu\",\"model\":\"m2\",\"scenario\":\"micro\",\"batch_size\":1,"
    "\"gen_tokens\":2,\"seq_len\":1,\"skip\":{\"reason\":\"NOT_FOUND\",\"message\":\"no m2\","
    "\"hint\":\"make it\"}},"
    "{\"cell\":3,\"backend\":\"gpu\",\"model\":\"m1\",\"scenario\":\"micro\",\"batch_size\":1,"
    "\"gen_tokens\":2,\"seq_len\":1,\"skip\":null},"
    "{\"cell\":4,\"backend\":\"cpu\",\"model\":\"m1\",\"scenario\":\"other\",\"batch_size\":1,"
    "\"gen_tokens\":2,\"seq_len\":1,\"skip\":null}]";

/* Appends {"v":1,"seq":N,<body>,"crc32":"…"}. */
static void add_line(il_buf *journal, int seq, const char *body)
{
    char line[4096];
    int n = snprintf(line, sizeof line, "{\"v\":1,\"seq\":%d,%s", seq, body);
    assert_true(n > 0 && (size_t)n < sizeof line);
    uLong crc = crc32(0, (const Bytef *)line, (uInt)n);
    assert_int_equal(il_buf_printf(journal, "%s,\"crc32\":\"%08lx\"}\n", line, crc), IL_OK);
}

static void add_call(il_buf *journal, int seq, int cell, int call_idx, long t0_ns)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "\"kind\":\"call\",\"call_idx\":%d,\"cell\":%d,\"status\":\"ok\",\"t0_ns\":%ld,"
                   "\"t_first_ns\":%ld,\"t_step_ns\":[%ld,%ld],\"state\":{\"minor_faults\":7},"
                   "\"events\":{\"gpu_peak_mb\":1.5}",
                   call_idx, cell, t0_ns, t0_ns + 1, t0_ns + 2, t0_ns + 3);
    add_line(journal, seq, body);
}

static void write_journal(const char *tail)
{
    il_buf journal;
    il_buf_init(&journal, 1 << 20);
    add_line(&journal, 0, plan);
    add_call(&journal, 1, 0, 1, 1100); /* before call 0: blocks are in random order */
    add_call(&journal, 2, 1, 10, 4000);
    add_call(&journal, 3, 0, 0, 1000);
    add_line(&journal, 4,
             "\"kind\":\"failure\",\"call_idx\":2,\"cell\":0,\"status\":\"error\","
             "\"reason\":\"CRASHED\",\"message\":\"it died\",\"hint\":\"try less\"");
    add_call(&journal, 5, 0, 3, 1300);
    add_line(&journal, 6,
             "\"kind\":\"failure\",\"call_idx\":4,\"cell\":0,\"status\":\"error\","
             "\"reason\":\"TIMEOUT\",\"message\":\"slow\"");
    add_call(&journal, 7, 0, 4, 1400); /* a resume repeated it */
    add_line(&journal, 8,
             "\"kind\":\"closure\",\"cell\":0,\"block\":0,\"status\":\"ok\","
             "\"t0_ns\":50,\"t_end_ns\":60,\"decode_steps\":2");
    add_call(&journal, 9, 3, 30, 9000);
    add_call(&journal, 10, 4, 40, 8000);
    assert_int_equal(il_buf_puts(&journal, tail), IL_OK);
    il_error err = {0};
    check_ok(il_file_write_atomic(path, journal.data, journal.len, &err), &err);
    il_buf_free(&journal);
}

typedef struct player {
    test_entry entry;
    il_backend *b;
    int64_t stamps[2];
    il_call_request request;
    il_call_result result;
} player;

static void player_open(player *p, const char *name)
{
    *p = (player){
        .request = {.batch = 1, .n_ids = 1, .prompt = "Hello", .gen_tokens = 2, .split = true}};
    entry_open(&p->entry);
    entry_set(&p->entry, IL_P_NAME, name);
    entry_set(&p->entry, IL_P_REPLAY, path);
    p->b = entry_backend(&p->entry, "replay");
    p->result.t_step_ns = p->stamps;
}

static void player_close(player *p)
{
    p->b->ops->close(p->b);
    entry_close(&p->entry);
}

static int load(player *p, const char *name, il_error *err)
{
    il_backend_model model = {.name = name, .kind = "hf"};
    il_load_result result;
    int rc = p->b->ops->supports(p->b, &model, err);
    return rc ? rc : p->b->ops->load(p->b, &model, &result, err);
}

static int call(player *p, il_error *err)
{
    return p->b->ops->call(p->b, &p->request, &p->result, err);
}

static void calls_come_in_order(void **state)
{
    (void)state;
    write_journal("");
    for (int run = 0; run < 2; run++) { /* the same every time */
        player p;
        il_error err = {0};
        player_open(&p, "cpu");
        check_ok(load(&p, "m1", &err), &err);
        const int64_t want[] = {1000, 1100, 0, 1300, 1400};
        for (int i = 0; i < 5; i++) {
            int rc = call(&p, &err);
            if (want[i] == 0) {
                assert_int_equal(rc, IL_E_CRASHED);
                assert_string_equal(err.what, "it died");
                assert_string_equal(err.hint, "try less");
                assert_string_equal(p.result.status, "error");
                assert_string_equal(p.result.reason, "CRASHED");
                continue;
            }
            check_ok(rc, &err);
            assert_int_equal(p.result.t0_ns, want[i]);
            assert_int_equal(p.result.t_first_ns, want[i] + 1);
            assert_int_equal(p.stamps[1], want[i] + 3);
            assert_int_equal(p.result.t_end_ns, want[i] + 3);
            assert_int_equal(p.result.minor_faults, 7);
            assert_true(p.result.major_faults == UINT64_MAX);
            check_near(p.result.gpu_peak_mb, 1.5, 0);
            assert_true(isnan(p.result.prefill_event_ms));
            assert_string_equal(p.result.status, "ok");
        }
        assert_int_equal(call(&p, &err), IL_E_NOT_FOUND); /* the recording is over */
        p.request.split = false;
        check_ok(call(&p, &err), &err);
        assert_int_equal(p.result.t0_ns, 50);
        assert_int_equal(p.result.t_end_ns, 60);
        assert_int_equal(p.result.t_first_ns, 0);
        assert_int_equal(call(&p, &err), IL_E_NOT_FOUND);
        player_close(&p);
    }
}

static void cells_are_told_apart(void **state)
{
    (void)state;
    write_journal("");
    player p;
    il_error err = {0};
    player_open(&p, "cpu");
    check_ok(load(&p, "m1", &err), &err);
    p.request.prompt = "Howdy"; /* as long as Hello, another cell */
    check_ok(call(&p, &err), &err);
    assert_int_equal(p.result.t0_ns, 8000);
    p.request.prompt = NULL;
    p.request.n_ids = 4;
    check_ok(call(&p, &err), &err);
    assert_int_equal(p.result.t0_ns, 4000);
    p.request.batch = 8;
    assert_int_equal(call(&p, &err), IL_E_NOT_FOUND);
    assert_int_equal(load(&p, "m2", &err), IL_E_UNSUPPORTED); /* skipped when it was recorded */
    assert_string_equal(err.what, "no m2");
    assert_string_equal(err.hint, "make it");
    assert_int_equal(load(&p, "m3", &err), IL_E_NOT_FOUND);
    player_close(&p);

    player_open(&p, "gpu");
    check_ok(load(&p, "m1", &err), &err);
    check_ok(call(&p, &err), &err);
    assert_int_equal(p.result.t0_ns, 9000);
    player_close(&p);

    player_open(&p, "a name the recording does not know");
    check_ok(load(&p, "m1", &err), &err);
    check_ok(call(&p, &err), &err);
    assert_int_equal(p.result.t0_ns, 1000);
    player_close(&p);
}

static void damage_is_refused_and_a_torn_end_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *tail;
        int code;
    } cases[] = {
        {"{\"v\":1,\"seq\":11,\"ki", IL_OK},
        {"{\"v\":1,\"seq\":11,\"kind\":\"call\",\"crc32\":\"00000000\"}\n", IL_OK},
        {"{\"v\":1,\"seq\":11,\"kind\":\"call\",\"crc32\":\"00000000\"}\n{}\n", IL_E_DAMAGED},
        {"\n\n", IL_E_DAMAGED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        player p;
        il_error err = {0};
        write_journal(cases[i].tail);
        player_open(&p, "cpu");
        assert_int_equal(load(&p, "m1", &err), cases[i].code);
        if (cases[i].code != IL_OK) {
            assert_non_null(strstr(err.where, "journal.jsonl:12"));
        }
        player_close(&p);
    }
    player p;
    il_error err = {0};
    assert_int_equal(unlink(path), 0);
    player_open(&p, "cpu");
    assert_int_equal(load(&p, "m1", &err), IL_E_NOT_FOUND);
    player_close(&p);
}

int main(void)
{
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("replay"));
    (void)snprintf(path, sizeof path, "%s/journal.jsonl", dir);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_come_in_order),
        cmocka_unit_test(cells_are_told_apart),
        cmocka_unit_test(damage_is_refused_and_a_torn_end_is_not),
    };
    int failed = cmocka_run_group_tests_name("backend/replay", tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
