/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The parity gate: a planted wrong weight is caught on every kind of backend that can be checked (a
 * worker with logits, our own engine, a server with log-probabilities), and rounding is not.
 */
#include "check.h"

#include "backend/backend.h"
#include "base/file.h"
#include "inferlaw/engine.h"
#include "model/make.h"
#include "os/clock.h"
#include "study/driver.h"
#include "study/journal.h"
#include "study/parity.h"

#include <fcntl.h>
#include <unistd.h>

enum { VOCAB = 97 };

static char model_dir[600], wrong_dir[600];

/* --- a model, and the same with one weight changed -------------------------------------------- */

static void run_shell(const char *command)
{
    if (system(command) != 0) {
        fail_msg("%s", command);
    }
}

static void make_models(void)
{
    char scratch[512], command[1400];
    il_shape shape;
    il_error err = {0};
    (void)snprintf(scratch, sizeof scratch, "%s", check_scratch_dir("parity"));
    check_ok(il_shape_from_flags("family=llama,n_layer=3,d_model=32,n_head=4,n_kv_head=2,d_ff=64,"
                                 "vocab_size=97,n_positions=64",
                                 &shape, &err),
             &err);
    (void)snprintf(model_dir, sizeof model_dir, "%s/right", scratch);
    (void)snprintf(wrong_dir, sizeof wrong_dir, "%s/wrong", scratch);
    il_make_options options = {.seed = 42, .dtype = IL_DTYPE_F32, .n_threads = 1};
    check_ok(il_model_make(&shape, model_dir, &options, NULL, &err), &err);
    (void)snprintf(command, sizeof command, "cp -r %s %s", model_dir, wrong_dir);
    run_shell(command);
    (void)snprintf(command, sizeof command, "%s/cache", scratch);
    assert_int_equal(setenv("INFERLAW_MODELS", command, 1), 0);
}

/* Multiplies one number of a tensor in wrong_dir by 1 + change, from its value in model_dir. */
static void plant(const char *tensor, uint64_t index, double change)
{
    char from[700], to[700];
    uint64_t head_bytes = 0;
    float value;
    (void)snprintf(from, sizeof from, "%s/model.safetensors", model_dir);
    (void)snprintf(to, sizeof to, "%s/model.safetensors", wrong_dir);
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CLOEXEC);
    assert_true(in >= 0 && out >= 0);
    assert_int_equal(pread(in, &head_bytes, 8, 0), 8);
    char *head = calloc(head_bytes + 1, 1);
    assert_int_equal(pread(in, head, head_bytes, 8), (ssize_t)head_bytes);
    json_t *root = json_loads(head, 0, NULL);
    const json_t *offsets = json_object_get(json_object_get(root, tensor), "data_offsets");
    assert_non_null(offsets);
    off_t at = (off_t)(8 + head_bytes + index * sizeof value) +
               (off_t)json_integer_value(json_array_get(offsets, 0));
    assert_int_equal(pread(in, &value, sizeof value, at), sizeof value);
    value = (float)((double)value * (1 + change));
    assert_int_equal(pwrite(out, &value, sizeof value, at), sizeof value);
    json_decref(root);
    free(head);
    (void)close(in);
    (void)close(out);
}

/* --- doubles: the native worker under other names ----------------------------------------------
 */

static struct {
    bool twin;         /* a twin was loaded last */
    const char *dir;   /* what a double loads in place of the model */
    unsigned n_probes; /* answers given */
    unsigned n_crowds; /* runs of calls at once */
    bool nonfinite;    /* one logit of the answer is */
    bool no_steps;     /* decode gives other tokens than prefill implies */
} fake;

static il_backend_ops as_hf, as_native, as_server, as_mute;

static int open_as(const il_backend_ops *ops, const il_param_set *entry, il_backend **out,
                   il_error *err)
{
    int rc = il_backend_find("native")->open(entry, out, err);
    if (rc == IL_OK) {
        (*out)->ops = ops;
    }
    return rc;
}

static int open_hf(const il_param_set *entry, il_backend **out, il_error *err)
{
    return open_as(&as_hf, entry, out, err);
}

