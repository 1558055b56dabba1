/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Means, quantiles and their intervals. Input is never changed; values must be finite (callers drop
 * what was not measured). The unit of the result is that of the values.
 */
#ifndef IL_STATS_ORDER_H
#define IL_STATS_ORDER_H

#include "inferlaw/error.h"

#include <stddef.h>

/* An interval that was not computed has NaN ends. */
typedef struct il_interval {
    double estimate, low, high;
} il_interval;

/* Sorts ascending in place. */
void il_sort(double *values, size_t n);
/* As qsort, in bounded memory whatever the number: qsort merges through a copy. `order` must tell
 * any two elements apart whose order matters, as equal ones come in any order. */
void il_sort_records(void *records, size_t n, size_t record_bytes,
                     int (*order)(const void *, const void *));

/* Of every run of sorted records for which same is 0, the last; the others go, order stays. Returns
 * how many are left. */
size_t il_keep_last(void *records, size_t n, size_t record_bytes,
                    int (*same)(const void *, const void *));

/* NaN when n is 0. */
double il_mean(const double *values, size_t n);
/* exp(mean(ln v)) over the values > 0; NaN when there is none. */
double il_geomean(const double *values, size_t n);
/* Sample standard deviation (n − 1); NaN when n < 2. */
double il_sd(const double *values, size_t n);

/* Quantile of sorted values by linear interpolation between order statistics: h = (n − 1)q
 * (Hyndman & Fan 1996, type 7). 0 ≤ q ≤ 1; NaN when n is 0. */
double il_quantile_sorted(const double *sorted, size_t n, double q);
/* As above for values in any order, which it rearranges; linear time. */
double il_quantile_select(double *values, size_t n, double q);
/* As above for values in any order; copies. NaN also when memory is out. */
double il_quantile(const double *values, size_t n, double q);
double il_median(const double *values, size_t n);

/* Exact, distribution-free interval of the q quantile at the given confidence (0.95): one-based
 * ranks l, u of order statistics with P(B ≤ l − 1) ≤ α/2 and P(B ≤ u − 1) ≥ 1 − α/2 for
 * B ~ Binomial(n, q), the tightest such (Hahn & Meeker 1991, section 5.2). Median at 95 %: n = 6 →
 * (1, 6), 10 → (2, 9), 20 → (6, 15), 30 → (10, 21).
 * IL_E_TOO_FEW when no such ranks exist; *n_needed (may be NULL) then and always holds the least n
 * for which they do. Both ranks are set to 0 then. */
int il_order_ranks(size_t n, double q, double confidence, size_t *low, size_t *high,
                   size_t *n_needed);
/* The quantile (type 7) with that interval. Too few: IL_E_TOO_FEW, the estimate set, ends NaN. */
int il_quantile_interval(const double *values, size_t n, double q, double confidence,
                         il_interval *out, size_t *n_needed, il_error *err);

/* As above for values sorted ascending, without a copy. */
int il_quantile_interval_sorted(const double *sorted, size_t n, double q, double confidence,
                                il_interval *out, size_t *n_needed, il_error *err);

/* ln of each value; one that is not positive and finite is IL_E_INVALID. */
int il_log_values(const double *values, size_t n, double *out, il_error *err);

/* Student's t interval of the mean, n ≥ 2 (IL_E_TOO_FEW otherwise, estimate set when n is 1). */
int il_mean_interval(const double *values, size_t n, double confidence, il_interval *out,
                     il_error *err);
/* The same on ln v, taken back: a geometric mean with an interval that is symmetric as a ratio.
 * Every value > 0 and finite, else IL_E_INVALID. */
int il_log_mean_interval(const double *values, size_t n, double confidence, il_interval *out,
                         il_error *err);

#endif
