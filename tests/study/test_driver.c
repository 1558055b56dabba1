/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The driver on a backend that computes nothing: what is planned is measured once, failures are
 * rows, and neither a signal, a kill nor a full disk loses what was acknowledged.
 */
#include "check.h"

#include "backend/backend.h"
#include "base/file.h"
#include "os/clock.h"
#include "study/driver.h"
#include "study/journal.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- the double ------------------------------------------------------------------------------- */

static struct {
    const char *loaded;
    unsigned n_loads, n_calls;
    unsigned stop_after; /* calls after which a signal is pretended, 0 = never */
    bool crash, hang;
    unsigned call_ms; /* a call takes that long in truth */
} fake;
static volatile sig_atomic_t stop_flag;

static int fake_open(const il_param_set *entry, il_backend **out, il_error *err);

static int fake_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    (void)b;
    if (strcmp(model->name, "alien") == 0) {
        int rc = il_fail(err, IL_E_UNSUPPORTED, "an alien architecture");
        il_error_hint(err, "another model");
        return rc;
    }
    return IL_OK;
}

static int fake_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                     il_error *err)
{
    (void)b;
    assert_null(fake.loaded); /* one process alive at a time */
    if (strcmp(model->name, "unloadable") == 0) {
        return il_fail(err, IL_E_DAMAGED, "a tensor is missing");
    }
    fake.loaded = model->name;
    fake.n_loads++;
    *out = (il_load_result){.t0_ns = il_clock_ns()};
    out->t1_ns = out->t0_ns + 1000000;
    return IL_OK;
}

static int fake_prepare(il_backend *b, const il_call_request *request, il_error *err)
{
    (void)b;
    assert_non_null(fake.loaded);
    assert_true(request->n_ids > 0 && request->ids[0] >= 0 && request->ids[0] < 50257);
    (void)err;
    return IL_OK;
}

static int fake_call(il_backend *b, const il_call_request *request, il_call_result *r,
                     il_error *err)
{
    (void)b;
    assert_non_null(fake.loaded);
    fake.n_calls++;
    stop_flag = fake.stop_after > 0 && fake.n_calls >= fake.stop_after;
    if (strcmp(fake.loaded, "crashing") == 0 && request->n_ids > 5) {
        return il_fail(err, IL_E_CRASHED, "signal 11");
    }
    if (strcmp(fake.loaded, "infinite") == 0) {
        return il_fail(err, IL_E_NONFINITE, "a logit is not finite");
    }
    if (fake.call_ms > 0) {
        const struct timespec pause = {.tv_nsec = 1000000L * fake.call_ms};
        (void)nanosleep(&pause, NULL);
    }
    int64_t base = il_clock_ns();
    r->t0_ns = base;
    r->t_first_ns = request->split ? base + 1000 * request->n_ids : 0;
    for (uint32_t i = 0; request->split && i < request->gen_tokens; i++) {
        r->t_step_ns[i] = r->t_first_ns + (i + 1) * 1000;
    }
    r->t_end_ns = base + 1000 * (request->n_ids + request->gen_tokens);
    r->n_steps = request->gen_tokens;
    r->prompt_tok = request->n_ids;
    (void)snprintf(r->status, sizeof r->status, "ok");
    return IL_OK;
}

static int fake_unload(il_backend *b, il_error *err)
{
    (void)b;
    (void)err;
    fake.loaded = NULL;
    return IL_OK;
}

static pid_t fake_pid(const il_backend *b)
{
    (void)b;
    return 0;
}

static void fake_close(il_backend *b)
{
    free(b);
}

static const il_backend_ops fake_ops = {
    .version = IL_BACKEND_VERSION,
    .kind = "noop",
    .caps = IL_CAP_STEP_TIMES | IL_CAP_UNSPLIT | IL_CAP_TOKEN_IDS | IL_CAP_PROCESS,
    .open = fake_open,
    .supports = fake_supports,
    .load = fake_load,
    .prepare = fake_prepare,
    .call = fake_call,
    .unload = fake_unload,
    .pid = fake_pid,
    .close = fake_close,
};

