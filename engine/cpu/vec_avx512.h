/* SPDX-License-Identifier: Apache-2.0
 *
 * The vector operations the shared kernel bodies (*.inc) are written in, for AVX-512. The same
 * names for AVX2 are in vec_avx2.h; a body includes one of them.
 */
#ifndef IL_ENGINE_CPU_VEC_AVX512_H
#define IL_ENGINE_CPU_VEC_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#define VEC_NAME(stem) stem##_avx512
enum { VEC_LANES = 16 };
typedef __m512 vec;
typedef __m512i ivec;

/* Masks of the first n lanes, 0 ≤ n ≤ VEC_LANES. */
typedef __mmask16 vec_mask;

static inline vec_mask vec_first(uint32_t n)
{
    return (vec_mask)((1u << n) - 1u);
}

static inline vec vec_zero(void)
{
    return _mm512_setzero_ps();
}

static inline vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vec_store(float *p, vec x)
{
    _mm512_storeu_ps(p, x);
}

/* Lanes outside the mask read as 0 and are not touched in memory. */
static inline vec vec_load_part(const float *p, vec_mask m)
{
    return _mm512_maskz_loadu_ps(m, p);
}

static inline void vec_store_part(float *p, vec_mask m, vec x)
{
    _mm512_mask_storeu_ps(p, m, x);
}

/* a where the mask is set, else b */
static inline vec vec_select(vec_mask m, vec a, vec b)
{
    return _mm512_mask_blend_ps(m, b, a);
}

static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

/* a·b + c */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* c − a·b */
static inline vec vec_fnma(vec a, vec b, vec c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

static inline vec vec_abs(vec x)
{
    return _mm512_abs_ps(x);
}

static inline vec vec_round(vec x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x·2^n for whole n */
static inline vec vec_scale2(vec x, vec n)
{
    return _mm512_scalef_ps(x, n);
}

static inline vec_mask vec_less(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline vec_mask vec_is_nan(vec a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}

static inline uint32_t vec_mask_bits(vec_mask m)
{
    return m;
}

static inline float vec_sum(vec x)
{
    return _mm512_reduce_add_ps(x);
}

static inline float vec_largest(vec x)
{
    return _mm512_reduce_max_ps(x);
}

/* VEC_LANES bf16 values as floats */
static inline vec vec_from_bf16(const uint16_t *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline vec vec_from_bf16_part(const uint16_t *p, vec_mask m)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* Pairs of bf16 in 32-bit words: the low and the high ones as floats. */
static inline vec vec_pair_low(ivec pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}

static inline vec vec_pair_high(ivec pairs)
{
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000u)));
}

static inline ivec ivec_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

/* Round to nearest even, NaN kept quiet; the low halves of VEC_LANES words. */
static inline void vec_to_bf16_part(uint16_t *p, vec_mask m, vec x)
{
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x00400000));
    rounded = _mm512_mask_mov_epi32(rounded, vec_is_nan(x), quiet);
    _mm256_mask_storeu_epi16(p, m, _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}

/* Lane j of the result is the sum of all lanes of a[j]. Pairs of vectors are interleaved and added
 * until one is left: first inside 128-bit quarters, then across them. */
static inline vec vec_sums(const vec *a)
{
    vec quarter[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const vec *b = a + 4 * i;
        vec s01 = _mm512_add_ps(_mm512_unpacklo_ps(b[0], b[1]), _mm512_unpackhi_ps(b[0], b[1]));
        vec s23 = _mm512_add_ps(_mm512_unpacklo_ps(b[2], b[3]), _mm512_unpackhi_ps(b[2], b[3]));
        __m512d p = _mm512_castps_pd(s01), q = _mm512_castps_pd(s23);
        quarter[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q)),
                                   _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
    }
    vec low = _mm512_add_ps(_mm512_shuffle_f32x4(quarter[0], quarter[1], 0x88),
                            _mm512_shuffle_f32x4(quarter[0], quarter[1], 0xdd));
    vec high = _mm512_add_ps(_mm512_shuffle_f32x4(quarter[2], quarter[3], 0x88),
                             _mm512_shuffle_f32x4(quarter[2], quarter[3], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88),
                         _mm512_shuffle_f32x4(low, high, 0xdd));
}

#endif
