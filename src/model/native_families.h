/* SPDX-License-Identifier: Apache-2.0
 *
 * The families the native engine runs, listed once: the engine builds graphs for them, its worker
 * announces them, the driver refuses the others before it starts a worker.
 */
#ifndef IL_MODEL_NATIVE_FAMILIES_H
#define IL_MODEL_NATIVE_FAMILIES_H

#include "model/shape.h"

#include <stddef.h>

#define IL_NATIVE_FAMILY_MAP(X)                                                                    \
    X(GPT2)                                                                                        \
    X(GPT_NEOX)                                                                                    \
    X(OPT)                                                                                         \
    X(LLAMA)                                                                                       \
    X(MISTRAL)                                                                                     \
    X(QWEN2)                                                                                       \
    X(QWEN3)                                                                                       \
    X(QWEN3_MOE)                                                                                   \
    X(GEMMA3)                                                                                      \
    X(MIXTRAL)                                                                                     \
    X(OLMOE)

enum { IL_NATIVE_FAMILIES_BYTES = 256 };

bool il_native_family(il_arch arch);
/* model_type of the i-th; NULL past the end. */
const char *il_native_family_at(size_t i);
/* "gpt2, gpt_neox, …" for messages; out: IL_NATIVE_FAMILIES_BYTES. */
void il_native_families_text(char *out);
/* model_type of the supported family nearest to an unsupported one. */
const char *il_native_family_nearest(il_arch arch);

#endif
