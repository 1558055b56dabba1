/* SPDX-License-Identifier: Apache-2.0
 *
 * Number formats of weights, caches and activations.
 */
#ifndef INFERLAW_DTYPE_H
#define INFERLAW_DTYPE_H

#include <stddef.h>
#include <stdint.h>

/* id, name in flags and tables, name in safetensors, bytes per element */
#define IL_DTYPE_MAP(X)                                                                            \
    X(F32, "fp32", "F32", 4)                                                                       \
    X(BF16, "bf16", "BF16", 2)                                                                     \
    X(F16, "fp16", "F16", 2)

typedef enum il_dtype {
#define IL_DTYPE_ENUM(id, name, st, size) IL_DTYPE_##id,
    IL_DTYPE_MAP(IL_DTYPE_ENUM)
#undef IL_DTYPE_ENUM
        IL_DTYPE_COUNT
} il_dtype;

const char *il_dtype_name(il_dtype dtype);             /* "fp32"; "?" for a value off the list */
const char *il_dtype_safetensors_name(il_dtype dtype); /* "F32" */
size_t il_dtype_bytes(il_dtype dtype);                 /* 0 for a value off the list */
int il_dtype_parse(const char *text, il_dtype *out);   /* either name; IL_E_INVALID otherwise */

/* bf16 and fp16 conversions, round to nearest even, NaN kept quiet. */
uint16_t il_bf16_from_f32(float x);
float il_bf16_to_f32(uint16_t x);
uint16_t il_f16_from_f32(float x);
float il_f16_to_f32(uint16_t x);

#endif
