/* SPDX-License-Identifier: Apache-2.0
 *
 * The families as data: what their checkpoints call each weight.
 */
#include "engine/core/graph.h"

#define LLAMA_ATTENTION(id)                                                                        \
    .arch = (id), .embedding = "model.embed_tokens", .final_norm = "model.norm",                   \
    .head = "lm_head", .attn_norm = "model.layers.%u.input_layernorm",                             \
    .q = "model.layers.%u.self_attn.q_proj", .k = "model.layers.%u.self_attn.k_proj",              \
    .v = "model.layers.%u.self_attn.v_proj", .attn_out = "model.layers.%u.self_attn.o_proj",       \
    .q_norm = "model.layers.%u.self_attn.q_norm", .k_norm = "model.layers.%u.self_attn.k_norm"

#define LLAMA_LIKE(id)                                                                             \
    {                                                                                              \
        LLAMA_ATTENTION(id), .ff_norm = "model.layers.%u.post_attention_layernorm",                \
                             .gate = "model.layers.%u.mlp.gate_proj",                              \
                             .up = "model.layers.%u.mlp.up_proj",                                  \
                             .down = "model.layers.%u.mlp.down_proj",                              \
    }

#define LLAMA_OF_EXPERTS(id, block, gate_name, up_name, down_name)                                 \
    {                                                                                              \
        LLAMA_ATTENTION(id), .ff_norm = "model.layers.%u.post_attention_layernorm",                \
                             .router = "model.layers.%u." block ".gate",                           \
                             .gate = "model.layers.%u." block ".experts.%u." gate_name,            \
                             .up = "model.layers.%u." block ".experts.%u." up_name,                \
                             .down = "model.layers.%u." block ".experts.%u." down_name,            \
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
    {
        .arch = IL_ARCH_GPT_NEOX,
        .embedding = "gpt_neox.embed_in",
        .final_norm = "gpt_neox.final_layer_norm",
        .head = "embed_out",
        .attn_norm = "gpt_neox.layers.%u.input_layernorm",
        .ff_norm = "gpt_neox.layers.%u.post_attention_layernorm",
        .qkv = "gpt_neox.layers.%u.attention.query_key_value",
        .attn_out = "gpt_neox.layers.%u.attention.dense",
        .up = "gpt_neox.layers.%u.mlp.dense_h_to_4h",
        .down = "gpt_neox.layers.%u.mlp.dense_4h_to_h",
        .interleaved = true,
    },
    {
        .arch = IL_ARCH_OPT,
        .embedding = "model.decoder.embed_tokens",
        .position = "model.decoder.embed_positions",
        .final_norm = "model.decoder.final_layer_norm",
        .head = "lm_head",
        .attn_norm = "model.decoder.layers.%u.self_attn_layer_norm",
        .ff_norm = "model.decoder.layers.%u.final_layer_norm",
        .q = "model.decoder.layers.%u.self_attn.q_proj",
        .k = "model.decoder.layers.%u.self_attn.k_proj",
        .v = "model.decoder.layers.%u.self_attn.v_proj",
        .attn_out = "model.decoder.layers.%u.self_attn.out_proj",
        .up = "model.decoder.layers.%u.fc1",
        .down = "model.decoder.layers.%u.fc2",
    },
    LLAMA_LIKE(IL_ARCH_LLAMA),
    LLAMA_LIKE(IL_ARCH_MISTRAL),
    LLAMA_LIKE(IL_ARCH_QWEN2),
    LLAMA_LIKE(IL_ARCH_QWEN3),
    {
        LLAMA_ATTENTION(IL_ARCH_GEMMA3),
        .attn_post_norm = "model.layers.%u.post_attention_layernorm",
        .ff_norm = "model.layers.%u.pre_feedforward_layernorm",
        .ff_post_norm = "model.layers.%u.post_feedforward_layernorm",
        .gate = "model.layers.%u.mlp.gate_proj",
        .up = "model.layers.%u.mlp.up_proj",
        .down = "model.layers.%u.mlp.down_proj",
    },
    LLAMA_OF_EXPERTS(IL_ARCH_MIXTRAL, "block_sparse_moe", "w1", "w3", "w2"),
    LLAMA_OF_EXPERTS(IL_ARCH_QWEN3_MOE, "mlp", "gate_proj", "up_proj", "down_proj"),
    LLAMA_OF_EXPERTS(IL_ARCH_OLMOE, "mlp", "gate_proj", "up_proj", "down_proj"),
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
