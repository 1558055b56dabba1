/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cpu/vec_avx2.h"

#define TILE_FUNCTION il__linear_bf16_avx2
#define TILE_MR       6
#include "engine/cpu/linear_bf16.inc"
