/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A call as the driver asks for it: the checks around one generation, and what it says about time.
 *
 * A server that returns N tokens ran one prefill and N − 1 decode steps, so gen_tokens steps are
 * gen_tokens + 1 tokens asked for; the original study asked for gen_tokens (compat: tr121).
 */
#include "backend/ollama.h"

#include "base/buf.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVICT_S 60.0

enum {
    LONG_PROMPT_TOK = 512, /* from here on a prefill costs far more than a step on any machine */
    LEAST_PREFILL_NS = 1000
};

il_tokenizer *il__ollama_tokenizer(il__ollama *o)
{
    if (!o->tokenizer_tried && o->tokenizer_path[0]) {
        (void)il_tokenizer_open(o->tokenizer_path, &o->tokenizer, NULL);
    }
    o->tokenizer_tried = true;
    return o->tokenizer;
}

static uint32_t tokens_to_ask(const il__ollama *o, uint32_t gen_tokens)
{
    const json_t *predict = json_object_get(o->options, "num_predict");
    if (json_is_integer(predict)) {
        return (uint32_t)json_integer_value(predict);
    }
    return o->tr121 ? gen_tokens : gen_tokens + 1;
}

int il__ollama_prepare(il_backend *b, const il_call_request *request, il_error *err)
{
    il__ollama *o = (il__ollama *)b;
    if (request->batch > 1 || request->depth_tok > 0) {
        int rc = il_fail(err, IL_E_UNSUPPORTED, "Ollama runs neither batches nor a filled cache");
        il_error_hint(err, "batch_size: 1 and no depth for this backend");
        return rc;
    }
    if (!request->prompt) {
        (void)il__ollama_tokenizer(o);
    }
    return IL_OK;
}

/* --- before the generation -------------------------------------------------------------------- */

/* The text to send: as given, else the text of the ids. */
static int prompt_of(il__ollama *o, const il_call_request *request, il_buf *text, il_error *err)
{
    if (request->prompt) {
        return il_buf_puts(text, request->prompt);
    }
    il_tokenizer *tokenizer = il__ollama_tokenizer(o);
    if (request->ids && tokenizer) {
        return il_tokenizer_decode(tokenizer, request->ids, request->n_ids, false, text, err);
    }
    int rc = il_fail(err, IL_E_UNSUPPORTED,
                     "Ollama takes text, and there is no tokenizer here that makes text of the ids "
                     "for model %s",
                     o->name);
    il_error_hint(err, "give the scenario a prompt");
    return rc;
}

/* Is the model still there, the same one, with the context it was loaded with? A model that is gone
 * is loaded again before the next call. */
static int check_running(il__ollama *o, il_error *err)
{
    json_t *item = NULL;
    int rc = il__ollama_running(o, o->name, &item, err);
    if (rc != IL_OK) {
        return rc;
    }
    const char *digest = json_string_value(json_object_get(item, "digest"));
    const json_t *context = json_object_get(item, "context_length");
    if (!item) {
        rc = il_fail(err, IL_E_NOT_FOUND, "model %s was unloaded between two calls", o->name);
        il_error_hint(err, "another client or OLLAMA_MAX_LOADED_MODELS pushed it out; serve: auto "
                           "gives the study a server of its own");
    } else if (digest && strcmp(digest, o->digest) != 0) {
        rc = il_fail(err, IL_E_INVALID, "another model stands under the name %s now", o->name);
        il_error_hint(err, "leave the server's models alone while a study runs, then --resume");
    } else if (json_is_integer(context) && json_integer_value(context) != o->num_ctx) {
        rc = il_fail(err, IL_E_INVALID, "another client loaded %s again with a context of %lld",
                     o->name, (long long)json_integer_value(context));
        il_error_hint(err, "serve: auto gives the study a server of its own");
    }
    json_decref(item);
    return rc;
}

/* Puts another text into the server's cache, so that the next prompt cannot be found in it. Ollama
 * keeps the last sequence of a slot and has no option against it. */
static int evict(il__ollama *o, const char *prompt, il_error *err)
{
    il__ollama_answer answer;
    il__ollama_ask_for ask = {.prompt = prompt[0] == '0' ? "~" : "0",
                              .n_predict = 1,
                              .stream = true,
                              .deadline_s = EVICT_S};
    return il__ollama_generate(o, &ask, &answer, err);
}

static const char *cache_before(il__ollama *o, const il_call_request *request, const char *prompt,
                                int *rc, il_error *err)
{
    bool same = o->last_prompt && strcmp(o->last_prompt, prompt) == 0;
    *rc = IL_OK;
    if (same && (o->tr121 || request->salted)) {
        return "kept"; /* the original's way, or a probe of the cache */
    }
    if (o->last_prompt && !o->tr121 && !request->salted) {
        *rc = evict(o, prompt, err);
        return "evicted";
    }
    return request->salted ? "salted" : "other";
}

