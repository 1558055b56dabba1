/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/bench_rows.h"

#include "study/journal.h"

#include <math.h>
#include <string.h>

enum { MOST_CEILINGS = 16 };

typedef struct read_ceiling {
    double bytes, gbps;
} read_ceiling;

typedef struct block_facts {
    read_ceiling reads[MOST_CEILINGS];
    unsigned n_reads;
    double gflops; /* NaN when not measured */
} block_facts;

typedef struct collect {
    const il_plan *plan;
    block_facts *facts;     /* [blocks] */
    double *prefill, *step; /* [cell · blocks + block], ms, NaN where there is none */
} collect;

static double median_of(const json_t *samples)
{
    double x[64];
    size_t n = json_array_size(samples);
    n = n > 64 ? 64 : n;
    for (size_t i = 0; i < n; i++) {
        x[i] = json_number_value(json_array_get(samples, i));
    }
    return il_median(x, n);
}

static void take_ceiling(collect *c, const json_t *line, int64_t block)
{
    block_facts *f = &c->facts[block];
    const char *what = json_string_value(json_object_get(line, "what"));
    double median = median_of(json_object_get(line, "samples"));
    if (what && strcmp(what, "fma_gflops") == 0) {
        f->gflops = median;
    } else if (f->n_reads < MOST_CEILINGS) {
        double bytes = json_number_value(json_object_get(line, "working_set_bytes"));
        f->reads[f->n_reads++] = (read_ceiling){bytes, median};
    }
}

static void take_call(collect *c, const json_t *line, int64_t block)
{
    int64_t cell = json_integer_value(json_object_get(line, "cell"));
    const json_t *steps = json_object_get(line, "t_step_ns");
    const char *status = json_string_value(json_object_get(line, "status"));
    size_t n = json_array_size(steps);
    if (!status || strcmp(status, "ok") != 0 || cell < 0 || cell >= c->plan->n_cells || n == 0 ||
        json_is_true(json_object_get(line, "is_warmup"))) {
        return;
    }
    double t0 = (double)json_integer_value(json_object_get(line, "t0_ns"));
    double first = (double)json_integer_value(json_object_get(line, "t_first_ns"));
    double last = (double)json_integer_value(json_array_get(steps, n - 1));
    size_t at = (size_t)cell * c->plan->blocks + (size_t)block;
    c->prefill[at] = (first - t0) * 1e-6;
    c->step[at] = (last - first) * 1e-6 / (double)n;
}

static int take_line(json_t *line, uint64_t number, void *user, il_error *err)
{
    (void)number;
    (void)err;
    collect *c = user;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    int64_t block = json_integer_value(json_object_get(line, "block"));
    if (block < 0 || block >= c->plan->blocks) {
        return IL_OK;
    }
    if (strcmp(kind, "ceiling") == 0) {
        take_ceiling(c, line, block);
    } else if (strcmp(kind, "call") == 0) {
        take_call(c, line, block);
    }
    return IL_OK;
}

/* The least time of the pass in ms by this block's ceilings: the slower of reading and multiplying.
 * The bandwidth is that of the measured working set nearest in size; NaN when there is none. */
static double floor_ms(const block_facts *f, double bytes, double flops)
{
    double best = (double)INFINITY, gbps = (double)NAN;
    for (unsigned i = 0; i < f->n_reads; i++) {
        double gap = fabs(log(f->reads[i].bytes / bytes));
        if (gap < best) {
            best = gap;
            gbps = f->reads[i].gbps;
        }
    }
    return fmax(bytes / gbps, flops / f->gflops) * 1e-6;
}

static void fill_row(const collect *c, uint32_t cell, bool decode, double *values, double *shares,
                     il_bench_row *row)
{
    const il_cell *k = &c->plan->cells[cell];
    const il_study_model *m = &c->plan->study->models[k->model];
    il_dtype dtype = IL_DTYPE_F32;
    (void)il_dtype_parse(il_param_text(&c->plan->study->backends[k->backend].set, IL_P_DTYPE),
                         &dtype);
    double weights = (double)m->counts.read_per_step * (double)il_dtype_bytes(dtype);
    size_t n = 0, n_shares = 0;
    for (uint32_t b = 0; b < c->plan->blocks; b++) {
        double ms = (decode ? c->step : c->prefill)[(size_t)cell * c->plan->blocks + b];
        if (isnan(ms)) {
            continue;
        }
        double least = decode
                           ? floor_ms(&c->facts[b], (double)k->bytes_per_step, k->flops_decode_step)
                           : floor_ms(&c->facts[b], weights, k->flops_prefill);
        values[n++] = ms;
        if (least > 0 && isfinite(least)) {
            shares[n_shares++] = least / ms;
        }
    }
    *row = (il_bench_row){.cell = k, .decode = decode, .n = n};
    row->ms = row->share = (il_interval){(double)NAN, (double)NAN, (double)NAN};
    if (n > 0) {
        (void)il_quantile_interval(values, n, 0.5, 0.95, &row->ms, NULL, NULL);
    }
    if (n_shares > 0 && n_shares == n) {
        (void)il_quantile_interval(shares, n_shares, 0.5, 0.95, &row->share, NULL, NULL);
    }
}

int il_bench_rows(const il_plan *plan, const char *journal, il_arena *arena, il_bench_row **rows,
                  size_t *n_rows, il_error *err)
{
    size_t n = (size_t)plan->n_cells * plan->blocks;
    collect c = {.plan = plan};
    c.facts = il_arena_array(arena, plan->blocks, sizeof *c.facts);
    c.prefill = il_arena_array(arena, n, sizeof *c.prefill);
    c.step = il_arena_array(arena, n, sizeof *c.step);
    double *values = il_arena_array(arena, plan->blocks, sizeof *values);
    double *shares = il_arena_array(arena, plan->blocks, sizeof *shares);
    *rows = il_arena_array(arena, 2 * (size_t)plan->n_cells, sizeof **rows);
    *n_rows = 0;
    if (!c.facts || !c.prefill || !c.step || !values || !shares || !*rows) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        c.prefill[i] = c.step[i] = (double)NAN;
    }
    for (uint32_t b = 0; b < plan->blocks; b++) {
        c.facts[b].gflops = (double)NAN;
    }
    int rc = il_journal_read(journal, take_line, &c, NULL, err);
    for (uint32_t i = 0; rc == IL_OK && i < plan->n_cells; i++) {
        if (plan->cells[i].skip.code == IL_OK) {
            fill_row(&c, i, false, values, shares, &(*rows)[(*n_rows)++]);
            fill_row(&c, i, true, values, shares, &(*rows)[(*n_rows)++]);
        }
    }
    return rc;
}
