/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * OpenAI-compatible servers (docs/openai.md): what is asked of each, and the calls. Token ids go
 * where the server takes them, else the text as it stands; one token more than steps is asked for,
 * because the first comes out of the prefill.
 */
#include "backend/openai.h"

#include "backend/process.h"
#include "base/json.h"
#include "os/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *path_of(const il__openai *o)
{
    return o->chat ? "/v1/chat/completions" : "/v1/completions";
}

/* --- life ------------------------------------------------------------------------------------- */

static bool serves_itself(const il__openai *o)
{
    return strcmp(il_param_text(o->entry, IL_P_SERVE), "auto") == 0;
}

/* "vllm" or "llama.cpp" for `serve: auto`; NULL: neither. */
static const char *program_of(const il__openai *o)
{
    const char *server = il_param_text(o->entry, IL_P_SERVER);
    return strcmp(server, "vllm") == 0                                       ? "vllm"
           : strcmp(server, "auto") == 0 || strcmp(server, "llama.cpp") == 0 ? "llama.cpp"
                                                                             : NULL;
}

static int openai_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    il__openai *o = calloc(1, sizeof *o);
    if (!o) {
        return il_fail(err, IL_E_NOMEM, "out of memory for a backend");
    }
    o->base.ops = &il__backend_openai;
    o->entry = entry;
    o->chat = strcmp(il_param_text(entry, IL_P_ENDPOINT), "chat") == 0;
    int rc = IL_OK;
    if (!serves_itself(o) && !il_param_has(entry, IL_P_URL)) {
        rc = il_fail(err, IL_E_USAGE, "an entry of kind openai needs the address of its server");
        il_error_hint(err, "url: http://127.0.0.1:8000, or serve: auto");
    } else if (serves_itself(o) && !program_of(o)) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "serve: auto starts llama.cpp and vllm, not %s",
                     il_param_text(entry, IL_P_SERVER));
        il_error_hint(err, "start it yourself and give its url:");
    } else if (il_param_i64(entry, IL_P_BATCH_SIZE) != 1) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "a server batches what arrives at the same time");
        il_error_hint(err, "concurrency: N instead of batch_size: N");
    }
    if (rc != IL_OK) {
        free(o);
        return rc;
    }
    *out = &o->base;
    return IL_OK;
}

/* What vLLM's attention for processors is compiled for; it ends at the start with any other. */
static int check_vllm_heads(const il__openai *o, const il_backend_model *model, il_error *err)
{
    static const uint32_t known[] = {32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512};
    bool found = model->head_size == 0 || strcmp(il_param_text(o->entry, IL_P_DEVICE), "cuda") == 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        found = found || known[i] == model->head_size;
    }
    if (found) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_UNSUPPORTED,
                     "vLLM on a processor has no attention for heads of %u numbers (it knows 32, "
                     "64, 80, 96, 112, 128, 160, 192, 224, 256 and 512)",
                     model->head_size);
    il_error_hint(err, "another runtime runs it; or a shape with one of these head sizes");
    return rc;
}

static int openai_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    il__openai *o = (il__openai *)b;
    char program[4096];
    if (!serves_itself(o)) {
        return IL_OK; /* asked when it is loaded: nothing is connected to before a run begins */
    }
    bool llama = strcmp(program_of(o), "llama.cpp") == 0;
    if (llama ? !model->file : !model->path) {
        int rc = il_fail(err, IL_E_UNSUPPORTED, "%s needs the model as a %s", program_of(o),
                         llama ? "GGUF file" : "checkpoint directory");
        il_error_hint(err, llama ? "inferlaw model convert DIR --format gguf makes one"
                                 : "name a checkpoint directory as the model");
        return rc;
    }
    int rc = llama ? IL_OK : check_vllm_heads(o, model, err);
    return rc ? rc : il__serve_find(program_of(o), program, sizeof program, err);
}

static int openai_unload(il_backend *b, il_error *err)
{
    (void)err;
    il__openai *o = (il__openai *)b;
    il__http_close(o->http);
    il__server_stop(o->child);
    o->http = NULL;
    o->child = NULL;
    return IL_OK;
}

static int start_server(il__openai *o, const il_backend_model *model, il_load_result *out,
                        il_error *err)
{
    const il_param_set *e = o->entry;
    int64_t concurrency = il_param_i64(e, IL_P_CONCURRENCY);
    bool llama = strcmp(program_of(o), "llama.cpp") == 0;
    uint32_t need = model->max_prompt_tok + model->max_gen_tok + 8;
    il__serve_request request = {
        .kind = program_of(o),
        .model = llama ? model->file : model->path,
        .served_name = model->name,
        .dtype = il_param_text(e, IL_P_DTYPE),
        .device = il_param_text(e, IL_P_DEVICE),
        .threads = (uint32_t)il_param_i64(e, IL_P_THREADS),
        .affinity = il_param_text(e, IL_P_AFFINITY),
        .n_ctx = il_param_has(e, IL_P_NUM_CTX) ? (uint32_t)il_param_i64(e, IL_P_NUM_CTX) : need,
        .parallel = concurrency > 0 ? (uint32_t)concurrency : 1,
        .ready_s = il_param_f64(e, IL_P_DEADLINE_S),
    };
    return il__server_start(&request, &o->child, &out->t_spawn_ns, &out->t_hello_ns, err);
}

