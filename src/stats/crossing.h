/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where two measured curves cross, with an interval from blocks.
 *
 * The curves are given by their difference d = ln y_a − ln y_b at points of x (logs), each measured
 * in blocks in which both arms ran: what disturbs a block disturbs both and cancels. Between
 * neighbouring points the difference is a straight line, so the crossing is that of curves
 * interpolated in log-log. Nothing is extrapolated: beyond the first and the last point there is
 * "below" and "above".
 *
 * Resampling: the blocks of each point are drawn with replacement and their mean deviation is
 * stretched by √(n/(n − 1)), and ends are read at Φ(±t) instead of Φ(±z) (Hesterberg 2015, section
 * 3.2), because percentiles of few blocks are too narrow.
 */
#ifndef IL_STATS_CROSSING_H
#define IL_STATS_CROSSING_H

#include "stats/stream.h"

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct il_curve_gap {
    size_t n_points;
    const double *x;     /* ascending, different */
    const double *d;     /* values of point i: d[first[i]] … d[first[i + 1] − 1], one a block */
    const size_t *first; /* [n_points + 1], at least one value each */
} il_curve_gap;

typedef struct il_crossing {
    double estimate;          /* median of the resamples that cross inside; NaN when none does */
    double low, high;         /* 95 %; NaN on a side where the interval leaves the range */
    double one_low, one_high; /* one-sided 95 % bounds; NaN where there is none */
    double p_inside;          /* share of resamples with a crossing between first and last point */
    double p_all_below, p_all_above; /* share with d < 0, d > 0 at every point */
    int direction;      /* +1: d goes from below 0 to above; −1: the other way; 0: neither */
    size_t n_crossings; /* of the mean curve; more than one: the middle one counts */
    size_t n_blocks;    /* the least over points */
} il_crossing;

/* Two points at least, else IL_E_TOO_FEW. A curve measured in one block has no interval: p_inside
 * is then 0 or 1 and the ends are NaN. */
int il_crossing_find(const il_curve_gap *gap, size_t n_resamples, il_stream *stream,
                     il_crossing *out, il_error *err);

#endif
