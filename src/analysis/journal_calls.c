/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/journal_calls.h"

#include "analysis/arms.h"
#include "analysis/journal_backends.h"
#include "analysis/journal_stages.h"
#include "analysis/journal_parity.h"
#include "analysis/journal_probe.h"
#include "analysis/journal_plan.h"
#include "base/json.h"
#include "base/log.h"
#include "stats/order.h"
#include "study/journal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLAGS_BYTES = 512, MOST_PROOFS = 1000 };

typedef struct load {
    il__journal *journal;
    il_run_facts *facts;
    const char *path;
} load;

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double ms_between(const json_t *object, const char *from, const char *to)
{
    const json_t *a = json_object_get(object, from);
    const json_t *b = json_object_get(object, to);
    if (!json_is_integer(a) || !json_is_integer(b)) {
        return NAN;
    }
    return (double)(json_integer_value(b) - json_integer_value(a)) / 1e6;
}

static int damaged(const load *l, uint64_t line, il_error *err, const char *what)
{
    int rc = il_fail(err, IL_E_DAMAGED, "%s", what);
    il_error_where(err, "%s:%llu", l->path, (unsigned long long)line);
    return rc;
}

static bool small_index(const json_t *object, const char *key, int64_t limit, uint32_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) >= limit) {
        return false;
    }
    *out = (uint32_t)json_integer_value(value);
    return true;
}

/* Room for one more element behind n. */
static int grow(void **items, size_t *cap, size_t n, size_t element_bytes, il_error *err)
{
    if (n < *cap) {
        return IL_OK;
    }
    size_t more = *cap ? 2 * *cap : 64;
    void *grown = realloc(*items, more * element_bytes);
    if (!grown) {
        return il_fail(err, IL_E_NOMEM, "no memory for the journal");
    }
    *items = grown;
    *cap = more;
    return IL_OK;
}

/* The blocks that the run was extended by, as the last plan line tells. */
static int read_sampling(load *l, const json_t *line, uint64_t at, il_error *err)
{
    il__journal *j = l->journal;
    const json_t *sampling = json_object_get(line, "sampling");
    size_t n_cells = json_array_size(json_object_get(line, "cells")), i, k;
    const json_t *extension, *cell;
    free(j->extra);
    j->extra = NULL;
    j->blocks_least = j->blocks;
    if (!json_is_object(sampling)) {
        return IL_OK;
    }
    j->blocks_least = json_integer_value(json_object_get(sampling, "blocks_least"));
    j->extra = calloc(n_cells * (size_t)j->blocks + 1, 1);
    if (!j->extra) {
        return il_fail(err, IL_E_NOMEM, "no memory for the plan");
    }
    json_array_foreach(json_object_get(sampling, "extensions"), i, extension)
    {
        uint32_t block;
        if (!small_index(extension, "block", j->blocks, &block)) {
            return damaged(l, at, err, "an extension outside the plan");
        }
        json_array_foreach(json_object_get(extension, "cells"), k, cell)
        {
            json_int_t number = json_is_integer(cell) ? json_integer_value(cell) : -1;
            if (number < 0 || (size_t)number >= n_cells) {
                return damaged(l, at, err, "an extension outside the plan");
            }
            j->extra[(size_t)number * (size_t)j->blocks + block] = 1;
        }
    }
    return j->blocks_least >= 1 && j->blocks_least <= j->blocks
               ? IL_OK
               : damaged(l, at, err, "the numbers of the plan contradict each other");
}

bool il__journal_has(const il__journal *j, int64_t cell, int64_t block)
{
    return block < j->blocks_least || (j->extra && j->extra[cell * j->blocks + block]);
}

