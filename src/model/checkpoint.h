/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a checkpoint directory: config.json and safetensors, one file or shards behind
 * model.safetensors.index.json. Headers are read with pread and validated whole (sizes, offsets,
 * no holes, no overlaps, no duplicate names, no path outside the directory) before anything is
 * mapped; data pages are mapped read-only.
 */
#ifndef IL_MODEL_CHECKPOINT_H
#define IL_MODEL_CHECKPOINT_H

#include "inferlaw/dtype.h"
#include "inferlaw/error.h"
#include "model/shape.h"

#include <stddef.h>
#include <stdint.h>

typedef struct il_checkpoint il_checkpoint;

typedef struct il_tensor_view {
    const char *name;
    il_dtype dtype;
    uint32_t n_dims;
    uint64_t dims[4];
    const void *data; /* inside a read-only mapping, aligned to the element at least */
    uint64_t n_bytes;
} il_tensor_view;

/* Opens DIR. Every tensor the shape needs must be there with the right dims, else IL_E_INVALID
 * names the tensor, what is there and what is needed. Extra tensors are allowed (attention mask
 * buffers of old GPT-2 files). Names with or without the "transformer."/"model." prefix match. */
int il_checkpoint_open(const char *dir, il_checkpoint **out, il_error *err);
void il_checkpoint_close(il_checkpoint *ckpt); /* NULL is fine */

const il_shape *il_checkpoint_shape(const il_checkpoint *ckpt);
/* By canonical name; NULL when the checkpoint has none. */
const il_tensor_view *il_checkpoint_tensor(const il_checkpoint *ckpt, const char *name);
size_t il_checkpoint_count(const il_checkpoint *ckpt);
const il_tensor_view *il_checkpoint_at(const il_checkpoint *ckpt, size_t i);
/* Bytes of all tensors, and elements of all tensors the shape names (the measured parameters). */
uint64_t il_checkpoint_bytes(const il_checkpoint *ckpt);
uint64_t il_checkpoint_params(const il_checkpoint *ckpt);

#endif
