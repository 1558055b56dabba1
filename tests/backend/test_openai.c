/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/entry.h"
#include "backend/mock.h"

#include "backend/openai.h"
#include "base/file.h"
#include "base/json.h"

enum { STEPS = 12, MANY = 12 };

static mock server;
static il__http *control; /* to set the mock's options */

typedef struct world {
    test_entry entry;
    il_backend *b;
    il_error err;
    int64_t stamps[64];
    uint32_t stamp_tok[64];
    il_call_result r;
    il_call_request q;
    int32_t ids[16];
} world;

static int start(void **state)
{
    (void)state;
    il_error err = {0};
    mock_start(&server, NULL);
    check_ok(il__http_open(server.url, NULL, &control, &err), &err);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    il__http_close(control);
    mock_stop(&server);
    return 0;
}

/* Options of the mock from now on, as the inside of a JSON object. */
static void set(const char *options)
{
    char text[1024];
    json_t *body, *reply;
    int status;
    il_error err = {0};
    (void)snprintf(text, sizeof text, "{%s}", options);
    check_ok(il_json_parse(text, strlen(text), "options", &body, &err), &err);
    check_ok(il__http_json(control, "/mock/set", body, 5, &reply, &status, &err), &err);
    json_decref(body);
    json_decref(reply);
}

static int world_load(world *w, const char *model)
{
    il_backend_model m = {.name = model, .kind = "openai"};
    il_load_result load = {0};
    int rc = w->b->ops->load(w->b, &m, &load, &w->err);
    json_decref(load.stages);
    json_decref(load.facts);
    return rc;
}

static void world_open_with(world *w, const char *endpoint, const char *model)
{
    *w = (world){.q = {.batch = 1,
                       .n_ids = 8,
                       .prompt = "a b c d e f g h",
                       .gen_tokens = STEPS,
                       .split = true,
                       .deadline_s = 5}};
    for (int i = 0; i < 8; i++) {
        w->ids[i] = 100 + i;
    }
    w->q.ids = w->ids;
    w->r.t_step_ns = w->stamps;
    w->r.stamp_tok = w->stamp_tok;
    entry_open(&w->entry);
    entry_set(&w->entry, IL_P_URL, server.url);
    entry_set(&w->entry, IL_P_ENDPOINT, endpoint);
    w->b = entry_backend(&w->entry, "openai");
    if (model) {
        check_ok(world_load(w, model), &w->err);
    }
}

static void world_open(world *w)
{
    world_open_with(w, "completions", "mock");
}

static void world_close(world *w)
{
    json_decref(w->r.flags);
    json_decref(w->r.server);
    w->b->ops->close(w->b);
    entry_close(&w->entry);
}

static int call(world *w)
{
    json_decref(w->r.flags);
    json_decref(w->r.server);
    w->r.flags = w->r.server = NULL;
    w->err = (il_error){0};
    return w->b->ops->call(w->b, &w->q, &w->r, &w->err);
}

static bool has_flag(const world *w, const char *word)
{
    size_t i;
    const json_t *flag;
    json_array_foreach(w->r.flags, i, flag)
    {
        if (strcmp(json_string_value(flag), word) == 0) {
            return true;
        }
    }
    return false;
}

static const json_t *last_request(json_t **log)
{
    int status;
    il_error err = {0};
    check_ok(il__http_json(control, "/mock/log", NULL, 5, log, &status, &err), &err);
    for (size_t i = json_array_size(*log); i-- > 0;) {
        const json_t *item = json_array_get(*log, i);
        if (strncmp(json_string_value(json_object_get(item, "path")), "/v1/c", 5) == 0) {
            return json_object_get(item, "body");
        }
    }
    fail();
    return NULL;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, compare_doubles);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* --- times ------------------------------------------------------------------------------------ */