static json_t *facts_of(const il__openai *o)
{
    json_t *facts = json_pack("{s:s,s:s,s:b}", "server", il__openai_kind_name(o->kind),
                              "served_model", o->model, "ours", o->child != NULL);
    if (facts && o->version[0]) {
        (void)json_object_set_new(facts, "version", json_string(o->version));
    }
    if (facts && o->n_ctx) {
        (void)json_object_set_new(facts, "n_ctx", json_integer(o->n_ctx));
    }
    return facts;
}

static int openai_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                       il_error *err)
{
    il__openai *o = (il__openai *)b;
    const char *key_name = il_param_text(o->entry, IL_P_API_KEY_ENV);
    const char *key = key_name ? getenv(key_name) : NULL;
    char url[1024];
    *out = (il_load_result){.t0_ns = il_clock_ns(), .replication = "none"};
    (void)openai_unload(b, NULL);
    if (key_name && !key) {
        int rc = il_fail(err, IL_E_USAGE, "the environment has no %s", key_name);
        il_error_hint(err, "export %s=KEY before inferlaw", key_name);
        return rc;
    }
    int rc = IL_OK;
    if (serves_itself(o)) {
        rc = start_server(o, model, out, err);
        out->replication = "process";
    }
    if (rc == IL_OK) {
        const char *text = o->child ? il__server_url(o->child) : il_param_text(o->entry, IL_P_URL);
        size_t n = strlen(text);
        n -= n > 0 && text[n - 1] == '/' ? 1 : 0;
        n -= n > 3 && strncmp(text + n - 3, "/v1", 3) == 0 ? 3 : 0; /* people copy it with it */
        (void)snprintf(url, sizeof url, "%.*s", (int)(n < sizeof url ? n : 0), text);
        rc = il__http_open(url, key, &o->http, err);
    }
    rc = rc == IL_OK ? il__openai_meet(o, strcmp(model->name, "auto") == 0 ? "" : model->name, err)
                     : rc;
    out->t1_ns = il_clock_ns();
    if (rc != IL_OK) {
        (void)openai_unload(b, NULL);
        return rc;
    }
    if (out->t_hello_ns) {
        out->stages = json_pack("[{s:s,s:I,s:I,s:n}]", "name", "server_ready", "t0_ns",
                                (json_int_t)out->t_spawn_ns, "t1_ns", (json_int_t)out->t_hello_ns,
                                "major_faults");
    }
    out->facts = facts_of(o);
    return IL_OK;
}

static pid_t openai_pid(const il_backend *b)
{
    const il__openai *o = (const il__openai *)b;
    return o->child ? il__server_pid(o->child) : 0;
}

static void openai_close(il_backend *b)
{
    if (!b) {
        return;
    }
    il__openai *o = (il__openai *)b;
    (void)openai_unload(b, NULL);
    for (uint32_t i = 0; i < o->n_logs; i++) {
        il__sse_log_free(&o->logs[i]);
    }
    free(o->logs);
    free(o->model);
    free(o);
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool takes_ids(const il__openai *o)
{
    return !o->chat && (o->kind == IL__OPENAI_VLLM || o->kind == IL__OPENAI_LLAMA ||
                        o->kind == IL__OPENAI_SGLANG || o->kind == IL__OPENAI_TRTLLM);
}

static int openai_prepare(il_backend *b, const il_call_request *request, il_error *err)
{
    const il__openai *o = (const il__openai *)b;
    int rc = IL_OK;
    if (request->depth_tok > 0) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "a server's cache cannot be filled untimed");
        il_error_hint(err, "a longer prompt_tokens instead of depth_tok");
    } else if (!request->prompt && !(request->ids && takes_ids(o))) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "%s takes text%s, and the ids of this prompt have none",
                     o->kind == IL__OPENAI_OTHER ? "this server" : il__openai_kind_name(o->kind),
                     o->chat ? " in chat calls" : "");
        il_error_hint(err, "give the scenario a prompt: text, or the model a path: with its "
                           "tokenizer.json");
    } else if (o->n_ctx && request->n_ids + request->gen_tokens + 1 > o->n_ctx) {
        rc = il_fail(err, IL_E_RANGE, "%u tokens of prompt and %u steps exceed its context of %u",
                     request->n_ids, request->gen_tokens, o->n_ctx);
        il_error_hint(err, "a shorter prompt, or a server with a longer context (num_ctx:)");
    }
    return rc;
}

