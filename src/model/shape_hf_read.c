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

/* A chain of look-ups in one object: the first failure sticks, so that a chain needs one check. */
typedef struct reader {
    const json_t *obj;
    il_error *err;
    int rc;
} reader;

static void unsupported(reader *r, const char *key, const char *what)
{
    if (r->rc == IL_OK) {
        r->rc = il_fail(r->err, IL_E_UNSUPPORTED, "\"%s\": %s", key, what);
        il_error_hint(r->err, "measure this model with a backend of kind hf instead");
    }
}

/* A size with a usual value; `need` for those without. */
static void size(reader *r, const char *key, uint32_t *out)
{
    if (r->rc == IL_OK) {
        r->rc = il_json_get_u32(r->obj, key, false, out, r->err);
    }
}

static void need(reader *r, const char *key, uint32_t *out)
{
    if (r->rc == IL_OK) {
        r->rc = il_json_get_u32(r->obj, key, true, out, r->err);
    }
}

static void real(reader *r, const char *key, double *out)
{
    if (r->rc == IL_OK) {
        r->rc = il_json_get_f64(r->obj, key, false, out, r->err);
    }
}

static void need_real(reader *r, const char *key, double *out)
{
    if (r->rc == IL_OK) {
        r->rc = il_json_get_f64(r->obj, key, true, out, r->err);
    }
}

static void flag(reader *r, const char *key, bool *out)
{
    if (r->rc == IL_OK) {
        r->rc = il_json_get_bool(r->obj, key, false, out, r->err);
    }
}

static const char *text(reader *r, const char *key)
{
    const char *found = NULL;
    if (r->rc == IL_OK) {
        r->rc = il_json_get_text(r->obj, key, false, &found, r->err);
    }
    return found;
}

/* Keys that change the arithmetic in a way the shape cannot say. */
static void must_be(reader *r, const char *key, bool wanted, const char *what)
{
    bool value = wanted;
    flag(r, key, &value);
    if (value != wanted) {
        unsupported(r, key, what);
    }
}

static void must_be_null(reader *r, const char *key, const char *what)
{
    const json_t *value = json_object_get(r->obj, key);
    if (value && !json_is_null(value)) {
        unsupported(r, key, what);
    }
}

static void activation(reader *r, const char *key, il_shape *s)
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
    const char *name = text(r, key);
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i].name) == 0) {
            s->activation = names[i].activation;
            return;
        }
    }
    if (name) {
        r->rc = il_fail(r->err, IL_E_UNSUPPORTED,
                        "\"%s\": the activation \"%.40s\" is not supported", key, name);
    }
}

/* Head size when no key gives one: the width shared evenly. */
static void derive_heads(reader *r, il_shape *s)
{
    if (r->rc != IL_OK) {
        return;
    }
    if (s->n_kv_head == 0) {
        s->n_kv_head = s->n_head;
    }
    if (s->d_head == 0 && s->n_head > 0) {
        if (s->d_model % s->n_head != 0) {
            r->rc = il_fail(r->err, IL_E_INVALID, "%u heads do not divide the width %u", s->n_head,
                            s->d_model);
            il_error_hint(r->err, "choose a width that is a multiple of the heads");
            return;
        }
        s->d_head = s->d_model / s->n_head;
    }
    if (s->attn_scale == 0 && s->d_head > 0) {
        s->attn_scale = 1.0 / sqrt((double)s->d_head);
    }
}

/* --- rotary embedding ---------------------------------------------------------------------------
 */