static int read_plan(load *l, json_t *line, uint64_t at, il_error *err)
{
    il__journal *j = l->journal;
    static const char *const lists[] = {"cells", "models", "backends", "scenarios"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (!json_is_array(json_object_get(line, lists[i]))) {
            return damaged(l, at, err, "the plan lacks its cells, models, backends or scenarios");
        }
    }
    int rc = il_json_get_i64(line, "n_calls", true, &j->n_calls, err);
    rc = rc ? rc : il_json_get_i64(line, "blocks", true, &j->blocks, err);
    rc = rc ? rc : il_json_get_i64(line, "repetitions", true, &j->repetitions, err);
    rc = rc ? rc : il_json_get_i64(line, "warmup_repetitions", true, &j->warmups, err);
    int64_t n_cells = (int64_t)json_array_size(json_object_get(line, "cells"));
    if (rc != IL_OK || j->n_calls < 0 || j->blocks < 1 || j->repetitions < 0 || j->warmups < 0 ||
        n_cells > UINT32_MAX || j->blocks > UINT32_MAX || j->repetitions > INT32_MAX ||
        j->warmups > INT32_MAX || j->n_calls / j->blocks > INT64_MAX / 2 ||
        j->n_calls != n_cells * (j->blocks * (j->repetitions + j->warmups))) {
        return damaged(l, at, err, "the numbers of the plan contradict each other");
    }
    json_decref(j->plan);
    j->plan = json_incref(line);
    rc = read_sampling(l, line, at, err);
    return rc ? rc : il_vector_resize(&j->calls, j->scratch_dir, (size_t)j->n_calls, err);
}

static const char *join_flags(const json_t *flags, char joined[FLAGS_BYTES])
{
    size_t len = 0;
    size_t i;
    const json_t *flag;
    joined[0] = '\0';
    json_array_foreach(flags, i, flag)
    {
        const char *text = json_string_value(flag);
        size_t n = text ? strlen(text) : 0;
        if (n > 0 && len + n + 2 < (size_t)FLAGS_BYTES) {
            if (len > 0) {
                joined[len++] = ' ';
            }
            memcpy(joined + len, text, n + 1);
            len += n;
        }
    }
    return joined;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void read_times(const json_t *line, il__call *call)
{
    const json_t *steps = json_object_get(line, "t_step_ns");
    const json_t *last = json_array_get(steps, json_array_size(steps) - 1);
    const json_t *first = json_object_get(line, "t_first_ns");
    const json_t *start = json_object_get(line, "t0_ns");
    call->prefill_ms = ms_between(line, "t0_ns", "t_first_ns");
    if (json_is_integer(last) && json_is_integer(first) && json_is_integer(start)) {
        json_int_t end = json_integer_value(last);
        call->decode_ms = (double)(end - json_integer_value(first)) / 1e6;
        call->e2e_ms = (double)(end - json_integer_value(start)) / 1e6;
    }
    if (!isnan(call->server_prefill_ms)) {
        call->prefill_ms = call->server_prefill_ms; /* the forward pass; the client saw ttft_ms */
    }
}

/* What only servers' lines have. */
static void read_server_times(const json_t *line, il__call *call)
{
    bool due = json_is_integer(json_object_get(line, "t_scheduled_ns"));
    const char *from = due ? "t_scheduled_ns" : "t0_ns";
    double ttft_ms = number(line, "ttft_ms");
    call->ttft_ms = isnan(ttft_ms) ? call->ttft_ms : ttft_ms;
    call->first_byte_ms = ms_between(line, from, "t_first_byte_ns");
    call->first_visible_ms = ms_between(line, from, "t_first_visible_ns");
    if (json_object_get(line, "n_stamps")) { /* a server's line */
        call->response_ms = call->e2e_ms + (due ? ms_between(line, from, "t0_ns") : 0.0);
    }
}

/* The time of every step of a measured call, from stamp to stamp. */
static int keep_steps(il__journal *j, const json_t *line, il__call *call, il_error *err)
{
    const json_t *stamps = json_object_get(line, "t_step_ns");
    const json_t *before = json_object_get(line, "t_first_ns");
    size_t n = json_array_size(stamps);
    if (call->is_warmup || isnan(call->decode_ms) || n == 0 || n > UINT32_MAX) {
        return IL_OK;
    }
    call->first_step = j->steps.count;
    int rc = il_vector_resize(&j->steps, j->scratch_dir, j->steps.count + n, err);
    if (rc != IL_OK) {
        return rc;
    }
    double *out = (double *)j->steps.data + call->first_step;
    size_t i;
    const json_t *stamp;
    json_array_foreach(stamps, i, stamp)
    {
        out[i] = (double)(json_integer_value(stamp) - json_integer_value(before)) / 1e6;
        before = stamp;
    }
    call->n_stamps = (uint32_t)n;
    return IL_OK;
}

static int read_texts(il__journal *j, const json_t *line, il__call *call, il_error *err)
{
    char flags[FLAGS_BYTES];
    const char *status = text_of(line, "status");
    const struct {
        const char *text, **to;
    } texts[] = {
        {status ? status : "error", &call->status},
        {text_of(line, "reason"), &call->reason},
        {text_of(line, "message"), &call->message},
        {join_flags(json_object_get(line, "flags"), flags), &call->flags},
        {text_of(line, "hint"), &call->hint},
        {text_of(json_object_get(line, "server"), "done_reason"), &call->done_reason},
    };
    int rc = IL_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && rc == IL_OK; i++) {
        rc = il__texts_keep(&j->texts, j->scratch_dir, texts[i].text, texts[i].to, err);
    }
    return rc;
}

