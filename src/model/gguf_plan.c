/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_plan.h"

#include "base/text.h"
#include "model/quant.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *hf, *gguf;
} whole_names[] =
    {
        {"transformer.wte", "token_embd"},
        {"model.embed_tokens", "token_embd"},
        {"gpt_neox.embed_in", "token_embd"},
        {"transformer.wpe", "position_embd"},
        {"transformer.ln_f", "output_norm"},
        {"model.norm", "output_norm"},
        {"gpt_neox.final_layer_norm", "output_norm"},
        {"lm_head", "output"},
        {"embed_out", "output"},
},
  layer_names[] = {
      {"ln_1", "attn_norm"},
      {"attn.c_attn", "attn_qkv"},
      {"attn.c_proj", "attn_output"},
      {"ln_2", "ffn_norm"},
      {"mlp.c_fc", "ffn_up"},
      {"mlp.c_proj", "ffn_down"},
      {"input_layernorm", "attn_norm"},
      {"post_attention_layernorm", "ffn_norm"}, /* Gemma 3: see il__gguf_name */
      {"attention.query_key_value", "attn_qkv"},
      {"attention.dense", "attn_output"},
      {"mlp.dense_h_to_4h", "ffn_up"},
      {"mlp.dense_4h_to_h", "ffn_down"},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"},
      {"self_attn.q_norm", "attn_q_norm"},
      {"self_attn.k_norm", "attn_k_norm"},
      {"pre_feedforward_layernorm", "ffn_norm"},
      {"post_feedforward_layernorm", "post_ffw_norm"},
      {"mlp.gate_proj", "ffn_gate"},
      {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"},
      {"mlp.gate", "ffn_gate_inp"},
      {"block_sparse_moe.gate", "ffn_gate_inp"},
      {"mlp.experts.0.gate_proj", "ffn_gate_exps"},
      {"mlp.experts.0.up_proj", "ffn_up_exps"},
      {"mlp.experts.0.down_proj", "ffn_down_exps"},
      {"block_sparse_moe.experts.0.w1", "ffn_gate_exps"},
      {"block_sparse_moe.experts.0.w3", "ffn_up_exps"},
      {"block_sparse_moe.experts.0.w2", "ffn_down_exps"},
};

static int unsupported(il_error *err, const char *what, const char *hint)
{
    int rc = il_fail(err, IL_E_UNSUPPORTED, "%s", what);
    il_error_hint(err, "%s", hint);
    return rc;
}

const char *il__gguf_architecture(const il_shape *s, il_error *err)
{
    static const char *const names[IL_ARCH_COUNT] = {
        [IL_ARCH_GPT2] = "gpt2",          [IL_ARCH_GPT_NEOX] = "gptneox",
        [IL_ARCH_LLAMA] = "llama",        [IL_ARCH_MISTRAL] = "llama",
        [IL_ARCH_QWEN2] = "qwen2",        [IL_ARCH_QWEN3] = "qwen3",
        [IL_ARCH_GEMMA3] = "gemma3",      [IL_ARCH_MIXTRAL] = "llama",
        [IL_ARCH_QWEN3_MOE] = "qwen3moe", [IL_ARCH_OLMOE] = "olmoe",
    };
    if (!names[s->arch]) {
        char what[96];
        (void)snprintf(what, sizeof what, "%s models are not written as GGUF",
                       il_arch_name(s->arch));
        (void)unsupported(err, what, "--format hf makes the Hugging Face directory");
        return NULL;
    }
    if (s->rope_scaling == IL_ROPE_YARN) {
        (void)unsupported(err, "yarn rope scaling is not written as GGUF",
                          "--format hf makes the Hugging Face directory");
        return NULL;
    }
    bool normalises = s->arch == IL_ARCH_MIXTRAL || s->arch == IL_ARCH_QWEN3_MOE;
    if (s->n_expert > 0 && s->norm_topk != normalises) {
        (void)unsupported(err,
                          normalises ? "llama.cpp always normalises this family's expert weights"
                                     : "llama.cpp never normalises this family's expert weights",
                          normalises ? "set norm_topk_prob to true"
                                     : "set norm_topk_prob to false");
        return NULL;
    }
    bool sixth = s->sliding_period == 6 || (s->sliding_period == 0 && s->n_layer < 6);
    if (s->arch == IL_ARCH_GEMMA3 && s->sliding_window && !sixth) {
        (void)unsupported(err, "llama.cpp knows Gemma 3 only with every sixth layer full",
                          "set sliding_window_pattern to 6");
        return NULL;
    }
    return names[s->arch];
}

/* --- names ----------------------------------------------------------------------------------- */

bool il__gguf_name(const il_shape *s, const il_tensor_info *info, char *out, size_t n)
{
    char stem[128];
    const char *ending = strrchr(info->name, '.');
    if (!ending) {
        return false;
    }
    (void)snprintf(stem, sizeof stem, "%.*s", (int)(ending - info->name), info->name);
    if (info->layer < 0) {
        for (size_t i = 0; i < sizeof whole_names / sizeof *whole_names; i++) {
            if (strcmp(stem, whole_names[i].hf) == 0) {
                (void)snprintf(out, n, "%s%s", whole_names[i].gguf, ending);
                return true;
            }
        }
        return false;
    }
    char layer[24];
    (void)snprintf(layer, sizeof layer, ".%" PRId32 ".", info->layer);
    const char *at = strstr(stem, layer);
    const char *rest = at ? at + strlen(layer) : "";
    for (size_t i = 0; i < sizeof layer_names / sizeof *layer_names; i++) {
        if (strcmp(rest, layer_names[i].hf) == 0) {
            const char *to = layer_names[i].gguf;
            if (s->post_norms && strcmp(rest, "post_attention_layernorm") == 0) {
                to =
                    "post_attention_norm"; /* it follows attention; elsewhere it precedes the FFN */
            }
            (void)snprintf(out, n, "blk.%" PRId32 ".%s%s", info->layer, to, ending);
            return true;
        }
    }
    return false;
}

static bool is_stem(const il__gguf_tensor *t, const char *stem)
{
    return strstr(t->name, stem) != NULL && il_text_ends(t->name, ".weight");
}

/* --- types ----------------------------------------------------------------------------------- */

/* The first eighth of the layers, the last, and every third between: where the mixed recipe of
 * llama.cpp spends more bits. */
static bool wants_more_bits(int32_t layer, uint32_t n_layer)
{
    uint32_t i = (uint32_t)layer, eighth = n_layer / 8;
    return i < eighth || i >= 7 * n_layer / 8 || (i - eighth) % 3 == 2;
}

static il_ggml_type wanted_type(const il_shape *s, il_gguf_recipe recipe, const il__gguf_tensor *t)
{
    static const il_ggml_type usual[] = {
#define USUAL(id, number, type) type,
        IL_GGUF_RECIPE_MAP(USUAL)
#undef USUAL
    };
    const il_tensor_info *info = t->parts;
    bool matrix = info->role == IL_ROLE_LINEAR || info->role == IL_ROLE_EMBEDDING ||
                  info->role == IL_ROLE_HEAD;
    if (!matrix || is_stem(t, "ffn_gate_inp")) {
        return IL_GGML_F32;
    }
    bool small = recipe == IL_GGUF_RECIPE_Q4_0 || recipe == IL_GGUF_RECIPE_Q4_K_M;
    bool head = info->role == IL_ROLE_HEAD || (info->role == IL_ROLE_EMBEDDING && s->tied);
    if (small && head) {
        return IL_GGML_Q6_K;
    }
    if (recipe == IL_GGUF_RECIPE_Q4_K_M && info->layer >= 0) {
        if (is_stem(t, "attn_qkv")) {
            return IL_GGML_Q5_K;
        }
        if ((is_stem(t, "attn_v") || is_stem(t, "ffn_down")) &&
            wants_more_bits(info->layer, s->n_layer)) {
            return IL_GGML_Q6_K;
        }
    }
    return usual[recipe];
}

/* What a row of n_columns can have instead: blocks of 32 of at least the bits, else fp16. */
static il_ggml_type fitting_type(il_ggml_type wanted, uint64_t n_columns)
{
    il_ggml_type type = wanted;
    if (il_quant_bytes(type, n_columns) == 0) {
        type = wanted == IL_GGML_Q6_K                             ? IL_GGML_Q8_0
               : wanted == IL_GGML_Q4_K || wanted == IL_GGML_Q5_K ? IL_GGML_Q5_0
                                                                  : IL_GGML_F16;
    }
    return il_quant_bytes(type, n_columns) ? type : IL_GGML_F16;
}

/* --- the list -------------------------------------------------------------------------------- */

il__gguf_order il__gguf_order_of(const il_shape *s, const il_tensor_info *info)
{
    bool pairs =
        s->arch == IL_ARCH_LLAMA || s->arch == IL_ARCH_MISTRAL || s->arch == IL_ARCH_MIXTRAL;
    if (info->transposed) {
        return IL__ORDER_TURNED;
    }
    if (pairs && (strstr(info->name, "q_proj") || strstr(info->name, "k_proj"))) {
        return IL__ORDER_ROPE_PAIRS;
    }
    return strstr(info->name, "query_key_value") ? IL__ORDER_HEADS_OF_QKV : IL__ORDER_AS_IS;
}

uint64_t il__gguf_source_row(const il__gguf_tensor *t, uint64_t row)
{
    if (t->order == IL__ORDER_ROPE_PAIRS) {
        uint64_t e = t->n_rows / t->n_heads, k = row % e;
        return row - k + k % 2 * (e / 2) + k / 2;
    }
    if (t->order == IL__ORDER_HEADS_OF_QKV) {
        uint64_t e = t->n_rows / t->n_heads / 3;
        uint64_t part = row / (e * t->n_heads), head = row / e % t->n_heads;
        return (head * 3 + part) * e + row % e;
    }
    return row;
}

static int add_tensor(const il_shape *s, il_gguf_recipe recipe, const il_tensor_info *info,
                      il__gguf_plan *plan, il_error *err)
{
    il__gguf_tensor *t = &plan->tensors[plan->n_tensors];
    *t = (il__gguf_tensor){.parts = info, .n_parts = 1, .stride = 3, .n_dims = info->n_dims};
    if (!il__gguf_name(s, info, t->name, sizeof t->name)) {
        return il_fail(err, IL_E_INTERNAL, "tensor %s has no GGUF name", info->name);
    }
    t->order = il__gguf_order_of(s, info);
    t->n_heads = strstr(info->name, "k_proj") ? s->n_kv_head : s->n_head;
    t->plus_one = info->role == IL_ROLE_NORM_WEIGHT && s->norm == IL_NORM_RMS_PLUS_ONE;
    bool turned = t->order == IL__ORDER_TURNED;
    t->n_rows = info->dims[turned ? 1 : 0];
    t->n_columns = info->n_dims == 1 ? 1 : info->dims[turned ? 0 : 1];
    t->dims[0] = info->n_dims == 1 ? t->n_rows : t->n_columns;
    t->dims[1] = t->n_rows;
    if (info->expert == 0) {
        t->n_parts = s->n_expert;
        t->n_dims = 3;
        t->dims[2] = s->n_expert;
    }
    t->wanted = wanted_type(s, recipe, t);
    t->type = fitting_type(t->wanted, t->dims[0]);
    plan->n_fallen += t->type != t->wanted;
    plan->n_quantised += il_ggml_layout_of((uint32_t)t->type)->block_values > 1;
    plan->n_tensors++;
    return IL_OK;
}

/* llama.cpp has no rule for Llama 3's scaling: it reads a divisor for each pair's frequency. */
static int add_rope_factors(const il_shape *s, il_arena *arena, il__gguf_plan *plan, il_error *err)
{
    uint32_t n = s->rope_dims / 2;
    float *values = il_arena_array(arena, n, sizeof *values);
    if (!values) {
        return il_fail(err, IL_E_NOMEM, "no memory for rope factors");
    }
    for (uint32_t i = 0; i < n; i++) {
        double wave = 2 * M_PI * pow(s->rope_theta, 2.0 * i / s->rope_dims);
        double turns = s->rope_original_positions / wave;
        double share = (turns - s->rope_low_freq) / (s->rope_high_freq - s->rope_low_freq);
        share = share < 0 ? 0 : share > 1 ? 1 : share;
        values[i] = (float)(1 / ((1 - share) / s->rope_factor + share));
    }
    plan->tensors[plan->n_tensors++] = (il__gguf_tensor){.name = "rope_freqs.weight",
                                                         .values = values,
                                                         .n_parts = 1,
                                                         .n_dims = 1,
                                                         .dims = {n},
                                                         .n_rows = n,
                                                         .n_columns = 1,
                                                         .type = IL_GGML_F32,
                                                         .wanted = IL_GGML_F32};
    return IL_OK;
}

int il__gguf_plan_make(const il_shape *shape, il_gguf_recipe recipe, il_arena *arena,
                       il__gguf_plan *out, il_error *err)
{
    *out = (il__gguf_plan){0};
    int rc = il_shape_tensor_list(shape, arena, &out->infos, &out->n_infos, err);
    if (rc != IL_OK) {
        return rc;
    }
    out->tensors = il_arena_array(arena, out->n_infos + 1, sizeof *out->tensors);
    if (!out->tensors) {
        return il_fail(err, IL_E_NOMEM, "no memory to plan %zu tensors", out->n_infos);
    }
    for (size_t i = 0; rc == IL_OK && i < out->n_infos; i++) {
        if (out->infos[i].expert <= 0) { /* the others are parts of the first */
            rc = add_tensor(shape, recipe, &out->infos[i], out, err);
        }
    }
    if (rc == IL_OK && shape->rope_scaling == IL_ROPE_LLAMA3) {
        rc = add_rope_factors(shape, arena, out, err);
    }
    return rc;
}

/* --- metadata -------------------------------------------------------------------------------- */

typedef struct keys {
    il_gguf_writer *w;
    const char *architecture;
    char text[96];
} keys;

static const char *key(keys *k, const char *name)
{
    (void)snprintf(k->text, sizeof k->text, "%s.%s", k->architecture, name);
    return k->text;
}

static void put_rope(keys *k, const il_shape *s)
{
    il_gguf_put_u32(k->w, key(k, "rope.dimension_count"), s->rope_dims);
    il_gguf_put_f32(k->w, key(k, "rope.freq_base"), (float)s->rope_theta);
    if (s->rope_theta_local > 0) {
        il_gguf_put_f32(k->w, key(k, "rope.freq_base_swa"), (float)s->rope_theta_local);
    }
    if (s->rope_scaling == IL_ROPE_LINEAR) {
        il_gguf_put_text(k->w, key(k, "rope.scaling.type"), "linear");
        il_gguf_put_f32(k->w, key(k, "rope.scaling.factor"), (float)s->rope_factor);
    }
}

void il__gguf_put_shape(il_gguf_writer *w, const il_shape *s, const char *architecture)
{
    keys k = {.w = w, .architecture = architecture};
    bool gemma = s->arch == IL_ARCH_GEMMA3;
    /* llama.cpp attends to the whole context in the other families: within the window both agree */
    bool capped = s->sliding_window > 0 && !gemma && s->sliding_window < s->n_positions;
    il_gguf_put_u32(w, key(&k, "context_length"), capped ? s->sliding_window : s->n_positions);
    il_gguf_put_u32(w, key(&k, "embedding_length"), s->d_model);
    il_gguf_put_u32(w, key(&k, "block_count"), s->n_layer);
    il_gguf_put_u32(w, key(&k, "feed_forward_length"), s->d_ff);
    il_gguf_put_u32(w, key(&k, "vocab_size"), s->vocab_size);
    il_gguf_put_u32(w, key(&k, "attention.head_count"), s->n_head);
    il_gguf_put_u32(w, key(&k, "attention.head_count_kv"), s->n_kv_head);
    il_gguf_put_f32(w,
                    key(&k, s->norm == IL_NORM_LAYER ? "attention.layer_norm_epsilon"
                                                     : "attention.layer_norm_rms_epsilon"),
                    (float)s->norm_eps);
    if (s->arch != IL_ARCH_GPT2) {
        il_gguf_put_u32(w, key(&k, "attention.key_length"), s->d_head);
        il_gguf_put_u32(w, key(&k, "attention.value_length"), s->d_head);
    }
    if (s->position == IL_POSITION_ROPE) {
        put_rope(&k, s);
    }
    if (s->arch == IL_ARCH_GPT_NEOX) {
        il_gguf_put_bool(w, key(&k, "use_parallel_residual"), s->parallel_residual);
    }
    if (gemma && s->sliding_window > 0) {
        il_gguf_put_u32(w, key(&k, "attention.sliding_window"), s->sliding_window);
    }
    if (s->n_expert > 0) {
        il_gguf_put_u32(w, key(&k, "expert_count"), s->n_expert);
        il_gguf_put_u32(w, key(&k, "expert_used_count"), s->n_expert_used);
        il_gguf_put_u32(w, key(&k, "expert_feed_forward_length"), s->d_ff);
    }
}
