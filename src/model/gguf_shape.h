/* SPDX-License-Identifier: Apache-2.0
 *
 * The shape of the model in a GGUF file, from its metadata and the tensors that are there.
 */
#ifndef IL_MODEL_GGUF_SHAPE_H
#define IL_MODEL_GGUF_SHAPE_H

#include "model/gguf.h"
#include "model/shape.h"

/* Families by llama.cpp's names: gpt2, gptneox, llama (with experts: Mixtral), qwen2, qwen3,
 * qwen3moe, gemma3, olmoe. IL_E_UNSUPPORTED names another architecture and the nearest of these, or
 * the detail that has no place in a shape; IL_E_DAMAGED a number that is missing; IL_E_INVALID
 * numbers that do not hold together. Norm weights of Gemma hold 1 + w in the file. Llama 3's rope
 * scaling lies in the file as a tensor of factors (rope_freqs), so that the shape has none. */
int il_shape_from_gguf(const il_gguf *file, il_shape *out, il_error *err);

#endif
