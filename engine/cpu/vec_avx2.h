/* SPDX-License-Identifier: Apache-2.0
 *
 * The vector operations the shared kernel bodies (*.inc) are written in, for AVX2 with FMA. The
 * contracts are those of vec_avx512.h; masks are vectors here.
 */
#ifndef IL_ENGINE_CPU_VEC_AVX2_H
#define IL_ENGINE_CPU_VEC_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#define VEC_NAME(stem) stem##_avx2
enum { VEC_LANES = 8 };
typedef __m256 vec;
typedef __m256i ivec;
typedef __m256i vec_mask;

static inline vec_mask vec_first(uint32_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

static inline vec vec_zero(void)
{
    return _mm256_setzero_ps();
}

static inline vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void vec_store(float *p, vec x)
{
    _mm256_storeu_ps(p, x);
}

static inline vec vec_load_part(const float *p, vec_mask m)
{
    return _mm256_maskload_ps(p, m);
}

static inline void vec_store_part(float *p, vec_mask m, vec x)
{
    _mm256_maskstore_ps(p, m, x);
}

static inline vec vec_select(vec_mask m, vec a, vec b)
{
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m));
}

static inline vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vec vec_fnma(vec a, vec b, vec c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

static inline vec vec_abs(vec x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static inline vec vec_round(vec x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* For −250 < n < 250: two factors, since one alone cannot reach below 2^-126. */
static inline vec vec_scale2(vec x, vec n)
{
    __m256i whole = _mm256_cvtps_epi32(n);
    __m256i half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half);
    __m256i bias = _mm256_set1_epi32(127);
    __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(x, a), b);
}

static inline vec_mask vec_less(vec a, vec b)
{
    return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

static inline vec_mask vec_is_nan(vec a)
{
    return _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

static inline uint32_t vec_mask_bits(vec_mask m)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(m));
}

static inline float vec_sum(vec x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float vec_largest(vec x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

static inline vec vec_from_bf16(const uint16_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/* AVX2 has no masked load of 16-bit elements: they go through memory of our own. */
static inline vec vec_from_bf16_part(const uint16_t *p, vec_mask m)
{
    uint16_t lanes[8] = {0};
    uint32_t n = (uint32_t)__builtin_popcount(vec_mask_bits(m));
    for (uint32_t i = 0; i < n; i++) {
        lanes[i] = p[i];
    }
    return vec_from_bf16(lanes);
}

static inline vec vec_pair_low(ivec pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

static inline vec vec_pair_high(ivec pairs)
{
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000u)));
}

static inline ivec ivec_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

static inline void vec_to_bf16_part(uint16_t *p, vec_mask m, vec x)
{
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
    rounded = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, vec_is_nan(x)), 16);
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded, rounded), 0x8);
    uint32_t n = (uint32_t)__builtin_popcount(vec_mask_bits(m));
    if (n == 8) {
        _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(packed));
        return;
    }
    uint16_t lanes[8];
    _mm_storeu_si128((__m128i *)lanes, _mm256_castsi256_si128(packed));
    for (uint32_t i = 0; i < n; i++) {
        p[i] = lanes[i];
    }
}

static inline vec vec_sums(const vec *a)
{
    vec half[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        const vec *b = a + 4 * i;
        vec s01 = _mm256_add_ps(_mm256_unpacklo_ps(b[0], b[1]), _mm256_unpackhi_ps(b[0], b[1]));
        vec s23 = _mm256_add_ps(_mm256_unpacklo_ps(b[2], b[3]), _mm256_unpackhi_ps(b[2], b[3]));
        __m256d p = _mm256_castps_pd(s01), q = _mm256_castps_pd(s23);
        half[i] = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(p, q)),
                                _mm256_castpd_ps(_mm256_unpackhi_pd(p, q)));
    }
    return _mm256_add_ps(_mm256_permute2f128_ps(half[0], half[1], 0x20),
                         _mm256_permute2f128_ps(half[0], half[1], 0x31));
}

#endif
