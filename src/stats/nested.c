/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/boot.h"

#include "base/checked.h"
#include "stats/dist.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

int il_nested_open(const il_nested *data, il_nested_sampler *out, il_error *err)
{
    *out = (il_nested_sampler){0};
    size_t n = data->n_models;
    if (n < 4) {
        return il_fail(err, IL_E_TOO_FEW, "%zu models are too few to resample, 4 would do", n);
    }
    if (n > UINT32_MAX || data->first[0] != 0) {
        return il_fail(err, IL_E_INVALID, "block medians that do not start at the first model");
    }
    for (size_t m = 0; m < n; m++) {
        if (data->first[m + 1] <= data->first[m]) {
            return il_fail(err, IL_E_INVALID, "a model without a block median");
        }
    }
    out->n_models = n;
    out->first = calloc(n + 1, sizeof *out->first);
    out->medians = calloc(n, sizeof *out->medians);
    out->noise_sd = calloc(n, sizeof *out->noise_sd);
    out->sorted = calloc(data->first[n], sizeof *out->sorted);
    if (!out->first || !out->medians || !out->noise_sd || !out->sorted) {
        il_nested_close(out);
        return il_fail(err, IL_E_NOMEM, "no memory for the block medians of %zu models", n);
    }
    memcpy(out->first, data->first, (n + 1) * sizeof *out->first);
    memcpy(out->sorted, data->values, data->first[n] * sizeof *out->sorted);
    for (size_t m = 0; m < n; m++) {
        size_t count = data->first[m + 1] - data->first[m];
        double *values = out->sorted + data->first[m];
        il_sort(values, count);
        out->medians[m] = il_quantile_sorted(values, count, 0.5);
        double inside = data->inside_var ? data->inside_var[m] : 0;
        out->noise_sd[m] = inside > 0 ? sqrt(inside / (double)count) : 0;
    }
    return IL_OK;
}

void il_nested_close(il_nested_sampler *sampler)
{
    free(sampler->first);
    free(sampler->medians);
    free(sampler->noise_sd);
    free(sampler->sorted);
    *sampler = (il_nested_sampler){0};
}

double il_nested_draw_model(const il_nested_sampler *sampler, size_t m, il_stream *stream)
{
    size_t count = sampler->first[m + 1] - sampler->first[m];
    const double *values = sampler->sorted + sampler->first[m];
    double value = count == 1 ? values[0] : draw_median(values, count, stream);
    if (sampler->noise_sd[m] > 0) {
        value += il_stream_normal(stream) * sampler->noise_sd[m];
    }
    return value;
}

void il_nested_draw(const il_nested_sampler *sampler, il_stream *stream, size_t *pick, double *y)
{
    for (size_t i = 0; i < sampler->n_models; i++) {
        pick[i] = il_stream_below(stream, (uint32_t)sampler->n_models);
        y[i] = il_nested_draw_model(sampler, pick[i], stream);
    }
}

double il_nested_tail(size_t n_models, size_t n_coefficients, double confidence)
{
    if (n_models <= n_coefficients) {
        return NAN;
    }
    double tail = (1 - confidence) / 2;
    double dof = (double)(n_models - n_coefficients);
    double z = n_models < 10 ? il_normal_quantile(tail) * sqrt((double)n_models / dof)
                             : il_t_quantile(tail, dof);
    il_stats_gsl_quiet();
    return gsl_cdf_ugaussian_P(z);
}

size_t il_nested_least_models(size_t n_coefficients)
{
    return 3 * n_coefficients + 1;
}

int il_boot_nested(const il_nested *data, size_t n_coefficients, size_t n_terms, il_nested_fit fit,
                   void *context, size_t n_resamples, il_stream *stream, il_interval *out,
                   size_t *n_used, il_error *err)
{
    for (size_t t = 0; t < n_terms; t++) {
        out[t] = (il_interval){NAN, NAN, NAN};
    }
    *n_used = 0;
    il_nested_sampler sampler;
    int rc = il_nested_open(data, &sampler, err);
    if (rc != IL_OK) {
        return rc;
    }
    size_t n = sampler.n_models;
    size_t count;
    size_t *pick = calloc(n, sizeof *pick);
    double *y = calloc(n, sizeof *y);
    double *terms = calloc(n_terms + 1, sizeof *terms);
    double *results =
        il_mul_size(n_resamples + 1, n_terms, &count) ? calloc(count + 1, sizeof *results) : NULL;
    if (!pick || !y || !terms || !results) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for %zu resamples", n_resamples);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        pick[i] = i;
    }
    if (fit(context, pick, sampler.medians, n, terms) != IL_OK) {
        rc = il_fail(err, IL_E_TOO_FEW, "the %zu models do not fix the law", n);
        goto out;
    }
    for (size_t t = 0; t < n_terms; t++) {
        out[t].estimate = terms[t];
    }
    for (size_t b = 0; b < n_resamples; b++) {
        il_nested_draw(&sampler, stream, pick, y);
        if (fit(context, pick, y, n, terms) != IL_OK) {
            continue;
        }
        for (size_t t = 0; t < n_terms; t++) {
            results[t * n_resamples + *n_used] = terms[t];
        }
        (*n_used)++;
    }
    double tail = il_nested_tail(n, n_coefficients, 0.95);
    for (size_t t = 0; t<n_terms && * n_used> 0 && !isnan(tail); t++) {
        il_interval_ends(results + t * n_resamples, *n_used, tail, &out[t]);
    }
out:
    free(pick);
    free(y);
    free(terms);
    free(results);
    il_nested_close(&sampler);
    return rc;
}

typedef struct line_context {
    const double *x;
    double *scratch;
} line_context;

/* The x of the picked models, then the line. */
static int fit_line(void *context, const size_t *pick, const double *y, size_t n, double *terms)
{
    const line_context *c = context;
    for (size_t i = 0; i < n; i++) {
        c->scratch[i] = c->x[pick[i]];
    }
    il_line line;
    int rc = il_line_fit(c->scratch, y, n, &line);
    terms[0] = line.slope;
    terms[1] = line.intercept;
    return rc;
}

int il_boot_line_nested(const il_nested *data, size_t n_resamples, il_stream *stream,
                        il_boot_line *out, il_error *err)
{
    const il_interval none = {NAN, NAN, NAN};
    *out = (il_boot_line){none, none, n_resamples, 0};
    double *scratch = calloc(data->n_models + 1, sizeof *scratch);
    if (!scratch) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu models", data->n_models);
    }
    line_context context = {data->x, scratch};
    il_interval got[2];
    int rc =
        il_boot_nested(data, 2, 2, fit_line, &context, n_resamples, stream, got, &out->n_used, err);
    out->slope = got[0];
    out->intercept = got[1];
    free(scratch);
    return rc;
}
