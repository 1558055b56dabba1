/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_weights.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/text.h"
#include "model/gguf_plan.h"
#include "model/gguf_shape.h"
#include "model/quant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct il_gguf_weights {
    il_gguf *file;
    il_shape shape;
    il_arena arena;
    il_gguf_weight *list; /* in the shape's order */
    il_gguf_weight **by_name;
    const il_tensor_info *infos;
    size_t n;
    float *rope_factors;
    char type[24];
    uint64_t n_bytes, n_params;
    il_gguf_step step;
};

/* --- the list -------------------------------------------------------------------------------- */

static int refuse_type(const char *name, const il_ggml_layout *layout, il_error *err)
{
    int rc = il_fail(err, IL_E_UNSUPPORTED, "tensor %s is of type %s, which is not read here", name,
                     layout->name);
    il_error_hint(err, "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K are; "
                       "llama-quantize makes a file of one of them");
    return rc;
}

/* The stored tensor of the first expert holds all of them. */
static int find_tensor(const il_gguf_weights *w, const il_tensor_info *info, uint64_t n_rows,
                       uint64_t n_columns, const il_gguf_tensor **out, il_error *err)
{
    char name[64];
    uint64_t n_parts = info->expert == 0 ? w->shape.n_expert : 1;
    if (!il__gguf_name(&w->shape, info, name, sizeof name)) {
        return il_fail(err, IL_E_INTERNAL, "tensor %s has no GGUF name", info->name);
    }
    const il_gguf_tensor *t = il_gguf_tensor_find(w->file, name);
    if (!t) {
        return il_fail(err, IL_E_INVALID, "the file has no tensor %s", name);
    }
    uint64_t rows = t->n_dims > 1 ? t->dims[1] : 1;
    uint64_t parts = t->n_dims > 2 ? t->dims[2] : 1;
    if (t->dims[0] != n_columns || rows != n_rows || parts != n_parts || t->n_dims > 3) {
        return il_fail(err, IL_E_INVALID,
                       "tensor %s is %" PRIu64 " × %" PRIu64 " × %" PRIu64 " where %" PRIu64
                       " × %" PRIu64 " × %" PRIu64 " is needed",
                       name, t->dims[0], rows, parts, n_columns, n_rows, n_parts);
    }
    if (!il_quant_can_read(t->layout->type)) {
        return refuse_type(name, t->layout, err);
    }
    *out = t;
    return IL_OK;
}

static int add_weight(il_gguf_weights *w, size_t i, il_error *err)
{
    const il_tensor_info *info = &w->infos[i];
    il_gguf_weight *to = &w->list[i];
    if (info->expert > 0) { /* gate, up and down of an expert follow those of the one before */
        *to = w->list[i - 3 * (size_t)info->expert];
        to->name = info->name;
        to->data += (uint64_t)info->expert * to->n_rows * to->row_bytes;
        return IL_OK;
    }
    const il_gguf_tensor *t = NULL;
    bool turned = info->transposed, vector = info->n_dims == 1;
    uint64_t n_rows = vector ? 1 : info->dims[turned ? 1 : 0];
    uint64_t n_columns = vector ? info->dims[0] : info->dims[turned ? 0 : 1];
    int rc = find_tensor(w, info, n_rows, n_columns, &t, err);
    if (rc != IL_OK) {
        return rc;
    }
    bool paired = il__gguf_order_of(&w->shape, info) == IL__ORDER_ROPE_PAIRS;
    *to = (il_gguf_weight){
        .name = info->name,
        .layout = t->layout,
        .data = t->data,
        .n_rows = n_rows,
        .n_columns = n_columns,
        .row_bytes = il_quant_bytes(t->layout->type, n_columns),
        .role = info->role,
        .pair_heads = !paired                        ? 0
                      : strstr(info->name, "k_proj") ? w->shape.n_kv_head
                                                     : w->shape.n_head,
    };
    if (vector && t->layout->block_values > 1) {
        return refuse_type(t->name, t->layout, err);
    }
    if (to->row_bytes == 0) {
        return il_fail(err, IL_E_DAMAGED, "rows of tensor %s are no whole blocks of %s", t->name,
                       t->layout->name);
    }
    return IL_OK;
}

