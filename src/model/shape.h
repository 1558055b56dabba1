/* SPDX-License-Identifier: Apache-2.0
 *
 * A shape: the architecture of a decoder-only transformer as numbers. Everything that measures,
 * counts, builds or names a model reads these numbers and nothing else about its family.
 *
 * Notation: L layers, d width, h heads, k KV heads, e head size, f feed-forward width, V
 * vocabulary.
 */
#ifndef IL_MODEL_SHAPE_H
#define IL_MODEL_SHAPE_H

#include "inferlaw/dtype.h"
#include "base/arena.h"
#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* id, Hugging Face model_type, canonical name of the family here */
#define IL_ARCH_MAP(X)                                                                             \
    X(GPT2, "gpt2", "gpt2")                                                                        \
    X(GPT_NEOX, "gpt_neox", "pythia")                                                              \
    X(OPT, "opt", "opt")                                                                           \
    X(LLAMA, "llama", "llama")                                                                     \
    X(MISTRAL, "mistral", "mistral")                                                               \
    X(QWEN2, "qwen2", "qwen2.5")                                                                   \
    X(QWEN3, "qwen3", "qwen3")                                                                     \
    X(QWEN3_MOE, "qwen3_moe", "qwen3-moe")                                                         \
    X(GEMMA3, "gemma3_text", "gemma3")                                                             \
    X(MIXTRAL, "mixtral", "mixtral")                                                               \
    X(OLMOE, "olmoe", "olmoe")                                                                     \
    X(GPT_OSS, "gpt_oss", "gpt-oss")

typedef enum il_arch {
#define IL_ARCH_ENUM(id, hf, name) IL_ARCH_##id,
    IL_ARCH_MAP(IL_ARCH_ENUM)
#undef IL_ARCH_ENUM
        IL_ARCH_COUNT
} il_arch;

typedef enum il_norm { IL_NORM_LAYER, IL_NORM_RMS, IL_NORM_RMS_PLUS_ONE } il_norm;
typedef enum il_position {
    IL_POSITION_LEARNED,
    IL_POSITION_LEARNED_OFFSET2,
    IL_POSITION_ROPE
} il_position;
typedef enum il_activation {
    IL_ACTIVATION_GELU_TANH, /* gelu_new */
    IL_ACTIVATION_GELU_ERF,
    IL_ACTIVATION_RELU,
    IL_ACTIVATION_SILU,
} il_activation;
typedef enum il_rope_scaling {
    IL_ROPE_PLAIN,
    IL_ROPE_LINEAR,
    IL_ROPE_LLAMA3,
    IL_ROPE_YARN,
} il_rope_scaling;

/* All counts are exact; nothing is derived lazily. A zeroed struct is not a valid shape. */
typedef struct il_shape {
    il_arch arch;
    char name[96]; /* "gpt2-25m"; empty when unnamed */

    uint32_t n_layer, d_model, n_head, n_kv_head, d_head; /* h·e need not equal d */
    uint32_t d_ff;                                        /* of a dense layer, or of one expert */
    uint32_t vocab_size;                                  /* rows of the embedding */
    uint32_t n_positions; /* longest context the checkpoint declares */

    il_norm norm;
    double norm_eps;
    bool qk_norm;          /* RMS norm on q and k per head (Qwen 3, Gemma 3) or whole row (OLMoE) */
    bool qk_norm_full_row; /* OLMoE */
    bool post_norms;       /* extra norms after attention and FFN (Gemma 3) */
    il_position position;
    double rope_theta;
    double rope_theta_local; /* of sliding layers, 0 = as rope_theta (Gemma 3) */
    uint32_t rope_dims;      /* rotated dims of a head, even, ≤ d_head (NeoX rotary_pct) */
    il_rope_scaling rope_scaling;
    double rope_factor, rope_low_freq, rope_high_freq, rope_original_positions; /* llama3 */
    double rope_beta_fast, rope_beta_slow;                                      /* yarn */
    bool rope_truncate; /* yarn: the ramp's ends are rounded to whole dims (gpt-oss: not) */

    il_activation activation;
    bool gated_ffn; /* down(act(gate) · up); else proj(act(fc)) */
    bool bias_qkv, bias_attn_out, bias_ffn, bias_head;
    bool parallel_residual;  /* NeoX: attention and FFN read the same residual */
    bool tied;               /* the head is the embedding */
    double embed_scale;      /* multiplies embeddings, 1 unless Gemma (√d) */
    double attn_scale;       /* of q·k, usually 1/√e */
    uint32_t sliding_window; /* 0 = full attention in every layer */
    uint32_t
        sliding_period; /* every sliding_period-th layer is full; 0 with a window = all slide */
    bool attn_sinks;    /* gpt-oss: a learned logit per head joins the softmax */

    uint32_t n_expert, n_expert_used; /* 0, 0 for dense */
    bool norm_topk;
} il_shape;

