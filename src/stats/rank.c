/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/rank.h"

#include "stats/dist.h"
#include "stats/order.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct keyed {
    double value;
    size_t index;
} keyed;

static int by_key(const void *a, const void *b)
{
    double x = ((const keyed *)a)->value;
    double y = ((const keyed *)b)->value;
    return (x > y) - (x < y);
}

int il_ranks(const double *values, size_t n, double *out, il_error *err)
{
    keyed *keys = n <= SIZE_MAX / sizeof *keys ? malloc((n ? n : 1) * sizeof *keys) : NULL;
    if (!keys) {
        return il_fail(err, IL_E_NOMEM, "no memory to rank %zu values", n);
    }
    for (size_t i = 0; i < n; i++) {
        keys[i] = (keyed){values[i], i};
    }
    if (n > 1) {
        qsort(keys, n, sizeof *keys, by_key);
    }
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && keys[end].value == keys[i].value) {
            end++;
        }
        double rank = ((double)(i + 1) + (double)end) / 2;
        for (; i < end; i++) {
            out[keys[i].index] = rank;
        }
    }
    free(keys);
    return IL_OK;
}

static double correlation(const double *x, const double *y, size_t n)
{
    double mx = il_mean(x, n);
    double my = il_mean(y, n);
    double sxx = 0;
    double syy = 0;
    double sxy = 0;
    for (size_t i = 0; i < n; i++) {
        sxx += (x[i] - mx) * (x[i] - mx);
        syy += (y[i] - my) * (y[i] - my);
        sxy += (x[i] - mx) * (y[i] - my);
    }
    if (!(sxx > 0 && syy > 0)) {
        return NAN;
    }
    return fmax(-1.0, fmin(1.0, sxy / sqrt(sxx * syy)));
}

int il_spearman_fit(const double *x, const double *y, size_t n, il_spearman *out, il_error *err)
{
    *out = (il_spearman){NAN, NAN};
    if (n < 2) {
        return il_fail(err, IL_E_TOO_FEW, "%zu points have no rank correlation", n);
    }
    double *ranks = n <= SIZE_MAX / (2 * sizeof *ranks) ? malloc(2 * n * sizeof *ranks) : NULL;
    if (!ranks) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu ranks", n);
    }
    int rc = il_ranks(x, n, ranks, err);
    if (rc == IL_OK) {
        rc = il_ranks(y, n, ranks + n, err);
    }
    if (rc == IL_OK) {
        out->rho = correlation(ranks, ranks + n, n);
        if (n > 2 && !isnan(out->rho)) {
            double dof = (double)(n - 2);
            out->p = il_t_two_sided_p(out->rho * sqrt(dof / (1 - out->rho * out->rho)), dof);
        }
    }
    free(ranks);
    return rc;
}

/* All orders of the doubled ranks ry against rx, by Heap's method, where neighbours differ by one
 * exchange, so that a step costs one product. Counts those whose Σ rx·ry is `reach` or more from
 * its mean. All in integers: no tie of |ρ| is lost to rounding. */
static void count_orders(const int32_t *rx, int32_t *ry, size_t n, int64_t mean, int64_t reach,
                         uint64_t *at_least, uint64_t *orders)
{
    size_t state[IL_SPEARMAN_EXACT_MOST] = {0};
    int64_t sum = -mean;
    for (size_t i = 0; i < n; i++) {
        sum += (int64_t)rx[i] * ry[i];
    }
    *orders = 1;
    *at_least = (sum < 0 ? -sum : sum) >= reach;
    for (size_t i = 1; i < n;) {
        if (state[i] >= i) {
            state[i++] = 0;
            continue;
        }
        size_t other = i % 2 == 0 ? 0 : state[i];
        sum += (int64_t)(rx[i] - rx[other]) * (ry[other] - ry[i]);
        int32_t swap = ry[i];
        ry[i] = ry[other];
        ry[other] = swap;
        (*orders)++;
        *at_least += (sum < 0 ? -sum : sum) >= reach;
        state[i]++;
        i = 1;
    }
}

