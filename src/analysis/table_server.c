/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The four tables of servers of the TR121 study: warm-up split into load and inference, early
 * stops, decode time against tokens, and the error of projecting proportionally.
 */
#include "analysis/merge.h"

#include "stats/ols.h"
#include "stats/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_server_prefill(const il__run *run, const il_cell *cell)
{
    return il__is_kind(run, cell, "ollama") && il__is_mode(run, cell, "prefill");
}

static bool is_server_decode(const il__run *run, const il_cell *cell)
{
    return il__is_kind(run, cell, "ollama") && il__is_mode(run, cell, "kv_decode");
}

static const char *const breakdown_columns[] = {"backend",
                                                "model",
                                                "scenario",
                                                "warmup_prefill_infer_median_ms",
                                                "warmup_load_median_ms",
                                                "warmup_prefill_total_median_ms",
                                                "warmup_n",
                                                "measured_prefill_infer_median_ms",
                                                "measured_load_median_ms",
                                                "measured_prefill_total_median_ms",
                                                "measured_n",
                                                "warmup_ratio_infer_only",
                                                "warmup_ratio_total_including_load"};

typedef struct side_medians {
    size_t n;
    double infer, load, total;
} side_medians;

static side_medians medians_of(il__merge *merge, const il__merged *item, il__side side)
{
    side_medians out = {.n = il__merge_rows(merge, item, side)};
    out.infer = il__merge_median(merge, out.n, IL_Q_latency);
    out.load = il__merge_median(merge, out.n, IL_Q_ollama_load);
    const double *latency = il_rows_values(merge->run->rows, IL_Q_latency);
    const double *load = il_rows_values(merge->run->rows, IL_Q_ollama_load);
    size_t n = 0;
    for (size_t i = 0; load && i < out.n; i++) {
        size_t at = merge->positions[i];
        if (!isnan(load[at])) {
            merge->scratch[n++] = latency[at] + load[at];
        }
    }
    out.total = il_quantile_select(merge->scratch, n, 0.5);
    return out;
}

static void write_side(const side_medians *side, il_csv_writer *out)
{
    il_csv_f64(out, side->infer);
    il_csv_f64(out, side->load);
    il_csv_f64(out, side->total);
    il_csv_i64(out, (int64_t)side->n);
}

static int write_breakdown(const il__run *run, il_error *err)
{
    il__merge merge;
    il_csv_writer out;
    int rc = il__merge_build(run, IL__KEY_BACKEND | IL__KEY_MODEL | IL__KEY_SCENARIO,
                             is_server_prefill, &merge, err);
    rc = rc ? rc
            : il__table_open(run, "ollama_warmup_breakdown.csv", breakdown_columns,
                             IL__COUNT_OF(breakdown_columns), &out, err);
    if (rc == IL_OK) {
        for (size_t i = 0; i < merge.n; i++) {
            const il_cell *cell = il__merge_cell(&merge, &merge.items[i]);
            side_medians warmup = medians_of(&merge, &merge.items[i], IL__WARMUP);
            side_medians measured = medians_of(&merge, &merge.items[i], IL__MEASURED);
            if (warmup.n == 0 || measured.n == 0) {
                continue;
            }
            il_csv_text(&out, il__text(run, cell->backend));
            il_csv_text(&out, il__text(run, cell->model));
            il_csv_text(&out, il__text(run, cell->scenario));
            write_side(&warmup, &out);
            write_side(&measured, &out);
            il_csv_f64(&out, measured.infer > 0 ? warmup.infer / measured.infer : NAN);
            il_csv_f64(&out, measured.total > 0 ? warmup.total / measured.total : NAN);
            il_csv_end_row(&out);
        }
        rc = il_csv_close(&out, err);
    }
    il__merge_free(&merge);
    return rc;
}

static const char *const early_columns[] = {"backend",
                                            "model",
                                            "scenario",
                                            "n",
                                            "params_millions_effective_median",
                                            "gen_tokens_target",
                                            "gen_tokens_raw_median",
                                            "early_stop_rate",
                                            "done_reason_mode"};

