/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Points of two curves, block by block, for crossings: what the tables put together for
 * il_crossing_find.
 */
#ifndef IL_ANALYSIS_GAP_DATA_H
#define IL_ANALYSIS_GAP_DATA_H

#include "analysis/replicates.h"
#include "stats/crossing.h"

/* More replicates than this are averaged in consecutive groups: it bounds the work and takes the
 * correlation of neighbours into the groups. */
enum { IL__GAP_MOST_BLOCKS = 256 };

typedef struct il__gap_value {
    double id, d;
} il__gap_value;

typedef struct il__gap_point {
    double x; /* not a log yet */
    il__gap_value *values;
    size_t n;
} il__gap_point;

typedef struct il__gap {
    il__gap_point *points;
    size_t n, cap;
} il__gap;

/* ln of each replicate's latency of a cell, by id, in *out, which the caller frees. n is 0 when the
 * cell has none. */
int il__gap_logs(const il__run *run, const il_cell *cell, il__gap_value **out, size_t *n,
                 il_error *err);
/* a[i].d += weight · b[i].d for the ids both have, the others dropped; returns how many are left.
 */
size_t il__gap_join(il__gap_value *a, size_t n_a, const il__gap_value *b, size_t n_b,
                    double weight);
/* Takes values over, also on failure. A point without values, or at an x that is not positive or
 * already there, is dropped. */
int il__gap_add(il__gap *gap, double x, il__gap_value *values, size_t n, il_error *err);
/* Sorts, takes logs of x and looks for the crossing. IL_E_TOO_FEW: fewer than two points. */
int il__gap_cross(il__gap *gap, size_t n_resamples, il_stream *stream, il_crossing *out,
                  il_error *err);
void il__gap_free(il__gap *gap);

#endif
