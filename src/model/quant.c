/* SPDX-License-Identifier: Apache-2.0
 *
 * The formats of one value and of 32, and the table of all. The writers of 32 follow the reference
 * rounding of the format's authors, so that their tools give the same bytes.
 */
#include "model/quant.h"

#include "inferlaw/dtype.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { N = 32 };

static int within(double v, int most)
{
    return v < 0 ? 0 : v > most ? most : (int)v;
}

/* The value of largest size, with its sign; the first of equals. */
static float farthest(const float *x)
{
    float far = 0;
    for (int i = 0; i < N; i++) {
        far = fabsf(x[i]) > fabsf(far) ? x[i] : far;
    }
    return far;
}

static void range(const float *x, float *low, float *high)
{
    *low = *high = x[0];
    for (int i = 1; i < N; i++) {
        *low = x[i] < *low ? x[i] : *low;
        *high = x[i] > *high ? x[i] : *high;
    }
}

/* 32 numbers below 16: the first half in the low digits, the second in the high ones. */
static void pack_nibbles(const uint8_t *q, uint8_t *to)
{
    for (int i = 0; i < N / 2; i++) {
        to[i] = (uint8_t)((q[i] & 15) | (q[i + N / 2] & 15) << 4);
    }
}

static void unpack_nibbles(const uint8_t *from, uint8_t *q)
{
    for (int i = 0; i < N / 2; i++) {
        q[i] = from[i] & 15;
        q[i + N / 2] = from[i] >> 4;
    }
}

/* The fifth bits, one a value. */
static void pack_bits(const uint8_t *q, uint8_t *to)
{
    memset(to, 0, N / 8);
    for (int i = 0; i < N; i++) {
        to[i / 8] |= (uint8_t)((q[i] >> 4 & 1) << (i % 8));
    }
}

static void unpack_bits(const uint8_t *from, uint8_t *q)
{
    for (int i = 0; i < N; i++) {
        q[i] |= (uint8_t)((from[i / 8] >> (i % 8) & 1) << 4);
    }
}

/* --- one value ------------------------------------------------------------------------------- */

static void write_f32(const float *x, uint8_t *block)
{
    memcpy(block, x, sizeof *x);
}

static void read_f32(const uint8_t *block, float *x)
{
    memcpy(x, block, sizeof *x);
}

static void write_f16(const float *x, uint8_t *block)
{
    il__put_f16(block, il_f16_from_f32(*x));
}

static void read_f16(const uint8_t *block, float *x)
{
    *x = il_f16_to_f32(il__get_u16(block));
}

static void write_bf16(const float *x, uint8_t *block)
{
    il__put_f16(block, il_bf16_from_f32(*x));
}

static void read_bf16(const uint8_t *block, float *x)
{
    *x = il_bf16_to_f32(il__get_u16(block));
}

/* --- 32 values ------------------------------------------------------------------------------- */

static void write_q8_0(const float *x, uint8_t *block)
{
    float d = fabsf(farthest(x)) / 127.0f;
    float per = d > 0 ? 1.0f / d : 0;
    il__put_f16(block, il_f16_from_f32(d));
    for (int i = 0; i < N; i++) {
        float q = roundf(x[i] * per); /* halves away from zero */
        q = q > 127 ? 127 : q < -127 ? -127 : q;
        block[2 + i] = (uint8_t)(int8_t)q;
    }
}

static void read_q8_0(const uint8_t *block, float *x)
{
    float d = il_f16_to_f32(il__get_u16(block));
    for (int i = 0; i < N; i++) {
        x[i] = d * (float)(int8_t)block[2 + i];
    }
}

/* Around zero: the farthest value becomes the one end that is a level farther out. */
static void centred(const float *x, int levels, float *d, uint8_t *q)
{
    *d = farthest(x) / (float)(-levels / 2);
    float per = *d != 0 ? 1.0f / *d : 0;
    for (int i = 0; i < N; i++) {
        q[i] = (uint8_t)within((double)x[i] * (double)per + levels / 2 + 0.5, levels - 1);
    }
}

