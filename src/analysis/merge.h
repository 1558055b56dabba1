/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Cells put together under a shorter key, for tables whose key leaves out part of a cell's.
 */
#ifndef IL_ANALYSIS_MERGE_H
#define IL_ANALYSIS_MERGE_H

#include "analysis/tables.h"

enum {
    IL__KEY_BACKEND = 1,
    IL__KEY_KIND = 2,
    IL__KEY_MODEL = 4,
    IL__KEY_SCENARIO = 8,
    IL__KEY_MODE = 16,
};

typedef struct il__merged {
    size_t first, n; /* into il__merge.cells */
    double params;   /* the least of its cells; NaN unknown */
} il__merged;

typedef struct il__merge {
    const il__run *run;
    il__merged *items; /* sorted by backend, mode, scenario, parameters, model */
    size_t n;
    size_t *cells;
    double *scratch; /* as long as the largest group has rows, as is positions */
    size_t *positions;
    size_t most; /* rows of the largest group */
    il_scratch memory[2];
} il__merge;

typedef enum il__side { IL__MEASURED, IL__WARMUP } il__side;

/* Groups by the keys in the mask the cells for which keep is true (NULL: all). Cells of both sides
 * count, so a group may have none of one. */
int il__merge_build(const il__run *run, unsigned mask,
                    bool (*keep)(const il__run *, const il_cell *), il__merge *out, il_error *err);
void il__merge_free(il__merge *merge);
const il_cell *il__merge_cell(const il__merge *merge, const il__merged *item); /* its first cell */
/* Positions of the rows of one side, in merge->positions; returns how many. */
size_t il__merge_rows(il__merge *merge, const il__merged *item, il__side side);
/* The measured values of a quantity over those positions, in merge->scratch; returns how many. */
size_t il__merge_values(il__merge *merge, size_t n_rows, il_quantity quantity);
/* Median of the same; NaN when there is none. */
double il__merge_median(il__merge *merge, size_t n_rows, il_quantity quantity);

#endif