static int open_native(const il_param_set *entry, il_backend **out, il_error *err)
{
    return open_as(&as_native, entry, out, err);
}

static int open_server(const il_param_set *entry, il_backend **out, il_error *err)
{
    return open_as(&as_server, entry, out, err);
}

static int open_mute(const il_param_set *entry, il_backend **out, il_error *err)
{
    return open_as(&as_mute, entry, out, err);
}

static int load_other(il_backend *b, const il_backend_model *model, il_load_result *out,
                      il_error *err)
{
    il_backend_model other = *model;
    other.path = fake.dir ? fake.dir : model->path;
    other.file = NULL; /* the double reads what the reference reads */
    fake.twin = strstr(other.path, "first2") != NULL;
    return il_backend_find("native")->load(b, &other, out, err);
}

static int logits_other(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *path,
                        il_error *err)
{
    fake.n_probes++;
    int rc = il_backend_find("native")->logits(b, ids, n_ids, path, err);
    if (rc == IL_OK && fake.nonfinite) {
        const float bad = NAN;
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, &bad, sizeof bad, 40), sizeof bad);
        (void)close(fd);
    }
    return rc;
}

/* What a broken cache does: the tokens after the first are others. */
static int call_other(il_backend *b, const il_call_request *request, il_call_result *result,
                      il_error *err)
{
    int rc = il_backend_find("native")->call(b, request, result, err);
    for (uint32_t i = 1; result->gen_ids && fake.no_steps && i <= request->gen_tokens; i++) {
        result->gen_ids[i] = (result->gen_ids[i] + 1) % VOCAB;
    }
    return rc;
}

/* A crowd that is served one after the other. */
static int call_each(il_backend *b, const il_call_request *requests, il_call_result *results,
                     uint32_t n, const il_arrivals *arrivals, il_error *err)
{
    (void)arrivals;
    fake.n_crowds++;
    for (uint32_t i = 0; i < n; i++) {
        check_ok(b->ops->call(b, &requests[i], &results[i], err), err);
    }
    return IL_OK;
}

/* Greedy tokens with the five most likely ones at each, in natural logarithms. */
static int server_logprobs(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *prompt,
                           uint32_t n_gen, il_logprob_top *out, il_error *err)
{
    (void)b;
    (void)prompt;
    const il_engine_options options = {.dtype = IL_DTYPE_F32, .n_threads = 1};
    const il_engine_session_options sizes = {.max_batch = 1,
                                             .max_context_tok = n_ids + n_gen,
                                             .max_prompt_tok = n_ids,
                                             .logits = IL_ENGINE_LOGITS_LAST};
    il_engine_model *model = NULL;
    il_engine_session *session = NULL;
    fake.n_probes++;
    check_ok(il_engine_model_open(fake.dir, &options, &model, err), err);
    check_ok(il_engine_session_open(model, &sizes, &session, err), err);
    check_ok(il_engine_prefill(session, ids, &n_ids, 1, err), err);
    for (uint32_t i = 0; i < n_gen; i++) {
        uint32_t n_rows;
        const float *row = il_engine_logits(session, &n_rows);
        double sum = 0;
        bool taken[VOCAB] = {false};
        for (int v = 0; v < VOCAB; v++) {
            sum += exp((double)row[v]);
        }
        out[i] = (il_logprob_top){.n = 5};
        for (uint32_t k = 0; k < 5; k++) {
            int best = -1;
            for (int v = 0; v < VOCAB; v++) {
                best = !taken[v] && (best < 0 || row[v] > row[best]) ? v : best;
            }
            taken[best] = true;
            out[i].ids[k] = k == 3 ? -1 : best; /* one of them is no token of ours */
            out[i].logprobs[k] = (double)row[best] - log(sum);
        }
        out[i].chosen = out[i].ids[0];
        check_ok(il_engine_decode(session, &out[i].chosen, err), err);
    }
    il_engine_session_close(session);
    il_engine_model_close(model);
    return IL_OK;
}

