/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What servers need beside other backends: a prompt of its own for every call, so that no cache of
 * prefixes can answer for the forward pass; the probe that shows whether there is such a cache; and
 * measured calls under concurrency or arrivals.
 *
 * A prompt is a function of (seed, scenario, salt); the salt stands in the call's journal line. It
 * also holds the start of the process, because a server that lives on remembers the prompts of an
 * earlier run of the same study.
 */
#include "study/driver_parts.h"

#include "base/file.h"
#include "base/json.h"
#include "model/tokenizer.h"
#include "os/clock.h"
#include "os/process_tree.h"
#include "study/order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNKNOWN_FROM = 1000, /* ids that every vocabulary of today has, past bytes and specials */
    UNKNOWN_TO = 30000,
    LEAST_POOL = 512,
    MAX_TEXT_BYTES = 64 << 20,
    SALTS_PER_MS = 4096
};

/* For servers of text whose vocabulary is not at hand: words that are one token in most. */
static const char *const words[] = {
    "time",     "year",    "people",   "way",    "day",        "man",    "thing",   "woman",
    "life",     "child",   "world",    "school", "state",      "family", "student", "group",
    "country",  "problem", "hand",     "part",   "place",      "case",   "week",    "company",
    "system",   "program", "question", "work",   "government", "number", "night",   "point",
    "home",     "water",   "room",     "mother", "area",       "money",  "story",   "fact",
    "month",    "lot",     "right",    "study",  "book",       "eye",    "job",     "word",
    "business", "issue",   "side",     "kind",   "head",       "house",  "service", "friend",
    "father",   "power",   "hour",     "game",   "line",       "end",    "law",     "car"};

struct il__server_prompts {
    uint32_t group; /* whose vocabulary it is */
    il_tokenizer *tokenizer;
    int32_t *pool; /* ids that text keeps apart: a space and letters, NULL without a vocabulary */
    size_t n_pool;
    uint64_t salt;
};

bool il__driver_is_server(const il__driver *d, uint32_t cell)
{
    return (d->plan->ops[d->plan->cells[cell].backend]->caps & IL_CAP_SERVER) != 0;
}

void il__server_prompts_free(il__server_prompts *p)
{
    if (p) {
        il_tokenizer_free(p->tokenizer);
        free(p->pool);
        free(p);
    }
}

/* --- the vocabulary --------------------------------------------------------------------------- */

/* " word" once and twice gives the same ids again. */
static bool survives(il_tokenizer *t, int32_t id, il_buf *text, il_token_ids *again)
{
    int32_t twice[2] = {id, id};
    il_buf_clear(text);
    again->n = 0;
    if (il_tokenizer_decode(t, twice, 2, false, text, NULL) != IL_OK || text->len < 4 ||
        text->len % 2 != 0 || text->data[0] != ' ') {
        return false;
    }
    for (size_t i = 1; i < text->len / 2; i++) {
        char c = (char)(text->data[i] | 0x20);
        if (c < 'a' || c > 'z') {
            return false;
        }
    }
    return il_tokenizer_encode(t, text->data, text->len, false, again, NULL) == IL_OK &&
           again->n == 2 && again->ids[0] == id && again->ids[1] == id;
}

static void make_pool(il__server_prompts *p)
{
    il_buf text;
    il_token_ids again = {0};
    size_t n = il_tokenizer_size(p->tokenizer);
    il_buf_init(&text, MAX_TEXT_BYTES);
    p->n_pool = 0;
    p->pool = malloc((n + 1) * sizeof *p->pool);
    for (size_t id = 0; p->pool && id < n && id < INT32_MAX; id++) {
        if (survives(p->tokenizer, (int32_t)id, &text, &again)) {
            p->pool[p->n_pool++] = (int32_t)id;
        }
    }
    if (p->n_pool < LEAST_POOL) {
        free(p->pool);
        p->pool = NULL;
        p->n_pool = 0;
    }
    il_token_ids_free(&again);
    il_buf_free(&text);
}

