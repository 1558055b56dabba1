/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A finished stream of events as a call: which tokens had come at which stamp. A chunk is not a
 * token; how many it held is told, in this order, by its token ids, by running usage counts, by the
 * server's timings, or by one token a chunk where the total says so. Nothing is tokenised again.
 */
#include "backend/openai.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENT_BYTES = 1024, MAX_TEXT_BYTES = 64 << 20, MAX_OTHER_BYTES = 64 << 10 };

/* --- keeping ---------------------------------------------------------------------------------- */

int il__sse_log_reserve(il__sse_log *log, uint32_t n_tok, il_error *err)
{
    uint32_t cap = n_tok < IL__OPENAI_MAX_EVENTS / 2 ? 2 * n_tok + 64 : IL__OPENAI_MAX_EVENTS;
    il_buf_free(&log->other);
    il_buf_init(&log->other, MAX_OTHER_BYTES);
    if (log->cap < cap) {
        il__sse_event *events = realloc(log->events, cap * sizeof *events);
        if (!events) {
            return il_fail(err, IL_E_NOMEM, "no memory for a stream's events");
        }
        log->events = events;
        log->cap = cap;
    }
    if (log->text.cap < (size_t)cap * EVENT_BYTES / 2) {
        size_t room = (size_t)cap * EVENT_BYTES / 2;
        room = room < MAX_TEXT_BYTES ? room : MAX_TEXT_BYTES - 1;
        char *blank = calloc(1, room);
        il_buf_free(&log->text);
        il_buf_init(&log->text, MAX_TEXT_BYTES);
        int rc = blank ? il_buf_append(&log->text, blank, room) : IL_E_NOMEM;
        free(blank);
        if (rc != IL_OK) {
            return il_fail(err, rc, "no memory for a stream's text");
        }
    }
    il__sse_log_clear(log);
    return IL_OK;
}

void il__sse_log_free(il__sse_log *log)
{
    il_buf_free(&log->text);
    il_buf_free(&log->other);
    free(log->events);
    *log = (il__sse_log){0};
}

void il__sse_log_clear(il__sse_log *log)
{
    il_buf_clear(&log->text);
    il_buf_clear(&log->other);
    log->n = 0;
}

