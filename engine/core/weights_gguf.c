/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights from a GGUF file: its blocks repacked for the kernels, or expanded to the model's dtype.
 */
#include "engine/core/graph.h"

#include "model/quant.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How a tensor's rows are kept: blocks as they are, single values in the dtype nearest to them. */
static void choose_format(const il__graph *graph, const il_gguf_weight *weight, bool expand,
                          il_linear *out)
{
    il_quant_form form;
    out->blocks = IL_GGML_F32;
    if (!expand && il_quant_form_of(weight->layout->type, &form)) {
        out->blocks = weight->layout->type;
    } else if (expand) {
        out->dtype = graph->dtype;
    } else {
        out->dtype = weight->layout->type == IL_GGML_BF16 ? IL_DTYPE_BF16 : IL_DTYPE_F32;
    }
}

static int find_weight(const il_gguf_weights *file, const char *name, const il_gguf_weight **out,
                       il_error *err)
{
    *out = il_gguf_weights_find(file, name);
    return *out ? IL_OK : il_fail(err, IL_E_INVALID, "the file has no tensor for %s", name);
}

/* One part for each run of sources in the same format. */
static int bind_matrix(const il__graph *graph, il__matrix *matrix, const il_gguf_weights *file,
                       bool expand, il_error *err)
{
    il_linear base = matrix->parts[0];
    bool is_router = base.dtype != graph->dtype;
    matrix->transposed = false;
    matrix->n_parts = 0;
    for (uint32_t i = 0; i < matrix->n_sources; i++) {
        il__source *source = &matrix->sources[i];
        const il_gguf_weight *weight = NULL;
        int rc = find_weight(file, source->weight, &weight, err);
        if (rc != IL_OK) {
            return rc;
        }
        if (weight->n_rows != source->n_rows || weight->n_columns != base.n_in) {
            return il_fail(err, IL_E_INVALID, "%s has another size than the model's layers",
                           source->weight);
        }
        source->interleaved_heads = 0; /* the file has [q, k, v][heads] */
        il_linear part = base;
        part.n_out = source->n_rows;
        choose_format(graph, weight, expand, &part);
        if (is_router) {
            part.dtype = IL_DTYPE_F32;
            part.blocks = IL_GGML_F32;
        }
        il_linear *last = matrix->n_parts > 0 ? &matrix->parts[matrix->n_parts - 1] : NULL;
        if (last && last->blocks == part.blocks && last->dtype == part.dtype) {
            last->n_out += part.n_out;
        } else {
            matrix->parts[matrix->n_parts++] = part;
        }
    }
    return IL_OK;
}

static int bind_rope(il__graph *graph, const il_gguf_weights *file, il_arena *arena, il_error *err)
{
    const float *factors = il_gguf_weights_rope_factors(file);
    if (!factors) {
        return IL_OK;
    }
    size_t n = graph->shape.rope_dims / 2;
    graph->rope_factors = il_arena_array(arena, n, sizeof *graph->rope_factors);
    if (!graph->rope_factors) {
        return il_fail(err, IL_E_NOMEM, "no memory for rope factors");
    }
    memcpy(graph->rope_factors, factors, n * sizeof *factors);
    return IL_OK;
}

int il__gguf_bind(il__graph *graph, const il_gguf_weights *file, bool expand, il_arena *arena,
                  il_error *err)
{
    int rc = IL_OK;
    for (uint32_t i = 0; rc == IL_OK && i < graph->n_matrices; i++) {
        rc = bind_matrix(graph, &graph->matrices[i], file, expand, err);
    }
    const il_gguf_weight *table = NULL;
    if (rc == IL_OK && graph->embedding[0]) {
        rc = find_weight(file, graph->embedding, &table, err);
        il_quant_form form;
        bool blocks = rc == IL_OK && !expand && il_quant_form_of(table->layout->type, &form);
        graph->embedding_type = blocks ? table->layout->type : IL_GGML_F32;
    }
    graph->norms_whole = il_gguf_weights_norms_are_whole(file);
    return rc ? rc : bind_rope(graph, file, arena, err);
}

/* --- loading --------------------------------------------------------------------------------- */

static int load_vector(const il__vector *vector, const il_gguf_weights *file, il_error *err)
{
    const il_gguf_weight *weight = NULL;
    if (!vector->name[0]) {
        return IL_OK;
    }
    int rc = find_weight(file, vector->name, &weight, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (weight->n_rows * weight->n_columns != vector->n) {
        return il_fail(err, IL_E_INVALID, "%s has another size than the model needs", vector->name);
    }
    for (uint64_t r = 0; r < weight->n_rows; r++) {
        il_quant_read(weight->layout->type, il_gguf_weight_row(weight, r), weight->n_columns,
                      vector->data + r * weight->n_columns);
    }
    return IL_OK;
}

/* Rows [from, to) of a tensor as fp32, shared out among the workers. */
typedef struct expand_job {
    const il_gguf_weight *weight;
    uint64_t from, to;
    float *out;
} expand_job;

static void expand_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    const expand_job *job = arg;
    uint64_t n = job->to - job->from, columns = job->weight->n_columns;
    for (uint64_t i = n * worker / n_workers; i < n * (worker + 1) / n_workers; i++) {
        il_quant_read(job->weight->layout->type, il_gguf_weight_row(job->weight, job->from + i),
                      columns, job->out + i * columns);
    }
}

