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

enum { IL_SPEARMAN_EXACT_MOST = 10 };

/* Exact two-sided p of il_spearman_fit's ρ: the share of all n! orders of y whose |ρ| is at least
 * that of the data, ties kept (Kendall & Gibbons 1990, section 4). 3 ≤ n ≤ IL_SPEARMAN_EXACT_MOST,
 * else IL_E_TOO_FEW or IL_E_RANGE. NaN when x or y is constant. The least it can be is 2/n!: four
 * points never show anything at 5 %. */
int il_spearman_exact_p(const double *x, const double *y, size_t n, double *p, il_error *err);

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
