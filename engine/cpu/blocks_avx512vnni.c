/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks with the int8 dot product of AVX-512: four products of an unsigned and a signed byte are
 * added to each 32-bit lane, exactly.
 */
#include "engine/cpu/vec_avx512.h"

#include "engine/cpu/kernels_internal.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define BLOCKS_NAME(type) il__blocks_##type##_avx512vnni
#define BLOCKS_MR         12

typedef __m512i bvec;

static inline bvec bvec_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}

static inline bvec bvec_low(bvec v)
{
    return _mm512_and_si512(v, _mm512_set1_epi8(15));
}

static inline bvec bvec_high(bvec v)
{
    return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15));
}

static inline bvec bvec_join(bvec low, bvec high, const int shift, const char mask)
{
    enum { OR_OF_AND = 0xF8 }; /* a | (b & c) */
    bvec moved = shift >= 0 ? _mm512_slli_epi16(high, shift) : _mm512_srli_epi16(high, -shift);
    return _mm512_ternarylogic_epi32(low, moved, _mm512_set1_epi8(mask), OR_OF_AND);
}

static inline bvec bvec_none(void)
{
    return _mm512_setzero_si512();
}

static inline bvec bvec_sums(const int32_t *p)
{
    return _mm512_set1_epi32(*p);
}

static inline bvec bvec_dot(bvec sum, bvec levels, const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_dpbusd_epi32(sum, levels, _mm512_set1_epi32(four));
}

/* Levels are unsigned as they are: the 128 are taken off by the activations' offset. */
static inline bvec bvec_dot_signed(bvec sum, bvec levels, const int8_t *x)
{
    return bvec_dot(sum, levels, x);
}

static inline vec bvec_float(bvec v)
{
    return _mm512_cvtepi32_ps(v);
}

static inline vec vec_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline vec vec_u8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

static inline vec vec_s8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

/* The largest size as a pattern of bits, which orders NaN above all numbers. */
static inline float largest(vec a, vec b)
{
    const __m512i no_sign = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i x = _mm512_and_si512(_mm512_castps_si512(a), no_sign);
    __m512i y = _mm512_and_si512(_mm512_castps_si512(b), no_sign);
    int32_t bits = _mm512_reduce_max_epi32(_mm512_max_epi32(x, y));
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

void il__prepare_avx512vnni(const float *x, uint32_t n_blocks, bool halves, int32_t centre,
                            il__x_block *out, size_t stride)
{
    for (uint32_t b = 0; b < n_blocks; b++, x += 32, out += stride) {
        vec low = vec_load(x), high = vec_load(x + 16);
        float most = largest(low, high);
        if (!(most <= FLT_MAX)) { /* no number: let it be seen */
            *out = (il__x_block){.d = NAN, .sum = NAN};
            continue;
        }
        vec per = vec_set(most > 0 ? 127.0F / most : 0);
        __m512i i = _mm512_cvtps_epi32(vec_mul(low, per));
        __m512i j = _mm512_cvtps_epi32(vec_mul(high, per));
        _mm_storeu_si128((__m128i *)(void *)out->q, _mm512_cvtsepi32_epi8(i));
        _mm_storeu_si128((__m128i *)(void *)(out->q + 16), _mm512_cvtsepi32_epi8(j));
        int32_t first = _mm512_reduce_add_epi32(i), second = _mm512_reduce_add_epi32(j);
        out->d = most / 127.0F;
        out->sum = out->d * (float)(first + second);
        out->offset[0] = -centre * (halves ? first : first + second);
        out->offset[1] = -centre * (halves ? second : 0);
    }
}

#include "engine/cpu/blocks_tile.inc"
