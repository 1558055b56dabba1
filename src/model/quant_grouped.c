/* SPDX-License-Identifier: Apache-2.0
 *
 * The formats of 256 values. A block's parts get scales by least squares first; these are then
 * rounded to whole multiples of the block's own scale, and the values are rounded once more with
 * what a reader will see. The bytes differ from those of other writers of the same format.
 */
#include "model/quant.h"

#include "inferlaw/dtype.h"

#include <math.h>
#include <string.h>

enum { N = 256, PART = 32, N_PARTS = N / PART, PART6 = 16, N_PARTS6 = N / PART6 };

static int nearest(float v, int low, int high)
{
    float r = rintf(v);
    return r < (float)low ? low : r > (float)high ? high : (int)r;
}

/* --- a part with scale and offset: x ≈ scale·q − drop, both ≥ 0
 * ------------------------------------ */

typedef struct affine {
    float scale, drop, error;
} affine;

static float affine_error(const float *x, int most, float scale, float drop)
{
    float sum = 0, per = scale > 0 ? 1 / scale : 0;
    for (int i = 0; i < PART; i++) {
        float gap = scale * (float)nearest((x[i] + drop) * per, 0, most) - drop - x[i];
        sum += gap * gap;
    }
    return sum;
}

/* For the levels that (scale, drop) gives, the best scale and drop: the normal equations. */
static affine affine_refit(const float *x, int most, float scale, float drop)
{
    float n = PART, sq = 0, sqq = 0, sx = 0, sqx = 0;
    for (int i = 0; i < PART; i++) {
        float q = (float)nearest((x[i] + drop) / scale, 0, most);
        sq += q;
        sqq += q * q;
        sx += x[i];
        sqx += q * x[i];
    }
    float det = n * sqq - sq * sq;
    affine fit = {scale, drop, 0};
    if (det > 0) {
        fit.scale = (n * sqx - sq * sx) / det;
        fit.drop = (sq * sqx - sqq * sx) / det;
    }
    if (fit.drop < 0 && sqq > 0) { /* the format has no offset upwards */
        fit.drop = 0;
        fit.scale = sqx / sqq;
    }
    if (!(fit.scale > 0)) {
        fit = (affine){scale, drop, 0};
    }
    fit.error = affine_error(x, most, fit.scale, fit.drop);
    return fit;
}

/* The whole range first, then narrower ones that let the ends clip. */
static affine affine_fit(const float *x, int most)
{
    static const float widths[] = {1.0f, 0.95f, 0.9f, 0.85f, 0.8f};
    float low = 0, high = 0;
    for (int i = 0; i < PART; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float scale = (high - low) / (float)most;
    affine best = {scale, -low, affine_error(x, most, scale, -low)};
    for (size_t k = 0; scale > 0 && k < sizeof widths / sizeof *widths; k++) {
        affine fit = affine_refit(x, most, scale * widths[k], -low * widths[k]);
        best = fit.error < best.error ? fit : best;
    }
    return best;
}

/* Eight pairs of six bits in twelve bytes: parts 0 to 3 in the low six bits of bytes 0 to 7; of
 * parts 4 to 7 the low four in bytes 8 to 11 and the high two atop bytes 0 to 7. */
static void pack_six(const uint8_t *s, const uint8_t *t, uint8_t *to)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(s[i] | s[i + 4] >> 4 << 6);
        to[i + 4] = (uint8_t)(t[i] | t[i + 4] >> 4 << 6);
        to[i + 8] = (uint8_t)((s[i + 4] & 15) | (t[i + 4] & 15) << 4);
    }
}

static void unpack_six(const uint8_t *from, uint8_t *s, uint8_t *t)
{
    for (int i = 0; i < 4; i++) {
        s[i] = from[i] & 63;
        t[i] = from[i + 4] & 63;
        s[i + 4] = (uint8_t)((from[i + 8] & 15) | from[i] >> 6 << 4);
        t[i + 4] = (uint8_t)(from[i + 8] >> 4 | from[i + 4] >> 6 << 4);
    }
}