static void read_call(const json_t *line, il__call *call)
{
    const json_t *state = json_object_get(line, "state");
    const json_t *events = json_object_get(line, "events");
    const json_t *server = json_object_get(line, "server");
    call->seen = 1;
    call->is_warmup = json_is_true(json_object_get(line, "is_warmup"));
    call->prefill_ms = call->decode_ms = call->e2e_ms = NAN;
    call->first_byte_ms = call->first_visible_ms = call->response_ms = NAN;
    call->cached_tok = number(line, "cached_tok");
#define READ(name) call->name = number(line, #name);
    IL__CALL_NUMBER_MAP(READ)
#undef READ
#define READ(name) call->name = number(state, #name);
    IL__STATE_NUMBER_MAP(READ)
#undef READ
    call->rss_bytes = number(state, "rss_bytes");
    call->event_prefill_ms = number(events, "prefill_ms");
    call->event_decode_ms = number(events, "kv_decode_ms");
    call->gpu_peak_mb = number(events, "gpu_peak_mb");
    call->server_wall_ms = number(server, "wall_ms");
    call->server_total_ms = number(server, "total_duration_ms");
    call->server_load_ms = number(server, "load_ms");
    call->ttft_ms = number(server, "ttft_ms");
    call->server_prefill_ms = number(server, "prefill_ms");
    if (json_is_integer(json_object_get(server, "gen_tokens_raw"))) {
        call->gen_tokens_raw = number(server, "gen_tokens_raw"); /* compat: all it generated */
    }
    if (strcmp(call->status, "ok") == 0 || strcmp(call->status, "flagged") == 0) {
        read_times(line, call);
        read_server_times(line, call);
    }
}

static int add_call(load *l, const json_t *line, uint64_t at, il_error *err)
{
    il__journal *j = l->journal;
    const json_t *index = json_object_get(line, "call_idx");
    il__call call = {0};
    int64_t n_cells = (int64_t)json_array_size(json_object_get(j->plan, "cells"));
    if (!json_is_integer(index) || json_integer_value(index) < 0 ||
        json_integer_value(index) >= j->n_calls ||
        !small_index(line, "cell", n_cells, &call.cell) ||
        !small_index(line, "block", j->blocks, &call.block)) {
        return damaged(l, at, err, "a call outside the plan");
    }
    int rc = read_texts(j, line, &call, err);
    if (rc != IL_OK) {
        return rc;
    }
    read_call(line, &call);
    rc = keep_steps(j, line, &call, err);
    ((il__call *)j->calls.data)[json_integer_value(index)] = call;
    return rc;
}

