/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights: where each stands in the model's one region, and their conversion straight from the
 * mapped checkpoint.
 */
#include "engine/core/graph.h"

#include "model/quant.h"

#include <assert.h>
#include <string.h>

static bool has_bias(const il__matrix *matrix)
{
    return matrix->n_sources > 0 && matrix->sources[0].bias[0] != '\0';
}

static void layout_vector(il__vector *vector, il__region *region)
{
    if (vector->name[0]) {
        vector->data = il__region_take(region, vector->n, sizeof(float));
    }
}

static void layout_matrix(il__matrix *matrix, il__region *region)
{
    uint32_t n_out = 0;
    for (uint32_t i = 0; i < matrix->n_parts; i++) {
        il_linear *part = &matrix->parts[i];
        part->packed = il__region_take(region, il_linear_packed_bytes(part), 1);
        n_out += part->n_out;
    }
    if (!has_bias(matrix)) {
        return;
    }
    matrix->bias = il__region_take(region, n_out, sizeof(float));
    uint32_t row = 0;
    for (uint32_t i = 0; i < matrix->n_parts; i++) {
        matrix->parts[i].bias = matrix->bias ? matrix->bias + row : NULL;
        row += matrix->parts[i].n_out;
    }
}

void il__weights_layout(il__graph *graph, il__region *region)
{
    const il_shape *shape = &graph->shape;
    if (graph->embedding[0]) {
        size_t row_bytes = graph->embedding_type == IL_GGML_F32
                               ? shape->d_model * il_dtype_bytes(graph->dtype)
                               : il_quant_bytes(graph->embedding_type, shape->d_model);
        graph->embedding_rows = il__region_take(region, shape->vocab_size, row_bytes);
    }
    layout_vector(&graph->position, region);
    for (uint32_t i = 0; i < graph->n_ops; i++) {
        il__op *op = &graph->ops[i];
        if (op->kind == IL__OP_NORM) {
            layout_vector(&op->weight, region);
            layout_vector(&op->bias, region);
        }
    }
    for (uint32_t i = 0; i < graph->n_matrices; i++) {
        layout_matrix(&graph->matrices[i], region);
    }
}

