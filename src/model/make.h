/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints from shapes: a Hugging Face directory with config.json, safetensors (in shards behind
 * an index above a size) and inferlaw.json, which says what made it. A directory appears whole
 * under its name or not at all.
 */
#ifndef IL_MODEL_MAKE_H
#define IL_MODEL_MAKE_H

#include "inferlaw/dtype.h"
#include "inferlaw/error.h"
#include "model/shape.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_make_options {
    uint64_t seed;
    il_dtype dtype;
    uint64_t shard_bytes; /* largest shard; 0 = 2 GiB. A tensor is never split */
    uint32_t n_threads;   /* 0 = one per CPU this process may run on */
    bool force;           /* replace another model that stands in the way */
    /* Called now and then from the calling thread; may be NULL. */
    void (*progress)(const char *name, uint64_t done_bytes, uint64_t total_bytes, void *user);
    void *user;
    const volatile sig_atomic_t *stop; /* non-zero: clean up and return IL_E_INTERRUPTED */
} il_make_options;

/* 64 hex digits over everything the bytes of the weights depend on: synthesis version, seed, dtype,
 * config.json and the list of tensors. How they are cut into shards is no part of it. */
int il_model_content_hash(const il_shape *shape, uint64_t seed, il_dtype dtype, char out[65],
                          il_error *err);

/* Makes dir. An identical model there is kept (*kept = true, may be NULL), anything else in dir is
 * IL_E_EXISTS unless force, and never replaced when it is no model. IL_E_NO_SPACE before writing
 * when the file system lacks room, IL_E_ACCESS without permission. Nothing half-written stays. */
int il_model_make(const il_shape *shape, const char *dir, const il_make_options *options,
                  bool *kept, il_error *err);

/* The model's directory below cache_dir, made when absent: cache_dir/NAME-<12 digits of the content
 * hash>, so that two seeds or dtypes stand side by side; cache_dir/NAME where "model make" has put
 * the very same model. */
int il_model_ensure(const il_shape *shape, const char *cache_dir, const il_make_options *options,
                    char *dir_out, size_t dir_out_bytes, il_error *err);

#endif