/* Writes d, e and the twelve bytes; the levels of all values to q. */
static void write_affine(const float *x, int most, uint8_t *block, uint8_t *q)
{
    affine fits[N_PARTS];
    float top_scale = 0, top_drop = 0;
    uint8_t s[N_PARTS], t[N_PARTS];
    for (int p = 0; p < N_PARTS; p++) {
        fits[p] = affine_fit(x + p * PART, most);
        top_scale = fits[p].scale > top_scale ? fits[p].scale : top_scale;
        top_drop = fits[p].drop > top_drop ? fits[p].drop : top_drop;
    }
    uint16_t d16 = il_f16_from_f32(top_scale / 63), e16 = il_f16_from_f32(top_drop / 63);
    float d = il_f16_to_f32(d16), e = il_f16_to_f32(e16);
    il__put_f16(block, d16);
    il__put_f16(block + 2, e16);
    for (int p = 0; p < N_PARTS; p++) {
        s[p] = (uint8_t)nearest(d > 0 ? fits[p].scale / d : 0, 0, 63);
        t[p] = (uint8_t)nearest(e > 0 ? fits[p].drop / e : 0, 0, 63);
        float scale = d * (float)s[p], drop = e * (float)t[p];
        for (int i = p * PART; i < (p + 1) * PART; i++) {
            q[i] = (uint8_t)nearest(scale > 0 ? (x[i] + drop) / scale : 0, 0, most);
        }
    }
    pack_six(s, t, block + 4);
}

static void read_affine(const uint8_t *block, const uint8_t *q, float *x)
{
    uint8_t s[N_PARTS], t[N_PARTS];
    float d = il_f16_to_f32(il__get_u16(block)), e = il_f16_to_f32(il__get_u16(block + 2));
    unpack_six(block + 4, s, t);
    for (int i = 0; i < N; i++) {
        int p = i / PART;
        x[i] = d * (float)s[p] * (float)q[i] - e * (float)t[p];
    }
}

/* Two parts share 32 bytes: the earlier in the low digits, the later in the high ones. */
static void pack_pairs(const uint8_t *q, uint8_t *to)
{
    for (int i = 0; i < N / 2; i++) {
        const uint8_t *from = q + i / PART * 2 * PART + i % PART;
        to[i] = (uint8_t)((from[0] & 15) | (from[PART] & 15) << 4);
    }
}

static void unpack_pairs(const uint8_t *from, uint8_t *q)
{
    for (int i = 0; i < N / 2; i++) {
        uint8_t *to = q + i / PART * 2 * PART + i % PART;
        to[0] = from[i] & 15;
        to[PART] = from[i] >> 4;
    }
}

static void write_q4_k(const float *x, uint8_t *block)
{
    uint8_t q[N];
    write_affine(x, 15, block, q);
    pack_pairs(q, block + 16);
}

static void read_q4_k(const uint8_t *block, float *x)
{
    uint8_t q[N];
    unpack_pairs(block + 16, q);
    read_affine(block, q, x);
}

/* The fifth bits: byte i holds value i of every part, bit p that of part p. */
static void write_q5_k(const float *x, uint8_t *block)
{
    uint8_t q[N];
    write_affine(x, 31, block, q);
    memset(block + 16, 0, PART);
    for (int i = 0; i < N; i++) {
        block[16 + i % PART] |= (uint8_t)(q[i] >> 4 << (i / PART));
    }
    pack_pairs(q, block + 16 + PART);
}

static void read_q5_k(const uint8_t *block, float *x)
{
    uint8_t q[N];
    unpack_pairs(block + 16 + PART, q);
    for (int i = 0; i < N; i++) {
        q[i] |= (uint8_t)((block[16 + i % PART] >> (i / PART) & 1) << 4);
    }
    read_affine(block, q, x);
}

/* --- a part with a scale of either sign: x ≈ scale·q, q −32 … 31
 * ------------------------------------ */

static float linear_fit(const float *x)
{
    float far = 0, best = 0, least = 0;
    for (int i = 0; i < PART6; i++) {
        far = fabsf(x[i]) > fabsf(far) ? x[i] : far;
        least += x[i] * x[i];
    }
    for (int ends = 30; far != 0 && ends <= 34; ends++) {
        float per = -(float)ends / far, qq = 0, qx = 0, error = 0;
        for (int i = 0; i < PART6; i++) {
            float q = (float)nearest(x[i] * per, -32, 31);
            qq += q * q;
            qx += q * x[i];
        }
        float scale = qq > 0 ? qx / qq : 0;
        for (int i = 0; scale != 0 && i < PART6; i++) {
            float gap = scale * (float)nearest(x[i] / scale, -32, 31) - x[i];
            error += gap * gap;
        }
        if (scale != 0 && error < least) {
            least = error;
            best = scale;
        }
    }
    return best;
}

