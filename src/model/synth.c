/* SPDX-License-Identifier: Apache-2.0 */
#include "model/synth.h"

#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u
enum { PHILOX_ROUNDS = 10, WORD_SHIFT = 10, SUM_CENTRE = (1 << 24) - 5 };

void il__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)PHILOX_M0 * x0;
        uint64_t p1 = (uint64_t)PHILOX_M1 * x2;
        x0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)p1;
        x2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)p0;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

static void sums_portable(const uint32_t key[2], uint32_t first, uint32_t high, float *out)
{
    for (uint32_t i = 0; i < IL__SYNTH_BLOCK; i++) {
        uint32_t w[4];
        il__philox((uint32_t[4]){first + i, high, 0, 0}, key, w);
        uint32_t sum = (w[0] >> WORD_SHIFT) + (w[1] >> WORD_SHIFT) + (w[2] >> WORD_SHIFT) +
                       (w[3] >> WORD_SHIFT);
        out[i] = (float)((int32_t)(2 * sum) - SUM_CENTRE);
    }
}

static const il__synth_isa portable = {"portable", sums_portable, NULL};

/* --- AVX2 and AVX-512: the same integers, more at once -------------------------------------------
 */

#if defined(__x86_64__)

/* Low and high halves of the 32 × 32 products of all lanes; vpmuludq takes the even ones. */
__attribute__((target("avx2"))) static inline void mul_avx2(__m256i x, __m256i m, __m256i *low,
                                                            __m256i *high)
{
    __m256i even = _mm256_mul_epu32(x, m);
    __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), m);
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}

__attribute__((target("avx2"))) static void sums_avx2(const uint32_t key[2], uint32_t first,
                                                      uint32_t high, float *out)
{
    const __m256i m0 = _mm256_set1_epi32((int)PHILOX_M0), m1 = _mm256_set1_epi32((int)PHILOX_M1);
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (uint32_t i = 0; i < IL__SYNTH_BLOCK; i += 8) {
        __m256i x0 = _mm256_add_epi32(_mm256_set1_epi32((int)(first + i)), lanes);
        __m256i x1 = _mm256_set1_epi32((int)high);
        __m256i x2 = _mm256_setzero_si256(), x3 = _mm256_setzero_si256();
        uint32_t k0 = key[0], k1 = key[1];
        for (int round = 0; round < PHILOX_ROUNDS; round++) {
            __m256i low0, high0, low1, high1;
            mul_avx2(x0, m0, &low0, &high0);
            mul_avx2(x2, m1, &low1, &high1);
            x0 = _mm256_xor_si256(_mm256_xor_si256(high1, x1), _mm256_set1_epi32((int)k0));
            x1 = low1;
            x2 = _mm256_xor_si256(_mm256_xor_si256(high0, x3), _mm256_set1_epi32((int)k1));
            x3 = low0;
            k0 += PHILOX_W0;
            k1 += PHILOX_W1;
        }
        __m256i sum = _mm256_add_epi32(
            _mm256_add_epi32(_mm256_srli_epi32(x0, WORD_SHIFT), _mm256_srli_epi32(x1, WORD_SHIFT)),
            _mm256_add_epi32(_mm256_srli_epi32(x2, WORD_SHIFT), _mm256_srli_epi32(x3, WORD_SHIFT)));
        sum = _mm256_sub_epi32(_mm256_slli_epi32(sum, 1), _mm256_set1_epi32(SUM_CENTRE));
        _mm256_storeu_ps(out + i, _mm256_cvtepi32_ps(sum));
    }
}

__attribute__((target("avx2,f16c"))) static void to_f16_f16c(const float *in, uint16_t *out)
{
    const __m256 least = _mm256_set1_ps(0x1p-14f);
    const __m256 sign = _mm256_set1_ps(-0.0f);
    for (uint32_t i = 0; i < IL__SYNTH_BLOCK; i += 8) {
        __m256 x = _mm256_loadu_ps(in + i);
        __m256 size = _mm256_max_ps(_mm256_andnot_ps(sign, x), least);
        x = _mm256_or_ps(size, _mm256_and_ps(sign, x));
        _mm_storeu_si128((__m128i *)(void *)(out + i),
                         _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
}

__attribute__((target("avx512f"))) static inline void mul_avx512(__m512i x, __m512i m, __m512i *low,
                                                                 __m512i *high)
{
    __m512i even = _mm512_mul_epu32(x, m);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), m);
    *low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
    *high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}

