/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the values of a model come from when another format is written: a checkpoint, or a shape
 * and a seed.
 */
#ifndef IL_MODEL_WEIGHT_SOURCE_H
#define IL_MODEL_WEIGHT_SOURCE_H

#include "inferlaw/dtype.h"
#include "model/checkpoint.h"
#include "model/shape.h"

typedef struct il__weight_source {
    const il_shape *shape;
    const il_checkpoint *ckpt; /* NULL: synthetic, of seed and dtype */
    uint64_t seed;
    il_dtype dtype;
    const char *name;
    const char *hash; /* of the content; NULL when not known */
} il__weight_source;

/* Elements [first, first + n) of a Hugging Face tensor as stored, widened to fp32. */
void il__weight_fetch(const il__weight_source *s, const il_tensor_info *info, uint64_t first,
                      size_t n, float *out);

#endif
