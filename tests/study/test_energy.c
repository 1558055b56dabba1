/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Joules per token end to end: a machine of 10 W that takes 40 W while a call runs, told through a
 * tree that stands in for /sys; the driver's windows, the journal, and what the analysis makes of
 * them. And a machine without meters, which gives a sentence and no number.
 */
#include "analysis/table.h"

#include "analysis/analysis.h"
#include "backend/backend.h"
#include "base/file.h"
#include "os/clock.h"
#include "study/driver.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { PREFILL_MS = 6, STEP_MS = 2, STEPS = 5, PROMPT = 3 };
static const double idle_w = 10, busy_w = 40;

/* --- the machine -------------------------------------------------------------------------------
 */

static struct {
    pthread_mutex_t lock;
    atomic_bool leave, busy;
    double uj;
    int64_t at_ns;
    int fd;
    double ms[2]; /* of all calls with one step, and with all */
    unsigned n[2];
    bool loaded;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The counter up to now; it stands still where the power changes, so that no joule is lost. */
static void tick(bool busy)
{
    char text[40];
    (void)pthread_mutex_lock(&world.lock);
    int64_t now = il_clock_ns();
    world.uj += (world.busy ? busy_w : idle_w) * (double)(now - world.at_ns) * 1e-3;
    world.at_ns = now;
    world.busy = busy;
    (void)snprintf(text, sizeof text, "%020llu\n", (unsigned long long)world.uj);
    assert_int_equal(pwrite(world.fd, text, 21, 0), 21);
    (void)pthread_mutex_unlock(&world.lock);
}

static void *run_world(void *unused)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!world.leave) {
        tick(world.busy);
        (void)nanosleep(&pause, NULL);
    }
    return unused;
}

/* --- the runtime -------------------------------------------------------------------------------
 */

static int fake_open(const il_param_set *entry, il_backend **out, il_error *err);

static int fake_yes(il_backend *b, const il_backend_model *model, il_error *err)
{
    (void)b;
    (void)model;
    (void)err;
    return IL_OK;
}

static int fake_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                     il_error *err)
{
    (void)b;
    (void)model;
    (void)err;
    world.loaded = true;
    *out = (il_load_result){.t0_ns = il_clock_ns()};
    out->t1_ns = il_clock_ns();
    return IL_OK;
}

static int fake_prepare(il_backend *b, const il_call_request *request, il_error *err)
{
    (void)b;
    (void)request;
    (void)err;
    return IL_OK;
}

static int fake_call(il_backend *b, const il_call_request *request, il_call_result *r,
                     il_error *err)
{
    (void)b;
    (void)err;
    const struct timespec pause = {.tv_nsec = 1000000L *
                                              (PREFILL_MS + STEP_MS * (long)request->gen_tokens)};
    tick(true);
    r->t0_ns = il_clock_ns();
    (void)nanosleep(&pause, NULL);
    r->t_first_ns = r->t_end_ns = il_clock_ns();
    tick(false);
    for (uint32_t i = 0; i < request->gen_tokens; i++) {
        r->t_step_ns[i] = r->t_end_ns;
    }
    int many = request->gen_tokens > 1;
    world.ms[many] += (double)(r->t_end_ns - r->t0_ns) * 1e-6;
    world.n[many]++;
    r->n_steps = r->n_stamps = request->gen_tokens;
    (void)snprintf(r->status, sizeof r->status, "ok");
    return IL_OK;
}

static int fake_unload(il_backend *b, il_error *err)
{
    (void)b;
    (void)err;
    world.loaded = false;
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
    .caps = IL_CAP_STEP_TIMES | IL_CAP_TOKEN_IDS | IL_CAP_PROCESS,
    .open = fake_open,
    .supports = fake_yes,
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
    (void)err;
    *out = malloc(sizeof **out);
    assert_non_null(*out);
    (*out)->ops = &fake_ops;
    return IL_OK;
}

static const il_backend_ops *lookup(const char *kind)
{
    return strcmp(kind, "noop") == 0 ? &fake_ops : NULL;
}

/* --- running -----------------------------------------------------------------------------------
 */

static const char study_text[] =
    "run_name: t\ngen_tokens: 5\nrepetitions: 1\nwarmup_repetitions: 0\n"
    "energy: {samples: 6, window_s: 0.06, idle_s: 0.05}\n"
    "scenarios: [{name: a, prompt_tokens: 3}]\nbackends: [{name: x, kind: noop}]\n"
    "models: [{name: m1}]\n";