static void times_come_back_within_a_percent(void **state)
{
    (void)state;
    enum { CALLS = 3, TRIES = 15 };
    double ttft = 0, itl = 0;
    for (int try = 0; try < TRIES; try++) { /* a busy machine may need another */
        world w;
        double firsts[CALLS], gaps[CALLS * STEPS];
        size_t n = 0;
        set("\"ttft_ms\":40,\"itl_ms\":20");
        world_open(&w);
        for (int c = 0; c < CALLS; c++) {
            check_ok(call(&w), &w.err);
            assert_int_equal(w.r.n_steps, STEPS);
            assert_int_equal(w.r.n_stamps, STEPS);
            assert_string_equal(w.r.status, "ok");
            firsts[c] = (double)(w.r.t_first_ns - w.r.t0_ns) * 1e-6;
            for (int i = 0; i < STEPS; i++) {
                int64_t before = i ? w.stamps[i - 1] : w.r.t_first_ns;
                gaps[n++] = (double)(w.stamps[i] - before) * 1e-6;
            }
            assert_int_equal(w.r.t_end_ns, w.stamps[STEPS - 1]);
        }
        world_close(&w);
        ttft = median(firsts, CALLS);
        itl = median(gaps, n);
        if (fabs(ttft - 40.0) < 0.4 && fabs(itl - 20.0) < 0.2) {
            return;
        }
    }
    print_error("ttft %.3f ms, itl %.3f ms\n", ttft, itl);
    fail();
}

static void named_events_are_told_apart(void **state)
{
    (void)state;
    world w;
    /* The role comes at once, the first token at 60 ms without a visible character. */
    set("\"ttft_ms\":60,\"itl_ms\":10,\"empty_first\":1");
    world_open_with(&w, "chat", "mock");
    bool apart = false;
    for (int try = 0; try < 10 && !apart; try++) { /* a busy machine may need another */
        check_ok(call(&w), &w.err);
        double byte = (double)(w.r.t_first_byte_ns - w.r.t0_ns) * 1e-6;
        double token = (double)(w.r.t_first_ns - w.r.t0_ns) * 1e-6;
        double visible = (double)(w.r.t_first_visible_ns - w.r.t0_ns) * 1e-6;
        apart = byte < 40 && token > 59 && token < visible && visible > 69;
    }
    assert_true(apart);
    assert_int_equal(w.r.n_steps, STEPS);
    world_close(&w);
}

/* --- counting --------------------------------------------------------------------------------- */

static void chunks_are_counted_as_what_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        uint32_t n_stamps, n_steps;
        const char *flag;
    } cases[] = {
        {"\"like\":\"vllm\",\"chunk\":4", 3, STEPS, NULL},
        {"\"like\":\"llama.cpp\",\"chunk\":4", 3, STEPS, NULL},
        {"\"like\":\"other\",\"chunk\":4", 1, STEPS, "uncounted_chunks"},
        {"\"like\":\"other\",\"chunk\":1", STEPS, STEPS, NULL},
        {"\"like\":\"other\",\"chunk\":1,\"usage\":0", STEPS, STEPS, "tokens_assumed"},
        {"\"like\":\"llama.cpp\",\"first\":3", STEPS - 2, STEPS - 2, "first_chunk_many"},
        {"\"like\":\"vllm\",\"early_stop\":6", 5, 5, "early_stop"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world w;
        char options[256];
        (void)snprintf(options, sizeof options, "\"ttft_ms\":2,\"itl_ms\":2,%s", cases[i].options);
        set(options);
        world_open(&w);
        check_ok(call(&w), &w.err);
        if (w.r.n_stamps != cases[i].n_stamps || w.r.n_steps != cases[i].n_steps) {
            print_error("%s: %u stamps of %u steps\n", options, w.r.n_stamps, w.r.n_steps);
        }
        assert_int_equal(w.r.n_stamps, cases[i].n_stamps);
        assert_int_equal(w.r.n_steps, cases[i].n_steps);
        assert_int_equal(w.stamp_tok[w.r.n_stamps - 1], cases[i].n_steps);
        assert_int_equal(json_array_size(w.r.flags) - has_flag(&w, "late_reader"),
                         cases[i].flag ? 1 : 0);
        assert_true(!cases[i].flag || has_flag(&w, cases[i].flag));
        if (cases[i].n_stamps == 3) {
            assert_int_equal(w.stamp_tok[0], 4);
            assert_int_equal(w.stamp_tok[1], 8);
        }
        world_close(&w);
    }
}

