/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json → shape. What a file leaves out takes the reference implementation's default; what
 * the shape cannot express is refused by name rather than ignored.
 */
#include "model/shape.h"

#include "base/file.h"
#include "base/json.h"
#include "model/family.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CONFIG_BYTES = 16 << 20 };

static int unsupported(il_error *err, const char *key, const char *what)
{
    int rc = il_fail(err, IL_E_UNSUPPORTED, "\"%s\": %s", key, what);
    il_error_hint(err, "measure this model with a backend of kind hf instead");
    return rc;
}

/* Refuses a key that is there, not null and not the one value we implement. */
static int must_be_false(const json_t *config, const char *key, const char *what, il_error *err)
{
    bool value = false;
    int rc = il_json_get_bool(config, key, false, &value, err);
    return rc == IL_OK && value ? unsupported(err, key, what) : rc;
}

static int must_be_null(const json_t *config, const char *key, const char *what, il_error *err)
{
    const json_t *value = json_object_get(config, key);
    return value && !json_is_null(value) ? unsupported(err, key, what) : IL_OK;
}

/* A size under its key; `required` sizes have no usual value. */
static int size_of(const json_t *config, const char *key, bool required, uint32_t *out,
                   il_error *err)
{
    return il_json_get_u32(config, key, required, out, err);
}

static int read_activation(const json_t *config, const char *key, il_shape *s, il_error *err)
{
    static const struct {
        const char *name;
        il_activation activation;
    } names[] = {
        {"gelu_new", IL_ACTIVATION_GELU_TANH},  {"gelu_pytorch_tanh", IL_ACTIVATION_GELU_TANH},
        {"gelu_fast", IL_ACTIVATION_GELU_TANH}, {"gelu", IL_ACTIVATION_GELU_ERF},
        {"relu", IL_ACTIVATION_RELU},           {"silu", IL_ACTIVATION_SILU},
        {"swish", IL_ACTIVATION_SILU},
    };
    const char *text = NULL;
    int rc = il_json_get_text(config, key, false, &text, err);
    if (rc != IL_OK || !text) {
        return rc;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i].name) == 0) {
            s->activation = names[i].activation;
            return IL_OK;
        }
    }
    return il_fail(err, IL_E_UNSUPPORTED, "\"%s\": the activation \"%.40s\" is not supported", key,
                   text);
}

/* Head size when no key gives one: the width shared evenly. */
static int derive_heads(il_shape *s, il_error *err)
{
    if (s->n_kv_head == 0) {
        s->n_kv_head = s->n_head;
    }
    if (s->d_head == 0 && s->n_head > 0) {
        if (s->d_model % s->n_head != 0) {
            int rc = il_fail(err, IL_E_INVALID, "%u heads do not divide the width %u", s->n_head,
                             s->d_model);
            il_error_hint(err, "choose a width that is a multiple of the heads");
            return rc;
        }
        s->d_head = s->d_model / s->n_head;
    }
    if (s->attn_scale == 0 && s->d_head > 0) {
        s->attn_scale = 1.0 / sqrt((double)s->d_head);
    }
    return IL_OK;
}

/* --- rotary embedding ---------------------------------------------------------------------------
 */

static int read_rope_scaling(const json_t *node, il_shape *s, il_error *err)
{
    const char *type = NULL;
    int rc = il_json_get_text(node, "rope_type", false, &type, err);
    if (rc == IL_OK && !type) {
        rc = il_json_get_text(node, "type", false, &type, err);
    }
    if (rc != IL_OK || !type || strcmp(type, "default") == 0) {
        return rc;
    }
    if (strcmp(type, "linear") == 0) {
        s->rope_scaling = IL_ROPE_LINEAR;
        return il_json_get_f64(node, "factor", true, &s->rope_factor, err);
    }
    s->rope_original_positions = s->n_positions;
    if (strcmp(type, "llama3") == 0) {
        s->rope_scaling = IL_ROPE_LLAMA3;
        rc = il_json_get_f64(node, "factor", true, &s->rope_factor, err);
        if (rc == IL_OK) {
            rc = il_json_get_f64(node, "low_freq_factor", true, &s->rope_low_freq, err);
        }
        if (rc == IL_OK) {
            rc = il_json_get_f64(node, "high_freq_factor", true, &s->rope_high_freq, err);
        }
    } else if (strcmp(type, "yarn") == 0) {
        s->rope_scaling = IL_ROPE_YARN;
        s->rope_beta_fast = 32;
        s->rope_beta_slow = 1;
        s->rope_truncate = true;
        static const char *const refused[] = {"attention_factor", "mscale", "mscale_all_dim"};
        rc = il_json_get_f64(node, "factor", true, &s->rope_factor, err);
        for (size_t i = 0; rc == IL_OK && i < sizeof refused / sizeof *refused; i++) {
            rc = must_be_null(node, refused[i], "yarn is supported with its default scale only",
                              err);
        }
        if (rc == IL_OK) {
            rc = il_json_get_f64(node, "beta_fast", false, &s->rope_beta_fast, err);
        }
        if (rc == IL_OK) {
            rc = il_json_get_f64(node, "beta_slow", false, &s->rope_beta_slow, err);
        }
        if (rc == IL_OK) {
            rc = il_json_get_bool(node, "truncate", false, &s->rope_truncate, err);
        }
    } else {
        rc = il_fail(err, IL_E_UNSUPPORTED, "rope scaling \"%.40s\" is not supported", type);
        il_error_hint(err, "supported are default, linear, llama3 and yarn");
    }
    if (rc == IL_OK) {
        rc = il_json_get_f64(node, "original_max_position_embeddings", false,
                             &s->rope_original_positions, err);
    }
    return rc;
}

