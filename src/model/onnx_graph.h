/* SPDX-License-Identifier: Apache-2.0
 *
 * A graph on its way into an ONNX file: nodes as encoded bytes, tensors as descriptions whose
 * values are fetched when the file is written. Failures (memory) stick in the graph.
 */
#ifndef IL_MODEL_ONNX_GRAPH_H
#define IL_MODEL_ONNX_GRAPH_H

#include "base/arena.h"
#include "base/buf.h"
#include "inferlaw/dtype.h"
#include "model/shape.h"

/* TensorProto.DataType */
typedef enum il__onnx_type {
    IL__ONNX_FLOAT = 1,
    IL__ONNX_INT32 = 6,
    IL__ONNX_INT64 = 7,
    IL__ONNX_FLOAT16 = 10,
    IL__ONNX_BFLOAT16 = 16,
} il__onnx_type;

/* How the values of a tensor come from the Hugging Face tensors. Columns of parts stand side by
 * side; a vector is a row. */
typedef enum il__onnx_order {
    IL__ONNX_BYTES,    /* given here */
    IL__ONNX_AS_IS,    /* as stored */
    IL__ONNX_TURNED,   /* stored [out, in], wanted [in, out] */
    IL__ONNX_ROPE_COS, /* [position, pair] */
    IL__ONNX_ROPE_SIN,
    IL__ONNX_EXPERTS, /* [expert, row, in]: rows of the parts in turn, one after the other */
} il__onnx_order;

enum { IL__ONNX_PARTS = 3 };

typedef struct il__onnx_tensor {
    const char *name;
    il__onnx_type type;
    uint32_t n_dims;
    uint64_t dims[3];
    il__onnx_order order;
    const il_tensor_info *parts[IL__ONNX_PARTS];
    uint32_t n_parts;
    uint32_t interleaved_heads; /* columns lie [head][q, k, v], wanted [q, k, v][head]; 0 = no */
    uint32_t stride; /* experts: from a part to that of the next expert, in the list of tensors */
    bool plus_one;
    bool rope_local;
    const void *bytes;
    uint64_t n_bytes;
} il__onnx_tensor;

typedef struct il__onnx_graph {
    il_arena *arena;
    il_buf nodes, inputs, outputs; /* fields of a GraphProto */
    il__onnx_tensor *tensors;
    size_t n_tensors, room;
    uint32_t n_names;
    int rc;
} il__onnx_graph;

typedef struct il__onnx_attr {
    const char *name;
    char kind; /* i, f, s, I (integers: i of ints); 0 ends the list */
    int64_t i;
    double f;
    const char *s;
    int64_t ints[4];
} il__onnx_attr;

enum { IL__ONNX_NODE_INPUTS = 10, IL__ONNX_NODE_OUTPUTS = 4, IL__ONNX_NODE_ATTRS = 8 };

typedef struct il__onnx_node {
    const char *type;
    bool contrib; /* of the domain com.microsoft */
    const char *in[IL__ONNX_NODE_INPUTS];
    const char *out[IL__ONNX_NODE_OUTPUTS]; /* the first gets a name when it has none */
    il__onnx_attr attrs[IL__ONNX_NODE_ATTRS];
} il__onnx_node;

il__onnx_type il__onnx_type_of(il_dtype dtype);
uint64_t il__onnx_type_bytes(il__onnx_type type);

void il__onnx_graph_init(il__onnx_graph *g, il_arena *arena);
void il__onnx_graph_free(il__onnx_graph *g);
/* The name of the first output, alive as the arena; "" after a failure. */
const char *il__onnx_add(il__onnx_graph *g, const il__onnx_node *node);
/* A new name that starts with stem. */
const char *il__onnx_name(il__onnx_graph *g, const char *stem);
/* A copy of the description with n_bytes counted; its name. */
const char *il__onnx_add_tensor(il__onnx_graph *g, const il__onnx_tensor *tensor);
/* Constants; n 0 makes a scalar. */
const char *il__onnx_i64(il__onnx_graph *g, const char *name, const int64_t *values, uint32_t n);
const char *il__onnx_const(il__onnx_graph *g, const char *name, il_dtype dtype, double value);
/* Inputs and outputs: a dim is a number, or a word where it varies. */
typedef struct il__onnx_dim {
    const char *word;
    uint64_t n;
} il__onnx_dim;
void il__onnx_add_input(il__onnx_graph *g, const char *name, il__onnx_type type,
                        const il__onnx_dim *dims, uint32_t n_dims);
void il__onnx_add_output(il__onnx_graph *g, const char *name, il__onnx_type type,
                         const il__onnx_dim *dims, uint32_t n_dims);

#endif
