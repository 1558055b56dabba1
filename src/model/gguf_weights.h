/* SPDX-License-Identifier: Apache-2.0
 *
 * The weights of a GGUF file as the tensors of the Hugging Face checkpoint they stand for: found by
 * canonical name, checked for their dims, row by row in that checkpoint's order. Matrices are
 * [out, in] whatever the family; blocks stay as they lie in the file.
 */
#ifndef IL_MODEL_GGUF_WEIGHTS_H
#define IL_MODEL_GGUF_WEIGHTS_H

#include "inferlaw/dtype.h"
#include "inferlaw/error.h"
#include "model/gguf.h"
#include "model/gguf_model.h"
#include "model/shape.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct il_gguf_weights il_gguf_weights;

typedef struct il_gguf_weight {
    const char *name; /* Hugging Face name */
    const il_ggml_layout *layout;
    const uint8_t *data;        /* of the first row */
    uint64_t n_rows, n_columns; /* a vector is one row */
    uint64_t row_bytes;
    il_tensor_role role;
    uint32_t pair_heads; /* not 0: rotary pairs of each of so many heads are neighbours */
} il_gguf_weight;

/* Opens the file, reads its shape and finds every tensor that the shape needs. IL_E_UNSUPPORTED: an
 * architecture or a tensor type that is not read here (named, with what is); IL_E_INVALID: a tensor
 * that is missing or has other dims. */
int il_gguf_weights_open(const char *path, il_gguf_weights **out, il_error *err);
void il_gguf_weights_close(il_gguf_weights *weights); /* NULL is fine */

const il_shape *il_gguf_weights_shape(const il_gguf_weights *weights);
/* By canonical name; NULL when the shape has no such tensor. */
const il_gguf_weight *il_gguf_weights_find(const il_gguf_weights *weights, const char *name);
size_t il_gguf_weights_count(const il_gguf_weights *weights);
const il_gguf_weight *il_gguf_weights_at(const il_gguf_weights *weights, size_t i);
/* Bytes of row `row` of the Hugging Face tensor. */
const uint8_t *il_gguf_weight_row(const il_gguf_weight *weight, uint64_t row);
/* Elements [first, first + n) of a vector stored as the rows of a matrix are: its values as fp32.
 */
void il_gguf_weight_vector(const il_gguf_weight *weight, uint64_t first, uint64_t n, float *out);

/* rope_dims / 2 divisors of rotary frequencies, NULL when the file has none. */
const float *il_gguf_weights_rope_factors(const il_gguf_weights *weights);
/* Norm weights hold 1 + w: no one is to be added (Gemma). */
bool il_gguf_weights_norms_are_whole(const il_gguf_weights *weights);
/* "Q4_K_M", "Q4_1": by the file's own word, else the commonest type of its matrices. */
const char *il_gguf_weights_type(const il_gguf_weights *weights);
uint64_t il_gguf_weights_bytes(const il_gguf_weights *weights);
uint64_t il_gguf_weights_params(const il_gguf_weights *weights);

/* What a decode step reads of a file: of a batch of 1, and the rows of the tables that each further
 * sequence reads. */
typedef struct il_gguf_step {
    uint64_t weight_bytes, row_bytes;
} il_gguf_step;

il_gguf_step il_gguf_weights_step(const il_gguf_weights *weights);
/* Of the file that a recipe of gguf_model.h would make of the shape. IL_E_UNSUPPORTED as there. */
int il_gguf_recipe_step(const il_shape *shape, il_gguf_recipe recipe, il_gguf_step *out,
                        il_error *err);
/* As il_shape_bytes_per_step, with those bytes for the weights. */
uint64_t il_gguf_step_bytes(const il_shape *shape, il_gguf_step step, il_dtype kv_dtype,
                            uint32_t batch, uint32_t context_tok);
/* True for a path that is to be read as a GGUF file: a regular file that starts with its magic, or
 * whose name says so. */
bool il_path_is_gguf(const char *path);

#endif
