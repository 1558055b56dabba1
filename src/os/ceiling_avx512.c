/* SPDX-License-Identifier: Apache-2.0 */
#include "os/ceiling_loops.h"

#if defined(__x86_64__)
#include <immintrin.h>

uint64_t il__read_loop_avx512(const void *p, size_t n_bytes)
{
    const __m512i *v = p;
    __m512i sum[8];
    for (int i = 0; i < 8; i++) {
        sum[i] = _mm512_setzero_si512();
    }
    for (size_t n = n_bytes / sizeof *v; n != 0; n -= 8, v += 8) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            sum[i] = _mm512_or_si512(sum[i], _mm512_load_si512(v + i));
        }
    }
    for (int i = 1; i < 8; i++) {
        sum[0] = _mm512_or_si512(sum[0], sum[i]);
    }
    return (uint64_t)_mm512_reduce_or_epi64(sum[0]);
}

float il__fma_loop_avx512(uint64_t n_rounds, double *n_flops)
{
    enum { CHAINS = 16, LANES = 16 };
    __m512 sum[CHAINS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    for (int i = 0; i < CHAINS; i++) {
        sum[i] = _mm512_set1_ps((float)i);
    }
    for (uint64_t round = 0; round < n_rounds; round++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) {
            sum[i] = _mm512_fmadd_ps(sum[i], a, b);
        }
    }
    for (int i = 1; i < CHAINS; i++) {
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    }
    *n_flops = 2.0 * CHAINS * LANES * (double)n_rounds;
    return _mm512_reduce_add_ps(sum[0]);
}
#else
typedef int il__no_avx512;
#endif