static int add_closure(load *l, const json_t *line, il_error *err)
{
    il_run_facts *f = l->facts;
    il_closure closure = {.ms = ms_between(line, "t0_ns", "t_end_ns")};
    const char *status = text_of(line, "status");
    if (!status || strcmp(status, "ok") != 0 || isnan(closure.ms) ||
        !small_index(line, "cell", UINT32_MAX, &closure.cell) ||
        !small_index(line, "block", UINT32_MAX, &closure.block)) {
        return IL_OK;
    }
    if (!f->closures) {
        il_vector_init(&f->closure_memory, sizeof closure);
    }
    int rc = il_vector_resize(&f->closure_memory, l->journal->scratch_dir, f->n_closures + 1, err);
    f->closures = f->closure_memory.data;
    if (rc == IL_OK) {
        f->closures[f->n_closures++] = closure;
    }
    return rc;
}

static int add_aa(load *l, const json_t *line, il_error *err)
{
    il_vector *v = &l->journal->arm_calls;
    const char *status = text_of(line, "status");
    const char *arm = text_of(line, "arm");
    bool ok = status && strcmp(status, "ok") == 0;
    double server_ms =
        number(line, "server_prefill_ms"); /* as in the rows, the server's own time */
    double client_ms = ms_between(line, "t0_ns", "t_first_ns");
    il__arm_call call = {.prefill_ms = !ok                ? NAN
                                       : isnan(server_ms) ? client_ms
                                                          : server_ms,
                         .decode_ms = ok ? ms_between(line, "t_first_ns", "t_end_ns") : NAN,
                         .e2e_ms = ok ? ms_between(line, "t0_ns", "t_end_ns") : NAN,
                         .arm_b = arm && strcmp(arm, "b") == 0,
                         .at = v->count};
    if (!arm || !small_index(line, "cell", UINT32_MAX, &call.cell) ||
        !small_index(line, "block", UINT32_MAX, &call.block) ||
        !small_index(line, "pair", UINT32_MAX, &call.pair)) {
        return IL_OK;
    }
    /* Journals of the first versions hold one call an arm and no rep. */
    if (!small_index(line, "rep", UINT32_MAX, &call.rep)) {
        call.rep = 0;
    }
    int rc = il_vector_resize(v, l->journal->scratch_dir, v->count + 1, err);
    if (rc == IL_OK) {
        ((il__arm_call *)v->data)[call.at] = call;
    }
    return rc;
}

static int add_sentinel(load *l, const json_t *line, il_error *err)
{
    il_run_facts *f = l->facts;
    il_sentinel s = {0, number(line, "at_unix"), number(line, "gemm_ms"), number(line, "read_ms")};
    (void)small_index(line, "block", UINT32_MAX, &s.block);
    int rc =
        grow((void **)&f->sentinels, &l->journal->cap_sentinels, f->n_sentinels, sizeof s, err);
    if (rc == IL_OK && !isnan(s.at_unix)) {
        f->sentinels[f->n_sentinels++] = s;
    }
    return rc;
}

static void copy_short(char out[8], const char *text)
{
    (void)snprintf(out, 8, "%.7s", text ? text : "");
}

static int add_ceiling(load *l, const json_t *line, il_error *err)
{
    il_run_facts *f = l->facts;
    const json_t *samples = json_object_get(line, "samples");
    const char *what = text_of(line, "what");
    il_ceiling c = {.is_read = what && strcmp(what, "read_gbps") == 0,
                    .working_set_bytes = number(line, "working_set_bytes"),
                    .threads = number(line, "threads")};
    double values[64];
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(samples) && n < 64; i++) {
        const json_t *sample = json_array_get(samples, i);
        if (json_is_number(sample) && json_number_value(sample) > 0) {
            values[n++] = json_number_value(sample);
        }
    }
    copy_short(c.dtype, text_of(line, "dtype"));
    c.median = il_median(values, n);
    if (n == 0 || (!c.is_read && (!what || strcmp(what, "fma_gflops") != 0)) ||
        !small_index(line, "block", UINT32_MAX, &c.block)) {
        return IL_OK;
    }
    int rc = grow((void **)&f->ceilings, &l->journal->cap_ceilings, f->n_ceilings, sizeof c, err);
    if (rc == IL_OK) {
        f->ceilings[f->n_ceilings++] = c;
    }
    return rc;
}

