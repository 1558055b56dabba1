/* SPDX-License-Identifier: Apache-2.0
 *
 * The linear layer around the tile kernels: blocking over the caches, sharing among the workers and
 * the epilogue. It knows the packed layout's parameters and no instruction set.
 */
#include "engine/cpu/kernels_internal.h"

#include <assert.h>
#include <string.h>

enum {
    LINE_FLOATS = 16,
    /* Bytes of one panel's k-block: it stays in the second-level cache while all rows of x pass. */
    PANEL_BLOCK_BYTES = 256 * 1024,
    /* Bytes of the x rows of one m-block, likewise. */
    X_BLOCK_BYTES = 384 * 1024,
    /* Work below which one worker is faster than a hand-over (weights read, and multiply-adds). */
    ALONE_BYTES = 96 * 1024,
    ALONE_MULTIPLY_ADDS = 96 * 1024,
};

typedef struct linear_job {
    const il_linear *lin;
    const il__linear_kernel *kernel;
    const float *x_source; /* what the caller gave */
    size_t x_source_stride;
    const void *x; /* what the tiles read */
    size_t x_stride;
    float *y;
    size_t y_stride;
    uint32_t m;
    il_epilogue epilogue;
    il_pool *pool;
    bool prepare; /* x has to be made from x_source, by all workers */
} linear_job;

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (uint32_t)(((uint64_t)a + b - 1) / b);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Words of 4 bytes a prepared row of x takes. An odd number of cache lines keeps the rows of a tile
 * in different sets of the first-level cache. */
static size_t prepared_stride(uint32_t n_in, uint32_t k_step)
{
    size_t lines = (ceil_div(n_in, k_step) + LINE_FLOATS - 1) / LINE_FLOATS;
    return (lines | 1u) * LINE_FLOATS;
}

size_t il_linear_packed_bytes(const il_linear *lin)
{
    if (lin->blocks != IL_GGML_F32) {
        return il__blocks_packed_bytes(lin);
    }
    const il__linear_kernel *kernel = il__linear_kernel_for(lin->dtype, lin->isa);
    size_t rows = (size_t)ceil_div(lin->n_out, kernel->nr) * kernel->nr;
    size_t columns = (size_t)ceil_div(lin->n_in, kernel->k_step) * kernel->k_step;
    size_t bytes = rows * columns * il_dtype_bytes(lin->dtype);
    return (bytes + 63) / 64 * 64;
}

size_t il_linear_scratch_bytes(const il_linear *lin, uint32_t n_rows)
{
    if (lin->blocks != IL_GGML_F32) {
        return il__blocks_scratch_bytes(lin, n_rows);
    }
    const il__linear_kernel *kernel = il__linear_kernel_for(lin->dtype, lin->isa);
    return n_rows * prepared_stride(lin->n_in, kernel->x_bf16 ? kernel->k_step : 1) * sizeof(float);
}

/* True when the tiles cannot read the caller's rows as they are: another number format, or a stride
 * that puts many rows of a tile into the same few cache sets. */
static bool x_needs_preparing(const il__linear_kernel *kernel, uint32_t m, size_t x_stride)
{
    enum { SAFE_ROWS = 6, BAD_STRIDE_FLOATS = 256 };
    return kernel->x_bf16 || (m > SAFE_ROWS && x_stride % BAD_STRIDE_FLOATS == 0);
}

static void prepare_rows(const linear_job *job, uint32_t row0, uint32_t row1)
{
    uint32_t n_in = job->lin->n_in;
    for (uint32_t r = row0; r < row1; r++) {
        const float *from = job->x_source + r * job->x_source_stride;
        uint32_t *to = (uint32_t *)(uintptr_t)job->x + r * job->x_stride;
        if (job->kernel->x_bf16) {
            uint32_t even = n_in / 2 * 2;
            il_row_kernels_for(job->lin->isa)->to_bf16(from, (uint16_t *)to, even);
            if (n_in != even) {
                to[even / 2] = il_bf16_from_f32(from[even]);
            }
        } else {
            memcpy(to, from, n_in * sizeof(float));
        }
    }
}

static void activate_tile(const linear_job *job, float *y, uint32_t m, uint32_t n)
{
    const il_row_kernels *rows = il_row_kernels_for(job->lin->isa);
    for (uint32_t r = 0; r < m; r++) {
        rows->activate(y + r * job->y_stride, job->epilogue, n);
    }
}

