/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * hf_model_architecture.csv, hf_architecture_correlations.csv, hf_multivariate_fits.csv.
 */
#include "analysis/tables.h"

#include "stats/boot.h"
#include "stats/rank.h"

#include <stdlib.h>
#include <string.h>

static const char *const architecture_columns[] = {
    "model", "config_path", "n_layer", "n_embd", "n_head", "n_inner", "vocab_size", "n_positions"};
static const char *const correlation_columns[] = {"backend",
                                                  "batch_size",
                                                  "mode",
                                                  "n_models",
                                                  "spearman_rho_loglog_params",
                                                  "spearman_p_loglog_params",
                                                  "spearman_rho_n_layer_vs_log_latency",
                                                  "spearman_p_n_layer_vs_log_latency",
                                                  "spearman_rho_n_embd_vs_log_latency",
                                                  "spearman_p_n_embd_vs_log_latency"};
static const char *const multivariate_columns[] = {
    "backend",     "backend_kind",    "batch_size",       "mode",
    "n_models",    "beta_log_params", "gamma_log_layers", "r2",
    "beta_ci_low", "beta_ci_high",    "gamma_ci_low",     "gamma_ci_high",
    "r2_ci_low",   "r2_ci_high",      "boot_n_used",      "boot_n_requested"};

/* The models of one aggregate fit whose shape is known. */
typedef struct points {
    size_t n;
    double *log_params, *log_latency, *n_layer, *n_embd; /* natural logarithms */
    double *columns;                                     /* [n][2]: log params, log layers */
} points;

static int points_open(size_t cap, points *out, il_error *err)
{
    double *all = malloc((6 * cap + 1) * sizeof *all);
    *out = (points){0, all, NULL, NULL, NULL, NULL};
    if (!all) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu models", cap);
    }
    out->log_latency = all + cap;
    out->n_layer = all + 2 * cap;
    out->n_embd = all + 3 * cap;
    out->columns = all + 4 * cap;
    return IL_OK;
}

/* These tables are of checkpoints with a configuration, so servers' models stay out. */
static bool has_config(const il__run *run, const il__aggregate *item)
{
    const char *kind = il__text(run, item->model_kind);
    return kind[0] == '\0' || strcmp(kind, "hf") == 0;
}

static void collect(const il__run *run, const il__aggregates *all, size_t from, size_t count,
                    points *out)
{
    out->n = 0;
    for (size_t i = from; i < from + count; i++) {
        const il__aggregate *item = &all->items[i];
        const il_model_shape *shape = il_shapes_of(run->shapes, il__text(run, item->model));
        double latency = il__aggregate_geomean(run, all, item, IL_Q_latency);
        if (!has_config(run, item) || !shape || !(shape->n_layer > 0) || !(item->params > 0) ||
            !(latency > 0)) {
            continue;
        }
        out->log_params[out->n] = log(item->params);
        out->log_latency[out->n] = log(latency);
        out->n_layer[out->n] = shape->n_layer;
        out->n_embd[out->n] = shape->d_model;
        out->columns[2 * out->n] = out->log_params[out->n];
        out->columns[2 * out->n + 1] = log(shape->n_layer);
        out->n++;
    }
}

static int write_correlation(const double *x, const points *p, il_csv_writer *out, il_error *err)
{
    il_spearman got = {NAN, NAN};
    int rc = IL_OK;
    bool known = true;
    for (size_t i = 0; i < p->n; i++) {
        known = known && !isnan(x[i]);
    }
    if (known && p->n >= 2) {
        rc = il_spearman_fit(x, p->log_latency, p->n, &got, err);
    }
    il_csv_f64(out, got.rho);
    il_csv_f64(out, got.p);
    return rc;
}

static int write_correlations(const il__run *run, const il__aggregate *item, const points *p,
                              il_csv_writer *out, il_error *err)
{
    il_csv_text(out, il__text(run, item->backend));
    il_csv_f64(out, item->batch_size);
    il_csv_text(out, il__text(run, item->mode));
    il_csv_i64(out, (int64_t)p->n);
    int rc = write_correlation(p->log_params, p, out, err);
    rc = rc ? rc : write_correlation(p->n_layer, p, out, err);
    rc = rc ? rc : write_correlation(p->n_embd, p, out, err);
    il_csv_end_row(out);
    return rc;
}