static int add_counter(load *l, const il_counter_point *p, il_error *err)
{
    il_run_facts *f = l->facts;
    int rc = grow((void **)&f->counters, &l->journal->cap_counters, f->n_counters, sizeof *p, err);
    if (rc == IL_OK) {
        f->counters[f->n_counters++] = *p;
    }
    return rc;
}

/* What a server's counter said beside the client's stamps. Later loads of a model repeat it. */
static int add_counters(load *l, const json_t *line, const json_t *proof, il_error *err)
{
    const char *backend = text_of(line, "backend"), *model = text_of(line, "model");
    const char *counter = text_of(proof, "counter");
    size_t i;
    const json_t *point;
    int rc = IL_OK;
    for (size_t k = 0; model && k < l->facts->n_counters; k++) {
        if (strcmp(l->facts->counters[k].backend, backend) == 0 &&
            strcmp(l->facts->counters[k].model, model) == 0) {
            return IL_OK;
        }
    }
    json_array_foreach(json_object_get(proof, "points"), i, point)
    {
        il_counter_point p = {.n_tok = number(point, "n"),
                              .counter_ms = number(point, "eval_ns") * 1e-6,
                              .client_steps = number(point, "steps"),
                              .client_ms = number(point, "client_ns") * 1e-6};
        (void)snprintf(p.backend, sizeof p.backend, "%s", backend);
        (void)snprintf(p.model, sizeof p.model, "%s", model ? model : "");
        (void)snprintf(p.counter, sizeof p.counter, "%s", counter ? counter : "");
        if (rc == IL_OK && i < MOST_PROOFS && p.model[0] && p.counter[0] && p.n_tok > 0 &&
            p.client_steps > 0 && p.client_ms > 0 && p.counter_ms >= 0) {
            rc = add_counter(l, &p, err);
        }
    }
    return rc;
}

/* A model as its server tells of it; no checkpoint is at hand to count. */
static int add_served(il__journal *j, const json_t *line, json_t *facts, il_error *err)
{
    const char *model = text_of(line, "model");
    if (!model || !(number(facts, "params_millions") > 0)) {
        return IL_OK;
    }
    j->served = j->served ? j->served : json_object();
    return j->served && json_object_set(j->served, model, facts) == 0
               ? IL_OK
               : il_fail(err, IL_E_NOMEM, "no memory for the facts of a load");
}

/* A load: the kernels and threads that "auto" and 0 of the plan became. */
static int add_load(load *l, const json_t *line, il_error *err)
{
    const char *backend = text_of(line, "backend");
    json_t *facts = json_object_get(line, "facts");
    if (!backend || !json_is_object(facts)) {
        return IL_OK;
    }
    int rc = add_served(l->journal, line, facts, err);
    rc = rc ? rc : add_counters(l, line, json_object_get(facts, "counters"), err);
    if (rc != IL_OK) {
        return rc;
    }
    l->journal->ran = l->journal->ran ? l->journal->ran : json_object();
    return l->journal->ran && json_object_set(l->journal->ran, backend, facts) == 0
               ? IL_OK
               : il_fail(err, IL_E_NOMEM, "no memory for the facts of a load");
}

