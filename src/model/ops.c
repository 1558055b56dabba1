/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops.h"

#include "model/shape_pass.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of one layer: everything but embedding and head. */
enum { OPS_OF_LAYER = IL_OP_COUNT - 2, MOST_LAYERS = 1 << 20 };

typedef struct builder {
    const il_shape *shape;
    const il_pass *pass;
    il_op *layers; /* [n_layer][IL_OP_COUNT] */
    il_op embedding, final_norm, head;
    double n_tokens; /* over the batch */
} builder;

/* What a matrix or bias of a layer is for, by the part of its canonical name. The first that is
 * found counts: experts' names hold "gate" and so do routers'. */
static il_op_kind kind_of(const char *name)
{
    static const struct {
        const char *part;
        il_op_kind kind;
    } parts[] = {
        {"attn.c_attn", IL_OP_QKV},
        {"query_key_value", IL_OP_QKV},
        {"q_proj", IL_OP_QKV},
        {"k_proj", IL_OP_QKV},
        {"v_proj", IL_OP_QKV},
        {"attn.c_proj", IL_OP_ATTN_OUT},
        {"attention.dense", IL_OP_ATTN_OUT},
        {"out_proj", IL_OP_ATTN_OUT},
        {"o_proj", IL_OP_ATTN_OUT},
        {"mlp.c_fc", IL_OP_FFN_UP},
        {"dense_h_to_4h", IL_OP_FFN_UP},
        {"fc1", IL_OP_FFN_UP},
        {"gate_proj", IL_OP_FFN_UP},
        {"gate_up_proj", IL_OP_FFN_UP},
        {"up_proj", IL_OP_FFN_UP},
        {".w1", IL_OP_FFN_UP},
        {".w3", IL_OP_FFN_UP},
        {"mlp.c_proj", IL_OP_FFN_DOWN},
        {"dense_4h_to_h", IL_OP_FFN_DOWN},
        {"fc2", IL_OP_FFN_DOWN},
        {"down_proj", IL_OP_FFN_DOWN},
        {".w2", IL_OP_FFN_DOWN},
        {"mlp.router", IL_OP_ROUTER},
        {"mlp.gate.", IL_OP_ROUTER},
        {"block_sparse_moe.gate.", IL_OP_ROUTER},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(name, parts[i].part)) {
            return parts[i].kind;
        }
    }
    return IL_OP_COUNT;
}

/* Elements a token multiplies with: of experts only those it is routed to. */
static double used_elements(const il_shape *s, const il_tensor_info *info)
{
    double n = 1;
    for (uint32_t i = 0; i < info->n_dims; i++) {
        n *= (double)info->dims[i];
    }
    bool fused = (info->role == IL_ROLE_LINEAR && info->n_dims == 3) ||
                 (info->role == IL_ROLE_LINEAR_BIAS && info->n_dims == 2);
    if (fused) {
        return n / s->n_expert * s->n_expert_used;
    }
    return info->expert >= 0 && (uint32_t)info->expert >= s->n_expert_used ? 0 : n;
}

static int add(const il_tensor_info *info, void *user)
{
    builder *b = user;
    double bytes = (double)il_dtype_bytes(b->pass->dtype);
    double n = used_elements(b->shape, info);
    il_op *layer = info->layer >= 0 ? b->layers + (size_t)info->layer * IL_OP_COUNT : NULL;
    il_op_kind kind;
    switch (info->role) {
    case IL_ROLE_EMBEDDING:
    case IL_ROLE_POSITION:
        b->embedding.weight_bytes += b->n_tokens * b->shape->d_model * bytes;
        return 0;
    case IL_ROLE_HEAD:
        return 0; /* counted from the vocabulary, tied or not */
    case IL_ROLE_NORM_WEIGHT:
    case IL_ROLE_NORM_BIAS:
        (layer ? &layer[IL_OP_NORM] : &b->final_norm)->weight_bytes += n * bytes;
        return 0;
    case IL_ROLE_SINKS:
        kind = IL_OP_ATTENTION;
        break;
    default:
        kind = kind_of(info->name);
    }
    assert(layer && kind != IL_OP_COUNT); /* a family whose names the table above lacks */
    layer[kind].weight_bytes += n * bytes;
    layer[kind].flops += info->role == IL_ROLE_LINEAR ? 2 * n * b->n_tokens : 0;
    return 0;
}

static void add_attention(builder *b)
{
    const il_shape *s = b->shape;
    const il_pass *p = b->pass;
    double position_bytes = 2.0 * s->n_kv_head * s->d_head * (double)il_dtype_bytes(p->kv_dtype);
    for (uint32_t i = 0; i < s->n_layer; i++) {
        il_op *op = &b->layers[(size_t)i * IL_OP_COUNT + IL_OP_ATTENTION];
        double window = il__layer_window(s, i);
        op->kv_bytes = p->batch * il__cached(p->context_tok, p->n_tok, window) * position_bytes;
        op->flops +=
            p->batch * 4.0 * s->n_head * s->d_head * il__attended(p->context_tok, p->n_tok, window);
    }
}

/* Embedding, the operations of the layers that are there, final norm, head. */
static size_t list(const builder *b, il_op *out)
{
    size_t n = 0;
    out[n++] = b->embedding;
    for (uint32_t i = 0; i < b->shape->n_layer; i++) {
        for (int kind = 0; kind < IL_OP_COUNT; kind++) {
            il_op op = b->layers[(size_t)i * IL_OP_COUNT + (size_t)kind];
            op.kind = (il_op_kind)kind;
            op.layer = (int32_t)i;
            if (op.weight_bytes + op.kv_bytes + op.flops > 0) {
                out[n++] = op;
            }
        }
    }
    out[n++] = b->final_norm;
    out[n++] = b->head;
    return n;
}

int il_shape_ops(const il_shape *shape, const il_pass *pass, il_op **out, size_t *n, il_error *err)
{
    *out = NULL;
    *n = 0;
    if (shape->n_layer > MOST_LAYERS) {
        return il_fail(err, IL_E_RANGE, "%u layers are more than can be listed", shape->n_layer);
    }
    builder b = {.shape = shape,
                 .pass = pass,
                 .n_tokens = (double)pass->batch * pass->n_tok,
                 .embedding = {.kind = IL_OP_EMBEDDING, .layer = -1},
                 .final_norm = {.kind = IL_OP_NORM, .layer = -1},
                 .head = {.kind = IL_OP_HEAD, .layer = -1}};
    b.layers = calloc((size_t)shape->n_layer * IL_OP_COUNT + 1, sizeof *b.layers);
    il_op *ops = malloc(((size_t)shape->n_layer * OPS_OF_LAYER + 3) * sizeof *ops);
    if (!b.layers || !ops) {
        free(b.layers);
        free(ops);
        return il_fail(err, IL_E_NOMEM, "no memory for the operations of %u layers",
                       shape->n_layer);
    }
    (void)il_shape_each_tensor(shape, add, &b);
    add_attention(&b);
    double head = (double)shape->vocab_size * shape->d_model;
    if (pass->n_logits > 0) {
        b.head.weight_bytes = head * (double)il_dtype_bytes(pass->dtype);
        b.head.flops = 2 * head * pass->batch * pass->n_logits;
    }
    *n = list(&b, ops);
    *out = ops;
    free(b.layers);
    return IL_OK;
}

const char *il_op_name(il_op_kind kind)
{
    static const char *const names[] = {
#define IL_OP_NAME(id, name) name,
        IL_OP_MAP(IL_OP_NAME)
#undef IL_OP_NAME
    };
    return (unsigned)kind < IL_OP_COUNT ? names[kind] : "";
}
