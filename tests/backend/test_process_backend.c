/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every way a worker can fail, seen from the backend seam: the right code, words that help, within
 * the deadline, and no process left.
 */
#include "backend/entry.h"
#include "backend/fake_worker.h"

#include <errno.h>

enum { N_STEPS = 3 };

static char self_path[4096];

typedef struct bench {
    test_entry entry;
    il_backend *b;
    il_backend_model model;
    il_load_result load;
    int64_t stamps[N_STEPS];
    il_call_request request;
    il_call_result result;
} bench;

static const int32_t ids[4] = {1, 2, 3, 4};

/* A backend whose worker is the fake one, ready for load. */
static void bench_open(bench *t, const char *how, const char *deadline_s)
{
    *t = (bench){
        .model = {.name = "m",
                  .path = "/",
                  .kind = "hf",
                  .max_batch = 1,
                  .max_prompt_tok = 4,
                  .max_gen_tok = N_STEPS},
        .request = {.batch = 1, .n_ids = 4, .ids = ids, .gen_tokens = N_STEPS, .split = true}};
    entry_open(&t->entry);
    entry_set(&t->entry, IL_P_NAME, "fake_backend");
    entry_set(&t->entry, IL_P_DEADLINE_S, deadline_s);
    entry_add(&t->entry, IL_P_COMMAND, self_path);
    entry_add(&t->entry, IL_P_COMMAND, "fake");
    entry_add(&t->entry, IL_P_COMMAND, how);
    t->b = entry_backend(&t->entry, "hf");
    t->result.t_step_ns = t->stamps;
}

static int bench_load(bench *t, il_error *err)
{
    int rc = t->b->ops->load(t->b, &t->model, &t->load, err);
    return rc ? rc : t->b->ops->prepare(t->b, &t->request, err);
}

static int bench_call(bench *t, il_error *err)
{
    return t->b->ops->call(t->b, &t->request, &t->result, err);
}

static void bench_close(bench *t)
{
    json_decref(t->load.stages);
    json_decref(t->load.facts);
    t->b->ops->close(t->b);
    entry_close(&t->entry);
    /* Whatever happened, nobody is left, dead or alive. */
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void a_good_worker_answers(void **state)
{
    (void)state;
    bench t;
    il_error err = {0};
    bench_open(&t, "unknown_keys", "10");
    t.entry.set.values[IL_P_OPTIONS].text = "{\"beams\":4}";
    t.entry.set.values[IL_P_OPTIONS].origin = IL_ORIGIN_FILE;
    check_ok(t.b->ops->supports(t.b, &t.model, &err), &err);
    assert_int_equal(t.b->ops->pid(t.b), 0);
    check_ok(bench_load(&t, &err), &err);
    assert_true(t.b->ops->pid(t.b) > 1);
    assert_true(t.load.t_spawn_ns < t.load.t_hello_ns);
    assert_true(t.load.t_hello_ns <= t.load.t0_ns);
    const json_t *first = json_array_get(t.load.stages, 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "spawn");
    assert_non_null(json_object_get(t.load.facts, "worker"));
    assert_int_equal(json_integer_value(json_object_get(t.load.facts, "beams")), 4);
    for (int i = 0; i < 3; i++) { /* prepared once, called again and again */
        check_ok(bench_call(&t, &err), &err);
        assert_string_equal(t.result.status, "ok");
        assert_int_equal(t.result.n_steps, N_STEPS);
        assert_int_equal(t.result.prompt_tok, 4);
        assert_true(t.result.t0_ns < t.result.t_first_ns);
        assert_true(t.result.t_end_ns == t.stamps[N_STEPS - 1]);
        assert_int_equal(t.result.minor_faults, 3);
        check_near(t.result.gpu_peak_mb, 5.5, 0);
        assert_true(isnan(t.result.prefill_event_ms));
    }
    t.request.split = false;
    check_ok(bench_call(&t, &err), &err);
    assert_int_equal(t.result.t_first_ns, 0);
    assert_true(t.result.t_end_ns > t.result.t0_ns);
    check_ok(t.b->ops->unload(t.b, &err), &err);
    check_ok(t.b->ops->unload(t.b, &err), &err); /* legal when nothing is loaded */
    assert_int_equal(t.b->ops->pid(t.b), 0);
    assert_int_equal(bench_call(&t, &err), IL_E_CRASHED);
    json_decref(t.load.stages);
    json_decref(t.load.facts);
    check_ok(bench_load(&t, &err), &err); /* and it starts again */
    bench_close(&t);
}

static void every_misbehaviour_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *how;
        int code;
        const char *says, *hints; /* in what; in hint */
    } cases[] = {
        {"segv", IL_E_CRASHED,
         "signal 11 (Segmentation fault) during call; its last words: read "
         "page zero",
         ""},
        {"abort", IL_E_CRASHED, "signal 6 (Aborted) during call", ""},
        {"killed", IL_E_CRASHED, "signal 9 (Killed) during call", "out of memory"},
        {"exit1", IL_E_CRASHED, "status 1 during call; its last words: ImportError", ""},
        {"exit0", IL_E_CRASHED, "left with status 0 during call", ""},
        {"hang", IL_E_TIMEOUT, "did not answer call in time", "deadline_s"},
        {"ignores_term", IL_E_TIMEOUT, "did not answer call in time", "deadline_s"},
        {"garbage", IL_E_PROTOCOL, "no JSON object: \"Loading checkpoint shards: 100%\"",
         "private descriptor"},
        {"partial", IL_E_CRASHED, "left with status 4 during call", ""},
        {"wrong_id", IL_E_PROTOCOL, "the reply has id", ""},
        {"long_line", IL_E_PROTOCOL, "longer than 64 MiB", ""},
        {"orphan", IL_E_CRASHED, "left with status 5 during call", ""},
        {"back_step", IL_E_PROTOCOL, "t_step_ns[1]", ""},
        {"other_clock", IL_E_PROTOCOL, "CLOCK_MONOTONIC", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool slow = cases[i].code == IL_E_TIMEOUT;
        bench t;
        il_error err = {0};
        bench_open(&t, cases[i].how, "20");
        check_ok(bench_load(&t, &err), &err);
        pid_t pid = t.b->ops->pid(t.b);
        t.request.deadline_s = slow ? 0.1 : 20;
        int64_t t0_ns = il_clock_ns();
        int rc = bench_call(&t, &err);
        double wall_s = (double)(il_clock_ns() - t0_ns) * 1e-9;
        if (rc != cases[i].code || !strstr(err.what, cases[i].says) ||
            !strstr(err.hint, cases[i].hints) || !strstr(err.where, slow ? "fake_backend" : "")) {
            fail_msg("%s: %s \"%s\" (%s) [%s]", cases[i].how, il_code_name(rc), err.what, err.hint,
                     err.where);
        }
        assert_string_equal(t.result.status, "error");
        assert_string_equal(t.result.reason, il_code_name(rc));
        assert_int_equal(t.result.n_steps, 0);
        assert_true(wall_s < 10);
        if (slow) { /* the deadline, a second of patience after SIGTERM, and not much more */
            assert_true(wall_s >= 0.1 && wall_s < 3);
        }
        assert_int_equal(t.b->ops->pid(t.b), 0);
        assert_int_equal(kill(pid, 0), -1);
        assert_int_equal(bench_call(&t, &err), IL_E_CRASHED);
        assert_int_equal(t.b->ops->prepare(t.b, &t.request, &err), IL_E_CRASHED);
        check_ok(t.b->ops->unload(t.b, &err), &err);
        bench_close(&t);
    }
}

