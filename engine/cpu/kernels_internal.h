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
#define IL_ROW_KERNELS(isa, table)                                 extern const il_row_kernels table;
#define IL_ATTENTION_KERNEL(dtype, isa, scratch, forward)                                          \
    size_t scratch(const il_attention *att, uint32_t n_query, uint32_t n_context);                 \
    void forward(const il_attention *att, const float *q, size_t ldq, const void *keys,            \
                 const void *values, uint32_t past, uint32_t query0, uint32_t n_query,             \
                 uint32_t head0, uint32_t n_heads, float *out, size_t ldo, void *scratch);
#include "engine/cpu/kernel_list.inc"

#endif
