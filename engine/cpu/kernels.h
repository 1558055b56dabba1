/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel seam of the CPU engine. The graph (engine/core) calls these and knows no instruction
 * set. engine/cpu/kernel_list.inc lists every kernel once; dispatch, tests and the kernel benchmark
 * are made from it. The reference kernels are plain C, always there, and the oracle of the tests.
 *
 * All matrices are row-major fp32 unless said; weights live in il_linear, packed for the kernels.
 * Functions taking a pool split the work themselves; those taking (worker, n_workers) are called
 * from inside a pool task and do their share. None allocates.
 */
#ifndef IL_ENGINE_CPU_KERNELS_H
#define IL_ENGINE_CPU_KERNELS_H

#include "engine/cpu/pool.h"
#include "inferlaw/dtype.h"
#include "inferlaw/error.h"
#include "model/gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum il_isa {
    IL_ISA_REFERENCE,
    IL_ISA_AVX2,
    IL_ISA_AVX512,
    IL_ISA_AVX512VNNI,
    IL_ISA_AVX512BF16, /* with VNNI: every CPU that has the one has the other */
    IL_ISA_COUNT
} il_isa;

/* The best the CPU and the operating system support, or what `name` asks for ("auto", "reference",
 * "avx2", "avx512"; "avx512" takes the int8 and bf16 dots where the CPU has them).
 * IL_E_UNSUPPORTED otherwise. */
int il_isa_choose(const char *name, il_isa *out, il_error *err);
const char *il_isa_name(il_isa isa);

/* --- linear layers: y = x · Wᵀ + bias ----------------------------------------------------------
 */

/* A weight matrix [n_out, n_in] packed for one ISA and number format. bf16 weights are multiplied
 * with fp32 accumulation; with AVX512BF16 the activations are rounded to bf16 as well. Blocks are
 * multiplied with activations in blocks of 32 int8 numbers, except by the reference kernels, which
 * keep both in fp32 (docs/kernels.md). */
typedef struct il_linear {
    uint32_t n_in, n_out;
    il_dtype dtype;      /* F32 or BF16; of blocks without meaning */
    il_ggml_type blocks; /* weights in blocks of this type; IL_GGML_F32: none, they are of dtype */
    il_isa isa;
    void *packed;      /* in memory given to il_linear_pack */
    const float *bias; /* n_out floats or NULL; not owned */
} il_linear;

/* Bytes of the packed form (64-byte aligned memory) of a matrix whose sizes, format and isa are
 * set.
 */
size_t il_linear_packed_bytes(const il_linear *lin);
/* Packs rows [row0, row0 + n_rows) of a source of dtype src_dtype into lin (whose sizes, dtype, isa
 * and packed memory are set). `transposed`: the source is [n_in, n_out_of_source] as GPT-2's
 * Conv1D; src_ld is the source's row length in elements. Several sources may fill one linear (q, k,
 * v). */
int il_linear_pack(il_linear *lin, uint32_t row0, uint32_t n_rows, const void *src,
                   il_dtype src_dtype, bool transposed, size_t src_ld, il_pool *pool);
/* The same for a matrix of blocks: rows[i], as il_quant_read takes it, becomes row row0 + i. n_in
 * is a multiple of the type's block. */
int il_linear_pack_blocks(il_linear *lin, uint32_t row0, uint32_t n_rows,
                          const uint8_t *const *rows, il_pool *pool);
/* Unpacks row r to fp32 (embedding look-up of a tied head, tests). out: n_in floats. */
void il_linear_row(const il_linear *lin, uint32_t r, float *out);

typedef enum il_epilogue {
    IL_EPILOGUE_NONE,      /* y = xWᵀ + b */
    IL_EPILOGUE_ADD,       /* y += xWᵀ + b      (residual) */
    IL_EPILOGUE_GELU_TANH, /* y = act(xWᵀ + b) */
    IL_EPILOGUE_GELU_ERF,
    IL_EPILOGUE_RELU,
    IL_EPILOGUE_SILU,
} il_epilogue;

