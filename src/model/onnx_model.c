/* SPDX-License-Identifier: Apache-2.0
 *
 * The files around the graph: head, tensors in place or beside, metadata, what stands there.
 */
#include "model/onnx_model.h"

#include "base/file.h"
#include "model/onnx_plan.h"
#include "model/onnx_proto.h"
#include "model/onnx_values.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Field numbers of onnx.proto. */
enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER = 2,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_METADATA = 14,
    OPSET_DOMAIN = 1,
    OPSET_VERSION = 2,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    TENSOR_EXTERNAL = 13,
    TENSOR_LOCATION = 14,
    LOCATION_EXTERNAL = 1,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2,
};

/* In the data file large tensors begin on a page, so that a reader may map them. Small ones stay in
 * the graph, where shape inference sees them. */
enum { PAGE = 4096, SMALL_BYTES = 1024 };
static const uint64_t most_message_bytes = INT32_MAX;
static const size_t most_head_bytes = (size_t)1 << 28;

/* Changes whenever the same weights would give other bytes. */
static const char writer_version[] = "1";
/* Of inputs and outputs, docs/models.md. */
static const char interface_version[] = "1";

static const char *const ops_names[] = {"auto", "contrib", "standard"};

const char *il_onnx_ops_name(il_onnx_ops ops)
{
    return (size_t)ops < sizeof ops_names / sizeof *ops_names ? ops_names[ops] : "?";
}

int il_onnx_ops_parse(const char *text, il_onnx_ops *out)
{
    for (size_t i = 0; i < sizeof ops_names / sizeof *ops_names; i++) {
        if (strcmp(text, ops_names[i]) == 0) {
            *out = (il_onnx_ops)i;
            return IL_OK;
        }
    }
    return IL_E_INVALID;
}

/* --- the head -------------------------------------------------------------------------------- */

typedef struct job {
    const il__weight_source *source;
    const il_onnx_options *options;
    const il__onnx_plan *plan;
    const char *path;
    char data_path[PATH_MAX];
    bool external;
    uint64_t model_bytes, data_bytes, graph_bytes;
    il_buf prefix; /* of the model, up to the graph */
} job;

static void put_entry(il_buf *to, unsigned field, const char *key, const char *value)
{
    il_buf entry;
    il_buf_init(&entry, most_head_bytes);
    il__pb_text(&entry, ENTRY_KEY, key);
    il__pb_text(&entry, ENTRY_VALUE, value);
    il__pb_message(to, field, &entry);
}

static void put_number(il_buf *to, const char *key, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    put_entry(to, MODEL_METADATA, key, text);
}

static void put_opset(il_buf *to, const char *domain, int64_t version)
{
    il_buf opset;
    il_buf_init(&opset, most_head_bytes);
    il__pb_text(&opset, OPSET_DOMAIN, domain);
    il__pb_int(&opset, OPSET_VERSION, version);
    il__pb_message(to, MODEL_OPSET, &opset);
}

static void put_prefix(const job *j, il_buf *to)
{
    const il_shape *s = j->source->shape;
    bool contrib = j->plan->ops == IL_ONNX_OPS_CONTRIB;
    il__pb_int(to, MODEL_IR_VERSION, j->plan->ir_version);
    il__pb_text(to, MODEL_PRODUCER, "inferlaw");
    put_opset(to, "", j->plan->opset);
    if (contrib) {
        put_opset(to, "com.microsoft", 1);
    }
    put_entry(to, MODEL_METADATA, "inferlaw.interface", interface_version);
    put_entry(to, MODEL_METADATA, "inferlaw.writer", writer_version);
    put_entry(to, MODEL_METADATA, "inferlaw.architecture", il_arch_hf_name(s->arch));
    put_entry(to, MODEL_METADATA, "inferlaw.dtype", il_dtype_name(j->options->dtype));
    put_entry(to, MODEL_METADATA, "inferlaw.ops", il_onnx_ops_name(j->plan->ops));
    put_entry(to, MODEL_METADATA, "inferlaw.cache", contrib ? "shared" : "growing");
    put_number(to, "inferlaw.layers", s->n_layer);
    put_number(to, "inferlaw.kv_heads", s->n_kv_head);
    put_number(to, "inferlaw.head_dim", s->d_head);
    put_number(to, "inferlaw.vocab", s->vocab_size);
    put_number(to, "inferlaw.positions", s->n_positions);
    if (j->source->hash) {
        put_entry(to, MODEL_METADATA, "inferlaw.content_hash", j->source->hash);
    }
}

static bool beside(const job *j, const il__onnx_tensor *t)
{
    return j->external && t->n_bytes >= SMALL_BYTES;
}

static uint64_t aligned(uint64_t n)
{
    return (n + PAGE - 1) / PAGE * PAGE;
}