static void a_refusal_leaves_the_worker_running(void **state)
{
    (void)state;
    bench t;
    il_error err = {0};
    bench_open(&t, "refuses", "10");
    check_ok(bench_load(&t, &err), &err);
    pid_t pid = t.b->ops->pid(t.b);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bench_call(&t, &err), IL_E_NONFINITE);
        assert_string_equal(t.result.reason, "NONFINITE");
        assert_string_equal(err.what, "logit 7 of position 3 is not finite");
        assert_int_equal(t.b->ops->pid(t.b), pid);
    }
    assert_int_equal(t.b->ops->logits(t.b, ids, 4, "/nonexistent", &err), IL_E_UNSUPPORTED);
    t.request.ids = NULL;
    assert_int_equal(t.b->ops->prepare(t.b, &t.request, &err), IL_E_UNSUPPORTED);
    bench_close(&t);
}

static void a_start_that_fails_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *how;
        int code;
        const char *says;
    } cases[] = {
        {"dies_first", IL_E_CRASHED, "status 127 during start; its last words: libmissing.so"},
        {"old_protocol", IL_E_PROTOCOL, "protocol 99"},
        {"hello_clock", IL_E_PROTOCOL, "t_main_ns"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench t;
        il_error err = {0};
        bench_open(&t, cases[i].how, "10");
        assert_int_equal(bench_load(&t, &err), cases[i].code);
        if (!strstr(err.what, cases[i].says)) {
            fail_msg("%s: %s", cases[i].how, err.what);
        }
        assert_null(t.load.stages);
        bench_close(&t);
    }
    bench t;
    il_error err = {0};
    bench_open(&t, "good", "10");
    entry_set(&t.entry, IL_P_DTYPE, "bf16"); /* which the fake worker's hello does not name */
    assert_int_equal(bench_load(&t, &err), IL_E_UNSUPPORTED);
    bench_close(&t);

    bench_open(&t, "good", "10");
    il_arena_free(&t.entry.arena);
    entry_open(&t.entry);
    entry_add(&t.entry, IL_P_COMMAND, "/nonexistent/worker");
    assert_int_equal(bench_load(&t, &err), IL_E_NOT_FOUND);
    assert_string_equal(err.where, "/nonexistent/worker");
    bench_close(&t);
}

static void a_bad_end_is_told(void **state)
{
    (void)state;
    bench t;
    il_error err = {0};
    bench_open(&t, "bad_bye", "10");
    check_ok(bench_load(&t, &err), &err);
    assert_int_equal(t.b->ops->unload(t.b, &err), IL_E_CRASHED);
    assert_non_null(strstr(err.what, "left with status 3 during bye"));
    bench_close(&t);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "fake") == 0) {
        return fake_worker_main(argv[2]);
    }
    if (!realpath("/proc/self/exe", self_path)) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_worker_answers),
        cmocka_unit_test(every_misbehaviour_is_told),
        cmocka_unit_test(a_refusal_leaves_the_worker_running),
        cmocka_unit_test(a_start_that_fails_is_told),
        cmocka_unit_test(a_bad_end_is_told),
    };
    return cmocka_run_group_tests_name("backend/process", tests, NULL, NULL);
}