size_t il__linear_scratch_bytes(const il__graph *graph, uint32_t n_rows)
{
    size_t most = 0;
    for (uint32_t i = 0; i < graph->n_matrices; i++) {
        for (uint32_t p = 0; p < graph->matrices[i].n_parts; p++) {
            size_t bytes = il_linear_scratch_bytes(&graph->matrices[i].parts[p], n_rows);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

static float element_as_f32(const void *src, il_dtype dtype, uint64_t i)
{
    const unsigned char *at = (const unsigned char *)src + i * il_dtype_bytes(dtype);
    if (dtype == IL_DTYPE_F32) {
        float value;
        memcpy(&value, at, sizeof value);
        return value;
    }
    uint16_t bits;
    memcpy(&bits, at, sizeof bits);
    return dtype == IL_DTYPE_BF16 ? il_bf16_to_f32(bits) : il_f16_to_f32(bits);
}

static void convert(const void *src, il_dtype src_dtype, uint64_t from, uint64_t to, void *dst,
                    il_dtype dst_dtype)
{
    for (uint64_t i = from; i < to; i++) {
        float value = element_as_f32(src, src_dtype, i);
        if (dst_dtype == IL_DTYPE_F32) {
            ((float *)dst)[i] = value;
        } else {
            ((uint16_t *)dst)[i] = il_bf16_from_f32(value);
        }
    }
}

/* The stored tensor, checked for the number of elements. */
static int find_tensor(const il_checkpoint *ckpt, const char *name, uint64_t n_elements,
                       const il_tensor_view **out, il_error *err)
{
    const il_tensor_view *view = il_checkpoint_tensor(ckpt, name);
    if (!view) {
        return il_fail(err, IL_E_INVALID, "the checkpoint has no tensor %s", name);
    }
    uint64_t n = view->n_bytes / il_dtype_bytes(view->dtype);
    if (n != n_elements) {
        return il_fail(err, IL_E_INVALID, "tensor %s holds %llu numbers where %llu are needed",
                       name, (unsigned long long)n, (unsigned long long)n_elements);
    }
    *out = view;
    return IL_OK;
}

static int load_vector(const il__vector *vector, const il_checkpoint *ckpt, il_error *err)
{
    if (!vector->name[0]) {
        return IL_OK;
    }
    const il_tensor_view *view;
    int rc = find_tensor(ckpt, vector->name, vector->n, &view, err);
    if (rc == IL_OK) {
        convert(view->data, view->dtype, 0, vector->n, vector->data, IL_DTYPE_F32);
    }
    return rc;
}

/* [heads][3][d_head] rows to [3][heads][d_head]: piece j of head h. */
typedef struct piece {
    uint32_t stored, placed, n_rows;
} piece;

static piece interleaved_piece(const il__source *source, uint32_t i)
{
    uint32_t heads = source->interleaved_heads;
    uint32_t e = source->n_rows / (3 * heads);
    return (piece){.stored = i * e, .placed = (i % 3 * heads + i / 3) * e, .n_rows = e};
}

static int pack_interleaved(il_linear *linear, const il__source *source, const il_tensor_view *view,
                            il_pool *pool)
{
    size_t row_bytes = linear->n_in * il_dtype_bytes(view->dtype);
    for (uint32_t i = 0; i < 3 * source->interleaved_heads; i++) {
        piece p = interleaved_piece(source, i);
        int rc = il_linear_pack(linear, p.placed, p.n_rows,
                                (const unsigned char *)view->data + p.stored * row_bytes,
                                view->dtype, false, linear->n_in, pool);
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

static void convert_interleaved(const il__source *source, const il_tensor_view *view, float *bias)
{
    for (uint32_t i = 0; i < 3 * source->interleaved_heads; i++) {
        piece p = interleaved_piece(source, i);
        const unsigned char *from =
            (const unsigned char *)view->data + p.stored * il_dtype_bytes(view->dtype);
        convert(from, view->dtype, 0, p.n_rows, bias + p.placed, IL_DTYPE_F32);
    }
}

static int load_matrix(il__matrix *matrix, const il_checkpoint *ckpt, il_pool *pool, il_error *err)
{
    il_linear *linear = &matrix->parts[0]; /* a checkpoint has one format */
    uint32_t row = 0;
    for (uint32_t i = 0; i < matrix->n_sources; i++) {
        const il__source *source = &matrix->sources[i];
        const il_tensor_view *view;
        int rc =
            find_tensor(ckpt, source->weight, (uint64_t)source->n_rows * linear->n_in, &view, err);
        if (rc != IL_OK) {
            return rc;
        }
        rc = source->interleaved_heads > 0
                 ? pack_interleaved(linear, source, view, pool)
                 : il_linear_pack(linear, row, source->n_rows, view->data, view->dtype,
                                  matrix->transposed,
                                  matrix->transposed ? source->n_rows : linear->n_in, pool);
        if (rc != IL_OK) {
            return il_fail(err, rc, "tensor %s cannot be packed", source->weight);
        }
        if (matrix->bias) {
            rc = find_tensor(ckpt, source->bias, source->n_rows, &view, err);
            if (rc != IL_OK) {
                return rc;
            }
            if (source->interleaved_heads > 0) {
                convert_interleaved(source, view, matrix->bias);
            } else {
                convert(view->data, view->dtype, 0, source->n_rows, matrix->bias + row,
                        IL_DTYPE_F32);
            }
        }
        row += source->n_rows;
    }
    assert(row == linear->n_out);
    return IL_OK;
}

typedef struct convert_job {
    const il_tensor_view *view;
    uint64_t n;
    void *dst;
    il_dtype dtype;
} convert_job;

static void convert_share(void *arg, uint32_t worker, uint32_t n_workers)
{
    const convert_job *job = arg;
    uint64_t per = job->n / n_workers;
    uint64_t from = per * worker;
    uint64_t to = worker + 1 == n_workers ? job->n : from + per;
    convert(job->view->data, job->view->dtype, from, to, job->dst, job->dtype);
}

static int load_embedding(il__graph *graph, const il_checkpoint *ckpt, il_pool *pool, il_error *err)
{
    if (!graph->embedding[0]) {
        return IL_OK;
    }
    convert_job job = {.n = (uint64_t)graph->shape.vocab_size * graph->shape.d_model,
                       .dst = graph->embedding_rows,
                       .dtype = graph->dtype};
    int rc = find_tensor(ckpt, graph->embedding, job.n, &job.view, err);
    if (rc == IL_OK) {
        il_pool_run(pool, convert_share, &job);
    }
    return rc;
}

int il__weights_load(il__graph *graph, const il_checkpoint *ckpt, il_pool *pool, il_error *err)
{
    int rc = load_embedding(graph, ckpt, pool, err);
    if (rc == IL_OK) {
        rc = load_vector(&graph->position, ckpt, err);
    }
    for (uint32_t i = 0; i < graph->n_ops && rc == IL_OK; i++) {
        il__op *op = &graph->ops[i];
        if (op->kind == IL__OP_NORM) {
            rc = load_vector(&op->weight, ckpt, err);
            if (rc == IL_OK) {
                rc = load_vector(&op->bias, ckpt, err);
            }
        }
    }
    for (uint32_t i = 0; i < graph->n_matrices && rc == IL_OK; i++) {
        rc = load_matrix(&graph->matrices[i], ckpt, pool, err);
    }
    return rc;
}

void il__embedding_row(const il__graph *graph, uint32_t id, float *out)
{
    uint32_t n = graph->shape.d_model;
    if (!graph->embedding_rows) {
        il_linear_row(&graph->head->parts[0], id, out);
    } else if (graph->embedding_type != IL_GGML_F32) {
        size_t row_bytes = il_quant_bytes(graph->embedding_type, n);
        il_quant_read(graph->embedding_type, (const char *)graph->embedding_rows + id * row_bytes,
                      n, out);
    } else if (graph->dtype == IL_DTYPE_F32) {
        memcpy(out, (const float *)graph->embedding_rows + (size_t)id * n, n * sizeof *out);
    } else {
        const uint16_t *row = (const uint16_t *)graph->embedding_rows + (size_t)id * n;
        for (uint32_t i = 0; i < n; i++) {
            out[i] = il_bf16_to_f32(row[i]);
        }
    }
}
