/* SPDX-License-Identifier: Apache-2.0
 *
 * A model as an ONNX file: the weights of a checkpoint directory, or those il_model_make writes
 * for a shape and a seed, in a graph that ONNX Runtime runs with its cache as inputs and outputs.
 * docs/models.md describes inputs, outputs and metadata.
 */
#ifndef IL_MODEL_ONNX_MODEL_H
#define IL_MODEL_ONNX_MODEL_H

#include "inferlaw/dtype.h"
#include "inferlaw/error.h"
#include "model/shape.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Which operators attention and experts are made of. */
typedef enum il_onnx_ops {
    IL_ONNX_OPS_AUTO,     /* contrib where its limits allow, else standard */
    IL_ONNX_OPS_CONTRIB,  /* com.microsoft: GroupQueryAttention, MoE */
    IL_ONNX_OPS_STANDARD, /* of ONNX alone: any head size, any runtime */
} il_onnx_ops;

const char *il_onnx_ops_name(il_onnx_ops ops); /* "auto", "contrib", "standard" */
int il_onnx_ops_parse(const char *text, il_onnx_ops *out);

typedef struct il_onnx_options {
    il_dtype dtype; /* of weights, cache and arithmetic */
    il_onnx_ops ops;
    bool force; /* replace a file that stands in the way */
    /* A model above this has its tensors in PATH.data; 0 = what a message may hold, 2 GiB less 1.
     */
    uint64_t inline_bytes;
    void (*progress)(const char *name, uint64_t done_bytes, uint64_t total_bytes, void *user);
    void *user;
    const volatile sig_atomic_t *stop; /* non-zero: clean up and return IL_E_INTERRUPTED */
} il_onnx_options;

typedef struct il_onnx_report {
    uint64_t n_bytes; /* of both files */
    uint32_t n_tensors;
    il_onnx_ops ops;
    bool external; /* PATH.data was written */
    bool kept;     /* the same model stood there */
} il_onnx_report;

/* Writes path, and path.data where the model is large. Both appear whole and synced, the model
 * last, or not at all. IL_E_UNSUPPORTED: a family or a detail that is not written, named.
 * IL_E_EXISTS: another file stands there and force is not set. `dtype` is that of the synthetic
 * weights, which options->dtype may round further. report may be NULL. */
int il_model_onnx_from_shape(const il_shape *shape, uint64_t seed, il_dtype dtype, const char *path,
                             const il_onnx_options *options, il_onnx_report *report, il_error *err);
int il_model_onnx_from_dir(const char *dir, const char *path, const il_onnx_options *options,
                           il_onnx_report *report, il_error *err);

#endif
