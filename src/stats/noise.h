/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a run can tell apart: the A/A ratio with its interval, the smallest effect that may get a
 * verdict, and drift over time.
 */
#ifndef IL_STATS_NOISE_H
#define IL_STATS_NOISE_H

#include "stats/order.h"

#include <stdbool.h>

typedef struct il_ratio {
    il_interval ratio; /* exp of the mean log ratio and of its t interval */
    double half_width; /* of that interval, as a fraction: (high − low) / 2 */
    double mde;        /* smallest effect with a verdict: il_mde_factor × half-width, a fraction */
    size_t n;
} il_ratio;

/* How many half-widths of an interval at `confidence` from n blocks an effect must exceed for a
 * verdict that errs in at most 1 in 1000: the greater of 2 and t(0.9996, n − 1)/t(1 − α/2, n − 1).
 * Twice the half-width alone errs in 0.36 % at n = 6 and 0.14 % at n = 10, because the half-width
 * is itself an estimate and the tails of t are heavy. The rule errs in 0.08 % of runs with normal
 * noise; the rest of the 0.1 % is left to noise that is not. NaN when n < 2. */
double il_mde_factor(size_t n, double confidence);
/* Whether the effect gets a verdict: the interval leaves out 1 and |ln ratio| exceeds
 * il_mde_factor half-widths of the interval on the log scale, where it is symmetric. */
bool il_ratio_is_effect(const il_ratio *ratio, double confidence);

/* a[i] and b[i] are the same block's values of two arms, all > 0 and finite (IL_E_INVALID); the
 * ratio is b/a. t interval of the mean log ratio. n ≥ 2 (IL_E_TOO_FEW). */
int il_ratio_paired(const double *a, const double *b, size_t n, double confidence, il_ratio *out,
                    il_error *err);
/* As above from the ratios themselves. */
int il_ratio_of(const double *ratios, size_t n, double confidence, il_ratio *out, il_error *err);

/* Drift of positive values over time by Theil–Sen on ln v: percent per unit of time. The rate is
 * not compounded: minutes of data say nothing of an hour's growth. The 95 % interval is that of
 * il_trend_interval_series about the Theil–Sen slope: the machine's state lasts from block to
 * block, and Sen's own interval then sees a drift where there is none in 1 of 5 runs. n < 5 has NaN
 * ends. IL_E_TOO_FEW: n < 2 or all times the same. */
int il_drift_percent(const double *time, const double *values, size_t n, il_interval *out,
                     il_error *err);

#endif