__attribute__((target("avx512f"))) static void sums_avx512(const uint32_t key[2], uint32_t first,
                                                           uint32_t high, float *out)
{
    const __m512i m0 = _mm512_set1_epi32((int)PHILOX_M0), m1 = _mm512_set1_epi32((int)PHILOX_M1);
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (uint32_t i = 0; i < IL__SYNTH_BLOCK; i += 16) {
        __m512i x0 = _mm512_add_epi32(_mm512_set1_epi32((int)(first + i)), lanes);
        __m512i x1 = _mm512_set1_epi32((int)high);
        __m512i x2 = _mm512_setzero_si512(), x3 = _mm512_setzero_si512();
        uint32_t k0 = key[0], k1 = key[1];
        for (int round = 0; round < PHILOX_ROUNDS; round++) {
            __m512i low0, high0, low1, high1;
            mul_avx512(x0, m0, &low0, &high0);
            mul_avx512(x2, m1, &low1, &high1);
            x0 = _mm512_xor_si512(_mm512_xor_si512(high1, x1), _mm512_set1_epi32((int)k0));
            x1 = low1;
            x2 = _mm512_xor_si512(_mm512_xor_si512(high0, x3), _mm512_set1_epi32((int)k1));
            x3 = low0;
            k0 += PHILOX_W0;
            k1 += PHILOX_W1;
        }
        __m512i sum = _mm512_add_epi32(
            _mm512_add_epi32(_mm512_srli_epi32(x0, WORD_SHIFT), _mm512_srli_epi32(x1, WORD_SHIFT)),
            _mm512_add_epi32(_mm512_srli_epi32(x2, WORD_SHIFT), _mm512_srli_epi32(x3, WORD_SHIFT)));
        sum = _mm512_sub_epi32(_mm512_slli_epi32(sum, 1), _mm512_set1_epi32(SUM_CENTRE));
        _mm512_storeu_ps(out + i, _mm512_cvtepi32_ps(sum));
    }
}

static const il__synth_isa avx2 = {"avx2", sums_avx2, to_f16_f16c};
static const il__synth_isa avx512 = {"avx512", sums_avx512, to_f16_f16c};

/* Asked once: a virtual machine may take tens of microseconds over the instruction. */
static bool has_f16c(void)
{
    static atomic_int known; /* 0 not yet asked, 1 no, 2 yes */
    int answer = atomic_load(&known);
    if (answer == 0) {
        unsigned a, b, c, d;
        answer = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0 ? 2 : 1;
        atomic_store(&known, answer);
    }
    return answer == 2;
}

const il__synth_isa *il__synth_isa_at(size_t i)
{
    const il__synth_isa *found[3];
    size_t n = 0;
    bool wide = __builtin_cpu_supports("avx2") && has_f16c();
    if (wide && __builtin_cpu_supports("avx512f")) {
        found[n++] = &avx512;
    }
    if (wide) {
        found[n++] = &avx2;
    }
    found[n++] = &portable;
    return i < n ? found[i] : NULL;
}

#else

const il__synth_isa *il__synth_isa_at(size_t i)
{
    return i == 0 ? &portable : NULL;
}

#endif

/* --- filling
 * -------------------------------------------------------------------------------------- */

