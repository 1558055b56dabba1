/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cpu/vec_avx512.h"

#define TILE_FUNCTION il__linear_f32_avx512
#define TILE_MR       12
#include "engine/cpu/linear_f32.inc"
