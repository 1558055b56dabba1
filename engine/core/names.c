/* SPDX-License-Identifier: Apache-2.0
 *
 * The families as data: what their checkpoints call each weight.
 */
#include "engine/core/graph.h"

#define LLAMA_LIKE(id)                                                                             \
    {                                                                                              \
        .arch = (id), .embedding = "model.embed_tokens", .final_norm = "model.norm",               \
        .head = "lm_head", .attn_norm = "model.layers.%u.input_layernorm",                         \
        .ff_norm = "model.layers.%u.post_attention_layernorm",                                     \
        .q = "model.layers.%u.self_attn.q_proj", .k = "model.layers.%u.self_attn.k_proj",          \
        .v = "model.layers.%u.self_attn.v_proj", .attn_out = "model.layers.%u.self_attn.o_proj",   \
        .gate = "model.layers.%u.mlp.gate_proj", .up = "model.layers.%u.mlp.up_proj",              \
        .down = "model.layers.%u.mlp.down_proj",                                                   \
    }

static const il__names families[] = {
    {
        .arch = IL_ARCH_GPT2,
        .embedding = "transformer.wte",
        .position = "transformer.wpe",
        .final_norm = "transformer.ln_f",
        .head = "lm_head",
        .attn_norm = "transformer.h.%u.ln_1",
        .ff_norm = "transformer.h.%u.ln_2",
        .qkv = "transformer.h.%u.attn.c_attn",
        .attn_out = "transformer.h.%u.attn.c_proj",
        .up = "transformer.h.%u.mlp.c_fc",
        .down = "transformer.h.%u.mlp.c_proj",
        .transposed = true,
    },
    LLAMA_LIKE(IL_ARCH_LLAMA),
    LLAMA_LIKE(IL_ARCH_MISTRAL),
    LLAMA_LIKE(IL_ARCH_QWEN2),
};

const il__names *il__names_for(il_arch arch)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (families[i].arch == arch) {
            return &families[i];
        }
    }
    return NULL;
}

const char *il__names_supported(void)
{
    return "gpt2, llama, mistral, qwen2";
}

const char *il__names_nearest(il_arch arch)
{
    switch (arch) {
    case IL_ARCH_GPT_NEOX:
    case IL_ARCH_OPT:
    case IL_ARCH_GPT2:
        return "gpt2";
    case IL_ARCH_QWEN3:
    case IL_ARCH_QWEN3_MOE:
    case IL_ARCH_QWEN2:
        return "qwen2";
    case IL_ARCH_MIXTRAL:
    case IL_ARCH_MISTRAL:
        return "mistral";
    default:
        return "llama";
    }
}
