/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The Ollama adapter against a mock that speaks the words of a recorded real one and keeps time.
 */
#include "backend/mock.h"

#include "backend/entry.h"
#include "backend/ollama.h"
#include "os/clock.h"

#define SCRIPT IL_TEST_SOURCE_DIR "/tests/backend/ollama_mock.py"
#define RECORD IL_TEST_SOURCE_DIR "/tests/backend/data/ollama/smollm2.jsonl"
#define MODEL  "smollm2:135m"

enum { GEN = 12 };

typedef struct fixture {
    mock server;
    test_entry entry;
    il_backend *b;
    il_load_result load;
    int64_t stamps[64];
    uint32_t counts[64];
    il_call_result r;
    il_error err;
} fixture;

static const il_backend_model model = {
    .name = MODEL, .kind = "ollama", .max_batch = 1, .max_prompt_tok = 100, .max_gen_tok = GEN};

/* options: of the mock, ended by NULL, or NULL. */
static void open_all(fixture *f, const char *const *options, const char *compat)
{
    const char *args[12] = {RECORD};
    for (int i = 0; options && options[i]; i++) {
        args[1 + i] = options[i];
    }
    *f = (fixture){.stamps = {0}};
    mock_start_script(&f->server, SCRIPT, args);
    entry_open(&f->entry);
    entry_set(&f->entry, IL_P_KIND, "ollama");
    entry_set(&f->entry, IL_P_URL, f->server.url);
    entry_set(&f->entry, IL_P_COMPAT, compat ? compat : "none");
    f->b = entry_backend(&f->entry, "ollama");
}

static void load(fixture *f)
{
    check_ok(f->b->ops->supports(f->b, &model, &f->err), &f->err);
    check_ok(f->b->ops->load(f->b, &model, &f->load, &f->err), &f->err);
}

static void close_all(fixture *f)
{
    json_decref(f->load.facts);
    json_decref(f->load.stages);
    json_decref(f->r.server);
    json_decref(f->r.flags);
    f->b->ops->close(f->b);
    entry_close(&f->entry);
    mock_stop(&f->server);
}

static int call_with(fixture *f, il_call_request request)
{
    json_decref(f->r.server);
    json_decref(f->r.flags);
    f->r = (il_call_result){.t_step_ns = f->stamps, .stamp_tok = f->counts, .cached_tok = -1};
    request.batch = 1;
    request.gen_tokens = GEN;
    request.deadline_s = 20;
    f->err = (il_error){0};
    check_ok(f->b->ops->prepare(f->b, &request, &f->err), &f->err);
    return f->b->ops->call(f->b, &request, &f->r, &f->err);
}

static int call(fixture *f, const char *prompt)
{
    return call_with(f, (il_call_request){.prompt = prompt, .split = true});
}

static bool flagged(const fixture *f, const char *word)
{
    size_t i;
    json_t *flag;
    json_array_foreach(f->r.flags, i, flag)
    {
        if (strcmp(json_string_value(flag), word) == 0) {
            return true;
        }
    }
    return false;
}

