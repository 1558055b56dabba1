/* SPDX-License-Identifier: Apache-2.0
 *
 * The stored tensors of every family, in file order, under the names Hugging Face checkpoints use.
 */
#include "model/shape.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The visitor, its first refusal, and where in the model the walk is. */
typedef struct walk {
    int (*visit)(const il_tensor_info *, void *);
    void *user;
    int rc;
    int32_t layer, expert;
    const char *prefix; /* of the layer's tensors: "model.layers." */
} walk;

static void emit(walk *w, const il_tensor_info *like, const char *name)
{
    if (w->rc != 0) {
        return;
    }
    il_tensor_info info = *like;
    info.layer = w->layer;
    info.expert = w->expert;
    if (w->layer < 0) {
        (void)snprintf(info.name, sizeof info.name, "%s", name);
    } else {
        (void)snprintf(info.name, sizeof info.name, "%s%d.%s", w->prefix, w->layer, name);
    }
    w->rc = w->visit(&info, w->user);
}

static void vector(walk *w, il_tensor_role role, const char *name, uint64_t n)
{
    emit(w, &(il_tensor_info){.role = role, .n_dims = 1, .dims = {n}}, name);
}

static void table(walk *w, il_tensor_role role, const char *name, uint64_t rows, uint64_t columns)
{
    emit(w, &(il_tensor_info){.role = role, .n_dims = 2, .dims = {rows, columns}}, name);
}

/* NAME.weight and, with bias, NAME.bias. */
static void norm(walk *w, const char *name, uint64_t n, bool bias)
{
    char text[96];
    (void)snprintf(text, sizeof text, "%s.weight", name);
    vector(w, IL_ROLE_NORM_WEIGHT, text, n);
    if (bias) {
        (void)snprintf(text, sizeof text, "%s.bias", name);
        vector(w, IL_ROLE_NORM_BIAS, text, n);
    }
}

static void linear_stored(walk *w, const char *name, uint64_t n_out, uint64_t n_in, bool bias,
                          bool transposed)
{
    char text[96];
    il_tensor_info info = {
        .role = IL_ROLE_LINEAR,
        .n_dims = 2,
        .dims = {transposed ? n_in : n_out, transposed ? n_out : n_in},
        .fan_in = n_in,
        .transposed = transposed,
    };
    (void)snprintf(text, sizeof text, "%s.weight", name);
    emit(w, &info, text);
    if (bias) {
        (void)snprintf(text, sizeof text, "%s.bias", name);
        vector(w, IL_ROLE_LINEAR_BIAS, text, n_out);
    }
}

static void linear(walk *w, const char *name, uint64_t n_out, uint64_t n_in, bool bias)
{
    linear_stored(w, name, n_out, n_in, bias, false);
}

static void head(walk *w, const il_shape *s, const char *name)
{
    w->layer = -1;
    if (!s->tied) {
        emit(w,
             &(il_tensor_info){.role = IL_ROLE_HEAD,
                               .n_dims = 2,
                               .dims = {s->vocab_size, s->d_model},
                               .fan_in = s->d_model},
             name);
    }
}

static void walk_gpt2(walk *w, const il_shape *s)
{
    uint64_t d = s->d_model, f = s->d_ff;
    table(w, IL_ROLE_EMBEDDING, "transformer.wte.weight", s->vocab_size, d);
    table(w, IL_ROLE_POSITION, "transformer.wpe.weight", s->n_positions, d);
    w->prefix = "transformer.h.";
    for (uint32_t i = 0; w->rc == 0 && i < s->n_layer; i++) {
        w->layer = (int32_t)i;
        norm(w, "ln_1", d, true);
        linear_stored(w, "attn.c_attn", 3 * d, d, true, true);
        linear_stored(w, "attn.c_proj", d, d, true, true);
        norm(w, "ln_2", d, true);
        linear_stored(w, "mlp.c_fc", f, d, true, true);
        linear_stored(w, "mlp.c_proj", d, f, true, true);
    }
    w->layer = -1;
    norm(w, "transformer.ln_f", d, true);
    head(w, s, "lm_head.weight");
}

