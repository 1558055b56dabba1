/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx_graph.h"

#include "model/onnx_proto.h"

#include <assert.h>
#include <string.h>

/* Field numbers of onnx.proto. */
enum {
    GRAPH_NODE = 1,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    ATTR_NAME = 1,
    ATTR_F = 2,
    ATTR_I = 3,
    ATTR_S = 4,
    ATTR_INTS = 8,
    ATTR_TYPE = 20,
    ATTR_TYPE_FLOAT = 1,
    ATTR_TYPE_INT = 2,
    ATTR_TYPE_STRING = 3,
    ATTR_TYPE_INTS = 7,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_ELEMENT = 1,
    TENSOR_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_WORD = 2,
};

static const size_t most_node_bytes = (size_t)1 << 20, most_graph_bytes = (size_t)1 << 28;

il__onnx_type il__onnx_type_of(il_dtype dtype)
{
    return dtype == IL_DTYPE_F32   ? IL__ONNX_FLOAT
           : dtype == IL_DTYPE_F16 ? IL__ONNX_FLOAT16
                                   : IL__ONNX_BFLOAT16;
}

uint64_t il__onnx_type_bytes(il__onnx_type type)
{
    return type == IL__ONNX_INT64                                  ? 8
           : type == IL__ONNX_FLOAT16 || type == IL__ONNX_BFLOAT16 ? 2
                                                                   : 4;
}

void il__onnx_graph_init(il__onnx_graph *g, il_arena *arena)
{
    *g = (il__onnx_graph){.arena = arena};
    il_buf_init(&g->nodes, most_graph_bytes);
    il_buf_init(&g->inputs, most_graph_bytes);
    il_buf_init(&g->outputs, most_graph_bytes);
}

void il__onnx_graph_free(il__onnx_graph *g)
{
    il_buf_free(&g->nodes);
    il_buf_free(&g->inputs);
    il_buf_free(&g->outputs);
}

static const char *kept(il__onnx_graph *g, const char *text)
{
    if (!text) {
        g->rc = IL_E_NOMEM;
        return "";
    }
    return text;
}

const char *il__onnx_name(il__onnx_graph *g, const char *stem)
{
    return kept(g, il_arena_printf(g->arena, "%s_%u", stem, g->n_names++));
}

/* --- nodes ----------------------------------------------------------------------------------- */

static void put_attr(il_buf *to, const il__onnx_attr *a)
{
    il_buf message;
    il_buf_init(&message, most_node_bytes);
    il__pb_text(&message, ATTR_NAME, a->name);
    if (a->kind == 'i') {
        il__pb_int(&message, ATTR_I, a->i);
        il__pb_int(&message, ATTR_TYPE, ATTR_TYPE_INT);
    } else if (a->kind == 'f') {
        il__pb_float(&message, ATTR_F, (float)a->f);
        il__pb_int(&message, ATTR_TYPE, ATTR_TYPE_FLOAT);
    } else if (a->kind == 'I') {
        for (int64_t i = 0; i < a->i; i++) {
            il__pb_int(&message, ATTR_INTS, a->ints[i]);
        }
        il__pb_int(&message, ATTR_TYPE, ATTR_TYPE_INTS);
    } else {
        assert(a->kind == 's');
        il__pb_text(&message, ATTR_S, a->s);
        il__pb_int(&message, ATTR_TYPE, ATTR_TYPE_STRING);
    }
    il__pb_message(to, NODE_ATTRIBUTE, &message);
}

/* Names up to the last that is there; one left out between is an empty text. */
static void put_names(il_buf *to, unsigned field, const char *const *names, size_t n)
{
    while (n > 0 && !names[n - 1]) {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        il__pb_text(to, field, names[i] ? names[i] : "");
    }
}

const char *il__onnx_add(il__onnx_graph *g, const il__onnx_node *node)
{
    il_buf message;
    const char *out[IL__ONNX_NODE_OUTPUTS];
    memcpy(out, node->out, sizeof out);
    out[0] = out[0] ? out[0] : il__onnx_name(g, node->type);
    il_buf_init(&message, most_node_bytes);
    put_names(&message, NODE_INPUT, node->in, IL__ONNX_NODE_INPUTS);
    put_names(&message, NODE_OUTPUT, out, IL__ONNX_NODE_OUTPUTS);
    il__pb_text(&message, NODE_NAME, out[0]);
    il__pb_text(&message, NODE_TYPE, node->type);
    for (size_t i = 0; i < IL__ONNX_NODE_ATTRS && node->attrs[i].kind; i++) {
        put_attr(&message, &node->attrs[i]);
    }
    if (node->contrib) {
        il__pb_text(&message, NODE_DOMAIN, "com.microsoft");
    }
    il__pb_message(&g->nodes, GRAPH_NODE, &message);
    return out[0];
}

