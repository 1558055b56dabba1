/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Change-points of a series of times: where its level shifts for good.
 *
 * PELT (Killick, Fearnhead & Eckley 2012) with the Gaussian cost of a shift in mean, on a series
 * prepared so that spikes are not levels and drift is not a staircase:
 *  - values further than 3 robust standard deviations from the median of their 7 neighbours are
 *    replaced by that median (Hampel 1974's identifier); a shift that lasts passes;
 *  - the scale is the MAD of first differences, and the correlation of neighbours is read off
 *    those differences too (for AR(1), corr(Δᵢ, Δᵢ₋₁) = (ρ − 1)/2), neither of which a few
 *    shifts disturb; the penalty is in units of the long-run variance σ²(1 + ρ)/(1 − ρ);
 *  - penalty 3·ln n (Zhang & Siegmund 2007, modified BIC) + 8 for the estimated scale: about 5 % or
 *    fewer of flat series of 8 to 256 values show a change (tests/stats/test_changepoint.c);
 *  - segments hold two values at least.
 * A change smaller than least_change is joined with its neighbour: found is not yet relevant.
 *
 * Outliers are listed apart, by the modified z score |v − median of its segment| / MAD > 14.8
 * (after Iglewicz & Hoaglin 1993, with the threshold of hyperfine). They are never dropped.
 */
#ifndef IL_STATS_CHANGEPOINT_H
#define IL_STATS_CHANGEPOINT_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { IL_CHANGEPOINT_LEAST = 8 }; /* values a series needs */
#define IL_OUTLIER_Z 14.8

typedef struct il_changes {
    size_t n;      /* segments less one */
    size_t *at;    /* [n]: first value of each later segment */
    double *level; /* [n + 1]: median of each segment */
    void *memory;
} il_changes;

/* values on a scale where changes add up (logs of times); least_change on the same scale, > 0.
 * Fewer than IL_CHANGEPOINT_LEAST values: IL_E_TOO_FEW. The caller frees with il_changes_free.
 * Time is O(n²) where nothing changes: hand in at most some thousand values. */
int il_changes_find(const double *values, size_t n, double least_change, il_changes *out,
                    il_error *err);
void il_changes_free(il_changes *changes);
/* Takes back one change, 0 ≤ which < changes->n: its two segments become one. values and n as in
 * il_changes_find. NOMEM. */
int il_changes_drop(il_changes *changes, const double *values, size_t n, size_t which,
                    il_error *err);

/* Modified z score of a value; the MAD is no less than floor. */
double il_modified_z(double value, double median, double mad, double floor);
/* Median absolute deviation from the median, not scaled. Rearranges; NaN when n is 0. */
double il_mad(double *values, size_t n, double *median);

typedef enum il_steadiness {
    IL_STEADY_TOO_FEW,
    IL_STEADY_FLAT,
    IL_STEADY_WARMUP,   /* the last level is the lowest or close to it */
    IL_STEADY_SLOWDOWN, /* an earlier level was lower */
    IL_STEADY_NEVER,    /* it still changed in the last quarter */
} il_steadiness;

extern const char *const il_steadiness_names[]; /* by il_steadiness */

/* What a series of logs of times did (after Barrett et al. 2017, section 4.2: flat, warmup,
 * slowdown, no steady state). change_at is the first value of the last level, 0 when flat. Series
 * longer than 512 are first reduced to medians of equal groups. */
int il_steadiness_of(const double *logs, size_t n, double least_change, il_steadiness *kind,
                     size_t *change_at, il_error *err);

#endif
