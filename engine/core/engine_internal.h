/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of engine/core share about models and sessions.
 */
#ifndef IL_ENGINE_CORE_ENGINE_INTERNAL_H
#define IL_ENGINE_CORE_ENGINE_INTERNAL_H

#include "base/arena.h"
#include "engine/core/graph.h"
#include "engine/core/region.h"
#include "inferlaw/engine.h"

#include <stdatomic.h>

enum {
    IL__CHUNK_ROWS = 512, /* rows that pass through the layers together: bounds the scratch */
    IL__QUERY_BLOCK = 64, /* queries of one unit of attention work */
    IL__N_STAGES = 2,
};

struct il_engine_model {
    il__graph graph;
    il_arena arena; /* operations, matrices */
    il__region weights;
    il_pool *pool; /* every thread */
    il_pool *solo; /* one: what is too small to share */
    const il_row_kernels *rows;
    il_isa isa;
    uint64_t pass_bytes; /* of weights that one row reads */
    il_engine_pages pages;
    il_engine_stage stages[IL__N_STAGES];
    char weights_text[40];
    il_engine_facts facts;
};

/* A run of rows of one sequence within the chunk. */
typedef struct il__segment {
    uint32_t sequence, row0, n_rows;
    uint32_t past;  /* position of its first row */
    uint32_t unit0; /* its first unit of attention work */
} il__segment;

/* One of the experts a row goes to. */
typedef struct il__route {
    uint32_t expert;
    float weight;
} il__route;

struct il_engine_session {
    il_engine_model *model;
    il_engine_session_options options;
    il__region region;
    uint32_t chunk_rows;
    uint32_t max_logits_rows;

    float *slots[IL__SLOT_COUNT];
    size_t stride[IL__SLOT_COUNT]; /* floats from row to row */
    unsigned char *keys, *values;  /* [layer][sequence][kv head][max_context][d_head] */
    size_t layer_bytes, sequence_bytes, head_bytes;
    float *cos_t, *sin_t;             /* [max_context][rope_dims / 2] */
    float *local_cos_t, *local_sin_t; /* of sliding layers; NULL: as the others */
    void *linear_scratch;
    unsigned char *attention_scratch;
    size_t attention_scratch_stride; /* bytes from worker to worker */
    il_attention attention;

    il__segment *segments;                 /* of the current chunk */
    uint32_t *row_sequence, *row_position; /* of its rows */
    uint32_t *selected;                    /* rows whose logits are wanted */
    il__route *routes;                     /* [row][n_expert_used] of the chunk */
    uint32_t *routed;                      /* indices of routes, expert after expert */
    uint32_t *first_routed;                /* [n_expert + 1]: each expert's first of `routed` */
    uint32_t *n_past;                      /* positions in each sequence's cache */
    uint32_t *last_row;                    /* each sequence's last row of logits */
    uint32_t *ones;                        /* lengths of a decode */
    uint32_t batch;                        /* of the last prefill; 0 before one */
    uint32_t n_logits_rows;
};

/* Runs the operation list over the rows of `lengths`, `batch` sequences of ids, and stores logits
 * at the last row of each or at all of them. Everything has been checked. */
void il__forward(il_engine_session *session, const int32_t *ids, const uint32_t *lengths,
                 uint32_t batch, il_engine_logits_at at);

/* A walk over the operations with `m` rows. */
typedef struct il__pass {
    il_engine_session *s;
    const il__op *op;
    const int32_t *ids; /* of the chunk's first row */
    uint32_t m;         /* rows in flight */
    il_pool *pool;      /* the model's, or its pool of one */
    uint32_t n_segments;
    uint32_t logits_row; /* where the next selected row's logits go */
    /* attention */
    il_attention attention;
    uint32_t heads_per_unit, n_units;
    atomic_uint next_unit;
} il__pass;

static inline float *il__slot_row(const il_engine_session *s, il__slot slot, uint32_t row)
{
    return s->slots[slot] + s->stride[slot] * row;
}

/* One LINEAR operation, and one that maps each row by itself. */
void il__run_linear(const il__pass *p);
void il__run_rows(il__pass *p);
/* EXPERTS: rows are grouped by expert, so that each chosen expert's weights are read once. */
void il__run_experts(il__pass *p);

/* Whether the two below do anything on this CPU. */
bool il__denormals_can_be_flushed(void);
/* Denormals are flushed on the pool's helpers for good, on the calling thread within a window. */
void il__flush_denormals_on_helpers(il_pool *pool);
/* Returns the control word to give to il__restore_denormals; touches nothing off x86-64. */
uint32_t il__flush_denormals(void);
void il__restore_denormals(uint32_t saved);

#endif