static int fake_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    (void)entry;
    *out = malloc(sizeof **out);
    if (!*out) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    (*out)->ops = &fake_ops;
    return IL_OK;
}

static const il_backend_ops *lookup(const char *kind)
{
    return strcmp(kind, "noop") == 0 ? &fake_ops : NULL;
}

/* --- running ---------------------------------------------------------------------------------- */

static const char good[] = "run_name: t\n"
                           "gen_tokens: 3\nrepetitions: 2\nwarmup_repetitions: 1\n"
                           "schedule: {blocks: 4, sentinel: false}\n"
                           "scenarios: [{name: a, prompt_tokens: 2}, {name: b, prompt_tokens: 9}]\n"
                           "backends: [{name: x, kind: noop}]\n"
                           "models: [{name: m1}, {name: m2}, {name: m3}]\n";

/* A sampler that knows what it wants: after block b the groups of bits wish[b], then `last`. */
typedef struct scripted {
    il_sampler base;
    unsigned wish[16];
    il_sampler_reason last;
    unsigned n_observed, n_asked;
    double seen[16][16]; /* [cell][block], the prefill in ms */
} scripted;

static void scripted_observe(il_sampler *sampler, const il_sampler_call *call)
{
    scripted *s = (scripted *)sampler;
    s->n_observed++;
    s->seen[call->cell][call->block] = call->prefill_ms;
}

static int scripted_next(il_sampler *sampler, uint32_t blocks, double left_s, bool *groups,
                         il_sampler_step *out, il_error *err)
{
    scripted *s = (scripted *)sampler;
    (void)left_s;
    (void)err;
    s->n_asked++;
    *out = (il_sampler_step){.reason = s->wish[blocks] ? IL_SAMPLER_MORE : s->last,
                             .half_width = 0.25};
    (void)snprintf(out->widest, sizeof out->widest, "the widest");
    for (unsigned g = 0; g < 3; g++) {
        assert_false(groups[g]);
        groups[g] = (s->wish[blocks] >> g) & 1;
    }
    return IL_OK;
}

static const il_sampler_ops scripted_ops = {.observe = scripted_observe, .next = scripted_next};

static int run_sampled(const char *text, const char *dir, bool resume, scripted *sampler,
                       il_driver_result *result, il_error *err)
{
    il_study study;
    il_plan plan = {0};
    unsigned stop_after = fake.stop_after, call_ms = fake.call_ms;
    memset(&fake, 0, sizeof fake);
    fake.stop_after = stop_after;
    fake.call_ms = call_ms;
    stop_flag = 0;
    int rc = il_study_parse(text, strlen(text), "test", NULL, &study, err);
    rc = rc == IL_OK ? il_plan_make(&study, lookup, &plan, err) : rc;
    il_driver_options options = {.dir = dir,
                                 .resume = resume,
                                 .stop = &stop_flag,
                                 .sampler = sampler ? &sampler->base : NULL};
    rc = rc == IL_OK ? il_driver_run(&plan, &options, result, err) : rc;
    if (plan.study) {
        il_plan_free(&plan);
    }
    il_study_free(&study);
    fake.stop_after = 0;
    return rc;
}

static int run_text(const char *text, const char *dir, bool resume, il_driver_result *result,
                    il_error *err)
{
    return run_sampled(text, dir, resume, NULL, result, err);
}

static void new_dir(char *out, size_t n, const char *name)
{
    (void)snprintf(out, n, "%s/run", check_scratch_dir(name));
}

typedef struct tally {
    unsigned calls[256], failures[256]; /* lines by call_idx */
    unsigned closures, plans, cold;
    unsigned arms, arm_lines; /* arms that ended; calls of arms */
    unsigned closures_first;  /* before the measured calls of their cell and block */
    unsigned n_lines;
    char reasons[4][32];
    char status[256][12];
    int64_t group_order[8][8]; /* models of block's loads in order: first letter after m */
    unsigned n_order[8];
    int64_t blocks; /* of the plan: the stride of call_idx */
} tally;

