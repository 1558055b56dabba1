/* SPDX-License-Identifier: Apache-2.0
 *
 * A model as a GGUF file, with the names, layouts and metadata that llama.cpp reads: from a
 * checkpoint directory, or from a shape and a seed (the very values of the checkpoint that
 * il_model_make writes, without the checkpoint).
 *
 * What differs from the Hugging Face layout: GPT-2's matrices are turned to [out, in]; rows of q
 * and k are reordered for families whose rotary pairs lie side by side in llama.cpp (llama,
 * mistral, mixtral); NeoX's rows of q, k and v are gathered; experts are stacked; Gemma's norms
 * hold 1 + w.
 */
#ifndef IL_MODEL_GGUF_MODEL_H
#define IL_MODEL_GGUF_MODEL_H

#include "inferlaw/dtype.h"
#include "inferlaw/error.h"
#include "model/shape.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* id, name, number in general.file_type, type of most matrices */
#define IL_GGUF_RECIPE_MAP(X)                                                                      \
    X(F32, 0, IL_GGML_F32)                                                                         \
    X(F16, 1, IL_GGML_F16)                                                                         \
    X(BF16, 32, IL_GGML_BF16)                                                                      \
    X(Q8_0, 7, IL_GGML_Q8_0)                                                                       \
    X(Q4_0, 2, IL_GGML_Q4_0)                                                                       \
    X(Q4_K_M, 15, IL_GGML_Q4_K)

typedef enum il_gguf_recipe {
#define IL_GGUF_RECIPE_ENUM(id, number, type) IL_GGUF_RECIPE_##id,
    IL_GGUF_RECIPE_MAP(IL_GGUF_RECIPE_ENUM)
#undef IL_GGUF_RECIPE_ENUM
        IL_GGUF_RECIPE_COUNT
} il_gguf_recipe;

const char *il_gguf_recipe_name(il_gguf_recipe recipe); /* "Q4_K_M" */
int il_gguf_recipe_parse(const char *text, il_gguf_recipe *out);

typedef struct il_gguf_options {
    il_gguf_recipe recipe;
    bool force; /* replace a file that stands in the way */
    void (*progress)(const char *name, uint64_t done_bytes, uint64_t total_bytes, void *user);
    void *user;
    const volatile sig_atomic_t *stop; /* non-zero: clean up and return IL_E_INTERRUPTED */
} il_gguf_options;

typedef struct il_gguf_report {
    uint64_t n_bytes;
    uint32_t n_tensors, n_quantised;
    uint32_t n_fallen; /* of another type than the recipe's, as their width is no multiple of it */
    bool kept;         /* the same model in the same type stood there */
    bool none_fits;    /* with IL_E_UNSUPPORTED: no tensor could be quantised, no file was made */
} il_gguf_report;

/* Writes the file at path. IL_E_UNSUPPORTED: an architecture or a detail that llama.cpp does not
 * have (named), or a recipe that fits no tensor. IL_E_EXISTS: another file stands there and force
 * is not set. report may be NULL. */
int il_model_gguf_from_shape(const il_shape *shape, uint64_t seed, il_dtype dtype, const char *path,
                             const il_gguf_options *options, il_gguf_report *report, il_error *err);
int il_model_gguf_from_dir(const char *dir, const char *path, const il_gguf_options *options,
                           il_gguf_report *report, il_error *err);

#endif
