/* SPDX-License-Identifier: Apache-2.0
 *
 * From a shape to its graph: embedding, layers, head.
 */
#include "model/onnx_plan.h"

#include "base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TENSORS_PER_EXPERT = 3 };
enum { OPSET = 21, OPSET_RMS = 23, IR_VERSION = 10, IR_VERSION_RMS = 11 };

#define LLAMA_STEMS                                                                                \
    .embedding = "model.embed_tokens", .final_norm = "model.norm", .head = "lm_head",              \
    .attn_norm = "input_layernorm", .q = "self_attn.q_proj", .k = "self_attn.k_proj",              \
    .v = "self_attn.v_proj", .attn_out = "self_attn.o_proj", .q_norm = "self_attn.q_norm",         \
    .k_norm = "self_attn.k_norm", .gate = "mlp.gate_proj", .up = "mlp.up_proj",                    \
    .down = "mlp.down_proj"

static const il__onnx_stems gpt2_stems =
                                {
                                    .embedding = "transformer.wte",
                                    .position = "transformer.wpe",
                                    .final_norm = "transformer.ln_f",
                                    .head = "lm_head",
                                    .attn_norm = "ln_1",
                                    .qkv = "attn.c_attn",
                                    .attn_out = "attn.c_proj",
                                    .ff_norm = "ln_2",
                                    .up = "mlp.c_fc",
                                    .down = "mlp.c_proj",
},
                            neox_stems =
                                {
                                    .embedding = "gpt_neox.embed_in",
                                    .final_norm = "gpt_neox.final_layer_norm",
                                    .head = "embed_out",
                                    .attn_norm = "input_layernorm",
                                    .qkv = "attention.query_key_value",
                                    .attn_out = "attention.dense",
                                    .ff_norm = "post_attention_layernorm",
                                    .up = "mlp.dense_h_to_4h",
                                    .down = "mlp.dense_4h_to_h",
},
                            opt_stems =
                                {
                                    .embedding = "model.decoder.embed_tokens",
                                    .position = "model.decoder.embed_positions",
                                    .final_norm = "model.decoder.final_layer_norm",
                                    .head = "lm_head",
                                    .attn_norm = "self_attn_layer_norm",
                                    .q = "self_attn.q_proj",
                                    .k = "self_attn.k_proj",
                                    .v = "self_attn.v_proj",
                                    .attn_out = "self_attn.out_proj",
                                    .ff_norm = "final_layer_norm",
                                    .up = "fc1",
                                    .down = "fc2",
},
                            llama_stems = {LLAMA_STEMS, .ff_norm = "post_attention_layernorm"},
                            gemma_stems = {LLAMA_STEMS,
                                           .attn_post_norm = "post_attention_layernorm",
                                           .ff_norm = "pre_feedforward_layernorm",
                                           .ff_post_norm = "post_feedforward_layernorm"};

#define EXPERT_STEMS(block, gate_name, up_name, down_name)                                         \
    .embedding = "model.embed_tokens", .final_norm = "model.norm", .head = "lm_head",              \
    .attn_norm = "input_layernorm", .q = "self_attn.q_proj", .k = "self_attn.k_proj",              \
    .v = "self_attn.v_proj", .attn_out = "self_attn.o_proj", .q_norm = "self_attn.q_norm",         \
    .k_norm = "self_attn.k_norm", .ff_norm = "post_attention_layernorm", .router = block ".gate",  \
    .gate = block ".experts.0." gate_name, .up = block ".experts.0." up_name,                      \
    .down = block ".experts.0." down_name

static const il__onnx_stems mixtral_stems = {EXPERT_STEMS("block_sparse_moe", "w1", "w3", "w2")},
                            moe_stems = {EXPERT_STEMS("mlp", "gate_proj", "up_proj", "down_proj")};