int il__sse_log_line(const char *line, size_t n_bytes, int64_t t_ns, void *user)
{
    il__sse_log *log = user;
    size_t n;
    const char *data = il__sse_data(line, n_bytes, &n);
    if (!data) {
        (void)il_buf_append(&log->other, line, n_bytes); /* past its limit nothing more is kept */
        return IL_OK;
    }
    if (log->n == log->cap) {
        uint32_t cap = log->cap < IL__OPENAI_MAX_EVENTS ? 2 * log->cap + 64 : 0;
        il__sse_event *events = cap ? realloc(log->events, cap * sizeof *events) : NULL;
        if (!events) {
            return IL_E_PROTOCOL;
        }
        log->events = events;
        log->cap = cap;
    }
    log->events[log->n++] = (il__sse_event){t_ns, log->text.len, n};
    return il_buf_append(&log->text, data, n) == IL_OK ? IL_OK : IL_E_PROTOCOL;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Ways to know how many tokens have come, best first. */
enum { BY_IDS, BY_USAGE, BY_TIMINGS, BY_CHUNKS, N_WAYS };

typedef struct token_event {
    int64_t t_ns;
    uint32_t cum[N_WAYS];
} token_event;

typedef struct reading {
    token_event *events; /* those that may bring tokens */
    uint32_t n;
    uint32_t told[N_WAYS]; /* events that told a count in this way */
    uint32_t cum[N_WAYS];  /* so far */
    int64_t t_visible_ns;
    int64_t n_prompt, n_completion, n_cached; /* −1 = not told */
    json_t *usage, *timings;                  /* the last ones, new references */
    char finish[32];
    bool done;
} reading;

static int64_t count_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
                   json_integer_value(value) < INT32_MAX
               ? (int64_t)json_integer_value(value)
               : -1;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void take_counts(reading *r, const json_t *event, const json_t *choice)
{
    json_t *usage = json_object_get(event, "usage");
    json_t *timings = json_object_get(event, "timings");
    const json_t *ids = json_object_get(choice, "token_ids");
    if (json_is_array(ids) && json_array_size(ids) < IL__OPENAI_MAX_EVENTS) {
        r->cum[BY_IDS] += (uint32_t)json_array_size(ids);
        r->told[BY_IDS] += json_array_size(ids) > 0;
    }
    if (json_is_object(usage)) {
        int64_t n = count_of(usage, "completion_tokens");
        json_decref(r->usage);
        r->usage = json_incref(usage);
        r->n_completion = n >= 0 ? n : r->n_completion;
        if (choice && n >= r->cum[BY_USAGE]) {
            r->cum[BY_USAGE] = (uint32_t)n;
            r->told[BY_USAGE]++;
        }
    }
    if (json_is_object(timings)) {
        int64_t n = count_of(timings, "predicted_n");
        json_decref(r->timings);
        r->timings = json_incref(timings);
        if (choice && n >= r->cum[BY_TIMINGS]) {
            r->cum[BY_TIMINGS] = (uint32_t)n;
            r->told[BY_TIMINGS]++;
        }
    }
}

static void take_event(reading *r, const json_t *event, int64_t t_ns)
{
    const json_t *choice = json_array_get(json_object_get(event, "choices"), 0);
    const json_t *delta = json_object_get(choice, "delta");
    const char *shown = delta ? text_of(delta, "content") : text_of(choice, "text");
    const char *finish = text_of(choice, "finish_reason");
    bool hidden =
        delta && (text_of(delta, "reasoning_content")[0] || text_of(delta, "reasoning")[0] ||
                  json_array_size(json_object_get(delta, "tool_calls")) > 0);
    if (finish[0]) {
        (void)snprintf(r->finish, sizeof r->finish, "%s", finish);
    }
    take_counts(r, event, choice);
    if (shown[0] || hidden) {
        r->cum[BY_CHUNKS]++;
        r->told[BY_CHUNKS]++;
    }
    if (shown[0] && r->t_visible_ns == 0) {
        r->t_visible_ns = t_ns;
    }
    if (choice) {
        token_event *e = &r->events[r->n++];
        e->t_ns = t_ns;
        memcpy(e->cum, r->cum, sizeof e->cum);
    }
}

/* An error that came as an event, or that a 200 answered instead of a stream. */
static int error_inside(const json_t *event, il_error *err)
{
    const json_t *error = json_object_get(event, "error");
    if (!error || json_is_null(error)) {
        return IL_OK;
    }
    char message[256];
    il__openai_message(event, message, sizeof message);
    int rc = il_fail(err, IL_E_IO, "the server began to answer and then failed: %s",
                     message[0] ? message : "no reason given");
    il_error_hint(err, "the server's own log says more; fewer tokens or a lower concurrency");
    return rc;
}

/* The name in an event must be the one that was asked for. */
static int check_model(const il__openai *o, const json_t *event, il_error *err)
{
    const char *name = text_of(event, "model");
    if (!name[0] || strcmp(name, o->model) == 0) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_INVALID, "asked for model %.120s, the answer is of %.120s", o->model,
                     name);
    il_error_hint(err, "a router or alias stands between: name the model as the answer does");
    return rc;
}

static int read_events(const il__openai *o, const il__sse_log *log, reading *r, il_error *err)
{
    int rc = IL_OK;
    for (uint32_t i = 0; rc == IL_OK && i < log->n && !r->done; i++) {
        const char *data = log->text.data + log->events[i].at;
        size_t n = log->events[i].n_bytes;
        json_t *event = NULL;
        if (n == 6 && memcmp(data, "[DONE]", 6) == 0) {
            r->done = true;
            break;
        }
        rc = il_json_parse(data, n, "event", &event, err);
        if (rc != IL_OK) {
            rc = il_fail(err, IL_E_PROTOCOL, "event %u of the stream is not JSON", i + 1);
            il_error_hint(err, "is this address an OpenAI-compatible server?");
            break;
        }
        rc = error_inside(event, err);
        rc = rc == IL_OK ? check_model(o, event, err) : rc;
        if (rc == IL_OK) {
            take_event(r, event, log->events[i].t_ns);
        }
        json_decref(event);
    }
    return rc;
}

/* A body that was no stream of events, or of another status. */
static int read_refusal(const il__openai *o, const il__http_stream *stream, const il__sse_log *log,
                        il_error *err)
{
    json_t *body = NULL;
    char message[256] = "";
    if (log->other.len > 0) {
        (void)il_json_parse(log->other.data, log->other.len, "answer", &body, NULL);
    }
    il__openai_message(body, message, sizeof message);
    int rc = stream->status == 200 ? error_inside(body, err)
                                   : il__openai_refused(o, stream->status, message, err);
    json_decref(body);
    if (rc == IL_OK) {
        rc = il_fail(err, IL_E_PROTOCOL, "the answer is no stream of events");
        il_error_hint(err, "is this address an OpenAI-compatible server?");
    }
    return rc;
}

static void add_flag(il_call_result *result, const char *word)
{
    result->flags = result->flags ? result->flags : json_array();
    (void)json_array_append_new(result->flags, json_string(word));
}

