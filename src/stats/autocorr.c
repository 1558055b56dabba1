/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/autocorr.h"

#include "stats/dist.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static const double pi = 3.14159265358979323846;

/* Sum of products of deviations `lag` apart. */
static double lagged_products(const double *values, size_t n, double mean, size_t lag)
{
    double sum = 0;
    for (size_t i = 0; i + lag < n; i++) {
        sum += (values[i] - mean) * (values[i + lag] - mean);
    }
    return sum;
}

static bool is_constant(const double *values, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (values[i] != values[0]) {
            return false;
        }
    }
    return true;
}

double il_autocorrelation(const double *values, size_t n, size_t lag)
{
    if (lag >= n || is_constant(values, n)) {
        return NAN;
    }
    double mean = il_mean(values, n);
    return lagged_products(values, n, mean, lag) / lagged_products(values, n, mean, 0);
}

double il_effective_size(const double *values, size_t n)
{
    double nn = (double)n;
    if (n < 4 || is_constant(values, n)) {
        return nn;
    }
    double mean = il_mean(values, n);
    double zero = lagged_products(values, n, mean, 0);
    double least = INFINITY; /* pair sums of a reversible chain fall: what rises is noise */
    double tau = -1;
    for (size_t k = 0; 2 * k + 1 < n; k++) {
        double pair = (lagged_products(values, n, mean, 2 * k) +
                       lagged_products(values, n, mean, 2 * k + 1)) /
                      zero;
        if (!(pair > 0)) {
            break;
        }
        least = fmin(least, pair);
        tau += 2 * least;
    }
    return tau > 1 ? fmax(1, nn / tau) : nn;
}

size_t il_mser5(const double *values, size_t n, int *steady)
{
    size_t k = n / 5;
    bool seen = false;
    size_t best = 0;
    if (k >= 4) {
        /* From the end backwards, each batch joins the mean and the sum of squares (Welford), so
         * that every truncation point costs one step. */
        double mean = 0;
        double squares = 0;
        double least = INFINITY;
        for (size_t left = 1; left <= k; left++) {
            size_t d = k - left;
            double batch = il_mean(values + 5 * d, 5);
            double before = batch - mean;
            mean += before / (double)left;
            squares += before * (batch - mean);
            double statistic = squares / ((double)left * (double)left);
            if (d <= k / 2 && statistic <= least) { /* a tie keeps more data */
                least = statistic;
                best = d;
            }
        }
        seen = best < k / 2;
    }
    if (steady) {
        *steady = seen;
    }
    return 5 * best;
}

void il_lag1_add(il_lag1_pool *pool, const double *v, size_t n)
{
    if (n < 6 || is_constant(v, n)) {
        return;
    }
    /* Each series in units of its own scatter: a noisy one is no better a witness. */
    double mean = il_mean(v, n);
    pool->at_one += (double)n * lagged_products(v, n, mean, 1) / lagged_products(v, n, mean, 0);
    pool->at_zero += (double)n;
    pool->n_used++;
    pool->total += n;
}

double il_lag1_of(const il_lag1_pool *pool, double *se)
{
    if (se) {
        *se = NAN;
    }
    if (pool->n_used == 0) {
        return NAN;
    }
    double n = (double)pool->total / (double)pool->n_used;
    double spread = 1 / (1 - 4 / n);
    if (se) {
        *se = spread / sqrt((double)(pool->total - pool->n_used));
    }
    return fmax(-0.99, fmin(0.99, (pool->at_one / pool->at_zero + 1 / n) * spread));
}

double il_lag1_stay(const il_lag1_pool *pool)
{
    double se;
    double lag1 = il_lag1_of(pool, &se);
    bool clear = lag1 > IL_LAG1_LEAST && lag1 > 2 * se;
    return clear ? fmin(0.5 + asin(lag1) / M_PI, 0.999) : 0.5;
}

double il_pooled_lag1(const double *values, const size_t *first, size_t n_series, double *se)
{
    il_lag1_pool pool = {0};
    for (size_t s = 0; s < n_series; s++) {
        il_lag1_add(&pool, values + first[s], first[s + 1] - first[s]);
    }
    return il_lag1_of(&pool, se);
}