/* NULL: not written. */
static const il__onnx_stems *stems_of(il_arch arch)
{
    static const il__onnx_stems *const all[IL_ARCH_COUNT] = {
        [IL_ARCH_GPT2] = &gpt2_stems,       [IL_ARCH_GPT_NEOX] = &neox_stems,
        [IL_ARCH_OPT] = &opt_stems,         [IL_ARCH_LLAMA] = &llama_stems,
        [IL_ARCH_MISTRAL] = &llama_stems,   [IL_ARCH_QWEN2] = &llama_stems,
        [IL_ARCH_QWEN3] = &llama_stems,     [IL_ARCH_GEMMA3] = &gemma_stems,
        [IL_ARCH_MIXTRAL] = &mixtral_stems, [IL_ARCH_QWEN3_MOE] = &moe_stems,
        [IL_ARCH_OLMOE] = &moe_stems,
    };
    return all[arch];
}

/* --- pieces ---------------------------------------------------------------------------------- */

const il_tensor_info *il__onnx_find(const il__onnx_build *b, int32_t layer, const char *stem,
                                    const char *ending)
{
    char text[128];
    int n = layer < 0 ? snprintf(text, sizeof text, "%s.%s", stem, ending)
                      : snprintf(text, sizeof text, ".%" PRId32 ".%s.%s", layer, stem, ending);
    assert(n > 0 && (size_t)n < sizeof text);
    for (size_t i = 0; i < b->n_infos; i++) {
        const il_tensor_info *info = &b->infos[i];
        if (info->layer == layer &&
            (layer < 0 ? strcmp(info->name, text) == 0 : il_text_ends(info->name, text))) {
            return info;
        }
    }
    return NULL;
}

const char *il__onnx_op2(il__onnx_build *b, const char *type, const char *x, const char *y)
{
    return il__onnx_add(b->g, &(il__onnx_node){.type = type, .in = {x, y}});
}

/* Columns of the tensors side by side: a matrix [in, Σ out], or a vector [Σ out]. */
static const char *side_by_side(il__onnx_build *b, const il_tensor_info *const *parts, uint32_t n)
{
    const il_tensor_info *first = parts[0];
    bool as_is = first->transposed || (first->n_dims == 1 && n == 1);
    uint64_t columns = 0;
    il__onnx_tensor t = {.name = n == 1 ? first->name : il__onnx_name(b->g, "joined"),
                         .type = il__onnx_type_of(b->dtype),
                         .n_dims = first->n_dims,
                         .order = as_is ? IL__ONNX_AS_IS : IL__ONNX_TURNED,
                         .n_parts = n};
    assert(n <= IL__ONNX_PARTS && (!as_is || n == 1));
    for (uint32_t i = 0; i < n; i++) {
        t.parts[i] = parts[i];
        columns += parts[i]->dims[first->transposed ? 1 : 0];
    }
    if (first->n_dims == 1) {
        t.dims[0] = columns;
    } else {
        t.dims[0] = first->dims[first->transposed ? 0 : 1];
        t.dims[1] = columns;
    }
    if (strstr(first->name, "query_key_value")) {
        t.order = IL__ONNX_TURNED;
        t.interleaved_heads = b->s->n_head;
    }
    return il__onnx_add_tensor(b->g, &t);
}

const char *il__onnx_vector(il__onnx_build *b, const il_tensor_info *info)
{
    return side_by_side(b, &info, 1);
}

const char *il__onnx_linear(il__onnx_build *b, const char *x, const char *const *stems,
                            uint32_t n_stems)
{
    const il_tensor_info *weights[IL__ONNX_PARTS], *biases[IL__ONNX_PARTS];
    assert(n_stems <= IL__ONNX_PARTS);
    for (uint32_t i = 0; i < n_stems; i++) {
        weights[i] = il__onnx_find(b, b->layer, stems[i], "weight");
        biases[i] = il__onnx_find(b, b->layer, stems[i], "bias");
        assert(weights[i]); /* the stems are the family's */
    }
    const char *y = il__onnx_op2(b, "MatMul", x, side_by_side(b, weights, n_stems));
    return biases[0] ? il__onnx_op2(b, "Add", y, side_by_side(b, biases, n_stems)) : y;
}