static int compare_names(const void *a, const void *b)
{
    const il_gguf_weight *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int make_list(il_gguf_weights *w, il_error *err)
{
    il_tensor_info *infos;
    int rc = il_shape_tensor_list(&w->shape, &w->arena, &infos, &w->n, err);
    if (rc != IL_OK) {
        return rc;
    }
    w->infos = infos;
    w->list = il_arena_array(&w->arena, w->n, sizeof *w->list);
    w->by_name = il_arena_array(&w->arena, w->n, sizeof *w->by_name);
    if (!w->list || !w->by_name) {
        return il_fail(err, IL_E_NOMEM, "no memory for a list of %zu tensors", w->n);
    }
    for (size_t i = 0; rc == IL_OK && i < w->n; i++) {
        rc = add_weight(w, i, err);
        w->by_name[i] = &w->list[i];
    }
    if (rc == IL_OK) {
        qsort(w->by_name, w->n, sizeof *w->by_name, compare_names);
    }
    return rc;
}

/* --- facts ----------------------------------------------------------------------------------- */

/* Adds a tensor of n_rows to a step. */
static void add_to_step(const il_shape *s, const il_tensor_info *info, uint64_t n_rows,
                        uint64_t row_bytes, il_gguf_step *step)
{
    bool table = info->role == IL_ROLE_POSITION || info->role == IL_ROLE_EMBEDDING;
    bool whole = !table || (info->role == IL_ROLE_EMBEDDING && s->tied);
    bool idle = info->expert >= 0 && (uint32_t)info->expert >= s->n_expert_used;
    step->weight_bytes += idle ? 0 : (whole ? n_rows * row_bytes : 0) + (table ? row_bytes : 0);
    step->row_bytes += table ? row_bytes : 0;
}

static void count(il_gguf_weights *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const il_gguf_weight *t = &w->list[i];
        w->n_bytes += t->n_rows * t->row_bytes;
        w->n_params += t->n_rows * t->n_columns;
        add_to_step(&w->shape, &w->infos[i], t->n_rows, t->row_bytes, &w->step);
    }
}

static void name_type(il_gguf_weights *w)
{
    enum { MOST_TYPES = 64 };
    static const struct {
        int64_t number;
        const char *name;
    } known[] = {{0, "F32"},     {1, "F16"},   {2, "Q4_0"},    {3, "Q4_1"},    {7, "Q8_0"},
                 {8, "Q5_0"},    {9, "Q5_1"},  {14, "Q4_K_S"}, {15, "Q4_K_M"}, {16, "Q5_K_S"},
                 {17, "Q5_K_M"}, {18, "Q6_K"}, {32, "BF16"}};
    int64_t number = -1;
    (void)il_gguf_get_i64(w->file, "general.file_type", false, &number, NULL);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].number == number) {
            (void)snprintf(w->type, sizeof w->type, "%s", known[i].name);
            return;
        }
    }
    uint64_t values[MOST_TYPES] = {0};
    uint32_t most = 0;
    for (size_t i = 0; i < w->n; i++) {
        uint32_t type = (uint32_t)w->list[i].layout->type;
        if (w->list[i].role == IL_ROLE_LINEAR && type < MOST_TYPES) {
            values[type] += w->list[i].n_rows * w->list[i].n_columns;
            most = values[type] > values[most] ? type : most;
        }
    }
    (void)snprintf(w->type, sizeof w->type, "%s", il_ggml_layout_of(most)->name);
}

static int read_rope_factors(il_gguf_weights *w, il_error *err)
{
    const il_gguf_tensor *t = il_gguf_tensor_find(w->file, "rope_freqs.weight");
    if (!t || w->shape.position != IL_POSITION_ROPE) {
        return IL_OK;
    }
    if (t->layout->type != IL_GGML_F32 || t->n_values != w->shape.rope_dims / 2) {
        return il_fail(
            err, IL_E_INVALID,
            "tensor rope_freqs.weight is not one fp32 number for each of %u rotary pairs",
            w->shape.rope_dims / 2);
    }
    w->rope_factors = il_arena_array(&w->arena, t->n_values, sizeof *w->rope_factors);
    if (!w->rope_factors) {
        return il_fail(err, IL_E_NOMEM, "no memory for rope factors");
    }
    il_quant_read(IL_GGML_F32, t->data, t->n_values, w->rope_factors);
    return IL_OK;
}

/* --- opening --------------------------------------------------------------------------------- */

int il_gguf_weights_open(const char *path, il_gguf_weights **out, il_error *err)
{
    il_gguf_weights *w = calloc(1, sizeof *w);
    if (!w) {
        return il_fail(err, IL_E_NOMEM, "no memory for a list of weights");
    }
    int rc = il_gguf_open(path, &w->file, err);
    rc = rc ? rc : il_shape_from_gguf(w->file, &w->shape, err);
    rc = rc ? rc : make_list(w, err);
    rc = rc ? rc : read_rope_factors(w, err);
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
        il_error_hint(err, "the file does not keep to its own architecture: convert it again");
        il_gguf_weights_close(w);
        return rc;
    }
    count(w);
    name_type(w);
    *out = w;
    return IL_OK;
}

void il_gguf_weights_close(il_gguf_weights *weights)
{
    if (weights) {
        il_gguf_close(weights->file);
        il_arena_free(&weights->arena);
        free(weights);
    }
}

