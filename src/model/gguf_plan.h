/* SPDX-License-Identifier: Apache-2.0
 *
 * Which tensors a GGUF file of a shape has: names, dims, types, and how their rows lie in the
 * Hugging Face tensors. Shared among the files that write and read them.
 */
#ifndef IL_MODEL_GGUF_PLAN_H
#define IL_MODEL_GGUF_PLAN_H

#include "base/arena.h"
#include "model/gguf_model.h"
#include "model/gguf_write.h"

typedef enum il__gguf_order {
    IL__ORDER_AS_IS,
    IL__ORDER_TURNED,      /* stored [in, out] */
    IL__ORDER_ROPE_PAIRS,  /* rows i and i + e/2 of a head become neighbours */
    IL__ORDER_HEADS_OF_QKV /* rows [head][q, k, v] become [q, k, v][head] */
} il__gguf_order;

typedef struct il__gguf_tensor {
    char name[64];
    const il_tensor_info *parts; /* the Hugging Face tensors, one after the other … */
    uint32_t n_parts, stride;    /* … every stride-th of the list (experts) */
    il__gguf_order order;
    uint32_t n_heads;
    bool plus_one;
    const float *values; /* made here instead of read: NULL mostly */
    uint32_t n_dims;
    uint64_t dims[3];           /* fastest first */
    uint64_t n_rows, n_columns; /* of one part; a vector is n rows of one column */
    il_ggml_type type, wanted;
} il__gguf_tensor;

typedef struct il__gguf_plan {
    il_tensor_info *infos;
    size_t n_infos;
    il__gguf_tensor *tensors;
    size_t n_tensors;
    uint32_t n_quantised, n_fallen;
} il__gguf_plan;

/* llama.cpp's name of the architecture; NULL with the error set when it has none. */
const char *il__gguf_architecture(const il_shape *shape, il_error *err);
int il__gguf_plan_make(const il_shape *shape, il_gguf_recipe recipe, il_arena *arena,
                       il__gguf_plan *out, il_error *err);
/* "blk.3.attn_q.weight" of a Hugging Face name (of experts the first alone); false for one that is
 * not known. */
bool il__gguf_name(const il_shape *shape, const il_tensor_info *info, char *out, size_t n);
il__gguf_order il__gguf_order_of(const il_shape *shape, const il_tensor_info *info);
/* The row of a part that row `row` of the GGUF tensor comes from. */
uint64_t il__gguf_source_row(const il__gguf_tensor *t, uint64_t row);
/* The architecture's keys. */
void il__gguf_put_shape(il_gguf_writer *w, const il_shape *shape, const char *architecture);

#endif
