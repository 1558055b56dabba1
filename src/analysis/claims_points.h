/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One point a model for the claims that are fits: sizes and log latency over the scenarios, with
 * and without one block.
 */
#ifndef IL_ANALYSIS_CLAIMS_POINTS_H
#define IL_ANALYSIS_CLAIMS_POINTS_H

#include "analysis/claims_internal.h"

/* Backend and batch size of a fit; the rows of the claim may hold several. */
typedef struct il__claim_key {
    il_text_id backend;
    double batch_size;
} il__claim_key;

typedef struct il__point {
    const il_cell *cell; /* any of the model's */
    size_t group;
    double x[IL_CLAIM_X_COUNT];
    double y; /* mean over scenarios of the log of the median, ms */
} il__point;

typedef struct il__points {
    il__point *items; /* by model as met; every one ran every scenario of the key */
    size_t n, n_left_out;
    size_t n_blocks; /* the least of a cell */
    double *ids;     /* of the blocks of the first cell */
    size_t n_ids;
    double *scratch;      /* holds the replicates of one cell */
    il_scratch memory[2]; /* of ids and scratch */
} il__points;

/* The key of rows->items[i], for each i that begins one: false when an earlier one has it. */
bool il__claim_key_new(const il__claim_rows *rows, size_t i, il__claim_key *out);
int il__points_build(const il__run *run, const il__claim_rows *rows, il__claim_key key,
                     il__points *out, il_error *err);
void il__points_free(il__points *points);
/* The y of a point without one block; NaN when nothing is left. */
double il__point_without(const il__claim_rows *rows, il__claim_key key, const il__points *points,
                         const il__point *point, double block);

#endif
