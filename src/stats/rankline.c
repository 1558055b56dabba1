/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/rankline.h"

#include "stats/order.h"

#include <math.h>
#include <stdlib.h>

typedef struct pair {
    double slope, weight;
} pair;

static int by_slope(const void *pa, const void *pb)
{
    const pair *a = pa;
    const pair *b = pb;
    return (a->slope > b->slope) - (a->slope < b->slope);
}

/* The slope at which half of the weight is reached. */
static double weighted_median(pair *pairs, size_t n, double total)
{
    qsort(pairs, n, sizeof *pairs, by_slope);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += pairs[i].weight;
        if (2 * sum > total) {
            return pairs[i].slope;
        }
        if (2 * sum == total && i + 1 < n) {
            return (pairs[i].slope + pairs[i + 1].slope) / 2;
        }
    }
    return pairs[n - 1].slope;
}

int il_rankline_fit(const double *x, const double *y, const int *group, size_t n, il_rankline *out,
                    il_error *err)
{
    *out = (il_rankline){NAN, NAN};
    if (n < 2) {
        return il_fail(err, IL_E_TOO_FEW, "a line needs two points");
    }
    if (n > IL_RANKLINE_MOST) {
        return il_fail(err, IL_E_INVALID, "more than %d points", (int)IL_RANKLINE_MOST);
    }
    pair *pairs = malloc(n * (n - 1) / 2 * sizeof *pairs + n * sizeof(double));
    if (!pairs) {
        return il_fail(err, IL_E_NOMEM, "no memory for the pairs of %zu points", n);
    }
    size_t n_pairs = 0;
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++) {
            double gap = x[k] - x[i];
            if (gap != 0 && (!group || group[i] == group[k])) {
                pairs[n_pairs++] = (pair){(y[k] - y[i]) / gap, fabs(gap)};
                total += fabs(gap);
            }
        }
    }
    int rc = IL_OK;
    if (n_pairs == 0) {
        rc = il_fail(err, IL_E_TOO_FEW, "a line needs two different x");
    } else {
        out->slope = weighted_median(pairs, n_pairs, total);
        double *rest = (double *)pairs;
        for (size_t i = 0; i < n; i++) {
            rest[i] = y[i] - out->slope * x[i];
        }
        out->intercept = il_quantile_select(rest, n, 0.5);
    }
    free(pairs);
    return rc;
}
