/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Methods on ranks: Spearman's correlation and the Theil–Sen line.
 */
#ifndef IL_STATS_RANK_H
#define IL_STATS_RANK_H

#include "inferlaw/error.h"

#include <stddef.h>

/* Average ranks, one-based, ties sharing their mean rank. out is n long. */
int il_ranks(const double *values, size_t n, double *out, il_error *err);

typedef struct il_spearman {
    double rho; /* NaN when x or y is constant */
    double p;   /* two-sided, t = ρ√((n−2)/(1−ρ²)) with n − 2 degrees; NaN when n < 3 */
} il_spearman;

/* Pearson's correlation of the average ranks. n ≥ 2, else IL_E_TOO_FEW. */
int il_spearman_fit(const double *x, const double *y, size_t n, il_spearman *out, il_error *err);

typedef struct il_theil_sen {
    double slope, intercept;      /* median(y) − slope·median(x) */
    double slope_low, slope_high; /* 95 % */
    size_t n_slopes;
} il_theil_sen;

/* Median of the pairwise slopes of pairs with different x. The interval are the sorted slopes at
 * zero-based ranks max(round((N + zσ)/2) − 1, 0) and min(round((N − zσ)/2), N − 1) with
 * z = Φ⁻¹(0.025), σ² = (n(n−1)(2n+5) − Σ over ties in x and in y of k(k−1)(2k+5)) / 18 (Sen 1968,
 * eq. 2.6), halves rounded to even. IL_E_TOO_FEW when all x are the same or n < 2. */
int il_theil_sen_fit(const double *x, const double *y, size_t n, il_theil_sen *out, il_error *err);

#endif