/* From the least value to the greatest. */
static void spanned(const float *x, int levels, float *d, float *m, uint8_t *q)
{
    float high;
    range(x, m, &high);
    *d = (high - *m) / (float)(levels - 1);
    float per = *d != 0 ? 1.0f / *d : 0;
    for (int i = 0; i < N; i++) {
        q[i] = (uint8_t)within((double)((x[i] - *m) * per + 0.5f), levels - 1);
    }
}

static void write_q4_0(const float *x, uint8_t *block)
{
    uint8_t q[N];
    float d;
    centred(x, 16, &d, q);
    il__put_f16(block, il_f16_from_f32(d));
    pack_nibbles(q, block + 2);
}

static void read_q4_0(const uint8_t *block, float *x)
{
    uint8_t q[N];
    float d = il_f16_to_f32(il__get_u16(block));
    unpack_nibbles(block + 2, q);
    for (int i = 0; i < N; i++) {
        x[i] = d * (float)(q[i] - 8);
    }
}

static void write_q5_0(const float *x, uint8_t *block)
{
    uint8_t q[N];
    float d;
    centred(x, 32, &d, q);
    il__put_f16(block, il_f16_from_f32(d));
    pack_bits(q, block + 2);
    pack_nibbles(q, block + 6);
}

static void read_q5_0(const uint8_t *block, float *x)
{
    uint8_t q[N];
    float d = il_f16_to_f32(il__get_u16(block));
    unpack_nibbles(block + 6, q);
    unpack_bits(block + 2, q);
    for (int i = 0; i < N; i++) {
        x[i] = d * (float)(q[i] - 16);
    }
}

static void write_q4_1(const float *x, uint8_t *block)
{
    uint8_t q[N];
    float d, m;
    spanned(x, 16, &d, &m, q);
    il__put_f16(block, il_f16_from_f32(d));
    il__put_f16(block + 2, il_f16_from_f32(m));
    pack_nibbles(q, block + 4);
}

static void write_q5_1(const float *x, uint8_t *block)
{
    uint8_t q[N];
    float d, m;
    spanned(x, 32, &d, &m, q);
    il__put_f16(block, il_f16_from_f32(d));
    il__put_f16(block + 2, il_f16_from_f32(m));
    pack_bits(q, block + 4);
    pack_nibbles(q, block + 8);
}

static void scale_up(const uint8_t *block, const uint8_t *q, float *x)
{
    float d = il_f16_to_f32(il__get_u16(block)), m = il_f16_to_f32(il__get_u16(block + 2));
    for (int i = 0; i < N; i++) {
        x[i] = d * (float)q[i] + m;
    }
}

static void read_q4_1(const uint8_t *block, float *x)
{
    uint8_t q[N];
    unpack_nibbles(block + 4, q);
    scale_up(block, q, x);
}

static void read_q5_1(const uint8_t *block, float *x)
{
    uint8_t q[N];
    unpack_nibbles(block + 8, q);
    unpack_bits(block + 4, q);
    scale_up(block, q, x);
}

/* --- all ------------------------------------------------------------------------------------- */

static void split_q8_0(const uint8_t *block, il_quant_parts *out)
{
    out->d = il__get_u16(block);
    for (int i = 0; i < N; i++) {
        out->q[i] = block[2 + i] ^ 0x80; /* + 128 */
    }
}

static void split_q4_0(const uint8_t *block, il_quant_parts *out)
{
    out->d = il__get_u16(block);
    unpack_nibbles(block + 2, out->q);
}

static void split_q4_1(const uint8_t *block, il_quant_parts *out)
{
    out->d = il__get_u16(block);
    out->e = il__get_u16(block + 2);
    unpack_nibbles(block + 4, out->q);
}

static void split_q5_0(const uint8_t *block, il_quant_parts *out)
{
    out->d = il__get_u16(block);
    unpack_nibbles(block + 6, out->q);
    unpack_bits(block + 2, out->q);
}