/* --- tensors --------------------------------------------------------------------------------- */

const char *il__onnx_add_tensor(il__onnx_graph *g, const il__onnx_tensor *tensor)
{
    if (g->n_tensors == g->room) {
        size_t room = g->room ? 2 * g->room : 64;
        il__onnx_tensor *more = il_arena_array(g->arena, room, sizeof *more);
        if (!more) {
            g->rc = IL_E_NOMEM;
            return "";
        }
        if (g->n_tensors > 0) {
            memcpy(more, g->tensors, g->n_tensors * sizeof *more);
        }
        g->tensors = more;
        g->room = room;
    }
    il__onnx_tensor *t = &g->tensors[g->n_tensors++];
    *t = *tensor;
    t->name = kept(g, il_arena_strdup(g->arena, tensor->name));
    t->n_bytes = il__onnx_type_bytes(t->type);
    for (uint32_t d = 0; d < t->n_dims; d++) {
        t->n_bytes *= t->dims[d]; /* of a checked shape */
    }
    return t->name;
}

static const char *add_bytes(il__onnx_graph *g, const char *name, il__onnx_type type, uint32_t n,
                             const void *bytes)
{
    size_t n_bytes = (size_t)il__onnx_type_bytes(type) * (n ? n : 1);
    void *copy = il_arena_alloc(g->arena, n_bytes);
    if (!copy) {
        g->rc = IL_E_NOMEM;
        return "";
    }
    memcpy(copy, bytes, n_bytes);
    return il__onnx_add_tensor(g, &(il__onnx_tensor){.name = name,
                                                     .type = type,
                                                     .n_dims = n > 0,
                                                     .dims = {n},
                                                     .order = IL__ONNX_BYTES,
                                                     .bytes = copy});
}

const char *il__onnx_i64(il__onnx_graph *g, const char *name, const int64_t *values, uint32_t n)
{
    return add_bytes(g, name, IL__ONNX_INT64, n, values);
}

const char *il__onnx_const(il__onnx_graph *g, const char *name, il_dtype dtype, double value)
{
    float wide = (float)value;
    uint16_t half = dtype == IL_DTYPE_F16 ? il_f16_from_f32(wide) : il_bf16_from_f32(wide);
    return dtype == IL_DTYPE_F32 ? add_bytes(g, name, IL__ONNX_FLOAT, 0, &wide)
                                 : add_bytes(g, name, il__onnx_type_of(dtype), 0, &half);
}

/* --- inputs and outputs ---------------------------------------------------------------------- */

static void put_value(il_buf *to, unsigned field, const char *name, il__onnx_type type,
                      const il__onnx_dim *dims, uint32_t n_dims)
{
    il_buf value, of_type, tensor, shape, dim;
    il_buf *all[] = {&value, &of_type, &tensor, &shape, &dim};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        il_buf_init(all[i], most_node_bytes);
    }
    for (uint32_t d = 0; d < n_dims; d++) {
        if (dims[d].word) {
            il__pb_text(&dim, DIM_WORD, dims[d].word);
        } else {
            il__pb_int(&dim, DIM_VALUE, (int64_t)dims[d].n);
        }
        il__pb_message(&shape, SHAPE_DIM, &dim);
    }
    il__pb_int(&tensor, TENSOR_ELEMENT, type);
    il__pb_message(&tensor, TENSOR_SHAPE, &shape);
    il__pb_message(&of_type, TYPE_TENSOR, &tensor);
    il__pb_text(&value, VALUE_NAME, name);
    il__pb_message(&value, VALUE_TYPE, &of_type);
    il__pb_message(to, field, &value);
}

void il__onnx_add_input(il__onnx_graph *g, const char *name, il__onnx_type type,
                        const il__onnx_dim *dims, uint32_t n_dims)
{
    put_value(&g->inputs, GRAPH_INPUT, name, type, dims, n_dims);
}

void il__onnx_add_output(il__onnx_graph *g, const char *name, il__onnx_type type,
                         const il__onnx_dim *dims, uint32_t n_dims)
{
    put_value(&g->outputs, GRAPH_OUTPUT, name, type, dims, n_dims);
}