/* Low four bits, high two bits, scales, d. Of each half of 128, four runs of 32 share the bytes:
 * runs 0 and 2 the first 32 of the low, 1 and 3 the next; all four the 32 of the high. */
enum { LOW6 = 0, HIGH6 = N / 2, SCALES6 = HIGH6 + N / 4, D6 = SCALES6 + N_PARTS6 };

static void pack_six_bits(const uint8_t *q, uint8_t *block)
{
    memset(block, 0, SCALES6);
    for (int i = 0; i < N; i++) {
        int half = i / 128, run = i % 128 / 32, at = i % 32;
        block[LOW6 + half * 64 + run % 2 * 32 + at] |= (uint8_t)((q[i] & 15) << (run / 2 * 4));
        block[HIGH6 + half * 32 + at] |= (uint8_t)(q[i] >> 4 << (run * 2));
    }
}

static void write_q6_k(const float *x, uint8_t *block)
{
    float fits[N_PARTS6], far = 0;
    uint8_t q[N];
    for (int p = 0; p < N_PARTS6; p++) {
        fits[p] = linear_fit(x + p * PART6);
        far = fabsf(fits[p]) > fabsf(far) ? fits[p] : far;
    }
    uint16_t d16 = il_f16_from_f32(far / -128);
    float d = il_f16_to_f32(d16);
    il__put_f16(block + D6, d16);
    for (int p = 0; p < N_PARTS6; p++) {
        int s = nearest(d != 0 ? fits[p] / d : 0, -128, 127);
        float scale = d * (float)s;
        for (int i = p * PART6; i < (p + 1) * PART6; i++) {
            q[i] = (uint8_t)(nearest(scale != 0 ? x[i] / scale : 0, -32, 31) + 32);
        }
        block[SCALES6 + p] = (uint8_t)(int8_t)s;
    }
    pack_six_bits(q, block);
}

static void read_q6_k(const uint8_t *block, float *x)
{
    float d = il_f16_to_f32(il__get_u16(block + D6));
    for (int i = 0; i < N; i++) {
        int half = i / 128, run = i % 128 / 32, at = i % 32;
        int low = block[LOW6 + half * 64 + run % 2 * 32 + at] >> (run / 2 * 4) & 15;
        int high = block[HIGH6 + half * 32 + at] >> (run * 2) & 3;
        float scale = d * (float)(int8_t)block[SCALES6 + i / PART6];
        x[i] = scale * (float)((low | high << 4) - 32);
    }
}

/* --- taken apart ------------------------------------------------------------------------------ */

static void split_affine(const uint8_t *block, il_quant_parts *out)
{
    out->d = il__get_u16(block);
    out->e = il__get_u16(block + 2);
    unpack_six(block + 4, out->s, out->t);
}

static void split_q4_k(const uint8_t *block, il_quant_parts *out)
{
    split_affine(block, out);
    unpack_pairs(block + 16, out->q);
}

static void split_q5_k(const uint8_t *block, il_quant_parts *out)
{
    split_affine(block, out);
    unpack_pairs(block + 16 + PART, out->q);
    for (int i = 0; i < N; i++) {
        out->q[i] |= (uint8_t)((block[16 + i % PART] >> (i / PART) & 1) << 4);
    }
}

static void split_q6_k(const uint8_t *block, il_quant_parts *out)
{
    out->d = il__get_u16(block + D6);
    memcpy(out->s, block + SCALES6, N_PARTS6);
    for (int i = 0; i < N; i++) {
        int half = i / 128, run = i % 128 / 32, at = i % 32;
        int low = block[LOW6 + half * 64 + run % 2 * 32 + at] >> (run / 2 * 4) & 15;
        int high = block[HIGH6 + half * 32 + at] >> (run * 2) & 3;
        out->q[i] = (uint8_t)(low | high << 4);
    }
}

const il__quant il__quant_q4_k = {
    IL_GGML_Q4_K, write_q4_k, read_q4_k, 2, 0, {4, 0, PART, true, true}, split_q4_k};
const il__quant il__quant_q5_k = {
    IL_GGML_Q5_K, write_q5_k, read_q5_k, 2, 0, {5, 0, PART, true, true}, split_q5_k};
const il__quant il__quant_q6_k = {
    IL_GGML_Q6_K, write_q6_k, read_q6_k, 1, D6, {6, 32, PART6, false, true}, split_q6_k};