/* The norm's weight, 1 + w where the family stores w. */
static const char *norm_weight(il__onnx_build *b, const il_tensor_info *info)
{
    return il__onnx_add_tensor(b->g,
                               &(il__onnx_tensor){.name = info->name,
                                                  .type = il__onnx_type_of(b->dtype),
                                                  .n_dims = 1,
                                                  .dims = {info->dims[0]},
                                                  .order = IL__ONNX_AS_IS,
                                                  .parts = {info},
                                                  .n_parts = 1,
                                                  .plus_one = b->s->norm == IL_NORM_RMS_PLUS_ONE});
}

const char *il__onnx_norm(il__onnx_build *b, const char *x, const char *stem, int32_t layer)
{
    const char *weight = norm_weight(b, il__onnx_find(b, layer, stem, "weight"));
    if (b->s->norm != IL_NORM_LAYER) {
        return il__onnx_add(b->g,
                            &(il__onnx_node){.type = "RMSNormalization",
                                             .in = {x, weight},
                                             .attrs = {{"axis", 'i', .i = -1},
                                                       {"epsilon", 'f', .f = b->s->norm_eps}}});
    }
    const char *bias = il__onnx_vector(b, il__onnx_find(b, layer, stem, "bias"));
    return il__onnx_add(b->g, &(il__onnx_node){.type = "LayerNormalization",
                                               .in = {x, weight, bias},
                                               .attrs = {{"axis", 'i', .i = -1},
                                                         {"epsilon", 'f', .f = b->s->norm_eps}}});
}

const char *il__onnx_norm_residual(il__onnx_build *b, const char *stem, int32_t layer)
{
    if (b->pending) {
        b->x = il__onnx_op2(b, "Add", b->x, b->pending);
        b->pending = NULL;
    }
    return il__onnx_norm(b, b->x, stem, layer);
}

/* --- layers ---------------------------------------------------------------------------------- */

static const char *activation(il__onnx_build *b, const char *x)
{
    switch (b->s->activation) {
    case IL_ACTIVATION_GELU_TANH:
        return il__onnx_add(b->g, &(il__onnx_node){.type = "Gelu",
                                                   .in = {x},
                                                   .attrs = {{"approximate", 's', .s = "tanh"}}});
    case IL_ACTIVATION_GELU_ERF:
        return il__onnx_add(b->g, &(il__onnx_node){.type = "Gelu", .in = {x}});
    case IL_ACTIVATION_RELU:
        return il__onnx_add(b->g, &(il__onnx_node){.type = "Relu", .in = {x}});
    default:
        return il__onnx_op2(b, "Mul", x,
                            il__onnx_add(b->g, &(il__onnx_node){.type = "Sigmoid", .in = {x}}));
    }
}

/* [expert, rows, in] of the parts' rows in turn: as MoE wants gate and up, and down. */
static const char *stacked(il__onnx_build *b, const char *const *stems, uint32_t n_stems)
{
    il__onnx_tensor t = {.name = il__onnx_name(b->g, "experts"),
                         .type = il__onnx_type_of(b->dtype),
                         .n_dims = 3,
                         .order = IL__ONNX_EXPERTS,
                         .n_parts = n_stems,
                         .stride = TENSORS_PER_EXPERT};
    for (uint32_t i = 0; i < n_stems; i++) {
        t.parts[i] = il__onnx_find(b, b->layer, stems[i], "weight");
    }
    t.dims[0] = b->s->n_expert;
    t.dims[1] = n_stems * t.parts[0]->dims[0];
    t.dims[2] = t.parts[0]->dims[1];
    return il__onnx_add_tensor(b->g, &t);
}

