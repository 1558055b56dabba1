/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The memory ladder on a worker that eats a megabyte a token, under a limit of 200 MB: it holds as
 * long as it fits, ends after two failures, says where the wall is, and neither this process nor
 * the machine is in danger. The test program runs itself as that worker.
 */
#include "check.h"

#include "backend/backend.h"
#include "base/file.h"
#include "os/clock.h"
#include "study/driver.h"
#include "study/journal.h"
#include "study/ladder.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <fcntl.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1 /* its shadow alone is beyond any limit on address space */
#else
#define UNDER_ASAN 0
#endif

enum { LIMIT = 200000000, TOKEN_BYTES = 1000000 };

/* --- the worker --------------------------------------------------------------------------------
 */

typedef struct eater {
    il_wire_channel channel;
    bool dies; /* it is killed instead of saying no */
    char *food;
    uint32_t gen_tokens, n_ids;
} eater;

static void say_hello(eater *w, int64_t t_main_ns)
{
    json_t *dtypes = json_pack("[s]", "fp32"), *devices = json_pack("[s]", "cpu");
    il_wire_hello hello = {.protocol = IL_WIRE_PROTOCOL,
                           .worker = "eater",
                           .version = "0",
                           .pid = getpid(),
                           .t_main_ns = t_main_ns,
                           .step_times = true,
                           .dtypes = dtypes,
                           .devices = devices,
                           .runtime_name = "none",
                           .runtime_version = "0"};
    (void)il_wire_send(&w->channel, il_wire_hello_json(&hello), IL_WIRE_NO_DEADLINE, NULL);
    json_decref(dtypes);
    json_decref(devices);
}

static json_t *do_prepare(eater *w, int64_t id, const json_t *message)
{
    il_wire_prepare p;
    il_error err = {0};
    if (il_wire_prepare_read(message, &p, &err) != IL_OK) {
        return il_wire_failure_json(id, &err);
    }
    size_t bytes = (size_t)p.batch * (p.n_ids + p.gen_tokens) * TOKEN_BYTES;
    w->n_ids = p.n_ids;
    w->gen_tokens = p.gen_tokens;
    free((void *)(uintptr_t)p.ids);
    free(w->food);
    w->food = malloc(bytes);
    if (!w->food && w->dies) {
        _exit(137);
    }
    if (!w->food) {
        (void)il_fail(&err, IL_E_NOMEM, "no memory for the cache");
        return il_wire_failure_json(id, &err);
    }
    memset(w->food, 1, bytes);
    return il_wire_ok_json(id);
}

static json_t *do_call(const eater *w, int64_t id)
{
    int64_t steps[64];
    int64_t now = il_clock_ns();
    il_wire_call_reply reply = {.split = true,
                                .t0_ns = now,
                                .t_first_ns = now,
                                .t_end_ns = now,
                                .t_step_ns = steps,
                                .n_steps = w->gen_tokens,
                                .prompt_tok = w->n_ids,
                                .prefill_event_ms = (double)NAN,
                                .decode_event_ms = (double)NAN,
                                .gpu_peak_mb = (double)NAN};
    for (uint32_t i = 0; i < w->gen_tokens; i++) {
        steps[i] = now;
    }
    return il_wire_call_reply_json(id, &reply);
}

static int be_eater(bool dies)
{
    eater w = {.dies = dies};
    int64_t t_main_ns = il_clock_ns();
    il_wire_channel_init(&w.channel, STDIN_FILENO, STDOUT_FILENO, -1, "the driver");
    say_hello(&w, t_main_ns);
    for (bool leave = false; !leave;) {
        json_t *message = NULL, *reply = NULL;
        il_wire_type type;
        int64_t id;
        if (il_wire_receive(&w.channel, IL_WIRE_NO_DEADLINE, &message, NULL) != IL_OK ||
            il_wire_request_read(message, &type, &id, NULL) != IL_OK) {
            break;
        }
        if (type == IL_WIRE_LOAD) {
            il_wire_load_reply load = {.t0_ns = il_clock_ns()};
            load.t1_ns = il_clock_ns();
            reply = il_wire_load_reply_json(id, &load);
        } else if (type == IL_WIRE_PREPARE) {
            reply = do_prepare(&w, id, message);
        } else if (type == IL_WIRE_CALL) {
            reply = do_call(&w, id);
        } else {
            reply = il_wire_ok_json(id);
            leave = type == IL_WIRE_BYE;
        }
        json_decref(message);
        (void)il_wire_send(&w.channel, reply, IL_WIRE_NO_DEADLINE, NULL);
    }
    il_wire_channel_free(&w.channel);
    free(w.food);
    return 0;
}

/* --- the driver --------------------------------------------------------------------------------
 */

static char model[600], self[600];

typedef struct rungs {
    unsigned n;
    struct {
        int64_t x;
        bool ok;
        char reason[16];
        int64_t peak, pss;
        char by[16];
    } at[32];
} rungs;

static int take(json_t *line, uint64_t number, void *user, il_error *err)
{
    (void)number;
    (void)err;
    rungs *r = user;
    if (strcmp(json_string_value(json_object_get(line, "kind")), "memory") == 0) {
        const char *reason = json_string_value(json_object_get(line, "reason"));
        r->at[r->n].x = json_integer_value(json_object_get(line, "x"));
        r->at[r->n].ok = strcmp(json_string_value(json_object_get(line, "status")), "ok") == 0;
        r->at[r->n].peak = json_integer_value(json_object_get(line, "rss_peak_bytes"));
        r->at[r->n].pss = json_integer_value(json_object_get(line, "pss_bytes"));
        (void)snprintf(r->at[r->n].reason, sizeof r->at[r->n].reason, "%s", reason ? reason : "");
        (void)snprintf(r->at[r->n].by, sizeof r->at[r->n].by, "%s",
                       json_string_value(json_object_get(line, "limit_by")));
        assert_int_equal(json_integer_value(json_object_get(line, "limit_bytes")), LIMIT);
        r->n++;
    }
    return IL_OK;
}

