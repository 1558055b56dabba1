/* SPDX-License-Identifier: Apache-2.0
 *
 * The values of a graph's tensors, band by band, into a file.
 */
#ifndef IL_MODEL_ONNX_VALUES_H
#define IL_MODEL_ONNX_VALUES_H

#include "base/staged_file.h"
#include "model/onnx_graph.h"
#include "model/onnx_model.h"
#include "model/weight_source.h"

typedef struct il__onnx_values {
    const il__weight_source *source;
    const il_onnx_options *options;
    float *band, *spare; /* of most_values each: what is written, and what it is made of */
    void *narrow;        /* the band in 16 bits */
    uint64_t most_values;
    uint64_t done_bytes, total_bytes;
} il__onnx_values;

/* Room for the widest of the tensors. */
int il__onnx_values_init(il__onnx_values *v, const il__onnx_graph *g, il_error *err);
void il__onnx_values_free(il__onnx_values *v);
/* Appends t->n_bytes bytes. IL_E_NONFINITE: a value that the file's dtype does not hold;
 * IL_E_INTERRUPTED. */
int il__onnx_values_write(il__onnx_values *v, const il__onnx_tensor *t, il_staged_file *to,
                          il_error *err);

#endif
