/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * warmup_effect.csv and cuda_event_gap_summary.csv: what the labels and the events say.
 */
#include "analysis/merge.h"

#include "stats/order.h"

#include <math.h>

static const char *const warmup_columns[] = {"backend",
                                             "model",
                                             "scenario",
                                             "mode",
                                             "warmup_n",
                                             "warmup_median_ms",
                                             "measured_n",
                                             "measured_median_ms",
                                             "warmup_to_measured_ratio",
                                             "warmup_minus_measured_ms"};

int il__write_warmup(const il__run *run, il_error *err)
{
    il__merge merge;
    il_csv_writer out;
    int rc = il__merge_build(run, IL__KEY_BACKEND | IL__KEY_MODEL | IL__KEY_SCENARIO | IL__KEY_MODE,
                             NULL, &merge, err);
    rc = rc ? rc
            : il__table_open(run, "warmup_effect.csv", warmup_columns, IL__COUNT_OF(warmup_columns),
                             &out, err);
    if (rc == IL_OK) {
        for (size_t i = 0; i < merge.n; i++) {
            const il_cell *cell = il__merge_cell(&merge, &merge.items[i]);
            size_t n_warmup = il__merge_rows(&merge, &merge.items[i], IL__WARMUP);
            double warmup = il__merge_median(&merge, n_warmup, IL_Q_latency);
            size_t n_measured = il__merge_rows(&merge, &merge.items[i], IL__MEASURED);
            double measured = il__merge_median(&merge, n_measured, IL_Q_latency);
            il_csv_text(&out, il__text(run, cell->backend));
            il_csv_text(&out, il__text(run, cell->model));
            il_csv_text(&out, il__text(run, cell->scenario));
            il_csv_text(&out, il__text(run, cell->mode));
            il_csv_i64(&out, (int64_t)n_warmup);
            il_csv_f64(&out, warmup);
            il_csv_i64(&out, (int64_t)n_measured);
            il_csv_f64(&out, measured);
            il_csv_f64(&out, measured > 0 ? warmup / measured : NAN);
            il_csv_f64(&out, warmup - measured);
            il_csv_end_row(&out);
        }
        rc = il_csv_close(&out, err);
    }
    il__merge_free(&merge);
    return rc;
}

static const char *const event_columns[] = {
    "backend",     "backend_kind",      "mode",          "is_warmup", "n", "rel_gap_median",
    "rel_gap_p95", "abs_gap_ms_median", "abs_gap_ms_p95"};

/* Fills scratch with the gaps of the rows that have both times. */
static size_t gaps(il__merge *merge, size_t n_rows, bool relative)
{
    const double *latency = il_rows_values(merge->run->rows, IL_Q_latency);
    const double *event = il_rows_values(merge->run->rows, IL_Q_cuda_event);
    size_t n = 0;
    for (size_t i = 0; event && i < n_rows; i++) {
        size_t at = merge->positions[i];
        if (!isnan(event[at]) && latency[at] > 0) {
            double gap = fabs(latency[at] - event[at]);
            merge->scratch[n++] = relative ? gap / latency[at] : gap;
        }
    }
    return n;
}

static void write_gap(il__merge *merge, const il__merged *item, il__side side, il_csv_writer *out)
{
    size_t n_rows = il__merge_rows(merge, item, side);
    size_t n = gaps(merge, n_rows, true);
    if (n == 0) {
        return;
    }
    const il_cell *cell = il__merge_cell(merge, item);
    il_csv_text(out, il__text(merge->run, cell->backend));
    il_csv_text(out, il__text(merge->run, cell->backend_kind));
    il_csv_text(out, il__text(merge->run, cell->mode));
    il_csv_bool(out, side == IL__WARMUP);
    il_csv_i64(out, (int64_t)n);
    for (int relative = 1; relative >= 0; relative--) {
        n = gaps(merge, n_rows, relative);
        il_csv_f64(out, il_quantile_select(merge->scratch, n, 0.5));
        il_csv_f64(out, il_quantile_select(merge->scratch, n, 0.95));
    }
    il_csv_end_row(out);
}

int il__write_events(const il__run *run, il_error *err)
{
    il__merge merge;
    il_csv_writer out;
    int rc = il__merge_build(run, IL__KEY_BACKEND | IL__KEY_KIND | IL__KEY_MODE, NULL, &merge, err);
    rc = rc ? rc
            : il__table_open(run, "cuda_event_gap_summary.csv", event_columns,
                             IL__COUNT_OF(event_columns), &out, err);
    if (rc == IL_OK) {
        for (size_t i = 0; i < merge.n; i++) {
            write_gap(&merge, &merge.items[i], IL__MEASURED, &out);
            write_gap(&merge, &merge.items[i], IL__WARMUP, &out);
        }
        rc = il_csv_close(&out, err);
    }
    il__merge_free(&merge);
    return rc;
}
