/* SPDX-License-Identifier: Apache-2.0
 *
 * Shape → config.json in the spelling that old and new releases of transformers both read:
 * rope_theta and rope_scaling at the top, special tokens null so that nothing stops a generation.
 */
#include "model/shape.h"

#include "base/json.h"
#include "model/family.h"

#include <math.h>

/* Collects failures of json_object_set_new so that a chain of puts needs one check. */
typedef struct config_writer {
    json_t *obj;
    bool failed;
} config_writer;

static void put(config_writer *w, const char *key, json_t *value)
{
    if (!value || json_object_set_new(w->obj, key, value) != 0) {
        w->failed = true;
    }
}

static void put_int(config_writer *w, const char *key, uint32_t value)
{
    put(w, key, json_integer(value));
}

static void put_real(config_writer *w, const char *key, double value)
{
    put(w, key, il_json_real(value));
}

static void put_bool(config_writer *w, const char *key, bool value)
{
    put(w, key, json_boolean(value));
}

static const char *activation_name(il_activation activation, bool gemma)
{
    switch (activation) {
    case IL_ACTIVATION_GELU_TANH:
        return gemma ? "gelu_pytorch_tanh" : "gelu_new";
    case IL_ACTIVATION_GELU_ERF:
        return "gelu";
    case IL_ACTIVATION_RELU:
        return "relu";
    case IL_ACTIVATION_SILU:
        break;
    }
    return "silu";
}

static void put_rope_scaling(config_writer *w, const il_shape *s)
{
    if (s->rope_scaling == IL_ROPE_PLAIN) {
        put(w, "rope_scaling", json_null());
        return;
    }
    config_writer in = {.obj = json_object()};
    if (s->rope_scaling == IL_ROPE_LINEAR) {
        /* Releases from before Gemma 3 know "type" alone, and its own reader "rope_type" alone. */
        put(&in, s->arch == IL_ARCH_GEMMA3 ? "rope_type" : "type", json_string("linear"));
        put_real(&in, "factor", s->rope_factor);
    } else {
        bool llama3 = s->rope_scaling == IL_ROPE_LLAMA3;
        put(&in, "rope_type", json_string(llama3 ? "llama3" : "yarn"));
        put_real(&in, "factor", s->rope_factor);
        if (llama3) {
            put_real(&in, "low_freq_factor", s->rope_low_freq);
            put_real(&in, "high_freq_factor", s->rope_high_freq);
        } else {
            put_real(&in, "beta_fast", s->rope_beta_fast);
            put_real(&in, "beta_slow", s->rope_beta_slow);
            put_bool(&in, "truncate", s->rope_truncate);
        }
        put(&in, "original_max_position_embeddings",
            json_integer((json_int_t)s->rope_original_positions));
    }
    w->failed = w->failed || in.failed;
    put(w, "rope_scaling", in.obj);
}

static void put_gpt2(config_writer *w, const il_shape *s)
{
    put_int(w, "n_layer", s->n_layer);
    put_int(w, "n_embd", s->d_model);
    put_int(w, "n_head", s->n_head);
    put_int(w, "n_inner", s->d_ff);
    put_int(w, "n_positions", s->n_positions);
    put_int(w, "n_ctx", s->n_positions);
    put_real(w, "layer_norm_epsilon", s->norm_eps);
    put(w, "activation_function", json_string(activation_name(s->activation, false)));
    put_bool(w, "scale_attn_weights", s->attn_scale != 1 || s->d_head == 1);
}

static void put_opt(config_writer *w, const il_shape *s)
{
    put_int(w, "num_hidden_layers", s->n_layer);
    put_int(w, "hidden_size", s->d_model);
    put_int(w, "word_embed_proj_dim", s->d_model);
    put_int(w, "num_attention_heads", s->n_head);
    put_int(w, "ffn_dim", s->d_ff);
    put_int(w, "max_position_embeddings", s->n_positions);
    put(w, "activation_function", json_string(activation_name(s->activation, false)));
    put_bool(w, "do_layer_norm_before", true);
    put_bool(w, "enable_bias", s->bias_qkv);
}

static void put_neox(config_writer *w, const il_shape *s)
{
    put_int(w, "num_hidden_layers", s->n_layer);
    put_int(w, "hidden_size", s->d_model);
    put_int(w, "num_attention_heads", s->n_head);
    put_int(w, "intermediate_size", s->d_ff);
    put_int(w, "max_position_embeddings", s->n_positions);
    put_real(w, "layer_norm_eps", s->norm_eps);
    put(w, "hidden_act", json_string(activation_name(s->activation, false)));
    put_bool(w, "use_parallel_residual", s->parallel_residual);
    put_bool(w, "attention_bias", s->bias_qkv);
    double fraction = (double)s->rope_dims / s->d_head;
    while ((uint32_t)(s->d_head * fraction) < s->rope_dims) {
        fraction = nextafter(fraction, 2); /* readers truncate the product */
    }
    put_real(w, "rotary_pct", fraction);
    put_real(w, "rotary_emb_base", s->rope_theta);
    put_rope_scaling(w, s);
}

