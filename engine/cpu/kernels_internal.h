/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of engine/cpu share: the signatures behind the rows of kernel_list.inc and the
 * tables made of them.
 *
 * A packed weight matrix is a sequence of panels of nr output rows. Inside a panel the elements run
 *     [n_in / k_step][nr][k_step]
 * so that one vector load yields the weights of neighbouring outputs for one input (or for one pair
 * of inputs). The same bytes serve the matvec, which streams them, and the GEMM, which keeps a
 * panel in the cache. Rows past n_out and columns past n_in are zero.
 */
#ifndef IL_ENGINE_CPU_KERNELS_INTERNAL_H
#define IL_ENGINE_CPU_KERNELS_INTERNAL_H

#include "engine/cpu/kernels.h"
#include "model/quant.h"

/* y[m][n] = x[m][k] · panel[n][k]ᵀ (+ bias) (+ y). m in [1, mr], n in [1, nr], k ≥ 1.
 * x: fp32 rows, or rows of bf16 pairs (one uint32_t a pair, low half first) where the kernel says
 * x_bf16; x_stride in elements of 4 bytes. bias: n floats or NULL. */
typedef struct il__tile {
    const void *panel;
    const void *x;
    size_t x_stride;
    float *y;
    size_t y_stride;
    const float *bias;
    uint32_t m, n, k;
    bool add;
} il__tile;

typedef void (*il__linear_tile)(const il__tile *tile);

typedef struct il__linear_kernel {
    const char *name;
    il_dtype dtype;
    il_isa isa;
    uint32_t mr, nr, k_step;
    bool x_bf16;
    il__linear_tile tile;
} il__linear_kernel;

/* --- weights in blocks -------------------------------------------------------------------------
 *
 * The reference kernels read rows as they lie in the file. The others read panels of nr rows: first
 * the scales of all blocks of 32 columns, then their levels. Of a block the levels stand as
 *     [32 / 4][nr][4]
 * so that one vector holds four neighbouring columns of nr rows, which is what an int8 dot product
 * takes. Levels of four bits or more than four share bytes: group 2j of columns in the low digits,
 * group 2j + 1 in the high ones; then the fifth bits, [nr][4] bytes whose bit g is that of group g,
 * or the fifth and sixth, two vectors of [nr][4] bytes with four groups each.
 * Scales: d[nr] fp16 (then the offset [nr] fp16) of each block; of types of 256 values d (and e)
 * once for eight blocks, followed by s[nr] and t[nr] of each, or s[nr] of each half. */

/* 32 activations as x ≈ d·q. */
typedef struct il__x_block {
    int8_t q[32];
    float d, sum;      /* sum = d·Σq */
    int32_t offset[2]; /* −centre·Σq, of the block or of its halves */
} il__x_block;

/* As il__tile. x: il__x_block [k / 32][height], rows from m on are there and ignored; for kernels
 * that want fp32, rows with a stride. */
typedef struct il__block_tile {
    const uint8_t *levels; /* of the panel; the reference's row of blocks */
    const uint8_t *scales;
    const void *x;
    size_t x_stride;
    float *y;
    size_t y_stride;
    const float *bias;
    uint32_t m, height, n, n_blocks;
    il_ggml_type type;
    bool add;
} il__block_tile;

typedef struct il__block_kernel {
    const char *name;
    il_ggml_type type;
    il_isa isa;
    uint32_t mr, nr;
    int32_t centre; /* level taken off by il__x_block.offset */
    void (*tile)(const il__block_tile *tile);
    /* n_blocks of a row to out[0], out[stride], …; NULL: the kernel reads fp32 rows. Offsets are of
     * halves where `halves` says so. A value that is not finite makes d so. */
    void (*prepare)(const float *x, uint32_t n_blocks, bool halves, int32_t centre,
                    il__x_block *out, size_t stride);
} il__block_kernel;

extern const il__block_kernel il__block_kernels[];
extern const size_t il__n_block_kernels;

/* The row for this instruction set, or the nearest below. NULL for a type without blocks. */
const il__block_kernel *il__block_kernel_for(il_ggml_type type, il_isa isa);

/* Where the pieces of a panel lie. */
typedef struct il__panel_form {
    il_quant_form levels;
    uint32_t nr;
    size_t plane_bytes;  /* levels of a block of 32 columns */
    size_t scales_bytes; /* scales of a block, or of eight where the type is grouped */
    size_t panel_bytes, levels_at;
} il__panel_form;

il__panel_form il__panel_form_of(il_ggml_type type, uint32_t nr, uint32_t n_in);

/* What linear.c and linear_pack.c hand over. */
size_t il__blocks_packed_bytes(const il_linear *lin);
size_t il__blocks_scratch_bytes(const il_linear *lin, uint32_t n_rows);
void il__blocks_row(const il_linear *lin, uint32_t r, float *out);
void il__blocks_forward(const il_linear *lin, const float *x, size_t ldx, float *y, size_t ldy,
                        uint32_t m, il_epilogue epilogue, void *scratch, il_pool *pool);

typedef size_t (*il__attention_scratch)(const il_attention *att, uint32_t n_query,
                                        uint32_t n_context);
typedef void (*il__attention_run)(const il_attention *att, const float *q, size_t ldq,
                                  const void *keys, const void *values, uint32_t past,
                                  uint32_t query0, uint32_t n_query, uint32_t head0,
                                  uint32_t n_heads, float *out, size_t ldo, void *scratch);

typedef struct il__attention_kernel {
    const char *name;
    il_dtype dtype;
    il_isa isa;
    il__attention_scratch scratch_bytes;
    il__attention_run forward;
} il__attention_kernel;

/* All rows of the list, and how many; for tests and the benchmark. */
extern const il__linear_kernel il__linear_kernels[];
extern const size_t il__n_linear_kernels;
extern const il__attention_kernel il__attention_kernels[];
extern const size_t il__n_attention_kernels;

/* The row for this instruction set, or the nearest below. dtype: F32 or BF16. */
const il__linear_kernel *il__linear_kernel_for(il_dtype dtype, il_isa isa);

#define IL_LINEAR_KERNEL(dtype, isa, mr, nr, k_step, x_bf16, tile) void tile(const il__tile *t);
#define IL_BLOCK_KERNEL(type, isa, mr, nr, centre, tile, prepare)                                  \
    void tile(const il__block_tile *t);
#define IL_ROW_KERNELS(isa, table) extern const il_row_kernels table;
#define IL_ATTENTION_KERNEL(dtype, isa, scratch, forward)                                          \
    size_t scratch(const il_attention *att, uint32_t n_query, uint32_t n_context);                 \
    void forward(const il_attention *att, const float *q, size_t ldq, const void *keys,            \
                 const void *values, uint32_t past, uint32_t query0, uint32_t n_query,             \
                 uint32_t head0, uint32_t n_heads, float *out, size_t ldo, void *scratch);
#include "engine/cpu/kernel_list.inc"

void il__prepare_avx2(const float *x, uint32_t n_blocks, bool halves, int32_t centre,
                      il__x_block *out, size_t stride);
void il__prepare_avx512vnni(const float *x, uint32_t n_blocks, bool halves, int32_t centre,
                            il__x_block *out, size_t stride);

#endif