static void rope_scaling(reader *r, il_shape *s)
{
    const char *type = text(r, "rope_type");
    type = type ? type : text(r, "type");
    if (!type || strcmp(type, "default") == 0) {
        return;
    }
    if (strcmp(type, "linear") == 0) {
        s->rope_scaling = IL_ROPE_LINEAR;
        need_real(r, "factor", &s->rope_factor);
        return;
    }
    s->rope_original_positions = s->n_positions;
    if (strcmp(type, "llama3") == 0) {
        s->rope_scaling = IL_ROPE_LLAMA3;
        need_real(r, "low_freq_factor", &s->rope_low_freq);
        need_real(r, "high_freq_factor", &s->rope_high_freq);
    } else if (strcmp(type, "yarn") == 0) {
        static const char *const refused[] = {"attention_factor", "mscale", "mscale_all_dim"};
        s->rope_scaling = IL_ROPE_YARN;
        s->rope_beta_fast = 32;
        s->rope_beta_slow = 1;
        s->rope_truncate = true;
        for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
            must_be_null(r, refused[i], "yarn is supported with its default scale only");
        }
        real(r, "beta_fast", &s->rope_beta_fast);
        real(r, "beta_slow", &s->rope_beta_slow);
        flag(r, "truncate", &s->rope_truncate);
    } else {
        r->rc = il_fail(r->err, IL_E_UNSUPPORTED, "rope scaling \"%.40s\" is not supported", type);
        il_error_hint(r->err, "supported are default, linear, llama3 and yarn");
    }
    need_real(r, "factor", &s->rope_factor);
    real(r, "original_max_position_embeddings", &s->rope_original_positions);
}

/* Both spellings: rope_theta and rope_scaling at the top, or all of it in rope_parameters, there
 * perhaps one object per kind of layer. */
static void rope(reader *r, const char *theta_key, il_shape *s)
{
    real(r, theta_key, &s->rope_theta);
    const json_t *node = json_object_get(r->obj, "rope_scaling");
    const json_t *parameters = json_object_get(r->obj, "rope_parameters");
    if (json_is_object(parameters)) {
        const json_t *full = json_object_get(parameters, "full_attention");
        reader sliding = {json_object_get(parameters, "sliding_attention"), r->err, r->rc};
        real(&sliding, "rope_theta", &s->rope_theta_local);
        r->rc = sliding.rc;
        node = full ? full : parameters;
    }
    if (json_is_object(node)) {
        reader in = {node, r->err, r->rc};
        real(&in, "rope_theta", &s->rope_theta);
        rope_scaling(&in, s);
        r->rc = in.rc;
    }
}

/* --- sliding windows ----------------------------------------------------------------------------
 */

/* layer_types as a period; the list is authoritative where there is one. */
static void layer_types(reader *r, il_shape *s)
{
    const json_t *types = json_object_get(r->obj, "layer_types");
    if (r->rc != IL_OK || !types || json_is_null(types)) {
        return;
    }
    if (!json_is_array(types) || json_array_size(types) != s->n_layer) {
        r->rc = il_fail(r->err, IL_E_INVALID, "\"layer_types\" must be a list of %u entries",
                        s->n_layer);
        return;
    }
    uint32_t first_full = 0, n_full = 0;
    bool periodic = true;
    for (uint32_t i = 0; i < s->n_layer; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        bool full = type && strcmp(type, "full_attention") == 0;
        if (!full && (!type || strcmp(type, "sliding_attention") != 0)) {
            unsupported(r, "layer_types", "only full_attention and sliding_attention");
            return;
        }
        first_full = full && !first_full ? i + 1 : first_full;
        n_full += full;
        periodic = periodic && (!full || (i + 1) % first_full == 0);
    }
    if (n_full == s->n_layer) {
        s->sliding_window = s->sliding_period = 0;
        return;
    }
    if (!periodic || (first_full && n_full != s->n_layer / first_full)) {
        unsupported(r, "layer_types", "full layers must come at a fixed period");
    }
    s->sliding_period = first_full; /* 0: every layer slides */
}

/* Qwen: a window that counts only when a second key switches it on, from a given layer upwards. */
static void optional_window(reader *r, il_shape *s)
{
    bool use = false;
    uint32_t window = 4096, from_layer = 28;
    flag(r, "use_sliding_window", &use);
    if (!use) {
        return;
    }
    size(r, "sliding_window", &window);
    size(r, "max_window_layers", &from_layer);
    if (from_layer == 0) {
        s->sliding_window = window;
    } else if (from_layer < s->n_layer) {
        unsupported(r, "max_window_layers", "windows in the upper layers only");
    }
}