/* MoE of ONNX Runtime, which routes too. Its SwiGLU with these numbers is silu(gate) · up. */
static const char *experts(il__onnx_build *b, const char *x)
{
    const il__onnx_stems *n = b->stems;
    const char *gate_up[] = {n->gate, n->up};
    const char *dims =
        il__onnx_i64(b->g, il__onnx_name(b->g, "router_dims"), (int64_t[]){-1, b->s->n_expert}, 2);
    const char *logits = il__onnx_op2(b, "Reshape", il__onnx_linear(b, x, &n->router, 1), dims);
    il__onnx_node node = {.type = "MoE",
                          .contrib = true,
                          .in = {x, logits, stacked(b, gate_up, 2), NULL, stacked(b, &n->down, 1)},
                          .attrs = {{"k", 'i', .i = b->s->n_expert_used},
                                    {"normalize_routing_weights", 'i', .i = b->s->norm_topk},
                                    {"activation_type", 's', .s = "swiglu"},
                                    {"swiglu_fusion", 'i', .i = 1},
                                    {"activation_alpha", 'f', .f = 1},
                                    {"activation_beta", 'f', .f = 0}}};
    return il__onnx_add(b->g, &node);
}

static const char *feed_forward(il__onnx_build *b, const char *x)
{
    const il__onnx_stems *n = b->stems;
    const char *hidden;
    if (b->s->n_expert > 0) {
        return experts(b, x);
    }
    if (b->s->gated_ffn) {
        const char *gate = activation(b, il__onnx_linear(b, x, &n->gate, 1));
        hidden = il__onnx_op2(b, "Mul", gate, il__onnx_linear(b, x, &n->up, 1));
    } else {
        hidden = activation(b, il__onnx_linear(b, x, &n->up, 1));
    }
    return il__onnx_linear(b, hidden, &n->down, 1);
}

static void build_layer(il__onnx_build *b, uint32_t layer)
{
    const il__onnx_stems *n = b->stems;
    b->layer = (int32_t)layer;
    const char *x = il__onnx_norm_residual(b, n->attn_norm, b->layer);
    const char *mix = il__onnx_linear(b, il__onnx_build_attention(b, x), &n->attn_out, 1);
    if (b->s->parallel_residual) {
        x = il__onnx_norm(b, b->x, n->ff_norm, b->layer);
        b->pending = il__onnx_op2(b, "Add", mix, feed_forward(b, x));
        return;
    }
    b->pending = n->attn_post_norm ? il__onnx_norm(b, mix, n->attn_post_norm, b->layer) : mix;
    x = il__onnx_norm_residual(b, n->ff_norm, b->layer);
    const char *y = feed_forward(b, x);
    b->pending = n->ff_post_norm ? il__onnx_norm(b, y, n->ff_post_norm, b->layer) : y;
}

static void build_embedding(il__onnx_build *b)
{
    const il_tensor_info *table = il__onnx_find(b, -1, b->stems->embedding, "weight");
    il__onnx_tensor t = {.name = table->name,
                         .type = il__onnx_type_of(b->dtype),
                         .n_dims = 2,
                         .dims = {table->dims[0], table->dims[1]},
                         .order = IL__ONNX_AS_IS,
                         .parts = {table},
                         .n_parts = 1};
    b->x = il__onnx_op2(b, "Gather", il__onnx_add_tensor(b->g, &t), "input_ids");
    if (b->s->embed_scale != 1) {
        b->x = il__onnx_op2(b, "Mul", b->x,
                            il__onnx_const(b->g, "embed_scale", b->dtype, b->s->embed_scale));
    }
    if (b->s->position == IL_POSITION_ROPE) {
        return;
    }
    table = il__onnx_find(b, -1, b->stems->position, "weight");
    t.name = table->name;
    t.dims[0] = table->dims[0];
    t.parts[0] = table;
    const char *from = b->past1, *to = b->total1;
    if (b->s->position == IL_POSITION_LEARNED_OFFSET2) {
        const char *two = il__onnx_i64(b->g, "position_offset", (int64_t[]){2}, 1);
        from = il__onnx_op2(b, "Add", from, two);
        to = il__onnx_op2(b, "Add", to, two);
    }
    b->pending = il__onnx_add(
        b->g, &(il__onnx_node){.type = "Slice",
                               .in = {il__onnx_add_tensor(b->g, &t), from, to, b->zero1}});
    /* [seq, width] spreads over the batch; the residual needs it spread */
    b->x = il__onnx_op2(b, "Add", b->x, b->pending);
    b->pending = NULL;
}

