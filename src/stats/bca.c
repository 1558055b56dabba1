/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/bca.h"

#include "base/checked.h"
#include "stats/boot.h"
#include "stats/dist.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct resamples {
    size_t *pick;   /* [n] */
    double *values; /* [n_resamples] */
    size_t n_used;
} resamples;

static void resamples_free(resamples *r)
{
    free(r->pick);
    free(r->values);
}

static int resamples_open(resamples *r, size_t n, size_t n_resamples, il_error *err)
{
    size_t bytes;
    *r = (resamples){0};
    if (n <= UINT32_MAX && il_mul_size(n + 1, sizeof *r->pick, &bytes)) {
        r->pick = malloc(bytes);
    }
    if (il_mul_size(n_resamples ? n_resamples : 1, sizeof *r->values, &bytes)) {
        r->values = malloc(bytes);
    }
    if (!r->pick || !r->values) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu resamples of %zu", n_resamples, n);
    }
    return IL_OK;
}

static int whole_sample(resamples *r, size_t n, il_pick_statistic statistic, void *context,
                        double *estimate, il_error *err)
{
    for (size_t i = 0; i < n; i++) {
        r->pick[i] = i;
    }
    *estimate = statistic(context, r->pick, n);
    if (isnan(*estimate)) {
        return il_fail(err, IL_E_INVALID, "the statistic does not exist for the whole sample");
    }
    return IL_OK;
}

/* Efron's acceleration from the statistic without each; 0 when it never moves or is not known. */
static double acceleration(resamples *r, size_t n, il_pick_statistic statistic, void *context,
                           il_error *err, int *rc)
{
    double *without = malloc(n * sizeof *without);
    if (!without) {
        *rc = il_fail(err, IL_E_NOMEM, "no memory for a jackknife of %zu", n);
        return NAN;
    }
    size_t known = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        for (size_t j = 0; j < n; j++) {
            if (j != i) {
                r->pick[k++] = j;
            }
        }
        double value = statistic(context, r->pick, n - 1);
        if (!isnan(value)) {
            without[known++] = value;
        }
    }
    double mean = il_mean(without, known);
    double largest = 0; /* cubes of tiny or huge numbers leave the range: scale first */
    for (size_t i = 0; i < known; i++) {
        largest = fmax(largest, fabs(mean - without[i]));
    }
    double squares = 0;
    double cubes = 0;
    for (size_t i = 0; i < known && largest > 0; i++) {
        double d = (mean - without[i]) / largest;
        squares += d * d;
        cubes += d * d * d;
    }
    free(without);
    return squares > 0 && isfinite(squares) ? cubes / (6 * pow(squares, 1.5)) : 0;
}

/* The quantile for n independent pieces: t for a scale that is estimated, and the factor by which
 * the spread of resamples is too short. */
static double expanded_quantile(double n, double confidence)
{
    return il_t_quantile(1 - (1 - confidence) / 2, n - 1) * sqrt(n / (n - 1));
}

/* Where the end that plain percentiles take at Φ(quantile) goes. */
static double bca_end(double z0, double a, double quantile)
{
    double z = z0 + quantile;
    double denominator = 1 - a * z;
    if (!(denominator > 0)) {
        return z > 0 ? 1 : 0; /* the transformation has run off its end */
    }
    return gsl_cdf_ugaussian_P(z0 + z / denominator);
}

static int set_bca(resamples *r, double a, double quantile, il_interval *out, il_error *err)
{
    double below = 0;
    double same = 0;
    for (size_t i = 0; i < r->n_used; i++) {
        below += r->values[i] < out->estimate;
        same += r->values[i] == out->estimate;
    }
    double n = (double)r->n_used;
    if (same == n) {
        out->low = out->high = out->estimate;
        return IL_OK;
    }
    double share = (below + same / 2) / n;
    if (!(share > 0 && share < 1)) {
        return il_fail(err, IL_E_INVALID, "all resamples lie on one side of the estimate %g",
                       out->estimate);
    }
    double z0 = il_normal_quantile(share);
    il_sort(r->values, r->n_used);
    out->low = il_quantile_sorted(r->values, r->n_used, bca_end(z0, a, -quantile));
    out->high = il_quantile_sorted(r->values, r->n_used, bca_end(z0, a, quantile));
    return IL_OK;
}

static int check(double confidence, size_t n_resamples, il_error *err)
{
    if (!(confidence > 0 && confidence < 1) || n_resamples < 1) {
        return il_fail(err, IL_E_INVALID, "no interval at confidence %g from %zu resamples",
                       confidence, n_resamples);
    }
    return IL_OK;
}

int il_bca_interval(size_t n, il_pick_statistic statistic, void *context, double confidence,
                    size_t n_resamples, il_stream *stream, il_interval *out, size_t *n_used,
                    il_error *err)
{
    *out = (il_interval){NAN, NAN, NAN};
    il_stats_gsl_quiet();
    resamples r;
    int rc = check(confidence, n_resamples, err);
    if (rc != IL_OK) {
        return rc;
    }
    rc = resamples_open(&r, n, n_resamples, err);
    rc = rc ? rc : whole_sample(&r, n, statistic, context, &out->estimate, err);
    if (rc == IL_OK && n < IL_BCA_LEAST) {
        rc = il_fail(err, IL_E_TOO_FEW, "BCa needs %d values, there are %zu", IL_BCA_LEAST, n);
        (void)il_error_hint(err, "take the order-statistic or the t interval");
    }
    double a = 0;
    if (rc == IL_OK) {
        a = acceleration(&r, n, statistic, context, err, &rc);
    }
    for (size_t b = 0; b < n_resamples && rc == IL_OK; b++) {
        for (size_t i = 0; i < n; i++) {
            r.pick[i] = il_stream_below(stream, (uint32_t)n);
        }
        double value = statistic(context, r.pick, n);
        if (!isnan(value)) {
            r.values[r.n_used++] = value;
        }
    }
    if (rc == IL_OK && r.n_used == 0) {
        rc = il_fail(err, IL_E_INVALID, "the statistic exists for no resample");
    }
    rc = rc ? rc : set_bca(&r, a, expanded_quantile((double)n, confidence), out, err);
    if (n_used) {
        *n_used = r.n_used;
    }
    resamples_free(&r);
    return rc;
}

