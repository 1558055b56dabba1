/* SPDX-License-Identifier: Apache-2.0
 *
 * From a shape to the list of operations.
 */
#include "engine/core/graph.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { OPS_PER_LAYER = 10, OPS_OUTSIDE = 4, MATRICES_PER_LAYER = 4 };

typedef struct builder {
    il__graph *graph;
    const il__names *names;
    il_isa isa;
} builder;

static void name_tensor(char *out, const char *stem, uint32_t layer, const char *suffix)
{
    const char *mark = strstr(stem, "%u");
    int n = mark ? snprintf(out, IL__NAME_BYTES, "%.*s%u%s%s", (int)(mark - stem), stem, layer,
                            mark + 2, suffix)
                 : snprintf(out, IL__NAME_BYTES, "%s%s", stem, suffix);
    assert(n > 0 && n < IL__NAME_BYTES);
    (void)n;
}

static il__op *add_op(builder *b, il__op_kind kind, il__slot src, il__slot dst, uint32_t layer)
{
    il__op *op = &b->graph->ops[b->graph->n_ops++];
    *op = (il__op){.kind = kind, .src = src, .dst = dst, .layer = layer};
    return op;
}

static void add_norm(builder *b, const char *stem, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    il__op *op = add_op(b, IL__OP_NORM, IL__SLOT_X, IL__SLOT_NORM, layer);
    op->weight.n = shape->d_model;
    name_tensor(op->weight.name, stem, layer, ".weight");
    if (shape->norm == IL_NORM_LAYER) {
        op->bias.n = shape->d_model;
        name_tensor(op->bias.name, stem, layer, ".bias");
    }
}

static il__matrix *add_matrix(builder *b, uint32_t n_out, uint32_t n_in, bool transposed)
{
    il__graph *graph = b->graph;
    il__matrix *matrix = &graph->matrices[graph->n_matrices++];
    matrix->linear =
        (il_linear){.n_in = n_in, .n_out = n_out, .dtype = graph->dtype, .isa = b->isa};
    matrix->transposed = transposed;
    graph->n_weights += (uint64_t)n_out * n_in;
    graph->max_n_in = n_in > graph->max_n_in ? n_in : graph->max_n_in;
    return matrix;
}

static void add_source(il__matrix *matrix, const char *stem, uint32_t layer, uint32_t n_rows,
                       bool bias)
{
    il__source *source = &matrix->sources[matrix->n_sources++];
    source->n_rows = n_rows;
    name_tensor(source->weight, stem, layer, ".weight");
    if (bias) {
        name_tensor(source->bias, stem, layer, ".bias");
    }
}

static void add_linear(builder *b, il__matrix *matrix, il__slot src, il__slot dst, uint32_t layer,
                       il_epilogue epilogue)
{
    il__op *op = add_op(b, IL__OP_LINEAR, src, dst, layer);
    op->matrix = matrix;
    op->epilogue = epilogue;
}

static il_epilogue activation_epilogue(il_activation activation)
{
    switch (activation) {
    case IL_ACTIVATION_GELU_TANH:
        return IL_EPILOGUE_GELU_TANH;
    case IL_ACTIVATION_GELU_ERF:
        return IL_EPILOGUE_GELU_ERF;
    case IL_ACTIVATION_RELU:
        return IL_EPILOGUE_RELU;
    default:
        return IL_EPILOGUE_SILU;
    }
}