/* The commonest reason; of equally common ones the first in the alphabet. "" when none is given. */
static const char *commonest_reason(il__merge *merge, size_t n_rows)
{
    size_t n = il__merge_values(merge, n_rows, IL_Q_done_reason);
    il_sort(merge->scratch, n);
    const char *best = "";
    size_t best_count = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && merge->scratch[end] == merge->scratch[i]) {
            end++;
        }
        const char *text = il__text(merge->run, (il_text_id)merge->scratch[i]);
        if (end - i > best_count || (end - i == best_count && strcmp(text, best) < 0)) {
            best = text;
            best_count = end - i;
        }
        i = end;
    }
    return best;
}

static double params_median(il__merge *merge, const il__merged *item)
{
    size_t n = 0;
    for (size_t i = item->first; i < item->first + item->n; i++) {
        const il_cell *cell = il_rows_cell(merge->run->rows, merge->cells[i]);
        for (size_t k = 0; k < cell->n_measured && !isnan(cell->params); k++) {
            merge->scratch[n++] = cell->params;
        }
    }
    return il_quantile_select(merge->scratch, n, 0.5);
}

static void write_early(il__merge *merge, const il__merged *item, il_csv_writer *out)
{
    const il__run *run = merge->run;
    const il_cell *cell = il__merge_cell(merge, item);
    size_t n = il__merge_rows(merge, item, IL__MEASURED);
    if (n == 0) {
        return;
    }
    size_t n_known = il__merge_values(merge, n, IL_Q_gen_tokens_raw);
    size_t n_early = 0;
    for (size_t i = 0; i < n; i++) {
        n_early += il__stopped_early(run, merge->positions[i]);
    }
    il_csv_text(out, il__text(run, cell->backend));
    il_csv_text(out, il__text(run, cell->model));
    il_csv_text(out, il__text(run, cell->scenario));
    il_csv_i64(out, (int64_t)n);
    double params = params_median(merge, item);
    il_csv_f64(out, params);
    il_csv_f64(out, il__merge_median(merge, n, IL_Q_gen_tokens_target));
    il_csv_f64(out, il__merge_median(merge, n, IL_Q_gen_tokens_raw));
    il_csv_f64(out, n_known ? (double)n_early / (double)n_known : NAN);
    il_csv_text(out, commonest_reason(merge, n));
    il_csv_end_row(out);
}

static int write_early_stops(const il__run *run, il_error *err)
{
    il__merge merge;
    il_csv_writer out;
    int rc = il__merge_build(run, IL__KEY_BACKEND | IL__KEY_MODEL | IL__KEY_SCENARIO,
                             is_server_decode, &merge, err);
    rc = rc ? rc
            : il__table_open(run, "ollama_early_stop_summary.csv", early_columns,
                             IL__COUNT_OF(early_columns), &out, err);
    if (rc == IL_OK) {
        for (size_t i = 0; i < merge.n; i++) {
            write_early(&merge, &merge.items[i], &out);
        }
        rc = il_csv_close(&out, err);
    }
    il__merge_free(&merge);
    return rc;
}

static const char *const linearity_columns[] = {"model",
                                                "n",
                                                "gen_tokens_target",
                                                "a_ms",
                                                "b_ms_per_token",
                                                "r2",
                                                "affine_ms_at_target",
                                                "gen_tokens_raw_min",
                                                "gen_tokens_raw_median",
                                                "gen_tokens_raw_max"};
static const char *const projection_columns[] = {"model",
                                                 "gen_tokens_target",
                                                 "n",
                                                 "prop_minus_affine_ms_median",
                                                 "prop_minus_affine_ms_p95",
                                                 "prop_minus_affine_ms_min",
                                                 "prop_minus_affine_ms_max"};

typedef struct decode_fit {
    size_t n;
    double target, affine;
    il_line line;
} decode_fit;