static void caches_and_truncation_are_seen(void **state)
{
    (void)state;
    world w;
    set("\"ttft_ms\":1,\"itl_ms\":1,\"cached\":0");
    world_open(&w);
    check_ok(call(&w), &w.err);
    assert_int_equal(w.r.cached_tok, 0);
    assert_int_equal(w.r.prompt_tok, 8);
    assert_false(has_flag(&w, "cached_prompt"));
    set("\"ttft_ms\":1,\"itl_ms\":1,\"cached\":7");
    check_ok(call(&w), &w.err);
    assert_int_equal(w.r.cached_tok, 7);
    assert_true(has_flag(&w, "cached_prompt"));
    assert_string_equal(w.r.status, "flagged");
    assert_string_equal(w.r.reason, "cached_prompt");
    set("\"ttft_ms\":1,\"itl_ms\":1,\"truncate\":3");
    check_ok(call(&w), &w.err);
    assert_int_equal(w.r.cached_tok, -1);
    assert_int_equal(w.r.prompt_tok, 5);
    assert_string_equal(w.r.status, "flagged");
    assert_string_equal(w.r.reason, "truncated");
    world_close(&w);
}

/* --- what is asked ---------------------------------------------------------------------------- */

static void each_server_is_asked_what_it_knows(void **state)
{
    (void)state;
    static const struct {
        const char *like;
        bool ids, ignore_eos, min_tokens, cache_prompt, continuous;
    } cases[] = {
        {"vllm", 1, 1, 1, 0, 1},   {"llama.cpp", 1, 1, 0, 1, 0},    {"tgi", 0, 0, 0, 0, 0},
        {"sglang", 1, 1, 1, 0, 0}, {"tensorrt-llm", 1, 1, 1, 0, 1}, {"other", 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world w;
        json_t *log;
        char options[128];
        (void)snprintf(options, sizeof options, "\"ttft_ms\":1,\"itl_ms\":1,\"like\":\"%s\"",
                       cases[i].like);
        set(options);
        world_open(&w);
        check_ok(w.b->ops->prepare(w.b, &w.q, &w.err), &w.err);
        check_ok(call(&w), &w.err);
        assert_string_equal(json_string_value(json_object_get(w.r.server, "kind")), cases[i].like);
        const json_t *body = last_request(&log);
        const json_t *prompt = json_object_get(body, "prompt");
        assert_int_equal(json_is_array(prompt), cases[i].ids);
        if (cases[i].ids) {
            assert_int_equal(json_array_size(prompt), 8);
            assert_int_equal(json_integer_value(json_array_get(prompt, 7)), 107);
        } else {
            assert_string_equal(json_string_value(prompt), w.q.prompt);
        }
        assert_int_equal(json_integer_value(json_object_get(body, "max_tokens")), STEPS + 1);
        assert_int_equal(json_is_true(json_object_get(body, "ignore_eos")), cases[i].ignore_eos);
        assert_int_equal(json_integer_value(json_object_get(body, "min_tokens")),
                         cases[i].min_tokens ? STEPS + 1 : 0);
        assert_int_equal(json_is_false(json_object_get(body, "cache_prompt")),
                         cases[i].cache_prompt);
        const json_t *stream = json_object_get(body, "stream_options");
        assert_true(json_is_true(json_object_get(stream, "include_usage")));
        assert_int_equal(json_is_true(json_object_get(stream, "continuous_usage_stats")),
                         cases[i].continuous);
        json_decref(log);
        world_close(&w);
    }
}

static void the_key_goes_to_the_server_alone(void **state)
{
    (void)state;
    world w;
    json_t *log;
    set("\"ttft_ms\":1,\"itl_ms\":1,\"status\":401");
    world_open_with(&w, "completions", NULL);
    entry_set(&w.entry, IL_P_API_KEY_ENV, "IL_TEST_KEY");
    (void)unsetenv("IL_TEST_KEY");
    assert_int_equal(world_load(&w, "mock"), IL_E_USAGE);
    assert_non_null(strstr(w.err.hint, "IL_TEST_KEY"));
    (void)setenv("IL_TEST_KEY", "canary-4711", 1);
    check_ok(world_load(&w, "mock"), &w.err);
    assert_int_equal(call(&w), IL_E_ACCESS);
    assert_null(strstr(w.err.what, "canary"));
    assert_non_null(strstr(w.err.hint, "api_key_env"));
    (void)last_request(&log);
    char *text = json_dumps(log, 0);
    assert_non_null(strstr(text, "Bearer canary-4711"));
    free(text);
    json_decref(log);
    (void)unsetenv("IL_TEST_KEY");
    world_close(&w);
}

/* --- counters that cannot be --------------------------------------------------------------------
 */

static void absurd_counters_are_no_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        int code;
        const char *reason;
    } cases[] = {
        {"\"usage_says\":\"\\\"prompt_tokens\\\":2000000000\"", IL_OK, "counters_absurd"},
        {"\"usage_says\":\"\\\"completion_tokens\\\":2000000000\"", IL_E_INVALID, "INVALID"},
        {"\"like\":\"other\",\"usage_says\":\"\\\"completion_tokens\\\":999\"", IL_E_INVALID,
         "INVALID"},
        {"\"cached\":9", IL_OK, "counters_absurd"},
        {"\"like\":\"llama.cpp\",\"timings_say\":\"\\\"prompt_ms\\\":-3\"", IL_OK,
         "counters_absurd"},
        {"\"like\":\"llama.cpp\",\"timings_say\":\"\\\"prompt_ms\\\":1e12\"", IL_OK,
         "counters_absurd"},
        {"\"like\":\"llama.cpp\",\"timings_say\":\"\\\"prompt_ms\\\":1e999\"", IL_E_PROTOCOL,
         "PROTOCOL"},
        {"\"like\":\"llama.cpp\",\"timings_say\":\"\\\"prompt_ms\\\":NaN\"", IL_E_PROTOCOL,
         "PROTOCOL"},
        {"\"usage_says\":\"\\\"prompt_tokens\\\":-8,\\\"completion_tokens\\\":-1\"", IL_OK, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world w;
        char options[256];
        (void)snprintf(options, sizeof options, "\"ttft_ms\":2,\"itl_ms\":1,%s", cases[i].options);
        set(options);
        world_open(&w);
        int code = call(&w);
        if (code != cases[i].code || strcmp(w.r.reason, cases[i].reason) != 0) {
            print_error("%s: %s, %s: %s\n", options, w.r.status, w.r.reason, w.err.what);
        }
        assert_int_equal(code, cases[i].code);
        assert_string_equal(w.r.reason, cases[i].reason);
        if (code == IL_OK) {
            assert_int_equal(w.r.prompt_tok, 8); /* what was sent, not what was said */
            assert_true(w.r.cached_tok <= 8);
            assert_int_equal(w.r.n_steps, STEPS);
            assert_null(json_object_get(w.r.server, "prefill_ms"));
            assert_int_equal(has_flag(&w, "counters_absurd"), w.r.reason[0] != '\0');
        } else {
            assert_true(w.err.hint[0] != '\0');
        }
        world_close(&w);
    }
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void every_failure_is_a_code_and_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        int code;
        const char *what;
    } cases[] = {
        {"\"error_after\":4", IL_E_IO, "KV cache is full"},
        {"\"plain\":1", IL_E_IO, "out of blocks"},
        {"\"cut_after\":4", IL_E_CRASHED, "cut short"},
        {"\"no_end\":1", IL_E_CRASHED, "without its end"},
        {"\"answer_model\":\"gpt-x\"", IL_E_INVALID, "gpt-x"},
        {"\"status\":400", IL_E_INVALID, "the mock says no"},
        {"\"status\":404", IL_E_NOT_FOUND, "the mock says no"},
        {"\"status\":429", IL_E_BUSY, "the mock says no"},
        {"\"status\":500", IL_E_IO, "the mock says no"},
        {"\"status\":503", IL_E_BUSY, "503"},
        {"\"long_line\":3000", IL_E_PROTOCOL, "not JSON"},
        {"\"first\":13", IL_E_UNSUPPORTED, "at once"},
        {"\"hang\":1", IL_E_TIMEOUT, "no answer within"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world w;
        char options[256];
        (void)snprintf(options, sizeof options, "\"ttft_ms\":1,\"itl_ms\":1,%s", cases[i].options);
        set(options);
        world_open(&w);
        w.q.deadline_s = cases[i].code == IL_E_TIMEOUT ? 0.3 : 5;
        int code = call(&w);
        if (code != cases[i].code || !strstr(w.err.what, cases[i].what)) {
            print_error("%s: %s: %s\n", options, il_code_name(code), w.err.what);
        }
        assert_int_equal(code, cases[i].code);
        assert_non_null(strstr(w.err.what, cases[i].what));
        assert_true(w.err.hint[0] != '\0');
        assert_string_equal(w.r.status, "error");
        assert_string_equal(w.r.reason, il_code_name(code));
        assert_null(w.r.flags);
        /* and the next call works */
        set("\"ttft_ms\":1,\"itl_ms\":1");
        w.q.deadline_s = 5;
        check_ok(call(&w), &w.err);
        world_close(&w);
    }
}