static int count_line(json_t *line, uint64_t number, void *user, il_error *err)
{
    (void)number;
    (void)err;
    tally *t = user;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    int64_t idx = json_integer_value(json_object_get(line, "call_idx"));
    int64_t block = json_integer_value(json_object_get(line, "block"));
    t->n_lines++;
    const json_t *blocks = json_object_get(line, "blocks");
    t->blocks = blocks ? json_integer_value(blocks) : t->blocks;
    if (strcmp(kind, "call") == 0 || strcmp(kind, "failure") == 0) {
        assert_in_range(idx, 0, 255);
        (kind[0] == 'c' ? t->calls : t->failures)[idx]++;
        (void)snprintf(t->status[idx], sizeof t->status[idx], "%s",
                       json_string_value(json_object_get(line, "status")));
        int64_t cell = json_integer_value(json_object_get(line, "cell"));
        int64_t per_block = 3;
        assert_int_equal(idx / (t->blocks * per_block), cell);
        assert_int_equal(idx % (t->blocks * per_block) / per_block, block);
        bool warm = json_is_true(json_object_get(line, "is_warmup"));
        assert_int_equal(warm, idx % per_block == 0);
        if (!warm) {
            assert_int_equal(json_integer_value(json_object_get(line, "rep")),
                             block * 2 + idx % per_block - 1);
        }
    }
    if (strcmp(kind, "cold") == 0 && t->n_order[block] < 8) {
        const char *model = json_string_value(json_object_get(line, "model"));
        t->group_order[block][t->n_order[block]++] = model[1];
    }
    t->cold += strcmp(kind, "cold") == 0;
    t->closures += strcmp(kind, "closure") == 0;
    int64_t cell_idx = json_integer_value(json_object_get(line, "cell"));
    t->closures_first +=
        strcmp(kind, "closure") == 0 && t->calls[(cell_idx * t->blocks + block) * 3 + 1] == 0;
    t->arm_lines += strcmp(kind, "aa") == 0;
    t->arms += strcmp(kind, "aa") == 0 && json_integer_value(json_object_get(line, "rep")) == 1;
    t->plans += strcmp(kind, "plan") == 0;
    return IL_OK;
}

static void read_run(const char *dir, tally *t)
{
    char path[700];
    il_error err = {0};
    memset(t, 0, sizeof *t);
    (void)snprintf(path, sizeof path, "%s/journal.jsonl", dir);
    check_ok(il_journal_read(path, count_line, t, NULL, &err), &err);
}

/* 6 cells × 4 blocks × 3 calls, each once and ok; 24 closures; 3 pairs × 2 arms × 4 blocks. */
static void check_complete(const tally *t)
{
    for (unsigned i = 0; i < 72; i++) {
        assert_int_equal(t->calls[i], 1);
        assert_int_equal(t->failures[i], 0);
    }
    assert_int_equal(t->closures, 24);
    assert_int_equal(t->arms, 24);
    assert_int_equal(t->plans, 1);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_complete(void **state)
{
    (void)state;
    char dir[600], manifest[700];
    tally t;
    il_error err = {0};
    il_driver_result r;
    new_dir(dir, sizeof dir, "complete");
    check_ok(run_text(good, dir, false, &r, &err), &err);
    assert_int_equal(r.ok, 72);
    read_run(dir, &t);
    check_complete(&t);
    assert_in_range(t.closures_first, 4, 20); /* of 24, by a coin */
    /* A fresh process per group and block, and one per arm. */
    assert_int_equal(t.cold, 3 * 4 + 24);
    assert_int_equal(t.arm_lines, 24 * 2);
    bool shuffled = false;
    for (int b = 2; b < 4; b++) {
        shuffled =
            shuffled || memcmp(t.group_order[1], t.group_order[b], sizeof t.group_order[1]) != 0;
    }
    assert_true(shuffled);
    (void)snprintf(manifest, sizeof manifest, "%s/manifest.json", dir);
    json_t *m = json_load_file(manifest, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(m, "results"), "ok")), 216);
    assert_int_equal(json_integer_value(json_object_get(m, "records_expected")), 216);
    double started = json_number_value(json_object_get(m, "started_at_unix"));
    double finished = json_number_value(json_object_get(m, "finished_at_unix"));
    assert_true(started > 0 && started < finished);
    assert_true(finished - started >= 0.5 * r.elapsed_s);
    json_decref(m);
    /* Nothing is left to do: a resume adds no line. */
    unsigned n_lines = t.n_lines;
    check_ok(run_text(good, dir, true, &r, &err), &err);
    assert_int_equal(fake.n_calls, 0);
    read_run(dir, &t);
    assert_int_equal(t.n_lines, n_lines);
    assert_int_equal(run_text(good, dir, false, &r, &err), IL_E_EXISTS);
}