/* Both spellings: rope_theta and rope_scaling at the top, or all of it in rope_parameters, there
 * perhaps one object per kind of layer. */
static int read_rope(const json_t *config, const char *theta_key, il_shape *s, il_error *err)
{
    int rc = il_json_get_f64(config, theta_key, false, &s->rope_theta, err);
    const json_t *node = json_object_get(config, "rope_scaling");
    const json_t *parameters = json_object_get(config, "rope_parameters");
    if (json_is_object(parameters)) {
        const json_t *full = json_object_get(parameters, "full_attention");
        const json_t *sliding = json_object_get(parameters, "sliding_attention");
        node = full ? full : parameters;
        if (rc == IL_OK && json_is_object(sliding)) {
            rc = il_json_get_f64(sliding, "rope_theta", false, &s->rope_theta_local, err);
        }
        if (rc == IL_OK) {
            rc = il_json_get_f64(node, "rope_theta", false, &s->rope_theta, err);
        }
    }
    if (rc == IL_OK && json_is_object(node)) {
        rc = read_rope_scaling(node, s, err);
    }
    return rc;
}

static uint32_t fraction_of_head(uint32_t d_head, double fraction)
{
    return fraction > 0 && fraction <= 1 ? (uint32_t)(d_head * fraction) : 0;
}

/* --- sliding windows ----------------------------------------------------------------------------
 */

/* layer_types as a period; the list is authoritative where there is one. */
static int read_layer_types(const json_t *config, il_shape *s, il_error *err)
{
    const json_t *types = json_object_get(config, "layer_types");
    if (!types || json_is_null(types)) {
        return IL_OK;
    }
    if (!json_is_array(types) || json_array_size(types) != s->n_layer) {
        return il_fail(err, IL_E_INVALID, "\"layer_types\" must be a list of %u entries",
                       s->n_layer);
    }
    uint32_t first_full = 0, n_full = 0;
    for (uint32_t i = 0; i < s->n_layer; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!type ||
            (strcmp(type, "full_attention") != 0 && strcmp(type, "sliding_attention") != 0)) {
            return unsupported(err, "layer_types", "only full_attention and sliding_attention");
        }
        if (type[0] == 'f') {
            n_full++;
            first_full = first_full ? first_full : i + 1;
            if ((i + 1) % first_full != 0) {
                return unsupported(err, "layer_types", "full layers must come at a fixed period");
            }
        }
    }
    if (n_full == s->n_layer) {
        s->sliding_window = s->sliding_period = 0;
        return IL_OK;
    }
    s->sliding_period = first_full; /* 0: every layer slides */
    if (first_full && n_full != s->n_layer / first_full) {
        return unsupported(err, "layer_types", "full layers must come at a fixed period");
    }
    return IL_OK;
}

/* Qwen: a window that counts only when a second key switches it on, from a given layer upwards. */
static int read_optional_window(const json_t *config, il_shape *s, il_error *err)
{
    bool use = false;
    uint32_t window = 4096, from_layer = 28;
    int rc = il_json_get_bool(config, "use_sliding_window", false, &use, err);
    if (rc == IL_OK && use) {
        rc = size_of(config, "sliding_window", false, &window, err);
    }
    if (rc == IL_OK && use) {
        rc = size_of(config, "max_window_layers", false, &from_layer, err);
    }
    if (rc != IL_OK || !use || from_layer >= s->n_layer) {
        return rc;
    }
    if (from_layer > 0) {
        return unsupported(err, "max_window_layers", "windows in the upper layers only");
    }
    s->sliding_window = window;
    return IL_OK;
}

