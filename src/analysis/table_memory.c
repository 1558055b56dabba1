/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * memory.csv: what processes held after their calls, the peaks and growth on the memory ladder,
 * and where it ended (docs/memory.md).
 */
#include "analysis/memory_data.h"
#include "analysis/tables.h"
#include "stats/ols.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"backend", "model",     "batch_size",  "what",     "axis",
                                      "x",       "unit",      "n",           "estimate", "ci_low",
                                      "ci_high", "predicted", "limit_bytes", "limit_by", "note"};

typedef struct row {
    const il_plan_cell *cell;
    const char *model, *what, *axis, *unit, *limit_by, *note;
    double batch, x, predicted, limit;
    size_t n;
    il_interval value;
} row;

static void write_row(const row *r, il_csv_writer *out)
{
    il_csv_text(out, r->cell->backend);
    il_csv_text(out, r->model ? r->model : r->cell->model);
    il_csv_f64(out, r->batch);
    il_csv_text(out, r->what);
    il_csv_text(out, r->axis);
    il_csv_f64(out, r->x);
    il_csv_text(out, r->unit);
    il_csv_i64(out, (int64_t)r->n);
    il_csv_f64(out, r->value.estimate);
    il_csv_f64(out, r->value.low);
    il_csv_f64(out, r->value.high);
    il_csv_f64(out, r->predicted);
    il_csv_f64(out, r->limit);
    il_csv_text(out, r->limit_by ? r->limit_by : "");
    il_csv_text(out, r->note ? r->note : "");
    il_csv_end_row(out);
}

/* --- the run's own calls ---------------------------------------------------------------------- */

/* The most a block's calls of a cell left resident, over blocks: median and exact interval. */
static int write_cell_rss(const il__run *run, size_t first, size_t n, il_csv_writer *out,
                          il_error *err)
{
    const il_block_call *calls = run->facts->calls + first;
    il_scratch memory = {.data = NULL};
    int rc = il_scratch_take(&memory, run->out_dir, n, sizeof(double), err);
    double *values = memory.data;
    size_t n_blocks = 0;
    for (size_t i = 0; rc == IL_OK && i < n;) {
        double most = NAN;
        size_t from = i;
        for (; i < n && calls[i].block == calls[from].block; i++) {
            most = fmax(most, calls[i].rss_bytes);
        }
        if (most > 0) {
            values[n_blocks++] = most;
        }
    }
    if (rc == IL_OK && n_blocks > 0) {
        const il_plan_cell *cell = &run->facts->cells[calls[0].cell];
        row r = {.cell = cell,
                 .what = "rss_after_call",
                 .axis = "",
                 .unit = "bytes",
                 .batch = cell->batch_size,
                 .x = NAN,
                 .predicted = NAN,
                 .limit = NAN,
                 .note = cell->scenario,
                 .n = n_blocks};
        (void)il_quantile_interval(values, n_blocks, 0.5, 0.95, &r.value, NULL, NULL);
        write_row(&r, out);
    }
    il_scratch_free(&memory);
    return rc;
}

static int write_calls(const il__run *run, il_csv_writer *out, il_error *err)
{
    const il_run_facts *f = run->facts;
    int rc = IL_OK;
    for (size_t at = 0; rc == IL_OK && at < f->n_calls;) {
        size_t n = 1;
        while (at + n < f->n_calls && f->calls[at + n].cell == f->calls[at].cell) {
            n++;
        }
        rc = write_cell_rss(run, at, n, out, err);
        at += n;
    }
    return rc;
}

/* --- rungs ------------------------------------------------------------------------------------ */

static row rung_row(const il__run *run, const il_memory_rung *r, const char *what)
{
    const il_plan_cell *cell = &run->facts->cells[r->cell];
    return (row){.cell = cell,
                 .what = what,
                 .axis = il_rung_axis_names[r->axis],
                 .unit = "bytes",
                 .limit_by = r->limit_by,
                 .batch = r->axis == IL_RUNG_BATCH ? NAN : r->batch,
                 .x = r->x,
                 .predicted = r->predicted,
                 .limit = r->limit,
                 .n = 1,
                 .value = {NAN, NAN, NAN}};
}