static json_t *prompt_json(const il__openai *o, const il_call_request *request)
{
    if (o->chat) {
        return json_pack("[{s:s,s:s}]", "role", "user", "content", request->prompt);
    }
    if (request->ids && takes_ids(o)) {
        json_t *list = json_array();
        for (uint32_t i = 0; list && i < request->n_ids; i++) {
            (void)json_array_append_new(list, json_integer(request->ids[i]));
        }
        return list;
    }
    return json_string(request->prompt);
}

/* What each server knows that forces the length, keeps caches out and counts tokens. */
static void add_options(const il__openai *o, const il_call_request *request, json_t *body)
{
    json_int_t n = (json_int_t)request->gen_tokens + 1;
    bool knows_length =
        o->kind == IL__OPENAI_VLLM || o->kind == IL__OPENAI_SGLANG || o->kind == IL__OPENAI_TRTLLM;
    bool counts = o->kind == IL__OPENAI_VLLM || o->kind == IL__OPENAI_TRTLLM;
    if (knows_length || o->kind == IL__OPENAI_LLAMA) {
        (void)json_object_set_new(body, "ignore_eos", json_true());
    }
    if (knows_length) {
        (void)json_object_set_new(body, "min_tokens", json_integer(n));
    }
    if (o->kind == IL__OPENAI_LLAMA) {
        (void)json_object_set_new(body, "cache_prompt", json_false());
        (void)json_object_set_new(body, "timings_per_token", json_true());
    }
    if (request->split) {
        json_t *options = json_pack("{s:b}", "include_usage", 1);
        if (options && counts) {
            (void)json_object_set_new(options, "continuous_usage_stats", json_true());
        }
        (void)json_object_set_new(body, "stream_options", options);
        if (o->kind == IL__OPENAI_VLLM) {
            (void)json_object_set_new(body, "return_token_ids", json_true());
        }
    }
}

static char *body_text(const il__openai *o, const il_call_request *request)
{
    json_t *body =
        json_pack("{s:s,s:o,s:I,s:i,s:b}", "model", o->model, o->chat ? "messages" : "prompt",
                  prompt_json(o, request), "max_tokens", (json_int_t)request->gen_tokens + 1,
                  "temperature", 0, "stream", request->split);
    if (body) {
        add_options(o, request, body);
    }
    char *text = body ? il_json_dump(body) : NULL;
    json_decref(body);
    return text;
}