static void build_head(il__onnx_build *b)
{
    const il_shape *s = b->s;
    if (b->pending) {
        b->x = il__onnx_op2(b, "Add", b->x, b->pending);
    }
    const char *end = il__onnx_i64(b->g, "no_end", (int64_t[]){INT64_MAX}, 1);
    const char *x = il__onnx_add(
        b->g, &(il__onnx_node){.type = "Slice", .in = {b->x, "logits_from", end, b->axis1}});
    x = il__onnx_norm(b, x, b->stems->final_norm, -1);
    const il_tensor_info *info =
        il__onnx_find(b, -1, s->tied ? b->stems->embedding : b->stems->head, "weight");
    const char *head =
        il__onnx_add_tensor(b->g, &(il__onnx_tensor){.name = s->tied ? "head.weight" : info->name,
                                                     .type = il__onnx_type_of(b->dtype),
                                                     .n_dims = 2,
                                                     .dims = {s->d_model, s->vocab_size},
                                                     .order = IL__ONNX_TURNED,
                                                     .parts = {info},
                                                     .n_parts = 1});
    bool wide = b->dtype == IL_DTYPE_F32;
    (void)il__onnx_add(b->g, &(il__onnx_node){.type = "MatMul",
                                              .in = {x, head},
                                              .out = {wide ? "logits" : "logits_narrow"}});
    if (!wide) {
        (void)il__onnx_add(b->g, &(il__onnx_node){.type = "Cast",
                                                  .in = {"logits_narrow"},
                                                  .out = {"logits"},
                                                  .attrs = {{"to", 'i', .i = IL__ONNX_FLOAT}}});
    }
    (void)il__onnx_add(
        b->g, &(il__onnx_node){.type = "ArgMax",
                               .in = {"logits"},
                               .out = {"next_ids"},
                               .attrs = {{"axis", 'i', .i = -1}, {"keepdims", 'i', .i = 0}}});
}

static void build_ends(il__onnx_build *b)
{
    const il_shape *s = b->s;
    il__onnx_graph *g = b->g;
    const il__onnx_dim batch = {.word = "batch"}, seq = {.word = "seq"}, one = {.n = 1};
    const il__onnx_dim asked = {.word = "asked"}, vocab = {.n = s->vocab_size};
    il__onnx_type type = il__onnx_type_of(b->dtype);
    il__onnx_add_input(g, "input_ids", IL__ONNX_INT64, (il__onnx_dim[]){batch, seq}, 2);
    il__onnx_add_input(g, "past_length", IL__ONNX_INT64, &one, 1);
    il__onnx_add_input(g, "logits_from", IL__ONNX_INT64, &one, 1);
    il__onnx_add_output(g, "logits", IL__ONNX_FLOAT, (il__onnx_dim[]){batch, asked, vocab}, 3);
    il__onnx_add_output(g, "next_ids", IL__ONNX_INT64, (il__onnx_dim[]){batch, asked}, 2);
    for (uint32_t layer = 0; layer < s->n_layer; layer++) {
        for (int i = 0; i < 2; i++) {
            char name[64];
            il__onnx_dim dims[] = {batch, {.n = s->n_kv_head}, {.word = "past"}, {.n = s->d_head}};
            (void)snprintf(name, sizeof name, "past_key_values.%" PRIu32 ".%s", layer,
                           i ? "value" : "key");
            il__onnx_add_input(g, name, type, dims, 4);
            dims[2].word = "total";
            (void)snprintf(name, sizeof name, "present.%" PRIu32 ".%s", layer, i ? "value" : "key");
            il__onnx_add_output(g, name, type, dims, 4);
        }
    }
}

/* --- the plan -------------------------------------------------------------------------------- */