static void window(reader *r, il_shape *s)
{
    const json_t *value = json_object_get(r->obj, "sliding_window");
    if (value && json_is_null(value)) {
        s->sliding_window = s->sliding_period = 0;
        return;
    }
    size(r, "sliding_window", &s->sliding_window);
    layer_types(r, s);
}

/* --- families -----------------------------------------------------------------------------------
 */

static void read_gpt2(reader *r, il_shape *s)
{
    bool scaled = true;
    need(r, "n_layer", &s->n_layer);
    need(r, "n_embd", &s->d_model);
    need(r, "n_head", &s->n_head);
    size(r, "n_inner", &s->d_ff);
    size(r, "n_positions", &s->n_positions);
    real(r, "layer_norm_epsilon", &s->norm_eps);
    activation(r, "activation_function", s);
    flag(r, "scale_attn_weights", &scaled);
    must_be(r, "scale_attn_by_inverse_layer_idx", false, "attention scaled by layer");
    must_be(r, "add_cross_attention", false, "cross-attention");
    if (s->d_ff == 0) {
        s->d_ff = s->d_model <= INT32_MAX / 4 ? 4 * s->d_model : INT32_MAX;
    }
    if (!scaled) {
        s->attn_scale = 1;
    }
    derive_heads(r, s);
}

static void read_opt(reader *r, il_shape *s)
{
    need(r, "num_hidden_layers", &s->n_layer);
    need(r, "hidden_size", &s->d_model);
    need(r, "num_attention_heads", &s->n_head);
    need(r, "ffn_dim", &s->d_ff);
    size(r, "max_position_embeddings", &s->n_positions);
    activation(r, "activation_function", s);
    flag(r, "enable_bias", &s->bias_qkv);
    s->bias_attn_out = s->bias_ffn = s->bias_qkv;
    must_be(r, "do_layer_norm_before", true, "norms after the residual (OPT-350m)");
    must_be(r, "layer_norm_elementwise_affine", true, "norms without weights");
    must_be(r, "_remove_final_layer_norm", false, "a model without final norm");
    uint32_t embed = s->d_model;
    size(r, "word_embed_proj_dim", &embed);
    if (embed != s->d_model) {
        unsupported(r, "word_embed_proj_dim", "embeddings projected to the width");
    }
    derive_heads(r, s);
}

static void read_neox(reader *r, il_shape *s)
{
    double rotary = 0.25;
    need(r, "num_hidden_layers", &s->n_layer);
    need(r, "hidden_size", &s->d_model);
    need(r, "num_attention_heads", &s->n_head);
    need(r, "intermediate_size", &s->d_ff);
    size(r, "max_position_embeddings", &s->n_positions);
    real(r, "layer_norm_eps", &s->norm_eps);
    activation(r, "hidden_act", s);
    flag(r, "use_parallel_residual", &s->parallel_residual);
    flag(r, "attention_bias", &s->bias_qkv);
    s->bias_attn_out = s->bias_qkv;
    rope(r, "rotary_emb_base", s);
    real(r, "rotary_pct", &rotary);
    reader parameters = {json_object_get(r->obj, "rope_parameters"), r->err, r->rc};
    real(&parameters, "partial_rotary_factor", &rotary);
    r->rc = parameters.rc;
    derive_heads(r, s);
    s->rope_dims = rotary > 0 && rotary <= 1 ? (uint32_t)(s->d_head * rotary) : 0;
}

static void read_experts(reader *r, il_shape *s)
{
    bool local = s->arch == IL_ARCH_MIXTRAL || s->arch == IL_ARCH_GPT_OSS;
    size(r, local ? "num_local_experts" : "num_experts", &s->n_expert);
    size(r, "num_experts_per_tok", &s->n_expert_used);
    if (!local) {
        flag(r, "norm_topk_prob", &s->norm_topk);
    }
    if (s->arch == IL_ARCH_OLMOE) {
        must_be_null(r, "clip_qkv", "clipped queries, keys and values");
    }
    if (s->arch == IL_ARCH_QWEN3_MOE) {
        uint32_t step = 1;
        size(r, "decoder_sparse_step", &step);
        if (step != 1 || json_array_size(json_object_get(r->obj, "mlp_only_layers")) > 0) {
            unsupported(r, "decoder_sparse_step", "dense layers between layers of experts");
        }
    }
}