static void run(const char *dir, const char *root, bool resume)
{
    const char *argv[] = {IL_TEST_TELEMETRY, "--root", root, "--nvml", "/nowhere", NULL};
    il_study study;
    il_plan plan = {0};
    il_error err = {0};
    il_driver_result result;
    check_ok(il_study_parse(study_text, sizeof study_text - 1, "test", NULL, &study, &err), &err);
    check_ok(il_plan_make(&study, lookup, &plan, &err), &err);
    il_driver_options options = {.dir = dir, .telemetry = argv, .resume = resume};
    check_ok(il_driver_run(&plan, &options, &result, &err), &err);
    il_plan_free(&plan);
    il_study_free(&study);
    const il_analysis_options how = {.n_resamples = 10, .seed = 1};
    il_analysis_summary summary;
    check_ok(il_analysis_run(dir, &how, &summary, &err), &err);
}

static size_t row_of(const table *t, const char *what, const char *basis)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(table_at(t, i, "what"), what) == 0 &&
            strcmp(table_at(t, i, "basis"), basis) == 0) {
            return i;
        }
    }
    fail_msg("no row %s %s", what, basis);
    return SIZE_MAX;
}

static double value(const table *t, const char *what, const char *basis)
{
    return atof(table_at(t, row_of(t, what, basis), "estimate"));
}

static void joules_come_back(void **state)
{
    (void)state;
    char dir[600], zone[1200], path[1100];
    table t;
    il_error err = {0};
    pthread_t thread;
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("energy"));
    (void)snprintf(zone, sizeof zone, "%s/root/sys/class/powercap/intel-rapl:0", dir);
    check_ok(il_dir_make(zone, &err), &err);
    (void)snprintf(path, sizeof path, "%.900s/name", zone);
    check_ok(il_file_write_atomic(path, "package-0\n", 10, &err), &err);
    (void)snprintf(path, sizeof path, "%.900s/energy_uj", zone);
    world.fd = open(path, O_CREAT | O_RDWR, 0600);
    assert_true(world.fd >= 0);
    world.at_ns = il_clock_ns();
    assert_int_equal(pthread_create(&thread, NULL, run_world, NULL), 0);
    (void)snprintf(zone, sizeof zone, "%s/root", dir);
    (void)snprintf(path, sizeof path, "%s/run", dir);
    run(path, zone, false);
    unsigned n = world.n[0];
    assert_true(n > 6 * 4);
    run(path, zone, true); /* nothing is left to do */
    assert_int_equal(world.n[0], n);
    world.leave = true;
    (void)pthread_join(thread, NULL);
    (void)close(world.fd);
    (void)snprintf(zone, sizeof zone, "%s/analysis/energy.csv", path);
    table_load(zone, &t);
    double few_ms = world.ms[0] / world.n[0], many_ms = world.ms[1] / world.n[1];
    double step_ms = (many_ms - few_ms) / (STEPS - 1), prefill_ms = few_ms - step_ms;
    check_near(value(&t, "idle", "gross"), idle_w, 0.1);
    check_near(value(&t, "decode", "gross"), busy_w * step_ms * 1e-3, 0.2);
    check_near(value(&t, "decode", "above_idle"), (busy_w - idle_w) * step_ms * 1e-3, 0.2);
    check_near(value(&t, "prefill", "above_idle"), (busy_w - idle_w) * prefill_ms * 1e-3 / PROMPT,
               0.3);
    assert_true(value(&t, "prefill", "gross") > value(&t, "prefill", "above_idle"));
    size_t row = row_of(&t, "decode", "gross");
    assert_string_equal(table_at(&t, row, "meter"), "rapl:package-0");
    assert_string_equal(table_at(&t, row, "unit"), "J/token");
    assert_string_equal(table_at(&t, row, "n"), "6");
    assert_true(atof(table_at(&t, row, "ci_low")) <= value(&t, "decode", "gross"));
    assert_true(atof(table_at(&t, row, "ci_high")) >= value(&t, "decode", "gross"));
    table_free(&t);
}

static void no_meter_is_a_sentence(void **state)
{
    (void)state;
    char dir[600], path[900];
    table t;
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("energy"));
    (void)snprintf(path, sizeof path, "%s/run", dir);
    world.fd = open("/dev/null", O_RDWR);
    run(path, dir, false);
    run(path, dir, true);
    (void)snprintf(path, sizeof path, "%s/run/analysis/energy.csv", dir);
    table_load(path, &t);
    assert_int_equal(t.n_rows, 1);
    assert_string_equal(table_at(&t, 0, "what"), "not_readable");
    assert_string_equal(table_at(&t, 0, "estimate"), "");
    assert_non_null(strstr(table_at(&t, 0, "note"), "there is no /sys/class/powercap"));
    table_free(&t);
    (void)close(world.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joules_come_back),
        cmocka_unit_test(no_meter_is_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
