/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors files of a synthetic model: planned first, so that sizes are known before a byte
 * is written, then filled by several threads at once.
 */
#ifndef IL_MODEL_MAKE_WEIGHTS_H
#define IL_MODEL_MAKE_WEIGHTS_H

#include "base/arena.h"
#include "model/make.h"
#include "model/synth.h"

typedef struct il__weights_tensor {
    il_tensor_info info;
    il_synth synth;
    uint64_t n_elements, n_bytes;
    uint64_t begin; /* within its shard's data */
} il__weights_tensor;

typedef struct il__weights_shard {
    char name[64];
    size_t first_tensor, n_tensors;
    uint64_t data_bytes, file_bytes;
    const char *header; /* padded JSON */
    uint64_t header_bytes;
} il__weights_shard;

typedef struct il__weights {
    il_dtype dtype;
    il__weights_tensor *tensors;
    size_t n_tensors;
    il__weights_shard *shards;
    size_t n_shards;
    uint64_t total_bytes; /* of all files */
} il__weights;

int il__weights_plan(const il_shape *shape, const il_make_options *options, il_arena *arena,
                     il__weights *out, il_error *err);
/* Writes every shard, synced, and the index when there is more than one. */
int il__weights_write(const il__weights *weights, const char *name, const char *dir,
                      const il_make_options *options, il_error *err);

#endif
