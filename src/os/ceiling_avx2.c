/* SPDX-License-Identifier: Apache-2.0 */
#include "os/ceiling_loops.h"

#if defined(__x86_64__)
#include <immintrin.h>

uint64_t il__read_loop_avx2(const void *p, size_t n_bytes)
{
    const __m256i *v = p;
    __m256i sum[8];
    for (int i = 0; i < 8; i++) {
        sum[i] = _mm256_setzero_si256();
    }
    for (size_t n = n_bytes / sizeof *v; n != 0; n -= 8, v += 8) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            sum[i] = _mm256_or_si256(sum[i], _mm256_load_si256(v + i));
        }
    }
    for (int i = 1; i < 8; i++) {
        sum[0] = _mm256_or_si256(sum[0], sum[i]);
    }
    return (uint64_t)_mm256_extract_epi64(sum[0], 0) ^ (uint64_t)_mm256_extract_epi64(sum[0], 3);
}

/* Twelve chains hide a latency of up to six cycles on two multiply-add units. */
float il__fma_loop_avx2(uint64_t n_rounds, double *n_flops)
{
    enum { CHAINS = 12, LANES = 8 };
    __m256 sum[CHAINS], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    for (int i = 0; i < CHAINS; i++) {
        sum[i] = _mm256_set1_ps((float)i);
    }
    for (uint64_t round = 0; round < n_rounds; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            sum[i] = _mm256_fmadd_ps(sum[i], a, b);
        }
    }
    for (int i = 1; i < CHAINS; i++) {
        sum[0] = _mm256_add_ps(sum[0], sum[i]);
    }
    *n_flops = 2.0 * CHAINS * LANES * (double)n_rounds;
    return _mm256_cvtss_f32(sum[0]);
}
#else
typedef int il__no_avx2;
#endif