static void models_are_asked_for_by_name(void **state)
{
    (void)state;
    world w;
    set("\"model\":\"dir/SmolLM2.gguf\"");
    world_open_with(&w, "completions", NULL);
    assert_int_equal(world_load(&w, "llama-405b"), IL_E_NOT_FOUND);
    assert_non_null(strstr(w.err.hint, "SmolLM2"));
    check_ok(world_load(&w, "SmolLM2"), &w.err);
    check_ok(world_load(&w, "dir/SmolLM2.gguf"), &w.err);
    check_ok(world_load(&w, "auto"), &w.err); /* it has one */
    world_close(&w);
}

static void entries_without_an_address_are_refused(void **state)
{
    (void)state;
    test_entry entry;
    il_backend *b = NULL;
    il_error err = {0};
    entry_open(&entry);
    assert_int_equal(il_backend_find("openai")->open(&entry.set, &b, &err), IL_E_USAGE);
    assert_non_null(strstr(err.hint, "url:"));
    entry_close(&entry);
}

/* --- load ------------------------------------------------------------------------------------- */

typedef struct crowd {
    il_call_request q[MANY];
    il_call_result r[MANY];
    int64_t stamps[MANY][STEPS];
    uint32_t stamp_tok[MANY][STEPS];
} crowd;

