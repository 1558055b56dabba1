/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Ollama: a model's life at the server. Loading starts a runner process there, unloading ends it.
 */
#include "backend/ollama.h"

#include "backend/process.h"
#include "base/json.h"
#include "base/text.h"
#include "os/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONTEXT_STEP = 256, CONTEXT_SPARE = 16, UNLOAD_S = 30 };

static il__ollama *self(il_backend *b)
{
    return (il__ollama *)b;
}

/* --- opening and asking ----------------------------------------------------------------------- */

static int read_options(il__ollama *o, il_error *err)
{
    const char *text = o->entry->values[IL_P_OPTIONS].text;
    if (!text) {
        o->options = json_object();
        return o->options ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for options");
    }
    int rc = il_json_parse(text, strlen(text), "options of the backend entry", &o->options, err);
    if (rc == IL_OK && !json_is_object(o->options)) {
        rc = il_fail(err, IL_E_INVALID, "options of the backend entry must be names with values");
    }
    return rc;
}

static void ollama_close(il_backend *b)
{
    il__ollama *o = self(b);
    if (!o) {
        return;
    }
    il__http_close(o->http);
    il__server_stop(o->server);
    json_decref(o->options);
    json_decref(o->proved);
    json_decref(o->hashes);
    il_tokenizer_free(o->tokenizer);
    free(o->last_prompt);
    free(o->store.bytes);
    free(o->store.lines);
    free(o);
}

static int ollama_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    *out = NULL;
    il__ollama *o = calloc(1, sizeof *o);
    if (!o) {
        return il_fail(err, IL_E_NOMEM, "no memory for a backend");
    }
    o->base.ops = &il__backend_ollama;
    o->entry = entry;
    o->tr121 = strcmp(il_param_text(entry, IL_P_COMPAT), "tr121") == 0;
    o->proved = json_object();
    o->hashes = json_object();
    int rc = o->proved && o->hashes ? read_options(o, err)
                                    : il_fail(err, IL_E_NOMEM, "no memory for a backend");
    if (rc == IL_OK && strcmp(il_param_text(entry, IL_P_SERVE), "auto") != 0) {
        const char *url = il_param_text(entry, IL_P_URL);
        rc = il__http_open(url ? url : "http://127.0.0.1:11434", NULL, &o->http, err);
    }
    if (rc != IL_OK) {
        ollama_close(&o->base);
        return rc;
    }
    *out = &o->base;
    return IL_OK;
}

static int check_entry(const il__ollama *o, const il_backend_model *model, il_error *err)
{
    const json_t *predict = json_object_get(o->options, "num_predict");
    json_int_t asked = json_is_integer(predict) ? json_integer_value(predict) : 1;
    int rc = IL_OK;
    if (model->max_batch > 1) {
        rc = il_fail(err, IL_E_UNSUPPORTED,
                     "Ollama takes one sequence a request, not a batch of %u", model->max_batch);
        il_error_hint(err, "batch_size: 1 on this backend entry");
    } else if (predict && (asked < 1 || asked > (json_int_t)model->max_gen_tok + 1)) {
        rc = il_fail(err, IL_E_INVALID,
                     "options.num_predict must lie between 1 and gen_tokens + 1 = %u",
                     model->max_gen_tok + 1);
        il_error_hint(err, "leave it out: gen_tokens of the study decides");
    } else if (strcmp(model->kind, "ollama") != 0 && !il__ollama_file(model)) {
        rc = il_fail(err, IL_E_UNSUPPORTED,
                     "Ollama reads GGUF files, and there is none of model %s", model->name);
        il_error_hint(err, "inferlaw model convert %s writes one",
                      model->path ? model->path : "DIR");
    }
    return rc;
}

/* The context a load sets up: as the entry says, else what the cells need, rounded up. */
static int64_t context_of(const il__ollama *o, const il_backend_model *model)
{
    const json_t *option = json_object_get(o->options, "num_ctx");
    if (json_is_integer(option)) {
        return json_integer_value(option);
    }
    if (il_param_has(o->entry, IL_P_NUM_CTX)) {
        return il_param_i64(o->entry, IL_P_NUM_CTX);
    }
    int64_t need = (int64_t)model->max_prompt_tok + model->max_gen_tok + 1 + CONTEXT_SPARE;
    return (need + CONTEXT_STEP - 1) / CONTEXT_STEP * CONTEXT_STEP;
}

static int64_t context_needed(const il_backend_model *model)
{
    return (int64_t)model->max_prompt_tok + model->max_gen_tok;
}

/* Where model_info of /api/show says how long the model's context may be, it must suffice. */
static int check_context(const json_t *shown, const il_backend_model *model, il_error *err)
{
    const json_t *info = json_object_get(shown, "model_info");
    const char *arch = json_string_value(json_object_get(info, "general.architecture"));
    char key[128];
    (void)snprintf(key, sizeof key, "%s.context_length", arch ? arch : "");
    json_int_t most = json_integer_value(json_object_get(info, key));
    if (most > 0 && context_needed(model) > most) {
        int rc = il_fail(err, IL_E_UNSUPPORTED,
                         "prompt and generation take %lld positions, model %s has %lld",
                         (long long)context_needed(model), model->name, (long long)most);
        il_error_hint(err, "a shorter prompt or fewer gen_tokens");
        return rc;
    }
    return IL_OK;
}