/* The stamps of the tokens in the best way there is. */
static int place_stamps(const il_call_request *request, const reading *r, il_call_result *out,
                        il_error *err)
{
    int way = BY_CHUNKS;
    for (int w = BY_CHUNKS - 1; w >= 0; w--) {
        way = r->told[w] > 1 || (w == BY_IDS && r->told[w] > 0) ? w : way;
    }
    uint32_t last = r->cum[way];
    uint32_t total = r->n_completion > 0 ? (uint32_t)r->n_completion : last;
    bool counted = way != BY_CHUNKS || r->n_completion < 0 || last == total;
    if (total == 0 || last == 0) {
        int rc = il_fail(err, IL_E_PROTOCOL, "the stream ended without a token");
        il_error_hint(err, "the model may stop at once on this prompt; try another scenario");
        return rc;
    }
    if (total > last && total - 1 > request->gen_tokens) {
        int rc = il_fail(err, IL_E_INVALID, "asked for %u tokens, the server counts %u and sent %u",
                         request->gen_tokens + 1, total, last);
        il_error_hint(err, "its usage cannot be trusted: does it heed max_tokens?");
        return rc;
    }
    total = counted && last < total ? last : total; /* no time is known of what was not seen */
    if (total - 1 > request->gen_tokens) {
        total = request->gen_tokens + 1;
        add_flag(out, "more_tokens");
    }
    uint32_t before = 0, first = 0, late = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        const token_event *e = &r->events[i];
        uint32_t cum = e->cum[way] < total ? e->cum[way] : total;
        if (cum <= before) {
            continue;
        }
        before = cum;
        late += e->t_ns == out->t_end_ns ? 1 : 0; /* read together with the one before it */
        out->t_end_ns = e->t_ns;
        if (first == 0) {
            first = counted ? cum : 1;
            out->t_first_ns = e->t_ns;
        } else if (counted) {
            out->t_step_ns[out->n_stamps] = e->t_ns;
            if (out->stamp_tok) {
                out->stamp_tok[out->n_stamps] = cum - first;
            }
            out->n_stamps++;
        }
    }
    /* Steps whose tokens came with the first one ran before its stamp: they are not in its time. */
    out->n_steps = total - first;
    if (total > 1 && out->t_end_ns == out->t_first_ns) {
        int rc = il_fail(err, IL_E_UNSUPPORTED, "all %u tokens came at once: no step can be timed",
                         total);
        il_error_hint(err, "a proxy between buffers the stream, or this machine was too busy to "
                           "read it in time: more gen_tokens, or a core for inferlaw");
        return rc;
    }
    if (!counted && out->n_steps > 0) {
        out->t_step_ns[0] = out->t_end_ns;
        out->n_stamps = 1;
        if (out->stamp_tok) {
            out->stamp_tok[0] = out->n_steps;
        }
        add_flag(out, "uncounted_chunks");
    } else if (way == BY_CHUNKS && r->n_completion < 0) {
        add_flag(out, "tokens_assumed");
    }
    if (first > 1) {
        add_flag(out, "first_chunk_many");
    }
    if (late * 10 > out->n_stamps) {
        add_flag(out, "late_reader");
    }
    if (total - 1 < request->gen_tokens) {
        add_flag(out, "early_stop");
    }
    return IL_OK;
}

static void flag_row(il_call_result *out, const char *reason)
{
    (void)snprintf(out->status, sizeof out->status, "flagged");
    (void)snprintf(out->reason, sizeof out->reason, "%s", reason);
    add_flag(out, reason);
}

/* More tokens than any vocabulary and chat template make of the prompt. */
static bool is_absurd(const il__openai *o, const il_call_request *request, int64_t n_prompt)
{
    enum { MOST_A_TOKEN = 16, MOST_TEMPLATE = 4096 };
    return (request->n_ids > 0 &&
            n_prompt > MOST_A_TOKEN * (int64_t)request->n_ids + MOST_TEMPLATE) ||
           (o->n_ctx > 0 && n_prompt > o->n_ctx);
}

static void take_prompt(const il__openai *o, const il_call_request *request, const reading *r,
                        il_call_result *out)
{
    int64_t n = count_of(r->usage, "prompt_tokens");
    int64_t cached = count_of(json_object_get(r->usage, "prompt_tokens_details"), "cached_tokens");
    int64_t cache_n = count_of(r->timings, "cache_n"), prompt_n = count_of(r->timings, "prompt_n");
    n = n < 0 && prompt_n >= 0 ? prompt_n + (cache_n > 0 ? cache_n : 0) : n;
    cached = cached < 0 ? cache_n : cached;
    if (is_absurd(o, request, n) || (n >= 0 && cached > n)) {
        flag_row(out, "counters_absurd");
        n = cached = -1;
    }
    out->cached_tok = cached;
    out->prompt_tok = n > 0 ? (uint32_t)n : request->n_ids;
    if (request->n_ids > 0 && n >= 0 && n < request->n_ids) {
        flag_row(out, "truncated");
    } else if (request->n_ids > 0 && !o->chat && n > (int64_t)request->n_ids + 1) {
        add_flag(out, "prompt_count");
    }
    if (cached > 1) { /* a begin token is every prompt's */
        if (2 * cached > (int64_t)out->prompt_tok && strcmp(out->status, "ok") == 0) {
            flag_row(out, "cached_prompt");
        } else {
            add_flag(out, "cached_prompt");
        }
    }
}

