/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_shape.h"

#include "base/text.h"
#include "model/family.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    il_arch arch;
} architectures[] = {
    {"gpt2", IL_ARCH_GPT2},     {"gptneox", IL_ARCH_GPT_NEOX}, {"llama", IL_ARCH_LLAMA},
    {"qwen2", IL_ARCH_QWEN2},   {"qwen3", IL_ARCH_QWEN3},      {"qwen3moe", IL_ARCH_QWEN3_MOE},
    {"gemma3", IL_ARCH_GEMMA3}, {"olmoe", IL_ARCH_OLMOE},
};
enum { N_ARCHITECTURES = sizeof architectures / sizeof *architectures };

typedef struct reader {
    const il_gguf *file;
    char architecture[32];
    char key[96];
    il_error *err;
    int rc;
} reader;

static const char *key(reader *r, const char *name)
{
    (void)snprintf(r->key, sizeof r->key, "%s.%s", r->architecture, name);
    return r->key;
}

static void refuse(reader *r, const char *what, const char *hint)
{
    if (r->rc == IL_OK) {
        r->rc = il_fail(r->err, IL_E_UNSUPPORTED, "%s: %s", r->key, what);
        il_error_hint(r->err, "%s", hint);
    }
}

static void size(reader *r, const char *name, bool required, uint32_t *out)
{
    if (r->rc != IL_OK) {
        return;
    }
    int64_t n = *out;
    const il_gguf_value *v = il_gguf_find(r->file, key(r, name));
    if (v && v->type == IL_GGUF_ARRAY) {
        refuse(r, "a number for each layer is not supported",
               "the native engine runs models whose layers are alike");
        return;
    }
    r->rc = il_gguf_get_i64(r->file, r->key, required, &n, r->err);
    if (r->rc == IL_OK && (n < 0 || n > UINT32_MAX)) {
        r->rc = il_fail(r->err, IL_E_DAMAGED, "%s is %lld", r->key, (long long)n);
    }
    *out = r->rc == IL_OK ? (uint32_t)n : *out;
}

static void real(reader *r, const char *name, bool required, double *out)
{
    if (r->rc == IL_OK) {
        r->rc = il_gguf_get_f64(r->file, key(r, name), required, out, r->err);
    }
}

static bool has(const reader *r, const char *tensor)
{
    return il_gguf_tensor_find(r->file, tensor) != NULL;
}

static bool is_text(const char *text, size_t len, const char *wanted)
{
    return len == strlen(wanted) && memcmp(text, wanted, len) == 0;
}

/* --- which family ---------------------------------------------------------------------------- */

static int unknown_architecture(const char *word, il_error *err)
{
    const char *names[N_ARCHITECTURES];
    char all[128] = "";
    size_t n = 0;
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        names[i] = architectures[i].name;
        int more = snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", names[i]);
        n += more > 0 ? (size_t)more : 0;
    }
    const char *nearest = il_text_nearest(word, names, N_ARCHITECTURES);
    int rc =
        il_fail(err, IL_E_UNSUPPORTED, "the file's architecture \"%.40s\" is not supported", word);
    if (nearest) {
        il_error_hint(err, "the nearest supported one is \"%s\"; all are %s", nearest, all);
    } else {
        il_error_hint(err, "supported are %s", all);
    }
    return rc;
}

static int find_family(reader *r, il_arch *out)
{
    const char *text = "";
    size_t len = 0;
    int rc = il_gguf_get_text(r->file, "general.architecture", true, &text, &len, r->err);
    if (rc != IL_OK) {
        return rc;
    }
    (void)snprintf(r->architecture, sizeof r->architecture, "%.*s", (int)(len < 31 ? len : 31),
                   text);
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (is_text(text, len, architectures[i].name)) {
            *out = architectures[i].arch;
            int64_t n_expert = 0;
            rc = il_gguf_get_i64(r->file, key(r, "expert_count"), false, &n_expert, r->err);
            if (*out == IL_ARCH_LLAMA && n_expert > 0) {
                *out = IL_ARCH_MIXTRAL;
            }
            return rc;
        }
    }
    return unknown_architecture(r->architecture, r->err);
}

/* --- numbers --------------------------------------------------------------------------------- */

static void read_vocabulary(reader *r, il_shape *s)
{
    const il_gguf_tensor *table = il_gguf_tensor_find(r->file, "token_embd.weight");
    if (r->rc != IL_OK) {
        return;
    }
    if (!table || table->n_dims != 2 || table->dims[1] > UINT32_MAX) {
        r->rc = il_fail(r->err, IL_E_DAMAGED, "the file has no table token_embd.weight");
        return;
    }
    s->vocab_size = (uint32_t)table->dims[1];
    s->tied = !has(r, "output.weight");
    s->bias_head = has(r, "output.bias");
}