static double server_number(const fixture *f, const char *key)
{
    const json_t *value = json_object_get(f->r.server, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* What the mock was asked: the bodies of the requests to path, the last one first. */
static json_t *asked(fixture *f, const char *path, size_t back)
{
    il__http *http = NULL;
    json_t *log = NULL, *found = NULL;
    int status = 0;
    check_ok(il__http_open(f->server.url, NULL, &http, &f->err), &f->err);
    check_ok(il__http_json(http, "/log", NULL, 5, &log, &status, &f->err), &f->err);
    for (size_t i = json_array_size(log); i-- > 0 && !found;) {
        json_t *item = json_array_get(log, i);
        if (strcmp(json_string_value(json_array_get(item, 0)), path) == 0 && back-- == 0) {
            found = json_incref(json_array_get(item, 1));
        }
    }
    json_decref(log);
    il__http_close(http);
    return found;
}

static void test_load_facts(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, NULL, NULL);
    load(&f);
    json_t *facts = f.load.facts;
    check_near(json_number_value(json_object_get(facts, "params_millions")), 134.52, 1e-12);
    assert_int_equal(json_integer_value(json_object_get(facts, "n_layer")), 30);
    assert_int_equal(json_integer_value(json_object_get(facts, "params_total")), 134515008);
    assert_string_equal(json_string_value(json_object_get(facts, "quantization")), "Q4_1");
    assert_string_equal(json_string_value(json_object_get(facts, "processor")), "cpu");
    /* 100 + 12 and what is spare, in steps of 256; the mock says back what it was asked. */
    assert_int_equal(json_integer_value(json_object_get(facts, "num_ctx")), 256);
    assert_true(f.load.t1_ns - f.load.t0_ns >= 20000000);
    assert_true(json_array_size(json_object_get(json_object_get(facts, "counters"), "points")) >=
                9);
    il_error err;
    check_ok(f.b->ops->unload(f.b, &err), &err);
    json_t *body = asked(&f, "/api/generate", 0);
    assert_true(json_is_integer(json_object_get(body, "keep_alive"))); /* a number, never text */
    assert_int_equal(json_integer_value(json_object_get(body, "keep_alive")), 0);
    json_decref(body);
    close_all(&f);
}

static void test_call(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, (const char *const[]){"ttft_ms=10", "itl_ms=2", NULL}, NULL);
    load(&f);
    check_ok(call(&f, "one two three four"), &f.err);
    assert_string_equal(f.r.status, "ok");
    assert_int_equal(f.r.n_steps, GEN);
    assert_int_equal(f.r.n_stamps, GEN);
    assert_int_equal(f.r.prompt_tok, 4);
    /* Not before the mock sent it; how much later is up to the machine. */
    assert_true(f.r.t_first_ns - f.r.t0_ns >= 10000000);
    assert_true(f.r.t_end_ns - f.r.t0_ns >= (10 + 2 * GEN) * 1000000);
    assert_true(f.r.t_end_ns == f.stamps[GEN - 1]);
    for (int i = 1; i < GEN; i++) {
        assert_true(f.stamps[i] >= f.stamps[i - 1]);
    }
    assert_int_equal(json_array_size(f.r.flags), 0);
    check_near(server_number(&f, "prefill_ms"), 9, 1e-9);
    check_near(server_number(&f, "eval_ms"), 2 * GEN, 1e-9);
    assert_int_equal(server_number(&f, "eval_count"), GEN + 1);
    json_t *body = asked(&f, "/api/generate", 0);
    const json_t *options = json_object_get(body, "options");
    assert_true(json_is_true(json_object_get(body, "raw")));
    assert_true(json_is_false(json_object_get(body, "truncate")));
    assert_true(json_is_false(json_object_get(body, "shift")));
    assert_int_equal(json_integer_value(json_object_get(options, "num_predict")), GEN + 1);
    assert_int_equal(json_integer_value(json_object_get(options, "num_ctx")), 256);
    json_decref(body);
    /* The same text again: something else went into the cache before it. */
    check_ok(call(&f, "one two three four"), &f.err);
    assert_string_equal(json_string_value(json_object_get(f.r.server, "cache")), "evicted");
    assert_false(flagged(&f, "prompt_cache_hit"));
    body = asked(&f, "/api/generate", 1);
    assert_string_equal(json_string_value(json_object_get(body, "prompt")), "0");
    json_decref(body);
    close_all(&f);
}

static void test_unsplit(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, (const char *const[]){"ttft_ms=10", "itl_ms=2", NULL}, NULL);
    load(&f);
    check_ok(call_with(&f, (il_call_request){.prompt = "a b", .split = false}), &f.err);
    assert_int_equal(f.r.n_steps, GEN);
    assert_int_equal(f.r.t_first_ns, 0);
    assert_true(f.r.t_end_ns - f.r.t0_ns >= (10 + 2 * GEN) * 1000000);
    close_all(&f);
}

static void test_original(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, NULL, "tr121");
    load(&f);
    check_ok(call(&f, "one two three four"), &f.err);
    assert_int_equal(f.r.n_steps, GEN - 1);
    assert_int_equal(server_number(&f, "gen_tokens_raw"), GEN);
    check_ok(call(&f, "one two three four"), &f.err);
    assert_true(flagged(&f, "prompt_cache_hit")); /* as the original measured, and said so */
    json_t *body = asked(&f, "/api/generate", 0);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(body, "options"), "num_predict")), GEN);
    assert_null(json_object_get(body, "truncate"));
    json_decref(body);
    close_all(&f);
}