static void crowd_run(world *w, crowd *c, const il_arrivals *arrivals)
{
    memset(c, 0, sizeof *c);
    for (int i = 0; i < MANY; i++) {
        c->q[i] = w->q;
        c->r[i].t_step_ns = c->stamps[i];
        c->r[i].stamp_tok = c->stamp_tok[i];
    }
    check_ok(w->b->ops->call_many(w->b, c->q, c->r, MANY, arrivals, &w->err), &w->err);
}

static void crowd_free(crowd *c)
{
    for (int i = 0; i < MANY; i++) {
        json_decref(c->r[i].flags);
        json_decref(c->r[i].server);
    }
}

static int most_in_flight(const crowd *c)
{
    int most = 0;
    for (int i = 0; i < MANY; i++) {
        int n = 0;
        for (int k = 0; k < MANY; k++) {
            n += c->r[k].t0_ns <= c->r[i].t0_ns && c->r[k].t_end_ns > c->r[i].t0_ns;
        }
        most = n > most ? n : most;
    }
    return most;
}

static void closed_and_open_loops_keep_their_word(void **state)
{
    (void)state;
    static crowd c;
    world w;
    set("\"ttft_ms\":10,\"itl_ms\":2");
    world_open(&w);
    crowd_run(&w, &c, &(il_arrivals){.concurrency = 4});
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(c.r[i].status, "ok");
        assert_int_equal(c.r[i].n_steps, STEPS);
        assert_int_equal(c.r[i].t_scheduled_ns, 0);
    }
    assert_true(most_in_flight(&c) <= 4 && most_in_flight(&c) >= 2);
    crowd_free(&c);

    /* Open loop: due by the seed, whatever the answers do. */
    int64_t due[MANY];
    crowd_run(&w, &c, &(il_arrivals){.concurrency = 64, .rate_per_s = 100, .seed = 7});
    for (int i = 0; i < MANY; i++) {
        due[i] = c.r[i].t_scheduled_ns - c.r[0].t_scheduled_ns;
        assert_true(c.r[i].t0_ns >= c.r[i].t_scheduled_ns);
        assert_true(i == 0 || due[i] > due[i - 1]);
    }
    crowd_free(&c);
    crowd_run(&w, &c, &(il_arrivals){.concurrency = 64, .rate_per_s = 100, .seed = 7});
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(c.r[i].t_scheduled_ns - c.r[0].t_scheduled_ns, due[i]);
    }
    crowd_free(&c);

    /* One at a time behind a slow server: the wait shows in the time since the schedule. */
    crowd_run(&w, &c, &(il_arrivals){.concurrency = 1, .rate_per_s = 1000, .seed = 7});
    double waited = (double)(c.r[MANY - 1].t0_ns - c.r[MANY - 1].t_scheduled_ns) * 1e-6;
    assert_true(waited > 200);
    crowd_free(&c);

    /* A failure of one is its own. */
    set("\"ttft_ms\":1,\"itl_ms\":1,\"status\":500");
    crowd_run(&w, &c, &(il_arrivals){.concurrency = 4});
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(c.r[i].status, "error");
        assert_string_equal(c.r[i].reason, "IO");
        assert_non_null(json_object_get(c.r[i].server, "message"));
    }
    crowd_free(&c);
    world_close(&w);
}