/* The server's own counters, as it wrote them, and its times where they fit into the call's. */
static json_t *counters(const il__openai *o, const reading *r, const il__http_stream *stream,
                        il_call_result *result)
{
    /* another machine's clock may run faster by so much */
    double most_ms = 1.01e-6 * (double)(stream->t_end_ns - stream->t_sent_ns) + 1;
    json_t *out = json_pack("{s:s,s:s?}", "kind", il__openai_kind_name(o->kind), "finish_reason",
                            r->finish[0] ? r->finish : NULL);
    if (out && r->usage) {
        (void)json_object_set(out, "usage", r->usage);
    }
    if (out && r->timings) {
        (void)json_object_set(out, "timings", r->timings);
        static const char *const keys[][2] = {{"prompt_ms", "prefill_ms"},
                                              {"predicted_ms", "decode_ms"}};
        for (size_t i = 0; i < 2; i++) {
            const json_t *told = json_object_get(r->timings, keys[i][0]);
            double ms = json_number_value(told);
            if (json_is_number(told) && !(ms >= 0 && ms <= most_ms)) {
                flag_row(result, "counters_absurd");
            } else if (ms > 0) {
                (void)json_object_set_new(out, keys[i][1], json_real(ms));
            }
        }
    }
    return out;
}

/* An answer in one piece, asked for by an unsplit call. */
static int read_whole(const il__openai *o, const il__http_stream *stream, const il__sse_log *log,
                      reading *r, il_call_result *out, il_error *err)
{
    json_t *body = NULL;
    if (stream->status != 200 || log->other.len == 0 ||
        il_json_parse(log->other.data, log->other.len, "answer", &body, NULL) != IL_OK) {
        return read_refusal(o, stream, log, err);
    }
    int rc = error_inside(body, err);
    rc = rc == IL_OK ? check_model(o, body, err) : rc;
    take_counts(r, body, json_array_get(json_object_get(body, "choices"), 0));
    json_decref(body);
    if (rc == IL_OK && r->n_completion < 1) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "the answer does not say how many tokens it has");
    }
    out->n_steps = rc == IL_OK ? (uint32_t)r->n_completion - 1 : 0;
    out->t_end_ns = stream->t_end_ns;
    return rc;
}

int il__openai_read(const il__openai *o, const il_call_request *request,
                    const il__http_stream *stream, const il__sse_log *log, il_call_result *out,
                    il_error *err)
{
    reading r = {.n_prompt = -1, .n_completion = -1, .n_cached = -1};
    int rc = IL_OK;
    r.events = calloc((size_t)log->n + 1, sizeof *r.events);
    if (!r.events) {
        return il_fail(err, IL_E_NOMEM, "no memory for a stream's events");
    }
    out->t0_ns = stream->t_sent_ns;
    out->t_first_byte_ns = stream->t_first_byte_ns;
    (void)snprintf(out->status, sizeof out->status, "ok");
    if (!request->split) {
        rc = read_whole(o, stream, log, &r, out, err);
    } else if (stream->status != 200 || log->n == 0) {
        rc = read_refusal(o, stream, log, err);
    } else {
        rc = read_events(o, log, &r, err);
        if (rc == IL_OK && !r.done && !r.finish[0]) {
            rc = il_fail(err, IL_E_CRASHED, "the stream ended after %u events without its end",
                         log->n);
            il_error_hint(err, "the server's own log says more");
        }
        rc = rc == IL_OK ? place_stamps(request, &r, out, err) : rc;
        out->t_first_visible_ns = r.t_visible_ns;
    }
    if (rc == IL_OK) {
        take_prompt(o, request, &r, out);
        if (!request->split && out->n_steps < request->gen_tokens) {
            add_flag(out, "early_stop");
        }
        out->server = counters(o, &r, stream, out);
        (void)json_object_set_new(out->server, "new_connection",
                                  json_boolean(stream->new_connection));
    }
    json_decref(r.usage);
    json_decref(r.timings);
    free(r.events);
    return rc;
}
