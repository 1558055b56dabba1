/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cpu/vec_avx512.h"

#define ATTENTION_SCRATCH il__attention_scratch_avx512
#define ATTENTION_F32     il__attention_f32_avx512
#define ATTENTION_BF16    il__attention_bf16_avx512
#include "engine/cpu/attention.inc"
