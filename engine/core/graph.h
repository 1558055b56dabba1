/* SPDX-License-Identifier: Apache-2.0
 *
 * A transformer as a short list of operations, built once per model from its shape. The executor
 * (forward.c) walks the list and knows no family; a family is a row of tensor names (names.c) and
 * the numbers of its shape.
 *
 * Every operation maps rows to rows: a row is one token of one sequence. Slots are the session's
 * row buffers; X carries the residual.
 */
#ifndef IL_ENGINE_CORE_GRAPH_H
#define IL_ENGINE_CORE_GRAPH_H

#include "base/arena.h"
#include "engine/core/region.h"
#include "engine/cpu/kernels.h"
#include "model/checkpoint.h"
#include "model/gguf_weights.h"
#include "model/shape.h"

#define IL__NAME_BYTES 128

enum { IL__MOST_SOURCES = 3 };

typedef enum il__slot {
    IL__SLOT_X,      /* residual, d_model wide */
    IL__SLOT_NORM,   /* normalised residual, d_model */
    IL__SLOT_QKV,    /* queries, keys, values: (h + 2k)·e */
    IL__SLOT_MIX,    /* attention output, h·e */
    IL__SLOT_FF,     /* gate and up side by side, 2f; or the hidden row, f */
    IL__SLOT_GATED,  /* act(gate)·up, f; unused without a gate */
    IL__SLOT_ROUTER, /* a logit per expert; unused without experts */
    IL__SLOT_EXPERT, /* rows routed to one expert, d_model; unused without experts */
    IL__SLOT_LOGITS, /* vocab_size, not padded */
    IL__SLOT_COUNT
} il__slot;

typedef enum il__op_kind {
    IL__OP_EMBED,     /* X = scale·E[id] (+ P[position]) */
    IL__OP_NORM,      /* dst = norm(src), or each of n_vectors pieces of it from `offset` on */
    IL__OP_LINEAR,    /* dst = epilogue(src·Wᵀ + b) */
    IL__OP_ROPE,      /* rotates the queries and keys of src */
    IL__OP_CACHE,     /* appends the keys and values of src to the layer's cache */
    IL__OP_ATTENTION, /* dst = attention of the queries of src over the layer's cache */
    IL__OP_GATE,      /* dst = act(left half of src)·right half */
    IL__OP_ADD,       /* dst += src */
    IL__OP_EXPERTS,   /* dst += Σ weight·expert(src) over the experts the router logits choose */
    IL__OP_SELECT,    /* from here on only rows whose logits are wanted */
} il__op_kind;

/* A matrix and the stored tensors its rows come from, in order (q, k, v; gate, up). */
typedef struct il__source {
    char weight[IL__NAME_BYTES], bias[IL__NAME_BYTES]; /* bias "" when there is none */
    uint32_t n_rows;
    /* Stored as [heads][q, k, v][d_head] (NeoX): how many heads; 0 = rows are in order. */
    uint32_t interleaved_heads;
} il__source;

typedef struct il__matrix {
    /* Rows in one number format, one after the other; a file of blocks may mix them. */
    il_linear parts[IL__MOST_SOURCES];
    uint32_t n_parts;
    bool transposed;
    uint32_t n_sources;
    il__source sources[IL__MOST_SOURCES];
    float *bias; /* what the parts' biases point into */
} il__matrix;

/* A stored vector or table, kept as fp32. */
typedef struct il__vector {
    char name[IL__NAME_BYTES]; /* "" when there is none */
    uint64_t n;
    float *data;
} il__vector;

typedef struct il__expert {
    il__matrix *up; /* gate and up */
    il__matrix *down;
} il__expert;

typedef struct il__op {
    il__op_kind kind;
    il__slot src, dst;
    uint32_t layer;
    il__matrix *matrix;        /* LINEAR */
    il_epilogue epilogue;      /* LINEAR; of GATE and EXPERTS the activation */
    il__vector weight, bias;   /* NORM */
    uint32_t offset;           /* NORM: first column */
    uint32_t n_vectors;        /* NORM: pieces with a norm of their own, weight.n columns each */
    const il__expert *experts; /* EXPERTS: n_expert of them */
} il__op;