static void make_doubles(void)
{
    as_hf = *il_backend_find("native");
    as_hf.kind = "hf";
    as_hf.caps &= ~IL_CAP_REFERENCE;
    as_hf.open = open_hf;
    as_hf.load = load_other;
    as_hf.logits = logits_other;
    as_hf.call = call_other;
    as_native = as_hf;
    as_native.kind = "native";
    as_native.open = open_native;
    as_server = as_hf;
    as_server.kind = "onnxruntime"; /* a kind that takes ids, so that its cells run here */
    as_server.caps = (as_server.caps & ~IL_CAP_LOGITS) | IL_CAP_LOGPROBS;
    as_server.logits = NULL;
    as_server.logprobs = server_logprobs;
    as_server.open = open_server;
    as_mute = as_server;
    as_mute.caps &= ~IL_CAP_LOGPROBS;
    as_mute.logprobs = NULL;
    as_mute.open = open_mute;
}

static const il_backend_ops *own_reference;
static const il_backend_ops *server_kind = &as_server;

static const il_backend_ops *lookup(const char *kind)
{
    return strcmp(kind, "hf") == 0            ? &as_hf
           : strcmp(kind, "native") == 0      ? &as_native
           : strcmp(kind, "onnxruntime") == 0 ? server_kind
                                              : il_backend_find(kind);
}

/* --- a run and what its journal says -----------------------------------------------------------
 */

typedef struct seen {
    unsigned n_parity, n_ok, n_flagged, n_error, n_not_checked_words, n_parity_reasons;
    char verdict[32], because[400], compared[16], reference[16];
    json_int_t layers;
    double max_rel, tolerance;
    json_int_t top1_checked;
} seen;

static int take(json_t *line, uint64_t number, void *user, il_error *err)
{
    seen *s = user;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const char *status = json_string_value(json_object_get(line, "status"));
    (void)number;
    (void)err;
    if (strcmp(kind, "parity") == 0) {
        const char *because = json_string_value(json_object_get(line, "because"));
        const char *compared = json_string_value(json_object_get(line, "compared"));
        s->n_parity++;
        (void)snprintf(s->verdict, sizeof s->verdict, "%s",
                       json_string_value(json_object_get(line, "verdict")));
        (void)snprintf(s->because, sizeof s->because, "%s", because ? because : "");
        (void)snprintf(s->compared, sizeof s->compared, "%s", compared ? compared : "");
        const char *read = json_string_value(json_object_get(line, "reference"));
        (void)snprintf(s->reference, sizeof s->reference, "%s", read ? read : "");
        s->layers =
            json_integer_value(json_object_get(json_object_get(line, "tolerance"), "layers"));
        s->max_rel = json_number_value(json_object_get(line, "max_rel_error"));
        s->top1_checked = json_integer_value(json_object_get(line, "top1_checked"));
        s->tolerance =
            json_number_value(json_object_get(json_object_get(line, "tolerance"), "value"));
    } else if (strcmp(kind, "call") == 0 || strcmp(kind, "failure") == 0) {
        const char *reason = json_string_value(json_object_get(line, "reason"));
        size_t i;
        const json_t *word;
        assert_int_equal(s->n_parity, 1); /* before any call */
        s->n_ok += strcmp(status, "ok") == 0;
        s->n_flagged += strcmp(status, "flagged") == 0;
        s->n_error += strcmp(status, "error") == 0;
        s->n_parity_reasons += reason && strcmp(reason, "parity") == 0;
        json_array_foreach(json_object_get(line, "flags"), i, word)
        {
            s->n_not_checked_words += strcmp(json_string_value(word), "parity_not_checked") == 0;
        }
        assert_true(kind[0] == 'f' || json_array_size(json_object_get(line, "t_step_ns")) == 3);
    }
    return IL_OK;
}

static void run_kind(const char *kind, const char *more, const char *dir, bool resume, seen *out,
                     il_driver_result *result)
{
    char text[1600], path[800];
    il_error err = {0};
    il_study study;
    il_plan plan = {0};
    (void)snprintf(text, sizeof text,
                   "run_name: t\ngen_tokens: 3\nrepetitions: 2\nwarmup_repetitions: 1\n"
                   "schedule: {blocks: 1%s}\nscenarios: [{name: a, prompt_tokens: 4}]\n"
                   "backends: [{name: x, kind: %s, threads: 1}]\nmodels: [{name: %s}]\n",
                   more, kind, model_dir);
    check_ok(il_study_parse(text, strlen(text), "test", NULL, &study, &err), &err);
    check_ok(il_plan_make(&study, lookup, &plan, &err), &err);
    il_driver_options options = {.dir = dir, .resume = resume, .reference = own_reference};
    check_ok(il_driver_run(&plan, &options, result, &err), &err);
    il_plan_free(&plan);
    il_study_free(&study);
    *out = (seen){0};
    (void)snprintf(path, sizeof path, "%s/journal.jsonl", dir);
    check_ok(il_journal_read(path, take, out, NULL, &err), &err);
}

