/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One generation: asked for, stamped chunk by chunk, and read when it is over.
 */
#include "backend/ollama.h"

#include "base/json.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_BYTES = 1024,          /* a chunk of one token is about 120 and the model's name */
    LOGPROBS_LINE_BYTES = 8192, /* with twenty alternatives */
    STORE_SLACK_BYTES = 64 << 10,
    SAME_CHUNKS = 31 /* Ollama ends a stream without a word after so many equal chunks */
};

/* --- the store of lines ----------------------------------------------------------------------- */

static int reserve(il__ollama_store *store, uint32_t n_lines, size_t line_bytes, il_error *err)
{
    size_t bytes = (size_t)n_lines * line_bytes + STORE_SLACK_BYTES;
    if (n_lines > store->cap_lines) {
        il__ollama_line *lines = realloc(store->lines, n_lines * sizeof *lines);
        if (!lines) {
            return il_fail(err, IL_E_NOMEM, "no memory for a stream of %u lines", n_lines);
        }
        store->lines = lines;
        store->cap_lines = n_lines;
    }
    if (bytes > store->cap) {
        char *grown = realloc(store->bytes, bytes);
        if (!grown) {
            return il_fail(err, IL_E_NOMEM, "no memory for a stream of %zu bytes", bytes);
        }
        memset(grown, 0, bytes); /* pages are there before the clock runs */
        store->bytes = grown;
        store->cap = bytes;
    }
    store->n_lines = 0;
    store->n_bytes = 0;
    return IL_OK;
}

static int keep_line(const char *line, size_t n_bytes, int64_t t_ns, void *user)
{
    il__ollama_store *store = user;
    if (n_bytes == 0) {
        return IL_OK;
    }
    if (store->n_lines == store->cap_lines || n_bytes > store->cap - store->n_bytes) {
        return IL_E_RANGE;
    }
    memcpy(store->bytes + store->n_bytes, line, n_bytes);
    store->lines[store->n_lines++] = (il__ollama_line){store->n_bytes, n_bytes, t_ns};
    store->n_bytes += n_bytes;
    return IL_OK;
}

static json_t *line_json(const il__ollama_store *store, uint32_t i)
{
    const il__ollama_line *line = &store->lines[i];
    return json_loadb(store->bytes + line->at, line->n_bytes, 0, NULL);
}

json_t *il__ollama_chunk(const il__ollama *o, uint32_t i, int64_t *t_ns)
{
    *t_ns = o->store.lines[i].t_ns;
    return line_json(&o->store, i);
}

/* --- asking ----------------------------------------------------------------------------------- */

json_t *il__ollama_options(const il__ollama *o)
{
    json_t *options = json_deep_copy(o->options);
    if (!options) {
        return NULL;
    }
    (void)json_object_del(options, "num_predict");
    (void)json_object_set_new(options, "num_ctx", json_integer(o->num_ctx_asked));
    if (!json_object_get(options, "temperature")) {
        (void)json_object_set_new(options, "temperature", json_integer(0));
    }
    if (!json_object_get(options, "seed")) {
        (void)json_object_set_new(options, "seed", json_integer(42));
    }
    /* A template that came with the model brings words that end a text; raw prompts have no turns.
     */
    if (!o->tr121 && !json_object_get(options, "stop")) {
        (void)json_object_set_new(options, "stop", json_array());
    }
    if (il_param_i64(o->entry, IL_P_THREADS) > 0 && !json_object_get(options, "num_thread")) {
        (void)json_object_set_new(options, "num_thread",
                                  json_integer(il_param_i64(o->entry, IL_P_THREADS)));
    }
    if (il_param_is_set(o->entry, IL_P_DEVICE) && !json_object_get(options, "num_gpu") &&
        strcmp(il_param_text(o->entry, IL_P_DEVICE), "cpu") == 0) {
        (void)json_object_set_new(options, "num_gpu", json_integer(0));
    }
    return options;
}

