/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * efficiency.csv: how near a cell comes to what this machine could do, block by block, against the
 * ceilings measured in the same block.
 */
#include "analysis/replicates.h"

#include "stats/noise.h"
#include "stats/order.h"

#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {
    "backend",        "model",  "scenario", "batch_size", "mode", "latency_ms", "floor_ms",
    "share_of_floor", "ci_low", "ci_high",  "bound_by",   "mbu",  "mfu",        "launch_ms"};

typedef struct work {
    double bytes, flops; /* of the mode; NaN unknown */
    double working_set;  /* bytes one step touches */
    double threads;
    const char *dtype;
} work;

/* Beyond this a larger buffer reads no slower: any two sizes above it are of one tier. */
#define ONE_TIER_BYTES 268435456.0

/* The most threads that a ceiling of the block was measured on. */
static double most_threads(const il_run_facts *facts, uint32_t block)
{
    double most = 0;
    for (size_t i = 0; i < facts->n_ceilings; i++) {
        most = facts->ceilings[i].block == block ? fmax(most, facts->ceilings[i].threads) : most;
    }
    return most;
}

/* A cell of no given number of threads runs on every core, as does the ceiling on most threads. */
static bool is_of(const il_ceiling *c, uint32_t block, bool is_read, double threads)
{
    return c->block == block && c->is_read == is_read &&
           (isnan(threads) || isnan(c->threads) || c->threads == threads);
}

/* Read bandwidth of a block in bytes per ms: on as many threads, of the working set nearest in
 * size. One twice as large may live in another cache, so NaN when the nearest is that far. */
static double read_rate(const il_run_facts *facts, uint32_t block, const work *w)
{
    const il_ceiling *best = NULL;
    double gap = INFINITY;
    double threads = !(w->threads > 0) ? most_threads(facts, block) : w->threads;
    for (size_t i = 0; i < facts->n_ceilings; i++) {
        const il_ceiling *c = &facts->ceilings[i];
        if (!is_of(c, block, true, threads)) {
            continue;
        }
        double its = fabs(
            log(fmin(c->working_set_bytes, ONE_TIER_BYTES) / fmin(w->working_set, ONE_TIER_BYTES)));
        if (its < gap) {
            gap = its;
            best = c;
        }
    }
    return best && gap < log(2) ? best->median * 1e6 : NAN;
}

/* Multiply-add peak of a block in FLOP per ms on as many threads, of the dtype. */
static double flop_rate(const il_run_facts *facts, uint32_t block, const work *w)
{
    double threads = !(w->threads > 0) ? most_threads(facts, block) : w->threads;
    for (size_t i = 0; i < facts->n_ceilings; i++) {
        const il_ceiling *c = &facts->ceilings[i];
        if (is_of(c, block, false, threads) && strcmp(c->dtype, w->dtype) == 0) {
            return c->median * 1e6;
        }
    }
    return NAN;
}

/* What the cell does, from the plan. A prefill reads the weights once: the bytes of a step are the
 * nearest count of that there is. */
static bool find_work(const il__run *run, const il_cell *cell, work *out)
{
    const il_run_facts *facts = run->facts;
    for (size_t i = 0; i < facts->n_cells; i++) {
        const il_plan_cell *p = &facts->cells[i];
        if (p->batch_size != cell->batch_size ||
            strcmp(p->backend, il__text(run, cell->backend)) != 0 ||
            strcmp(p->model, il__text(run, cell->model)) != 0 ||
            strcmp(p->scenario, il__text(run, cell->scenario)) != 0) {
            continue;
        }
        bool prefill = il__is_mode(run, cell, "prefill");
        bool decode = il__is_mode(run, cell, "kv_decode");
        out->working_set = p->bytes_per_step;
        out->bytes = prefill ? p->bytes_per_step : p->bytes_per_step * cell->decode_steps;
        out->flops = prefill ? p->flops_prefill : p->flops_decode_step * cell->decode_steps;
        out->dtype = p->dtype;
        out->threads = p->threads;
        return (prefill || decode) && (out->bytes > 0 || out->flops > 0);
    }
    return false;
}

