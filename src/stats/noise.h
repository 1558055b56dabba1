/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a run can tell apart: the A/A ratio with its interval, the smallest effect that may get a
 * verdict, and drift over time.
 */
#ifndef IL_STATS_NOISE_H
#define IL_STATS_NOISE_H

#include "stats/order.h"

typedef struct il_ratio {
    il_interval ratio; /* exp of the mean log ratio and of its t interval */
    double half_width; /* of that interval, as a fraction: (high − low) / 2 */
    double mde;        /* smallest effect with a verdict: twice the half-width, a fraction */
    size_t n;
} il_ratio;

/* a[i] and b[i] are the same block's values of two arms, all > 0 (IL_E_INVALID); the ratio is b/a.
 * t interval of the mean log ratio. n ≥ 2 (IL_E_TOO_FEW). */
int il_ratio_paired(const double *a, const double *b, size_t n, double confidence, il_ratio *out,
                    il_error *err);
/* As above from the ratios themselves. */
int il_ratio_of(const double *ratios, size_t n, double confidence, il_ratio *out, il_error *err);

/* Drift of positive values over time by Theil–Sen on ln v: percent per unit of time, with Sen's
 * 95 % interval. The rate is not compounded: minutes of data say nothing of an hour's growth. */
int il_drift_percent(const double *time, const double *values, size_t n, il_interval *out,
                     il_error *err);

#endif