typedef struct il__graph {
    il_shape shape;
    il__op *ops;
    uint32_t n_ops;
    il__matrix *matrices;
    uint32_t n_matrices;
    size_t slot_width[IL__SLOT_COUNT]; /* floats a row holds */
    uint64_t n_weights;                /* multiply-adds of a row in all matrices */

    il__matrix *head;               /* rows of a tied head are the embedding */
    il__vector position;            /* [n_positions + position_offset, d_model] */
    uint32_t position_offset;       /* rows of the table before position 0 */
    char embedding[IL__NAME_BYTES]; /* "" when tied */
    void *embedding_rows;           /* [vocab_size, d_model] in the model's dtype; NULL when tied */
    il_dtype dtype;
    /* of a GGUF file */
    il_ggml_type embedding_type; /* embedding_rows as rows of that file; IL_GGML_F32: in dtype */
    bool norms_whole;            /* norm weights hold 1 + w */
    float *rope_factors;         /* divisors of rotary frequencies, rope_dims / 2; NULL: none */
} il__graph;

/* Pieces live in the arena. IL_E_UNSUPPORTED names the family, or the property of the shape, that
 * this engine has no operation for, and the nearest supported family. */
int il__graph_build(const il_shape *shape, il_dtype dtype, il_isa isa, il_arena *arena,
                    il__graph *out, il_error *err);

/* Carves every weight from the region, measuring or mapped. */
void il__weights_layout(il__graph *graph, il__region *region);
/* Converts every tensor from the checkpoint into the carved memory. */
int il__weights_load(il__graph *graph, const il_checkpoint *ckpt, il_pool *pool, il_error *err);

/* Of a GGUF file: the number format of every matrix, as stored unless `expand` says dtype, where
 * other families than the file's expect rows to lie, rope factors. Before the layout. */
int il__gguf_bind(il__graph *graph, const il_gguf_weights *file, bool expand, il_arena *arena,
                  il_error *err);
/* Repacks or converts every tensor into the carved memory. */
int il__gguf_load(il__graph *graph, const il_gguf_weights *file, il_pool *pool, il_error *err);

/* Bytes of the linear kernels' scratch for n_rows rows of the widest layer of each format. */
size_t il__linear_scratch_bytes(const il__graph *graph, uint32_t n_rows);
/* One row of the token embedding as fp32. */
void il__embedding_row(const il__graph *graph, uint32_t id, float *out);

/* Angles of rotary positions 0 … n_positions − 1: cos and sin, [n_positions][rope_dims / 2], times
 * yarn's factor where it scales; `factors` divide the frequencies where they are given. As
 * transformers in float32: the frequency is rounded to float, then its product with the position.
 * `local`: of sliding layers, which no scaling touches. */
void il__rope_tables(const il_shape *shape, const float *factors, bool local, uint32_t n_positions,
                     float *cos_t, float *sin_t);

/* Window of a layer in positions; 0 = it attends to all. */
uint32_t il__window_of(const il_shape *shape, uint32_t layer);

/* Tensor names of a family; NULL when the engine has none. The first "%u" is the layer, a second
 * one the expert; a stem takes ".weight" and ".bias". */
typedef struct il__names {
    il_arch arch;
    const char *embedding, *position, *final_norm, *head;
    const char *attn_norm, *ff_norm;
    const char *attn_post_norm, *ff_post_norm; /* before the addition to the residual, or NULL */
    const char *q_norm, *k_norm;               /* where the shape has them */
    const char *qkv;                           /* one fused tensor, or NULL and … */
    const char *q, *k, *v;
    const char *attn_out;
    const char *router;           /* of layers of experts */
    const char *gate, *up, *down; /* gate NULL without one */
    bool transposed;              /* matrices are stored [in, out] */
    bool interleaved;             /* qkv is stored [heads][q, k, v][d_head] */
} il__names;

/* A row for every family of model/native_families.h. */
const il__names *il__names_for(il_arch arch);

#endif