/* --- after it --------------------------------------------------------------------------------- */

static void add_flag(il_call_result *r, const char *word)
{
    if (!r->flags) {
        r->flags = json_array();
    }
    if (r->flags) {
        (void)json_array_append_new(r->flags, json_string(word));
    }
}

static void spoil(il_call_result *r, const char *reason)
{
    (void)snprintf(r->status, sizeof r->status, "flagged");
    (void)snprintf(r->reason, sizeof r->reason, "%s", reason);
    add_flag(r, reason);
}

/* Tokens of each chunk by our own tokenizer; false when their sum is not the server's. */
static bool count_chunks(il__ollama *o, uint32_t n_chunks, int64_t n_tokens, uint32_t *counts)
{
    il_tokenizer *tokenizer = il__ollama_tokenizer(o);
    il_token_ids ids = {0};
    int64_t sum = 0;
    for (uint32_t i = 0; tokenizer && i < n_chunks; i++) {
        int64_t t_ns;
        json_t *chunk = il__ollama_chunk(o, i, &t_ns);
        const char *text = json_string_value(json_object_get(chunk, "response"));
        ids.n = 0;
        if (text) {
            (void)il_tokenizer_encode(tokenizer, text, strlen(text), false, &ids, NULL);
        }
        json_decref(chunk);
        counts[i] = (uint32_t)ids.n;
        sum += ids.n > 0 ? (int64_t)ids.n : INT32_MAX; /* a text without a token: not countable */
    }
    il_token_ids_free(&ids);
    return tokenizer && sum == n_tokens;
}

/* One arrival of tokens: how many had come by then, the first one aside. */
static void arrive(il_call_result *r, int64_t t_ns, uint32_t n_tok)
{
    if (r->stamp_tok) {
        r->t_step_ns[r->n_stamps] = t_ns;
        r->stamp_tok[r->n_stamps++] = n_tok;
        return;
    }
    while (r->n_stamps < n_tok) { /* no room for counts: the steps of a chunk share its stamp */
        r->t_step_ns[r->n_stamps++] = t_ns;
    }
}

/* Stamps of the steps. Mostly a chunk is a token, and the end token alone has no chunk; where
 * characters are spelled by several tokens, chunks hold more than one. */
static int place_stamps(il__ollama *o, const il__ollama_answer *a, int64_t n_tokens,
                        il_call_result *r, il_error *err)
{
    int64_t missing = n_tokens - a->n_chunks;
    bool end_token = strcmp(a->done_reason, "stop") == 0;
    bool plain = missing == 0 || (missing == 1 && end_token);
    uint32_t *counts = calloc(a->n_chunks, sizeof *counts);
    uint32_t arrived = 0;
    if (!counts) {
        return il_fail(err, IL_E_NOMEM, "no memory for the chunks of a stream");
    }
    bool known = plain || count_chunks(o, a->n_chunks, n_tokens - end_token, counts);
    for (uint32_t i = 0; known && i < a->n_chunks; i++) {
        arrived += plain ? 1 : counts[i];
        if (i > 0) {
            arrive(r, o->store.lines[i].t_ns, arrived - 1);
        }
    }
    free(counts);
    if (!known) {
        add_flag(r, "chunk_tokens_unknown");
    }
    if (arrived < n_tokens) {
        arrive(r, a->t_done_ns, (uint32_t)n_tokens - 1);
    }
    if (r->stamp_tok && r->n_stamps == r->n_steps) {
        r->stamp_tok = NULL; /* a stamp a step: the counts say nothing */
    }
    r->t_end_ns = r->n_stamps > 0 ? r->t_step_ns[r->n_stamps - 1] : a->t_done_ns;
    return IL_OK;
}

static double ms_or_nan(int64_t ns)
{
    return ns < 0 ? (double)NAN : (double)ns * 1e-6;
}