static void put_layer_types(config_writer *w, const il_shape *s)
{
    json_t *types = json_array();
    for (uint32_t i = 0; i < s->n_layer; i++) {
        bool full =
            s->sliding_window == 0 || (s->sliding_period > 0 && (i + 1) % s->sliding_period == 0);
        if (json_array_append_new(types,
                                  json_string(full ? "full_attention" : "sliding_attention"))) {
            w->failed = true;
            break;
        }
    }
    put(w, "layer_types", types);
}

static void put_windows(config_writer *w, const il_shape *s)
{
    switch (s->arch) {
    case IL_ARCH_QWEN2:
    case IL_ARCH_QWEN3:
    case IL_ARCH_QWEN3_MOE:
        put_bool(w, "use_sliding_window", s->sliding_window > 0);
        if (s->sliding_window > 0) {
            put_int(w, "sliding_window", s->sliding_window);
            put_int(w, "max_window_layers", 0);
        }
        return;
    case IL_ARCH_GEMMA3:
        put_int(w, "sliding_window_pattern", s->sliding_period);
        break;
    case IL_ARCH_MISTRAL:
    case IL_ARCH_MIXTRAL:
    case IL_ARCH_GPT_OSS:
        break;
    default:
        return;
    }
    put(w, "sliding_window", s->sliding_window ? json_integer(s->sliding_window) : json_null());
    if (s->sliding_window && s->sliding_period) {
        put_layer_types(w, s);
    }
}

static void put_experts(config_writer *w, const il_shape *s)
{
    bool local = s->arch == IL_ARCH_MIXTRAL || s->arch == IL_ARCH_GPT_OSS;
    put_int(w, local ? "num_local_experts" : "num_experts", s->n_expert);
    put_int(w, "num_experts_per_tok", s->n_expert_used);
    if (!local) {
        put_bool(w, "norm_topk_prob", s->norm_topk);
    }
    if (s->arch == IL_ARCH_QWEN3_MOE) {
        put_int(w, "moe_intermediate_size", s->d_ff);
        put_int(w, "decoder_sparse_step", 1);
        put(w, "mlp_only_layers", json_array());
    }
}

static void put_llama_like(config_writer *w, const il_shape *s)
{
    bool gemma = s->arch == IL_ARCH_GEMMA3;
    put_int(w, "num_hidden_layers", s->n_layer);
    put_int(w, "hidden_size", s->d_model);
    put_int(w, "num_attention_heads", s->n_head);
    put_int(w, "num_key_value_heads", s->n_kv_head);
    put_int(w, "head_dim", s->d_head);
    put_int(w, "intermediate_size", s->d_ff);
    put_int(w, "max_position_embeddings", s->n_positions);
    put_real(w, "rms_norm_eps", s->norm_eps);
    put(w, gemma ? "hidden_activation" : "hidden_act",
        json_string(activation_name(s->activation, gemma)));
    put_real(w, "rope_theta", s->rope_theta);
    put_rope_scaling(w, s);
    if (s->arch != IL_ARCH_QWEN2 && s->arch != IL_ARCH_MISTRAL && s->arch != IL_ARCH_MIXTRAL) {
        put_bool(w, "attention_bias", s->bias_qkv);
    }
    if (s->arch == IL_ARCH_LLAMA) {
        put_bool(w, "mlp_bias", s->bias_ffn);
    }
    if (gemma) {
        put_real(w, "rope_local_base_freq", s->rope_theta_local);
        /* An integer where it is one, as published. */
        double scalar = 1.0 / (s->attn_scale * s->attn_scale);
        double whole = (double)(int64_t)(scalar + 0.5);
        put(w, "query_pre_attn_scalar",
            scalar - whole < 1e-9 * scalar && whole - scalar < 1e-9 * scalar
                ? json_integer((json_int_t)whole)
                : il_json_real(scalar));
    }
    if (s->n_expert > 0) {
        put_experts(w, s);
    }
    put_windows(w, s);
}

json_t *il_shape_hf_config(const il_shape *shape)
{
    config_writer w = {.obj = json_object()};
    json_t *classes = json_array();
    if (json_array_append_new(classes, json_string(il__family_class(shape->arch))) != 0) {
        w.failed = true;
    }
    put(&w, "architectures", classes);
    put(&w, "model_type", json_string(il_arch_hf_name(shape->arch)));
    put_int(&w, "vocab_size", shape->vocab_size);
    switch (shape->arch) {
    case IL_ARCH_GPT2:
        put_gpt2(&w, shape);
        break;
    case IL_ARCH_OPT:
        put_opt(&w, shape);
        break;
    case IL_ARCH_GPT_NEOX:
        put_neox(&w, shape);
        break;
    default:
        put_llama_like(&w, shape);
        break;
    }
    put_bool(&w, "tie_word_embeddings", shape->tied);
    put(&w, "bos_token_id", json_null());
    put(&w, "eos_token_id", json_null());
    put(&w, "pad_token_id", json_null());
    if (w.failed) {
        json_decref(w.obj);
        return NULL;
    }
    return w.obj;
}
