/* SPDX-License-Identifier: Apache-2.0 */
#include "model/family.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const il_shape usual[IL_ARCH_COUNT] = {
    [IL_ARCH_GPT2] = {
        .arch = IL_ARCH_GPT2, .vocab_size = 50257, .n_positions = 1024,
        .norm = IL_NORM_LAYER, .norm_eps = 1e-5, .position = IL_POSITION_LEARNED,
        .activation = IL_ACTIVATION_GELU_TANH, .tied = true, .embed_scale = 1,
        .bias_qkv = true, .bias_attn_out = true, .bias_ffn = true,
    },
    [IL_ARCH_GPT_NEOX] = {
        .arch = IL_ARCH_GPT_NEOX, .vocab_size = 50432, .n_positions = 2048,
        .norm = IL_NORM_LAYER, .norm_eps = 1e-5, .position = IL_POSITION_ROPE, .rope_theta = 1e4,
        .activation = IL_ACTIVATION_GELU_ERF, .parallel_residual = true, .embed_scale = 1,
        .bias_qkv = true, .bias_attn_out = true, .bias_ffn = true,
    },
    [IL_ARCH_OPT] = {
        .arch = IL_ARCH_OPT, .vocab_size = 50272, .n_positions = 2048,
        .norm = IL_NORM_LAYER, .norm_eps = 1e-5, .position = IL_POSITION_LEARNED_OFFSET2,
        .activation = IL_ACTIVATION_RELU, .tied = true, .embed_scale = 1,
        .bias_qkv = true, .bias_attn_out = true, .bias_ffn = true,
    },
    [IL_ARCH_LLAMA] = {
        .arch = IL_ARCH_LLAMA, .vocab_size = 32000, .n_positions = 2048,
        .norm = IL_NORM_RMS, .norm_eps = 1e-6, .position = IL_POSITION_ROPE, .rope_theta = 1e4,
        .activation = IL_ACTIVATION_SILU, .gated_ffn = true, .embed_scale = 1,
    },
    [IL_ARCH_MISTRAL] = {
        .arch = IL_ARCH_MISTRAL, .vocab_size = 32000, .n_positions = 131072,
        .norm = IL_NORM_RMS, .norm_eps = 1e-6, .position = IL_POSITION_ROPE, .rope_theta = 1e4,
        .activation = IL_ACTIVATION_SILU, .gated_ffn = true, .embed_scale = 1,
        .sliding_window = 4096,
    },
    [IL_ARCH_QWEN2] = {
        .arch = IL_ARCH_QWEN2, .vocab_size = 151936, .n_positions = 32768,
        .norm = IL_NORM_RMS, .norm_eps = 1e-6, .position = IL_POSITION_ROPE, .rope_theta = 1e4,
        .activation = IL_ACTIVATION_SILU, .gated_ffn = true, .embed_scale = 1, .bias_qkv = true,
    },
    [IL_ARCH_QWEN3] = {
        .arch = IL_ARCH_QWEN3, .vocab_size = 151936, .n_positions = 32768, .d_head = 128,
        .norm = IL_NORM_RMS, .norm_eps = 1e-6, .position = IL_POSITION_ROPE, .rope_theta = 1e4,
        .activation = IL_ACTIVATION_SILU, .gated_ffn = true, .embed_scale = 1, .qk_norm = true,
    },
    [IL_ARCH_QWEN3_MOE] = {
        .arch = IL_ARCH_QWEN3_MOE, .vocab_size = 151936, .n_positions = 32768,
        .norm = IL_NORM_RMS, .norm_eps = 1e-6, .position = IL_POSITION_ROPE, .rope_theta = 1e4,
        .activation = IL_ACTIVATION_SILU, .gated_ffn = true, .embed_scale = 1, .qk_norm = true,
        .n_expert = 128, .n_expert_used = 8,
    },
    [IL_ARCH_GEMMA3] = {
        .arch = IL_ARCH_GEMMA3, .vocab_size = 262208, .n_positions = 131072, .d_head = 256,
        .norm = IL_NORM_RMS_PLUS_ONE, .norm_eps = 1e-6, .position = IL_POSITION_ROPE,
        .rope_theta = 1e6, .rope_theta_local = 1e4, .activation = IL_ACTIVATION_GELU_TANH,
        .gated_ffn = true, .embed_scale = 1, .qk_norm = true, .post_norms = true, .tied = true,
        .sliding_window = 4096, .sliding_period = 6,
    },
    [IL_ARCH_MIXTRAL] = {
        .arch = IL_ARCH_MIXTRAL, .vocab_size = 32000, .n_positions = 131072,
        .norm = IL_NORM_RMS, .norm_eps = 1e-5, .position = IL_POSITION_ROPE, .rope_theta = 1e6,
        .activation = IL_ACTIVATION_SILU, .gated_ffn = true, .embed_scale = 1,
        .n_expert = 8, .n_expert_used = 2, .norm_topk = true,
    },
    [IL_ARCH_OLMOE] = {
        .arch = IL_ARCH_OLMOE, .vocab_size = 50304, .n_positions = 4096,
        .norm = IL_NORM_RMS, .norm_eps = 1e-5, .position = IL_POSITION_ROPE, .rope_theta = 1e4,
        .activation = IL_ACTIVATION_SILU, .gated_ffn = true, .embed_scale = 1,
        .qk_norm = true, .qk_norm_full_row = true, .n_expert = 64, .n_expert_used = 8,
    },
    [IL_ARCH_GPT_OSS] = {
        .arch = IL_ARCH_GPT_OSS, .vocab_size = 201088, .n_positions = 131072, .d_head = 64,
        .norm = IL_NORM_RMS, .norm_eps = 1e-5, .position = IL_POSITION_ROPE, .rope_theta = 150000,
        .activation = IL_ACTIVATION_SILU, .gated_ffn = true, .embed_scale = 1,
        .bias_qkv = true, .bias_attn_out = true, .bias_ffn = true, .attn_sinks = true,
        .sliding_window = 128, .sliding_period = 2,
        .n_expert = 128, .n_expert_used = 4, .norm_topk = true,
    },
};

