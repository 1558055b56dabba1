/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The memory wall: after everything else a ladder climbs models, context or batch, each rung in a
 * fresh process under a limit on its memory, until it fails. What a rung took and how it ended is
 * a line of the journal; what the shape says it should take stands beside it.
 */
#include "study/driver_parts.h"

#include "base/json.h"
#include "os/clock.h"
#include "os/memory_limit.h"
#include "os/process_memory.h"
#include "study/ladder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 3, MOST_GEN_TOK = 8, MOST_AUTO_STEPS = 24, LEAST_CONTEXT_TOK = 64 };

/* No rung may have more than this part of what is available, whatever the study says. */
static const double most_share = 0.8;

typedef struct rung {
    il_axis axis;
    uint32_t group, cell, batch, context_tok, gen_tok;
    uint64_t x; /* models: bytes by the shape; tokens; sequences */
} rung;

typedef struct measured {
    const char *status, *reason;
    il_process_memory loaded, after;
    double prefill_ms, gpu_peak_mb;
    json_t *step_ms;
    double major_faults;
} measured;

/* --- what the shape says ---------------------------------------------------------------------- */

static const il_study_model *model_of(const il__driver *d, const rung *r)
{
    return &d->plan->study->models[d->plan->cells[r->cell].model];
}

static il_dtype dtype_of(const il__driver *d, const rung *r)
{
    il_dtype dtype = IL_DTYPE_F32;
    const il_study_backend *b = &d->plan->study->backends[d->plan->cells[r->cell].backend];
    (void)il_dtype_parse(il_param_text(&b->set, IL_P_DTYPE), &dtype);
    return dtype;
}

static double kv_bytes_per_token(const il__driver *d, const rung *r)
{
    const il_study_model *m = model_of(d, r);
    return m->has_shape ? (double)il_shape_kv_bytes_per_token(&m->shape, dtype_of(d, r))
                        : (double)NAN;
}

static double weight_bytes(const il__driver *d, const rung *r)
{
    const il_study_model *m = model_of(d, r);
    return m->has_shape ? (double)m->counts.total * (double)il_dtype_bytes(dtype_of(d, r))
                        : (double)NAN;
}

static double predicted_bytes(const il__driver *d, const rung *r)
{
    return weight_bytes(d, r) + kv_bytes_per_token(d, r) * r->batch * r->context_tok;
}

/* --- one rung --------------------------------------------------------------------------------- */

static int fill_request(const il__driver *d, const rung *r, il_call_request *request, int32_t *ids)
{
    const il_study *s = d->plan->study;
    const il_cell *c = &d->plan->cells[r->cell];
    const il_study_model *m = model_of(d, r);
    uint32_t n_ids = r->context_tok - r->gen_tok;
    for (uint32_t row = 0; row < r->batch; row++) {
        il_study_prompt_ids(
            (uint64_t)il_param_i64(&s->top, IL_P_SEED), s->scenarios[c->scenario].name, row,
            m->has_shape ? m->shape.vocab_size : 50257, n_ids, ids + (size_t)row * n_ids);
    }
    *request = (il_call_request){.batch = r->batch,
                                 .n_ids = n_ids,
                                 .ids = ids,
                                 .gen_tokens = r->gen_tok,
                                 .split = true,
                                 .deadline_s =
                                     il_param_f64(&s->backends[c->backend].set, IL_P_DEADLINE_S)};
    return IL_OK;
}