/* --- recorded of llama.cpp -------------------------------------------------------------------- */

static void recorded(const char *name, il_buf *text)
{
    char path[600];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/tests/backend/data/%s", IL_TEST_SOURCE_DIR, name);
    il_buf_init(text, 1 << 20);
    check_ok(il_file_read(path, text, &err), &err);
}

/* Line k of the recording arrives at 1000·k. */
static void play(const char *name, uint32_t gen_tokens, bool chat, il_call_result *r)
{
    static int64_t stamps[64];
    static uint32_t stamp_tok[64];
    static char model[] = "SmolLM2-135M-Instruct.Q4_1.gguf";
    il_buf text;
    il__sse_log log = {0};
    il_error err = {0};
    il__openai o = {.kind = IL__OPENAI_LLAMA, .chat = chat, .model = model};
    il__http_stream s = {
        .status = 200, .t_sent_ns = 1, .t_first_byte_ns = 1000, .t_end_ns = 10000000000};
    il_call_request q = {
        .batch = 1, .n_ids = chat ? 0 : 8, .gen_tokens = gen_tokens, .split = true};
    recorded(name, &text);
    check_ok(il__sse_log_reserve(&log, gen_tokens, &err), &err);
    int64_t line = 0;
    for (const char *at = text.data; at < text.data + text.len;) {
        const char *end = memchr(at, '\n', (size_t)(text.data + text.len - at));
        assert_non_null(end);
        assert_int_equal(il__sse_log_line(at, (size_t)(end - at), ++line * 1000, &log), IL_OK);
        at = end + 1;
    }
    *r = (il_call_result){.t_step_ns = stamps, .stamp_tok = stamp_tok};
    check_ok(il__openai_read(&o, &q, &s, &log, r, &err), &err);
    il__sse_log_free(&log);
    il_buf_free(&text);
}

