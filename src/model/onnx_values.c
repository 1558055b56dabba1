/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx_values.h"

#include "model/rope.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Values made at a time: 32 MiB as fp32. A matrix is turned in bands of rows, so a band of few rows
 * would read short pieces. */
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
        uint64_t n = t->n_dims > 0 ? columns_of(t) : 1;
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

/* The first n values of the band in the tensor's type. */
static int push(il__onnx_values *v, const il__onnx_tensor *t, size_t n, il_staged_file *to,
                il_error *err)
{
    const void *bytes = v->band;
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
    uint64_t n_bytes = n * il__onnx_type_bytes(t->type);
    int rc = il_staged_file_append(to, t->type == IL__ONNX_FLOAT ? bytes : half, n_bytes, err);
    v->done_bytes += n_bytes;
    if (rc == IL_OK && v->options->progress) {
        v->options->progress(v->source->name, v->done_bytes, v->total_bytes, v->options->user);
    }
    if (rc == IL_OK && v->options->stop && *v->options->stop) {
        rc = il_fail(err, IL_E_INTERRUPTED, "interrupted; nothing was left behind");
    }
    return rc;
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

static void turn_band(const il__onnx_values *v, const il__onnx_tensor *t, uint64_t first, size_t n)
{
    uint64_t n_columns = columns_of(t), at = 0;
    for (uint32_t p = 0; p < t->n_parts; p++) {
        const il_tensor_info *part = t->parts[p];
        uint64_t n_in = part->n_dims > 1 ? part->dims[1] : 1;
        for (uint64_t c = 0; c < part->dims[0]; c++, at++) {
            uint64_t row = source_row(t, c, part->dims[0]);
            il__weight_fetch(v->source, part, row * n_in + first, n, v->spare);
            for (size_t r = 0; r < n; r++) {
                v->band[r * n_columns + at] = v->spare[r];
            }
        }
    }
    assert(at == n_columns);
}

static int write_turned(il__onnx_values *v, const il__onnx_tensor *t, il_staged_file *to,
                        il_error *err)
{
    uint64_t n_columns = columns_of(t), n_rows = t->n_dims > 1 ? t->dims[0] : 1;
    uint64_t most = v->most_values / n_columns;
    int rc = IL_OK;
    for (uint64_t row = 0; rc == IL_OK && row < n_rows; row += most) {
        size_t n = (size_t)(n_rows - row < most ? n_rows - row : most);
        turn_band(v, t, row, n);
        rc = push(v, t, n * (size_t)n_columns, to, err);
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
    default:
        return write_table(v, t, to, err);
    }
}