static void build_attention(builder *b, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    const il__names *names = b->names;
    uint32_t q_rows = shape->n_head * shape->d_head;
    uint32_t kv_rows = shape->n_kv_head * shape->d_head;
    add_norm(b, names->attn_norm, layer);
    il__matrix *qkv = add_matrix(b, q_rows + 2 * kv_rows, shape->d_model, names->transposed);
    if (names->qkv) {
        add_source(qkv, names->qkv, layer, q_rows + 2 * kv_rows, shape->bias_qkv);
    } else {
        add_source(qkv, names->q, layer, q_rows, shape->bias_qkv);
        add_source(qkv, names->k, layer, kv_rows, shape->bias_qkv);
        add_source(qkv, names->v, layer, kv_rows, shape->bias_qkv);
    }
    add_linear(b, qkv, IL__SLOT_NORM, IL__SLOT_QKV, layer, IL_EPILOGUE_NONE);
    if (shape->position == IL_POSITION_ROPE) {
        (void)add_op(b, IL__OP_ROPE, IL__SLOT_QKV, IL__SLOT_QKV, layer);
    }
    (void)add_op(b, IL__OP_CACHE, IL__SLOT_QKV, IL__SLOT_QKV, layer);
    (void)add_op(b, IL__OP_ATTENTION, IL__SLOT_QKV, IL__SLOT_MIX, layer);
    il__matrix *out = add_matrix(b, shape->d_model, q_rows, names->transposed);
    add_source(out, names->attn_out, layer, shape->d_model, shape->bias_attn_out);
    add_linear(b, out, IL__SLOT_MIX, IL__SLOT_X, layer, IL_EPILOGUE_ADD);
}

static void build_feed_forward(builder *b, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    const il__names *names = b->names;
    il_epilogue activation = activation_epilogue(shape->activation);
    il__slot hidden = IL__SLOT_FF;
    add_norm(b, names->ff_norm, layer);
    if (shape->gated_ffn) {
        il__matrix *up = add_matrix(b, 2 * shape->d_ff, shape->d_model, names->transposed);
        add_source(up, names->gate, layer, shape->d_ff, shape->bias_ffn);
        add_source(up, names->up, layer, shape->d_ff, shape->bias_ffn);
        add_linear(b, up, IL__SLOT_NORM, IL__SLOT_FF, layer, IL_EPILOGUE_NONE);
        il__op *gate = add_op(b, IL__OP_GATE, IL__SLOT_FF, IL__SLOT_GATED, layer);
        gate->epilogue = activation;
        hidden = IL__SLOT_GATED;
    } else {
        il__matrix *up = add_matrix(b, shape->d_ff, shape->d_model, names->transposed);
        add_source(up, names->up, layer, shape->d_ff, shape->bias_ffn);
        add_linear(b, up, IL__SLOT_NORM, IL__SLOT_FF, layer, activation);
    }
    il__matrix *down = add_matrix(b, shape->d_model, shape->d_ff, names->transposed);
    add_source(down, names->down, layer, shape->d_model, shape->bias_ffn);
    add_linear(b, down, hidden, IL__SLOT_X, layer, IL_EPILOGUE_ADD);
}

static void build_ends(builder *b)
{
    il__graph *graph = b->graph;
    const il_shape *shape = &graph->shape;
    add_norm(b, b->names->final_norm, 0);
    graph->head = add_matrix(b, shape->vocab_size, shape->d_model, false);
    add_source(graph->head, shape->tied ? b->names->embedding : b->names->head, 0,
               shape->vocab_size, shape->bias_head);
    add_linear(b, graph->head, IL__SLOT_NORM, IL__SLOT_LOGITS, 0, IL_EPILOGUE_NONE);
    if (!shape->tied) {
        name_tensor(graph->embedding, b->names->embedding, 0, ".weight");
    }
    if (shape->position != IL_POSITION_ROPE) {
        graph->position_offset = shape->position == IL_POSITION_LEARNED_OFFSET2 ? 2 : 0;
        graph->position.n =
            ((uint64_t)shape->n_positions + graph->position_offset) * shape->d_model;
        name_tensor(graph->position.name, b->names->position, 0, ".weight");
    }
}