static void split_q5_1(const uint8_t *block, il_quant_parts *out)
{
    out->d = il__get_u16(block);
    out->e = il__get_u16(block + 2);
    unpack_nibbles(block + 8, out->q);
    unpack_bits(block + 4, out->q);
}

static const il__quant plain[] = {
    {.type = IL_GGML_F32, write_f32, read_f32},
    {.type = IL_GGML_F16, write_f16, read_f16, 1, 0},
    {.type = IL_GGML_BF16, write_bf16, read_bf16},
    {IL_GGML_Q8_0, write_q8_0, read_q8_0, 1, 0, {8, 128, N, false, false}, split_q8_0},
    {IL_GGML_Q4_0, write_q4_0, read_q4_0, 1, 0, {4, 8, N, false, false}, split_q4_0},
    {IL_GGML_Q4_1, write_q4_1, read_q4_1, 2, 0, {4, 0, N, true, false}, split_q4_1},
    {IL_GGML_Q5_0, write_q5_0, read_q5_0, 1, 0, {5, 16, N, false, false}, split_q5_0},
    {IL_GGML_Q5_1, write_q5_1, read_q5_1, 2, 0, {5, 0, N, true, false}, split_q5_1},
};
static const il__quant *const grouped[] = {&il__quant_q4_k, &il__quant_q5_k, &il__quant_q6_k};

static const il__quant *find(il_ggml_type type)
{
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (plain[i].type == type) {
            return &plain[i];
        }
    }
    for (size_t i = 0; i < sizeof grouped / sizeof *grouped; i++) {
        if (grouped[i]->type == type) {
            return grouped[i];
        }
    }
    return NULL;
}

uint64_t il_quant_bytes(il_ggml_type type, uint64_t n)
{
    const il_ggml_layout *l = il_ggml_layout_of((uint32_t)type);
    return l && n % l->block_values == 0 ? n / l->block_values * l->block_bytes : 0;
}

bool il_quant_can_write(il_ggml_type type)
{
    const il__quant *q = find(type);
    return q && q->write;
}

bool il_quant_can_read(il_ggml_type type)
{
    return find(type) != NULL;
}

/* Infinity or NaN as fp16. */
static bool is_beyond(const uint8_t *at)
{
    return (il__get_u16(at) & 0x7C00) == 0x7C00;
}

int il_quant_write(il_ggml_type type, const float *x, size_t n, void *out, il_error *err)
{
    const il__quant *quant = find(type);
    const il_ggml_layout *l = il_ggml_layout_of((uint32_t)type);
    uint8_t *to = out;
    assert(quant && quant->write && l && n % l->block_values == 0);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            return il_fail(err, IL_E_NONFINITE, "value %zu of a row is not finite", i);
        }
    }
    for (size_t i = 0; i < n; i += l->block_values, to += l->block_bytes) {
        quant->write(x + i, to);
        for (unsigned s = 0; s < quant->n_scales; s++) {
            if (is_beyond(to + quant->scale_at + 2 * s)) {
                return il_fail(err, IL_E_RANGE, "value %zu of a row is too large for %s", i,
                               l->name);
            }
        }
    }
    return IL_OK;
}

void il_quant_read(il_ggml_type type, const void *blocks, size_t n, float *out)
{
    const il__quant *quant = find(type);
    const il_ggml_layout *l = il_ggml_layout_of((uint32_t)type);
    const uint8_t *from = blocks;
    assert(quant && l && n % l->block_values == 0);
    for (size_t i = 0; i < n; i += l->block_values, from += l->block_bytes) {
        quant->read(from, out + i);
    }
}

bool il_quant_form_of(il_ggml_type type, il_quant_form *out)
{
    const il__quant *quant = find(type);
    if (!quant || quant->form.bits == 0) {
        return false;
    }
    *out = quant->form;
    return true;
}

void il_quant_split(il_ggml_type type, const void *block, il_quant_parts *out)
{
    const il__quant *quant = find(type);
    assert(quant && quant->split);
    quant->split(block, out);
}