/* The vocabulary of the group's model, where one is at hand. */
static il__server_prompts *prompts_of(il__driver *d, uint32_t group, il_error *err)
{
    il__server_prompts *p = d->prompts;
    il_backend_model m;
    if (p && p->group == group) {
        return p;
    }
    uint64_t salt = p ? p->salt : (uint64_t)(d->started_at_unix * 1000) * SALTS_PER_MS;
    il__server_prompts_free(p);
    p = d->prompts = calloc(1, sizeof *p);
    if (!p) {
        (void)il_fail(err, IL_E_NOMEM, "no memory for prompts");
        return NULL;
    }
    p->group = group;
    p->salt = salt;
    il_plan_group_model(d->plan, group, &m);
    if ((m.path && il_tokenizer_open(m.path, &p->tokenizer, NULL) == IL_OK) ||
        (m.file && il_tokenizer_open(m.file, &p->tokenizer, NULL) == IL_OK)) {
        make_pool(p);
    }
    return p;
}

/* --- one prompt ------------------------------------------------------------------------------- */

static void draw_ids(const il__driver *d, const il__server_prompts *p, const il_call_request *r,
                     const char *scenario, uint32_t vocab, int32_t *ids)
{
    uint64_t seed = (uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED);
    uint64_t from = vocab ? 0 : UNKNOWN_FROM;
    uint64_t n = p->pool ? p->n_pool : vocab ? vocab : UNKNOWN_TO - UNKNOWN_FROM;
    il_seeded own = il_seeded_of(seed, scenario, p->salt);
    for (uint32_t i = 0; i < r->n_ids * r->batch; i++) {
        /* The first ones count on from call to call: no two prompts of a process begin alike. */
        uint64_t k = i == 0 ? (p->salt % n + seed % n) % n : il_seeded_below(&own, n);
        ids[i] = p->pool ? p->pool[k] : (int32_t)(from + k);
    }
}

/* The text that is split back into these ids; false: there is none. */
static bool text_of_ids(il__server_prompts *p, const int32_t *ids, uint32_t n, il_buf *text)
{
    il_token_ids again = {0};
    bool same = p->pool && il_tokenizer_decode(p->tokenizer, ids, n, false, text, NULL) == IL_OK &&
                il_tokenizer_encode(p->tokenizer, il_buf_text(text), text->len, false, &again,
                                    NULL) == IL_OK &&
                again.n == n && memcmp(again.ids, ids, n * sizeof *ids) == 0;
    il_token_ids_free(&again);
    return same;
}

static void text_of_words(const il__driver *d, const il__server_prompts *p, uint32_t n,
                          il_buf *text)
{
    uint64_t seed = (uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED);
    il_seeded own = il_seeded_of(seed, "words", p->salt);
    for (uint32_t i = 0; i < n; i++) {
        const char *word = words[il_seeded_below(&own, sizeof words / sizeof words[0])];
        (void)il_buf_printf(text, "%s%s", i ? " " : "", word);
    }
}

int il__server_salt(il__driver *d, uint32_t cell, il_call_request *request, int32_t *ids,
                    il_buf *text, il_error *err)
{
    const il_cell *c = &d->plan->cells[cell];
    const il_scenario *scenario = &d->plan->study->scenarios[c->scenario];
    const il_study_model *m = &d->plan->study->models[c->model];
    d->salt = -1;
    if (scenario->prompt) {
        request->prompt = scenario->prompt;
        request->n_ids = 0;
        request->ids = NULL;
        return IL_OK;
    }
    il__server_prompts *p = prompts_of(d, c->group, err);
    if (!p) {
        return IL_E_NOMEM;
    }
    p->salt++;
    d->salt = (int64_t)p->salt;
    request->n_ids = c->seq_len;
    request->ids = ids;
    request->salted = true;
    draw_ids(d, p, request, scenario->name, m->has_shape ? m->shape.vocab_size : 0, ids);
    il_buf_clear(text);
    if (!text_of_ids(p, ids, request->n_ids, text)) {
        il_buf_clear(text);
        text_of_words(d, p, request->n_ids, text);
    }
    request->prompt = il_buf_text(text);
    return text->status == IL_OK ? IL_OK : il_fail(err, text->status, "a prompt is too long");
}

