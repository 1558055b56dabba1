/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/boot.h"

#include "base/checked.h"
#include <math.h>
#include <stdlib.h>

static const il_interval no_interval = {NAN, NAN, NAN};

/* count doubles, or NULL; at least one so that NULL means no memory. */
static double *doubles(size_t rows, size_t columns)
{
    size_t count;
    size_t bytes;
    if (!il_mul_size(rows, columns, &count) || !il_mul_size(count, sizeof(double), &bytes)) {
        return NULL;
    }
    return malloc(bytes ? bytes : 1);
}

void il_interval_ends(double *values, size_t n, double tail, il_interval *out)
{
    size_t known = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(values[i])) {
            values[known++] = values[i];
        }
    }
    out->low = out->high = NAN;
    if (known > 0) {
        il_sort(values, known);
        out->low = il_quantile_sorted(values, known, tail);
        out->high = il_quantile_sorted(values, known, 1 - tail);
    }
}

int il_boot_line_pairs(const double *x, const double *y, size_t n, size_t n_resamples,
                       il_stream *stream, il_boot_line *out, il_error *err)
{
    *out = (il_boot_line){no_interval, no_interval, n_resamples, 0};
    il_line line;
    if (il_line_fit(x, y, n, &line) != IL_OK) {
        return il_fail(err, IL_E_TOO_FEW, "a line needs two different x");
    }
    out->slope.estimate = line.slope;
    out->intercept.estimate = line.intercept;
    if (n < 3 || n_resamples == 0) {
        return IL_OK;
    }
    double *work = doubles(n + n_resamples, 2);
    if (!work || n > UINT32_MAX) {
        free(work);
        return il_fail(err, IL_E_NOMEM, "no memory for %zu resamples", n_resamples);
    }
    double *bx = work;
    double *by = bx + n;
    double *slopes = by + n;
    double *intercepts = slopes + n_resamples;
    for (size_t b = 0; b < n_resamples; b++) {
        for (size_t i = 0; i < n; i++) {
            size_t pick = il_stream_below(stream, (uint32_t)n);
            bx[i] = x[pick];
            by[i] = y[pick];
        }
        if (il_line_fit(bx, by, n, &line) == IL_OK) {
            slopes[out->n_used] = line.slope;
            intercepts[out->n_used++] = line.intercept;
        }
    }
    il_interval_ends(slopes, out->n_used, 0.025, &out->slope);
    il_interval_ends(intercepts, out->n_used, 0.025, &out->intercept);
    free(work);
    return IL_OK;
}

/* One resample of n rows into bx [n][k], by [n]. */
static void draw_rows(const double *x, const double *y, size_t n, size_t k, il_stream *stream,
                      double *bx, double *by)
{
    for (size_t i = 0; i < n; i++) {
        size_t pick = il_stream_below(stream, (uint32_t)n);
        for (size_t j = 0; j < k; j++) {
            bx[i * k + j] = x[pick * k + j];
        }
        by[i] = y[pick];
    }
}

int il_boot_ols_pairs(const double *x, const double *y, size_t n, size_t k, size_t n_resamples,
                      il_stream *stream, il_boot_ols *out, il_error *err)
{
    *out = (il_boot_ols){.r2 = no_interval, .n_requested = n_resamples};
    for (size_t t = 0; t < IL_OLS_MOST_TERMS; t++) {
        out->coef[t] = no_interval;
    }
    il_ols fit;
    int rc = il_ols_fit(x, y, n, k, &fit, NULL, NULL, err);
    if (rc != IL_OK) {
        return rc;
    }
    size_t p = k + 1;
    for (size_t t = 0; t < p; t++) {
        out->coef[t].estimate = fit.coef[t];
    }
    out->r2.estimate = fit.r2;
    if (n < 3 || n_resamples == 0) {
        return IL_OK;
    }
    double *rows = doubles(n, k + 1);
    double *results = doubles(n_resamples, p + 1);
    if (!rows || !results || n > UINT32_MAX) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for %zu resamples", n_resamples);
        goto out;
    }
    size_t n_r2 = 0;
    double *r2 = results + p * n_resamples;
    for (size_t b = 0; b < n_resamples; b++) {
        draw_rows(x, y, n, k, stream, rows, rows + n * k);
        if (il_ols_fit(rows, rows + n * k, n, k, &fit, NULL, NULL, NULL) != IL_OK) {
            continue;
        }
        for (size_t t = 0; t < p; t++) {
            results[t * n_resamples + out->n_used] = fit.coef[t];
        }
        out->n_used++;
        if (!isnan(fit.r2)) {
            r2[n_r2++] = fit.r2;
        }
    }
    for (size_t t = 0; t < p; t++) {
        il_interval_ends(results + t * n_resamples, out->n_used, 0.025, &out->coef[t]);
    }
    il_interval_ends(r2, n_r2, 0.025, &out->r2);
out:
    free(rows);
    free(results);
    return rc;
}