static void write_peaks(const il__run *run, const il_memory_rung *r, il_csv_writer *out)
{
    const struct {
        const char *what;
        double bytes;
    } peaks[] = {{"peak_rss", r->rss_peak}, {"pss", r->pss}, {"peak_vram", r->gpu_peak}};
    for (size_t i = 0; i < IL__COUNT_OF(peaks); i++) {
        if (peaks[i].bytes > 0) {
            row line = rung_row(run, r, peaks[i].what);
            line.value.estimate = peaks[i].bytes;
            write_row(&line, out);
        }
    }
}

/* PSS against tokens in the cache or sequences: the slope, t interval, beside what the KV cache
 * should take. */
static int write_growth(const il__run *run, const il_memory_rung *rungs, size_t n,
                        il_csv_writer *out, il_error *err)
{
    double *x = calloc(2 * n + 1, sizeof *x), *y = x ? x + n : NULL;
    il_ols fit;
    size_t k = 0;
    if (!x) {
        return il_fail(err, IL_E_NOMEM, "no memory for a slope");
    }
    for (size_t i = 0; i < n; i++) {
        if (!rungs[i].failed && rungs[i].pss > 0) {
            x[k] = rungs[i].x;
            y[k++] = rungs[i].pss;
        }
    }
    if (k >= 3 && il_ols_fit(x, y, k, 1, &fit, NULL, NULL, NULL) == IL_OK) {
        bool context = rungs[0].axis == IL_RUNG_CONTEXT;
        row r = rung_row(run, &rungs[0], context ? "growth_per_token" : "growth_per_sequence");
        r.unit = context ? "bytes/token" : "bytes/sequence";
        r.x = NAN;
        r.n = k;
        r.predicted = rungs[0].kv_per_token * (context ? rungs[0].batch : rungs[0].context_tok);
        r.value.estimate = fit.coef[1];
        il_ols_interval(&fit, 1, 0.95, &r.value.low, &r.value.high);
        r.note = "slope of PSS; predicted is the KV cache alone";
        write_row(&r, out);
    }
    free(x);
    return IL_OK;
}

/* Where what the shape predicts reaches the limit, in the unit of the axis. */
static double predicted_wall(const il_memory_rung *r)
{
    double room = r->limit - r->weights;
    switch (r->axis) {
    case IL_RUNG_CONTEXT:
        return fmax(room / (r->kv_per_token * r->batch), 0);
    case IL_RUNG_BATCH:
        return fmax(room / (r->kv_per_token * r->context_tok), 0);
    case IL_RUNG_SIZE:
        break;
    }
    return r->limit;
}

static const char *const axis_units[] = {"bytes", "tokens", "sequences"};

/* The wall: the last rung that held; it lies between that and the first that failed. */
static void write_wall(const il__run *run, const il_memory_climb *c, il_csv_writer *out)
{
    const il_memory_rung *any = c->last_ok ? c->last_ok : c->first_failed;
    char note[320];
    if (!any) {
        return;
    }
    row r = rung_row(run, any, "wall");
    r.unit = axis_units[any->axis];
    r.model = any->axis == IL_RUNG_SIZE ? "" : NULL;
    r.x = NAN;
    r.n = c->n_ok + c->n_failed;
    r.predicted = predicted_wall(any);
    r.value = (il_interval){c->last_ok ? c->last_ok->x : NAN, c->last_ok ? c->last_ok->x : NAN,
                            c->first_failed ? c->first_failed->x : NAN};
    const il_plan_cell *cells = run->facts->cells;
    if (!c->first_failed) {
        (void)snprintf(note, sizeof note, "no rung failed: the wall is beyond the ladder");
    } else if (any->axis == IL_RUNG_SIZE) {
        (void)snprintf(note, sizeof note, "%.120s held, %.120s failed: %s",
                       c->last_ok ? cells[c->last_ok->cell].model : "none",
                       cells[c->first_failed->cell].model, c->first_failed->reason);
    } else {
        (void)snprintf(note, sizeof note, "failed: %s", c->first_failed->reason);
    }
    r.note = note;
    write_row(&r, out);
}