static void test_recorded_stream(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, NULL, NULL);
    load(&f);
    /* Six tokens of a real answer; thirteen were asked for. */
    check_ok(call(&f, "One two three"), &f.err);
    assert_int_equal(f.r.n_steps, 5);
    assert_int_equal(f.r.n_stamps, 5);
    assert_int_equal(f.r.prompt_tok, 3);
    assert_int_equal(server_number(&f, "eval_count"), 6);
    assert_true(server_number(&f, "prompt_eval_ms") > 0);
    assert_true(flagged(&f, "early_stop"));
    assert_string_equal(f.r.status, "flagged"); /* "length" before the length asked for */
    assert_string_equal(f.r.reason, "truncated");
    close_all(&f);
}

static void test_flags(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, NULL, NULL);
    load(&f);
    check_ok(call(&f, "stops [stop_after=5] here"), &f.err);
    assert_string_equal(f.r.status, "ok");
    assert_true(flagged(&f, "early_stop"));
    assert_int_equal(f.r.n_steps, 4); /* the end token has no chunk, and is a step */
    assert_int_equal(f.r.n_stamps, 4);
    assert_true(f.stamps[3] > f.stamps[2]);
    check_ok(call(&f, "full [length_after=5]"), &f.err);
    assert_string_equal(f.r.status, "flagged");
    assert_string_equal(f.r.reason, "truncated");
    const int32_t ids[20] = {0};
    check_ok(call_with(&f, (il_call_request){.prompt = "[cached=3] a b c d e",
                                             .ids = ids,
                                             .n_ids = 5,
                                             .salted = true,
                                             .split = true}),
             &f.err);
    assert_true(flagged(&f, "prompt_cache_hit"));
    assert_int_equal(f.r.cached_tok, 3);
    check_ok(call_with(
                 &f,
                 (il_call_request){
                     .prompt = "a b c d e", .ids = ids, .n_ids = 2, .salted = true, .split = true}),
             &f.err);
    assert_true(flagged(&f, "prompt_tokens_differ"));
    /* Two tokens in each chunk, and no tokenizer to tell them apart. */
    check_ok(call(&f, "[merge=2] a"), &f.err);
    assert_true(flagged(&f, "chunk_tokens_unknown"));
    assert_int_equal(f.r.n_steps, GEN);
    assert_int_equal(f.r.n_stamps, 1);
    assert_int_equal(f.counts[0], GEN);
    close_all(&f);
}

static void test_offload_and_context(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, (const char *const[]){"vram=0.29", "context=200", NULL}, NULL);
    load(&f);
    assert_string_equal(json_string_value(json_object_get(f.load.facts, "processor")), "cpu+gpu");
    check_ok(call(&f, "a b c"), &f.err);
    assert_true(flagged(&f, "partial_offload"));
    assert_true(flagged(&f, "num_ctx_changed"));
    close_all(&f);
    open_all(&f, (const char *const[]){"context=64", NULL}, NULL);
    assert_int_equal(f.b->ops->load(f.b, &model, &f.load, &f.err), IL_E_UNSUPPORTED);
    assert_non_null(strstr(f.err.what, "64"));
    assert_non_null(strstr(f.err.hint, "num_ctx"));
    close_all(&f);
    open_all(&f, NULL, NULL);
    entry_set(&f.entry, IL_P_DEVICE, "cuda");
    load(&f);
    check_ok(call(&f, "a b c"), &f.err);
    assert_string_equal(f.r.status, "flagged"); /* all of it on the CPU, unasked */
    assert_string_equal(f.r.reason, "fallback");
    close_all(&f);
}

typedef struct bad_case {
    const char *prompt;
    int code;
    const char *what, *hint;
} bad_case;

static void test_bad_streams(void **state)
{
    (void)state;
    static const bad_case cases[] = {
        {"[cut_after=3]", IL_E_IO, "", "still answers"},
        {"[error_after=3]", IL_E_IO, "boom", "log"},
        {"[no_end=4]", IL_E_IO, "without its last line", "log"},
        {"[answer=other:1b]", IL_E_INVALID, "other:1b", "proxy"},
        {"[status=400]", IL_E_INVALID, "context length", "num_ctx"},
        {"[status=500]", IL_E_IO, "500", ""},
        {"[silent=1]", IL_E_TOO_FEW, "no text", "prompt"},
        {"[stop_after=1]", IL_E_TOO_FEW, "no text", "end token"},
    };
    fixture f;
    open_all(&f, NULL, NULL);
    load(&f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc = call(&f, cases[i].prompt);
        if (rc != cases[i].code || !strstr(f.err.what, cases[i].what) ||
            !strstr(f.err.hint, cases[i].hint)) {
            print_error("%s: %s, %s (%s)\n", cases[i].prompt, il_code_name(rc), f.err.what,
                        f.err.hint);
            fail();
        }
        assert_string_equal(f.r.status, "error");
        assert_string_equal(f.r.reason, il_code_name(rc));
        assert_null(f.r.server);
    }
    check_ok(call(&f, "a good one"), &f.err); /* none of that stays */
    assert_int_equal(f.r.n_steps, GEN);
    close_all(&f);
}