typedef struct shares {
    double *share, *floor, *mbu, *mfu; /* by block */
    size_t n, n_memory;                /* blocks; those that memory bounds */
} shares;

static void add_block(const il__run *run, const work *w, const il__replicate *block, shares *out)
{
    double rate = read_rate(run->facts, (uint32_t)block->id, w);
    double flops = flop_rate(run->facts, (uint32_t)block->id, w);
    double memory_ms = w->bytes / rate;
    double compute_ms = w->flops / flops;
    double floor = fmax(memory_ms, compute_ms); /* without a peak: of memory alone */
    if (isnan(memory_ms) || !(floor > 0) || !isfinite(floor)) {
        return;
    }
    out->floor[out->n] = floor;
    out->share[out->n] = floor / block->median;
    out->mbu[out->n] = memory_ms / block->median;
    out->mfu[out->n] = compute_ms / block->median;
    out->n_memory += !(compute_ms > memory_ms);
    out->n++;
}

static void write_row(const il__run *run, size_t number, const shares *s, il_csv_writer *out)
{
    const il_cell *cell = il_rows_cell(run->rows, number);
    il_ratio share;
    if (il_ratio_of(s->share, s->n, 0.95, &share, NULL) != IL_OK) {
        share.ratio = (il_interval){il_geomean(s->share, s->n), NAN, NAN};
    }
    il_csv_text(out, il__text(run, cell->backend));
    il_csv_text(out, il__text(run, cell->model));
    il_csv_text(out, il__text(run, cell->scenario));
    il_csv_f64(out, cell->batch_size);
    il_csv_text(out, il__text(run, cell->mode));
    il_csv_f64(out, il__cell_median(run, number, IL_Q_latency));
    il_csv_f64(out, il_median(s->floor, s->n));
    il_csv_f64(out, share.ratio.estimate);
    il_csv_f64(out, share.ratio.low);
    il_csv_f64(out, share.ratio.high);
    il_csv_text(out, 2 * s->n_memory >= s->n ? "memory" : "compute");
    il_csv_f64(out, il_geomean(s->mbu, s->n));
    il_csv_f64(out, il_geomean(s->mfu, s->n));
    il_csv_empty(out); /* launches are not measured on a CPU */
    il_csv_end_row(out);
}

int il__write_efficiency(const il__run *run, il_error *err)
{
    size_t most = 1;
    for (size_t i = 0; i < il_rows_cell_count(run->rows); i++) {
        size_t n = il_rows_cell(run->rows, i)->n_measured;
        most = n > most ? n : most;
    }
    il_csv_writer out;
    double *numbers = malloc(4 * most * sizeof *numbers);
    il__replicate *blocks = malloc(most * sizeof *blocks);
    int rc = numbers && blocks
                 ? il__table_open(run, "efficiency.csv", columns, IL__COUNT_OF(columns), &out, err)
                 : il_fail(err, IL_E_NOMEM, "no memory for %zu blocks", most);
    if (rc != IL_OK) {
        free(numbers);
        free(blocks);
        return rc;
    }
    for (size_t i = 0; i < il_rows_cell_count(run->rows) && rc == IL_OK; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        work w;
        size_t n;
        if (!cell->has_block || cell->n_measured == 0 || !find_work(run, cell, &w)) {
            continue;
        }
        rc = il__replicates_of(run, cell, false, blocks, &n, err);
        shares s = {numbers, numbers + most, numbers + 2 * most, numbers + 3 * most, 0, 0};
        for (size_t b = 0; b < n && rc == IL_OK; b++) {
            add_block(run, &w, &blocks[b], &s);
        }
        if (s.n > 0) {
            write_row(run, i, &s, &out);
        }
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    free(numbers);
    free(blocks);
    return rc;
}
