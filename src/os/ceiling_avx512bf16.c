/* SPDX-License-Identifier: Apache-2.0 */
#include "os/ceiling_loops.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* vdpbf16ps: each of 16 lanes adds the products of one pair, two multiply-adds. */
float il__fma_loop_avx512bf16(uint64_t n_rounds, double *n_flops)
{
    enum { CHAINS = 20, MULTIPLY_ADDS = 32 };
    __m512 sum[CHAINS];
    __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(-0.5f));
    __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.25f), _mm512_set1_ps(0.125f));
    for (int i = 0; i < CHAINS; i++) {
        sum[i] = _mm512_set1_ps((float)i);
    }
    for (uint64_t round = 0; round < n_rounds; round++) {
#pragma GCC unroll 20
        for (int i = 0; i < CHAINS; i++) {
            sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
        }
    }
    for (int i = 1; i < CHAINS; i++) {
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    }
    *n_flops = 2.0 * CHAINS * MULTIPLY_ADDS * (double)n_rounds;
    return _mm512_reduce_add_ps(sum[0]);
}
#else
typedef int il__no_avx512bf16;
#endif