static void walk_neox(walk *w, const il_shape *s)
{
    uint64_t d = s->d_model, f = s->d_ff;
    table(w, IL_ROLE_EMBEDDING, "gpt_neox.embed_in.weight", s->vocab_size, d);
    w->prefix = "gpt_neox.layers.";
    for (uint32_t i = 0; w->rc == 0 && i < s->n_layer; i++) {
        w->layer = (int32_t)i;
        norm(w, "input_layernorm", d, true);
        norm(w, "post_attention_layernorm", d, true);
        linear(w, "attention.query_key_value", 3 * d, d, s->bias_qkv);
        linear(w, "attention.dense", d, d, s->bias_attn_out);
        linear(w, "mlp.dense_h_to_4h", f, d, s->bias_ffn);
        linear(w, "mlp.dense_4h_to_h", d, f, s->bias_ffn);
    }
    w->layer = -1;
    norm(w, "gpt_neox.final_layer_norm", d, true);
    head(w, s, "embed_out.weight");
}

static void walk_opt(walk *w, const il_shape *s)
{
    uint64_t d = s->d_model, f = s->d_ff;
    table(w, IL_ROLE_EMBEDDING, "model.decoder.embed_tokens.weight", s->vocab_size, d);
    table(w, IL_ROLE_POSITION, "model.decoder.embed_positions.weight", (uint64_t)s->n_positions + 2,
          d);
    norm(w, "model.decoder.final_layer_norm", d, true);
    w->prefix = "model.decoder.layers.";
    for (uint32_t i = 0; w->rc == 0 && i < s->n_layer; i++) {
        w->layer = (int32_t)i;
        linear(w, "self_attn.k_proj", d, d, s->bias_qkv);
        linear(w, "self_attn.v_proj", d, d, s->bias_qkv);
        linear(w, "self_attn.q_proj", d, d, s->bias_qkv);
        linear(w, "self_attn.out_proj", d, d, s->bias_attn_out);
        norm(w, "self_attn_layer_norm", d, true);
        linear(w, "fc1", f, d, s->bias_ffn);
        linear(w, "fc2", d, f, s->bias_ffn);
        norm(w, "final_layer_norm", d, true);
    }
    head(w, s, "lm_head.weight");
}

/* One tensor for all experts of a layer, stored [expert, in, out] (gpt-oss). */
static void fused_experts(walk *w, const il_shape *s)
{
    uint64_t d = s->d_model, f = s->d_ff, n = s->n_expert;
    linear(w, "mlp.router", n, d, true);
    emit(w,
         &(il_tensor_info){.role = IL_ROLE_LINEAR,
                           .n_dims = 3,
                           .dims = {n, d, 2 * f},
                           .fan_in = d,
                           .transposed = true},
         "mlp.experts.gate_up_proj");
    table(w, IL_ROLE_LINEAR_BIAS, "mlp.experts.gate_up_proj_bias", n, 2 * f);
    emit(w,
         &(il_tensor_info){.role = IL_ROLE_LINEAR,
                           .n_dims = 3,
                           .dims = {n, f, d},
                           .fan_in = f,
                           .transposed = true},
         "mlp.experts.down_proj");
    table(w, IL_ROLE_LINEAR_BIAS, "mlp.experts.down_proj_bias", n, d);
}

static void experts(walk *w, const il_shape *s)
{
    bool mixtral = s->arch == IL_ARCH_MIXTRAL;
    const char *block = mixtral ? "block_sparse_moe" : "mlp";
    static const char *const names[2][3] = {{"gate_proj", "up_proj", "down_proj"},
                                            {"w1", "w3", "w2"}};
    char text[96];
    (void)snprintf(text, sizeof text, "%s.gate", block);
    linear(w, text, s->n_expert, s->d_model, false);
    for (uint32_t i = 0; w->rc == 0 && i < s->n_expert; i++) {
        w->expert = (int32_t)i;
        for (int j = 0; j < 3; j++) {
            (void)snprintf(text, sizeof text, "%s.experts.%u.%s", block, i, names[mixtral][j]);
            linear(w, text, j < 2 ? s->d_ff : s->d_model, j < 2 ? s->d_model : s->d_ff, false);
        }
    }
    w->expert = -1;
}

