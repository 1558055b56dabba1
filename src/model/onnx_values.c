/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx_values.h"

#include "model/rope.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Values made at a time: 32 MiB as fp32. */
enum { BAND_VALUES = 1 << 23 };

static uint64_t columns_of(const il__onnx_tensor *t)
{
    return t->dims[t->n_dims - 1];
}

int il__onnx_values_init(il__onnx_values *v, const il__onnx_graph *g, il_error *err)
{
    v->most_values = BAND_VALUES;
    for (size_t i = 0; i < g->n_tensors; i++) {
        const il__onnx_tensor *t = &g->tensors[i];
        uint64_t n = t->n_dims > 0 ? IL__ONNX_PARTS * columns_of(t) : 1;
        v->most_values = n > v->most_values ? n : v->most_values;
        v->total_bytes += t->n_bytes;
    }
    v->band = malloc(v->most_values * sizeof *v->band);
    v->spare = malloc(v->most_values * sizeof *v->spare);
    v->narrow = malloc(v->most_values * sizeof(uint16_t));
    if (!v->band || !v->spare || !v->narrow) {
        return il_fail(err, IL_E_NOMEM, "no memory for a band of rows");
    }
    return IL_OK;
}

void il__onnx_values_free(il__onnx_values *v)
{
    free(v->band);
    free(v->spare);
    free(v->narrow);
}

/* The first n values of the band in the tensor's type, where `bytes` then points. */
static int convert(il__onnx_values *v, const il__onnx_tensor *t, size_t n, const void **bytes,
                   il_error *err)
{
    uint16_t *half = v->narrow;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        float x = v->band[i] + (t->plus_one ? 1.0f : 0.0f);
        v->band[i] = x;
        if (t->type == IL__ONNX_FLOAT16) {
            half[i] = il_f16_from_f32(x);
            x = il_f16_to_f32(half[i]);
        } else if (t->type == IL__ONNX_BFLOAT16) {
            half[i] = il_bf16_from_f32(x);
            x = il_bf16_to_f32(half[i]);
        }
        finite = finite && isfinite((double)x);
    }
    if (!finite) {
        int rc = il_fail(err, IL_E_NONFINITE, "tensor %s holds a value that is not finite in %s",
                         t->name, il_dtype_name(v->options->dtype));
        il_error_hint(err, "fp32 holds every finite value of a checkpoint");
        return rc;
    }
    *bytes = t->type == IL__ONNX_FLOAT ? (const void *)v->band : half;
    return IL_OK;
}

/* Tells how far the file is, and whether to stop. */
static int report(il__onnx_values *v, uint64_t n_bytes, il_error *err)
{
    v->done_bytes += n_bytes;
    if (v->options->progress) {
        v->options->progress(v->source->name, v->done_bytes, v->total_bytes, v->options->user);
    }
    if (v->options->stop && *v->options->stop) {
        return il_fail(err, IL_E_INTERRUPTED, "interrupted; nothing was left behind");
    }
    return IL_OK;
}

static int push(il__onnx_values *v, const il__onnx_tensor *t, size_t n, il_staged_file *to,
                il_error *err)
{
    const void *bytes = NULL;
    uint64_t n_bytes = n * il__onnx_type_bytes(t->type);
    int rc = convert(v, t, n, &bytes, err);
    rc = rc ? rc : il_staged_file_append(to, bytes, n_bytes, err);
    return rc ? rc : report(v, n_bytes, err);
}

static int write_as_is(il__onnx_values *v, const il__onnx_tensor *t, il_staged_file *to,
                       il_error *err)
{
    uint64_t left = t->n_bytes / il__onnx_type_bytes(t->type), first = 0;
    int rc = IL_OK;
    while (rc == IL_OK && left > 0) {
        size_t n = (size_t)(left < v->most_values ? left : v->most_values);
        il__weight_fetch(v->source, t->parts[0], first, n, v->band);
        rc = push(v, t, n, to, err);
        first += n;
        left -= n;
    }
    return rc;
}

/* The stored row that column `column` of the part comes from. */
static uint64_t source_row(const il__onnx_tensor *t, uint64_t column, uint64_t n_columns)
{
    if (t->interleaved_heads == 0) {
        return column;
    }
    uint64_t e = n_columns / t->interleaved_heads / 3;
    uint64_t part = column / (e * t->interleaved_heads), head = column / e % t->interleaved_heads;
    return (head * 3 + part) * e + column % e;
}

static uint64_t inputs_of(const il_tensor_info *part)
{
    return part->n_dims > 1 ? part->dims[1] : 1;
}

/* Stored rows that become columns [first, first + n) of the part, into spare: [n][inputs]. */
static void fetch_columns(const il__onnx_values *v, const il__onnx_tensor *t,
                          const il_tensor_info *part, uint64_t first, uint64_t n)
{
    uint64_t n_in = inputs_of(part);
    if (t->interleaved_heads == 0) {
        il__weight_fetch(v->source, part, first * n_in, (size_t)(n * n_in), v->spare);
        return;
    }
    for (uint64_t c = 0; c < n; c++) {
        uint64_t row = source_row(t, first + c, part->dims[0]);
        il__weight_fetch(v->source, part, row * n_in, (size_t)n_in, v->spare + c * n_in);
    }
}

/* from [n_columns][n_rows] to columns of to, whose rows are `stride` apart; in tiles, so that both
 * sides stay in the first-level cache. */