static void test_failures_are_rows(void **state)
{
    (void)state;
    static const char text[] =
        "gen_tokens: 3\nrepetitions: 2\nwarmup_repetitions: 1\n"
        "schedule: {blocks: 4, sentinel: false}\n"
        "scenarios: [{name: a, prompt_tokens: 2}, {name: b, prompt_tokens: 9}]\n"
        "backends: [{name: x, kind: noop}]\n"
        "models: [{name: good}, {name: crashing}, {name: unloadable}, {name: infinite}, "
        "{name: alien}]\n";
    char dir[600];
    tally t;
    il_error err = {0};
    il_driver_result r;
    new_dir(dir, sizeof dir, "failures");
    check_ok(run_text(text, dir, false, &r, &err), &err);
    /* good: 24; crashing on scenario b alone: 12 + 12; unloadable 24, infinite 24; alien 24. */
    assert_int_equal(r.ok, 36);
    assert_int_equal(r.error, 12 + 24 + 24);
    assert_int_equal(r.skipped, 24);
    assert_int_equal(r.not_run, 0);
    read_run(dir, &t);
    for (unsigned i = 0; i < 120; i++) {
        assert_int_equal(t.calls[i] + t.failures[i], 1);
    }
    assert_string_equal(t.status[0], "ok");
    assert_string_equal(t.status[24], "ok");
    assert_string_equal(t.status[36], "error");
    assert_string_equal(t.status[48], "error");
    assert_string_equal(t.status[72], "error");
    assert_string_equal(t.status[96], "skipped");
}