static void run(const char *ladder, const char *how, const char *dir, bool resume, rungs *out)
{
    static char text[4000];
    char path[700];
    il_study study;
    il_plan plan = {0};
    il_error err = {0};
    il_driver_result result;
    (void)snprintf(text, sizeof text,
                   "run_name: t\ngen_tokens: 4\nrepetitions: 1\nwarmup_repetitions: 0\n"
                   "scenarios: [{name: a, prompt_tokens: 4}]\n"
                   "backends: [{name: x, kind: native, command: [%s, %s], deadline_s: 20}]\n"
                   "models: [{name: %s, kind: hf}]\n"
                   "memory_wall: {ladder: %s, limit_bytes: 2e8, limit_by: rlimit, stop_after: 2}\n",
                   self, how, model, ladder);
    check_ok(il_study_parse(text, strlen(text), "test", NULL, &study, &err), &err);
    assert_int_equal(study.n_notes, 0);
    check_ok(il_plan_make(&study, il_backend_find, &plan, &err), &err);
    il_driver_options options = {.dir = dir, .resume = resume};
    check_ok(il_driver_run(&plan, &options, &result, &err), &err);
    assert_int_equal(result.ok, 1); /* the study's own call is under no limit */
    il_plan_free(&plan);
    il_study_free(&study);
    *out = (rungs){0};
    (void)snprintf(path, sizeof path, "%s/journal.jsonl", dir);
    check_ok(il_journal_read(path, take, out, NULL, &err), &err);
}

static void test_wall(void **state)
{
    (void)state;
    rungs r;
    char dir[600];
    if (UNDER_ASAN) {
        skip();
    }
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("ladder"));
    run("[{context: [16, 64, 128, 256, 300, 400]}]", "eater", dir, false, &r);
    assert_int_equal(r.n, 5); /* two failures end it */
    for (unsigned i = 0; i < 3; i++) {
        assert_true(r.at[i].ok);
        assert_string_equal(r.at[i].by, "rlimit_as");
        assert_true(r.at[i].peak >= r.at[i].x * TOKEN_BYTES);
        assert_true(r.at[i].peak <= r.at[i].x * TOKEN_BYTES + 40000000);
        assert_true(r.at[i].pss >= r.at[i].x * TOKEN_BYTES);
    }
    for (unsigned i = 3; i < 5; i++) {
        assert_false(r.at[i].ok);
        assert_string_equal(r.at[i].reason, "NOMEM");
    }
    assert_int_equal(r.at[4].x, 300);
    /* Climbed once: a resume has nothing to do. */
    run("[{context: [16, 64, 128, 256, 300, 400]}]", "eater", dir, true, &r);
    assert_int_equal(r.n, 5);
}

/* A process that is killed is a failure like one that says no; by itself the batch doubles. */
static void test_killed(void **state)
{
    (void)state;
    rungs r;
    char dir[600];
    if (UNDER_ASAN) {
        skip();
    }
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("ladder"));
    run("[batch]", "eater-dies", dir, false, &r);
    assert_int_equal(r.n, 7); /* 8 MB a sequence: 1, 2, 4, 8, 16 hold, 32 and 64 do not */
    assert_true(r.at[4].ok);
    assert_int_equal(r.at[5].x, 32);
    assert_false(r.at[5].ok);
    assert_string_equal(r.at[5].reason, "CRASHED");
}

static void test_ladder_words(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_ladder ladder;
    il_error err = {0};
    static const char *const bad[] = {
        "[]",
        "\"size\"",
        "[\"depth\"]",
        "[\"size\",\"size\"]",
        "[{\"size\":[1]}]",
        "[{\"batch\":[]}]",
        "[{\"batch\":[8,4]}]",
        "[{\"batch\":[0]}]",
        "[7]",
    };
    json_t *good = json_loads("[\"size\",{\"batch\":[1,8]},\"context\"]", 0, NULL);
    check_ok(il_ladder_read(good, &arena, &ladder, &err), &err);
    assert_int_equal(ladder.n, 3);
    assert_int_equal(ladder.axes[1].axis, IL_AXIS_BATCH);
    assert_int_equal(ladder.axes[1].values[1], 8);
    assert_int_equal(ladder.axes[2].n, 0);
    json_decref(good);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *value = json_loads(bad[i], JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        assert_int_equal(il_ladder_read(value, &arena, &ladder, &err), IL_E_USAGE);
        json_decref(value);
    }
    check_ok(il_ladder_read(NULL, &arena, &ladder, &err), &err);
    assert_int_equal(ladder.axes[0].axis, IL_AXIS_SIZE);
    il_arena_free(&arena);
}

static int setup(void **state)
{
    (void)state;
    static const char config[] = "{\"model_type\":\"gpt2\",\"n_layer\":1,\"n_embd\":8,"
                                 "\"n_head\":1,\"vocab_size\":64,\"n_positions\":512}";
    char path[700];
    il_error err = {0};
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    (void)snprintf(model, sizeof model, "%s", check_scratch_dir("ladder-model"));
    (void)snprintf(path, sizeof path, "%s/config.json", model);
    check_ok(il_file_write_atomic(path, config, sizeof config - 1, &err), &err);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return be_eater(strcmp(argv[1], "eater-dies") == 0);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wall),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_ladder_words),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