int il_mean_interval_series(const double *values, size_t n, double confidence, il_interval *out,
                            il_error *err)
{
    *out = (il_interval){il_mean(values, n), NAN, NAN};
    if (n < 3) {
        return il_fail(err, IL_E_TOO_FEW, "%zu values give no interval of a series, 3 would", n);
    }
    double nn = (double)n;
    double nu = fmax(1, rint(0.4 * cbrt(nn * nn)));
    double sum = 0;
    for (size_t j = 1; j <= (size_t)nu; j++) {
        double transform = 0;
        for (size_t i = 0; i < n; i++) {
            transform += (values[i] - out->estimate) * cos(pi * (double)j * ((double)i + 0.5) / nn);
        }
        sum += transform * transform * 2 / nn;
    }
    double half = il_t_quantile(1 - (1 - confidence) / 2, nu) * sqrt(sum / nu / (nn - 1));
    out->low = out->estimate - half;
    out->high = out->estimate + half;
    return IL_OK;
}

int il_log_mean_interval_series(const double *values, size_t n, double confidence, il_interval *out,
                                il_error *err)
{
    *out = (il_interval){NAN, NAN, NAN};
    double *logs = n <= SIZE_MAX / sizeof *logs ? malloc((n ? n : 1) * sizeof *logs) : NULL;
    if (!logs) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu logarithms", n);
    }
    int rc = il_log_values(values, n, logs, err);
    if (rc == IL_OK) {
        rc = il_mean_interval_series(logs, n, confidence, out, err);
        out->estimate = exp(out->estimate);
        out->low = exp(out->low);
        out->high = exp(out->high);
    }
    free(logs);
    return rc;
}

int il_mean_interval_trend(const double *values, size_t n, double confidence, il_interval *out,
                           il_error *err)
{
    *out = (il_interval){il_mean(values, n), NAN, NAN};
    if (n < 3) {
        return il_fail(err, IL_E_TOO_FEW, "%zu values give no interval about a trend, 3 would", n);
    }
    double nn = (double)n;
    double sxx = nn * (nn * nn - 1) / 12;
    double slope = 0;
    for (size_t i = 0; i < n; i++) {
        slope += ((double)i - (nn - 1) / 2) * (values[i] - out->estimate) / sxx;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double e = values[i] - out->estimate - slope * ((double)i - (nn - 1) / 2);
        sum += e * e;
    }
    double half = il_t_quantile(1 - (1 - confidence) / 2, nn - 2) * sqrt(sum / (nn - 2) / nn);
    out->low = out->estimate - half;
    out->high = out->estimate + half;
    return IL_OK;
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* Takes out of v what lies along the rows of basis (of length 1), twice: once loses digits. Returns
 * what is left of its length. */
static double orthogonalise(double *v, const double *basis, size_t n_rows, size_t n)
{
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t r = 0; r < n_rows; r++) {
            double along = dot(v, basis + r * n, n);
            for (size_t i = 0; i < n; i++) {
                v[i] -= along * basis[r * n + i];
            }
        }
    }
    return sqrt(dot(v, v, n));
}

/* Rows of basis: the constant, the time, then cosines until `most` rows. Returns how many rows;
 * *spread is the length of the centred time. A cosine of which the rows before leave less than a
 * third is the line in another dress. */
static size_t trend_basis(const double *time, size_t n, size_t most, double *basis, double *spread)
{
    size_t rows = 2;
    double nn = (double)n;
    double scale = time[n - 1] - time[0];
    for (size_t i = 0; i < n; i++) {
        basis[i] = 1 / sqrt(nn);
        basis[n + i] = (time[i] - time[0]) / scale;
    }
    double length = orthogonalise(basis + n, basis, 1, n);
    *spread = length * scale;
    for (size_t i = 0; i < n; i++) {
        basis[n + i] /= length;
    }
    for (size_t j = 1; rows < most && j < n; j++) {
        double *row = basis + rows * n;
        for (size_t i = 0; i < n; i++) {
            row[i] = sqrt(2 / nn) * cos(pi * (double)j * ((double)i + 0.5) / nn);
        }
        double left = orthogonalise(row, basis, rows, n);
        if (left > 1.0 / 3) {
            for (size_t i = 0; i < n; i++) {
                row[i] /= left;
            }
            rows++;
        }
    }
    return rows;
}

