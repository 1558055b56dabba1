/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The blocks of a run by their sentinel: how far each is from the run's median and whether the
 * drift gate of the manifest sets it apart. Rows of such a block stay in every fit.
 */
#ifndef IL_ANALYSIS_BLOCKS_H
#define IL_ANALYSIS_BLOCKS_H

#include "analysis/tables.h"

typedef struct il__block {
    const il_sentinel *sentinel; /* of the run's facts */
    double drift_percent;        /* of √(gemm · read) against its median over blocks */
    bool flagged;
} il__block;

typedef struct il__blocks {
    il__block *items; /* in the order of the journal */
    size_t n;
    double gate_percent, gemm_ms, read_ms; /* the gate; medians of the run */
} il__blocks;

/* Empty for a run without sentinels. */
int il__blocks_build(const il__run *run, il__blocks *out, il_error *err);
void il__blocks_free(il__blocks *blocks);

#endif