static void run_fresh(const char *kind, seen *out)
{
    char dir[600];
    il_driver_result result;
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("parity-run"));
    fake.n_probes = 0;
    run_kind(kind, "", dir, false, out, &result);
    assert_int_equal(result.ok + result.flagged, 3);
    assert_int_equal(result.ok, out->n_ok);
    assert_int_equal(result.flagged, out->n_flagged);
}

/* --- tests -------------------------------------------------------------------------------------
 */

static const char *const kinds[] = {"hf", "native", "onnxruntime"};

static void test_right_weights_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        seen s;
        fake.dir = model_dir;
        run_fresh(kinds[i], &s);
        assert_string_equal(s.verdict, "passed");
        assert_int_equal(fake.n_probes, 1);
        assert_int_equal(s.n_ok, 3);
        assert_int_equal(s.n_not_checked_words, 0);
        assert_true(s.max_rel < s.tolerance / 2);
        assert_true(s.top1_checked > 0);
        assert_string_equal(s.compared, i == 2 ? "logprobs" : "logits");
    }
}

/* One weight of a middle matrix, off by 1 %: caught everywhere, and its rows keep their times. */
static void test_wrong_weight_is_caught(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        seen s;
        fake.dir = wrong_dir;
        plant("model.layers.0.mlp.up_proj.weight", 300, 0.01);
        run_fresh(kinds[i], &s);
        assert_string_equal(s.verdict, "failed");
        assert_true(s.max_rel > s.tolerance);
        assert_int_equal(s.n_flagged, 3);
        assert_int_equal(s.n_parity_reasons, 3);
        assert_true(strstr(s.because, "number formats") != NULL);
    }
}

/* Calls that run at once bear the verdict as those that run alone do. */
static void test_crowds_are_flagged_too(void **state)
{
    (void)state;
    seen s;
    fake.dir = wrong_dir;
    plant("model.layers.0.mlp.up_proj.weight", 300, 0.01);
    fake.n_crowds = 0;
    as_server.call_many = call_each;
    run_fresh("onnxruntime, concurrency: 2", &s);
    as_server.call_many = NULL;
    assert_int_equal(fake.n_crowds, 1);
    assert_string_equal(s.verdict, "failed");
    assert_int_equal(s.n_flagged, 3); /* the warm-up went alone */
    assert_int_equal(s.n_parity_reasons, 3);
}

/* How small a change of one weight is still caught; printed, and held under one in two hundred. */
static void test_smallest_caught(void **state)
{
    (void)state;
    fake.dir = wrong_dir;
    for (size_t i = 0; i < 3; i++) {
        double smallest = INFINITY, error = 0, tolerance = 0;
        for (int power = -6; power >= -16; power -= 2) {
            seen s;
            plant("model.layers.0.mlp.up_proj.weight", 300, ldexp(1, power));
            run_fresh(kinds[i], &s);
            if (strcmp(s.verdict, "failed") != 0) {
                break;
            }
            smallest = ldexp(1, power);
            error = s.max_rel;
            tolerance = s.tolerance;
        }
        print_message("%s: one weight off by %.2g is caught (error %.2g, tolerance %.2g)\n",
                      kinds[i], smallest, error, tolerance);
        assert_true(smallest < 5e-3);
    }
}

