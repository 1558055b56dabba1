/* SPDX-License-Identifier: Apache-2.0 */
#include "inferlaw/dtype.h"

#include "inferlaw/error.h"

#include <string.h>

static const struct {
    const char *name, *safetensors_name;
    size_t bytes;
} dtypes[IL_DTYPE_COUNT] = {
#define DTYPE_ROW(id, name, st, size) {name, st, size},
    IL_DTYPE_MAP(DTYPE_ROW)
#undef DTYPE_ROW
};

static int dtype_is_valid(il_dtype dtype)
{
    return (unsigned)dtype < IL_DTYPE_COUNT;
}

const char *il_dtype_name(il_dtype dtype)
{
    return dtype_is_valid(dtype) ? dtypes[dtype].name : "?";
}

const char *il_dtype_safetensors_name(il_dtype dtype)
{
    return dtype_is_valid(dtype) ? dtypes[dtype].safetensors_name : "?";
}

size_t il_dtype_bytes(il_dtype dtype)
{
    return dtype_is_valid(dtype) ? dtypes[dtype].bytes : 0;
}

int il_dtype_parse(const char *text, il_dtype *out)
{
    for (unsigned i = 0; text && i < IL_DTYPE_COUNT; i++) {
        if (strcmp(text, dtypes[i].name) == 0 || strcmp(text, dtypes[i].safetensors_name) == 0) {
            *out = (il_dtype)i;
            return IL_OK;
        }
    }
    return IL_E_INVALID;
}

static uint32_t bits_from_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float f32_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

uint16_t il_bf16_from_f32(float x)
{
    uint32_t bits = bits_from_f32(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)((bits >> 16) | 0x0040u);
    }
    bits += 0x7fffu + ((bits >> 16) & 1u);
    return (uint16_t)(bits >> 16);
}

float il_bf16_to_f32(uint16_t x)
{
    return f32_from_bits((uint32_t)x << 16);
}

uint16_t il_f16_from_f32(float x)
{
    uint32_t bits = bits_from_f32(x);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u);
    }
    if (magnitude >= 0x477ff000u) { /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { /* below 2^-14: a subnormal half, in units of 2^-24 */
        /* Adding 0.5 leaves exactly the units of 2^-24 in the low bits, rounded to nearest even. */
        float shifted = f32_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (uint16_t)(bits_from_f32(shifted) - 0x3f000000u));
    }
    uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | (uint16_t)((rounded - 0x38000000u) >> 13));
}

float il_f16_to_f32(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000u) << 16;
    uint32_t exponent = (x >> 10) & 0x1fu;
    uint32_t mantissa = x & 0x3ffu;
    if (exponent == 0x1fu) {
        return f32_from_bits(sign | 0x7f800000u | (mantissa << 13));
    }
    if (exponent == 0) {
        float value = (float)mantissa * 0x1p-24f;
        return sign ? -value : value;
    }
    return f32_from_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}