static void turn(const float *from, uint64_t n_rows, uint64_t n_columns, float *to, uint64_t stride)
{
    enum { TILE = 32 };
    for (uint64_t r0 = 0; r0 < n_rows; r0 += TILE) {
        uint64_t r1 = r0 + TILE < n_rows ? r0 + TILE : n_rows;
        for (uint64_t c0 = 0; c0 < n_columns; c0 += TILE) {
            uint64_t c1 = c0 + TILE < n_columns ? c0 + TILE : n_columns;
            for (uint64_t r = r0; r < r1; r++) {
                for (uint64_t c = c0; c < c1; c++) {
                    to[r * stride + c] = from[c * n_rows + r];
                }
            }
        }
    }
}

/* Columns [first, first + n) of a part, which are columns `at` and on of a tensor too large for the
 * band: a piece of every row, written where it belongs. */
static int write_columns(il__onnx_values *v, const il__onnx_tensor *t, const il_tensor_info *part,
                         const uint64_t range[2], uint64_t at, il_staged_file *to, il_error *err)
{
    uint64_t n_in = inputs_of(part), n = range[1], n_value = il__onnx_type_bytes(t->type);
    uint64_t base = il_staged_file_bytes(to) - t->n_bytes;
    const void *bytes = NULL;
    fetch_columns(v, t, part, range[0], n);
    turn(v->spare, n_in, n, v->band, n);
    int rc = convert(v, t, (size_t)(n * n_in), &bytes, err);
    for (uint64_t r = 0; rc == IL_OK && r < n_in; r++) {
        rc = il_staged_file_write_at(to, base + (r * columns_of(t) + at) * n_value,
                                     (const char *)bytes + r * n * n_value, (size_t)(n * n_value),
                                     err);
    }
    return rc ? rc : report(v, n * n_in * n_value, err);
}

static int write_turned(il__onnx_values *v, const il__onnx_tensor *t, il_staged_file *to,
                        il_error *err)
{
    uint64_t n_columns = columns_of(t), n_in = inputs_of(t->parts[0]), at = 0;
    bool whole = n_columns * n_in <= v->most_values;
    int rc = whole ? IL_OK : il_staged_file_skip(to, t->n_bytes, err);
    for (uint32_t p = 0; rc == IL_OK && p < t->n_parts; p++) {
        const il_tensor_info *part = t->parts[p];
        uint64_t left = part->dims[0], most = whole ? left : v->most_values / n_in;
        most = most < 1 ? 1 : most;
        while (rc == IL_OK && left > 0) {
            uint64_t range[] = {part->dims[0] - left, left < most ? left : most};
            if (whole) {
                fetch_columns(v, t, part, range[0], range[1]);
                turn(v->spare, n_in, range[1], v->band + at, n_columns);
            } else {
                rc = write_columns(v, t, part, range, at, to, err);
            }
            at += range[1];
            left -= range[1];
        }
    }
    return rc || !whole ? rc : push(v, t, (size_t)(n_columns * n_in), to, err);
}

/* An expert's rows, those of gate and up in turn. */
static int write_experts(il__onnx_values *v, const il__onnx_tensor *t, il_staged_file *to,
                         il_error *err)
{
    uint64_t n_in = columns_of(t), n_rows = t->parts[0]->dims[0], most = v->most_values / n_in;
    int rc = IL_OK;
    most = most < t->n_parts ? 1 : most / t->n_parts;
    for (uint64_t expert = 0; expert < t->dims[0]; expert++) {
        for (uint64_t first = 0; rc == IL_OK && first < n_rows; first += most) {
            uint64_t n = n_rows - first < most ? n_rows - first : most;
            for (uint32_t p = 0; p < t->n_parts; p++) {
                const il_tensor_info *part = t->parts[p] + expert * t->stride;
                il__weight_fetch(v->source, part, first * n_in, (size_t)(n * n_in), v->spare);
                for (uint64_t r = 0; r < n; r++) {
                    memcpy(v->band + (r * t->n_parts + p) * n_in, v->spare + r * n_in,
                           n_in * sizeof *v->band);
                }
            }
            rc = push(v, t, (size_t)(n * n_in * t->n_parts), to, err);
        }
    }
    return rc;
}

static int write_table(il__onnx_values *v, const il__onnx_tensor *t, il_staged_file *to,
                       il_error *err)
{
    uint64_t half = columns_of(t), most = v->most_values / half;
    bool cosine = t->order == IL__ONNX_ROPE_COS;
    float *frequencies = malloc(half * sizeof *frequencies);
    int rc = frequencies ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for %s", t->name);
    if (rc == IL_OK) {
        il_rope_frequencies(v->source->shape, t->rope_local, frequencies);
    }
    for (uint64_t row = 0; rc == IL_OK && row < t->dims[0]; row += most) {
        uint64_t n = t->dims[0] - row < most ? t->dims[0] - row : most;
        il_rope_rows(v->source->shape, t->rope_local, frequencies, row, n,
                     cosine ? v->band : v->spare, cosine ? v->spare : v->band);
        rc = push(v, t, (size_t)(n * half), to, err);
    }
    free(frequencies);
    return rc;
}

int il__onnx_values_write(il__onnx_values *v, const il__onnx_tensor *t, il_staged_file *to,
                          il_error *err)
{
    switch (t->order) {
    case IL__ONNX_BYTES:
        v->done_bytes += t->n_bytes;
        return il_staged_file_append(to, t->bytes, t->n_bytes, err);
    case IL__ONNX_AS_IS:
        return write_as_is(v, t, to, err);
    case IL__ONNX_TURNED:
        return write_turned(v, t, to, err);
    case IL__ONNX_EXPERTS:
        return write_experts(v, t, to, err);
    default:
        return write_table(v, t, to, err);
    }
}
