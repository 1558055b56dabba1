/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks with AVX2: products of an unsigned and a signed byte are added in pairs to 16 bits, which
 * levels below 64 cannot overflow, then in pairs to 32 bits. Levels of eight bits give their sign
 * to the activations first.
 */
#include "engine/cpu/vec_avx2.h"

#include "engine/cpu/kernels_internal.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define BLOCKS_NAME(type) il__blocks_##type##_avx2
#define BLOCKS_MR         4

typedef __m256i bvec;

static inline bvec bvec_load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline bvec bvec_low(bvec v)
{
    return _mm256_and_si256(v, _mm256_set1_epi8(15));
}

static inline bvec bvec_high(bvec v)
{
    return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
}

static inline bvec bvec_join(bvec low, bvec high, const int shift, const char mask)
{
    bvec moved = shift >= 0 ? _mm256_slli_epi16(high, shift) : _mm256_srli_epi16(high, -shift);
    return _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi8(mask)));
}

static inline bvec bvec_none(void)
{
    return _mm256_setzero_si256();
}

static inline bvec bvec_sums(const int32_t *p)
{
    return _mm256_set1_epi32(*p);
}

static inline bvec four_of(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
}

static inline bvec add_products(bvec sum, bvec unsigned_bytes, bvec signed_bytes)
{
    bvec pairs = _mm256_maddubs_epi16(unsigned_bytes, signed_bytes);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline bvec bvec_dot(bvec sum, bvec levels, const int8_t *x)
{
    return add_products(sum, levels, four_of(x));
}

static inline bvec bvec_dot_signed(bvec sum, bvec levels, const int8_t *x)
{
    bvec w = _mm256_xor_si256(levels, _mm256_set1_epi8((char)0x80));
    return add_products(sum, _mm256_abs_epi8(w), _mm256_sign_epi8(four_of(x), w));
}

static inline vec bvec_float(bvec v)
{
    return _mm256_cvtepi32_ps(v);
}

static inline vec vec_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline vec vec_u8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

static inline vec vec_s8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

static inline __m128i four_lanes(__m256i v)
{
    return _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

static inline int32_t sum_of(__m128i v)
{
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32(v, 0xB1)));
}

/* The largest size as a pattern of bits, which orders NaN above all numbers. */
static inline float largest(const float *x)
{
    const __m256i no_sign = _mm256_set1_epi32(0x7FFFFFFF);
    __m256i most = _mm256_setzero_si256();
    for (int i = 0; i < 32; i += 8) {
        most =
            _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(vec_load(x + i)), no_sign));
    }
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    int32_t bits = _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xB1)));
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* 16 numbers to int8; returns their sum. */
static inline int32_t round_half(const float *x, vec per, int8_t *q)
{
    __m256i i = _mm256_cvtps_epi32(vec_mul(vec_load(x), per));
    __m256i j = _mm256_cvtps_epi32(vec_mul(vec_load(x + 8), per));
    /* packs works within halves of a vector: the middle quarters change places */
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(i, j), 0xD8);
    __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)(void *)q, bytes);
    return sum_of(four_lanes(_mm256_add_epi32(i, j)));
}

void il__prepare_avx2(const float *x, uint32_t n_blocks, bool halves, int32_t centre,
                      il__x_block *out, size_t stride)
{
    for (uint32_t b = 0; b < n_blocks; b++, x += 32, out += stride) {
        float most = largest(x);
        if (!(most <= FLT_MAX)) { /* no number: let it be seen */
            *out = (il__x_block){.d = NAN, .sum = NAN};
            continue;
        }
        vec per = vec_set(most > 0 ? 127.0F / most : 0);
        int32_t first = round_half(x, per, out->q), second = round_half(x + 16, per, out->q + 16);
        out->d = most / 127.0F;
        out->sum = out->d * (float)(first + second);
        out->offset[0] = -centre * (halves ? first : first + second);
        out->offset[1] = -centre * (halves ? second : 0);
    }
}

#include "engine/cpu/blocks_tile.inc"