static void recordings_of_llama_cpp_read_right(void **state)
{
    (void)state;
    il_call_result r;
    play("llama_cpp_completions.sse", 4, false, &r);
    assert_int_equal(r.n_steps, 4);
    assert_int_equal(r.n_stamps, 4);
    assert_int_equal(r.prompt_tok, 8);
    assert_int_equal(r.cached_tok, 0);
    assert_int_equal(r.t_first_ns, 1000);
    assert_int_equal(r.t_step_ns[3], 9000);
    assert_null(r.flags);
    assert_true(json_number_value(json_object_get(r.server, "prefill_ms")) > 0);
    json_decref(r.server);
    /* One character of three tokens comes first: what ran before its stamp is not counted. */
    play("llama_cpp_chat.sse", 11, true, &r);
    assert_int_equal(r.prompt_tok, 39);
    assert_int_equal(r.n_steps, 9);
    assert_true(r.n_stamps < r.n_steps);
    assert_int_equal(r.stamp_tok[r.n_stamps - 1], 9);
    assert_string_equal(json_string_value(json_array_get(r.flags, 0)), "first_chunk_many");
    json_decref(r.flags);
    json_decref(r.server);
}

static void log_probabilities_come_with_ids(void **state)
{
    (void)state;
    world w;
    il_logprob_top top[3];
    char options[700];
    (void)snprintf(options, sizeof options,
                   "\"like\":\"llama.cpp\",\"logprobs\":\"%s/tests/backend/data/"
                   "llama_cpp_logprobs.json\"",
                   IL_TEST_SOURCE_DIR);
    set(options);
    world_open(&w);
    check_ok(w.b->ops->logprobs(w.b, w.ids, 8, NULL, 3, top, &w.err), &w.err);
    assert_int_equal(top[0].chosen, 260);
    assert_int_equal(top[0].n, 4);
    assert_int_equal(top[0].ids[0], 260);
    check_near(top[0].logprobs[0], -3.5872175693511963, 1e-6);
    assert_true(top[0].logprobs[1] < top[0].logprobs[0]);
    set("\"like\":\"tgi\"");
    check_ok(world_load(&w, "mock"), &w.err);
    assert_int_equal(w.b->ops->logprobs(w.b, w.ids, 8, NULL, 3, top, &w.err), IL_E_UNSUPPORTED);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_come_back_within_a_percent),
        cmocka_unit_test(named_events_are_told_apart),
        cmocka_unit_test(chunks_are_counted_as_what_they_are),
        cmocka_unit_test(caches_and_truncation_are_seen),
        cmocka_unit_test(each_server_is_asked_what_it_knows),
        cmocka_unit_test(the_key_goes_to_the_server_alone),
        cmocka_unit_test(absurd_counters_are_no_numbers),
        cmocka_unit_test(every_failure_is_a_code_and_a_sentence),
        cmocka_unit_test(models_are_asked_for_by_name),
        cmocka_unit_test(entries_without_an_address_are_refused),
        cmocka_unit_test(closed_and_open_loops_keep_their_word),
        cmocka_unit_test(recordings_of_llama_cpp_read_right),
        cmocka_unit_test(log_probabilities_come_with_ids),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
