/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The steps of one backend, model and batch size as the ITL law needs them: per cell (scenario) the
 * typical time of each step in each replicate.
 */
#ifndef IL_ANALYSIS_STEP_SERIES_H
#define IL_ANALYSIS_STEP_SERIES_H

#include "analysis/tables.h"
#include "stats/changepoint.h"

typedef struct il__step_series {
    const il_plan_cell *plan;
    const il_step_call *calls; /* in the order of the plan; those of no known steps among them */
    size_t n_calls;
    size_t n_steps;     /* of the longest call */
    double context;     /* tokens in the cache before the first step */
    double *medians;    /* [n_replicates][n_steps], ms; NaN where there is none */
    double *typical;    /* [n_steps]: median over replicates */
    il_changes changes; /* of typical; steps are counted in groups of `bin` */
    size_t bin;
} il__step_series;

typedef struct il__step_group {
    const il__run *run;
    il__step_series *series;
    size_t n_series;
    size_t n_replicates; /* blocks, or batches of consecutive calls of a single block */
    bool by_block;
    size_t n_calls;   /* with a stamp for every step */
    size_t n_chunked; /* with fewer stamps than steps */
} il__step_group;

/* cells: numbers of plan cells of one backend, model and batch size. At most 64 replicates: more
 * blocks are taken together in order. */
int il__step_group_make(const il__run *run, const size_t *cells, size_t n_cells,
                        il__step_group *out, il_error *err);
void il__step_group_free(il__step_group *group);

#endif