static int write_multivariate(const il__run *run, const il__aggregate *item, const points *p,
                              il_csv_writer *out, il_error *err)
{
    char row[1024];
    il__stream_row(row, sizeof row, run, item->backend, item->batch_size, item->mode, "");
    il_stream stream = il_stream_open(run->seed, "hf_multivariate_fits.csv", row);
    il_boot_ols boot;
    int rc = il_boot_ols_pairs(p->columns, p->log_latency, p->n, 2, run->n_resamples, &stream,
                               &boot, err);
    if (rc != IL_OK && rc != IL_E_TOO_FEW && rc != IL_E_INVALID) {
        return rc;
    }
    bool ok = rc == IL_OK;
    il_csv_text(out, il__text(run, item->backend));
    il_csv_text(out, il__text(run, item->backend_kind));
    il_csv_f64(out, item->batch_size);
    il_csv_text(out, il__text(run, item->mode));
    il_csv_i64(out, (int64_t)p->n);
    const double values[] = {boot.coef[1].estimate, boot.coef[2].estimate, boot.r2.estimate,
                             boot.coef[1].low,      boot.coef[1].high,     boot.coef[2].low,
                             boot.coef[2].high,     boot.r2.low,           boot.r2.high};
    for (size_t i = 0; i < IL__COUNT_OF(values); i++) {
        il_csv_f64(out, ok ? values[i] : NAN);
    }
    il_csv_i64(out, ok ? (int64_t)boot.n_used : 0);
    il_csv_i64(out, (int64_t)run->n_resamples);
    il_csv_end_row(out);
    return IL_OK;
}

static int write_shapes(const il__run *run, il_error *err)
{
    il_csv_writer out;
    int rc = il__table_open(run, "hf_model_architecture.csv", architecture_columns,
                            IL__COUNT_OF(architecture_columns), &out, err);
    if (rc != IL_OK) {
        return rc;
    }
    for (size_t i = 0; i < run->shapes->n; i++) {
        const il_model_shape *shape = &run->shapes->items[i];
        il_csv_text(&out, shape->model);
        il_csv_text(&out, shape->source);
        const double values[] = {shape->n_layer, shape->d_model,    shape->n_head,
                                 shape->d_ff,    shape->vocab_size, shape->n_positions};
        for (size_t k = 0; k < IL__COUNT_OF(values); k++) {
            il_csv_f64(&out, values[k]);
        }
        il_csv_end_row(&out);
    }
    return il_csv_close(&out, err);
}

/* Goes through the aggregate fits and writes one row of the table for each. */
static int write_fits(const il__run *run, const il__aggregates *all, const char *name,
                      const char *const *columns, size_t n_columns,
                      int (*write)(const il__run *, const il__aggregate *, const points *,
                                   il_csv_writer *, il_error *),
                      il_error *err)
{
    points p;
    il_csv_writer out;
    int rc = points_open(all->n, &p, err);
    rc = rc ? rc : il__table_open(run, name, columns, n_columns, &out, err);
    if (rc != IL_OK) {
        free(p.log_params);
        return rc;
    }
    for (size_t i = 0; i < all->n && rc == IL_OK;) {
        size_t count = il__aggregate_run(all, i);
        collect(run, all, i, count, &p);
        if (p.n > 0) {
            rc = write(run, &all->items[i], &p, &out, err);
        }
        i += count;
    }
    if (rc == IL_OK) {
        rc = il_csv_close(&out, err);
    } else {
        il_csv_abandon(&out);
    }
    free(p.log_params);
    return rc;
}

int il__write_architecture(const il__run *run, il_error *err)
{
    il__aggregates all;
    int rc = il__aggregates_build(run, &all, err);
    rc = rc ? rc : write_shapes(run, err);
    rc = rc ? rc
            : write_fits(run, &all, "hf_architecture_correlations.csv", correlation_columns,
                         IL__COUNT_OF(correlation_columns), write_correlations, err);
    rc = rc ? rc
            : write_fits(run, &all, "hf_multivariate_fits.csv", multivariate_columns,
                         IL__COUNT_OF(multivariate_columns), write_multivariate, err);
    il__aggregates_free(&all);
    return rc;
}