static const char *const classes[IL_ARCH_COUNT] = {
    [IL_ARCH_GPT2] = "GPT2LMHeadModel",
    [IL_ARCH_GPT_NEOX] = "GPTNeoXForCausalLM",
    [IL_ARCH_OPT] = "OPTForCausalLM",
    [IL_ARCH_LLAMA] = "LlamaForCausalLM",
    [IL_ARCH_MISTRAL] = "MistralForCausalLM",
    [IL_ARCH_QWEN2] = "Qwen2ForCausalLM",
    [IL_ARCH_QWEN3] = "Qwen3ForCausalLM",
    [IL_ARCH_QWEN3_MOE] = "Qwen3MoeForCausalLM",
    [IL_ARCH_GEMMA3] = "Gemma3ForCausalLM",
    [IL_ARCH_MIXTRAL] = "MixtralForCausalLM",
    [IL_ARCH_OLMOE] = "OlmoeForCausalLM",
    [IL_ARCH_GPT_OSS] = "GptOssForCausalLM",
};
/* clang-format on */

static const char *const hf_names[IL_ARCH_COUNT] = {
#define HF_NAME(id, hf, name) [IL_ARCH_##id] = hf,
    IL_ARCH_MAP(HF_NAME)
#undef HF_NAME
};

static const char *const our_names[IL_ARCH_COUNT] = {
#define OUR_NAME(id, hf, name) [IL_ARCH_##id] = name,
    IL_ARCH_MAP(OUR_NAME)
#undef OUR_NAME
};

const il_shape *il__family_usual(il_arch arch)
{
    return &usual[arch];
}

const char *il__family_class(il_arch arch)
{
    return classes[arch];
}

const char *il_arch_name(il_arch arch)
{
    return (unsigned)arch < IL_ARCH_COUNT ? our_names[arch] : "?";
}

const char *il_arch_hf_name(il_arch arch)
{
    return (unsigned)arch < IL_ARCH_COUNT ? hf_names[arch] : "?";
}

il_arch il__family_find(const char *name)
{
    for (unsigned a = 0; a < IL_ARCH_COUNT; a++) {
        if (strcmp(name, hf_names[a]) == 0 || strcmp(name, our_names[a]) == 0) {
            return (il_arch)a;
        }
    }
    return IL_ARCH_COUNT;
}

int il__family_unknown(const char *word, bool of_config, il_error *err)
{
    const char *const *names = of_config ? hf_names : our_names;
    int rc = il_fail(err, IL_E_UNSUPPORTED,
                     of_config ? "model_type \"%.80s\" is not supported"
                               : "unknown model family \"%.80s\"",
                     word);
    const char *nearest = il_text_nearest(word, names, IL_ARCH_COUNT);
    if (nearest) {
        il_error_hint(err, "the nearest supported one is \"%s\"", nearest);
        return rc;
    }
    char all[256] = "";
    size_t n = 0;
    for (unsigned a = 0; a < IL_ARCH_COUNT; a++) {
        int more = snprintf(all + n, sizeof all - n, "%s%s", a ? ", " : "", names[a]);
        n += more > 0 ? (size_t)more : 0;
    }
    il_error_hint(err, "supported are %s", all);
    return rc;
}