static int run_calls(il__driver *d, const rung *r, il_backend *b, const il_backend_ops *ops,
                     const il_call_request *request, measured *out, il_error *why)
{
    int64_t *stamps = calloc(r->gen_tok + 1, sizeof *stamps);
    int rc = stamps ? ops->prepare(b, request, why) : il_fail(why, IL_E_NOMEM, "out of memory");
    for (int i = 0; rc == IL_OK && i < CALLS && !il__driver_stopping(d); i++) {
        il_call_result result = {.t_step_ns = stamps, .gpu_peak_mb = (double)NAN};
        il_state before, after;
        il_state_read(ops->pid(b), &before);
        rc = ops->call(b, request, &result, why);
        il_state_read(ops->pid(b), &after);
        if (rc == IL_OK) {
            out->prefill_ms = (double)(result.t_first_ns - result.t0_ns) * 1e-6;
            out->gpu_peak_mb = fmax(out->gpu_peak_mb, result.gpu_peak_mb);
            /* Of the last call: what the first one read from files is not paging. */
            out->major_faults =
                after.major_faults != UINT64_MAX && before.major_faults != UINT64_MAX
                    ? (double)(after.major_faults - before.major_faults)
                    : (double)NAN;
            (void)json_array_clear(out->step_ms);
            int64_t from = result.t_first_ns;
            for (uint32_t k = 0; k < result.n_stamps; k++) {
                (void)json_array_append_new(out->step_ms,
                                            il_json_real((double)(stamps[k] - from) * 1e-6));
                from = stamps[k];
            }
        }
        json_decref(result.server);
        json_decref(result.flags);
    }
    free(stamps);
    return rc;
}

static int climb(il__driver *d, const rung *r, const il_memory_limit *limit, measured *out,
                 il_error *why)
{
    const il_cell *c = &d->plan->cells[r->cell];
    const il_backend_ops *ops = d->plan->ops[c->backend];
    il_backend *b = d->plan->open[c->backend];
    il_backend_model m;
    il_call_request request;
    il_load_result load = {0};
    int32_t *ids = calloc((size_t)r->batch * r->context_tok + 1, sizeof *ids);
    il__driver_unload(d);
    il_plan_group_model(d->plan, r->group, &m);
    m.max_batch = r->batch;
    m.max_prompt_tok = r->context_tok - r->gen_tok;
    m.max_gen_tok = r->gen_tok;
    m.memory_limit = limit;
    int rc = ids ? fill_request(d, r, &request, ids) : il_fail(why, IL_E_NOMEM, "out of memory");
    rc = rc == IL_OK ? ops->load(b, &m, &load, why) : rc;
    if (rc == IL_OK) {
        il__driver_note_pid(d, ops->pid(b));
        il_process_memory_read(ops->pid(b), &out->loaded);
        rc = run_calls(d, r, b, ops, &request, out, why);
        if (rc == IL_OK) {
            il_process_memory_read(ops->pid(b), &out->after);
        }
    }
    (void)ops->unload(b, NULL);
    il__driver_note_pid(d, 0);
    json_decref(load.stages);
    json_decref(load.facts);
    free(ids);
    return rc;
}

static json_t *bytes_json(int64_t bytes)
{
    return bytes > 0 ? json_integer(bytes) : json_null();
}

static json_t *line_of(const il__driver *d, const rung *r, const il_memory_limit *limit,
                       const measured *out, const il_error *why)
{
    const il_cell *c = &d->plan->cells[r->cell];
    bool failed = out->reason != NULL;
    json_t *line =
        json_pack("{s:s,s:s,s:I,s:I,s:s,s:I,s:I,s:I,s:I,s:s,s:I,s:s}", "backend",
                  d->plan->study->backends[c->backend].name, "model",
                  d->plan->study->models[c->model].name, "group", (json_int_t)r->group, "cell",
                  (json_int_t)r->cell, "axis", il_axis_name(r->axis), "x", (json_int_t)r->x,
                  "batch", (json_int_t)r->batch, "context_tok", (json_int_t)r->context_tok,
                  "decode_steps", (json_int_t)r->gen_tok, "limit_by", il_limit_by_name(limit->by),
                  "limit_bytes", (json_int_t)limit->bytes, "status", out->status);
    json_t *rest = json_pack(
        "{s:s?,s:s?,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:O}", "reason", out->reason,
        "message", failed ? why->what : NULL, "predicted_bytes",
        il_json_real(predicted_bytes(d, r)), "weight_bytes", il_json_real(weight_bytes(d, r)),
        "kv_bytes_per_token", il_json_real(kv_bytes_per_token(d, r)), "rss_load_bytes",
        bytes_json(out->loaded.rss_bytes), "pss_load_bytes", bytes_json(out->loaded.pss_bytes),
        "rss_peak_bytes", bytes_json(out->after.rss_peak_bytes), "pss_bytes",
        bytes_json(out->after.pss_bytes), "swap_bytes",
        out->after.n_processes && out->after.swap_bytes >= 0 ? json_integer(out->after.swap_bytes)
                                                             : json_null(),
        "gpu_peak_mb", il_json_real(out->gpu_peak_mb), "prefill_ms", il_json_real(out->prefill_ms),
        "major_faults", failed ? json_null() : il_json_real(out->major_faults), "step_ms",
        out->step_ms);
    if (line && rest) {
        (void)json_object_update(line, rest);
    }
    json_decref(rest);
    return line;
}

