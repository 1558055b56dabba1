/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Cold starts by the driver, on a runtime whose stages take known times and a page cache that is a
 * fixture: every sample once, its stages as they were, in processes that no timed call shares; a
 * sample that was not cold is flagged; a resume goes on at the missing ones.
 */
#include "check.h"

#include "backend/backend.h"
#include "base/file.h"
#include "os/clock.h"
#include "os/page_cache.h"
#include "study/driver.h"
#include "study/journal.h"

enum { SAMPLES = 6, MODELS = 2, OPEN_NS = 2000000, CONVERT_NS = 5000000, SPAWN_NS = 3000000 };

static struct {
    const char *loaded;
    unsigned n_loads, n_calls, calls_of_load;
    unsigned stop_after, fail_load; /* the load of that number fails, 0 = none */
    unsigned sticky;                /* every so many drops leave a tenth of the bytes, 0 = none */
    unsigned n_drops, n_fills;
    uint64_t resident;
} fake;
static volatile sig_atomic_t stop_flag;

/* --- the page cache ----------------------------------------------------------------------------
 */

static int fixture_resident(const il_page_files *files, uint64_t *bytes, il_error *err)
{
    (void)err;
    assert_true(files->n > 0);
    *bytes = fake.resident;
    return IL_OK;
}

static int fixture_drop(const il_page_files *files, il_error *err)
{
    (void)err;
    assert_null(fake.loaded); /* a process that maps the files would keep them */
    fake.n_drops++;
    fake.resident = fake.sticky && fake.n_drops % fake.sticky == 0 ? files->bytes / 10 : 0;
    return IL_OK;
}

static int fixture_fill(const il_page_files *files, il_error *err)
{
    (void)err;
    fake.n_fills++;
    fake.resident = files->bytes;
    return IL_OK;
}

static const il_page_cache_ops fixture = {fixture_resident, fixture_drop, fixture_fill};

/* --- the runtime -------------------------------------------------------------------------------
 */

static int fake_open(const il_param_set *entry, il_backend **out, il_error *err);

static int fake_supports(il_backend *b, const il_backend_model *model, il_error *err)
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
    assert_null(fake.loaded);
    if (++fake.n_loads == fake.fail_load) {
        return il_fail(err, IL_E_NOMEM, "no memory for the weights");
    }
    fake.loaded = model->name;
    fake.calls_of_load = 0;
    fake.resident = 1 << 20;
    int64_t spawn = il_clock_ns() - SPAWN_NS - OPEN_NS - CONVERT_NS;
    int64_t t0 = spawn + SPAWN_NS;
    *out = (il_load_result){.t_spawn_ns = spawn,
                            .t_hello_ns = t0,
                            .t0_ns = t0,
                            .t1_ns = t0 + OPEN_NS + CONVERT_NS,
                            .replication = "process"};
    out->stages = json_pack(
        "[{s:s,s:I,s:I,s:n},{s:s,s:I,s:I,s:i},{s:s,s:I,s:I,s:i}]", "name", "spawn", "t0_ns",
        (json_int_t)spawn, "t1_ns", (json_int_t)t0, "major_faults", "name", "open", "t0_ns",
        (json_int_t)t0, "t1_ns", (json_int_t)(t0 + OPEN_NS), "major_faults", 3, "name", "convert",
        "t0_ns", (json_int_t)(t0 + OPEN_NS), "t1_ns", (json_int_t)out->t1_ns, "major_faults", 4);
    return IL_OK;
}

static int fake_prepare(il_backend *b, const il_call_request *request, il_error *err)
{
    (void)b;
    (void)request;
    (void)err;
    assert_non_null(fake.loaded);
    return IL_OK;
}