/* A TensorProto up to its bytes, with the head of the field it is in the graph. */
static void put_tensor(const job *j, const il__onnx_tensor *t, uint64_t offset, il_buf *to)
{
    il_buf head;
    char number[24];
    il_buf_init(&head, most_head_bytes);
    for (uint32_t d = 0; d < t->n_dims; d++) {
        il__pb_int(&head, TENSOR_DIMS, (int64_t)t->dims[d]);
    }
    il__pb_int(&head, TENSOR_TYPE, t->type);
    il__pb_text(&head, TENSOR_NAME, t->name);
    if (beside(j, t)) {
        put_entry(&head, TENSOR_EXTERNAL, "location", il_path_base(j->data_path));
        (void)snprintf(number, sizeof number, "%" PRIu64, offset);
        put_entry(&head, TENSOR_EXTERNAL, "offset", number);
        (void)snprintf(number, sizeof number, "%" PRIu64, t->n_bytes);
        put_entry(&head, TENSOR_EXTERNAL, "length", number);
        il__pb_int(&head, TENSOR_LOCATION, LOCATION_EXTERNAL);
        il__pb_message(to, GRAPH_INITIALIZER, &head);
        return;
    }
    il__pb_head(&head, TENSOR_RAW, t->n_bytes);
    if (head.status != IL_OK && to->status == IL_OK) {
        to->status = head.status;
    }
    il__pb_head(to, GRAPH_INITIALIZER, head.len + t->n_bytes);
    (void)il_buf_append(to, head.data ? head.data : "", head.len);
    il_buf_free(&head);
}

/* Sizes of the message and of the data file. */
static int measure(job *j, il_error *err)
{
    const il__onnx_graph *g = &j->plan->graph;
    il_buf text;
    il_buf_init(&text, most_head_bytes);
    il__pb_text(&text, GRAPH_NAME, il_arch_hf_name(j->source->shape->arch));
    uint64_t n = text.len + g->nodes.len + g->inputs.len + g->outputs.len, data = 0;
    int rc = text.status;
    for (size_t i = 0; rc == IL_OK && i < g->n_tensors; i++) {
        const il__onnx_tensor *t = &g->tensors[i];
        il_buf_clear(&text);
        put_tensor(j, t, data, &text);
        rc = text.status;
        n += text.len + (beside(j, t) ? 0 : t->n_bytes);
        data += beside(j, t) ? aligned(t->n_bytes) : 0;
    }
    il_buf_free(&text);
    il_buf_clear(&j->prefix);
    put_prefix(j, &j->prefix);
    il__pb_head(&j->prefix, MODEL_GRAPH, n);
    rc = rc ? rc : j->prefix.status;
    j->graph_bytes = n;
    j->model_bytes = j->prefix.len + n;
    j->data_bytes = data;
    return rc ? il_fail(err, rc, "no memory for the head of the file") : IL_OK;
}

/* In one file where it fits, else with the tensors beside it. */
static int lay_out(job *j, il_error *err)
{
    uint64_t most = j->options->inline_bytes ? j->options->inline_bytes : most_message_bytes;
    il_buf_init(&j->prefix, most_head_bytes);
    int rc = measure(j, err);
    if (rc == IL_OK && j->model_bytes > most) {
        j->external = true;
        rc = measure(j, err);
    }
    if (rc == IL_OK && j->model_bytes > most_message_bytes) {
        rc = il_fail(err, IL_E_RANGE, "the graph alone would be %.1f MB, more than ONNX allows",
                     (double)j->model_bytes / 1e6);
    }
    return rc;
}

/* --- writing --------------------------------------------------------------------------------- */

static int write_tensors(const job *j, il__onnx_values *values, il_staged_file *model,
                         il_staged_file *data, il_error *err)
{
    const il__onnx_graph *g = &j->plan->graph;
    il_buf text;
    int rc = IL_OK;
    il_buf_init(&text, most_head_bytes);
    for (size_t i = 0; rc == IL_OK && i < g->n_tensors; i++) {
        const il__onnx_tensor *t = &g->tensors[i];
        il_buf_clear(&text);
        put_tensor(j, t, data ? il_staged_file_bytes(data) : 0, &text);
        rc = text.status ? il_fail(err, text.status, "no memory for the head of %s", t->name)
                         : il_staged_file_append(model, text.data, text.len, err);
        rc = rc ? rc : il__onnx_values_write(values, t, beside(j, t) ? data : model, err);
        if (rc == IL_OK && beside(j, t)) {
            rc = il_staged_file_append(data, NULL, aligned(t->n_bytes) - t->n_bytes, err);
        }
    }
    il_buf_free(&text);
    return rc;
}

static int write_model(const job *j, il_staged_file *model, il_staged_file *data, il_error *err)
{
    const il__onnx_graph *g = &j->plan->graph;
    il__onnx_values values = {.source = j->source, .options = j->options};
    il_buf name;
    il_buf_init(&name, most_head_bytes);
    il__pb_text(&name, GRAPH_NAME, il_arch_hf_name(j->source->shape->arch));
    int rc = name.status ? il_fail(err, name.status, "no memory for a name") : IL_OK;
    const il_buf *parts[] = {&j->prefix, &name, &g->inputs, &g->outputs, &g->nodes};
    for (size_t i = 0; rc == IL_OK && i < sizeof parts / sizeof *parts; i++) {
        rc = il_staged_file_append(model, parts[i]->data, parts[i]->len, err);
    }
    rc = rc ? rc : il__onnx_values_init(&values, g, err);
    rc = rc ? rc : write_tensors(j, &values, model, data, err);
    if (rc == IL_OK && (il_staged_file_bytes(model) != j->model_bytes ||
                        (data && il_staged_file_bytes(data) != j->data_bytes))) {
        rc = il_fail(err, IL_E_INTERNAL, "%s: not the bytes that were counted", j->path);
    }
    il__onnx_values_free(&values);
    il_buf_free(&name);
    return rc;
}