/* *failed: the rung did not hold. The return value is about the journal. */
static int run_rung(il__driver *d, const rung *r, const il_memory_limit *limit, bool *failed,
                    il_error *err)
{
    measured out = {.status = "ok",
                    .prefill_ms = (double)NAN,
                    .gpu_peak_mb = (double)NAN,
                    .major_faults = (double)NAN,
                    .step_ms = json_array()};
    il_error why = {0};
    char what[512];
    const il_cell *c = &d->plan->cells[r->cell];
    (void)snprintf(what, sizeof what, "memory ladder  %s  %s  %s %llu",
                   d->plan->study->backends[c->backend].name, d->plan->study->models[c->model].name,
                   il_axis_name(r->axis), (unsigned long long)r->x);
    il__driver_tick(d, d->plan->sampling.rounds - 1, what, 0);
    int code = climb(d, r, limit, &out, &why);
    int rc = IL_OK;
    *failed = code != IL_OK;
    if (*failed) {
        out.status = "error";
        out.reason = il_code_name(code);
    }
    if (!d->stopped) { /* a rung cut short by a signal is run again by a resume */
        rc = il_journal_write(d->journal, "memory", line_of(d, r, limit, &out, &why), err);
    }
    json_decref(out.step_ms);
    return rc;
}

/* --- the ladder ------------------------------------------------------------------------------- */

/* The cell a group climbs with: the smallest batch, the first in the plan. A model that was left
 * out because it is too large may climb: it fails under the limit, if it fails. */
static uint32_t cell_of(const il_plan *p, uint32_t group)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        bool runs = c->skip.code == IL_OK || c->skip.code == IL_E_NOMEM;
        if (c->group == group && runs && c->seq_len > 0 &&
            (p->ops[c->backend]->caps & IL_CAP_PROCESS) &&
            (best == UINT32_MAX || c->batch < p->cells[best].batch)) {
            best = i;
        }
    }
    return best;
}

static rung base_rung(const il__driver *d, uint32_t group, uint32_t cell, il_axis axis)
{
    const il_cell *c = &d->plan->cells[cell];
    uint32_t gen = c->gen_tokens < MOST_GEN_TOK ? c->gen_tokens : MOST_GEN_TOK;
    return (rung){.axis = axis,
                  .group = group,
                  .cell = cell,
                  .batch = c->batch,
                  .gen_tok = gen,
                  .context_tok = c->seq_len + gen};
}

typedef struct climber {
    il__driver *d;
    const il_memory_limit *limit;
    uint32_t stop_after;
} climber;

static int climb_axis(const climber *k, const rung *base, const il_ladder_axis *axis, il_error *err)
{
    const il_study_model *m = model_of(k->d, base);
    uint32_t most = m->has_shape && m->shape.n_positions ? m->shape.n_positions : UINT32_MAX;
    uint32_t failures = 0, step = axis->axis == IL_AXIS_CONTEXT ? LEAST_CONTEXT_TOK : 1;
    size_t n = axis->n ? axis->n : MOST_AUTO_STEPS;
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < n && failures < k->stop_after; i++, step *= 2) {
        rung r = *base;
        uint32_t value = axis->n ? axis->values[i] : step;
        bool failed = false;
        r.x = value;
        r.context_tok = axis->axis == IL_AXIS_CONTEXT ? value : r.context_tok;
        r.batch = axis->axis == IL_AXIS_BATCH ? value : r.batch;
        if (r.context_tok > most || r.context_tok <= r.gen_tok || il__driver_stopping(k->d)) {
            break; /* positions end before memory does */
        }
        if (!il_history_rung(&k->d->history, r.group, r.axis, r.x, &failed)) {
            rc = run_rung(k->d, &r, k->limit, &failed, err);
        }
        failures = failed ? failures + 1 : failures;
    }
    return rc;
}

