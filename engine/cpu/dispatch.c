/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables made of kernel_list.inc, and the choice of a row for an instruction set.
 */
#include "engine/cpu/kernels_internal.h"

#include <assert.h>

const il__linear_kernel il__linear_kernels[] = {
#define IL_LINEAR_KERNEL(dtype, isa, mr, nr, k_step, x_bf16, tile)                                 \
    {#tile, IL_DTYPE_##dtype, IL_ISA_##isa, mr, nr, k_step, x_bf16, tile},
#include "engine/cpu/kernel_list.inc"
};
const size_t il__n_linear_kernels = sizeof il__linear_kernels / sizeof il__linear_kernels[0];

const il__block_kernel il__block_kernels[] = {
#define IL_BLOCK_KERNEL(type, isa, mr, nr, centre, tile, prepare)                                  \
    {#tile, IL_GGML_##type, IL_ISA_##isa, mr, nr, centre, tile, prepare},
#include "engine/cpu/kernel_list.inc"
};
const size_t il__n_block_kernels = sizeof il__block_kernels / sizeof il__block_kernels[0];

const il__attention_kernel il__attention_kernels[] = {
#define IL_ATTENTION_KERNEL(dtype, isa, scratch, forward)                                          \
    {#forward, IL_DTYPE_##dtype, IL_ISA_##isa, scratch, forward},
#include "engine/cpu/kernel_list.inc"
};
const size_t il__n_attention_kernels =
    sizeof il__attention_kernels / sizeof il__attention_kernels[0];

const il__linear_kernel *il__linear_kernel_for(il_dtype dtype, il_isa isa)
{
    const il__linear_kernel *best = NULL;
    for (size_t i = 0; i < il__n_linear_kernels; i++) {
        const il__linear_kernel *row = &il__linear_kernels[i];
        if (row->dtype == dtype && row->isa <= isa && (best == NULL || row->isa > best->isa)) {
            best = row;
        }
    }
    assert(best != NULL);
    return best;
}

const il__block_kernel *il__block_kernel_for(il_ggml_type type, il_isa isa)
{
    const il__block_kernel *best = NULL;
    for (size_t i = 0; i < il__n_block_kernels; i++) {
        const il__block_kernel *row = &il__block_kernels[i];
        if (row->type == type && row->isa <= isa && (best == NULL || row->isa > best->isa)) {
            best = row;
        }
    }
    return best;
}

const il_row_kernels *il_row_kernels_for(il_isa isa)
{
    const il_row_kernels *best = NULL;
    il_isa best_isa = IL_ISA_REFERENCE;
#define IL_ROW_KERNELS(row_isa, table)                                                             \
    if (IL_ISA_##row_isa <= isa && (best == NULL || IL_ISA_##row_isa > best_isa)) {                \
        best = &table;                                                                             \
        best_isa = IL_ISA_##row_isa;                                                               \
    }
#include "engine/cpu/kernel_list.inc"
    assert(best != NULL);
    return best;
}

static const il__attention_kernel *attention_kernel_for(const il_attention *att)
{
    const il__attention_kernel *best = NULL;
    for (size_t i = 0; i < il__n_attention_kernels; i++) {
        const il__attention_kernel *row = &il__attention_kernels[i];
        if (row->dtype == att->kv_dtype && row->isa <= att->isa &&
            (best == NULL || row->isa > best->isa)) {
            best = row;
        }
    }
    assert(best != NULL);
    return best;
}

size_t il_attention_scratch_bytes(const il_attention *att, uint32_t n_query, uint32_t n_context)
{
    return attention_kernel_for(att)->scratch_bytes(att, n_query, n_context);
}

void il_attention_forward(const il_attention *att, const float *q, size_t ldq, const void *keys,
                          const void *values, uint32_t past, uint32_t query0, uint32_t n_query,
                          uint32_t head0, uint32_t n_heads, float *out, size_t ldo, void *scratch)
{
    assert(att->n_kv_head >= 1 && att->n_head % att->n_kv_head == 0 && att->d_head >= 1);
    assert(head0 + n_heads <= att->n_head && past + query0 + n_query <= att->capacity);
    attention_kernel_for(att)->forward(att, q, ldq, keys, values, past, query0, n_query, head0,
                                       n_heads, out, ldo, scratch);
}