static void feed_forward(walk *w, const il_shape *s)
{
    if (s->arch == IL_ARCH_GPT_OSS) {
        fused_experts(w, s);
    } else if (s->n_expert > 0) {
        experts(w, s);
    } else {
        linear(w, "mlp.gate_proj", s->d_ff, s->d_model, s->bias_ffn);
        linear(w, "mlp.up_proj", s->d_ff, s->d_model, s->bias_ffn);
        linear(w, "mlp.down_proj", s->d_model, s->d_ff, s->bias_ffn);
    }
}

static void walk_llama_like(walk *w, const il_shape *s)
{
    uint64_t d = s->d_model, e = s->d_head;
    uint64_t q = (uint64_t)s->n_head * e, kv = (uint64_t)s->n_kv_head * e;
    table(w, IL_ROLE_EMBEDDING, "model.embed_tokens.weight", s->vocab_size, d);
    w->prefix = "model.layers.";
    for (uint32_t i = 0; w->rc == 0 && i < s->n_layer; i++) {
        w->layer = (int32_t)i;
        norm(w, "input_layernorm", d, false);
        linear(w, "self_attn.q_proj", q, d, s->bias_qkv);
        linear(w, "self_attn.k_proj", kv, d, s->bias_qkv);
        linear(w, "self_attn.v_proj", kv, d, s->bias_qkv);
        linear(w, "self_attn.o_proj", d, q, s->bias_attn_out);
        if (s->qk_norm) {
            norm(w, "self_attn.q_norm", s->qk_norm_full_row ? q : e, false);
            norm(w, "self_attn.k_norm", s->qk_norm_full_row ? kv : e, false);
        }
        if (s->attn_sinks) {
            vector(w, IL_ROLE_SINKS, "self_attn.sinks", s->n_head);
        }
        norm(w, "post_attention_layernorm", d, false);
        if (s->post_norms) {
            norm(w, "pre_feedforward_layernorm", d, false);
        }
        feed_forward(w, s);
        if (s->post_norms) {
            norm(w, "post_feedforward_layernorm", d, false);
        }
    }
    w->layer = -1;
    norm(w, "model.norm", d, false);
    head(w, s, "lm_head.weight");
}

int il_shape_each_tensor(const il_shape *shape, int (*visit)(const il_tensor_info *, void *user),
                         void *user)
{
    walk w = {.visit = visit, .user = user, .layer = -1, .expert = -1};
    switch (shape->arch) {
    case IL_ARCH_GPT2:
        walk_gpt2(&w, shape);
        break;
    case IL_ARCH_GPT_NEOX:
        walk_neox(&w, shape);
        break;
    case IL_ARCH_OPT:
        walk_opt(&w, shape);
        break;
    default:
        walk_llama_like(&w, shape);
        break;
    }
    return w.rc;
}

typedef struct collector {
    il_tensor_info *infos; /* NULL: count only */
    size_t n;
} collector;

static int collect(const il_tensor_info *info, void *user)
{
    collector *c = user;
    if (c->infos) {
        c->infos[c->n] = *info;
    }
    c->n++;
    return 0;
}

int il_shape_tensor_list(const il_shape *shape, il_arena *arena, il_tensor_info **out, size_t *n,
                         il_error *err)
{
    collector c = {0};
    (void)il_shape_each_tensor(shape, collect, &c);
    *n = c.n;
    *out = il_arena_array(arena, c.n, sizeof **out);
    if (!*out) {
        return il_fail(err, IL_E_NOMEM, "no memory for a list of %zu tensors", c.n);
    }
    c = (collector){.infos = *out};
    (void)il_shape_each_tensor(shape, collect, &c);
    return IL_OK;
}