/* SplitMix64's output function: a bijection, so that distinct seeds stay distinct. */
static uint64_t mix(uint64_t seed)
{
    uint64_t z = seed + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

il_synth il_synth_of(const il_shape *shape, const il_tensor_info *info, uint64_t seed)
{
    uint64_t key = il_fnv1a64(info->name, strlen(info->name)) ^ mix(seed);
    il_synth synth = {.key = {(uint32_t)key, (uint32_t)(key >> 32)}};
    switch (info->role) {
    case IL_ROLE_LINEAR:
        synth.scale = (float)(sqrt(3.0 / (double)info->fan_in) * 0x1p-23);
        break;
    case IL_ROLE_EMBEDDING:
    case IL_ROLE_POSITION:
    case IL_ROLE_HEAD:
        synth.scale = (float)(sqrt(12.0 / (double)info->dims[1]) * 0x1p-23);
        break;
    case IL_ROLE_NORM_WEIGHT:
        synth.around_one = shape->norm != IL_NORM_RMS_PLUS_ONE;
        synth.scale = (float)(0.1 * 0x1p-24);
        break;
    case IL_ROLE_NORM_BIAS:
    case IL_ROLE_LINEAR_BIAS:
    case IL_ROLE_SINKS:
        synth.scale = (float)(0.1 * 0x1p-24);
        break;
    }
    return synth;
}

static void to_f16_portable(const float *in, uint16_t *out)
{
    for (size_t i = 0; i < IL__SYNTH_BLOCK; i++) {
        float x = in[i];
        if (x < 0x1p-14f && x > -0x1p-14f) {
            x = x < 0 ? -0x1p-14f : 0x1p-14f;
        }
        out[i] = il_f16_from_f32(x);
    }
}

/* Finite values only, hence no care for NaN. */
static void to_bf16(const float *in, uint16_t *out)
{
    for (size_t i = 0; i < IL__SYNTH_BLOCK; i++) {
        uint32_t u;
        memcpy(&u, &in[i], sizeof u);
        out[i] = (uint16_t)((u + 0x7FFFu + ((u >> 16) & 1u)) >> 16);
    }
}

/* One block of values in dtype. */
static void fill_block(const il__synth_isa *isa, const il_synth *synth, uint64_t first,
                       il_dtype dtype, void *out)
{
    float t[IL__SYNTH_BLOCK], values[IL__SYNTH_BLOCK];
    float *value = dtype == IL_DTYPE_F32 ? out : values;
    isa->sums(synth->key, (uint32_t)first, (uint32_t)(first >> 32), t);
    if (synth->around_one) {
        /* The product is exact in double, so fused or not makes no difference. */
        for (size_t i = 0; i < IL__SYNTH_BLOCK; i++) {
            value[i] = (float)(1.0 + (double)t[i] * (double)synth->scale);
        }
    } else {
        for (size_t i = 0; i < IL__SYNTH_BLOCK; i++) {
            value[i] = t[i] * synth->scale;
        }
    }
    if (dtype == IL_DTYPE_BF16) {
        to_bf16(values, out);
    } else if (dtype == IL_DTYPE_F16) {
        (isa->to_f16 ? isa->to_f16 : to_f16_portable)(values, out);
    }
}

void il__synth_fill_with(const il__synth_isa *isa, const il_synth *synth, uint64_t first, size_t n,
                         il_dtype dtype, void *out)
{
    size_t size = il_dtype_bytes(dtype);
    char *to = out;
    assert(size > 0);
    while (n > 0) {
        float spare[IL__SYNTH_BLOCK];
        /* Blocks start at multiples of their length, so none straddles 2³². */
        size_t skip = (size_t)(first % IL__SYNTH_BLOCK);
        size_t take = IL__SYNTH_BLOCK - skip < n ? IL__SYNTH_BLOCK - skip : n;
        bool whole = take == IL__SYNTH_BLOCK && (uintptr_t)to % size == 0;
        fill_block(isa, synth, first - skip, dtype, whole ? (void *)to : spare);
        if (!whole) {
            memcpy(to, (char *)spare + skip * size, take * size);
        }
        to += take * size;
        first += take;
        n -= take;
    }
}

void il_synth_fill(const il_synth *synth, uint64_t first, size_t n, il_dtype dtype, void *out)
{
    il__synth_fill_with(il__synth_isa_at(0), synth, first, n, dtype, out);
}
