/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/overhead.h"

#include "stats/ols.h"
#include "stats/order.h"

#include <math.h>

enum { GRID = 200 };

int il_overhead_affine(const double *p, const double *latency, size_t n, il_overhead_fit *out,
                       il_error *err)
{
    il_line line;
    if (il_line_fit(p, latency, n, &line) != IL_OK) {
        *out = (il_overhead_fit){NAN, NAN, NAN, NAN};
        return il_fail(err, IL_E_TOO_FEW, "overhead and slope need two different sizes");
    }
    *out = (il_overhead_fit){line.intercept, line.slope, 1.0, line.r2};
    return IL_OK;
}

typedef struct data {
    const double *p, *y;
    size_t n;
} data;

static double sse_of(const data *d, double s, double a, double b)
{
    double sum = 0;
    for (size_t i = 0; i < d->n; i++) {
        double e = d->y[i] - a - b * pow(d->p[i], s);
        sum += e * e;
    }
    return sum;
}

/* The best a, b ≥ 0 at this s; returns the sum of squares. */
static double profile(const data *d, double s, double *a, double *b)
{
    double n = (double)d->n;
    double mz = 0;
    double my = 0;
    for (size_t i = 0; i < d->n; i++) {
        mz += pow(d->p[i], s) / n;
        my += d->y[i] / n;
    }
    double szz = 0;
    double szy = 0;
    for (size_t i = 0; i < d->n; i++) {
        double z = pow(d->p[i], s) - mz;
        szz += z * z;
        szy += z * (d->y[i] - my);
    }
    /* At s = 0 the two columns are the same; all of it is then called overhead. */
    if (szz > 1e-20 * mz * mz * n) {
        *b = szy / szz;
        *a = my - *b * mz;
        if (*a >= 0 && *b >= 0) {
            return sse_of(d, s, *a, *b);
        }
    }
    double through = fmax(0.0, (szy + n * mz * my) / (szz + n * mz * mz));
    double flat = fmax(0.0, my);
    double sse_through = sse_of(d, s, 0, through);
    double sse_flat = sse_of(d, s, flat, 0);
    *a = sse_flat <= sse_through ? flat : 0;
    *b = sse_flat <= sse_through ? 0 : through;
    return fmin(sse_flat, sse_through);
}

static double golden_section(const data *d, double low, double high)
{
    const double ratio = 0.61803398874989485;
    double a, b;
    double left = high - ratio * (high - low);
    double right = low + ratio * (high - low);
    double f_left = profile(d, left, &a, &b);
    double f_right = profile(d, right, &a, &b);
    while (high - low > 1e-10) {
        if (f_left <= f_right) {
            high = right;
            right = left;
            f_right = f_left;
            left = high - ratio * (high - low);
            f_left = profile(d, left, &a, &b);
        } else {
            low = left;
            left = right;
            f_left = f_right;
            right = low + ratio * (high - low);
            f_right = profile(d, right, &a, &b);
        }
    }
    return (low + high) / 2;
}

static size_t count_different(const double *p, size_t n)
{
    size_t different = 0;
    for (size_t i = 0; i < n && different < 3; i++) {
        size_t j = 0;
        while (j < i && p[j] != p[i]) {
            j++;
        }
        different += j == i;
    }
    return different;
}

int il_overhead_power(const double *p, const double *latency, size_t n, il_overhead_fit *out,
                      il_error *err)
{
    *out = (il_overhead_fit){NAN, NAN, NAN, NAN};
    for (size_t i = 0; i < n; i++) {
        if (!(p[i] > 0)) {
            return il_fail(err, IL_E_INVALID, "a model of %g million parameters has no power",
                           p[i]);
        }
    }
    if (count_different(p, n) < 3) {
        return il_fail(err, IL_E_TOO_FEW, "a, b and s need three different sizes");
    }
    const data d = {p, latency, n};
    double a, b;
    double best = INFINITY;
    int best_i = 0;
    for (int i = 0; i <= GRID; i++) {
        double sse = profile(&d, 2.0 * i / GRID, &a, &b);
        if (sse < best) {
            best = sse;
            best_i = i;
        }
    }
    double s = 2.0 * best_i / GRID;
    double refined = golden_section(&d, fmax(0, s - 2.0 / GRID), fmin(2, s + 2.0 / GRID));
    if (profile(&d, refined, &a, &b) < best) {
        s = refined;
    }
    double sse = profile(&d, s, &a, &b);
    double mean = il_mean(latency, n);
    double sst = 0;
    for (size_t i = 0; i < n; i++) {
        sst += (latency[i] - mean) * (latency[i] - mean);
    }
    *out = (il_overhead_fit){a, b, s, sst > 0 ? 1 - sse / sst : NAN};
    return IL_OK;
}

double il_overhead_fraction(const il_overhead_fit *fit, double p)
{
    double total = fit->a + fit->b * pow(p, fit->s);
    return total != 0 ? fit->a / total : NAN;
}