static int climb_each(const climber *k, const il_ladder_axis *axis, il_error *err)
{
    int rc = IL_OK;
    for (uint32_t g = 0; rc == IL_OK && g < k->d->plan->n_groups; g++) {
        uint32_t cell = cell_of(k->d->plan, g);
        if (cell != UINT32_MAX && k->d->plan->cells[cell].skip.code == IL_OK) {
            rung base = base_rung(k->d, g, cell, axis->axis);
            rc = climb_axis(k, &base, axis, err);
        }
    }
    return rc;
}

static int by_size(const void *pa, const void *pb)
{
    const rung *a = pa, *b = pb;
    return a->x != b->x ? (a->x > b->x) - (a->x < b->x)
                        : (a->group > b->group) - (a->group < b->group);
}

/* Models of one backend, the smallest first. */
static int climb_sizes(const climber *k, uint32_t backend, rung *rungs, il_error *err)
{
    il__driver *d = k->d;
    uint32_t n = 0, failures = 0;
    for (uint32_t g = 0; g < d->plan->n_groups; g++) {
        uint32_t cell = cell_of(d->plan, g);
        if (cell != UINT32_MAX && d->plan->cells[cell].backend == backend) {
            rungs[n] = base_rung(d, g, cell, IL_AXIS_SIZE);
            double bytes = predicted_bytes(d, &rungs[n]);
            rungs[n].x = bytes > 0 ? (uint64_t)bytes : 0;
            n += bytes > 0;
        }
    }
    qsort(rungs, n, sizeof *rungs, by_size);
    int rc = IL_OK;
    for (uint32_t i = 0; rc == IL_OK && i < n && failures < k->stop_after; i++) {
        bool failed = false;
        if (il__driver_stopping(d)) {
            break;
        }
        if (!il_history_rung(&d->history, rungs[i].group, IL_AXIS_SIZE, rungs[i].x, &failed)) {
            rc = run_rung(d, &rungs[i], k->limit, &failed, err);
        }
        failures = failed ? failures + 1 : failures;
    }
    return rc;
}

/* Bytes a rung may have; 0 when what is available is not known and the study does not say. */
static uint64_t limit_bytes(const il__driver *d)
{
    const il_param_set *set = &d->plan->study->memory;
    double available = (double)d->machine.available_bytes;
    double bytes = il_param_has(set, IL_P_LIMIT_BYTES)
                       ? il_param_f64(set, IL_P_LIMIT_BYTES)
                       : il_param_f64(set, IL_P_LIMIT_SHARE) * available;
    return (uint64_t)fmin(bytes, most_share * available);
}

int il__driver_memory(il__driver *d, il_error *err)
{
    il_ladder ladder;
    il_memory_limit limit;
    const il_study *s = d->plan->study;
    if (!s->has_memory || il__driver_stopping(d)) {
        return IL_OK;
    }
    il__driver_unload(d);
    uint64_t bytes = limit_bytes(d);
    if (bytes == 0) {
        il__driver_say(d, "the memory ladder is left out: how much is available is not known");
        return IL_OK;
    }
    rung *rungs = calloc(d->plan->n_groups + 1, sizeof *rungs);
    int rc = rungs ? il_ladder_read(s->ladder, &d->arena, &ladder, err)
                   : il_fail(err, IL_E_NOMEM, "out of memory");
    if (rc != IL_OK) {
        free(rungs);
        return rc;
    }
    bool group = strcmp(il_param_text(&s->memory, IL_P_LIMIT_BY), "auto") == 0;
    il_memory_limit_open(bytes, group, &limit);
    const climber k = {d, &limit, (uint32_t)il_param_i64(&s->memory, IL_P_STOP_AFTER)};
    for (size_t i = 0; rc == IL_OK && i < ladder.n; i++) {
        bool sizes = ladder.axes[i].axis == IL_AXIS_SIZE;
        rc = sizes ? IL_OK : climb_each(&k, &ladder.axes[i], err);
        for (uint32_t b = 0; sizes && rc == IL_OK && b < s->n_backends; b++) {
            rc = climb_sizes(&k, b, rungs, err);
        }
    }
    il_memory_limit_close(&limit);
    free(rungs);
    return rc;
}