/* The first call of a process takes 9 ms more than the others. */
static int fake_call(il_backend *b, const il_call_request *request, il_call_result *r,
                     il_error *err)
{
    (void)b;
    (void)err;
    assert_non_null(fake.loaded);
    fake.n_calls++;
    stop_flag = fake.stop_after > 0 && fake.n_calls >= fake.stop_after;
    r->t0_ns = il_clock_ns();
    r->t_first_ns = r->t0_ns + (fake.calls_of_load++ == 0 ? 10000000 : 1000000);
    for (uint32_t i = 0; request->split && i < request->gen_tokens; i++) {
        r->t_step_ns[i] = r->t_first_ns + (i + 1) * 500000;
    }
    r->t_end_ns = r->t_first_ns + 500000 * request->gen_tokens;
    r->n_steps = request->gen_tokens;
    r->n_stamps = request->split ? request->gen_tokens : 0;
    r->prompt_tok = request->n_ids;
    r->major_faults = 7;
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

static char models[MODELS][600];

static const char config[] = "{\"model_type\":\"gpt2\",\"n_layer\":1,\"n_embd\":8,\"n_head\":1,"
                             "\"vocab_size\":64,\"n_positions\":32}";

static void make_models(void)
{
    il_error err = {0};
    char root[512] = "", path[1300];
    (void)snprintf(root, sizeof root, "%s", check_scratch_dir("cold-models"));
    for (int i = 0; i < MODELS; i++) {
        (void)snprintf(models[i], sizeof models[i], "%s/m%d", root, i);
        check_ok(il_dir_make(models[i], &err), &err);
        (void)snprintf(path, sizeof path, "%s/model.safetensors", models[i]);
        check_ok(il_file_write_atomic(path, root, 64, &err), &err);
        (void)snprintf(path, sizeof path, "%s/config.json", models[i]);
        check_ok(il_file_write_atomic(path, config, sizeof config - 1, &err), &err);
    }
}

static const char head[] =
    "run_name: t\ngen_tokens: 4\nrepetitions: 1\nwarmup_repetitions: 1\n"
    "schedule: {blocks: 3, sentinel: false, aa: false, closure: false}\n"
    "scenarios: [{name: a, prompt_tokens: 2}]\nbackends: [{name: x, kind: noop}]\n";

static void run(const char *cold, const char *dir, bool resume, il_driver_result *result)
{
    il_study study;
    il_plan plan = {0};
    char text[3000];
    il_error err = {0};
    (void)snprintf(text, sizeof text,
                   "%scold_start: %s\nmodels: [{name: %s, kind: hf}, {name: %s, kind: hf}]\n", head,
                   cold, models[0], models[1]);
    stop_flag = 0;
    fake.n_loads = fake.n_calls = fake.n_drops = fake.n_fills = 0;
    check_ok(il_study_parse(text, strlen(text), "test", NULL, &study, &err), &err);
    assert_int_equal(study.n_notes, 0); /* acted on */
    check_ok(il_plan_make(&study, lookup, &plan, &err), &err);
    il_driver_options options = {.dir = dir, .resume = resume, .stop = &stop_flag};
    check_ok(il_driver_run(&plan, &options, result, &err), &err);
    il_plan_free(&plan);
    il_study_free(&study);
    fake.stop_after = fake.fail_load = 0;
}

typedef struct seen {
    unsigned ok[MODELS][2][SAMPLES], flagged, failed, ordinary, calls;
    unsigned blocks[3];
    json_t *one; /* a whole line */
} seen;

static int take(json_t *line, uint64_t number, void *user, il_error *err)
{
    (void)number;
    (void)err;
    seen *s = user;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const char *status = json_string_value(json_object_get(line, "status"));
    s->calls += strcmp(kind, "call") == 0;
    if (strcmp(kind, "cold") != 0) {
        return IL_OK;
    }
    if (!json_object_get(line, "sample")) {
        s->ordinary++;
        assert_true(json_is_null(json_object_get(line, "page_cache")));
        return IL_OK;
    }
    const char *state = json_string_value(json_object_get(line, "page_cache"));
    const char *model = json_string_value(json_object_get(line, "model"));
    int64_t sample = json_integer_value(json_object_get(line, "sample"));
    assert_in_range(sample, 0, SAMPLES - 1);
    s->flagged += strcmp(status, "flagged") == 0;
    s->failed += strcmp(status, "error") == 0;
    s->blocks[json_integer_value(json_object_get(line, "block"))]++;
    if (strcmp(status, "error") != 0) {
        s->ok[strcmp(model, models[1]) == 0][state[0] == 'w'][sample]++;
    }
    if (strcmp(status, "ok") == 0 && !s->one) {
        s->one = json_incref(line);
    }
    return IL_OK;
}

static void look(const char *dir, seen *out)
{
    char path[700];
    il_error err = {0};
    *out = (seen){0};
    (void)snprintf(path, sizeof path, "%s/journal.jsonl", dir);
    check_ok(il_journal_read(path, take, out, NULL, &err), &err);
}

static void check_all_once(const seen *s)
{
    for (int m = 0; m < MODELS; m++) {
        for (int w = 0; w < 2; w++) {
            for (int i = 0; i < SAMPLES; i++) {
                assert_int_equal(s->ok[m][w][i], 1);
            }
        }
    }
}

static json_int_t at(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static void test_samples(void **state)
{
    (void)state;
    char dir[600];
    seen s;
    il_driver_result r;
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("cold"));
    run("{samples: 6}", dir, false, &r);
    look(dir, &s);
    check_all_once(&s);
    assert_int_equal(s.flagged + s.failed, 0);
    /* Two models, two states, two of the six samples in each of three blocks. */
    assert_int_equal(s.blocks[0], 8);
    assert_int_equal(s.blocks[1], 8);
    assert_int_equal(s.blocks[2], 8);
    /* Timed calls: two models, three blocks, a warm-up and a call, each model load its own. */
    assert_int_equal(s.ordinary, 6);
    assert_int_equal(s.calls, 12);
    assert_int_equal(r.ok, 12);
    assert_int_equal(fake.n_loads, 6 + 24);
    assert_int_equal(fake.n_calls, 12 + 24 * 6);
    assert_int_equal(fake.n_drops, 12);
    assert_int_equal(fake.n_fills, 12);
    /* One line, stage by stage. */
    const json_t *stages = json_object_get(s.one, "stages");
    const json_t *open = json_array_get(stages, 1), *convert = json_array_get(stages, 2);
    assert_int_equal(json_array_size(stages), 3);
    assert_int_equal(at(open, "t1_ns") - at(open, "t0_ns"), OPEN_NS);
    assert_int_equal(at(convert, "t1_ns") - at(convert, "t0_ns"), CONVERT_NS);
    assert_int_equal(at(convert, "major_faults"), 4);
    const json_t *calls = json_object_get(s.one, "calls"), *first = json_array_get(calls, 0);
    assert_int_equal(json_array_size(calls), 6);
    assert_int_equal(at(first, "t_first_ns") - at(first, "t0_ns"), 10000000);
    assert_int_equal(at(first, "t_step1_ns") - at(first, "t_first_ns"), 500000);
    assert_int_equal(at(first, "t_end_ns") - at(first, "t_first_ns"), 4 * 500000);
    assert_int_equal(at(first, "major_faults"), 7);
    const json_t *last = json_array_get(calls, 5);
    assert_int_equal(at(last, "t_end_ns") - at(last, "t0_ns"), 3000000);
    assert_int_equal(at(s.one, "file_bytes"), 64 + sizeof config - 1);
    assert_true(at(s.one, "prepare_t0_ns") >= at(s.one, "t1_ns"));
    assert_string_equal(json_string_value(json_object_get(s.one, "renewed")), "process");
    json_decref(s.one);
    /* Nothing is left to do. */
    run("{samples: 6}", dir, true, &r);
    assert_int_equal(fake.n_loads, 0);
}

static void test_one_state(void **state)
{
    (void)state;
    char dir[600];
    il_driver_result r;
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("cold"));
    run("{samples: 7, page_cache: [warm], calls: 2}", dir, false, &r);
    assert_int_equal(fake.n_drops, 0);
    assert_int_equal(fake.n_fills, 14);
    assert_int_equal(fake.n_calls, 12 + 14 * 2);
}