/* What no call can have counted is not said in its row, and the row is no measurement. */
static void test_absurd_counters(void **state)
{
    (void)state;
    static const struct {
        const char *prompt, *gone; /* the key of the row that becomes null */
    } cases[] = {
        {"[end=\"prompt_eval_duration\":-5]", "prompt_eval_ms"},
        {"[end=\"prompt_eval_duration\":4000000000000000000]", "prefill_ms"},
        {"[end=\"eval_duration\":-9223372036854775808]", "eval_ms"},
        {"[end=\"eval_duration\":1e300]", "eval_ms"},
        {"[end=\"total_duration\":99000000000]", "total_duration_ms"},
        {"[end=\"prompt_eval_count\":4294967296]", "prompt_eval_count"},
    };
    fixture f;
    open_all(&f, NULL, NULL);
    load(&f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_ok(call(&f, cases[i].prompt), &f.err);
        assert_true(json_is_null(json_object_get(f.r.server, cases[i].gone)));
        if (!strstr(cases[i].prompt, "1e300")) { /* no integer: never read */
            assert_string_equal(f.r.status, "flagged");
            assert_string_equal(f.r.reason, "counters_absurd");
        }
        assert_int_equal(f.r.n_steps, GEN);
        assert_true(f.r.prompt_tok < 100);
    }
    assert_int_equal(call(&f, "[end=\"eval_count\":2000000000]"), IL_E_INVALID);
    assert_non_null(strstr(f.err.what, "2000000000"));
    assert_true(f.err.hint[0] != '\0');
    assert_int_equal(call(&f, "[end=\"eval_count\":0]"), IL_E_TOO_FEW);
    assert_int_equal(call(&f, "[end=\"eval_duration\":NaN]"), IL_E_INVALID);
    assert_non_null(strstr(f.err.what, "no JSON"));
    close_all(&f);
}

/* A server that hangs: the deadline ends the call, and the proof of its counter gives up. */
static void test_hangs(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, (const char *const[]){"hang=1", NULL}, NULL);
    entry_set(&f.entry, IL_P_DEADLINE_S, "0.3");
    int64_t start_ns = il_clock_ns();
    load(&f);
    assert_true(il_clock_ns() - start_ns < 3000000000);
    il_call_request request = {
        .prompt = "a", .batch = 1, .gen_tokens = GEN, .split = true, .deadline_s = 0.3};
    f.r = (il_call_result){.t_step_ns = f.stamps, .stamp_tok = f.counts};
    assert_int_equal(f.b->ops->call(f.b, &request, &f.r, &f.err), IL_E_TIMEOUT);
    assert_string_equal(f.r.status, "error");
    assert_true(f.err.hint[0] != '\0');
    close_all(&f);
}

static void test_repeats(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, NULL, NULL);
    load(&f);
    il_call_request request = {
        .prompt = "[same=1]", .batch = 1, .gen_tokens = 40, .split = true, .deadline_s = 10};
    f.r = (il_call_result){.t_step_ns = f.stamps, .stamp_tok = f.counts};
    assert_int_equal(f.b->ops->call(f.b, &request, &f.r, &f.err), IL_E_IO);
    assert_non_null(strstr(f.err.what, "repeats itself"));
    assert_non_null(strstr(f.err.hint, "temperature"));
    close_all(&f);
}

static void test_unloaded(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, NULL, NULL);
    load(&f);
    check_ok(call(&f, "[forget=1] a"), &f.err);
    assert_int_equal(call(&f, "b"), IL_E_NOT_FOUND);
    assert_non_null(strstr(f.err.what, "unloaded"));
    check_ok(call(&f, "c"), &f.err);
    assert_true(flagged(&f, "reloaded"));
    close_all(&f);
}