/* Autocovariance at a lag, divided by n. */
static double autocovariance(const double *values, size_t n, double mean, size_t lag)
{
    double sum = 0;
    for (size_t i = 0; i + lag < n; i++) {
        sum += (values[i] - mean) * (values[i + lag] - mean);
    }
    return sum / (double)n;
}

double il_block_length(const double *values, size_t n, il_block_kind kind)
{
    if (n < 4) {
        return NAN;
    }
    double nn = (double)n;
    size_t run = (size_t)fmax(5, ceil(sqrt(log10(nn))));
    size_t most = (size_t)ceil(sqrt(nn)) + run;
    most = most < n - 1 ? most : n - 1;
    double *r = malloc((most + 1) * sizeof *r);
    if (!r) {
        return NAN;
    }
    double mean = il_mean(values, n);
    for (size_t k = 0; k <= most; k++) {
        r[k] = autocovariance(values, n, mean, k);
    }
    double length = 1;
    if (r[0] > 0) {
        /* m: the lag after which `run` correlations in a row are insignificant; else the last that
         * is significant. */
        double bound = 2 * sqrt(log10(nn) / nn);
        size_t last = 0;
        for (size_t k = 1; k <= most && k <= last + run; k++) {
            if (fabs(r[k]) >= bound * r[0]) {
                last = k;
            }
        }
        size_t window = 2 * (last > 0 ? last : 1);
        window = window < most ? window : most;
        double g = 0;
        double spectrum = r[0];
        for (size_t k = 1; k <= window; k++) {
            double t = (double)k / (double)window;
            double flat_top = t <= 0.5 ? 1 : 2 * (1 - t);
            g += 2 * flat_top * (double)k * r[k];
            spectrum += 2 * flat_top * r[k];
        }
        double d = (kind == IL_BLOCK_STATIONARY ? 2 : 4.0 / 3) * spectrum * spectrum;
        length = d > 0 ? cbrt(2 * g * g / d * nn) : INFINITY;
    }
    free(r);
    return fmax(1, fmin(length, ceil(fmin(3 * sqrt(nn), nn / 3))));
}

static void draw_blocks(size_t *pick, size_t n, il_block_kind kind, double length,
                        il_stream *stream)
{
    if (kind == IL_BLOCK_STATIONARY) {
        for (size_t i = 0; i < n; i++) {
            bool fresh = i == 0 || il_stream_uniform(stream) * length < 1;
            pick[i] = fresh ? il_stream_below(stream, (uint32_t)n) : (pick[i - 1] + 1) % n;
        }
        return;
    }
    size_t b = (size_t)length;
    for (size_t i = 0; i < n; i += b) {
        size_t start = il_stream_below(stream, (uint32_t)(n - b + 1));
        for (size_t k = 0; k < b && i + k < n; k++) {
            pick[i + k] = start + k;
        }
    }
}

int il_block_interval(size_t n, il_pick_statistic statistic, void *context, il_block_kind kind,
                      double block_length, double confidence, size_t n_resamples, il_stream *stream,
                      il_interval *out, size_t *n_used, il_error *err)
{
    *out = (il_interval){NAN, NAN, NAN};
    il_stats_gsl_quiet();
    resamples r;
    int rc = check(confidence, n_resamples, err);
    if (rc == IL_OK && !(block_length >= 1 && isfinite(block_length))) {
        rc = il_fail(err, IL_E_INVALID, "%g is no length of a block", block_length);
    }
    if (rc != IL_OK) {
        return rc;
    }
    double length = kind == IL_BLOCK_MOVING ? rint(block_length) : block_length;
    rc = resamples_open(&r, n, n_resamples, err);
    rc = rc ? rc : whole_sample(&r, n, statistic, context, &out->estimate, err);
    if (rc == IL_OK && (double)n < IL_BCA_LEAST * length) {
        rc = il_fail(err, IL_E_TOO_FEW, "%zu values are fewer than %d blocks of %.3g", n,
                     IL_BCA_LEAST, length);
    }
    for (size_t b = 0; b < n_resamples && rc == IL_OK; b++) {
        draw_blocks(r.pick, n, kind, length, stream);
        double value = statistic(context, r.pick, n);
        if (!isnan(value)) {
            r.values[r.n_used++] = value;
        }
    }
    if (rc == IL_OK && r.n_used == 0) {
        rc = il_fail(err, IL_E_INVALID, "the statistic exists for no resample");
    }
    if (rc == IL_OK) {
        double z = expanded_quantile((double)n / length, confidence);
        il_interval_ends(r.values, r.n_used, gsl_cdf_ugaussian_P(-z), out);
    }
    if (n_used) {
        *n_used = r.n_used;
    }
    resamples_free(&r);
    return rc;
}
