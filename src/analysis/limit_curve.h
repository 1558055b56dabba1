/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where a quantity that grows with the size of a model first exceeds a threshold. Between measured
 * models it is interpolated on logarithms; beyond the largest and below the smallest it follows the
 * least-squares slope over all of them for one octave, and nobody guesses farther.
 */
#ifndef IL_ANALYSIS_LIMIT_CURVE_H
#define IL_ANALYSIS_LIMIT_CURVE_H

#include "analysis/block_table.h"
#include "stats/order.h"

/* Natural logarithms; x ascending, equal x together. */
typedef struct il__curve {
    const double *x, *y;
    size_t n;
} il__curve;

typedef struct il__crossing {
    double at;         /* ln size: −INFINITY below all sizes within reach, INFINITY above */
    bool extrapolated; /* outside the measured sizes */
    bool back;         /* a larger model is within the threshold again */
} il__crossing;

/* Models of one size count as their mean. n ≥ 1. */
il__crossing il__first_crossing(const il__curve *curve, double threshold);

/* 95 % interval of that over resampled blocks, x ascending by series; ends are ±INFINITY where the
 * crossing is out of reach in more than one resample of 40. IL_E_TOO_FEW below six blocks. */
int il__crossing_interval(const il__block_table *table, const double *x, double threshold,
                          size_t n_resamples, il_stream *stream, il_interval *out, il_error *err);

#endif