static void test_wrong_steps_and_nonfinite(void **state)
{
    (void)state;
    seen s;
    fake.dir = model_dir;
    fake.no_steps = true;
    run_fresh("hf", &s);
    fake.no_steps = false;
    assert_string_equal(s.verdict, "failed");
    assert_true(s.max_rel < s.tolerance); /* prefill is right, the cache is not */
    assert_true(strstr(s.because, "other tokens") != NULL);
    fake.nonfinite = true;
    run_fresh("hf", &s);
    fake.nonfinite = false;
    assert_string_equal(s.verdict, "failed");
    assert_true(strstr(s.because, "not finite") != NULL);
}

static void test_not_checkable(void **state)
{
    (void)state;
    seen s;
    fake.dir = model_dir;
    server_kind = &as_mute;
    run_fresh("onnxruntime", &s);
    server_kind = &as_server;
    assert_string_equal(s.verdict, "not_checkable");
    assert_int_equal(s.n_ok, 3);
    assert_int_equal(s.n_not_checked_words, 3);
    assert_true(strstr(s.because, "neither logits") != NULL);
    run_fresh("noop", &s); /* computes nothing: no word on its rows */
    assert_string_equal(s.verdict, "not_checkable");
    assert_int_equal(s.n_not_checked_words, 0);
}

static void test_resume_keeps_the_verdict(void **state)
{
    (void)state;
    char dir[600], path[700];
    seen s;
    il_driver_result result;
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("parity-resume"));
    (void)snprintf(path, sizeof path, "%s/journal.jsonl", dir);
    fake.dir = wrong_dir;
    plant("model.layers.0.mlp.up_proj.weight", 300, 0.5);
    run_kind("hf", "", dir, false, &s, &result);
    assert_int_equal(result.flagged, 3);
    /* The lines after the second call are lost. */
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t room = 0, keep = 0, n_calls = 0;
    ssize_t n;
    while ((n = getline(&line, &room, f)) > 0 && n_calls < 2) {
        keep += (size_t)n;
        n_calls += strstr(line, "\"kind\":\"call\"") != NULL;
    }
    free(line);
    (void)fclose(f);
    assert_int_equal(truncate(path, (off_t)keep), 0);
    fake.n_probes = 0;
    fake.dir = model_dir; /* were it asked again, it would pass */
    run_kind("hf", "", dir, true, &s, &result);
    assert_int_equal(fake.n_probes, 0);
    assert_int_equal(s.n_parity, 1);
    assert_int_equal(result.flagged, 3);
}

/* A reference for which the model is too large. */
static int supports_small(il_backend *b, const il_backend_model *model, il_error *err)
{
    return strcmp(model->path, model_dir) == 0
               ? il_fail(err, IL_E_NOMEM, "needs more than there is")
               : il_backend_find("native")->supports(b, model, err);
}

static void test_twin(void **state)
{
    (void)state;
    char dir[600];
    seen s;
    il_driver_result result;
    il_backend_ops small = *il_backend_find("native");
    small.supports = supports_small;
    own_reference = &small;
    fake.dir = NULL;
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("parity-twin"));
    run_kind("hf", "", dir, false, &s, &result);
    assert_string_equal(s.verdict, "passed");
    assert_string_equal(s.reference, "twin");
    assert_string_equal(s.because, "");
    assert_int_equal(s.layers, 2);
    assert_false(fake.twin); /* what was timed is the model itself */
    fake.dir = model_dir;    /* three layers are not the twin */
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("parity-twin"));
    run_kind("hf", "", dir, false, &s, &result);
    assert_string_equal(s.verdict, "failed");
    /* A server's model cannot be exchanged. */
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("parity-twin"));
    run_kind("onnxruntime", "", dir, false, &s, &result);
    own_reference = NULL;
    assert_string_equal(s.verdict, "not_checkable");
    assert_true(strstr(s.because, "more than there is") != NULL);
}

static void test_switched_off(void **state)
{
    (void)state;
    char dir[600];
    il_driver_result result;
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("parity-off"));
    fake.dir = wrong_dir;
    fake.n_probes = 0;
    char text[1600];
    il_error err = {0};
    il_study study;
    il_plan plan = {0};
    (void)snprintf(text, sizeof text,
                   "run_name: t\ngen_tokens: 3\nschedule: {blocks: 1, parity: false}\n"
                   "scenarios: [{name: a, prompt_tokens: 4}]\n"
                   "backends: [{name: x, kind: hf, threads: 1}]\nmodels: [{name: %s}]\n",
                   model_dir);
    check_ok(il_study_parse(text, strlen(text), "test", NULL, &study, &err), &err);
    check_ok(il_plan_make(&study, lookup, &plan, &err), &err);
    il_driver_options options = {.dir = dir};
    check_ok(il_driver_run(&plan, &options, &result, &err), &err);
    il_plan_free(&plan);
    il_study_free(&study);
    assert_int_equal(fake.n_probes, 0);
    assert_int_equal(result.flagged, 0);
    assert_true(result.ok > 0);
}