/* Scratch that il_linear_forward needs for up to n_rows rows of x (packed, rounded or quantised
 * activations), in bytes, 64-byte aligned. */
size_t il_linear_scratch_bytes(const il_linear *lin, uint32_t n_rows);
/* y[m][n_out] (row stride ldy) from x[m][n_in] (row stride ldx), any m ≥ 1: a bandwidth-bound
 * matvec for few rows, a blocked GEMM for many. Runs on the whole pool. */
void il_linear_forward(const il_linear *lin, const float *x, size_t ldx, float *y, size_t ldy,
                       uint32_t m, il_epilogue epilogue, void *scratch, il_pool *pool);

/* --- row kernels -------------------------------------------------------------------------------
 */

typedef struct il_row_kernels {
    /* y = (x − mean)/√(var + eps)·w + b over n columns; b may be NULL. x and y may be the same. */
    void (*layer_norm)(const float *x, const float *w, const float *b, double eps, uint32_t n,
                       float *y);
    /* y = x/√(mean(x²) + eps)·(w + plus); plus is 0, or 1 for Gemma. */
    void (*rms_norm)(const float *x, const float *w, double eps, float plus, uint32_t n, float *y);
    void (*add)(const float *a, const float *b, uint32_t n, float *y); /* y = a + b */
    void (*scale)(float *x, float s, uint32_t n);
    /* y = act(gate)·up for n columns; epilogue names the activation. */
    void (*gate)(const float *gate, const float *up, il_epilogue activation, uint32_t n, float *y);
    void (*activate)(float *x, il_epilogue activation, uint32_t n);
    /* Rotates the first n_dims of each of n_heads heads (stride d_head floats) in place by the
     * tables cos_t, sin_t of n_dims/2 entries (half-split pairs (i, i + n_dims/2), as transformers
     * does for Llama and NeoX). */
    void (*rope)(float *x, const float *cos_t, const float *sin_t, uint32_t n_heads,
                 uint32_t d_head, uint32_t n_dims);
    /* Rows to the cache's dtype. */
    void (*to_bf16)(const float *x, uint16_t *y, uint32_t n);
    /* Index of the largest of n; *finite is false when any is not finite. Lowest index wins. */
    uint32_t (*argmax)(const float *x, uint32_t n, bool *finite);
} il_row_kernels;

const il_row_kernels *il_row_kernels_for(il_isa isa);

/* --- attention ---------------------------------------------------------------------------------
 */

/* One layer's cache of one sequence: keys and values, each [n_kv_head][capacity][d_head] in
 * kv_dtype, so that a head's keys stream. */
typedef struct il_attention {
    uint32_t n_head, n_kv_head, d_head;
    uint32_t capacity; /* positions a head's keys are apart */
    uint32_t window;   /* 0 = all, else only the last `window` positions */
    float scale;
    il_dtype kv_dtype; /* F32 or BF16 */
    il_isa isa;
} il_attention;

/* Bytes of scratch for one worker attending up to n_query queries on n_context positions. */
size_t il_attention_scratch_bytes(const il_attention *att, uint32_t n_query, uint32_t n_context);
/* Causal attention of the query rows i = query0 … query0 + n_query − 1: row i is q + i·ldq, its
 * n_head·d_head columns stand at position past + i and see the keys and values of positions
 * 0 … past + i (or the last `window` of them); keys and values are the layer's whole cache. Done
 * for the query heads [head0, head0 + n_heads); result in row i of out, same columns. Called inside
 * a pool task; a worker gets a range of heads and queries. Softmax in fp32 with the running maximum
 * subtracted. scratch: il_attention_scratch_bytes(att, n_query, past + query0 + n_query) bytes,
 * 64-byte aligned, one per worker. */
void il_attention_forward(const il_attention *att, const float *q, size_t ldq, const void *keys,
                          const void *values, uint32_t past, uint32_t query0, uint32_t n_query,
                          uint32_t head0, uint32_t n_heads, float *out, size_t ldo, void *scratch);

#endif
