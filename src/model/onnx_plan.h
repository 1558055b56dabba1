/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph of a shape: nodes, tensors, inputs and outputs. Shared among the writer's files.
 */
#ifndef IL_MODEL_ONNX_PLAN_H
#define IL_MODEL_ONNX_PLAN_H

#include "model/onnx_graph.h"
#include "model/onnx_model.h"

typedef struct il__onnx_plan {
    il_tensor_info *infos;
    size_t n_infos;
    il__onnx_graph graph;
    il_onnx_ops ops; /* never IL_ONNX_OPS_AUTO */
    int64_t opset, ir_version;
} il__onnx_plan;

/* IL_E_UNSUPPORTED with a sentence for what is not written. The plan's names live in arena; free
 * the plan first. */
int il__onnx_plan_make(const il_shape *shape, const il_onnx_options *options, il_arena *arena,
                       il__onnx_plan *out, il_error *err);
void il__onnx_plan_free(il__onnx_plan *plan);

/* --- among the files that build the graph ---------------------------------------------------- */

/* What checkpoints call the weights, without the layer's prefix. */
typedef struct il__onnx_stems {
    const char *embedding, *position, *final_norm, *head;
    const char *attn_norm, *qkv, *q, *k, *v, *attn_out, *q_norm, *k_norm, *attn_post_norm;
    const char *ff_norm, *gate, *up, *down, *ff_post_norm, *router;
} il__onnx_stems;

typedef struct il__onnx_build {
    il__onnx_graph *g;
    const il_shape *s;
    const il__onnx_stems *stems;
    const il_tensor_info *infos;
    size_t n_infos;
    il_dtype dtype;
    bool contrib;
    bool rope_tables; /* GroupQueryAttention turns queries and keys itself */
    int32_t layer;
    /* Values that the layers share; of the pairs, the second is for sliding layers. */
    const char *batch1, *seq1, *past1, *total1, *total0; /* 1: vectors of one number */
    const char *seqlens, *total32;                       /* for GroupQueryAttention */
    const char *mask[2], *cos[2], *sin[2];
    const char *zero1, *axis1;
    /* The residual is x + pending (NULL: x alone). */
    const char *x, *pending;
} il__onnx_build;

/* A tensor of the checkpoint; NULL when the family has none. */
const il_tensor_info *il__onnx_find(const il__onnx_build *b, int32_t layer, const char *stem,
                                    const char *ending);
/* x·W + bias; several weights stand side by side. */
const char *il__onnx_linear(il__onnx_build *b, const char *x, const char *const *stems,
                            uint32_t n_stems);
const char *il__onnx_vector(il__onnx_build *b, const il_tensor_info *info);
/* The norm `stem` of a value; plain: no residual takes part. */
const char *il__onnx_norm(il__onnx_build *b, const char *x, const char *stem, int32_t layer);
/* Adds pending to the residual and gives its norm. */
const char *il__onnx_norm_residual(il__onnx_build *b, const char *stem, int32_t layer);
/* Positions, masks and angles that all layers share. */
void il__onnx_build_shared(il__onnx_build *b);
/* From the normalised row to the heads' mix, cache included. */
const char *il__onnx_build_attention(il__onnx_build *b, const char *x);
bool il__onnx_tables_pay(const il_shape *shape);
const char *il__onnx_op2(il__onnx_build *b, const char *type, const char *x, const char *y);

#endif
