/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations of one forward pass of a shape, each with the bytes it must move and the FLOPs it
 * must do: what a floor is summed over. A list sums to il_shape_bytes_per_step (a pass of one
 * token) and to il_shape_flops.
 *
 * Bytes are weights, and the KV cache read and written. Activations are not counted: a pass that
 * keeps them in a cache need not move them. FLOPs are those of matrices, attention and head; norms,
 * activations and look-ups have none.
 */
#ifndef IL_MODEL_OPS_H
#define IL_MODEL_OPS_H

#include "model/shape.h"

#include <stddef.h>

#define IL_OP_MAP(X)                                                                               \
    X(EMBEDDING, "embedding") /* a row of the token table and of the position table a token */     \
    X(NORM, "norm")           /* all norms of a layer, or the final one */                         \
    X(QKV, "qkv")                                                                                  \
    X(ATTENTION, "attention") /* the KV cache; sinks */                                            \
    X(ATTN_OUT, "attn_out")                                                                        \
    X(ROUTER, "router")                                                                            \
    X(FFN_UP, "ffn_up") /* gate and up */                                                          \
    X(FFN_DOWN, "ffn_down")                                                                        \
    X(HEAD, "head")

typedef enum il_op_kind {
#define IL_OP_ENUM(id, name) IL_OP_##id,
    IL_OP_MAP(IL_OP_ENUM)
#undef IL_OP_ENUM
        IL_OP_COUNT
} il_op_kind;

typedef struct il_op {
    il_op_kind kind;
    int32_t layer;                        /* −1 outside layers */
    double weight_bytes, kv_bytes, flops; /* of the whole batch; weights once */
} il_op;

/* n_tok new tokens of each of batch sequences behind context_tok others, logits at n_logits
 * positions a sequence. Experts: those one token is routed to (a lower bound for more tokens). */
typedef struct il_pass {
    uint32_t batch, n_tok, context_tok, n_logits;
    il_dtype dtype, kv_dtype;
} il_pass;

/* *out is malloc'd, in the order of the pass. IL_E_NOMEM; IL_E_RANGE for a shape without end. */
int il_shape_ops(const il_shape *shape, const il_pass *pass, il_op **out, size_t *n, il_error *err);
const char *il_op_name(il_op_kind kind);

#endif
