/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/deming.h"

#include "stats/dist.h"

#include <math.h>
#include <stdbool.h>

/* The line through all points but `skip` (n: none). False when there is no one slope. */
static bool line_without(const double *x, const double *y, size_t n, size_t skip, double delta,
                         double *slope, double *intercept)
{
    double count = (double)(skip < n ? n - 1 : n);
    double mx = 0;
    double my = 0;
    for (size_t i = 0; i < n; i++) {
        if (i != skip) {
            mx += x[i] / count;
            my += y[i] / count;
        }
    }
    double sxx = 0;
    double syy = 0;
    double sxy = 0;
    for (size_t i = 0; i < n; i++) {
        if (i != skip) {
            sxx += (x[i] - mx) * (x[i] - mx);
            syy += (y[i] - my) * (y[i] - my);
            sxy += (x[i] - mx) * (y[i] - my);
        }
    }
    /* In units of √δ the errors are equal, and the line is the main axis of the scatter. */
    double u = syy - delta * sxx;
    double root = hypot(u, 2 * sqrt(delta) * sxy);
    if (!(root > 0) || (sxy == 0 && u > 0)) {
        return false;
    }
    /* Two forms of one number: each is free of cancellation on its side. */
    *slope = u > 0 ? (u + root) / (2 * sxy) : 2 * delta * sxy / (root - u);
    *intercept = my - *slope * mx;
    return true;
}

/* Jackknife standard error from the leave-one-out estimates' pseudo-values. */
static double jackknife_se(double sum, double squares, size_t n)
{
    double count = (double)n;
    double variance = (squares - sum * sum / count) * (count - 1) / count;
    return sqrt(fmax(variance, 0));
}

int il_deming_fit(const double *x, const double *y, size_t n, double variance_ratio, il_deming *out,
                  il_error *err)
{
    const il_interval none = {NAN, NAN, NAN};
    *out = (il_deming){none, none, NAN, NAN, n};
    if (!(variance_ratio > 0) || !isfinite(variance_ratio)) {
        return il_fail(err, IL_E_INVALID, "%g is no ratio of error variances", variance_ratio);
    }
    bool different = false;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i])) {
            return il_fail(err, IL_E_INVALID, "point %zu is not finite", i + 1);
        }
        different = different || x[i] != x[0];
    }
    if (n < 2 || !different) {
        return il_fail(err, IL_E_TOO_FEW, "a line needs two different x");
    }
    double slope, intercept;
    if (!line_without(x, y, n, n, variance_ratio, &slope, &intercept)) {
        return il_fail(err, IL_E_INVALID, "the points have no main axis: no slope is the best");
    }
    out->slope.estimate = slope;
    out->intercept.estimate = intercept;
    double sum[2] = {0, 0};
    double squares[2] = {0, 0};
    for (size_t i = 0; i < n; i++) {
        double s, a;
        if (n < 3 || !line_without(x, y, n, i, variance_ratio, &s, &a)) {
            return IL_OK; /* the line stands, its error is unknown */
        }
        sum[0] += s - slope;
        squares[0] += (s - slope) * (s - slope);
        sum[1] += a - intercept;
        squares[1] += (a - intercept) * (a - intercept);
    }
    out->slope_se = jackknife_se(sum[0], squares[0], n);
    out->intercept_se = jackknife_se(sum[1], squares[1], n);
    double t = il_t_quantile(0.975, (double)(n - 2));
    out->slope.low = slope - t * out->slope_se;
    out->slope.high = slope + t * out->slope_se;
    out->intercept.low = intercept - t * out->intercept_se;
    out->intercept.high = intercept + t * out->intercept_se;
    return IL_OK;
}
