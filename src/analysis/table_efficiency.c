/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * efficiency.csv: how near a cell comes to what this machine could do, block by block, against the
 * ceilings measured in the same block.
 */
#include "analysis/floor.h"
#include "analysis/replicates.h"

#include "stats/noise.h"
#include "stats/order.h"

#include <stdlib.h>

static const char *const columns[] = {"backend", "model",      "scenario", "batch_size",
                                      "mode",    "latency_ms", "floor_ms", "share_of_floor",
                                      "ci_low",  "ci_high",    "bound_by", "mbu",
                                      "mfu",     "launch_ms",  "note"};

static const double MOST_SHARE = 1.1;

typedef struct shares {
    double *share, *floor, *mbu, *mfu; /* by block */
    size_t n, n_memory;                /* blocks; those that memory bounds */
} shares;

static void add_block(const il__run *run, const il__work *w, const il__replicate *block,
                      shares *out)
{
    il__floor f;
    if (!il__floor_of_block(run, w, (uint32_t)block->id, &f)) {
        return;
    }
    out->floor[out->n] = f.floor_ms;
    out->share[out->n] = f.floor_ms / block->median;
    out->mbu[out->n] = f.memory_ms / block->median;
    out->mfu[out->n] = f.compute_ms / block->median;
    out->n_memory += f.memory_bound;
    out->n++;
}

/* Nothing is faster than its floor: a share that lies wholly above 110 % says that the ceiling was
 * measured too low. */
static const char *note_of(const il_ratio *share)
{
    return share->ratio.low > MOST_SHARE ? "ceiling_low" : "";
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
    il_csv_f64(out, il_quantile_select(s->floor, s->n, 0.5));
    il_csv_f64(out, share.ratio.estimate);
    il_csv_f64(out, share.ratio.low);
    il_csv_f64(out, share.ratio.high);
    il_csv_text(out, 2 * s->n_memory >= s->n ? "memory" : "compute");
    il_csv_f64(out, il_geomean(s->mbu, s->n));
    il_csv_f64(out, il_geomean(s->mfu, s->n));
    il_csv_empty(out); /* launches are not measured on a CPU */
    il_csv_text(out, note_of(&share));
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
    il_scratch memory[2] = {{.data = NULL}, {.data = NULL}};
    int rc = il_scratch_take(&memory[0], run->out_dir, 4 * most, sizeof(double), err);
    rc = rc ? rc : il_scratch_take(&memory[1], run->out_dir, most, sizeof(il__replicate), err);
    rc = rc ? rc : il__table_open(run, "efficiency.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc != IL_OK) {
        il_scratch_free(&memory[0]);
        il_scratch_free(&memory[1]);
        return rc;
    }
    double *numbers = memory[0].data;
    il__replicate *blocks = memory[1].data;
    for (size_t i = 0; i < il_rows_cell_count(run->rows) && rc == IL_OK; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        il__work w;
        size_t n = 0;
        if (!cell->has_block || cell->n_measured == 0) {
            continue;
        }
        int known = il__work_of(run, cell, il__text(run, cell->mode), &w, err);
        rc = known == IL_E_NOT_FOUND ? IL_OK : known;
        if (known == IL_OK) {
            rc = il__replicates_of(run, cell, false, blocks, &n, err);
        }
        shares s = {numbers, numbers + most, numbers + 2 * most, numbers + 3 * most, 0, 0};
        for (size_t b = 0; b < n && rc == IL_OK; b++) {
            add_block(run, &w, &blocks[b], &s);
        }
        il__work_free(&w);
        if (s.n > 0) {
            write_row(run, i, &s, &out);
        }
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    il_scratch_free(&memory[0]);
    il_scratch_free(&memory[1]);
    return rc;
}
