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

#include <jansson.h>
#include <stdbool.h>

typedef struct il__weight_source {
    const il_shape *shape;
    il_checkpoint *ckpt; /* NULL: synthetic, of seed and dtype */
    uint64_t seed;
    il_dtype dtype;
    const char *name;
    const char *hash; /* of the content; NULL when not known */
    json_t *marker;   /* of a directory: owns name and hash */
    char hash_text[65];
} il__weight_source;

/* The values that il_model_make writes for a shape and a seed. The source stays where it is: hash
 * points into it. Both are to be closed in every case. */
int il__weight_source_of_shape(const il_shape *shape, uint64_t seed, il_dtype dtype,
                               il__weight_source *out, il_error *err);
/* A checkpoint directory, ours (with a marker) or anybody's. */
int il__weight_source_of_dir(const char *dir, il__weight_source *out, il_error *err);
void il__weight_source_close(il__weight_source *s);

/* IL_E_EXISTS when something stands where a file is to be written: a directory, or a file that
 * force does not let go. */
int il__weight_check_place(const char *path, bool force, il_error *err);

/* Elements [first, first + n) of a Hugging Face tensor as stored, widened to fp32. */
void il__weight_fetch(const il__weight_source *s, const il_tensor_info *info, uint64_t first,
                      size_t n, float *out);

#endif