/* The data first, the model last: a model is never there without its data. An old model goes
 * before the data it belongs to are replaced. */
static int commit(const job *j, il_staged_file *model, il_staged_file *data, il_error *err)
{
    int rc = il_staged_file_sync(model, err);
    if (rc == IL_OK && data) {
        if (unlink(j->path) != 0 && errno != ENOENT) {
            rc = il_fail_errno(err, errno, "cannot remove %.200s", j->path);
        }
        rc = rc ? rc : il_staged_file_commit(data, err);
    }
    rc = rc ? rc : il_staged_file_commit(model, err);
    if (rc != IL_OK && data) {
        (void)unlink(j->data_path);
    } else if (rc == IL_OK && !data) {
        (void)unlink(j->data_path); /* of a model that was replaced */
    }
    return rc;
}

static int write_files(const job *j, il_error *err)
{
    il_staged_file *model = NULL, *data = NULL;
    int rc = il_staged_file_open(j->path, j->model_bytes, &model, err);
    if (rc == IL_OK && j->external) {
        rc = il_staged_file_open(j->data_path, j->data_bytes, &data, err);
    }
    rc = rc ? rc : write_model(j, model, data, err);
    rc = rc ? rc : commit(j, model, data, err);
    il_staged_file_close(model);
    il_staged_file_close(data);
    return rc;
}

/* --- what stands there ----------------------------------------------------------------------- */

static bool has_size(const char *path, uint64_t n_bytes)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == n_bytes;
}

/* The same head, which names content and dtype, and files of the right sizes. */
static bool is_identical(const job *j)
{
    bool same = j->source->hash && has_size(j->path, j->model_bytes) &&
                (!j->external || has_size(j->data_path, j->data_bytes));
    char *head = same ? malloc(j->prefix.len) : NULL;
    FILE *f = head ? fopen(j->path, "rb") : NULL;
    same = f && fread(head, 1, j->prefix.len, f) == j->prefix.len &&
           memcmp(head, j->prefix.data, j->prefix.len) == 0;
    if (f) {
        (void)fclose(f);
    }
    free(head);
    return same;
}

/* --- making ---------------------------------------------------------------------------------- */

static int make_files(const il__weight_source *source, const char *path,
                      const il_onnx_options *options, il_onnx_report *report, il_error *err)
{
    il_arena arena = {0};
    il__onnx_plan plan = {0};
    job j = {.source = source, .options = options, .plan = &plan, .path = path};
    int rc = il__onnx_plan_make(source->shape, options, &arena, &plan, err);
    int n = snprintf(j.data_path, sizeof j.data_path, "%s.data", path);
    if (rc == IL_OK && (n < 0 || (size_t)n >= sizeof j.data_path)) {
        rc = il_fail(err, IL_E_RANGE, "path too long: %.200s", path);
    }
    rc = rc ? rc : lay_out(&j, err);
    if (rc != IL_OK) {
        goto out;
    }
    *report = (il_onnx_report){.n_bytes = j.model_bytes + j.data_bytes,
                               .n_tensors = (uint32_t)plan.graph.n_tensors,
                               .ops = plan.ops,
                               .external = j.external};
    if (!options->force && is_identical(&j)) {
        report->kept = true;
        goto out;
    }
    rc = il__weight_check_place(path, options->force, err);
    rc = rc || !j.external ? rc : il__weight_check_place(j.data_path, options->force, err);
    rc = rc ? rc : write_files(&j, err);
out:
    il_buf_free(&j.prefix);
    il__onnx_plan_free(&plan);
    il_arena_free(&arena);
    return rc;
}

int il_model_onnx_from_shape(const il_shape *shape, uint64_t seed, il_dtype dtype, const char *path,
                             const il_onnx_options *options, il_onnx_report *report, il_error *err)
{
    il__weight_source source;
    il_onnx_report unasked;
    report = report ? report : &unasked;
    *report = (il_onnx_report){0};
    int rc = il__weight_source_of_shape(shape, seed, dtype, &source, err);
    rc = rc ? rc : make_files(&source, path, options, report, err);
    il__weight_source_close(&source);
    return rc;
}

int il_model_onnx_from_dir(const char *dir, const char *path, const il_onnx_options *options,
                           il_onnx_report *report, il_error *err)
{
    il__weight_source source;
    il_onnx_report unasked;
    report = report ? report : &unasked;
    *report = (il_onnx_report){0};
    int rc = il__weight_source_of_dir(dir, &source, err);
    rc = rc ? rc : make_files(&source, path, options, report, err);
    il__weight_source_close(&source);
    return rc;
}