static int ollama_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    il__ollama *o = self(b);
    int rc = check_entry(o, model, err);
    char program[1024];
    bool file = il__ollama_file(model) != NULL;
    if (rc == IL_OK && file && strcmp(il_param_text(o->entry, IL_P_SERVE), "auto") == 0) {
        return il__serve_find("ollama", program, sizeof program, err);
    }
    rc = rc == IL_OK ? il__ollama_reach(o, NULL, NULL, err) : rc;
    if (rc == IL_OK && !file) {
        json_t *shown = NULL;
        rc = il__ollama_show(o, model->name, &shown, err);
        rc = rc == IL_OK ? check_context(shown, model, err) : rc;
        json_decref(shown);
    }
    return rc;
}

/* --- loading ---------------------------------------------------------------------------------- */

/* An empty generation: loads, or with keep_alive 0 unloads. */
static int empty_generation(il__ollama *o, int keep_alive, double deadline_s, il_error *err)
{
    json_t *options = il__ollama_options(o);
    json_t *body = json_pack("{s:s,s:i,s:b,s:o}", "model", o->name, "keep_alive", keep_alive,
                             "stream", 0, "options", options);
    json_t *reply = NULL;
    int rc = il__ollama_ask(o, "/api/generate", body, deadline_s, &reply, err);
    json_decref(body);
    const char *model = json_string_value(json_object_get(reply, "model"));
    if (rc == IL_OK && (!model || !il__ollama_same_name(model, o->name))) {
        rc = il_fail(err, IL_E_INVALID, "asked for %s, answered by %.120s", o->name,
                     model ? model : "a model without a name");
    }
    json_decref(reply);
    return rc;
}

