/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The plan of a study: cells = (backend entry, model, scenario), which of them cannot run and why,
 * how many calls there are and how they are numbered (docs/journal.md), and how long it may take.
 */
#ifndef IL_STUDY_PLAN_H
#define IL_STUDY_PLAN_H

#include "backend/backend.h"
#include "study/study.h"

typedef struct il_cell {
    uint32_t backend, model, scenario; /* indices into the study */
    uint32_t group;                    /* cells of one (backend, model), numbered from 0 */
    uint32_t batch, gen_tokens;
    uint32_t seq_len;                        /* tokens of one prompt, 0 = the server will tell */
    uint64_t bytes_per_step;                 /* 0 = unknown; at the middle of the decode */
    double flops_prefill, flops_decode_step; /* 0 = unknown */
    double estimate_ms;                      /* one call, a guess before anything is measured */
    il_error skip;                           /* code IL_OK, or why it cannot run */
} il_cell;

typedef const il_backend_ops *(*il_backend_lookup)(const char *kind);

/* Which blocks are planned. With a target (docs/sampling.md) every cell gets `least` of them and
 * the driver adds others, group by group; without one all are planned from the beginning. */
typedef struct il_plan_sampling {
    bool adaptive;
    const char *question; /* "cells" or "laws" */
    double target;
    uint32_t least;
    uint32_t rounds;   /* blocks planned so far for at least one group, ≥ least */
    bool *extra;       /* [block · n_groups + group] of the blocks from least on */
    char stop[24];     /* why no further block is planned, "" = not decided */
    double half_width; /* of the widest interval at the last decision, NaN = unknown */
    char widest[320];  /* whose it is */
} il_plan_sampling;

typedef struct il_plan {
    il_study *study; /* not owned */
    il_arena arena;
    il_cell *cells;
    uint32_t n_cells, n_groups;
    uint32_t blocks; /* at most; calls are numbered by it */
    uint32_t warmups, repetitions;
    uint64_t n_calls; /* numbers of calls: planned ones, skipped ones too, and possible ones */
    il_plan_sampling sampling;
    bool closure, aa, sentinel;
    const il_backend_ops **ops; /* per backend entry, NULL when there is none of its kind */
    il_backend **open;          /* likewise */
    const char **files;         /* per group: the file its runtime reads, NULL = none */
    char study_sha256[65];      /* of what is measured: names, prompts, sizes, blocks, seed */
} il_plan;

/* Opens every backend, asks it about every model it meets, and fills in the plan. Starts nothing.
 * *out is ready for il_plan_free in every case. */
int il_plan_make(il_study *study, il_backend_lookup lookup, il_plan *out, il_error *err);
void il_plan_free(il_plan *plan);
/* Makes the files that runtimes read in place of a directory (GGUF, ONNX) and asks the backends
 * about them. A file that cannot be made skips its cells, with the reason; IL_E_NO_SPACE and
 * IL_E_INTERRUPTED stop. Without this, cells whose file is not there yet were not asked about. */
int il_plan_make_files(il_plan *plan, const il_make_options *options, il_error *err);

/* Calls of a cell in one block, and the number of call i of it. */
/* Calls of an A/A arm, its warm-ups among them: at least one. */
uint32_t il_plan_arm_calls(const il_plan *plan);
uint32_t il_plan_calls_per_block(const il_plan *plan);
uint64_t il_plan_call_idx(const il_plan *plan, uint32_t cell, uint32_t block, uint32_t i);
/* True when the cell's calls in this block are planned. */
bool il_plan_has(const il_plan *plan, uint32_t cell, uint32_t block);
/* Planned calls of the run so far, skipped ones too. */
uint64_t il_plan_planned_calls(const il_plan *plan);
/* "process", "none" or "call": what a block renews for this backend entry. */
const char *il_plan_replication(const il_plan *plan, uint32_t backend);
/* True when the entry's process lives on between blocks. */
bool il_plan_keeps_process(const il_plan *plan, uint32_t backend);
/* What the sizes of a load must hold over the cells of a group. */
void il_plan_group_model(const il_plan *plan, uint32_t group, il_backend_model *out);
/* The body of the journal's plan line. NULL when memory is out. */
json_t *il_plan_json(const il_plan *plan, const char *run_id);
/* What the plan line says of a run with a target: question, extensions, why it ended. */
json_t *il_plan_sampling_json(const il_plan *plan);
/* Bytes of the group's weights in the backend's dtype and of its largest KV cache; 0 = unknown. */
uint64_t il_plan_group_bytes(const il_plan *plan, uint32_t group);
/* Wall time of one block of everything by the cells' estimates, seconds. */
double il_plan_block_estimate_s(const il_plan *plan);
/* The same for the whole run as planned so far, cold starts too. */
double il_plan_estimate_s(const il_plan *plan);
/* Of all cold starts of the run; 0 without them. */
double il_plan_cold_estimate_s(const il_plan *plan);
/* What loading costs in one block: processes and servers that start, and the parity checks of the
 * first block. */
double il_plan_loads_estimate_s(const il_plan *plan);
double il_plan_parity_estimate_s(const il_plan *plan);
/* Of the A/A arms of one block, their loads among it. */
double il_plan_arms_estimate_s(const il_plan *plan);
/* Sentinel and ceilings of a block, as the estimate counts them. */
#define IL_PLAN_BLOCK_OVERHEAD_MS 900.0
/* Loading a group's model into a fresh process, by the same guess. */
double il_plan_load_estimate_ms(const il_plan *plan, uint32_t group);

#endif