static int visit(json_t *line, uint64_t at, void *user, il_error *err)
{
    load *l = user;
    const char *kind = text_of(line, "kind");
    if (!kind) {
        return damaged(l, at, err, "a line without a kind");
    }
    if (strcmp(kind, "plan") == 0) {
        return read_plan(l, line, at, err);
    }
    if (!l->journal->plan) {
        return damaged(l, at, err, "the journal does not begin with its plan");
    }
    if (strcmp(kind, "call") == 0 || strcmp(kind, "failure") == 0) {
        return add_call(l, line, at, err);
    }
    if (strcmp(kind, "closure") == 0) {
        return add_closure(l, line, err);
    }
    if (strcmp(kind, "aa") == 0) {
        return add_aa(l, line, err);
    }
    if (strcmp(kind, "sentinel") == 0) {
        return add_sentinel(l, line, err);
    }
    if (strcmp(kind, "ceiling") == 0) {
        return add_ceiling(l, line, err);
    }
    if (strcmp(kind, "parity") == 0) {
        return il__journal_add_parity(l->journal, line, l->facts, err);
    }
    if (strcmp(kind, "cache_probe") == 0) {
        return il__journal_add_probe(l->journal, line, l->facts, err);
    }
    const char *scratch_dir = l->journal->scratch_dir;
    size_t n_cells = json_array_size(json_object_get(l->journal->plan, "cells"));
    if (strcmp(kind, "cold") == 0) {
        int rc = add_load(l, line, err);
        return rc ? rc : il__stage_cold(l->facts, line, n_cells, at, scratch_dir, err);
    }
    if (strcmp(kind, "memory") == 0) {
        return il__stage_memory(l->facts, line, n_cells, at, scratch_dir, err);
    }
    if (strcmp(kind, "energy") == 0) {
        return il__stage_energy(l->facts, line, n_cells, at, scratch_dir, err);
    }
    return IL_OK; /* kinds the tables do not need, and those of later versions */
}

static void finish_sampling(const il__journal *j, il_run_facts *f)
{
    const json_t *sampling = json_object_get(j->plan, "sampling");
    const char *question = text_of(sampling, "question"), *stop = text_of(sampling, "stop");
    il_run_sampling *s = &f->sampling;
    *s = (il_run_sampling){.known = true,
                           .adaptive = json_is_object(sampling),
                           .target = number(sampling, "target"),
                           .blocks_least = j->blocks_least,
                           .blocks_most = j->blocks,
                           .repetitions = j->repetitions,
                           .warmups = j->warmups,
                           .extensions = json_array_size(json_object_get(sampling, "extensions"))};
    (void)snprintf(s->question, sizeof s->question, "%s", question ? question : "");
    (void)snprintf(s->stop, sizeof s->stop, "%s", s->adaptive ? (stop ? stop : "") : "fixed");
    const il__call *calls = j->calls.data;
    for (int64_t i = 0; i < j->n_calls; i++) {
        s->calls_made += calls[i].seen && strcmp(calls[i].status, "skipped") != 0;
    }
    for (size_t c = 0; c < f->n_cells; c++) {
        s->calls_fixed +=
            f->cells[c].skipped ? 0 : (uint64_t)(j->blocks * (j->warmups + j->repetitions));
    }
}

/* The cells of the plan and the end-to-end times of its ok measured calls. */
static int finish_facts(il__journal *j, il_run_facts *f, il_error *err)
{
    il_vector_init(&f->call_memory, sizeof *f->calls);
    int rc = il_vector_resize(&f->call_memory, j->scratch_dir, (size_t)j->n_calls, err);
    f->calls = f->call_memory.data;
    rc = rc ? rc : il__journal_plan_facts(j->plan, f, err);
    rc = rc ? rc : il__backends_read(j->plan, f, err);
    const il__call *calls = j->calls.data;
    for (int64_t i = 0; i < j->n_calls && rc == IL_OK; i++) {
        if (calls[i].seen && !calls[i].is_warmup && strcmp(calls[i].status, "ok") == 0 &&
            !isnan(calls[i].e2e_ms)) {
            f->calls[f->n_calls++] =
                (il_block_call){calls[i].cell, calls[i].block, calls[i].prefill_ms, calls[i].e2e_ms,
                                calls[i].rss_bytes};
        }
    }
    il__stages_finish(f);
    if (rc == IL_OK) {
        finish_sampling(j, f);
    }
    return rc;
}

