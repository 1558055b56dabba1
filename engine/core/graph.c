/* SPDX-License-Identifier: Apache-2.0
 *
 * From a shape to the list of operations.
 */
#include "engine/core/graph.h"

#include "model/native_families.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { OPS_PER_LAYER = 16, OPS_OUTSIDE = 4, DENSE_MATRICES = 4, MATRICES_BESIDE_EXPERTS = 3 };

typedef struct builder {
    il__graph *graph;
    const il__names *names;
    il_isa isa;
    uint32_t expert;     /* the second "%u" of names */
    il__expert *experts; /* [n_layer][n_expert] */
} builder;

static void name_tensor(const builder *b, char *out, const char *stem, uint32_t layer,
                        const char *suffix)
{
    const uint32_t numbers[] = {layer, b->expert};
    int n = 0;
    for (int i = 0;; i++) {
        const char *mark = strstr(stem, "%u");
        if (!mark) {
            break;
        }
        assert(i < 2);
        n += snprintf(out + n, (size_t)(IL__NAME_BYTES - n), "%.*s%u", (int)(mark - stem), stem,
                      numbers[i]);
        assert(n < IL__NAME_BYTES);
        stem = mark + 2;
    }
    n += snprintf(out + n, (size_t)(IL__NAME_BYTES - n), "%s%s", stem, suffix);
    assert(n > 0 && n < IL__NAME_BYTES);
}

static il__op *add_op(builder *b, il__op_kind kind, il__slot src, il__slot dst, uint32_t layer)
{
    il__op *op = &b->graph->ops[b->graph->n_ops++];
    *op = (il__op){.kind = kind, .src = src, .dst = dst, .layer = layer};
    return op;
}

static il__op *add_norm_from(builder *b, const char *stem, il__slot src, uint32_t n, uint32_t layer)
{
    il__op *op = add_op(b, IL__OP_NORM, src, src, layer);
    op->weight.n = n;
    op->n_vectors = 1;
    name_tensor(b, op->weight.name, stem, layer, ".weight");
    if (b->graph->shape.norm == IL_NORM_LAYER) {
        op->bias.n = n;
        name_tensor(b, op->bias.name, stem, layer, ".bias");
    }
    return op;
}

static void add_norm(builder *b, const char *stem, uint32_t layer)
{
    il__op *op = add_norm_from(b, stem, IL__SLOT_X, b->graph->shape.d_model, layer);
    op->dst = IL__SLOT_NORM;
}

/* Norms of queries and keys in place: one a head, or one of all heads together (OLMoE). */
static void add_qk_norms(builder *b, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    uint32_t e = shape->d_head;
    uint32_t q_heads = shape->qk_norm_full_row ? 1 : shape->n_head;
    uint32_t k_heads = shape->qk_norm_full_row ? 1 : shape->n_kv_head;
    il__op *q =
        add_norm_from(b, b->names->q_norm, IL__SLOT_QKV, shape->n_head * e / q_heads, layer);
    q->n_vectors = q_heads;
    il__op *k =
        add_norm_from(b, b->names->k_norm, IL__SLOT_QKV, shape->n_kv_head * e / k_heads, layer);
    k->n_vectors = k_heads;
    k->offset = shape->n_head * e;
}

static il__matrix *add_matrix(builder *b, uint32_t n_out, uint32_t n_in, bool transposed)
{
    il__graph *graph = b->graph;
    il__matrix *matrix = &graph->matrices[graph->n_matrices++];
    matrix->n_parts = 1;
    matrix->parts[0] =
        (il_linear){.n_in = n_in, .n_out = n_out, .dtype = graph->dtype, .isa = b->isa};
    matrix->transposed = transposed;
    /* Which experts a row takes plays no part here, only how many. */
    graph->n_weights += b->expert < graph->shape.n_expert_used || graph->shape.n_expert == 0
                            ? (uint64_t)n_out * n_in
                            : 0;
    return matrix;
}

static il__source *add_source(const builder *b, il__matrix *matrix, const char *stem,
                              uint32_t layer, uint32_t n_rows, bool bias)
{
    il__source *source = &matrix->sources[matrix->n_sources++];
    source->n_rows = n_rows;
    name_tensor(b, source->weight, stem, layer, ".weight");
    if (bias) {
        name_tensor(b, source->bias, stem, layer, ".bias");
    }
    return source;
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

uint32_t il__window_of(const il_shape *shape, uint32_t layer)
{
    bool full = shape->sliding_period > 0 && (layer + 1) % shape->sliding_period == 0;
    return full ? 0 : shape->sliding_window;
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
        il__source *source =
            add_source(b, qkv, names->qkv, layer, q_rows + 2 * kv_rows, shape->bias_qkv);
        source->interleaved_heads = names->interleaved ? shape->n_head : 0;
    } else {
        (void)add_source(b, qkv, names->q, layer, q_rows, shape->bias_qkv);
        (void)add_source(b, qkv, names->k, layer, kv_rows, shape->bias_qkv);
        (void)add_source(b, qkv, names->v, layer, kv_rows, shape->bias_qkv);
    }
    add_linear(b, qkv, IL__SLOT_NORM, IL__SLOT_QKV, layer, IL_EPILOGUE_NONE);
    if (shape->qk_norm) {
        add_qk_norms(b, layer);
    }
    if (shape->position == IL_POSITION_ROPE) {
        (void)add_op(b, IL__OP_ROPE, IL__SLOT_QKV, IL__SLOT_QKV, layer);
    }
    (void)add_op(b, IL__OP_CACHE, IL__SLOT_QKV, IL__SLOT_QKV, layer);
    (void)add_op(b, IL__OP_ATTENTION, IL__SLOT_QKV, IL__SLOT_MIX, layer);
}