/* Decode time on tokens over the rows in merge->positions; xy holds twice as many numbers. */
static decode_fit fit_decode(il__merge *merge, size_t n_rows, double *xy)
{
    const double *raw = il_rows_values(merge->run->rows, IL_Q_gen_tokens_raw);
    const double *ms = il_rows_values(merge->run->rows, IL_Q_kv_decode_ms);
    decode_fit out = {.target = il__merge_median(merge, n_rows, IL_Q_gen_tokens_target),
                      .line = {NAN, NAN, NAN}};
    double *x = xy;
    double *y = xy + n_rows;
    for (size_t i = 0; raw && ms && i < n_rows; i++) {
        size_t at = merge->positions[i];
        if (!isnan(raw[at]) && !isnan(ms[at])) {
            x[out.n] = raw[at];
            y[out.n++] = ms[at];
        }
    }
    (void)il_line_fit(x, y, out.n, &out.line); /* all of one length: blanks */
    out.affine = out.line.intercept + out.line.slope * out.target;
    return out;
}

static void write_linearity(il__merge *merge, size_t n_rows, const char *model,
                            const decode_fit *fit, il_csv_writer *out)
{
    size_t n = il__merge_values(merge, n_rows, IL_Q_gen_tokens_raw);
    il_sort(merge->scratch, n);
    il_csv_text(out, model);
    il_csv_i64(out, (int64_t)fit->n);
    const double values[] = {fit->target,
                             fit->line.intercept,
                             fit->line.slope,
                             fit->line.r2,
                             fit->affine,
                             il_quantile_sorted(merge->scratch, n, 0),
                             il_quantile_sorted(merge->scratch, n, 0.5),
                             il_quantile_sorted(merge->scratch, n, 1)};
    for (size_t i = 0; i < IL__COUNT_OF(values); i++) {
        il_csv_f64(out, values[i]);
    }
    il_csv_end_row(out);
}

static void write_projection(il__merge *merge, size_t n_rows, const char *model,
                             const decode_fit *fit, il_csv_writer *out)
{
    size_t n = il__merge_values(merge, n_rows, IL_Q_kv_decode_equiv);
    for (size_t i = 0; i < n; i++) {
        merge->scratch[i] -= fit->affine;
    }
    n = isnan(fit->affine) ? 0 : n;
    il_sort(merge->scratch, n);
    il_csv_text(out, model);
    il_csv_f64(out, fit->target);
    il_csv_i64(out, (int64_t)n);
    const double quantiles[] = {0.5, 0.95, 0, 1};
    for (size_t i = 0; i < IL__COUNT_OF(quantiles); i++) {
        il_csv_f64(out, il_quantile_sorted(merge->scratch, n, quantiles[i]));
    }
    il_csv_end_row(out);
}

static int write_decode(const il__run *run, il_error *err)
{
    il__merge merge;
    il_csv_writer linearity;
    il_csv_writer projection;
    int rc = il__merge_build(run, IL__KEY_MODEL, is_server_decode, &merge, err);
    il_scratch xy = {.data = NULL};
    rc = rc ? rc : il_scratch_take(&xy, run->out_dir, 2 * merge.most, sizeof(double), err);
    rc = rc ? rc
            : il__table_open(run, "ollama_decode_linearity.csv", linearity_columns,
                             IL__COUNT_OF(linearity_columns), &linearity, err);
    if (rc != IL_OK) {
        goto out;
    }
    rc = il__table_open(run, "ollama_decode_projection_error.csv", projection_columns,
                        IL__COUNT_OF(projection_columns), &projection, err);
    if (rc != IL_OK) {
        il_csv_abandon(&linearity);
        goto out;
    }
    for (size_t i = 0; i < merge.n; i++) {
        const char *model = il__text(run, il__merge_cell(&merge, &merge.items[i])->model);
        size_t n_rows = il__merge_rows(&merge, &merge.items[i], IL__MEASURED);
        if (n_rows > 0) {
            decode_fit fit = fit_decode(&merge, n_rows, xy.data);
            write_linearity(&merge, n_rows, model, &fit, &linearity);
            write_projection(&merge, n_rows, model, &fit, &projection);
        }
    }
    rc = il_csv_close(&linearity, err);
    if (rc == IL_OK) {
        rc = il_csv_close(&projection, err);
    } else {
        il_csv_abandon(&projection);
    }
out:
    il_scratch_free(&xy);
    il__merge_free(&merge);
    return rc;
}

int il__write_servers(const il__run *run, il_error *err)
{
    int rc = write_breakdown(run, err);
    rc = rc ? rc : write_early_stops(run, err);
    return rc ? rc : write_decode(run, err);
}