/* What encoding with special tokens puts before the rest; -1: nothing, or more than one token. */
static int32_t leading_token(il__server_prompts *p, const il_buf *text, const int32_t *ids,
                             uint32_t n)
{
    il_token_ids all = {0};
    int32_t leading = -1;
    if (il_tokenizer_encode(p->tokenizer, il_buf_text(text), text->len, true, &all, NULL) ==
            IL_OK &&
        all.n >= n + 1 && memcmp(all.ids + 1, ids, n * sizeof *ids) == 0) {
        leading = all.ids[0];
    }
    il_token_ids_free(&all);
    return leading;
}

int il__server_probe_ids(il__driver *d, uint32_t group, uint32_t attempt, uint32_t n, int32_t *ids,
                         il_buf *text, int32_t *leading, il_error *err)
{
    uint64_t seed = (uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED);
    il_seeded own = il_seeded_of(seed, "parity probe", n + ((uint64_t)attempt << 16));
    il__server_prompts *p = prompts_of(d, group, err);
    *leading = -1;
    il_buf_clear(text);
    if (!p) {
        return IL_E_NOMEM;
    }
    if (!p->pool) {
        return IL_OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = p->pool[il_seeded_below(&own, p->n_pool)];
    }
    if (text_of_ids(p, ids, n, text)) {
        *leading = leading_token(p, text, ids, n);
    } else {
        il_buf_clear(text);
    }
    return text->status == IL_OK ? IL_OK : il_fail(err, text->status, "the probe is too long");
}

/* --- the probe of the prefix cache -------------------------------------------------------------
 */

typedef struct probe_call {
    double ttft_ms;
    int64_t cached_tok;
    int code;
} probe_call;

static probe_call probe_once(il__driver *d, uint32_t cell, const il_call_request *request)
{
    const il_cell *c = &d->plan->cells[cell];
    il_call_result r = {.t_step_ns = d->stamps, .stamp_tok = d->stamp_tok, .cached_tok = -1};
    int rc = d->plan->ops[c->backend]->call(d->plan->open[c->backend], request, &r, NULL);
    probe_call out = {.ttft_ms = (double)NAN, .cached_tok = r.cached_tok, .code = rc};
    if (rc == IL_OK && r.t_first_ns) {
        out.ttft_ms = (double)(r.t_first_ns - r.t0_ns) * 1e-6;
    }
    json_decref(r.server);
    json_decref(r.flags);
    return out;
}

static json_t *count_or_null(int64_t n)
{
    return n >= 0 ? json_integer(n) : json_null();
}

/* The same prompt twice, between two that are new. */
int il__server_probe(il__driver *d, uint32_t cell, uint32_t block, il_call_request request,
                     il_error *err)
{
    probe_call calls[3] = {{0}};
    int rc = IL_OK;
    if (!il__driver_is_server(d, cell) ||
        d->plan->study->scenarios[d->plan->cells[cell].scenario].prompt ||
        d->loaded == IL__NO_GROUP || il__driver_stopping(d)) {
        return IL_OK;
    }
    request.gen_tokens = 1;
    for (int i = 0; i < 3 && rc == IL_OK; i++) {
        rc = i == 1 ? IL_OK : il__server_salt(d, cell, &request, d->ids, &d->text, NULL);
        calls[i] = rc == IL_OK ? probe_once(d, cell, &request) : (probe_call){.code = rc};
        rc = calls[i].code;
    }
    json_t *line = json_pack("{s:I,s:I,s:s,s:s?,s:[o,o],s:o,s:[o,o],s:o}", "cell", (json_int_t)cell,
                             "block", (json_int_t)block, "status", rc == IL_OK ? "ok" : "error",
                             "reason", rc == IL_OK ? NULL : il_code_name(rc), "fresh_ttft_ms",
                             il_json_real(rc ? (double)NAN : calls[0].ttft_ms),
                             il_json_real(rc ? (double)NAN : calls[2].ttft_ms), "repeat_ttft_ms",
                             il_json_real(rc ? (double)NAN : calls[1].ttft_ms), "fresh_cached_tok",
                             count_or_null(rc ? -1 : calls[0].cached_tok),
                             count_or_null(rc ? -1 : calls[2].cached_tok), "repeat_cached_tok",
                             count_or_null(rc ? -1 : calls[1].cached_tok));
    return il_journal_write(d->journal, "cache_probe", line, err);
}