/* src·Wᵀ joins the residual, through a norm of its own where the family has one. The row of NORM
 * has been read by then. */
static void add_to_residual(builder *b, il__matrix *matrix, il__slot src, const char *post_norm,
                            uint32_t layer)
{
    if (!b->graph->shape.post_norms) {
        add_linear(b, matrix, src, IL__SLOT_X, layer, IL_EPILOGUE_ADD);
        return;
    }
    add_linear(b, matrix, src, IL__SLOT_NORM, layer, IL_EPILOGUE_NONE);
    (void)add_norm_from(b, post_norm, IL__SLOT_NORM, b->graph->shape.d_model, layer);
    (void)add_op(b, IL__OP_ADD, IL__SLOT_NORM, IL__SLOT_X, layer);
}

static void build_attention_out(builder *b, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    const il__names *names = b->names;
    il__matrix *out =
        add_matrix(b, shape->d_model, shape->n_head * shape->d_head, names->transposed);
    (void)add_source(b, out, names->attn_out, layer, shape->d_model, shape->bias_attn_out);
    add_to_residual(b, out, IL__SLOT_MIX, names->attn_post_norm, layer);
}

static il__matrix *gate_and_up(builder *b, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    il__matrix *up = add_matrix(b, 2 * shape->d_ff, shape->d_model, b->names->transposed);
    (void)add_source(b, up, b->names->gate, layer, shape->d_ff, shape->bias_ffn);
    (void)add_source(b, up, b->names->up, layer, shape->d_ff, shape->bias_ffn);
    return up;
}

static il__matrix *down(builder *b, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    il__matrix *matrix = add_matrix(b, shape->d_model, shape->d_ff, b->names->transposed);
    (void)add_source(b, matrix, b->names->down, layer, shape->d_model, shape->bias_ffn);
    return matrix;
}

/* The row of NORM to the hidden row; returns the slot that holds it. */
static il__slot build_hidden(builder *b, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    il_epilogue activation = activation_epilogue(shape->activation);
    if (!shape->gated_ffn) {
        il__matrix *up = add_matrix(b, shape->d_ff, shape->d_model, b->names->transposed);
        (void)add_source(b, up, b->names->up, layer, shape->d_ff, shape->bias_ffn);
        add_linear(b, up, IL__SLOT_NORM, IL__SLOT_FF, layer, activation);
        return IL__SLOT_FF;
    }
    add_linear(b, gate_and_up(b, layer), IL__SLOT_NORM, IL__SLOT_FF, layer, IL_EPILOGUE_NONE);
    il__op *gate = add_op(b, IL__OP_GATE, IL__SLOT_FF, IL__SLOT_GATED, layer);
    gate->epilogue = activation;
    return IL__SLOT_GATED;
}

/* The router stays fp32 in every dtype: it is small, and a rounded logit may choose another expert.
 */
static void build_experts(builder *b, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    il__matrix *router = add_matrix(b, shape->n_expert, shape->d_model, false);
    router->parts[0].dtype = IL_DTYPE_F32;
    (void)add_source(b, router, b->names->router, layer, shape->n_expert, false);
    add_linear(b, router, IL__SLOT_NORM, IL__SLOT_ROUTER, layer, IL_EPILOGUE_NONE);
    il__expert *experts = b->experts + (size_t)layer * shape->n_expert;
    for (uint32_t i = 0; i < shape->n_expert; i++) {
        b->expert = i;
        experts[i] = (il__expert){.up = gate_and_up(b, layer), .down = down(b, layer)};
    }
    b->expert = 0;
    il__op *op = add_op(b, IL__OP_EXPERTS, IL__SLOT_NORM, IL__SLOT_X, layer);
    op->experts = experts;
    op->epilogue = activation_epilogue(shape->activation);
}

