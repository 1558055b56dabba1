/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whether the measured calls of a cell had settled: a change-point test on their times in the order
 * they ran. It warns; no label of any row is changed by it.
 */
#ifndef IL_ANALYSIS_STEADY_H
#define IL_ANALYSIS_STEADY_H

#include "inferlaw/error.h"
#include "stats/changepoint.h"

#include <stdbool.h>
#include <stddef.h>

/* A level that differs by less is the same level; ln. */
#define IL__STEADY_LEAST_CHANGE 0.02

typedef struct il__steady_call {
    double ms;    /* NaN: not measured */
    double block; /* NaN: the run has no blocks */
} il__steady_call;

typedef struct il__steady {
    il_steadiness kind;
    size_t n_calls;   /* that have a time */
    size_t change_at; /* the first of them at the last level, from 0; 0 when nothing changes */
    /* The calls of one process begin slower than they go on. NULL: it cannot be told, as with one
     * measured call in every process. */
    const bool *warmup_too_short;
} il__steady;

/* calls in the order they ran. In a run of several blocks the processes begin anew, so whether a
 * warm-up was too short is asked within blocks: the first measured call of each against its last,
 * t interval of the log ratio over blocks (5 at least), more than 2 %. In a single block it is the
 * series itself that says so. work holds n numbers. */
int il__steady_of(const il__steady_call *calls, size_t n, double *work, il__steady *out,
                  il_error *err);

/* Whether the call at a place among those that have a time ran at the settled level: 1 or 0, NaN
 * when it is not known. */
double il__steady_at(const il__steady *steady, size_t place);

#endif