static void read_gemma3(reader *r, il_shape *s)
{
    double scalar = 256;
    real(r, "query_pre_attn_scalar", &scalar);
    real(r, "rope_local_base_freq", &s->rope_theta_local);
    size(r, "sliding_window_pattern", &s->sliding_period);
    size(r, "_sliding_window_pattern", &s->sliding_period);
    must_be_null(r, "attn_logit_softcapping", "capped logits");
    must_be_null(r, "final_logit_softcapping", "capped logits");
    if (r->rc == IL_OK && !(scalar > 0)) {
        r->rc = il_fail(r->err, IL_E_INVALID, "\"query_pre_attn_scalar\" must be positive");
        return;
    }
    s->attn_scale = 1.0 / sqrt(scalar);
    s->embed_scale = sqrt((double)s->d_model);
}

/* The keys every family after Llama shares. */
static void read_llama_keys(reader *r, il_shape *s)
{
    need(r, "num_hidden_layers", &s->n_layer);
    need(r, "hidden_size", &s->d_model);
    if (s->arch == IL_ARCH_GEMMA3) { /* published files leave out what their 4b model has */
        s->n_head = 8;
        s->n_kv_head = 4;
        size(r, "num_attention_heads", &s->n_head);
    } else {
        need(r, "num_attention_heads", &s->n_head);
    }
    size(r, "num_key_value_heads", &s->n_kv_head);
    size(r, "head_dim", &s->d_head);
    need(r, s->arch == IL_ARCH_QWEN3_MOE ? "moe_intermediate_size" : "intermediate_size", &s->d_ff);
    size(r, "max_position_embeddings", &s->n_positions);
    real(r, "rms_norm_eps", &s->norm_eps);
    activation(r, s->arch == IL_ARCH_GEMMA3 ? "hidden_activation" : "hidden_act", s);
    rope(r, "rope_theta", s);
    if (s->arch != IL_ARCH_QWEN2 && s->arch != IL_ARCH_MISTRAL && s->arch != IL_ARCH_MIXTRAL) {
        flag(r, "attention_bias", &s->bias_qkv);
        s->bias_attn_out = s->bias_qkv;
    }
    if (s->arch == IL_ARCH_LLAMA) {
        flag(r, "mlp_bias", &s->bias_ffn);
    }
}

static void read_llama_like(reader *r, il_shape *s)
{
    read_llama_keys(r, s);
    if (s->n_expert > 0) {
        read_experts(r, s);
    }
    if (s->arch == IL_ARCH_GEMMA3) {
        read_gemma3(r, s);
    }
    derive_heads(r, s);
    s->rope_dims = s->d_head;
    switch (s->arch) {
    case IL_ARCH_MISTRAL:
    case IL_ARCH_MIXTRAL:
    case IL_ARCH_GEMMA3:
    case IL_ARCH_GPT_OSS:
        window(r, s);
        break;
    case IL_ARCH_QWEN2:
    case IL_ARCH_QWEN3:
    case IL_ARCH_QWEN3_MOE:
        optional_window(r, s);
        break;
    default:
        break;
    }
}

static int read_family(const json_t *config, il_shape *s, il_error *err)
{
    reader r = {config, err, IL_OK};
    size(&r, "vocab_size", &s->vocab_size);
    flag(&r, "tie_word_embeddings", &s->tied);
    switch (s->arch) {
    case IL_ARCH_GPT2:
        read_gpt2(&r, s);
        break;
    case IL_ARCH_GPT_NEOX:
        read_neox(&r, s);
        break;
    case IL_ARCH_OPT:
        read_opt(&r, s);
        break;
    default:
        read_llama_like(&r, s);
        break;
    }
    return r.rc;
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
