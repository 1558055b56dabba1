/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The floor of a cell: the least time physics allows it on this machine, summed over the operations
 * of its passes, each the longer of its bytes at the read bandwidth of the tier that holds what a
 * step touches and its FLOPs at the multiply-add peak of its dtype. Both ceilings are those
 * measured in the same block on as many threads (docs/limits.md).
 */
#ifndef IL_ANALYSIS_FLOOR_H
#define IL_ANALYSIS_FLOOR_H

#include "analysis/tables.h"

typedef struct il__floor {
    double floor_ms, memory_ms, compute_ms; /* memory: all bytes alone; compute: all FLOPs alone,
                                               NaN where no peak of the dtype was measured */
    double memory_bound_ms;                 /* of the floor: operations that memory bounds */
    double read_gbps, working_set_bytes; /* the tier: its bandwidth, what a decode step touches */
    size_t n_blocks;                     /* blocks with ceilings */
    bool memory_bound;                   /* at least half of the floor's time */
} il__floor;

/* Medians over blocks. False, all NaN, when the work or a ceiling is not known. prefill and
 * kv_decode count all steps of the row; e2e_kv is their sum. */
bool il__floor_of(const il__run *run, const il_cell *cell, il__floor *out);

/* What a cell does in one mode. Ready for il__work_free in every case. */
typedef struct il__work {
    struct il_op *ops; /* of one pass; NULL: only totals are known */
    size_t n_ops;
    double n_passes;          /* decode steps; 1 for a prefill */
    double bytes, flops;      /* of one pass; NaN unknown */
    double working_set_bytes; /* what one decode step touches */
    double threads;           /* of the backend; 0 or NaN: one per core it was given */
    const char *dtype;
} il__work;

/* IL_E_NOT_FOUND without detail when the plan does not say; mode "prefill" or "kv_decode". */
int il__work_of(const il__run *run, const il_cell *cell, const char *mode, il__work *out,
                il_error *err);
void il__work_free(il__work *work);
/* Against the ceilings of one block; false, all NaN, without them. */
bool il__floor_of_block(const il__run *run, const il__work *work, uint32_t block, il__floor *out);

/* The cell of the plan, NULL in a foreign run. */
const il_plan_cell *il__plan_cell_of(const il__run *run, const il_cell *cell);

#endif
