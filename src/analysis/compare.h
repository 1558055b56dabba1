/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two runs compared cell by cell, or the two sides of one interleaved run (docs/compare.md).
 * Reads artifacts alone and writes nothing into a run: what memory cannot hold goes to a scratch
 * directory that is gone afterwards.
 */
#ifndef IL_ANALYSIS_COMPARE_H
#define IL_ANALYSIS_COMPARE_H

#include "base/arena.h"
#include "stats/change.h"

#include <stdbool.h>

typedef struct il_compare_row {
    const char *backend, *model, *scenario, *mode;
    double batch_size, params; /* params only orders the rows; NaN unknown */
    size_t n_a, n_b;           /* replicates: blocks, or repetitions of a run without blocks */
    double ratio, ci_low, ci_high, p, q; /* of B over A; NaN where there is none */
    double margin;                       /* a fraction: what the verdict is held against */
    il_change verdict;
    const char *because; /* of the verdict, and what set the margin */
} il_compare_row;

typedef struct il_comparison {
    il_arena arena;
    il_compare_row *rows; /* by backend, batch size, parameters, model, scenario, mode */
    size_t n_rows;
    size_t n_only_a, n_only_b; /* cells that the other side lacks */
    const char *notes[16];     /* what a reader must know beside the rows */
    size_t n_notes;
} il_comparison;

typedef struct il_compare_options {
    double least_margin;         /* effects below it do not matter, a fraction (0.02) */
    bool force;                  /* compare runs of different machines or studies too */
    const char *const *sittings; /* runs of one setting on different occasions */
    size_t n_sittings;           /* 0: the noise between sittings was not measured */
} il_compare_options;

/* Names of the two sides of an interleaved run: backend entries NAME@a and NAME@b. */
#define IL_COMPARE_SIDE_A "@a"
#define IL_COMPARE_SIDE_B "@b"

/* Stored runs: independent replicates, Welch's test. IL_E_USAGE when the runs do not compare
 * (different machines or studies, no manifest, no common cell), with the reason. */
int il_compare_runs(const char *run_a, const char *run_b, const il_compare_options *options,
                    il_comparison *out, il_error *err);
/* One run with entries NAME@a and NAME@b: pairs of the same block. IL_E_USAGE when it has none. */
int il_compare_sides(const char *run, const il_compare_options *options, il_comparison *out,
                     il_error *err);
void il_comparison_free(il_comparison *comparison); /* also after a failure */

#endif
