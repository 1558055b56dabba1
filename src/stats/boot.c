/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/boot.h"

#include "base/checked.h"
#include "stats/dist.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static void set_ends(il_interval *out, double *values, size_t n, double tail)
{
    if (n == 0) {
        return;
    }
    il_sort(values, n);
    out->low = il_quantile_sorted(values, n, tail);
    out->high = il_quantile_sorted(values, n, 1 - tail);
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
    set_ends(&out->slope, slopes, out->n_used, 0.025);
    set_ends(&out->intercept, intercepts, out->n_used, 0.025);
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
        set_ends(&out->coef[t], results + t * n_resamples, out->n_used, 0.025);
    }
    set_ends(&out->r2, r2, n_r2, 0.025);
out:
    free(rows);
    free(results);
    return rc;
}

/* Gamma of shape a ≥ 1 and scale 1 (Marsaglia & Tsang 2000). */
static double draw_gamma(il_stream *stream, double a)
{
    double d = a - 1.0 / 3.0;
    double c = 1 / sqrt(9 * d);
    for (;;) {
        double z = il_stream_normal(stream);
        double v = 1 + c * z;
        if (v <= 0) {
            continue;
        }
        v = v * v * v;
        if (log(1 - il_stream_uniform(stream)) < 0.5 * z * z + d - d * v + d * log(v)) {
            return d * v;
        }
    }
}

static double at_fraction(const double *sorted, size_t n, double u)
{
    size_t i = (size_t)(u * (double)n);
    return sorted[i < n ? i : n - 1];
}

/* The median of n draws with replacement from n sorted values, without making them: the draws are
 * uniforms on [0, 1) read off the sorted values, the k-th smallest of n uniforms is Beta(k, n + 1 −
 * k), and the next one above it the least of the n − k that are left in the rest. */
static double draw_median(const double *sorted, size_t n, il_stream *stream)
{
    size_t k = (n + 1) / 2;
    double g = draw_gamma(stream, (double)k);
    double low = g / (g + draw_gamma(stream, (double)(n + 1 - k)));
    if (n % 2 == 1) {
        return at_fraction(sorted, n, low);
    }
    double least = 1 - pow(1 - il_stream_uniform(stream), 1 / (double)(n - k));
    double high = low + (1 - low) * least;
    return (at_fraction(sorted, n, low) + at_fraction(sorted, n, high)) / 2;
}

/* A resampled value of model m, with the variance from inside the blocks added. */
static double draw_model(const il_nested *data, const double *sorted, size_t m, il_stream *stream)
{
    size_t count = data->first[m + 1] - data->first[m];
    double value =
        count == 1 ? sorted[data->first[m]] : draw_median(sorted + data->first[m], count, stream);
    double inside = data->inside_var ? data->inside_var[m] : 0;
    if (inside > 0) {
        value += il_stream_normal(stream) * sqrt(inside / (double)count);
    }
    return value;
}

int il_boot_line_nested(const il_nested *data, size_t n_resamples, il_stream *stream,
                        il_boot_line *out, il_error *err)
{
    *out = (il_boot_line){no_interval, no_interval, n_resamples, 0};
    size_t n = data->n_models;
    if (n < 4) {
        return il_fail(err, IL_E_TOO_FEW, "%zu models are too few to resample, 4 would do", n);
    }
    for (size_t m = 0; m < n; m++) {
        if (data->first[m + 1] <= data->first[m]) {
            return il_fail(err, IL_E_INVALID, "a model without a block median");
        }
    }
    int rc = IL_OK;
    il_line line;
    double *rows = doubles(n, 2);
    double *sorted = calloc(data->first[n], sizeof *sorted);
    double *results = doubles(n_resamples, 2);
    if (!rows || !sorted || !results || n > UINT32_MAX) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for %zu resamples", n_resamples);
        goto out;
    }
    for (size_t m = 0; m < n; m++) {
        rows[m] = data->x[m];
        size_t count = data->first[m + 1] - data->first[m];
        memcpy(sorted + data->first[m], data->values + data->first[m], count * sizeof *sorted);
        il_sort(sorted + data->first[m], count);
        rows[n + m] = il_quantile_sorted(sorted + data->first[m], count, 0.5);
    }
    if (il_line_fit(rows, rows + n, n, &line) != IL_OK) {
        rc = il_fail(err, IL_E_TOO_FEW, "a line needs two different x");
        goto out;
    }
    out->slope.estimate = line.slope;
    out->intercept.estimate = line.intercept;
    for (size_t b = 0; b < n_resamples; b++) {
        for (size_t i = 0; i < n; i++) {
            size_t m = il_stream_below(stream, (uint32_t)n);
            rows[i] = data->x[m];
            rows[n + i] = draw_model(data, sorted, m, stream);
        }
        if (il_line_fit(rows, rows + n, n, &line) == IL_OK) {
            results[out->n_used] = line.slope;
            results[n_resamples + out->n_used++] = line.intercept;
        }
    }
    il_stats_gsl_quiet();
    double dof = (double)(n - 2);
    double tail = gsl_cdf_ugaussian_P(il_normal_quantile(0.025) * sqrt((double)n / dof));
    set_ends(&out->slope, results, out->n_used, tail);
    set_ends(&out->intercept, results + n_resamples, out->n_used, tail);
out:
    free(rows);
    free(sorted);
    free(results);
    return rc;
}