/* Stopped at every call in turn, then resumed: the rest and nothing twice. */
static void test_stop_and_resume(void **state)
{
    (void)state;
    for (unsigned stop = 1; stop < 168; stop += 17) {
        char dir[600];
        tally t;
        il_error err = {0};
        il_driver_result r;
        new_dir(dir, sizeof dir, "stop");
        fake.stop_after = stop;
        check_ok(run_text(good, dir, false, &r, &err), &err);
        unsigned before = fake.n_calls;
        if (r.interrupted) {
            assert_int_equal(before, stop);
            assert_true(r.not_run > 0 || stop > 72);
        }
        check_ok(run_text(good, dir, true, &r, &err), &err);
        assert_int_equal(r.ok, 72);
        read_run(dir, &t);
        check_complete(&t);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    char dir[600];
    il_error err = {0};
    il_driver_result r;
    il_rundir lock;
    new_dir(dir, sizeof dir, "refusals");
    fake.stop_after = 5;
    check_ok(run_text(good, dir, false, &r, &err), &err);
    char changed[600];
    (void)snprintf(changed, sizeof changed, "seed: 7\n%s", good);
    assert_int_equal(run_text(changed, dir, true, &r, &err), IL_E_USAGE);
    check_ok(il_rundir_open(dir, true, 0, &lock, &err), &err);
    assert_int_equal(run_text(good, dir, true, &r, &err), IL_E_BUSY);
    il_rundir_close(&lock);
    assert_int_equal(run_text(good, "/tmp/no-such-run-here", true, &r, &err), IL_E_NOT_FOUND);
    assert_false(il_path_is_dir("/tmp/no-such-run-here"));
    assert_int_equal(il_rundir_open(dir, true, UINT64_MAX, &lock, &err), IL_E_NO_SPACE);
    check_ok(run_text(good, dir, true, &r, &err), &err);
    assert_int_equal(r.ok, 72);
}

/* Killed twenty times at random moments: what was acknowledged stays, nothing is done twice. */
static void test_kill(void **state)
{
    (void)state;
    unsigned seed = (unsigned)il_clock_ns();
    print_message("seed %u\n", seed);
    char dir[600], journal[700];
    tally t;
    il_error err = {0};
    il_driver_result r;
    new_dir(dir, sizeof dir, "kill");
    (void)snprintf(journal, sizeof journal, "%s/journal.jsonl", dir);
    unsigned lines_before = 0;
    for (int round = 0; round < 20; round++) {
        bool resume = il_path_is_file(journal);
        if (!resume && il_path_is_dir(dir)) {
            char command[700]; /* killed between the directory and the journal */
            (void)snprintf(command, sizeof command, "%s/.probe", dir);
            (void)unlink(command);
            assert_int_equal(rmdir(dir), 0);
        }
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(run_text(good, dir, resume, &r, &err) == IL_OK ? 0 : 1);
        }
        (void)usleep((useconds_t)((unsigned)rand_r(&seed) % 30000));
        (void)kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
        }
        if (il_path_is_file(journal)) {
            read_run(dir, &t);
            assert_true(t.n_lines >= lines_before);
            lines_before = t.n_lines;
            for (unsigned i = 0; i < 72; i++) {
                assert_true(t.calls[i] <= 1);
            }
        }
    }
    check_ok(run_text(good, dir, il_path_is_file(journal), &r, &err), &err);
    assert_int_equal(r.ok, 72);
    read_run(dir, &t);
    check_complete(&t);
}