static char *request_text(const il__ollama *o, const il__ollama_ask_for *ask)
{
    json_t *options = il__ollama_options(o);
    if (options) {
        (void)json_object_set_new(options, "num_predict", json_integer(ask->n_predict));
    }
    if (options && ask->logprobs) {
        /* By default repeated tokens are penalised, and the choice is not the likeliest. */
        (void)json_object_set_new(options, "repeat_penalty", json_real(1));
        (void)json_object_set_new(options, "temperature", json_integer(0));
    }
    json_t *body = json_pack("{s:s,s:s,s:b,s:b,s:i,s:o}", "model", o->name, "prompt", ask->prompt,
                             "raw", 1, "stream", ask->stream, "keep_alive", -1, "options", options);
    if (body && !o->tr121) {
        /* A prompt that does not fit is refused instead of cut, and a full context ends the text.
         */
        (void)json_object_set_new(body, "truncate", json_false());
        (void)json_object_set_new(body, "shift", json_false());
    }
    if (body && ask->logprobs) {
        (void)json_object_set_new(body, "logprobs", json_true());
        (void)json_object_set_new(body, "top_logprobs", json_integer(IL__OLLAMA_MOST_LOGPROBS));
    }
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int64_t counter(const json_t *line, const char *key, bool *negative)
{
    const json_t *value = json_object_get(line, key);
    *negative = *negative || (json_is_number(value) && json_number_value(value) < 0);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
                                                                    : -1;
}

static void take_end(const json_t *line, int64_t t_ns, il__ollama_answer *out)
{
    const char *reason = json_string_value(json_object_get(line, "done_reason"));
    out->done = true;
    out->t_done_ns = t_ns;
    (void)snprintf(out->done_reason, sizeof out->done_reason, "%s", reason ? reason : "");
    out->total_ns = counter(line, "total_duration", &out->negative);
    out->load_ns = counter(line, "load_duration", &out->negative);
    out->prompt_n = counter(line, "prompt_eval_count", &out->negative);
    out->prompt_ns = counter(line, "prompt_eval_duration", &out->negative);
    out->eval_n = counter(line, "eval_count", &out->negative);
    out->eval_ns = counter(line, "eval_duration", &out->negative);
}

/* One line of the stream; lines that carry text move to the front of the store. */
static int take_line(il__ollama *o, uint32_t i, il__ollama_answer *out, il_error *err)
{
    il__ollama_store *store = &o->store;
    json_t *line = line_json(store, i);
    const char *error = json_string_value(json_object_get(line, "error"));
    const char *model = json_string_value(json_object_get(line, "model"));
    const char *text = json_string_value(json_object_get(line, "response"));
    int rc = IL_OK;
    if (!json_is_object(line)) {
        rc = il_fail(err, IL_E_INVALID, "line %u of the stream is no JSON object", i + 1);
        il_error_hint(err, "is this an Ollama server? A proxy in between may have put in its own");
    } else if (error) {
        rc =
            il_fail(err, IL_E_IO, "Ollama broke off after %u chunks: %.240s", out->n_chunks, error);
        il_error_hint(err, "the log of `ollama serve` says more");
    } else if (!model || !il__ollama_same_name(model, o->name)) {
        rc = il_fail(err, IL_E_INVALID, "asked for %s, answered by %.120s", o->name,
                     model ? model : "a model without a name");
        il_error_hint(err, "an alias or a proxy stands between; use the server's own address");
    } else if (out->done) {
        rc = il_fail(err, IL_E_INVALID, "the stream goes on after its end");
    } else {
        int64_t t_ns = store->lines[i].t_ns;
        if (json_is_true(json_object_get(line, "done"))) {
            take_end(line, t_ns, out);
        }
        if (text && text[0]) {
            store->lines[out->n_chunks++] = store->lines[i];
        }
    }
    json_decref(line);
    return rc;
}

/* Are the last chunks all of one text, white space around it aside? */
static bool repeats(const il__ollama *o, uint32_t n_chunks)
{
    char first[64] = "";
    if (n_chunks < SAME_CHUNKS) {
        return false;
    }
    for (uint32_t i = n_chunks - SAME_CHUNKS; i < n_chunks; i++) {
        json_t *line = line_json(&o->store, i);
        const char *text = json_string_value(json_object_get(line, "response"));
        char its[64];
        text = text ? text + strspn(text, " \t\r\n") : "";
        (void)snprintf(its, sizeof its, "%.*s", (int)strcspn(text, " \t\r\n"), text);
        json_decref(line);
        if (i > n_chunks - SAME_CHUNKS && strcmp(its, first) != 0) {
            return false;
        }
        (void)snprintf(first, sizeof first, "%s", its);
    }
    return true;
}

static int without_end(const il__ollama *o, const il__ollama_answer *answer, il_error *err)
{
    int rc;
    if (repeats(o, answer->n_chunks)) {
        rc = il_fail(err, IL_E_IO,
                     "Ollama ended the stream after %u chunks because the text repeats itself",
                     answer->n_chunks);
        il_error_hint(err, "options: {temperature: 1} on the backend entry gives a text that does "
                           "not; the time of a step does not depend on it");
    } else {
        rc = il_fail(err, IL_E_IO, "the stream ended after %u chunks without its last line",
                     answer->n_chunks);
        il_error_hint(err, "the log of `ollama serve` says why; nothing of this call is counted");
    }
    return rc;
}

static int read_stream(il__ollama *o, il__ollama_answer *out, il_error *err)
{
    int rc = IL_OK;
    for (uint32_t i = 0; rc == IL_OK && i < o->store.n_lines; i++) {
        rc = take_line(o, i, out, err);
    }
    return rc == IL_OK && !out->done ? without_end(o, out, err) : rc;
}

static int read_refusal(il__ollama *o, int status, il_error *err)
{
    json_t *line = o->store.n_lines > 0 ? line_json(&o->store, 0) : NULL;
    int rc = il__ollama_refusal(o, status, json_string_value(json_object_get(line, "error")), err);
    json_decref(line);
    return rc;
}

/* A stream that broke: is the server itself still there? Then only this call is lost. */
static int broken(il__ollama *o, int code, il_error *err)
{
    il_error ignored;
    if (code == IL_E_CRASHED &&
        il__ollama_ask(o, "/api/version", NULL, 2, NULL, &ignored) == IL_OK) {
        if (err) {
            err->code = IL_E_IO;
        }
        il_error_hint(err, "the server still answers; the log of `ollama serve` says more");
        return IL_E_IO;
    }
    if (code == IL_E_RANGE) {
        il_error_hint(err, "the server sent far more than was asked for");
        return IL_E_IO;
    }
    return code;
}

int il__ollama_generate(il__ollama *o, const il__ollama_ask_for *ask, il__ollama_answer *out,
                        il_error *err)
{
    *out = (il__ollama_answer){.total_ns = -1,
                               .load_ns = -1,
                               .prompt_n = -1,
                               .prompt_ns = -1,
                               .eval_n = -1,
                               .eval_ns = -1};
    int rc = reserve(&o->store, ask->n_predict + 16,
                     ask->logprobs ? LOGPROBS_LINE_BYTES : LINE_BYTES, err);
    char *text = rc == IL_OK ? request_text(o, ask) : NULL;
    if (rc == IL_OK && !text) {
        rc = il_fail(err, IL_E_INVALID, "the prompt is no text of UTF-8");
    }
    if (rc != IL_OK) {
        return rc;
    }
    il__http_stream stream = {.path = "/api/generate",
                              .body = text,
                              .n_body = strlen(text),
                              .deadline_s = ask->deadline_s,
                              .on_line = keep_line,
                              .user = &o->store};
    rc = il__http_run(o->http, &stream, err);
    free(text);
    out->t_sent_ns = stream.t_sent_ns;
    out->t_first_byte_ns = stream.t_first_byte_ns;
    out->new_connection = stream.new_connection;
    if (rc != IL_OK) {
        il_error inside = {0};
        /* What the server said before it broke says more than the break. */
        if (stream.status == 200 && read_stream(o, out, &inside) != IL_OK &&
            strstr(inside.what, "broke off") && err) {
            *err = inside;
            return inside.code;
        }
        return broken(o, rc, err);
    }
    return stream.status == 200 ? read_stream(o, out, err) : read_refusal(o, stream.status, err);
}
