/* SPDX-License-Identifier: Apache-2.0
 *
 * The linear layer around the kernels of blocks: activations to int8 once a layer, tiles, sharing
 * among the workers and the epilogue.
 */
#include "engine/cpu/kernels_internal.h"

#include <assert.h>
#include <string.h>

enum {
    COLUMNS = 32,
    /* Bytes of activations that stay in the second-level cache while panels pass. */
    X_BLOCK_BYTES = 384 * 1024,
    /* Work below which one worker is faster than a hand-over (weights read, and multiply-adds). */
    ALONE_BYTES = 96 * 1024,
    ALONE_MULTIPLY_ADDS = 256 * 1024,
    /* Numbers that one worker rounds faster than a barrier is crossed. */
    FEW_FLOATS = 16384,
};

typedef struct blocks_job {
    const il_linear *lin;
    const il__block_kernel *kernel;
    il__panel_form form; /* of panels; unused by the reference */
    const float *x_source;
    size_t x_source_stride;
    il__x_block *x; /* [tile][n_in / 32][height] */
    uint32_t height, n_tiles;
    float *y;
    size_t y_stride;
    uint32_t m;
    il_epilogue epilogue;
    il_pool *pool;
    bool prepare; /* x has to be made by all workers */
} blocks_job;

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (uint32_t)(((uint64_t)a + b - 1) / b);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The tile heights that kernels are compiled for. */
static uint32_t round_height(uint32_t rows)
{
    static const uint32_t heights[] = {1, 2, 3, 4, 6, 8, 12};
    for (size_t i = 0; i < sizeof heights / sizeof *heights; i++) {
        if (rows <= heights[i]) {
            return heights[i];
        }
    }
    return rows;
}

/* Tiles of nearly equal height: 13 rows are 8 + 5, not 12 + 1. */
static uint32_t tile_height(const il__block_kernel *kernel, uint32_t m)
{
    return least(kernel->mr, round_height(ceil_div(m, ceil_div(m, kernel->mr))));
}

size_t il__blocks_scratch_bytes(const il_linear *lin, uint32_t n_rows)
{
    const il__block_kernel *kernel = il__block_kernel_for(lin->blocks, lin->isa);
    if (!kernel->prepare) {
        return 0;
    }
    return (size_t)ceil_div(n_rows, kernel->mr) * kernel->mr * (lin->n_in / COLUMNS) *
           sizeof(il__x_block);
}

/* Activations of tiles [tile0, tile1); rows past the last are zero. */
static void prepare_tiles(const blocks_job *job, uint32_t tile0, uint32_t tile1)
{
    uint32_t n_blocks = job->lin->n_in / COLUMNS;
    bool halves = job->form.levels.part < COLUMNS;
    for (uint32_t r = tile0 * job->height; r < tile1 * job->height; r++) {
        il__x_block *to = job->x + (size_t)(r / job->height) * n_blocks * job->height;
        to += r % job->height;
        if (r < job->m) {
            job->kernel->prepare(job->x_source + r * job->x_source_stride, n_blocks, halves,
                                 job->kernel->centre, to, job->height);
            continue;
        }
        for (uint32_t b = 0; b < n_blocks; b++) {
            to[(size_t)b * job->height] = (il__x_block){0};
        }
    }
}

static void activate(const blocks_job *job, const il__block_tile *tile)
{
    const il_row_kernels *rows = il_row_kernels_for(job->lin->isa);
    for (uint32_t r = 0; r < tile->m; r++) {
        rows->activate(tile->y + r * job->y_stride, job->epilogue, tile->n);
    }
}