/* --- many calls ------------------------------------------------------------------------------- */

typedef struct many {
    uint32_t n;
    il__slot *slots;
    il_call_request *requests;
    il_call_result *results;
    int64_t *salts, *stamps;
    uint32_t *stamp_tok;
    int32_t *ids;
    il_buf *texts;
} many;

static void many_free(many *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->texts) {
            il_buf_free(&m->texts[i]);
        }
        if (m->results) {
            json_decref(m->results[i].server);
            json_decref(m->results[i].flags);
        }
    }
    free(m->slots);
    free(m->requests);
    free(m->results);
    free(m->salts);
    free(m->stamps);
    free(m->stamp_tok);
    free(m->ids);
    free(m->texts);
    *m = (many){0};
}

static int many_make(il__driver *d, uint32_t cell, const il_call_request *request, uint32_t n,
                     many *m, il_error *err)
{
    size_t n_ids = (size_t)d->plan->cells[cell].seq_len * request->batch;
    size_t steps = request->gen_tokens;
    *m = (many){.n = n,
                .slots = calloc(n, sizeof *m->slots),
                .requests = calloc(n, sizeof *m->requests),
                .results = calloc(n, sizeof *m->results),
                .salts = calloc(n, sizeof *m->salts),
                .stamps = calloc(n * (steps + 1), sizeof *m->stamps),
                .stamp_tok = calloc(n * (steps + 1), sizeof *m->stamp_tok),
                .ids = calloc(n * (n_ids + 1), sizeof *m->ids),
                .texts = calloc(n, sizeof *m->texts)};
    if (!m->slots || !m->requests || !m->results || !m->salts || !m->stamps || !m->stamp_tok ||
        !m->ids || !m->texts) {
        return il_fail(err, IL_E_NOMEM, "no memory for %u calls at once", n);
    }
    int rc = IL_OK;
    for (uint32_t i = 0; rc == IL_OK && i < n; i++) {
        il_buf_init(&m->texts[i], MAX_TEXT_BYTES);
        m->requests[i] = *request;
        m->results[i].t_step_ns = m->stamps + i * (steps + 1);
        m->results[i].stamp_tok = m->stamp_tok + i * (steps + 1);
        rc = il__server_salt(d, cell, &m->requests[i], m->ids + i * (n_ids + 1), &m->texts[i], err);
        m->salts[i] = d->salt;
    }
    return rc;
}

/* The words of a failed call out of many. */
static void why_of(const il_call_result *r, const il_error *all, il_error *why)
{
    const char *message = json_string_value(json_object_get(r->server, "message"));
    const char *hint = json_string_value(json_object_get(r->server, "hint"));
    int code = IL_E_INTERNAL;
    for (int c = IL_E_NOMEM; c >= IL_E_INTERNAL; c--) {
        code = strcmp(il_code_name(c), r->reason) == 0 ? c : code;
    }
    if (!message && all->code != IL_OK) {
        *why = *all;
        return;
    }
    (void)il_fail(why, code, "%s", message ? message : "the call failed");
    if (hint) {
        il_error_hint(why, "%s", hint);
    }
}