/* --- where shapes come from ------------------------------------------------------------------ */

/* From a parsed Hugging Face config.json. `origin` names the file in errors. An unknown model_type
 * is IL_E_UNSUPPORTED naming it and the nearest supported one; a shape that does not hold together
 * (heads that KV heads do not divide, zero sizes, odd rope dims…) is IL_E_INVALID. */
int il_shape_from_hf_config(const json_t *config, const char *origin, il_shape *out, il_error *err);
/* From DIR/config.json. */
int il_shape_from_dir(const char *dir, il_shape *out, il_error *err);
/* From "family=gpt2,n_layer=12,d_model=768,n_head=12[,n_kv_head=,d_head=,d_ff=,vocab_size=,
 * n_positions=,tied=]"; what is left out takes the family's usual value. */
int il_shape_from_flags(const char *text, il_shape *out, il_error *err);
/* The Hugging Face config.json of a shape, one that transformers loads. NULL when memory is out. */
json_t *il_shape_hf_config(const il_shape *shape);
/* IL_OK when the numbers hold together, else IL_E_INVALID with the reason. */
int il_shape_check(const il_shape *shape, il_error *err);
const char *il_arch_name(il_arch arch);    /* "llama" */
const char *il_arch_hf_name(il_arch arch); /* model_type */

/* --- tensors ---------------------------------------------------------------------------------- */

typedef enum il_tensor_role {
    IL_ROLE_EMBEDDING,
    IL_ROLE_POSITION,
    IL_ROLE_NORM_WEIGHT,
    IL_ROLE_NORM_BIAS,
    IL_ROLE_LINEAR, /* a matrix */
    IL_ROLE_LINEAR_BIAS,
    IL_ROLE_HEAD,
    IL_ROLE_SINKS,
} il_tensor_role;

typedef struct il_tensor_info {
    char name[128]; /* canonical Hugging Face name, as "transformer.h.0.attn.c_attn.weight" */
    il_tensor_role role;
    uint32_t n_dims;  /* 1 to 3 (experts) */
    uint64_t dims[3]; /* Hugging Face layout, row-major */
    uint64_t fan_in;  /* of a linear; 0 otherwise */
    bool transposed;  /* Conv1D of GPT-2: stored [in, out] instead of [out, in] */
    int32_t layer;    /* −1 outside layers */
    int32_t expert;   /* −1 when not of an expert */
} il_tensor_info;

/* Calls visit once per stored tensor of the checkpoint, in file order (tied heads are not stored).
 * A non-zero return of visit stops and is returned. */
int il_shape_each_tensor(const il_shape *shape, int (*visit)(const il_tensor_info *, void *user),
                         void *user);
/* All of them as an array in the arena. NOMEM. */
int il_shape_tensor_list(const il_shape *shape, il_arena *arena, il_tensor_info **out, size_t *n,
                         il_error *err);

/* --- counts ----------------------------------------------------------------------------------- */

typedef struct il_param_counts {
    uint64_t total;         /* every stored weight, a tied head once */
    uint64_t non_embedding; /* total less token embedding, position table and untied head */
    uint64_t active;        /* total with only the routed experts of a token */
    uint64_t read_per_step; /* weights one decode step reads at batch 1: layers (routed experts),
                               final norm, head, one embedding row and one position row */
} il_param_counts;

int il_shape_count(const il_shape *shape, il_param_counts *out, il_error *err);
/* Bytes read by one decode step: weights at dtype plus the KV cache of context_tok positions read
 * and one written (at most the window, which counts the token itself), for `batch` sequences
 * (weights once, with experts a lower bound beyond batch 1; embedding rows once a sequence). */
uint64_t il_shape_bytes_per_step(const il_shape *shape, il_dtype dtype, il_dtype kv_dtype,
                                 uint32_t batch, uint32_t context_tok);
/* Model FLOPs of a forward pass of n_tok new tokens on a context of context_tok: 2 per weight and
 * token (of matrices; no embedding look-up; head only at n_logits positions a sequence) + attention
 * 4·h·e·Σ window-capped context per layer. */
double il_shape_flops(const il_shape *shape, uint32_t batch, uint32_t n_tok, uint32_t context_tok,
                      uint32_t n_logits);
/* KV-cache bytes of one position of one sequence, all layers. */
uint64_t il_shape_kv_bytes_per_token(const il_shape *shape, il_dtype kv_dtype);

#endif