static void nap(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Ends the model's runner, whoever started it, and waits until the server no longer lists it. */
static int end_runner(il__ollama *o, il_error *err)
{
    json_t *item = NULL;
    int64_t until_ns = il_clock_ns() + (int64_t)UNLOAD_S * 1000000000;
    int rc = il__ollama_running(o, o->name, &item, err);
    if (rc == IL_OK && item) {
        rc = empty_generation(o, 0, UNLOAD_S, err);
    }
    while (rc == IL_OK && item) {
        json_decref(item);
        nap(20);
        rc = il__ollama_running(o, o->name, &item, err);
        if (rc == IL_OK && item && il_clock_ns() > until_ns) {
            rc =
                il_fail(err, IL_E_TIMEOUT, "Ollama still holds %s %d s after it was told to let go",
                        o->name, UNLOAD_S);
            il_error_hint(err, "another client may be using it; `ollama stop %s`", o->name);
        }
    }
    json_decref(item);
    o->loaded = false;
    return rc;
}

static int64_t integer_or(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

/* What the server says of the model it has just loaded. */
static int read_back(il__ollama *o, const il_backend_model *model, il_error *err)
{
    json_t *item = NULL;
    int rc = il__ollama_running(o, o->name, &item, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (!item) {
        rc = il_fail(err, IL_E_NOT_FOUND, "Ollama took %s and does not list it as loaded", o->name);
        il_error_hint(err, "memory may be short: the log of `ollama serve` says more");
        return rc;
    }
    const char *digest = json_string_value(json_object_get(item, "digest"));
    (void)snprintf(o->digest, sizeof o->digest, "%s", digest ? digest : "");
    o->size_bytes = integer_or(item, "size", -1);
    o->size_vram_bytes = integer_or(item, "size_vram", -1);
    o->num_ctx = integer_or(item, "context_length", 0);
    json_decref(item);
    if (o->num_ctx > 0 && o->num_ctx < context_needed(model)) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "Ollama set up a context of %lld, the cells need %lld",
                     (long long)o->num_ctx, (long long)context_needed(model));
        il_error_hint(err, "num_ctx on the backend entry, a shorter prompt or fewer gen_tokens");
    }
    return rc;
}

/* "ARCH.KEY" of model_info, null when it is not there. */
static json_t *info_of(const json_t *shown, const char *key)
{
    const json_t *info = json_object_get(shown, "model_info");
    const char *arch = json_string_value(json_object_get(info, "general.architecture"));
    char name[160];
    (void)snprintf(name, sizeof name, "%s%s", key[0] == '.' && arch ? arch : "", key);
    const json_t *value = json_object_get(info, name);
    return json_is_integer(value) ? json_integer(json_integer_value(value)) : json_null();
}

static const char *processor_of(const il__ollama *o)
{
    if (o->size_vram_bytes <= 0) {
        return o->size_vram_bytes < 0 ? NULL : "cpu";
    }
    return o->size_vram_bytes >= o->size_bytes ? "gpu" : "cpu+gpu";
}

static json_t *bytes_or_null(int64_t n_bytes)
{
    return n_bytes < 0 ? json_null() : json_integer(n_bytes);
}

static json_t *facts_of(const il__ollama *o, const json_t *shown)
{
    const json_t *details = json_object_get(shown, "details");
    const char *size = json_string_value(json_object_get(details, "parameter_size"));
    const char *type = json_string_value(json_object_get(details, "quantization_level"));
    type = type && strcmp(type, "unknown") != 0 ? type : NULL;
    json_t *facts = json_pack(
        "{s:{s:s,s:s},s:s,s:s,s:s?,s:s?,s:o,s:I,s:I,s:o,s:o,s:s?}", "worker", "runtime", "ollama",
        "runtime_version", o->version, "model", o->name, "digest", o->digest, "quantization", type,
        "parameter_size", size, "params_millions", il_json_real(il__ollama_millions(size)),
        "num_ctx_asked", (json_int_t)o->num_ctx_asked, "num_ctx", (json_int_t)o->num_ctx,
        "size_bytes", bytes_or_null(o->size_bytes), "size_vram_bytes",
        bytes_or_null(o->size_vram_bytes), "processor", processor_of(o));
    if (facts) {
        (void)json_object_set_new(facts, "params_total", info_of(shown, "general.parameter_count"));
        (void)json_object_set_new(facts, "n_layer", info_of(shown, ".block_count"));
        (void)json_object_set_new(facts, "d_model", info_of(shown, ".embedding_length"));
        (void)json_object_set_new(facts, "n_head", info_of(shown, ".attention.head_count"));
    }
    return facts;
}

static json_t *stage(const char *name, int64_t t0_ns, int64_t t1_ns)
{
    return json_pack("{s:s,s:I,s:I,s:n}", "name", name, "t0_ns", (json_int_t)t0_ns, "t1_ns",
                     (json_int_t)t1_ns, "major_faults");
}

/* Forgets the model before. */
static void begin(il__ollama *o, const il_backend_model *model)
{
    const char *file = il__ollama_file(model);
    const char *path = file ? file : model->path;
    il_tokenizer_free(o->tokenizer);
    o->tokenizer = NULL;
    o->tokenizer_tried = false;
    (void)snprintf(o->tokenizer_path, sizeof o->tokenizer_path, "%s", path ? path : "");
    free(o->last_prompt);
    o->last_prompt = NULL;
    o->loaded = false;
    o->num_ctx_asked = context_of(o, model);
    o->num_ctx = 0;
    o->size_bytes = o->size_vram_bytes = -1;
}

static int ollama_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                       il_error *err)
{
    il__ollama *o = self(b);
    json_t *shown = NULL;
    *out = (il_load_result){.replication = "process"};
    begin(o, model);
    double deadline_s = il_param_f64(o->entry, IL_P_DEADLINE_S);
    int rc = il__ollama_reach(o, &out->t_spawn_ns, &out->t_hello_ns, err);
    int64_t t0_ns = il_clock_ns();
    rc = rc ? rc : il__ollama_provide(o, model, o->name, sizeof o->name, err);
    int64_t provided_ns = il_clock_ns();
    rc = rc ? rc : il__ollama_show(o, o->name, &shown, err);
    rc = rc ? rc : end_runner(o, err);
    out->t0_ns = il_clock_ns();
    rc = rc ? rc : empty_generation(o, -1, deadline_s, err);
    out->t1_ns = il_clock_ns();
    rc = rc ? rc : read_back(o, model, err);
    if (rc == IL_OK) {
        o->loaded = true;
        out->facts = facts_of(o, shown);
        const json_t *proof = il__ollama_prove(o);
        if (out->facts && proof) {
            (void)json_object_set(out->facts, "counters", (json_t *)(uintptr_t)proof);
        }
        out->stages = json_array();
        (void)json_array_append_new(out->stages, stage("provide", t0_ns, provided_ns));
        (void)json_array_append_new(out->stages, stage("load", out->t0_ns, out->t1_ns));
    }
    json_decref(shown);
    return rc;
}

static int ollama_unload(il_backend *b, il_error *err)
{
    il__ollama *o = self(b);
    if (!o->loaded || !o->http) {
        return IL_OK;
    }
    o->loaded = false;
    return end_runner(o, err);
}

static pid_t ollama_pid(const il_backend *b)
{
    const il__ollama *o = (const il__ollama *)b;
    return o->server ? il__server_pid(o->server) : 0;
}

const il_backend_ops il__backend_ollama = {
    .version = IL_BACKEND_VERSION,
    .kind = "ollama",
    .caps = IL_CAP_STEP_TIMES | IL_CAP_UNSPLIT | IL_CAP_SERVER | IL_CAP_LOGPROBS,
    .open = ollama_open,
    .supports = ollama_supports,
    .load = ollama_load,
    .prepare = il__ollama_prepare,
    .call = il__ollama_call,
    .logprobs = il__ollama_logprobs,
    .unload = ollama_unload,
    .pid = ollama_pid,
    .close = ollama_close,
};