static int by_cell_and_block(const void *pa, const void *pb)
{
    const il_step_call *a = pa;
    const il_step_call *b = pb;
    int order = (a->cell > b->cell) - (a->cell < b->cell);
    order = order ? order : (a->block > b->block) - (a->block < b->block);
    return order ? order : (a->call_idx > b->call_idx) - (a->call_idx < b->call_idx);
}

/* The plan numbers calls by cell and block, so there is mostly nothing to do. */
static void sort_step_calls(il_vector *v)
{
    il_step_call *calls = v->data;
    bool sorted = true;
    for (size_t i = 1; i < v->count && sorted; i++) {
        sorted = by_cell_and_block(&calls[i - 1], &calls[i]) <= 0;
    }
    if (!sorted) {
        il_sort_records(calls, v->count, sizeof *calls, by_cell_and_block);
    }
}

/* The calls whose steps are known one by one, and those whose are not. */
static int finish_steps(il__journal *j, il_run_facts *f, il_error *err)
{
    const il__call *calls = j->calls.data;
    f->step_ms = j->steps;
    il_vector_init(&j->steps, sizeof(double));
    il_vector_init(&f->step_calls, sizeof(il_step_call));
    for (int64_t i = 0; i < j->n_calls; i++) {
        const il__call *call = &calls[i];
        if (!call->seen || call->n_stamps == 0 || strcmp(call->status, "ok") != 0) {
            continue;
        }
        size_t at = f->step_calls.count;
        int rc = il_vector_resize(&f->step_calls, j->scratch_dir, at + 1, err);
        if (rc != IL_OK) {
            return rc;
        }
        bool each = (double)call->n_stamps == call->decode_steps;
        ((il_step_call *)f->step_calls.data)[at] = (il_step_call){.first = call->first_step,
                                                                  .call_idx = (uint64_t)i,
                                                                  .cell = call->cell,
                                                                  .block = call->block,
                                                                  .n = each ? call->n_stamps : 0,
                                                                  .n_stamps = call->n_stamps,
                                                                  .context_tok = call->seq_len};
    }
    sort_step_calls(&f->step_calls);
    return IL_OK;
}

int il__journal_load(const char *path, const char *scratch_dir, il__journal *out,
                     il_run_facts *facts, il_error *err)
{
    *out = (il__journal){.scratch_dir = scratch_dir};
    il_vector_init(&out->calls, sizeof(il__call));
    il_vector_init(&out->steps, sizeof(double));
    il_vector_init(&out->arm_calls, sizeof(il__arm_call));
    load l = {out, facts, path};
    il_journal_info info;
    int rc = il_journal_read(path, visit, &l, &info, err);
    if (rc == IL_OK && !out->plan) {
        rc = il_fail(err, IL_E_DAMAGED, "the journal holds no plan");
        il_error_where(err, "%s", path);
    }
    if (rc == IL_OK && info.torn_bytes > 0) {
        il_log(IL_LOG_WARN, "%s: the last line is torn (%llu bytes) and left out", path,
               (unsigned long long)info.torn_bytes);
    }
    rc = rc ? rc : finish_facts(out, facts, err);
    rc = rc ? rc
            : il__arms_of(out->arm_calls.data, out->arm_calls.count, scratch_dir, &facts->aa_memory,
                          err);
    facts->aas = facts->aa_memory.data;
    facts->n_aas = facts->aa_memory.count;
    return rc ? rc : finish_steps(out, facts, err);
}

void il__journal_free(il__journal *journal)
{
    free(journal->extra);
    json_decref(journal->plan);
    json_decref(journal->ran);
    json_decref(journal->served);
    il_vector_free(&journal->calls);
    il_vector_free(&journal->steps);
    il_vector_free(&journal->arm_calls);
    il__texts_free(&journal->texts);
}
