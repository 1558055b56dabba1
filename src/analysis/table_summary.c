/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * summary_by_model_backend_mode.csv and its aggregate over scenarios.
 */
#include "analysis/tables.h"

#include "stats/order.h"

#include <stdlib.h>

static const char *const summary_columns[] = {
    "backend",
    "backend_kind",
    "batch_size",
    "model",
    "model_kind",
    "params_millions_effective",
    "scenario",
    "mode",
    "n",
    "latency_mean_ms",
    "latency_median_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "tokens_per_s_median",
    "tokens_per_s_compute_median",
    "tokens_total_median",
    "tokens_total_compute_median",
    "prompt_tokens_median",
    "prompt_tokens_raw_median",
    "prompt_tokens_compute_median",
    "gen_tokens_median",
    "gen_tokens_raw_median",
    "gen_tokens_target_median",
    "cuda_event_median_ms",
    "gpu_peak_mb_median",
    "ollama_load_ms_median",
    "params_millions_config_median",
    "params_millions_measured_median",
};

static const char *const agg_columns[] = {
    "backend",
    "backend_kind",
    "batch_size",
    "model",
    "model_kind",
    "params_millions_effective",
    "mode",
    "n_scenarios",
    "latency_geomean_ms",
    "latency_median_of_medians_ms",
    "tokens_per_s_geomean",
    "tokens_per_s_compute_geomean",
    "gpu_peak_mb_median",
    "ollama_load_ms_median",
    "params_millions_config_median",
    "params_millions_measured_median",
};

static void write_cell(const il__run *run, size_t number, double *scratch, il_csv_writer *out)
{
    const il_cell *cell = il_rows_cell(run->rows, number);
    size_t n = il__span_values(run, cell->first, il__cell_n(run, cell), IL_Q_latency, scratch);
    il_csv_text(out, il__text(run, cell->backend));
    il_csv_text(out, il__text(run, cell->backend_kind));
    il_csv_f64(out, cell->batch_size);
    il_csv_text(out, il__text(run, cell->model));
    il_csv_text(out, il__text(run, cell->model_kind));
    il_csv_f64(out, cell->params);
    il_csv_text(out, il__text(run, cell->scenario));
    il_csv_text(out, il__text(run, cell->mode));
    il_csv_i64(out, (int64_t)n);
    il_csv_f64(out, il_mean(scratch, n));
    il_csv_f64(out, il__cell_median(run, number, IL_Q_latency));
    il_csv_f64(out, il_quantile_select(scratch, n, 0.95));
    il_csv_f64(out, il_quantile_select(scratch, n, 0.99));
    static const il_quantity medians[] = {
        IL_Q_tokens_per_s,          IL_Q_tokens_per_s_compute, IL_Q_tokens_total,
        IL_Q_tokens_total_compute,  IL_Q_prompt_tokens,        IL_Q_prompt_tokens_raw,
        IL_Q_prompt_tokens_compute, IL_Q_gen_tokens,           IL_Q_gen_tokens_raw,
        IL_Q_gen_tokens_target,     IL_Q_cuda_event,           IL_Q_gpu_peak,
        IL_Q_ollama_load,           IL_Q_params_config,        IL_Q_params_measured,
    };
    for (size_t i = 0; i < IL__COUNT_OF(medians); i++) {
        il_csv_f64(out, il__cell_median(run, number, medians[i]));
    }
    il_csv_end_row(out);
}

static int write_cells(const il__run *run, il_error *err)
{
    size_t n_cells = il_rows_cell_count(run->rows);
    il_csv_writer out;
    il_scratch scratch;
    int rc = il_scratch_take(&scratch, run->out_dir, il__most_values(run), sizeof(double), err);
    rc = rc ? rc
            : il__table_open(run, "summary_by_model_backend_mode.csv", summary_columns,
                             IL__COUNT_OF(summary_columns), &out, err);
    if (rc == IL_OK) {
        for (size_t i = 0; i < n_cells; i++) {
            if (il__cell_n(run, il_rows_cell(run->rows, i)) > 0) {
                write_cell(run, i, scratch.data, &out);
            }
        }
        rc = il_csv_close(&out, err);
    }
    il_scratch_free(&scratch);
    return rc;
}

/* Median over the scenarios of the cells' medians. */
static double median_of_medians(const il__run *run, const il__aggregates *all,
                                const il__aggregate *item, il_quantity quantity, double *scratch)
{
    size_t n = 0;
    for (size_t i = item->first; i < item->first + item->n; i++) {
        double value = il__cell_median(run, all->cells[i], quantity);
        if (!isnan(value)) {
            scratch[n++] = value;
        }
    }
    return il_quantile_select(scratch, n, 0.5);
}

static void write_aggregate(const il__run *run, const il__aggregates *all,
                            const il__aggregate *item, double *scratch, il_csv_writer *out)
{
    il_csv_text(out, il__text(run, item->backend));
    il_csv_text(out, il__text(run, item->backend_kind));
    il_csv_f64(out, item->batch_size);
    il_csv_text(out, il__text(run, item->model));
    il_csv_text(out, il__text(run, item->model_kind));
    il_csv_f64(out, item->params);
    il_csv_text(out, il__text(run, item->mode));
    il_csv_i64(out, (int64_t)item->n);
    il_csv_f64(out, il__aggregate_geomean(run, all, item, IL_Q_latency));
    il_csv_f64(out, median_of_medians(run, all, item, IL_Q_latency, scratch));
    il_csv_f64(out, il__aggregate_geomean(run, all, item, IL_Q_tokens_per_s));
    il_csv_f64(out, il__aggregate_geomean(run, all, item, IL_Q_tokens_per_s_compute));
    il_csv_f64(out, median_of_medians(run, all, item, IL_Q_gpu_peak, scratch));
    il_csv_f64(out, median_of_medians(run, all, item, IL_Q_ollama_load, scratch));
    il_csv_f64(out, median_of_medians(run, all, item, IL_Q_params_config, scratch));
    il_csv_f64(out, median_of_medians(run, all, item, IL_Q_params_measured, scratch));
    il_csv_end_row(out);
}

static int write_aggregates(const il__run *run, il_error *err)
{
    il__aggregates all;
    int rc = il__aggregates_build(run, &all, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_csv_writer out;
    double *scratch = malloc((il_rows_cell_count(run->rows) + 1) * sizeof *scratch);
    rc = scratch ? il__table_open(run, "summary_by_model_backend_mode_agg.csv", agg_columns,
                                  IL__COUNT_OF(agg_columns), &out, err)
                 : il_fail(err, IL_E_NOMEM, "no memory for medians");
    if (rc == IL_OK) {
        for (size_t i = 0; i < all.n; i++) {
            write_aggregate(run, &all, &all.items[i], scratch, &out);
        }
        rc = il_csv_close(&out, err);
    }
    free(scratch);
    il__aggregates_free(&all);
    return rc;
}

int il__write_summary(const il__run *run, il_error *err)
{
    int rc = write_cells(run, err);
    return rc ? rc : write_aggregates(run, err);
}