static int read_window(const json_t *config, il_shape *s, il_error *err)
{
    const json_t *window = json_object_get(config, "sliding_window");
    if (json_is_null(window) && window) {
        s->sliding_window = s->sliding_period = 0;
        return IL_OK;
    }
    int rc = size_of(config, "sliding_window", false, &s->sliding_window, err);
    if (rc == IL_OK) {
        rc = read_layer_types(config, s, err);
    }
    return rc;
}

/* --- families -----------------------------------------------------------------------------------
 */

static int read_gpt2(const json_t *config, il_shape *s, il_error *err)
{
    bool scaled = true;
    int rc = size_of(config, "n_layer", true, &s->n_layer, err);
    if (rc == IL_OK) {
        rc = size_of(config, "n_embd", true, &s->d_model, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "n_head", true, &s->n_head, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "n_inner", false, &s->d_ff, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "n_positions", false, &s->n_positions, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_f64(config, "layer_norm_epsilon", false, &s->norm_eps, err);
    }
    if (rc == IL_OK) {
        rc = read_activation(config, "activation_function", s, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_bool(config, "scale_attn_weights", false, &scaled, err);
    }
    if (rc == IL_OK) {
        rc = must_be_false(config, "scale_attn_by_inverse_layer_idx",
                           "attention scaled by layer is not supported", err);
    }
    if (rc == IL_OK) {
        rc = must_be_false(config, "add_cross_attention", "cross-attention is not supported", err);
    }
    if (rc == IL_OK && s->d_ff == 0) {
        s->d_ff = s->d_model <= INT32_MAX / 4 ? 4 * s->d_model : INT32_MAX;
    }
    if (rc == IL_OK && !scaled) {
        s->attn_scale = 1;
    }
    return rc == IL_OK ? derive_heads(s, err) : rc;
}

static int read_opt(const json_t *config, il_shape *s, il_error *err)
{
    int rc = size_of(config, "num_hidden_layers", true, &s->n_layer, err);
    bool pre_norm = true, bias = true, affine = true;
    if (rc == IL_OK) {
        rc = size_of(config, "hidden_size", true, &s->d_model, err);
    }
    uint32_t embed = s->d_model;
    if (rc == IL_OK) {
        rc = size_of(config, "num_attention_heads", true, &s->n_head, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "ffn_dim", true, &s->d_ff, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "max_position_embeddings", false, &s->n_positions, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "word_embed_proj_dim", false, &embed, err);
    }
    if (rc == IL_OK) {
        rc = read_activation(config, "activation_function", s, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_bool(config, "do_layer_norm_before", false, &pre_norm, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_bool(config, "enable_bias", false, &bias, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_bool(config, "layer_norm_elementwise_affine", false, &affine, err);
    }
    if (rc == IL_OK) {
        rc = must_be_false(config, "_remove_final_layer_norm", "the final norm is needed", err);
    }
    if (rc == IL_OK && embed != s->d_model) {
        rc = unsupported(err, "word_embed_proj_dim", "projected embeddings are not supported");
    }
    if (rc == IL_OK && !pre_norm) {
        rc = unsupported(err, "do_layer_norm_before", "norms after the residual (OPT-350m)");
    }
    if (rc == IL_OK && !affine) {
        rc = unsupported(err, "layer_norm_elementwise_affine", "norms without weights");
    }
    s->bias_qkv = s->bias_attn_out = s->bias_ffn = bias;
    return rc == IL_OK ? derive_heads(s, err) : rc;
}

static int read_neox(const json_t *config, il_shape *s, il_error *err)
{
    double rotary = 0.25;
    int rc = size_of(config, "num_hidden_layers", true, &s->n_layer, err);
    if (rc == IL_OK) {
        rc = size_of(config, "hidden_size", true, &s->d_model, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "num_attention_heads", true, &s->n_head, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "intermediate_size", true, &s->d_ff, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "max_position_embeddings", false, &s->n_positions, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_f64(config, "layer_norm_eps", false, &s->norm_eps, err);
    }
    if (rc == IL_OK) {
        rc = read_activation(config, "hidden_act", s, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_bool(config, "use_parallel_residual", false, &s->parallel_residual, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_bool(config, "attention_bias", false, &s->bias_qkv, err);
        s->bias_attn_out = s->bias_qkv;
    }
    if (rc == IL_OK) {
        rc = read_rope(config, "rotary_emb_base", s, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_f64(config, "rotary_pct", false, &rotary, err);
    }
    const json_t *parameters = json_object_get(config, "rope_parameters");
    if (rc == IL_OK && json_is_object(parameters)) {
        rc = il_json_get_f64(parameters, "partial_rotary_factor", false, &rotary, err);
    }
    if (rc == IL_OK) {
        rc = derive_heads(s, err);
    }
    s->rope_dims = fraction_of_head(s->d_head, rotary);
    return rc;
}

/* The keys every family after Llama shares. */
static int read_llama_keys(const json_t *config, il_shape *s, il_error *err)
{
    const char *ff_key =
        s->arch == IL_ARCH_QWEN3_MOE ? "moe_intermediate_size" : "intermediate_size";
    int rc = size_of(config, "num_hidden_layers", true, &s->n_layer, err);
    if (rc == IL_OK) {
        rc = size_of(config, "hidden_size", true, &s->d_model, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "num_attention_heads", true, &s->n_head, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "num_key_value_heads", false, &s->n_kv_head, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "head_dim", false, &s->d_head, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, ff_key, true, &s->d_ff, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "max_position_embeddings", false, &s->n_positions, err);
    }
    if (rc == IL_OK) {
        rc = il_json_get_f64(config, "rms_norm_eps", false, &s->norm_eps, err);
    }
    if (rc == IL_OK) {
        rc = read_activation(config, s->arch == IL_ARCH_GEMMA3 ? "hidden_activation" : "hidden_act",
                             s, err);
    }
    if (rc == IL_OK) {
        rc = read_rope(config, "rope_theta", s, err);
    }
    return rc;
}

static int read_biases(const json_t *config, il_shape *s, il_error *err)
{
    int rc = IL_OK;
    if (s->arch != IL_ARCH_QWEN2 && s->arch != IL_ARCH_MISTRAL && s->arch != IL_ARCH_MIXTRAL) {
        bool bias = s->bias_attn_out;
        rc = il_json_get_bool(config, "attention_bias", false, &bias, err);
        s->bias_qkv = s->bias_attn_out = bias;
    }
    if (rc == IL_OK && s->arch == IL_ARCH_LLAMA) {
        rc = il_json_get_bool(config, "mlp_bias", false, &s->bias_ffn, err);
    }
    return rc;
}

static int read_experts(const json_t *config, il_shape *s, il_error *err)
{
    if (s->n_expert == 0) {
        return IL_OK;
    }
    bool local = s->arch == IL_ARCH_MIXTRAL || s->arch == IL_ARCH_GPT_OSS;
    int rc = size_of(config, local ? "num_local_experts" : "num_experts", false, &s->n_expert, err);
    if (rc == IL_OK) {
        rc = size_of(config, "num_experts_per_tok", false, &s->n_expert_used, err);
    }
    if (rc == IL_OK && !local) {
        rc = il_json_get_bool(config, "norm_topk_prob", false, &s->norm_topk, err);
    }
    if (rc == IL_OK && s->arch == IL_ARCH_OLMOE) {
        rc = must_be_null(config, "clip_qkv", "clipped queries are not supported", err);
    }
    if (rc == IL_OK && s->arch == IL_ARCH_QWEN3_MOE) {
        uint32_t step = 1;
        rc = size_of(config, "decoder_sparse_step", false, &step, err);
        if (rc == IL_OK &&
            (step != 1 || json_array_size(json_object_get(config, "mlp_only_layers")) > 0)) {
            rc = unsupported(err, "decoder_sparse_step", "dense layers between layers of experts");
        }
    }
    return rc;
}

static int read_gemma3(const json_t *config, il_shape *s, il_error *err)
{
    double scalar = 256;
    int rc = il_json_get_f64(config, "query_pre_attn_scalar", false, &scalar, err);
    if (rc == IL_OK) {
        rc = il_json_get_f64(config, "rope_local_base_freq", false, &s->rope_theta_local, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "sliding_window_pattern", false, &s->sliding_period, err);
    }
    if (rc == IL_OK) {
        rc = size_of(config, "_sliding_window_pattern", false, &s->sliding_period, err);
    }
    if (rc == IL_OK) {
        rc = must_be_null(config, "attn_logit_softcapping", "capped logits", err);
    }
    if (rc == IL_OK) {
        rc = must_be_null(config, "final_logit_softcapping", "capped logits", err);
    }
    if (rc == IL_OK && !(scalar > 0)) {
        rc = il_fail(err, IL_E_INVALID, "\"query_pre_attn_scalar\" must be positive");
    }
    if (rc == IL_OK) {
        s->attn_scale = 1.0 / sqrt(scalar);
        s->embed_scale = sqrt((double)s->d_model);
    }
    return rc;
}

static int read_llama_like(const json_t *config, il_shape *s, il_error *err)
{
    int rc = read_llama_keys(config, s, err);
    if (rc == IL_OK) {
        rc = read_biases(config, s, err);
    }
    if (rc == IL_OK) {
        rc = read_experts(config, s, err);
    }
    if (rc == IL_OK && s->arch == IL_ARCH_GEMMA3) {
        rc = read_gemma3(config, s, err);
    }
    if (rc == IL_OK) {
        rc = derive_heads(s, err);
    }
    s->rope_dims = s->d_head;
    if (rc != IL_OK) {
        return rc;
    }
    switch (s->arch) {
    case IL_ARCH_MISTRAL:
    case IL_ARCH_MIXTRAL:
    case IL_ARCH_GEMMA3:
    case IL_ARCH_GPT_OSS:
        return read_window(config, s, err);
    case IL_ARCH_QWEN2:
    case IL_ARCH_QWEN3:
    case IL_ARCH_QWEN3_MOE:
        return read_optional_window(config, s, err);
    default:
        return IL_OK;
    }
}

static int read_family(const json_t *config, il_shape *s, il_error *err)
{
    int rc = size_of(config, "vocab_size", false, &s->vocab_size, err);
    if (rc == IL_OK) {
        rc = il_json_get_bool(config, "tie_word_embeddings", false, &s->tied, err);
    }
    if (rc != IL_OK) {
        return rc;
    }
    switch (s->arch) {
    case IL_ARCH_GPT2:
        return read_gpt2(config, s, err);
    case IL_ARCH_GPT_NEOX:
        return read_neox(config, s, err);
    case IL_ARCH_OPT:
        return read_opt(config, s, err);
    default:
        return read_llama_like(config, s, err);
    }
}

int il_shape_from_hf_config(const json_t *config, const char *origin, il_shape *out, il_error *err)
{
    const char *type = NULL;
    int rc;
    if (!json_is_object(config)) {
        rc = il_fail(err, IL_E_INVALID, "a model's configuration must be a JSON object");
        il_error_where(err, "%s", origin);
        return rc;
    }
    rc = il_json_get_text(config, "model_type", true, &type, err);
    const json_t *text_config = json_object_get(config, "text_config");
    if (rc == IL_OK && strcmp(type, "gemma3") == 0 && json_is_object(text_config)) {
        type = "gemma3_text"; /* the language half of a model that also sees */
        config = text_config;
    }
    il_arch arch = IL_ARCH_COUNT;
    if (rc == IL_OK) {
        arch = il__family_find(type);
        if (arch == IL_ARCH_COUNT || strcmp(type, il_arch_hf_name(arch)) != 0) {
            rc = il__family_unknown(type, true, err);
        }
    }
    il_shape shape;
    if (rc == IL_OK) {
        shape = *il__family_usual(arch);
        rc = read_family(config, &shape, err);
    }
    if (rc == IL_OK) {
        rc = il_shape_check(&shape, err);
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s", origin);
        return rc;
    }
    *out = shape;
    return IL_OK;
}

int il_shape_from_dir(const char *dir, il_shape *out, il_error *err)
{
    char path[4096];
    json_t *config = NULL;
    int rc = il_path_join(path, sizeof path, dir, "config.json");
    if (rc != IL_OK) {
        return il_fail(err, rc, "path too long: %.200s", dir);
    }
    rc = il_json_load(path, MOST_CONFIG_BYTES, &config, err);
    if (rc == IL_E_NOT_FOUND) {
        il_error_hint(err, "a model is a directory with config.json and model.safetensors; "
                           "inferlaw model make writes one");
    }
    if (rc == IL_OK) {
        rc = il_shape_from_hf_config(config, path, out, err);
    }
    if (rc == IL_OK) {
        (void)snprintf(out->name, sizeof out->name, "%s", il_path_base(dir));
    }
    json_decref(config);
    return rc;
}
