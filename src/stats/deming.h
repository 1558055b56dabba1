/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Deming's regression: a straight line where x is measured too. Least squares would pull the slope
 * towards 0 by the share of noise in x.
 */
#ifndef IL_STATS_DEMING_H
#define IL_STATS_DEMING_H

#include "stats/order.h"

typedef struct il_deming {
    il_interval slope, intercept; /* jackknife t interval on n − 2 degrees of freedom */
    double slope_se, intercept_se;
    size_t n;
} il_deming;

/* variance_ratio δ = variance of the error of y / variance of the error of x, > 0; both constant.
 * slope = [syy − δ·sxx + √((syy − δ·sxx)² + 4δ·sxy²)] / (2·sxy) (Deming 1943; Fuller 1987, eq.
 * 1.3.7). Intervals: jackknife pseudo-values (Linnet 1993, Clin. Chem. 39:424), with t on n − 2.
 * n ≥ 3 and different x, else IL_E_TOO_FEW (n = 2: the line, NaN ends, IL_OK). IL_E_INVALID: δ is
 * not positive and finite, or sxy = 0 with syy ≥ δ·sxx, where every slope is as good or the line
 * stands upright. */
int il_deming_fit(const double *x, const double *y, size_t n, double variance_ratio, il_deming *out,
                  il_error *err);

#endif