/* A file-size limit stands for a disk that fills up mid-run. */
static void test_full_disk(void **state)
{
    (void)state;
    char dir[600];
    tally t;
    il_error err = {0};
    il_driver_result r;
    new_dir(dir, sizeof dir, "full");
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 16384;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    int rc = run_text(good, dir, false, &r, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_not_equal(rc, IL_OK);
    assert_non_null(strstr(err.hint, "--resume"));
    read_run(dir, &t);
    assert_true(t.n_lines > 3);
    check_ok(run_text(good, dir, true, &r, &err), &err);
    read_run(dir, &t);
    check_complete(&t);
}

static void test_time_budget(void **state)
{
    (void)state;
    static const char text[] = "gen_tokens: 1\nrepetitions: 2\nwarmup_repetitions: 1\n"
                               "schedule: {blocks: 4, time_budget_s: 1, sentinel: false}\n"
                               "scenarios: [{name: a, prompt_tokens: 2}]\n"
                               "backends: [{name: x, kind: noop}]\nmodels: [{name: m1}]\n";
    char dir[600];
    il_error err = {0};
    il_driver_result r;
    new_dir(dir, sizeof dir, "budget");
    check_ok(run_text(text, dir, false, &r, &err), &err);
    assert_false(r.out_of_time);
    assert_int_equal(r.ok, 12);
}

/* Calls of 20 ms in one second: some are made, the others are not_run, and none is lost. */
static void test_time_budget_expires(void **state)
{
    (void)state;
    static const char text[] = "gen_tokens: 1\nrepetitions: 10\nwarmup_repetitions: 1\n"
                               "schedule: {blocks: 10, time_budget_s: 1, sentinel: false, "
                               "aa: false}\n"
                               "scenarios: [{name: a, prompt_tokens: 2}]\n"
                               "backends: [{name: x, kind: noop}]\nmodels: [{name: m1}]\n";
    char dir[600], manifest[700];
    il_error err = {0};
    il_driver_result r;
    new_dir(dir, sizeof dir, "expires");
    fake.call_ms = 20;
    check_ok(run_text(text, dir, false, &r, &err), &err);
    assert_true(r.out_of_time);
    assert_false(r.interrupted);
    assert_in_range(r.ok, 1, 55);
    assert_int_equal(r.ok + r.not_run, 110);
    assert_true(r.elapsed_s < 2.5);
    (void)snprintf(manifest, sizeof manifest, "%s/manifest.json", dir);
    json_t *m = json_load_file(manifest, 0, NULL);
    const json_t *results = json_object_get(m, "results");
    assert_int_equal(json_integer_value(json_object_get(results, "not_run")), 3 * r.not_run);
    assert_int_equal(json_integer_value(json_object_get(m, "records_expected")), 330);
    json_decref(m);
    /* A resume has a budget of its own and goes on with the rest. */
    fake.call_ms = 0;
    check_ok(run_text(text, dir, true, &r, &err), &err);
    assert_false(r.out_of_time);
    assert_int_equal(r.ok, 110);
}

/* --- a plan that grows ------------------------------------------------------------------------ */

static const char growing[] = "run_name: t\n"
                              "gen_tokens: 3\nrepetitions: 2\nwarmup_repetitions: 1\n"
                              "schedule: {blocks: 8, blocks_least: 3, target_ci: 0.02, "
                              "sentinel: false}\n"
                              "scenarios: [{name: a, prompt_tokens: 2}]\n"
                              "backends: [{name: x, kind: noop}]\n"
                              "models: [{name: m1}, {name: m2}, {name: m3}]\n";

/* Blocks 3 and 4 go to models 1 and 3, block 5 to model 2. */
static scripted script(void)
{
    return (scripted){
        .base = {&scripted_ops}, .wish = {[3] = 5, [4] = 5, [5] = 2}, .last = IL_SAMPLER_TARGET};
}

/* 3 cells × 3 blocks, then 2 + 2 + 1 of them; 3 calls each. */
static void check_grown(const char *dir)
{
    static const unsigned blocks[3] = {0x1f, 0x27, 0x1f}; /* bit b: the cell has block b */
    tally t;
    read_run(dir, &t);
    for (unsigned cell = 0; cell < 3; cell++) {
        for (unsigned block = 0; block < 8; block++) {
            for (unsigned i = 0; i < 3; i++) {
                unsigned idx = cell * 24 + block * 3 + i;
                assert_int_equal(t.calls[idx], (blocks[cell] >> block) & 1);
                assert_int_equal(t.failures[idx], 0);
            }
        }
    }
    assert_int_equal(t.closures, 14);
}

typedef struct last_plan {
    json_t *sampling;
    int64_t expected;
    unsigned n;
} last_plan;

static int keep_plan(json_t *line, uint64_t number, void *user, il_error *err)
{
    last_plan *p = user;
    (void)number;
    (void)err;
    if (strcmp(json_string_value(json_object_get(line, "kind")), "plan") == 0) {
        json_decref(p->sampling);
        p->sampling = json_incref(json_object_get(line, "sampling"));
        p->expected = json_integer_value(json_object_get(line, "records_expected"));
        p->n++;
    }
    return IL_OK;
}

static last_plan plan_of(const char *dir)
{
    char path[700];
    il_error err = {0};
    last_plan p = {0};
    (void)snprintf(path, sizeof path, "%s/journal.jsonl", dir);
    check_ok(il_journal_read(path, keep_plan, &p, NULL, &err), &err);
    return p;
}

static void test_grows(void **state)
{
    (void)state;
    char dir[600];
    il_error err = {0};
    il_driver_result r;
    new_dir(dir, sizeof dir, "grows");
    scripted s = script();
    check_ok(run_sampled(growing, dir, false, &s, &r, &err), &err);
    assert_int_equal(r.ok, 42);
    assert_int_equal(r.not_run, 0);
    assert_int_equal(r.stop, IL_SAMPLER_TARGET);
    assert_int_equal(r.blocks, 6);
    assert_int_equal(s.n_asked, 4);
    assert_int_equal(s.n_observed, 28); /* measured calls alone */
    check_near(s.seen[1][5], 0.002, 1e-9);
    check_grown(dir);
    last_plan p = plan_of(dir);
    assert_int_equal(p.n, 5); /* the first, three extensions, the end */
    assert_int_equal(p.expected, 126);
    assert_string_equal(json_string_value(json_object_get(p.sampling, "stop")), "target");
    assert_int_equal(json_array_size(json_object_get(p.sampling, "extensions")), 3);
    json_decref(p.sampling);
    /* A resume of a finished run decides the same and writes nothing. */
    scripted again = script();
    check_ok(run_sampled(growing, dir, true, &again, &r, &err), &err);
    assert_int_equal(fake.n_calls, 0);
    assert_int_equal(again.n_observed, 28);
    assert_memory_equal(again.seen, s.seen, sizeof s.seen);
    p = plan_of(dir);
    assert_int_equal(p.n, 5);
    json_decref(p.sampling);
}

/* Stopped anywhere, also in the middle of an extension: planned calls are done or not_run, and a
 * resume ends where the undisturbed run does. */
static void test_grows_resumed(void **state)
{
    (void)state;
    for (unsigned stop = 5; stop < 110; stop += 13) {
        char dir[600];
        il_error err = {0};
        il_driver_result r;
        new_dir(dir, sizeof dir, "grows-stop");
        fake.stop_after = stop;
        scripted s = script();
        check_ok(run_sampled(growing, dir, false, &s, &r, &err), &err);
        last_plan p = plan_of(dir);
        assert_int_equal(3 * (r.ok + r.not_run), p.expected);
        json_decref(p.sampling);
        s = script();
        check_ok(run_sampled(growing, dir, true, &s, &r, &err), &err);
        assert_int_equal(r.ok, 42);
        assert_int_equal(s.n_observed, 28);
        check_grown(dir);
    }
}

/* The budget ends an extension: its rest is not_run, and the plan line says why. */
static void test_grows_out_of_time(void **state)
{
    (void)state;
    static const char text[] = "run_name: t\n"
                               "gen_tokens: 3\nrepetitions: 2\nwarmup_repetitions: 1\n"
                               "schedule: {blocks: 12, blocks_least: 2, target_ci: 0.02, "
                               "time_budget_s: 1, sentinel: false, aa: false}\n"
                               "scenarios: [{name: a, prompt_tokens: 2}]\n"
                               "backends: [{name: x, kind: noop}]\nmodels: [{name: m1}]\n";
    char dir[600];
    il_error err = {0};
    il_driver_result r;
    new_dir(dir, sizeof dir, "grows-time");
    fake.call_ms = 40;
    scripted s = {.base = {&scripted_ops}, .last = IL_SAMPLER_NOISE};
    for (unsigned b = 2; b < 12; b++) {
        s.wish[b] = 1;
    }
    check_ok(run_sampled(text, dir, false, &s, &r, &err), &err);
    fake.call_ms = 0;
    assert_true(r.out_of_time);
    assert_int_equal(r.stop, IL_SAMPLER_BUDGET);
    assert_in_range(r.blocks, 3, 11);
    assert_int_equal(r.ok + r.not_run, 3 * r.blocks);
    last_plan p = plan_of(dir);
    assert_string_equal(json_string_value(json_object_get(p.sampling, "stop")), "budget");
    assert_int_equal(p.expected, 9 * r.blocks);
    json_decref(p.sampling);
    assert_int_equal(run_text(text, dir, true, &r, &err), IL_E_INTERNAL); /* no sampler */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_failures_are_rows),
        cmocka_unit_test(test_stop_and_resume),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_time_budget),
        cmocka_unit_test(test_time_budget_expires),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_grows_resumed),
        cmocka_unit_test(test_grows_out_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