static int check_shape(const il_shape *s, il_error *err)
{
    const struct {
        bool needed;
        const char *what;
    } needs[] = {
        {s->attn_sinks, "attention sinks"},
        {s->n_expert > 0 && (!s->gated_ffn || s->activation != IL_ACTIVATION_SILU || s->bias_ffn),
         "experts other than silu(gate) · up"},
        {s->bias_head, "a bias on the head"},
    };
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < sizeof needs / sizeof *needs; i++) {
        if (needs[i].needed) {
            rc = il_fail(err, IL_E_UNSUPPORTED, "%s models with %s are not written as ONNX",
                         il_arch_name(s->arch), needs[i].what);
        }
    }
    if (rc == IL_OK && !stems_of(s->arch)) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "%s models are not written as ONNX",
                     il_arch_name(s->arch));
    }
    if (rc != IL_OK) {
        il_error_hint(err, "--format hf makes the Hugging Face directory");
    }
    return rc;
}

/* GroupQueryAttention takes head sizes of multiples of 8. */
static int choose_ops(const il_shape *s, il_onnx_ops wanted, il_onnx_ops *out, il_error *err)
{
    bool fits = s->d_head % 8 == 0;
    *out = wanted != IL_ONNX_OPS_AUTO ? wanted : fits ? IL_ONNX_OPS_CONTRIB : IL_ONNX_OPS_STANDARD;
    if (*out == IL_ONNX_OPS_CONTRIB && !fits) {
        int rc =
            il_fail(err, IL_E_UNSUPPORTED,
                    "ONNX Runtime's GroupQueryAttention takes head sizes that are multiples of "
                    "8; this one is %" PRIu32,
                    s->d_head);
        il_error_hint(err, "leave --onnx-ops at auto, or say standard");
        return rc;
    }
    if (*out == IL_ONNX_OPS_STANDARD && s->n_expert > 0) {
        int rc = il_fail(err, IL_E_UNSUPPORTED,
                         "layers of experts are written with ONNX Runtime's MoE operator alone%s",
                         fits ? "" : ", which comes with head sizes that are multiples of 8");
        il_error_hint(err, fits ? "leave --onnx-ops at auto, or say contrib"
                                : "--format hf makes the Hugging Face directory");
        return rc;
    }
    return IL_OK;
}

int il__onnx_plan_make(const il_shape *shape, const il_onnx_options *options, il_arena *arena,
                       il__onnx_plan *out, il_error *err)
{
    *out = (il__onnx_plan){0};
    il__onnx_graph_init(&out->graph, arena);
    int rc = check_shape(shape, err);
    rc = rc ? rc : choose_ops(shape, options->ops, &out->ops, err);
    rc = rc ? rc : il_shape_tensor_list(shape, arena, &out->infos, &out->n_infos, err);
    if (rc != IL_OK) {
        return rc;
    }
    bool layer_norm = shape->norm == IL_NORM_LAYER;
    out->opset = layer_norm ? OPSET : OPSET_RMS;
    out->ir_version = layer_norm ? IR_VERSION : IR_VERSION_RMS;
    il__onnx_build b = {.g = &out->graph,
                        .s = shape,
                        .stems = stems_of(shape->arch),
                        .infos = out->infos,
                        .n_infos = out->n_infos,
                        .dtype = options->dtype,
                        .contrib = out->ops == IL_ONNX_OPS_CONTRIB,
                        .layer = -1};
    b.rope_tables = b.contrib && il__onnx_tables_pay(shape);
    build_ends(&b);
    il__onnx_build_shared(&b);
    build_embedding(&b);
    for (uint32_t layer = 0; layer < shape->n_layer; layer++) {
        build_layer(&b, layer);
    }
    build_head(&b);
    const il__onnx_graph *g = &out->graph;
    rc = g->rc ? g->rc : g->nodes.status ? g->nodes.status : g->inputs.status;
    rc = rc ? rc : g->outputs.status;
    return rc ? il_fail(err, rc, "no memory for the graph of %" PRIu32 " layers", shape->n_layer)
              : IL_OK;
}

void il__onnx_plan_free(il__onnx_plan *plan)
{
    il__onnx_graph_free(&plan->graph);
}