int il_spearman_exact_p(const double *x, const double *y, size_t n, double *p, il_error *err)
{
    *p = NAN;
    if (n < 3) {
        return il_fail(err, IL_E_TOO_FEW, "%zu points have no test of rank correlation", n);
    }
    if (n > IL_SPEARMAN_EXACT_MOST) {
        return il_fail(err, IL_E_RANGE, "all orders of %zu points are too many, %d would do", n,
                       IL_SPEARMAN_EXACT_MOST);
    }
    double ranks[2 * IL_SPEARMAN_EXACT_MOST];
    int rc = il_ranks(x, n, ranks, err);
    rc = rc ? rc : il_ranks(y, n, ranks + n, err);
    if (rc != IL_OK) {
        return rc;
    }
    int32_t rx[IL_SPEARMAN_EXACT_MOST];
    int32_t ry[IL_SPEARMAN_EXACT_MOST];
    bool x_varies = false;
    bool y_varies = false;
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        rx[i] = (int32_t)lrint(2 * ranks[i]); /* ties have halves: twice a rank is whole */
        ry[i] = (int32_t)lrint(2 * ranks[n + i]);
        x_varies = x_varies || rx[i] != rx[0];
        y_varies = y_varies || ry[i] != ry[0];
        sum += (int64_t)rx[i] * ry[i];
    }
    if (!x_varies || !y_varies) {
        return IL_OK;
    }
    /* Σ rx·ry has the mean n(n + 1)² over all orders: a doubled rank is n + 1 on average. */
    int64_t nn = (int64_t)n;
    int64_t mean = nn * (nn + 1) * (nn + 1);
    int64_t reach = sum - mean;
    uint64_t at_least = 0;
    uint64_t orders = 0;
    count_orders(rx, ry, n, mean, reach < 0 ? -reach : reach, &at_least, &orders);
    *p = (double)at_least / (double)orders;
    return IL_OK;
}

/* Σ k(k−1)(2k+5) over groups of equal values; sorts scratch. */
static double tie_term(const double *values, size_t n, double *scratch)
{
    memcpy(scratch, values, n * sizeof *scratch);
    il_sort(scratch, n);
    double sum = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && scratch[end] == scratch[i]) {
            end++;
        }
        double k = (double)(end - i);
        sum += k * (k - 1) * (2 * k + 5);
        i = end;
    }
    return sum;
}

int il_theil_sen_fit(const double *x, const double *y, size_t n, il_theil_sen *out, il_error *err)
{
    *out = (il_theil_sen){NAN, NAN, NAN, NAN, 0};
    if (n < 2) {
        return il_fail(err, IL_E_TOO_FEW, "%zu points have no slope", n);
    }
    /* 8 bytes a pair: 2^15 points already need 4 GiB, more is a mistake of the caller. */
    double *slopes = n <= 32768 ? malloc((n * (n - 1) / 2 + n) * sizeof *slopes) : NULL;
    if (!slopes) {
        return il_fail(err, IL_E_NOMEM, "no memory for the slopes of %zu points", n);
    }
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            if (x[i] != x[j]) {
                slopes[count++] = (y[j] - y[i]) / (x[j] - x[i]);
            }
        }
    }
    int rc = IL_OK;
    if (count == 0) {
        rc = il_fail(err, IL_E_TOO_FEW, "all x are the same: no slope");
    } else {
        il_sort(slopes, count);
        out->n_slopes = count;
        out->slope = il_quantile_sorted(slopes, count, 0.5);
        out->intercept = il_median(y, n) - out->slope * il_median(x, n);
        double *scratch = slopes + count;
        double nn = (double)n;
        double ties = tie_term(x, n, scratch) + tie_term(y, n, scratch);
        /* All y equal and some x equal takes the tie terms past the total; the spread is then nil.
         */
        double sigma = sqrt(fmax(0.0, (nn * (nn - 1) * (2 * nn + 5) - ties) / 18));
        double z = il_normal_quantile(0.025);
        double low = fmax(rint(((double)count + z * sigma) / 2) - 1, 0);
        double high = fmin(rint(((double)count - z * sigma) / 2), (double)(count - 1));
        out->slope_low = slopes[(size_t)low];
        out->slope_high = slopes[(size_t)high];
    }
    free(slopes);
    return rc;
}