typedef struct loader {
    il__graph *graph;
    const il_gguf_weights *file;
    il_pool *pool;
    float *band; /* rows as fp32 on their way */
    uint64_t band_values;
    const uint8_t **rows;
} loader;

static uint64_t band_rows(const loader *l, const il_gguf_weight *weight)
{
    uint64_t n = l->band_values / weight->n_columns;
    return n < 1 ? 1 : n;
}

static int expand_rows(const loader *l, const il_gguf_weight *weight, il_linear *part, uint32_t row)
{
    int rc = IL_OK;
    uint64_t most = band_rows(l, weight);
    for (uint64_t r = 0; rc == IL_OK && r < weight->n_rows; r += most) {
        uint64_t left = weight->n_rows - r;
        expand_job job = {weight, r, r + (left < most ? left : most), l->band};
        il_pool_run(l->pool, expand_task, &job);
        rc = il_linear_pack(part, (uint32_t)(row + r), (uint32_t)(job.to - job.from), l->band,
                            IL_DTYPE_F32, false, part->n_in, l->pool);
    }
    return rc;
}

static int load_source(const loader *l, const il__source *source, il_linear *part, uint32_t row,
                       il_error *err)
{
    const il_gguf_weight *weight = il_gguf_weights_find(l->file, source->weight);
    int rc;
    if (part->blocks == IL_GGML_F32) {
        rc = expand_rows(l, weight, part, row);
    } else {
        for (uint64_t r = 0; r < weight->n_rows; r++) {
            l->rows[r] = il_gguf_weight_row(weight, r);
        }
        rc = il_linear_pack_blocks(part, row, (uint32_t)weight->n_rows, l->rows, l->pool);
    }
    return rc ? il_fail(err, rc, "tensor %s cannot be packed", source->weight) : IL_OK;
}

static int load_matrix(const loader *l, il__matrix *matrix, il_error *err)
{
    int rc = IL_OK;
    uint32_t p = 0, row = 0, bias_row = 0;
    for (uint32_t i = 0; rc == IL_OK && i < matrix->n_sources; i++) {
        const il__source *source = &matrix->sources[i];
        rc = load_source(l, source, &matrix->parts[p], row, err);
        const il_gguf_weight *bias = NULL;
        if (rc == IL_OK && matrix->bias) {
            rc = find_weight(l->file, source->bias, &bias, err);
        }
        if (rc == IL_OK && bias) {
            il_gguf_weight_vector(bias, 0, source->n_rows, matrix->bias + bias_row);
        }
        bias_row += source->n_rows;
        row += source->n_rows;
        if (row == matrix->parts[p].n_out) {
            p++;
            row = 0;
        }
    }
    return rc;
}

static int load_embedding(const loader *l, il_error *err)
{
    il__graph *graph = l->graph;
    const il_gguf_weight *table = NULL;
    if (!graph->embedding[0]) {
        return IL_OK;
    }
    int rc = find_weight(l->file, graph->embedding, &table, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (graph->embedding_type != IL_GGML_F32) {
        memcpy(graph->embedding_rows, table->data, table->n_rows * table->row_bytes);
        return IL_OK;
    }
    uint64_t most = band_rows(l, table);
    for (uint64_t r = 0; r < table->n_rows; r += most) {
        uint64_t left = table->n_rows - r, columns = table->n_columns;
        expand_job job = {table, r, r + (left < most ? left : most), l->band};
        il_pool_run(l->pool, expand_task, &job);
        uint64_t first = r * columns, n = (job.to - job.from) * columns;
        if (graph->dtype == IL_DTYPE_F32) {
            memcpy((float *)graph->embedding_rows + first, l->band, n * sizeof(float));
            continue;
        }
        for (uint64_t i = 0; i < n; i++) {
            ((uint16_t *)graph->embedding_rows)[first + i] = il_bf16_from_f32(l->band[i]);
        }
    }
    return IL_OK;
}

static int load_all(const loader *l, il_error *err)
{
    il__graph *graph = l->graph;
    int rc = load_embedding(l, err);
    rc = rc ? rc : load_vector(&graph->position, l->file, err);
    for (uint32_t i = 0; i < graph->n_ops && rc == IL_OK; i++) {
        const il__op *op = &graph->ops[i];
        if (op->kind == IL__OP_NORM) {
            rc = load_vector(&op->weight, l->file, err);
            rc = rc ? rc : load_vector(&op->bias, l->file, err);
        }
    }
    for (uint32_t i = 0; i < graph->n_matrices && rc == IL_OK; i++) {
        rc = load_matrix(l, &graph->matrices[i], err);
    }
    return rc;
}

int il__gguf_load(il__graph *graph, const il_gguf_weights *file, il_pool *pool, il_error *err)
{
    enum { BAND_VALUES = 1 << 20 };
    loader l = {.graph = graph, .file = file, .pool = pool, .band_values = BAND_VALUES};
    uint64_t most_rows = 1;
    for (size_t i = 0; i < il_gguf_weights_count(file); i++) {
        const il_gguf_weight *w = il_gguf_weights_at(file, i);
        most_rows = w->n_rows > most_rows ? w->n_rows : most_rows;
        l.band_values = w->n_columns > l.band_values ? w->n_columns : l.band_values;
    }
    l.band = malloc(l.band_values * sizeof *l.band);
    l.rows = malloc(most_rows * sizeof *l.rows);
    int rc = l.band && l.rows ? load_all(&l, err)
                              : il_fail(err, IL_E_NOMEM, "no memory for rows on their way");
    free(l.band);
    free((void *)l.rows);
    return rc;
}