bool il_path_is_gguf(const char *path)
{
    char magic[4] = "";
    FILE *file = il_path_is_file(path) ? fopen(path, "rbe") : NULL;
    bool is = file && (il_text_ends(path, ".gguf") ||
                       (fread(magic, 1, sizeof magic, file) == sizeof magic &&
                        memcmp(magic, "GGUF", sizeof magic) == 0));
    if (file) {
        (void)fclose(file);
    }
    return is;
}

/* --- questions ------------------------------------------------------------------------------- */

const il_shape *il_gguf_weights_shape(const il_gguf_weights *weights)
{
    return &weights->shape;
}

static int compare_to_name(const void *name, const void *entry)
{
    const il_gguf_weight *const *weight = entry;
    return strcmp(name, (*weight)->name);
}

const il_gguf_weight *il_gguf_weights_find(const il_gguf_weights *weights, const char *name)
{
    il_gguf_weight *const *found =
        bsearch(name, weights->by_name, weights->n, sizeof *weights->by_name, compare_to_name);
    return found ? *found : NULL;
}

size_t il_gguf_weights_count(const il_gguf_weights *weights)
{
    return weights->n;
}

const il_gguf_weight *il_gguf_weights_at(const il_gguf_weights *weights, size_t i)
{
    return &weights->list[i];
}

/* Where row `row` of n stands when the pairs (i, i + e/2) of each head have become neighbours. */
static uint64_t stored_row(uint64_t n, uint32_t pair_heads, uint64_t row)
{
    if (pair_heads == 0) {
        return row;
    }
    uint64_t e = n / pair_heads, i = row % e, half = e / 2;
    return row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

const uint8_t *il_gguf_weight_row(const il_gguf_weight *weight, uint64_t row)
{
    return weight->data + stored_row(weight->n_rows, weight->pair_heads, row) * weight->row_bytes;
}

void il_gguf_weight_vector(const il_gguf_weight *weight, uint64_t first, uint64_t n, float *out)
{
    uint64_t value_bytes = weight->layout->block_bytes;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = stored_row(weight->n_columns, weight->pair_heads, first + i);
        il_quant_read(weight->layout->type, weight->data + at * value_bytes, 1, out + i);
    }
}

const float *il_gguf_weights_rope_factors(const il_gguf_weights *weights)
{
    return weights->rope_factors;
}

bool il_gguf_weights_norms_are_whole(const il_gguf_weights *weights)
{
    return weights->shape.norm == IL_NORM_RMS_PLUS_ONE;
}

const char *il_gguf_weights_type(const il_gguf_weights *weights)
{
    return weights->type;
}

uint64_t il_gguf_weights_bytes(const il_gguf_weights *weights)
{
    return weights->n_bytes;
}

uint64_t il_gguf_weights_params(const il_gguf_weights *weights)
{
    return weights->n_params;
}

il_gguf_step il_gguf_weights_step(const il_gguf_weights *weights)
{
    return weights->step;
}

int il_gguf_recipe_step(const il_shape *shape, il_gguf_recipe recipe, il_gguf_step *out,
                        il_error *err)
{
    il_arena arena = {0};
    il__gguf_plan plan = {0};
    *out = (il_gguf_step){0};
    int rc = il__gguf_architecture(shape, err) ? IL_OK : IL_E_UNSUPPORTED;
    rc = rc ? rc : il__gguf_plan_make(shape, recipe, &arena, &plan, err);
    for (size_t i = 0; rc == IL_OK && i < plan.n_tensors; i++) {
        const il__gguf_tensor *t = &plan.tensors[i];
        uint64_t columns = t->n_dims > 1 ? t->dims[0] : t->n_rows;
        uint64_t rows = t->n_dims > 1 ? t->n_rows : 1;
        for (uint32_t p = 0; t->parts && p < t->n_parts; p++) {
            add_to_step(shape, t->parts + (size_t)p * t->stride, rows,
                        il_quant_bytes(t->type, columns), out);
        }
    }
    il_arena_free(&arena);
    return rc;
}

uint64_t il_gguf_step_bytes(const il_shape *shape, il_gguf_step step, il_dtype kv_dtype,
                            uint32_t batch, uint32_t context_tok)
{
    /* The cache alone: the same step less its weights in the cache's own format. */
    il_param_counts counts = {0};
    (void)il_shape_count(shape, &counts, NULL);
    uint64_t further = batch > 0 ? batch - 1 : 0;
    uint64_t tables = shape->position == IL_POSITION_ROPE ? 1 : 2;
    uint64_t plain =
        (counts.read_per_step + further * tables * shape->d_model) * il_dtype_bytes(kv_dtype);
    uint64_t all = il_shape_bytes_per_step(shape, kv_dtype, kv_dtype, batch, context_tok);
    return step.weight_bytes + further * step.row_bytes + all - plain;
}