/* Where pages are read back in every pass, and what that does to a step. */
static void write_paging(const il__run *run, const il_memory_climb *c, il_csv_writer *out)
{
    char note[160];
    if (!c->last_ok) {
        return;
    }
    const il_memory_rung *at = c->paging;
    row r = rung_row(run, at ? at : c->last_ok, "paging_starts");
    r.unit = axis_units[c->last_ok->axis];
    r.model = c->last_ok->axis == IL_RUNG_SIZE && !at ? "" : NULL;
    r.n = c->n_ok;
    r.predicted = NAN;
    r.x = NAN;
    r.note = "no rung that held read a page a pass";
    if (at) {
        const il_memory_rung *before = c->before_paging;
        r.value = (il_interval){at->x, before ? before->x : NAN, at->x};
        (void)snprintf(note, sizeof note, "%.3g major faults a pass; a step takes %.3g ms%s",
                       at->faults_per_pass, at->step_ms, before ? "" : " at the first rung");
        if (before) {
            size_t len = strlen(note);
            (void)snprintf(note + len, sizeof note - len, ", %.3g ms one rung below",
                           before->step_ms);
        }
        r.note = note;
    }
    write_row(&r, out);
}

/* --- climbs ----------------------------------------------------------------------------------- */

static bool same_backend(const il__run *run, const il_memory_rung *a, const il_memory_rung *b)
{
    return strcmp(run->facts->cells[a->cell].backend, run->facts->cells[b->cell].backend) == 0;
}

static void write_climb_ends(const il__run *run, const il_memory_climb *c, il_csv_writer *out)
{
    write_wall(run, c, out);
    write_paging(run, c, out);
}

/* Rungs of size stand by bytes; each backend's are one climb. */
static void write_sizes(const il__run *run, const il_memory_rung *rungs, size_t n,
                        il_csv_writer *out)
{
    for (size_t i = 0; i < n; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++) {
            first = first && !same_backend(run, &rungs[k], &rungs[i]);
        }
        il_memory_climb climb = {0};
        for (size_t k = i; first && k < n; k++) {
            if (same_backend(run, &rungs[k], &rungs[i])) {
                write_peaks(run, &rungs[k], out);
                il__memory_climb_add(&climb, &rungs[k]);
            }
        }
        if (first) {
            write_climb_ends(run, &climb, out);
        }
    }
}

static int write_steps(const il__run *run, const il_memory_rung *rungs, size_t n,
                       il_csv_writer *out, il_error *err)
{
    il_memory_climb climb = {0};
    for (size_t i = 0; i < n; i++) {
        write_peaks(run, &rungs[i], out);
        il__memory_climb_add(&climb, &rungs[i]);
    }
    int rc = write_growth(run, rungs, n, out, err);
    write_climb_ends(run, &climb, out);
    return rc;
}

static int write_rungs(const il__run *run, il_csv_writer *out, il_error *err)
{
    const il_memory_rung *rungs = run->facts->rungs;
    size_t n = run->facts->n_rungs;
    int rc = IL_OK;
    for (size_t from = 0, to; rc == IL_OK && from < n; from = to) {
        bool size = rungs[from].axis == IL_RUNG_SIZE;
        for (to = from + 1; to < n && rungs[to].axis == rungs[from].axis &&
                            (size || rungs[to].cell == rungs[from].cell);
             to++) {
        }
        if (size) {
            write_sizes(run, rungs + from, to - from, out);
        } else {
            rc = write_steps(run, rungs + from, to - from, out, err);
        }
    }
    return rc;
}

int il__write_memory(const il__run *run, il_error *err)
{
    il_csv_writer out = {.fd = -1};
    int rc = il__table_open(run, "memory.csv", columns, IL__COUNT_OF(columns), &out, err);
    rc = rc ? rc : write_calls(run, &out, err);
    rc = rc ? rc : write_rungs(run, &out, err);
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    return rc;
}