static void test_supports(void **state)
{
    (void)state;
    fixture f;
    il_backend_model other = model;
    open_all(&f, NULL, NULL);
    other.name = "nope";
    assert_int_equal(f.b->ops->supports(f.b, &other, &f.err), IL_E_NOT_FOUND);
    assert_string_equal(f.err.hint, "ollama pull nope");
    other = model;
    other.max_batch = 8;
    assert_int_equal(f.b->ops->supports(f.b, &other, &f.err), IL_E_UNSUPPORTED);
    other = model;
    other.max_prompt_tok = 100000; /* the recorded model has 8192 positions */
    assert_int_equal(f.b->ops->supports(f.b, &other, &f.err), IL_E_UNSUPPORTED);
    assert_non_null(strstr(f.err.what, "8192"));
    other = model;
    other.kind = "hf";
    other.path = "models/x";
    assert_int_equal(f.b->ops->supports(f.b, &other, &f.err), IL_E_UNSUPPORTED);
    assert_non_null(strstr(f.err.what, "GGUF"));
    mock_stop(&f.server);
    assert_int_equal(f.b->ops->supports(f.b, &model, &f.err), IL_E_NOT_FOUND);
    assert_non_null(strstr(f.err.hint, "ollama serve"));
    f.b->ops->close(f.b);
    entry_close(&f.entry);
}

/* A file becomes a model once, under a name of its content. */
static void test_file(void **state)
{
    (void)state;
    fixture f;
    char path[600];
    (void)snprintf(path, sizeof path, "%s/tiny.gguf", check_scratch_dir("ollama"));
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    (void)fputs("GGUF of a test", file);
    (void)fclose(file);
    il_backend_model own = model;
    own.kind = "hf";
    own.name = "Tiny Model";
    own.file = path;
    open_all(&f, NULL, NULL);
    check_ok(f.b->ops->supports(f.b, &own, &f.err), &f.err);
    for (int i = 0; i < 2; i++) {
        json_decref(f.load.facts);
        json_decref(f.load.stages);
        check_ok(f.b->ops->load(f.b, &own, &f.load, &f.err), &f.err);
        assert_int_equal(f.err.code, IL_OK); /* a load that went well leaves no words behind */
    }
    json_t *body = asked(&f, "/api/create", 0), *again = asked(&f, "/api/create", 1);
    const char *name = json_string_value(json_object_get(body, "model"));
    assert_non_null(strstr(name, "inferlaw-tiny-model:"));
    assert_int_equal(strlen(name), strlen("inferlaw-tiny-model:") + 12);
    assert_null(again);
    const char *digest =
        json_string_value(json_object_get(json_object_get(body, "files"), "model.gguf"));
    assert_int_equal(strlen(digest), 7 + 64);
    assert_true(strncmp(digest + 7, strchr(name, ':') + 1, 12) == 0);
    assert_string_equal(json_string_value(json_object_get(f.load.facts, "model")), name);
    json_decref(body);
    close_all(&f);
    (void)remove(path);
}

static void test_logprobs(void **state)
{
    (void)state;
    fixture f;
    il_logprob_top top[4];
    il_backend_model own = model;
    own.path = IL_TEST_SOURCE_DIR "/tests/model/data/none";
    open_all(&f, NULL, NULL);
    check_ok(f.b->ops->load(f.b, &own, &f.load, &f.err), &f.err);
    assert_int_equal(f.b->ops->logprobs(f.b, NULL, 0, "a b", 4, top, &f.err), IL_E_UNSUPPORTED);
    assert_non_null(strstr(f.err.what, "no tokenizer"));
    close_all(&f);
}

static void test_names_and_sizes(void **state)
{
    (void)state;
    assert_true(il__ollama_same_name("gemma3", "gemma3:latest"));
    assert_true(il__ollama_same_name("Gemma3:270m", "gemma3:270M"));
    assert_false(il__ollama_same_name("gemma3:270m", "gemma3:1b"));
    check_near(il__ollama_millions("268.10M"), 268.1, 1e-12);
    check_near(il__ollama_millions("7.6B"), 7600, 1e-12);
    check_near(il__ollama_millions("596K"), 0.596, 1e-12);
    assert_true(isnan(il__ollama_millions("M")));
    assert_true(isnan(il__ollama_millions("12x")));
    assert_true(isnan(il__ollama_millions(NULL)));
    assert_true(isnan(il__ollama_millions("-3M")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_facts),
        cmocka_unit_test(test_call),
        cmocka_unit_test(test_unsplit),
        cmocka_unit_test(test_original),
        cmocka_unit_test(test_recorded_stream),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_offload_and_context),
        cmocka_unit_test(test_bad_streams),
        cmocka_unit_test(test_absurd_counters),
        cmocka_unit_test(test_hangs),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_unloaded),
        cmocka_unit_test(test_supports),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_names_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