static json_t *int_or_null(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *server_json(const il__ollama *o, const il__ollama_answer *a, bool split,
                           const char *cache)
{
    json_t *server = json_pack(
        "{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:I,s:o,s:s}", "runtime", "ollama", "model",
        o->name, "wall_ms", il_json_real((double)(a->t_done_ns - a->t_sent_ns) * 1e-6),
        "total_duration_ms", il_json_real(ms_or_nan(a->total_ns)), "load_ms",
        il_json_real(ms_or_nan(a->load_ns)), "prompt_eval_count", int_or_null(a->prompt_n),
        "prompt_eval_ms", il_json_real(ms_or_nan(a->prompt_ns)), "eval_count",
        int_or_null(a->eval_n), "eval_ms", il_json_real(ms_or_nan(a->eval_ns)), "done_reason",
        a->done_reason, "n_chunks", (json_int_t)a->n_chunks, "size_vram_bytes",
        int_or_null(o->size_vram_bytes), "cache", cache);
    if (server && split) {
        int64_t first_ns = o->store.lines[0].t_ns;
        (void)json_object_set_new(server, "ttft_ms",
                                  il_json_real((double)(first_ns - a->t_sent_ns) * 1e-6));
        (void)json_object_set_new(server, "prefill_ms", il_json_real(ms_or_nan(a->prompt_ns)));
    }
    if (server && o->tr121) {
        (void)json_object_set_new(server, "gen_tokens_raw", int_or_null(a->eval_n));
    }
    return server;
}

/* What the counters say against what was asked. */
static void judge(const il__ollama *o, const il_call_request *request, const il__ollama_answer *a,
                  uint32_t asked, int64_t n_tokens, const char *cache, il_call_result *r)
{
    double step_ns = r->n_steps > 0 ? (double)(r->t_end_ns - r->t_first_ns) / r->n_steps : 0;
    bool all_here = a->prompt_n < 0 || request->n_ids == 0 || a->prompt_n >= request->n_ids;
    bool full = a->prompt_n >= 0 && o->num_ctx > 0 && a->prompt_n + n_tokens >= o->num_ctx;
    if (n_tokens < asked) {
        add_flag(r, "early_stop");
    }
    if ((n_tokens < asked && strcmp(a->done_reason, "length") == 0) || (!all_here && full)) {
        spoil(r, "truncated");
    } else if (strcmp(cache, "kept") == 0 || !all_here || (a->prompt_n < 0 && a->eval_n >= 0) ||
               (a->prompt_ns >= 0 && a->prompt_ns < LEAST_PREFILL_NS) ||
               (request->split && a->prompt_n >= LONG_PROMPT_TOK && a->prompt_ns >= 0 &&
                (double)a->prompt_ns < 1.2 * step_ns)) {
        add_flag(r, "prompt_cache_hit");
    } else if (request->n_ids > 0 && a->prompt_n > (int64_t)request->n_ids + 1) {
        add_flag(r, "prompt_tokens_differ");
    }
    if (o->size_vram_bytes > 0 && o->size_vram_bytes < o->size_bytes) {
        add_flag(r, "partial_offload");
    }
    if (strcmp(il_param_text(o->entry, IL_P_DEVICE), "cuda") == 0 && o->size_vram_bytes == 0) {
        spoil(r, "fallback");
    }
    if (o->num_ctx > 0 && o->num_ctx != o->num_ctx_asked) {
        add_flag(r, "num_ctx_changed");
    }
    if (a->new_connection) {
        add_flag(r, "new_connection");
    }
    if (!all_here && a->prompt_n >= 0) {
        r->cached_tok = (int64_t)request->n_ids - a->prompt_n;
    }
}

static int no_text(const il__ollama *o, const il__ollama_answer *a, il_error *err)
{
    int rc = il_fail(err, IL_E_TOO_FEW, "%s generated no text (%s)", o->name,
                     a->done_reason[0] ? a->done_reason : "no reason given");
    il_error_hint(err, "it took the prompt for a finished text: another prompt, or a model file "
                       "without an end token, as inferlaw makes them");
    return rc;
}

static int64_t first_visible(const il__ollama *o, uint32_t n_chunks)
{
    for (uint32_t i = 0; i < n_chunks; i++) {
        int64_t t_ns;
        json_t *chunk = il__ollama_chunk(o, i, &t_ns);
        const char *text = json_string_value(json_object_get(chunk, "response"));
        bool visible = text && text[strspn(text, " \t\r\n")];
        json_decref(chunk);
        if (visible) {
            return t_ns;
        }
    }
    return 0;
}

/* Counters that cannot be: a time longer than the whole call, a prompt that no context holds. They
 * become "not said". True when there was one. */
static bool drop_absurd(const il__ollama *o, il__ollama_answer *a)
{
    int64_t wall_ns = a->t_done_ns - a->t_sent_ns;
    int64_t most_ns = wall_ns + wall_ns / 100 + 1000000; /* another machine's clock may run so */
    int64_t *times[] = {&a->total_ns, &a->load_ns, &a->prompt_ns, &a->eval_ns};
    int64_t most_tok = o->num_ctx > 0 ? o->num_ctx : INT32_MAX;
    bool any = a->prompt_n > most_tok;
    a->prompt_n = any ? -1 : a->prompt_n;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        bool absurd = *times[i] > most_ns;
        *times[i] = absurd ? -1 : *times[i];
        any = any || absurd;
    }
    return any;
}

