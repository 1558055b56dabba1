/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing of weight matrices into panels (layout: kernels_internal.h), and reading rows back.
 */
#include "engine/cpu/kernels_internal.h"

#include <assert.h>
#include <string.h>

enum { MOST_NR = 64, BLOCK_COLUMNS = 64 };

typedef struct pack_job {
    il_linear *lin;
    const il__linear_kernel *kernel;
    uint32_t row0, n_rows;
    const void *src;
    il_dtype src_dtype;
    bool transposed;
    size_t src_ld;
    uint32_t panel0, n_panels;
} pack_job;

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (uint32_t)(((uint64_t)a + b - 1) / b);
}

static void load_floats(const void *src, il_dtype dtype, size_t first, size_t n, float *out)
{
    if (dtype == IL_DTYPE_F32) {
        memcpy(out, (const float *)src + first, n * sizeof *out);
        return;
    }
    const uint16_t *half = (const uint16_t *)src + first;
    for (size_t i = 0; i < n; i++) {
        out[i] = dtype == IL_DTYPE_BF16 ? il_bf16_to_f32(half[i]) : il_f16_to_f32(half[i]);
    }
}

/* block[r][c] = W[row + r][column + c] for n_rows × n_columns, from either orientation. */
static void load_block(const pack_job *job, uint32_t row, uint32_t n_rows, uint32_t column,
                       uint32_t n_columns, float block[][BLOCK_COLUMNS])
{
    if (!job->transposed) {
        for (uint32_t r = 0; r < n_rows; r++) {
            load_floats(job->src, job->src_dtype, (row + r) * job->src_ld + column, n_columns,
                        block[r]);
        }
        return;
    }
    float line[MOST_NR];
    for (uint32_t c = 0; c < n_columns; c++) {
        load_floats(job->src, job->src_dtype, (column + c) * job->src_ld + row, n_rows, line);
        for (uint32_t r = 0; r < n_rows; r++) {
            block[r][c] = line[r];
        }
    }
}

/* Rows [lane0, lane0 + n_rows) of a panel, columns [column, column + n_columns). */
static void store_block(const pack_job *job, uint32_t panel, uint32_t lane0, uint32_t n_rows,
                        uint32_t column, uint32_t n_columns, float block[][BLOCK_COLUMNS])
{
    const il__linear_kernel *kernel = job->kernel;
    uint32_t nr = kernel->nr, step = kernel->k_step;
    size_t panel_elements = (size_t)ceil_div(job->lin->n_in, step) * step * nr;
    for (uint32_t c = 0; c < n_columns; c++) {
        size_t at = panel * panel_elements + (size_t)((column + c) / step) * step * nr +
                    (size_t)lane0 * step + (column + c) % step;
        if (job->lin->dtype == IL_DTYPE_F32) {
            float *to = (float *)job->lin->packed + at;
            for (uint32_t r = 0; r < n_rows; r++) {
                to[r * step] = block[r][c];
            }
        } else {
            uint16_t *to = (uint16_t *)job->lin->packed + at;
            for (uint32_t r = 0; r < n_rows; r++) {
                to[r * step] = il_bf16_from_f32(block[r][c]);
            }
        }
    }
}

static void zero_lanes(const pack_job *job, uint32_t panel, uint32_t lane0, uint32_t lane1)
{
    float zeros[MOST_NR][BLOCK_COLUMNS] = {{0}};
    for (uint32_t column = 0; column < job->lin->n_in; column += BLOCK_COLUMNS) {
        uint32_t left = job->lin->n_in - column;
        store_block(job, panel, lane0, lane1 - lane0, column,
                    left < BLOCK_COLUMNS ? left : BLOCK_COLUMNS, zeros);
    }
}

static void zero_odd_column(const pack_job *job, uint32_t panel, uint32_t lane0, uint32_t lane1)
{
    float zeros[MOST_NR][BLOCK_COLUMNS] = {{0}};
    if (job->lin->n_in % job->kernel->k_step != 0) {
        store_block(job, panel, lane0, lane1 - lane0, job->lin->n_in, 1, zeros);
    }
}

static void pack_panel(const pack_job *job, uint32_t panel)
{
    uint32_t nr = job->kernel->nr;
    uint32_t first = panel * nr, end = job->row0 + job->n_rows;
    uint32_t from = first > job->row0 ? first : job->row0;
    uint32_t to = first + nr < end ? first + nr : end;
    float block[MOST_NR][BLOCK_COLUMNS];
    for (uint32_t column = 0; column < job->lin->n_in; column += BLOCK_COLUMNS) {
        uint32_t left = job->lin->n_in - column;
        uint32_t n_columns = left < BLOCK_COLUMNS ? left : BLOCK_COLUMNS;
        load_block(job, from - job->row0, to - from, column, n_columns, block);
        store_block(job, panel, from - first, to - from, column, n_columns, block);
    }
    uint32_t last_lane = to == job->lin->n_out ? nr : to - first;
    zero_odd_column(job, panel, from - first, last_lane);
    if (last_lane > to - first) {
        zero_lanes(job, panel, to - first, last_lane);
    }
}

static void pack_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    const pack_job *job = arg;
    uint32_t begin = (uint32_t)((uint64_t)job->n_panels * worker / n_workers);
    uint32_t end = (uint32_t)((uint64_t)job->n_panels * (worker + 1) / n_workers);
    for (uint32_t i = begin; i < end; i++) {
        pack_panel(job, job->panel0 + i);
    }
}

int il_linear_pack(il_linear *lin, uint32_t row0, uint32_t n_rows, const void *src,
                   il_dtype src_dtype, bool transposed, size_t src_ld, il_pool *pool)
{
    if (n_rows == 0 || row0 > lin->n_out || n_rows > lin->n_out - row0) {
        return IL_E_RANGE;
    }
    if ((lin->dtype != IL_DTYPE_F32 && lin->dtype != IL_DTYPE_BF16) || lin->blocks != IL_GGML_F32) {
        return IL_E_UNSUPPORTED;
    }
    const il__linear_kernel *kernel = il__linear_kernel_for(lin->dtype, lin->isa);
    assert(kernel->nr <= MOST_NR && kernel->k_step <= 2);
    pack_job job = {
        .lin = lin,
        .kernel = kernel,
        .row0 = row0,
        .n_rows = n_rows,
        .src = src,
        .src_dtype = src_dtype,
        .transposed = transposed,
        .src_ld = src_ld,
        .panel0 = row0 / kernel->nr,
    };
    job.n_panels = (row0 + n_rows - 1) / kernel->nr + 1 - job.panel0;
    il_pool_run(pool, pack_task, &job);
    return IL_OK;
}

void il_linear_row(const il_linear *lin, uint32_t r, float *out)
{
    assert(r < lin->n_out);
    if (lin->blocks != IL_GGML_F32) {
        il__blocks_row(lin, r, out);
        return;
    }
    const il__linear_kernel *kernel = il__linear_kernel_for(lin->dtype, lin->isa);
    uint32_t nr = kernel->nr, step = kernel->k_step;
    size_t base =
        (size_t)(r / nr) * ceil_div(lin->n_in, step) * step * nr + (size_t)(r % nr) * step;
    for (uint32_t c = 0; c < lin->n_in; c++) {
        size_t at = base + (size_t)(c / step) * step * nr + c % step;
        out[c] = lin->dtype == IL_DTYPE_F32 ? ((const float *)lin->packed)[at]
                                            : il_bf16_to_f32(((const uint16_t *)lin->packed)[at]);
    }
}