static int reserve_logs(il__openai *o, uint32_t n, uint32_t n_tok, il_error *err)
{
    if (o->n_logs < n) {
        il__sse_log *logs = realloc(o->logs, n * sizeof *logs);
        if (!logs) {
            return il_fail(err, IL_E_NOMEM, "no memory for %u streams", n);
        }
        memset(logs + o->n_logs, 0, (n - o->n_logs) * sizeof *logs);
        o->logs = logs;
        o->n_logs = n;
    }
    for (uint32_t i = 0; i < n; i++) {
        int rc = il__sse_log_reserve(&o->logs[i], n_tok, err);
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

static void result_clear(il_call_result *r)
{
    *r = (il_call_result){.t_step_ns = r->t_step_ns,
                          .stamp_tok = r->stamp_tok,
                          .gen_ids = r->gen_ids,
                          .cached_tok = -1,
                          .prefill_event_ms = (double)NAN,
                          .decode_event_ms = (double)NAN,
                          .gpu_peak_mb = (double)NAN,
                          .major_faults = UINT64_MAX,
                          .minor_faults = UINT64_MAX,
                          .ctx_involuntary = UINT64_MAX};
}

static void result_fail(il_call_result *r, int code)
{
    json_decref(r->flags);
    r->flags = NULL;
    (void)snprintf(r->status, sizeof r->status, "error");
    (void)snprintf(r->reason, sizeof r->reason, "%s", il_code_name(code));
}

/* One stream that is over, as a result. */
static int finish(il__openai *o, const il_call_request *request, const il__http_stream *s,
                  const il__sse_log *log, il_call_result *out, il_error *err)
{
    int rc = s->code;
    if (rc != IL_OK) {
        (void)il_fail(err, rc, "%s", s->what);
        const char *last =
            o->child && !il__server_alive(o->child) ? il__server_last_line(o->child) : "";
        il_error_hint(err, "%s%s",
                      last[0] ? "the server ended; it last said: "
                      : rc == IL_E_TIMEOUT
                          ? "deadline_s: gives it longer; its own log says what it does"
                          : "is the server still there? its own log says more",
                      last);
    } else {
        rc = il__openai_read(o, request, s, log, out, err);
    }
    if (rc != IL_OK) {
        result_fail(out, rc);
    }
    return rc;
}

static int openai_call(il_backend *b, const il_call_request *request, il_call_result *result,
                       il_error *err)
{
    il__openai *o = (il__openai *)b;
    result_clear(result);
    int rc = reserve_logs(o, 1, request->gen_tokens + 1, err);
    char *body = rc == IL_OK ? body_text(o, request) : NULL;
    if (rc == IL_OK && !body) {
        rc = il_fail(err, IL_E_INVALID, "the prompt is no UTF-8 text, or memory is out");
    }
    if (rc != IL_OK) {
        result_fail(result, rc);
        free(body);
        return rc;
    }
    il__http_stream s = {.path = path_of(o),
                         .body = body,
                         .n_body = strlen(body),
                         .deadline_s = request->deadline_s,
                         .on_line = il__sse_log_line,
                         .user = &o->logs[0]};
    (void)il__http_run(o->http, &s, NULL);
    rc = finish(o, request, &s, &o->logs[0], result, err);
    free(body);
    return rc;
}

/* --- many ------------------------------------------------------------------------------------- */

/* Poisson arrivals: exponential gaps of a stream of random numbers (splitmix64) of the seed. */
static double gap_s(uint64_t *state, double rate_per_s)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    double u = ((double)(z >> 11) + 0.5) * 0x1p-53;
    return -log(u) / rate_per_s;
}

static int openai_call_many(il_backend *b, const il_call_request *requests, il_call_result *results,
                            uint32_t n, const il_arrivals *arrivals, il_error *err)
{
    enum { LEAD_NS = 20000000 }; /* the first is due when everything is in place */
    il__openai *o = (il__openai *)b;
    uint32_t most_tok = 1;
    uint64_t state = arrivals->seed;
    char **bodies = calloc((size_t)n + 1, sizeof *bodies);
    il__http_stream *streams = calloc((size_t)n + 1, sizeof *streams);
    int rc = bodies && streams ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for %u streams", n);
    for (uint32_t i = 0; i < n; i++) {
        most_tok = requests[i].gen_tokens + 1 > most_tok ? requests[i].gen_tokens + 1 : most_tok;
        result_clear(&results[i]);
        result_fail(&results[i], IL_E_INTERNAL); /* until it is known better */
    }
    rc = rc == IL_OK ? reserve_logs(o, n, most_tok, err) : rc;
    for (uint32_t i = 0; rc == IL_OK && i < n; i++) {
        bodies[i] = body_text(o, &requests[i]);
        if (!bodies[i]) {
            rc = il_fail(err, IL_E_INVALID, "the prompt is no UTF-8 text, or memory is out");
            break;
        }
        streams[i] = (il__http_stream){.path = path_of(o),
                                       .body = bodies[i],
                                       .n_body = strlen(bodies[i]),
                                       .deadline_s = requests[i].deadline_s,
                                       .on_line = il__sse_log_line,
                                       .user = &o->logs[i]};
    }
    double at_s = 0;
    int64_t start_ns = il_clock_ns() + LEAD_NS;
    for (uint32_t i = 0; rc == IL_OK && i < n && arrivals->rate_per_s > 0; i++) {
        at_s += i > 0 ? gap_s(&state, arrivals->rate_per_s) : 0;
        streams[i].t_due_ns = start_ns + (int64_t)(at_s * 1e9);
    }
    rc = rc == IL_OK ? il__http_run_many(o->http, streams, n, arrivals->concurrency, err) : rc;
    for (uint32_t i = 0; rc == IL_OK && i < n; i++) {
        il_error why = {0};
        result_clear(&results[i]);
        if (finish(o, &requests[i], &streams[i], &o->logs[i], &results[i], &why) != IL_OK) {
            results[i].server = json_pack("{s:s,s:s}", "message", why.what, "hint", why.hint);
        }
        results[i].t_scheduled_ns = streams[i].t_due_ns;
    }
    for (uint32_t i = 0; bodies && i < n; i++) {
        free(bodies[i]);
    }
    free(bodies);
    free(streams);
    return rc;
}

const il_backend_ops il__backend_openai = {
    .version = IL_BACKEND_VERSION,
    .kind = "openai",
    .caps = IL_CAP_STEP_TIMES | IL_CAP_UNSPLIT | IL_CAP_TOKEN_IDS | IL_CAP_SERVER | IL_CAP_MANY |
            IL_CAP_LOGPROBS,
    .open = openai_open,
    .supports = openai_supports,
    .load = openai_load,
    .prepare = openai_prepare,
    .call = openai_call,
    .call_many = openai_call_many,
    .logprobs = il__openai_logprobs,
    .unload = openai_unload,
    .pid = openai_pid,
    .close = openai_close,
};
