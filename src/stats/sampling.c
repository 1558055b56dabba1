/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/sampling.h"

#include "stats/dist.h"
#include "stats/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of a median over a mean of normal values, as variances. */
#define MEDIAN_OVER_MEAN 1.5707963267948966

/* --- one cell --------------------------------------------------------------------------------- */

static double sorted_width(const double *sorted, size_t n)
{
    size_t low, high;
    double median = il_quantile_sorted(sorted, n, 0.5);
    if (il_order_ranks(n, 0.5, IL_SAMPLING_CONFIDENCE, &low, &high, NULL) != IL_OK ||
        !(median > 0)) {
        return NAN;
    }
    return (sorted[high - 1] - sorted[low - 1]) / 2 / median;
}

/* Of the first n values; sorted is scratch. */
static double width_of(const double *values, size_t n, double *sorted)
{
    memcpy(sorted, values, n * sizeof *sorted);
    il_sort(sorted, n);
    return sorted_width(sorted, n);
}

int il_sampling_median(const double *values, size_t n, double target, il_sampling_view *out,
                       il_error *err)
{
    *out = (il_sampling_view){.half_width = NAN};
    double *sorted = malloc((n ? n : 1) * sizeof *sorted);
    if (!sorted) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu values", n);
    }
    if (n > 0) {
        out->half_width = width_of(values, n, sorted);
        out->met = out->half_width <= target && width_of(values, n - 1, sorted) <= target;
        out->stuck = !out->met && n >= IL_SAMPLING_STUCK_LEAST &&
                     out->half_width > IL_SAMPLING_STUCK_SHARE * width_of(values, n / 2, sorted) &&
                     width_of(values, n - 1, sorted) >
                         IL_SAMPLING_STUCK_SHARE * width_of(values, (n - 1) / 2, sorted);
    }
    free(sorted);
    return IL_OK;
}

/* --- one law ---------------------------------------------------------------------------------- */

static double variance_of(const double *values, size_t n)
{
    double sd = il_sd(values, n);
    return sd * sd;
}

/* With the first count[i] blocks of group i (all of them: NULL); NaN when a group has too few. */
static double slope_width(const il_sampling_line *line, const size_t *count, double *gain)
{
    double mean = il_mean(line->x, line->n_groups), sxx = 0, variance = 0, welch = 0;
    for (size_t i = 0; i < line->n_groups; i++) {
        sxx += (line->x[i] - mean) * (line->x[i] - mean);
    }
    if (!(sxx > 0)) {
        return NAN;
    }
    for (size_t i = 0; i < line->n_groups; i++) {
        size_t n = count ? count[i] : line->first[i + 1] - line->first[i];
        double weight = (line->x[i] - mean) / sxx;
        double s2 = n < 2 ? NAN : variance_of(line->logs + line->first[i], n);
        double part = weight * weight * MEDIAN_OVER_MEAN * s2 / (double)n;
        if (gain) {
            gain[i] = part / (double)(n + 1);
        }
        variance += part;
        welch += part * part / (double)(n - 1);
    }
    if (!(variance > 0)) {
        return isnan(variance) ? NAN : 0;
    }
    double t = il_t_quantile(0.5 + IL_SAMPLING_CONFIDENCE / 2, variance * variance / welch);
    return t * sqrt(variance);
}

int il_sampling_slope(const il_sampling_line *line, const size_t *last, const size_t *half,
                      double target, double *gain, il_sampling_view *out, il_error *err)
{
    *out = (il_sampling_view){.half_width = NAN};
    if (line->n_groups < 2) {
        return il_fail(err, IL_E_TOO_FEW, "a slope needs two groups");
    }
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < line->n_groups; i++) {
        size_t n = line->first[i + 1] - line->first[i];
        least = n < least ? n : least;
    }
    out->half_width = slope_width(line, NULL, gain);
    out->met = out->half_width <= target && slope_width(line, last, NULL) <= target;
    out->stuck = !out->met && least >= IL_SAMPLING_STUCK_LEAST / 2 &&
                 out->half_width > IL_SAMPLING_STUCK_SHARE * slope_width(line, half, NULL);
    return IL_OK;
}