static int write_many(il__driver *d, many *m, double started, json_t *state, json_t *flags,
                      const il_error *all, il_error *err)
{
    int rc = IL_OK;
    for (uint32_t i = 0; rc == IL_OK && i < m->n; i++) {
        il_call_result *r = &m->results[i];
        json_t *own = state ? json_copy(state) : NULL;
        if (strcmp(r->status, "error") == 0 || !r->status[0]) {
            il_error why = {0};
            why_of(r, all, &why);
            rc = il__driver_write_failure(d, &m->slots[i], "error", &why, own, err);
        } else {
            json_t *own_flags = json_copy(flags);
            d->salt = m->salts[i];
            if (own_flags) {
                il__driver_parity_mark(d, d->plan->cells[m->slots[i].cell].group, r, own_flags);
            }
            rc = il__driver_write_call(d, &m->slots[i], &m->requests[i], r, started, own, own_flags,
                                       err);
        }
    }
    return rc;
}

bool il__server_wants_many(const il__driver *d, uint32_t cell)
{
    const il_cell *c = &d->plan->cells[cell];
    const il_param_set *set = &d->plan->study->backends[c->backend].set;
    return d->plan->ops[c->backend]->call_many &&
           (il_param_i64(set, IL_P_CONCURRENCY) > 1 || il_param_has(set, IL_P_RATE_PER_S));
}

int il__server_run_many(il__driver *d, uint32_t cell, uint32_t block, uint32_t first, uint32_t end,
                        const il_call_request *request, il_error *err)
{
    enum { OPEN_LOOP_MOST = 1024 };
    const il_cell *c = &d->plan->cells[cell];
    const il_param_set *set = &d->plan->study->backends[c->backend].set;
    bool open = il_param_has(set, IL_P_RATE_PER_S);
    uint32_t n = 0, k = 0;
    many m = {0};
    il_error all = {0};
    il_state before, after;
    for (uint32_t i = first; i < end; i++) {
        n += il_history_pending(&d->history, cell, block, i);
    }
    if (n == 0 || d->loaded == IL__NO_GROUP || il__driver_stopping(d)) {
        return IL_OK;
    }
    int rc = many_make(d, cell, request, n, &m, err);
    for (uint32_t i = first; rc == IL_OK && i < end; i++) {
        if (il_history_pending(&d->history, cell, block, i)) {
            m.slots[k++] = (il__slot){cell, block, i};
        }
    }
    if (rc == IL_OK) {
        /* Open loop: late answers must not hold back what is due. */
        uint32_t concurrency = (uint32_t)il_param_i64(set, IL_P_CONCURRENCY);
        il_seeded stream = il_seeded_of((uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED),
                                        "arrivals", (uint64_t)block * d->plan->n_cells + cell);
        il_arrivals arrivals = {.concurrency =
                                    open && concurrency == 1 ? OPEN_LOOP_MOST : concurrency,
                                .rate_per_s = open ? il_param_f64(set, IL_P_RATE_PER_S) : 0,
                                .seed = il_seeded_next(&stream)};
        pid_t pid = d->plan->ops[c->backend]->pid(d->plan->open[c->backend]);
        double started = il_clock_unix_s();
        il_state_read(pid, &before);
        (void)d->plan->ops[c->backend]->call_many(d->plan->open[c->backend], m.requests, m.results,
                                                  n, &arrivals, &all);
        il_state_read(pid, &after);
        bool ended = il_process_has_ended(pid);
        json_t *state = il_state_json(&before, &after), *flags = json_array();
        il__server_gates(d, pid, &before, &after, flags);
        rc = write_many(d, &m, started, state, flags, &all, err);
        if (ended) {
            il__driver_unload(d);
        }
        json_decref(state);
        json_decref(flags);
        il__driver_tick(d, block, NULL, c->estimate_ms * n);
    }
    many_free(&m);
    return rc;
}

/* A server whose process is not known cannot be told from a neighbour that takes its time. */
void il__server_gates(const il__driver *d, pid_t pid, const il_state *before, const il_state *after,
                      json_t *flags)
{
    il_gates gates = il_gates_default;
    if (pid <= 0) {
        gates.busy_other_percent = 1e9;
    }
    (void)il_gates_apply(&gates, before, after, d->machine.n_cpus_allowed, flags);
}