int il_trend_interval_series(const double *time, const double *values, size_t n, double confidence,
                             il_interval *out, il_error *err)
{
    *out = (il_interval){NAN, NAN, NAN};
    if (n < 5 || !(time[n - 1] > time[0])) {
        return il_fail(err, IL_E_TOO_FEW, "%zu values over %g of time give no interval of a trend",
                       n, n > 0 ? time[n - 1] - time[0] : 0);
    }
    double nn = (double)n;
    size_t nu = (size_t)fmax(1, rint(0.4 * cbrt(nn * nn)));
    double *basis =
        n <= SIZE_MAX / sizeof *basis / (nu + 3) ? malloc(n * (nu + 3) * sizeof *basis) : NULL;
    if (!basis) {
        return il_fail(err, IL_E_NOMEM, "no memory for a trend over %zu values", n);
    }
    double spread;
    size_t rows = trend_basis(time, n, nu + 2, basis, &spread);
    double *centred = basis + (nu + 2) * n;
    double mean = il_mean(values, n);
    for (size_t i = 0; i < n; i++) {
        centred[i] = values[i] - mean;
    }
    out->estimate = dot(basis + n, centred, n) / spread;
    double sum = 0;
    for (size_t r = 2; r < rows; r++) {
        double transform = dot(basis + r * n, centred, n);
        sum += transform * transform;
    }
    double dof = (double)(rows - 2);
    double half =
        il_t_quantile(1 - (1 - confidence) / 2, dof) * sqrt(sum / dof * nn / (nn - 3)) / spread;
    out->low = out->estimate - half;
    out->high = out->estimate + half;
    free(basis);
    return IL_OK;
}

enum { MOST_RANKED = 4096 };

/* p[2k + s]: probability of k ones so far with the last value s, of a chain that stays with
 * probability `stay`. */
static void count_of_chain(double *p, size_t n, double stay)
{
    for (size_t i = 0; i < 2 * (n + 1); i++) {
        p[i] = 0;
    }
    p[0] = 0.5;
    p[3] = 0.5;
    for (size_t i = 1; i < n; i++) {
        for (size_t k = i + 2; k-- > 0;) {
            double zero = stay * p[2 * k] + (1 - stay) * p[2 * k + 1];
            double one = k == 0 ? 0 : (1 - stay) * p[2 * k - 2] + stay * p[2 * k - 1];
            p[2 * k] = zero;
            p[2 * k + 1] = one;
        }
    }
}

int il_order_ranks_series(size_t n, double stay, double confidence, size_t *low, size_t *high,
                          size_t *n_needed)
{
    *low = *high = 0;
    if (!(stay >= 0.5 && stay <= 0.999) || !(confidence > 0 && confidence < 1) || n > MOST_RANKED) {
        return IL_E_INVALID;
    }
    /* All n on one side: 2·½·stay^(n − 1). The nudge keeps an exact power on its side. */
    double need = 1 + ceil(log(1 - confidence) / log(stay) - 1e-9);
    if (n_needed) {
        *n_needed = (size_t)need;
    }
    if ((double)n < need) {
        return IL_E_TOO_FEW;
    }
    double *p = malloc(2 * (n + 1) * sizeof *p);
    if (!p) {
        return IL_E_NOMEM;
    }
    count_of_chain(p, n, stay);
    double tail = (1 - confidence) / 2;
    double below = 0;
    size_t l = 0; /* the most with P(N ≤ l − 1) ≤ tail */
    for (size_t k = 0; k < (n + 1) / 2; k++) {
        below += p[2 * k] + p[2 * k + 1];
        if (below > tail * (1 + 1e-12)) {
            break;
        }
        l = k + 1;
    }
    free(p);
    if (l == 0) {
        return IL_E_TOO_FEW;
    }
    *low = l;
    *high = n + 1 - l;
    return IL_OK;
}
