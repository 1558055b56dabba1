/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A robust straight line for any design: the median of the slopes of all pairs, each weighted with
 * the distance of its two x. That is the minimiser of Jaeckel's dispersion with Wilcoxon scores
 * (Jaeckel 1972; Sievers 1978): 95.5 % as efficient as least squares under normal noise wherever
 * the x lie, where the unweighted Theil–Sen line loses when many x are close together.
 */
#ifndef IL_STATS_RANKLINE_H
#define IL_STATS_RANKLINE_H

#include "inferlaw/error.h"

#include <stddef.h>

enum { IL_RANKLINE_MOST = 1024 };

typedef struct il_rankline {
    double slope;
    double intercept; /* median of y − slope·x */
} il_rankline;

/* 2 ≤ n ≤ IL_RANKLINE_MOST points, two different x, else IL_E_TOO_FEW or IL_E_INVALID. group (NULL:
 * one for all) keeps pairs to points of the same group: a common slope over levels that differ. */
int il_rankline_fit(const double *x, const double *y, const int *group, size_t n, il_rankline *out,
                    il_error *err);

#endif