static void set_slot_widths(il__graph *graph)
{
    const il_shape *shape = &graph->shape;
    size_t e = shape->d_head;
    graph->slot_width[IL__SLOT_X] = shape->d_model;
    graph->slot_width[IL__SLOT_NORM] = shape->d_model;
    graph->slot_width[IL__SLOT_QKV] = (shape->n_head + 2 * (size_t)shape->n_kv_head) * e;
    graph->slot_width[IL__SLOT_MIX] = shape->n_head * e;
    graph->slot_width[IL__SLOT_FF] = (shape->gated_ffn ? 2 : 1) * (size_t)shape->d_ff;
    graph->slot_width[IL__SLOT_GATED] = shape->gated_ffn ? shape->d_ff : 0;
    graph->slot_width[IL__SLOT_LOGITS] = shape->vocab_size;
}

/* What of the shape this engine has no operation for; NULL when it has all. */
static const char *missing_operation(const il_shape *shape)
{
    const struct {
        bool needed;
        const char *what;
    } needs[] = {
        {shape->n_expert > 0, "routed experts"},
        {shape->qk_norm, "norms on queries and keys"},
        {shape->post_norms, "norms after attention and feed-forward"},
        {shape->parallel_residual, "parallel residual"},
        {shape->attn_sinks, "attention sinks"},
        {shape->norm == IL_NORM_RMS_PLUS_ONE, "RMS norm with weights around zero"},
        {shape->position == IL_POSITION_ROPE && shape->rope_scaling == IL_ROPE_YARN,
         "yarn rope scaling"},
        {shape->rope_theta_local > 0 && shape->rope_theta_local != shape->rope_theta,
         "a second rope base for sliding layers"},
        {shape->bias_head, "a bias on the head"},
        {(uint64_t)shape->d_ff * 2 > UINT32_MAX ||
             ((uint64_t)shape->n_head + 2 * (uint64_t)shape->n_kv_head) * shape->d_head >
                 UINT32_MAX,
         "rows of more than 2^32 numbers"},
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        if (needs[i].needed) {
            return needs[i].what;
        }
    }
    return NULL;
}

int il__graph_build(const il_shape *shape, il_dtype dtype, il_isa isa, il_arena *arena,
                    il__graph *out, il_error *err)
{
    builder b = {.graph = out, .names = il__names_for(shape->arch), .isa = isa};
    if (!b.names) {
        (void)il_fail(err, IL_E_UNSUPPORTED, "the native engine has no graph for family %s",
                      il_arch_hf_name(shape->arch));
        il_error_hint(err, "it runs %s; the nearest is %s", il__names_supported(),
                      il__names_nearest(shape->arch));
        return IL_E_UNSUPPORTED;
    }
    const char *missing = missing_operation(shape);
    if (missing) {
        (void)il_fail(err, IL_E_UNSUPPORTED, "the native engine has no operation for %s", missing);
        il_error_hint(err, "it runs %s as published", il__names_supported());
        return IL_E_UNSUPPORTED;
    }
    *out = (il__graph){.shape = *shape, .dtype = dtype};
    out->ops = il_arena_array(arena, (size_t)shape->n_layer * OPS_PER_LAYER + OPS_OUTSIDE,
                              sizeof *out->ops);
    out->matrices = il_arena_array(arena, (size_t)shape->n_layer * MATRICES_PER_LAYER + 1,
                                   sizeof *out->matrices);
    if (!out->ops || !out->matrices) {
        return il_fail(err, IL_E_NOMEM, "no memory for the graph of %u layers", shape->n_layer);
    }
    set_slot_widths(out);
    (void)add_op(&b, IL__OP_EMBED, IL__SLOT_X, IL__SLOT_X, 0);
    for (uint32_t layer = 0; layer < shape->n_layer; layer++) {
        build_attention(&b, layer);
        build_feed_forward(&b, layer);
    }
    (void)add_op(&b, IL__OP_SELECT, IL__SLOT_X, IL__SLOT_X, 0);
    build_ends(&b);
    assert(out->n_ops <= shape->n_layer * OPS_PER_LAYER + OPS_OUTSIDE);
    assert(out->n_matrices == shape->n_layer * MATRICES_PER_LAYER + 1);
    return IL_OK;
}