static void test_not_cold(void **state)
{
    (void)state;
    char dir[600];
    seen s;
    il_driver_result r;
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("cold"));
    fake.sticky = 4;
    run("{samples: 6}", dir, false, &r);
    fake.sticky = 0;
    look(dir, &s);
    check_all_once(&s);
    assert_int_equal(s.flagged, 12 / 4);
    json_decref(s.one);
}

/* A start that fails is a line and is tried again by a resume; the run goes on. */
static void test_failed_start(void **state)
{
    (void)state;
    char dir[600];
    seen s;
    il_driver_result r;
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("cold"));
    fake.fail_load = 5; /* of the first block: two groups, then the starts */
    run("{samples: 6}", dir, false, &r);
    assert_int_equal(r.ok, 12);
    look(dir, &s);
    assert_int_equal(s.failed, 1);
    json_decref(s.one);
    run("{samples: 6}", dir, true, &r);
    assert_int_equal(fake.n_loads, 1);
    look(dir, &s);
    check_all_once(&s);
    json_decref(s.one);
}

static void test_stop_and_resume(void **state)
{
    (void)state;
    for (unsigned stop = 3; stop < 150; stop += 29) {
        char dir[600];
        seen s;
        il_driver_result r;
        (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("cold"));
        fake.stop_after = stop;
        run("{samples: 6}", dir, false, &r);
        assert_true(r.interrupted);
        run("{samples: 6}", dir, true, &r);
        look(dir, &s);
        check_all_once(&s);
        assert_int_equal(s.failed, 0);
        assert_int_equal(r.ok, 12);
        json_decref(s.one);
    }
}

static int setup(void **state)
{
    (void)state;
    make_models();
    il_page_cache_use(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    il_page_cache_use(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),         cmocka_unit_test(test_one_state),
        cmocka_unit_test(test_not_cold),        cmocka_unit_test(test_failed_start),
        cmocka_unit_test(test_stop_and_resume),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
