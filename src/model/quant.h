/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of weights in the number formats of GGUF, to and from fp32. Reference code: plain, portable,
 * the same bytes on every machine. Source of the layouts: the published block formats of ggml.
 *
 * In blocks of 32 values (d and m fp16):
 *   Q8_0  x = d·q, q −127 … 127            Q5_0  x = d·(q − 16), q 0 … 31
 *   Q4_0  x = d·(q − 8), q 0 … 15          Q5_1  x = d·q + m
 *   Q4_1  x = d·q + m
 * In blocks of 256 (d and e fp16, s and t whole numbers of a part of the block):
 *   Q4_K, Q5_K  8 parts of 32: x = d·s·q − e·t, s and t 0 … 63, q 0 … 15 or 0 … 31
 *   Q6_K       16 parts of 16: x = d·s·q, s −128 … 127, q −32 … 31
 */
#ifndef IL_MODEL_QUANT_H
#define IL_MODEL_QUANT_H

#include "inferlaw/error.h"
#include "model/gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of n values; 0 when n is no multiple of the type's block. */
uint64_t il_quant_bytes(il_ggml_type type, uint64_t n);
bool il_quant_can_write(il_ggml_type type);
bool il_quant_can_read(il_ggml_type type);

/* n values (a multiple of the block) of x as blocks to out. IL_E_NONFINITE when a value is not
 * finite; IL_E_RANGE when a scale or a value is beyond fp16. The type must be one that
 * il_quant_can_write. */
int il_quant_write(il_ggml_type type, const float *x, size_t n, void *out, il_error *err);
/* The values of n/block blocks. The type must be one that il_quant_can_read. */
void il_quant_read(il_ggml_type type, const void *blocks, size_t n, float *out);

/* A block taken apart, for those who lay it out anew. Levels are whole numbers from 0 on: Q8_0's
 * are q + 128, Q6_K's q + 32, those of the others as above before anything is subtracted. */
typedef struct il_quant_parts {
    uint16_t d, e;  /* fp16; e is Q4_1's and Q5_1's m */
    uint8_t s[16];  /* Q6_K: of 16 parts, signed; Q4_K, Q5_K: of 8 */
    uint8_t t[8];   /* Q4_K, Q5_K */
    uint8_t q[256]; /* as many as the block has */
} il_quant_parts;

/* What a type is made of: its blocks, read as x = scale·level − drop. */
typedef struct il_quant_form {
    uint32_t bits;   /* of a level */
    uint32_t centre; /* level of zero where there is no drop; drop = scale·centre */
    uint32_t part;   /* values that share a scale: 32 or 16 */
    bool drops;      /* an offset of each part's own */
    bool grouped;    /* 256 values: scales are whole multiples of the block's own */
} il_quant_form;

/* False for types of single values (F32, F16, BF16) and unreadable ones. */
bool il_quant_form_of(il_ggml_type type, il_quant_form *out);
/* The type must have a form. */
void il_quant_split(il_ggml_type type, const void *block, il_quant_parts *out);

/* --- shared among the files of this module ---------------------------------------------------- */

typedef struct il__quant {
    il_ggml_type type;
    void (*write)(const float *x, uint8_t *block); /* of one block; NULL: not written here */
    void (*read)(const uint8_t *block, float *x);
    unsigned n_scales;  /* fp16 numbers of a block, checked to be finite … */
    unsigned scale_at;  /* … from this byte on */
    il_quant_form form; /* bits 0: single values */
    void (*split)(const uint8_t *block, il_quant_parts *out);
} il__quant;

extern const il__quant il__quant_q4_k, il__quant_q5_k, il__quant_q6_k;

static inline void il__put_f16(uint8_t *at, uint16_t h)
{
    at[0] = (uint8_t)h;
    at[1] = (uint8_t)(h >> 8);
}

static inline uint16_t il__get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

#endif