/* --- the arithmetic ----------------------------------------------------------------------------
 */

static void test_margin(void **state)
{
    (void)state;
    const float near[] = {1.0f, 0.999f, -2.0f}, far[] = {1.0f, 0.5f, -2.0f};
    il_parity_result r;
    il_parity_result_init(&r);
    il_parity_compare_choice(near, 1, 3, 1e-2, &r); /* margin 0.001 of 2: a near tie */
    assert_int_equal(r.n_top1, 0);
    il_parity_compare_choice(far, 1, 3, 1e-2, &r);
    assert_int_equal(r.n_top1, 1);
    assert_int_equal(r.n_top1_wrong, 1);
    il_parity_compare_choice(far, -1, 3, 1e-2, &r); /* unknown: not compared */
    assert_int_equal(r.n_top1, 1);
    assert_int_equal(il_parity_judge(&r, 1e-2, false), IL_PARITY_FAILED);
    il_parity_result_init(&r);
    assert_int_equal(il_parity_judge(&r, 1e-2, false), IL_PARITY_NOT_CHECKABLE);
}

static void test_errors_and_median(void **state)
{
    (void)state;
    const float reference[] = {4.0f, 0.0f, -2.0f, 1.0f};
    const float off[] = {4.0f, 0.4f, -2.0f, 1.0f}, same[] = {4.0f, 0.0f, -2.0f, 1.0f};
    il_parity_result r;
    il_parity_result_init(&r);
    il_parity_compare_logits(reference, same, 4, 0.01, &r);
    il_parity_compare_logits(reference, off, 4, 0.01, &r);
    il_parity_compare_logits(reference, same, 4, 0.01, &r);
    check_near(r.max_rel, 0.1, 1e-6);
    check_near(r.rms_rel, 0.4 / sqrt(21.0), 1e-6);
    check_close(il_parity_median(&r), 0, 1e-12);
    assert_int_equal(il_parity_judge(&r, 0.01, false), IL_PARITY_FAILED);
    assert_int_equal(il_parity_judge(&r, 0.01, true), IL_PARITY_PASSED);
}

static void test_tolerances(void **state)
{
    (void)state;
    il_parity_tolerance fp32 = il_parity_tolerance_of("fp32", "", 12);
    assert_true(fp32.tolerance < 1e-5);
    assert_true(il_parity_tolerance_of("fp32", "F32", 12).noise == IL_PARITY_FP16);
    assert_true(il_parity_tolerance_of("bf16", "", 12).tolerance >
                il_parity_tolerance_of("fp16", "", 12).tolerance);
    assert_true(il_parity_tolerance_of("fp32", "Q4_K_M", 12).noise == IL_PARITY_Q8);
    check_near(il_parity_tolerance_of("fp32", "", 48).tolerance, 2 * fp32.tolerance, 1e-12);
    check_near(il_parity_tolerance_of("fp32", "", 1).tolerance, fp32.tolerance, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_margin),
        cmocka_unit_test(test_errors_and_median),
        cmocka_unit_test(test_tolerances),
        cmocka_unit_test(test_right_weights_pass),
        cmocka_unit_test(test_wrong_weight_is_caught),
        cmocka_unit_test(test_crowds_are_flagged_too),
        cmocka_unit_test(test_smallest_caught),
        cmocka_unit_test(test_wrong_steps_and_nonfinite),
        cmocka_unit_test(test_not_checkable),
        cmocka_unit_test(test_resume_keeps_the_verdict),
        cmocka_unit_test(test_twin),
        cmocka_unit_test(test_switched_off),
    };
    make_models();
    make_doubles();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