static void run_panel(const blocks_job *job, uint32_t panel, uint32_t tile0, uint32_t tile1)
{
    const il_linear *lin = job->lin;
    uint32_t nr = job->kernel->nr, column = panel * nr, n_blocks = lin->n_in / COLUMNS;
    size_t panel_bytes =
        job->kernel->prepare ? job->form.panel_bytes : il_quant_bytes(lin->blocks, lin->n_in);
    il__block_tile tile = {
        .scales = (const uint8_t *)lin->packed + panel * panel_bytes,
        .x_stride = job->x_source_stride,
        .y_stride = job->y_stride,
        .bias = lin->bias ? lin->bias + column : NULL,
        .height = job->height,
        .n = least(nr, lin->n_out - column),
        .n_blocks = n_blocks,
        .type = lin->blocks,
        .add = job->epilogue == IL_EPILOGUE_ADD,
    };
    tile.levels = job->kernel->prepare ? tile.scales + job->form.levels_at : tile.scales;
    for (uint32_t i = tile0; i < tile1; i++) {
        uint32_t row = i * job->height;
        tile.m = least(job->height, job->m - row);
        tile.x = job->kernel->prepare ? (const void *)(job->x + (size_t)i * n_blocks * job->height)
                                      : (const void *)(job->x_source + row * job->x_source_stride);
        tile.y = job->y + row * job->y_stride + column;
        job->kernel->tile(&tile);
        if (job->epilogue > IL_EPILOGUE_ADD) {
            activate(job, &tile);
        }
    }
}

static void run_share(const blocks_job *job, uint32_t tile0, uint32_t tile1, uint32_t panel0,
                      uint32_t panel1)
{
    size_t tile_bytes = (size_t)job->height * (job->lin->n_in / COLUMNS) * sizeof(il__x_block);
    uint32_t most = (uint32_t)(X_BLOCK_BYTES / tile_bytes);
    most = most < 1 ? 1 : most;
    for (uint32_t i = tile0; i < tile1; i += most) {
        for (uint32_t p = panel0; p < panel1; p++) {
            run_panel(job, p, i, least(i + most, tile1));
        }
    }
}

static void blocks_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    const blocks_job *job = arg;
    uint32_t n_panels = ceil_div(job->lin->n_out, job->kernel->nr);
    uint32_t tile0 = (uint32_t)((uint64_t)job->n_tiles * worker / n_workers);
    uint32_t tile1 = (uint32_t)((uint64_t)job->n_tiles * (worker + 1) / n_workers);
    if (job->prepare) {
        prepare_tiles(job, tile0, tile1);
        il_pool_barrier(job->pool, worker);
    }
    /* Few panels and many rows share out more evenly by rows. */
    if (n_panels < 8 * n_workers && job->n_tiles >= 4 * n_workers) {
        run_share(job, tile0, tile1, 0, n_panels);
    } else {
        run_share(job, 0, job->n_tiles, (uint32_t)((uint64_t)n_panels * worker / n_workers),
                  (uint32_t)((uint64_t)n_panels * (worker + 1) / n_workers));
    }
}

void il__blocks_forward(const il_linear *lin, const float *x, size_t ldx, float *y, size_t ldy,
                        uint32_t m, il_epilogue epilogue, void *scratch, il_pool *pool)
{
    const il__block_kernel *kernel = il__block_kernel_for(lin->blocks, lin->isa);
    assert(kernel && lin->n_in % COLUMNS == 0);
    blocks_job job = {
        .lin = lin,
        .kernel = kernel,
        .form = il__panel_form_of(lin->blocks, kernel->nr, lin->n_in),
        .x_source = x,
        .x_source_stride = ldx,
        .x = scratch,
        .height = tile_height(kernel, m),
        .y = y,
        .y_stride = ldy,
        .m = m,
        .epilogue = epilogue,
        .pool = pool,
    };
    job.n_tiles = ceil_div(m, job.height);
    uint64_t weights = (uint64_t)lin->n_in * lin->n_out;
    bool alone = il_pool_size(pool) == 1 || (il__blocks_packed_bytes(lin) <= ALONE_BYTES &&
                                             weights * m <= ALONE_MULTIPLY_ADDS);
    if (kernel->prepare) {
        assert(scratch != NULL);
        job.prepare = !alone && (uint64_t)m * lin->n_in > FEW_FLOATS;
        if (!job.prepare) {
            prepare_tiles(&job, 0, job.n_tiles);
        }
    }
    if (alone) {
        blocks_task(&job, 0, 1);
    } else {
        il_pool_run(pool, blocks_task, &job);
    }
}
