/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tails.csv: quantiles of a cell's latency with exact intervals, or the number of calls that one
 * would take.
 */
#include "analysis/tables.h"

#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const columns[] = {"backend", "model",       "scenario", "mode",    "quantile",
                                      "n",       "estimate_ms", "ci_low",   "ci_high", "note"};

/* Distinct replicates of a cell's measured rows; 0 where rows have no block. Rows of a block stand
 * together as a rule; where they do not, a block counts again and the note says more than there
 * are. */
static size_t count_blocks(const il__run *run, const il_cell *cell)
{
    const double *id = il_rows_values(run->rows, IL_Q_replicate);
    size_t n = 0;
    for (size_t i = cell->first; cell->has_block && id && i < cell->first + cell->n_measured; i++) {
        n += i == cell->first || id[i] != id[i - 1];
    }
    return n;
}

/* values are sorted. */
static int write_quantile(const il__run *run, const il_cell *cell, double q, const double *values,
                          size_t n, size_t n_blocks, il_csv_writer *out, il_error *err)
{
    il_interval got;
    size_t needed = 0;
    char note[128] = "";
    int rc = il_quantile_interval_sorted(values, n, q, 0.95, &got, &needed, err);
    if (rc == IL_OK && n_blocks > 0 && n_blocks < n) {
        (void)snprintf(note, sizeof note,
                       "calls of %zu blocks taken as independent: dependent ones cover less",
                       n_blocks);
    }
    if (rc == IL_E_TOO_FEW) {
        /* A tail of so few calls is a guess at the largest one; a median is still a median. */
        bool tail = q > 0.5;
        (void)snprintf(note, sizeof note, "n too small: %zu calls, %s takes %zu", n,
                       tail ? "this quantile" : "an interval", needed);
        got.estimate = tail ? NAN : got.estimate;
        rc = IL_OK;
    }
    il_csv_text(out, il__text(run, cell->backend));
    il_csv_text(out, il__text(run, cell->model));
    il_csv_text(out, il__text(run, cell->scenario));
    il_csv_text(out, il__text(run, cell->mode));
    il_csv_f64(out, q);
    il_csv_i64(out, (int64_t)n);
    il_csv_f64(out, got.estimate);
    il_csv_f64(out, got.low);
    il_csv_f64(out, got.high);
    il_csv_text(out, note);
    il_csv_end_row(out);
    return rc;
}

int il__write_tails(const il__run *run, il_error *err)
{
    il_csv_writer out;
    int rc = il__table_open(run, "tails.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc != IL_OK) {
        return rc;
    }
    static const double quantiles[] = {0.5, 0.9, 0.95, 0.99};
    il_scratch scratch;
    rc = il_scratch_take(&scratch, run->out_dir, il__most_values(run), sizeof(double), err);
    double *values = scratch.data;
    for (size_t i = 0; i < il_rows_cell_count(run->rows) && rc == IL_OK; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        size_t n = il__span_values(run, cell->first, cell->n_measured, IL_Q_latency, values);
        size_t n_blocks = count_blocks(run, cell);
        il_sort(values, n);
        for (size_t k = 0; k < IL__COUNT_OF(quantiles) && n > 0 && rc == IL_OK; k++) {
            rc = write_quantile(run, cell, quantiles[k], values, n, n_blocks, &out, err);
        }
    }
    il_scratch_free(&scratch);
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    return rc;
}
