/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a journal holds beside the rows of metrics.csv: closure calls, A/A arms, the sentinel.
 */
#ifndef IL_ANALYSIS_FACTS_H
#define IL_ANALYSIS_FACTS_H

#include "analysis/vector.h"

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_plan_cell {
    char *backend, *model, *scenario; /* owned */
    char dtype[8];                    /* of the backend, "" unknown */
    double batch_size;
    double threads; /* of the backend; 0 or NaN: one per core it was given */
    int64_t gen_tokens;
    double depth_tok;                                        /* in the cache before the prompt */
    double bytes_per_step, flops_prefill, flops_decode_step; /* NaN unknown */
} il_plan_cell;

typedef struct il_closure {
    uint32_t cell, block;
    double ms;
} il_closure;

typedef struct il_aa {
    uint32_t cell, block, pair;
    bool arm_b;
    double prefill_ms, e2e_ms;
} il_aa;

typedef struct il_sentinel {
    double at_unix, gemm_ms, read_ms;
} il_sentinel;

typedef struct il_ceiling {
    uint32_t block;
    bool is_read;             /* GB/s of a read of working_set_bytes; else GFLOP/s of dtype */
    double working_set_bytes; /* NaN for a multiply-add peak */
    double threads;
    char dtype[8];
    double median;
} il_ceiling;

/* Block-wise end-to-end times of ok measured calls, for the closure ratio. */
typedef struct il_block_call {
    uint32_t cell, block;
    double e2e_ms;
} il_block_call;

/* The steps of one ok measured call: its times stand at `first` in step_ms. A server that sends
 * several tokens at once has fewer stamps than steps: n is 0 then. */
typedef struct il_step_call {
    uint64_t first, call_idx;
    uint32_t cell, block;
    uint32_t n, n_stamps;
    double context_tok; /* in the cache of one sequence before its first step; NaN unknown */
} il_step_call;

typedef struct il_run_facts {
    il_plan_cell *cells;
    size_t n_cells;
    il_closure *closures;
    size_t n_closures;
    il_aa *aas;
    size_t n_aas;
    il_sentinel *sentinels;
    size_t n_sentinels;
    il_ceiling *ceilings;
    size_t n_ceilings;
    il_block_call *calls;
    size_t n_calls;
    il_vector step_ms;    /* double; element_bytes is 0 while there is none */
    il_vector step_calls; /* il_step_call, in the order of the plan */
} il_run_facts;

void il_run_facts_free(il_run_facts *facts);

#endif