static void read_heads(reader *r, il_shape *s)
{
    uint32_t value_size = 0;
    size(r, "attention.head_count", true, &s->n_head);
    s->n_kv_head = s->n_head;
    size(r, "attention.head_count_kv", false, &s->n_kv_head);
    s->d_head = s->n_head > 0 ? s->d_model / s->n_head : 0;
    size(r, "attention.key_length", false, &s->d_head);
    value_size = s->d_head;
    size(r, "attention.value_length", false, &value_size);
    if (value_size != s->d_head) {
        refuse(r, "values of another size than keys are not supported",
               "the native engine runs models with one head size");
    }
    s->attn_scale = s->d_head > 0 ? 1.0 / sqrt((double)s->d_head) : 0;
}

static void read_rope(reader *r, il_shape *s)
{
    const char *type = "none";
    size_t len = 4;
    s->rope_dims = s->d_head;
    s->rope_theta = 1e4;
    size(r, "rope.dimension_count", false, &s->rope_dims);
    real(r, "rope.freq_base", false, &s->rope_theta);
    if (r->rc == IL_OK) {
        r->rc = il_gguf_get_text(r->file, key(r, "rope.scaling.type"), false, &type, &len, r->err);
    }
    if (r->rc != IL_OK || is_text(type, len, "none")) {
        return;
    }
    if (!is_text(type, len, "linear")) {
        refuse(r, "this scaling is not read from GGUF files",
               "the checkpoint directory of the model has all that the native engine needs");
        return;
    }
    s->rope_scaling = IL_ROPE_LINEAR;
    real(r, "rope.scaling.factor", true, &s->rope_factor);
}

static void read_gemma(reader *r, il_shape *s)
{
    enum { LAYERS_OF_27B = 62 };
    double cap = 0;
    real(r, "final_logit_softcapping", false, &cap);
    if (cap != 0) {
        refuse(r, "capped logits are not supported", "Gemma 3 as published has none");
    }
    s->sliding_window = 0;
    size(r, "attention.sliding_window", false, &s->sliding_window);
    size(r, "attention.sliding_window_pattern", false, &s->sliding_period);
    real(r, "rope.freq_base_swa", false, &s->rope_theta_local);
    s->embed_scale = sqrt((double)s->d_model);
    /* The one size whose scale is not that of its heads; no key says so. */
    if (s->n_layer == LAYERS_OF_27B && s->n_head > 0) {
        s->attn_scale = 1.0 / sqrt((double)s->d_model / s->n_head);
    }
}

static void read_experts(reader *r, il_shape *s)
{
    size(r, "expert_count", true, &s->n_expert);
    size(r, "expert_used_count", true, &s->n_expert_used);
    size(r, "expert_feed_forward_length", false, &s->d_ff);
    s->norm_topk = s->arch != IL_ARCH_OLMOE; /* llama.cpp's rule: the family decides */
    if (has(r, "blk.0.ffn_gate_inp_shexp.weight") || has(r, "blk.0.ffn_up_shexp.weight")) {
        refuse(r, "experts that every token shares are not supported",
               "the native engine runs Mixtral, Qwen 3 MoE and OLMoE");
    }
}

static void read_numbers(reader *r, il_shape *s)
{
    bool layer_norm = s->norm == IL_NORM_LAYER;
    size(r, "context_length", true, &s->n_positions);
    size(r, "embedding_length", true, &s->d_model);
    size(r, "block_count", true, &s->n_layer);
    size(r, "feed_forward_length", s->n_expert == 0, &s->d_ff);
    real(r, layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", true,
         &s->norm_eps);
    read_heads(r, s);
    read_vocabulary(r, s);
    if (s->position == IL_POSITION_ROPE) {
        read_rope(r, s);
    }
    if (s->n_expert > 0) {
        read_experts(r, s);
    }
    if (s->arch == IL_ARCH_GEMMA3) {
        read_gemma(r, s);
    }
    if (s->arch == IL_ARCH_GPT_NEOX && r->rc == IL_OK) {
        r->rc = il_gguf_get_bool(r->file, key(r, "use_parallel_residual"), &s->parallel_residual,
                                 r->err);
    }
    if (s->norm != IL_NORM_LAYER) { /* elsewhere the family has them or not */
        s->bias_qkv = has(r, "blk.0.attn_q.bias");
        s->bias_attn_out = has(r, "blk.0.attn_output.bias");
        s->bias_ffn = has(r, "blk.0.ffn_up.bias");
    }
}

int il_shape_from_gguf(const il_gguf *file, il_shape *out, il_error *err)
{
    reader r = {.file = file, .err = err};
    il_arch arch = IL_ARCH_COUNT;
    const char *name = "";
    size_t len = 0;
    int rc = find_family(&r, &arch);
    if (rc != IL_OK) {
        return rc;
    }
    *out = *il__family_usual(arch);
    read_numbers(&r, out);
    rc = r.rc ? r.rc : il_gguf_get_text(file, "general.name", false, &name, &len, err);
    (void)snprintf(out->name, sizeof out->name, "%.*s", (int)(len < 95 ? len : 95), name);
    return rc ? rc : il_shape_check(out, err);
}