static void build_layer(builder *b, uint32_t layer)
{
    const il_shape *shape = &b->graph->shape;
    const il__names *names = b->names;
    build_attention(b, layer);
    if (shape->parallel_residual) {
        /* The feed-forward reads the residual before attention joins it. */
        add_norm(b, names->ff_norm, layer);
        il__slot hidden = build_hidden(b, layer);
        build_attention_out(b, layer);
        add_to_residual(b, down(b, layer), hidden, names->ff_post_norm, layer);
        return;
    }
    build_attention_out(b, layer);
    add_norm(b, names->ff_norm, layer);
    if (shape->n_expert > 0) {
        build_experts(b, layer);
    } else {
        il__slot hidden = build_hidden(b, layer);
        add_to_residual(b, down(b, layer), hidden, names->ff_post_norm, layer);
    }
}

static void build_ends(builder *b)
{
    il__graph *graph = b->graph;
    const il_shape *shape = &graph->shape;
    add_norm(b, b->names->final_norm, 0);
    graph->head = add_matrix(b, shape->vocab_size, shape->d_model, false);
    (void)add_source(b, graph->head, shape->tied ? b->names->embedding : b->names->head, 0,
                     shape->vocab_size, shape->bias_head);
    add_linear(b, graph->head, IL__SLOT_NORM, IL__SLOT_LOGITS, 0, IL_EPILOGUE_NONE);
    if (!shape->tied) {
        name_tensor(b, graph->embedding, b->names->embedding, 0, ".weight");
    }
    if (shape->position != IL_POSITION_ROPE) {
        graph->position_offset = shape->position == IL_POSITION_LEARNED_OFFSET2 ? 2 : 0;
        graph->position.n =
            ((uint64_t)shape->n_positions + graph->position_offset) * shape->d_model;
        name_tensor(b, graph->position.name, b->names->position, 0, ".weight");
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
    graph->slot_width[IL__SLOT_ROUTER] = shape->n_expert;
    graph->slot_width[IL__SLOT_EXPERT] = shape->n_expert > 0 ? shape->d_model : 0;
    graph->slot_width[IL__SLOT_LOGITS] = shape->vocab_size;
}

/* What of the shape this engine has no operation for; NULL when it has all. */
static const char *missing_operation(const il_shape *shape)
{
    const struct {
        bool needed;
        const char *what;
    } needs[] = {
        {shape->attn_sinks, "attention sinks"},
        {shape->n_expert > 0 && !shape->gated_ffn, "experts without a gate"},
        {shape->n_expert > 0 && (shape->bias_ffn || shape->post_norms || shape->parallel_residual),
         "experts with biases, norms of their own or a parallel residual"},
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

static int check_shape(const il_shape *shape, const il__names *names, il_error *err)
{
    char families[IL_NATIVE_FAMILIES_BYTES];
    il_native_families_text(families);
    if (!names) {
        (void)il_fail(err, IL_E_UNSUPPORTED, "the native engine has no graph for family %s",
                      il_arch_hf_name(shape->arch));
        il_error_hint(err, "it runs %s; the nearest is %s", families,
                      il_native_family_nearest(shape->arch));
        return IL_E_UNSUPPORTED;
    }
    const char *missing = missing_operation(shape);
    if (missing) {
        (void)il_fail(err, IL_E_UNSUPPORTED, "the native engine has no operation for %s", missing);
        il_error_hint(err, "it runs %s as published", families);
        return IL_E_UNSUPPORTED;
    }
    return IL_OK;
}

static size_t count_matrices(const il_shape *shape)
{
    size_t per_layer = shape->n_expert > 0 ? MATRICES_BESIDE_EXPERTS + 2 * (size_t)shape->n_expert
                                           : DENSE_MATRICES;
    return shape->n_layer * per_layer + 1;
}

int il__graph_build(const il_shape *shape, il_dtype dtype, il_isa isa, il_arena *arena,
                    il__graph *out, il_error *err)
{
    builder b = {.graph = out, .names = il__names_for(shape->arch), .isa = isa};
    int rc = check_shape(shape, b.names, err);
    if (rc != IL_OK) {
        return rc;
    }
    *out = (il__graph){.shape = *shape, .dtype = dtype};
    out->ops = il_arena_array(arena, (size_t)shape->n_layer * OPS_PER_LAYER + OPS_OUTSIDE,
                              sizeof *out->ops);
    out->matrices = il_arena_array(arena, count_matrices(shape), sizeof *out->matrices);
    b.experts =
        il_arena_array(arena, (size_t)shape->n_layer * shape->n_expert + 1, sizeof *b.experts);
    if (!out->ops || !out->matrices || !b.experts) {
        return il_fail(err, IL_E_NOMEM, "no memory for the graph of %u layers", shape->n_layer);
    }
    set_slot_widths(out);
    (void)add_op(&b, IL__OP_EMBED, IL__SLOT_X, IL__SLOT_X, 0);
    for (uint32_t layer = 0; layer < shape->n_layer; layer++) {
        build_layer(&b, layer);
    }
    (void)add_op(&b, IL__OP_SELECT, IL__SLOT_X, IL__SLOT_X, 0);
    build_ends(&b);
    assert(out->n_ops <= shape->n_layer * OPS_PER_LAYER + OPS_OUTSIDE);
    assert(out->n_matrices == count_matrices(shape));
    return IL_OK;
}
