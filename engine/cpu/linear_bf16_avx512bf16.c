/* SPDX-License-Identifier: Apache-2.0
 *
 * bf16 weights and activations, both in pairs: the dot product instruction adds the products of a
 * pair to an fp32 sum. An odd last input has a zero beside it on both sides.
 */
#include "engine/cpu/vec_avx512.h"

#define TILE_FUNCTION            il__linear_bf16_avx512bf16
#define TILE_MR                  12
#define TILE_STEPS(k)            (((k) + 1) / 2)
#define TILE_PARTS               1
#define TILE_X_WORDS             1
#define TILE_LOAD(w, part)       vec_load((const float *)(w))
#define TILE_MAC(sum, w, x)      dot_pairs(sum, w, x)
#define TILE_TAIL(t, mr, sum, w) (void)(w)

static inline __attribute__((always_inline)) vec dot_pairs(vec sum, vec w, const uint32_t *x)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)_mm512_set1_epi32((int)*x));
}

#include "engine/cpu/linear_tile.inc"