static int fill_result(il__ollama *o, const il_call_request *request, il__ollama_answer *a,
                       uint32_t asked, const char *cache, il_call_result *r, il_error *err)
{
    int64_t n_tokens = a->eval_n >= 0 ? a->eval_n : a->n_chunks;
    int rc = IL_OK;
    bool absurd = a->negative || drop_absurd(o, a);
    if (a->n_chunks == 0 || n_tokens < 2) {
        return no_text(o, a, err);
    }
    if (n_tokens > asked || (request->split && n_tokens < a->n_chunks)) {
        rc = il_fail(err, IL_E_INVALID, "asked for %u tokens, Ollama counts %lld in %u chunks",
                     asked, (long long)n_tokens, a->n_chunks);
        il_error_hint(err, "its counters cannot be trusted; look at the version of the server");
        return rc;
    }
    r->n_steps = (uint32_t)n_tokens - 1;
    r->t0_ns = a->t_sent_ns;
    r->t_first_byte_ns = a->t_first_byte_ns;
    r->prompt_tok = a->prompt_n > 0 ? (uint32_t)a->prompt_n : request->n_ids;
    (void)snprintf(r->status, sizeof r->status, "ok");
    if (request->split) {
        r->t_first_ns = o->store.lines[0].t_ns;
        r->t_first_visible_ns = first_visible(o, a->n_chunks);
        rc = place_stamps(o, a, n_tokens, r, err);
    } else {
        r->t_end_ns = a->t_done_ns;
    }
    if (rc == IL_OK) {
        judge(o, request, a, asked, n_tokens, cache, r);
        if (absurd) {
            spoil(r, "counters_absurd");
        }
        r->server = server_json(o, a, request->split, cache);
    }
    return rc;
}

static int load_again(il__ollama *o, il_call_result *r, il_error *err)
{
    if (o->loaded) {
        return IL_OK;
    }
    il__ollama_answer answer;
    il__ollama_ask_for ask = {.prompt = "0", .n_predict = 1, .stream = true, .deadline_s = 600};
    int rc = il__ollama_generate(o, &ask, &answer, err);
    o->loaded = rc == IL_OK;
    if (rc == IL_OK) {
        add_flag(r, "reloaded");
    }
    return rc;
}

static int run(il__ollama *o, const il_call_request *request, const char *prompt, il_call_result *r,
               il_error *err)
{
    uint32_t asked = tokens_to_ask(o, request->gen_tokens);
    int rc = load_again(o, r, err);
    rc = rc ? rc : check_running(o, err);
    if (rc == IL_E_NOT_FOUND) {
        o->loaded = false;
    }
    if (rc != IL_OK) {
        return rc;
    }
    const char *cache = cache_before(o, request, prompt, &rc, err);
    if (rc != IL_OK) {
        return rc;
    }
    il__ollama_answer answer;
    il__ollama_ask_for ask = {.prompt = prompt,
                              .n_predict = asked,
                              .stream = request->split,
                              .deadline_s = request->deadline_s};
    rc = il__ollama_generate(o, &ask, &answer, err);
    free(o->last_prompt);
    o->last_prompt = strdup(prompt);
    return rc == IL_OK ? fill_result(o, request, &answer, asked, cache, r, err) : rc;
}

int il__ollama_call(il_backend *b, const il_call_request *request, il_call_result *result,
                    il_error *err)
{
    il__ollama *o = (il__ollama *)b;
    il_buf prompt;
    il_error why = {0};
    il_buf_init(&prompt, 64u << 20);
    result->n_stamps = 0;
    result->cached_tok = -1;
    int rc = prompt_of(o, request, &prompt, &why);
    if (rc == IL_OK && prompt.len == 0) {
        rc = il_fail(&why, IL_E_INVALID, "an empty prompt only loads the model");
        il_error_hint(&why, "give the scenario a prompt of at least one token");
    }
    rc = rc ? rc : run(o, request, il_buf_text(&prompt), result, &why);
    il_buf_free(&prompt);
    if (rc != IL_OK) {
        (void)snprintf(result->status, sizeof result->status, "error");
        (void)snprintf(result->reason, sizeof result->reason, "%s", il_code_name(rc));
        json_decref(result->flags);
        result->flags = NULL;
        if (err) {
            *err = why;
        }
    }
    return rc;
}
