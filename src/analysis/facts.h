/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a journal holds beside the rows of metrics.csv: models and cells of the plan, closure calls,
 * A/A arms, the sentinel.
 */
#ifndef IL_ANALYSIS_FACTS_H
#define IL_ANALYSIS_FACTS_H

#include "analysis/cold_data.h"
#include "analysis/energy_data.h"
#include "analysis/memory_data.h"
#include "analysis/vector.h"

#include "inferlaw/error.h"
#include "model/shape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_plan_model {
    char *name;     /* owned */
    char *twin_of;  /* owned; "" none */
    char arch[24];  /* "gpt2", "" unknown */
    bool has_shape; /* false also for journals that hold no shapes */
    il_shape shape;
} il_plan_model;

typedef struct il_plan_cell {
    char *backend, *model, *scenario; /* owned */
    size_t model_at;                  /* among the models of the plan; SIZE_MAX unknown */
    double seq_len, depth_tok;        /* of one sequence; NaN unknown, 0 none before it */
    bool logits_all;
    double params_total; /* of the model, NaN unknown */
    bool skipped;
    bool on_cpu;   /* its memory is the machine's */
    char dtype[8]; /* of the backend, "" unknown */
    double batch_size;
    double threads; /* of the backend; 0 or NaN: one per core it was given */
    int64_t gen_tokens;
    double bytes_per_step, flops_prefill, flops_decode_step; /* NaN unknown */
} il_plan_cell;

/* What an entry of the study's backends is made of, by its key in the plan. */
/* clang-format off */
#define IL_ASPECT_MAP(X)                                                                           \
    X(kind) X(server) X(endpoint) X(device) X(dtype) X(weights) X(launch) X(compile_mode)          \
    X(attention) X(kv_cache) X(provider) X(isa) X(logits) X(compat) X(affinity) X(threads)         \
    X(concurrency) X(batch_size)
/* clang-format on */

typedef enum il_aspect {
#define IL_ASPECT_ENUM(name) IL_ASPECT_##name,
    IL_ASPECT_MAP(IL_ASPECT_ENUM)
#undef IL_ASPECT_ENUM
        IL_ASPECT_COUNT
} il_aspect;

typedef struct il_plan_backend {
    char *name;                    /* owned, as the texts */
    char *aspect[IL_ASPECT_COUNT]; /* NULL: the plan does not say */
    double batch_size;
    bool reference; /* our own engine */
} il_plan_backend;

typedef struct il_closure {
    uint32_t cell, block;
    double ms;
} il_closure;

typedef struct il_aa {
    uint32_t cell, block, pair;
    bool arm_b;
    double prefill_ms, decode_ms, e2e_ms; /* medians of the arm's calls */
} il_aa;

typedef struct il_sentinel {
    uint32_t block;
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

/* What the parity gate found of a backend and model: the last line of each. */
typedef struct il_parity_line {
    char *backend, *model, *because; /* owned; because "" when there is nothing to say */
    double probe_tokens, steps, top1_checked, max_rel_error, median_rel_error,
        rms_rel_error;                             /* NaN: not compared */
    double tolerance, noise_error, factor, layers; /* NaN likewise */
    int top1_match; /* 1, 0; −1: no token was decided by the reference's margin */
    char judged_by[8], compared[16], reference[16], reference_isa[16], noise[8], verdict[16];
} il_parity_line;

/* One prompt sent twice to a server, between two new ones; NaN where not known. */
typedef struct il_cache_probe {
    uint32_t cell, block;
    bool ok;
    double fresh_ms[2], repeat_ms, repeat_cached_tok;
} il_cache_probe;

/* Times of ok measured calls and the worker's memory after them (NaN unknown), by cell, then block.
 */
typedef struct il_block_call {
    uint32_t cell, block;
    double prefill_ms, e2e_ms, rss_bytes;
} il_block_call;

/* How the blocks of the run were planned, from its last plan line. */
typedef struct il_run_sampling {
    bool known;        /* there is a plan */
    bool adaptive;     /* it has a target */
    char question[16]; /* "" without a target */
    char stop[24];     /* "" = the run did not come to an end */
    double target;
    int64_t blocks_least, blocks_most, repetitions, warmups;
    size_t extensions;    /* blocks planned beyond the least */
    uint64_t calls_made;  /* calls with a line, skipped ones aside */
    uint64_t calls_fixed; /* of all blocks for every cell that is not skipped */
} il_run_sampling;

/* The steps of one ok measured call: its times stand at `first` in step_ms. A server that sends
 * several tokens at once has fewer stamps than steps: n is 0 then. */
typedef struct il_step_call {
    uint64_t first, call_idx;
    uint32_t cell, block;
    uint32_t n, n_stamps;
    double context_tok; /* in the cache of one sequence before its first step; NaN unknown */
} il_step_call;

/* One generation of a server's proof of its counters: tokens it counted, the counter, and the
 * client's time over some of the same steps. */
typedef struct il_counter_point {
    char backend[64], model[192], counter[24];
    double n_tok, counter_ms, client_steps, client_ms;
} il_counter_point;

/* What the study wants kept; NaN where it does not say. */
typedef struct il_slo {
    double itl_ms, ttft_ms, tail_ms, tail_quantile, memory_bytes;
} il_slo;

typedef struct il_run_facts {
    il_slo slo;
    bool rank_reference; /* the reference engine stands in the contest */
    il_plan_model *models;
    size_t n_models;
    il_plan_backend *backends; /* in the order of the study */
    size_t n_backends;
    il_plan_cell *cells;
    size_t n_cells;
    il_closure *closures;
    size_t n_closures;
    il_vector closure_memory;
    il_aa *aas;
    size_t n_aas;
    il_vector aa_memory;
    il_sentinel *sentinels;
    size_t n_sentinels;
    il_ceiling *ceilings;
    size_t n_ceilings;
    il_parity_line *parity; /* in the order of the journal */
    size_t n_parity;
    il_cache_probe *probes; /* in the order of the journal */
    size_t n_probes;
    il_counter_point *counters; /* in the order of the journal */
    size_t n_counters;
    il_block_call *calls; /* sorted by cell, then block */
    size_t n_calls;
    il_run_sampling sampling;
    il_vector step_ms;    /* double; element_bytes is 0 while there is none */
    il_vector step_calls; /* il_step_call, in the order of the plan */
    il_vector call_memory;
    il_cold_start *colds; /* staged cold starts, sorted (il__cold_sort) */
    size_t n_colds;
    il_vector cold_memory;
    il_memory_rung *rungs; /* of the memory ladder, sorted (il__memory_sort) */
    size_t n_rungs;
    il_vector rung_memory;
    il_energy_sample *energies; /* sorted (il__energy_sort) */
    size_t n_energies;
    il_vector energy_memory;
    char energy_unreadable[512]; /* why no meter could be read; "" not asked, or they could */
    double keep_alive_s;         /* how long an idle model stays loaded; NaN not said */
} il_run_facts;

void il_run_facts_free(il_run_facts *facts);

#endif