/* All rows [row0, row1) of x against panels [panel0, panel1), columns [k0, k0 + k). */
static void run_block(const linear_job *job, uint32_t row0, uint32_t row1, uint32_t panel0,
                      uint32_t panel1, uint32_t k0, uint32_t k)
{
    const il_linear *lin = job->lin;
    const il__linear_kernel *kernel = job->kernel;
    size_t element_bytes = il_dtype_bytes(lin->dtype);
    size_t panel_bytes =
        (size_t)ceil_div(lin->n_in, kernel->k_step) * kernel->k_step * kernel->nr * element_bytes;
    bool first = k0 == 0, last = k0 + k == lin->n_in;
    bool activates = last && job->epilogue > IL_EPILOGUE_ADD;
    uint32_t n_tiles = ceil_div(row1 - row0, kernel->mr);
    for (uint32_t p = panel0; p < panel1; p++) {
        uint32_t column = p * kernel->nr;
        il__tile tile = {
            .panel = (const char *)lin->packed + p * panel_bytes +
                     (size_t)k0 * kernel->nr * element_bytes,
            .x_stride = job->x_stride,
            .y_stride = job->y_stride,
            .bias = last && lin->bias ? lin->bias + column : NULL,
            .n = least(kernel->nr, lin->n_out - column),
            .k = k,
            .add = !first || job->epilogue == IL_EPILOGUE_ADD,
        };
        /* Tiles of nearly equal height: 13 rows are 7 + 6, not 12 + 1. */
        for (uint32_t i = 0; i < n_tiles; i++) {
            uint32_t begin = row0 + (uint32_t)((uint64_t)(row1 - row0) * i / n_tiles);
            uint32_t end = row0 + (uint32_t)((uint64_t)(row1 - row0) * (i + 1) / n_tiles);
            tile.x = (const uint32_t *)job->x + begin * job->x_stride +
                     k0 / (kernel->x_bf16 ? kernel->k_step : 1);
            tile.y = job->y + begin * job->y_stride + column;
            tile.m = end - begin;
            kernel->tile(&tile);
            if (activates) {
                activate_tile(job, tile.y, tile.m, tile.n);
            }
        }
    }
}

static void run_share(const linear_job *job, uint32_t row0, uint32_t row1, uint32_t panel0,
                      uint32_t panel1)
{
    const il__linear_kernel *kernel = job->kernel;
    uint32_t n_in = job->lin->n_in;
    size_t column_bytes = kernel->nr * il_dtype_bytes(job->lin->dtype);
    uint32_t most_k = (uint32_t)(PANEL_BLOCK_BYTES / column_bytes);
    /* One tile of rows uses each weight once: no reason to come back to y. */
    uint32_t n_k = row1 - row0 <= kernel->mr ? 1 : ceil_div(n_in, most_k);
    uint32_t k_block = ceil_div(ceil_div(n_in, n_k), kernel->k_step) * kernel->k_step;
    uint32_t most_rows = X_BLOCK_BYTES / sizeof(float) / least(k_block, n_in) / kernel->mr;
    uint32_t row_block = (most_rows < 1 ? 1 : most_rows) * kernel->mr;
    for (uint32_t k0 = 0; k0 < n_in; k0 += k_block) {
        for (uint32_t r = row0; r < row1; r += row_block) {
            run_block(job, r, least(r + row_block, row1), panel0, panel1, k0,
                      least(k_block, n_in - k0));
        }
    }
}

static void linear_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    const linear_job *job = arg;
    uint32_t n_panels = ceil_div(job->lin->n_out, job->kernel->nr);
    if (job->prepare) {
        prepare_rows(job, (uint32_t)((uint64_t)job->m * worker / n_workers),
                     (uint32_t)((uint64_t)job->m * (worker + 1) / n_workers));
        il_pool_barrier(job->pool, worker);
    }
    /* Few panels and many rows share out more evenly by rows. */
    if (n_panels < 8 * n_workers && job->m >= 2 * n_workers * job->kernel->mr) {
        run_share(job, (uint32_t)((uint64_t)job->m * worker / n_workers),
                  (uint32_t)((uint64_t)job->m * (worker + 1) / n_workers), 0, n_panels);
    } else {
        run_share(job, 0, job->m, (uint32_t)((uint64_t)n_panels * worker / n_workers),
                  (uint32_t)((uint64_t)n_panels * (worker + 1) / n_workers));
    }
}

void il_linear_forward(const il_linear *lin, const float *x, size_t ldx, float *y, size_t ldy,
                       uint32_t m, il_epilogue epilogue, void *scratch, il_pool *pool)
{
    assert(lin->n_in >= 1 && lin->n_out >= 1);
    if (lin->blocks != IL_GGML_F32) {
        il__blocks_forward(lin, x, ldx, y, ldy, m, epilogue, scratch, pool);
        return;
    }
    const il__linear_kernel *kernel = il__linear_kernel_for(lin->dtype, lin->isa);
    linear_job job = {
        .lin = lin,
        .kernel = kernel,
        .x_source = x,
        .x_source_stride = ldx,
        .x = x,
        .x_stride = ldx,
        .y = y,
        .y_stride = ldy,
        .m = m,
        .epilogue = epilogue,
        .pool = pool,
    };
    uint64_t weights = (uint64_t)lin->n_in * lin->n_out;
    bool alone = il_pool_size(pool) == 1 || (weights * il_dtype_bytes(lin->dtype) <= ALONE_BYTES &&
                                             weights * m <= ALONE_MULTIPLY_ADDS);
    if (x_needs_preparing(kernel, m, ldx)) {
        assert(scratch != NULL);
        job.x = scratch;
        job.x_stride = prepared_stride(lin->n_in, kernel->x_bf16 ? kernel->k_step : 1);
        /* A few rows are rounded faster than a barrier is crossed. */
        enum { FEW_FLOATS = 16384 };
        job.prepare = !alone && (uint64_t)m * lin->n_in > FEW_FLOATS;
        if (!job.prepare) {
            prepare_rows(&job, 0, m);
        }
    }
    if (alone) {
        linear_task(&job, 0, 1);
    } else {
        il_pool_run(pool, linear_task, &job);
    }
}
