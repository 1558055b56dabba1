/* SPDX-License-Identifier: Apache-2.0
 *
 * The file around the plan: where values come from, row bands, types, metadata.
 */
#include "model/gguf_model.h"

#include "base/file.h"
#include "base/version.h"
#include "model/gguf_plan.h"
#include "model/quant.h"
#include "model/vocab.h"
#include "model/weight_source.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values turned into blocks at a time: 16 MiB as fp32. */
enum { BAND_VALUES = 1 << 22, QUANT_VERSION = 2 };

/* Changes whenever the same weights would give other bytes. */
static const char writer_version[] = "2"; /* 2: a vocabulary in synthetic files */

static const struct {
    const char *name;
    uint32_t number;
} recipes[] = {
#define RECIPE(id, number, type) {#id, number},
    IL_GGUF_RECIPE_MAP(RECIPE)
#undef RECIPE
};

const char *il_gguf_recipe_name(il_gguf_recipe recipe)
{
    return recipe < IL_GGUF_RECIPE_COUNT ? recipes[recipe].name : "?";
}

int il_gguf_recipe_parse(const char *text, il_gguf_recipe *out)
{
    for (size_t i = 0; i < IL_GGUF_RECIPE_COUNT; i++) {
        if (strcmp(text, recipes[i].name) == 0) {
            *out = (il_gguf_recipe)i;
            return IL_OK;
        }
    }
    return IL_E_INVALID;
}

/* --- values ---------------------------------------------------------------------------------- */

/* Rows [first, first + n) of part `info` of t. spare holds n values. */
static void fetch_rows(const il__weight_source *s, const il__gguf_tensor *t,
                       const il_tensor_info *info, uint64_t first, size_t n, float *out,
                       float *spare)
{
    size_t columns = (size_t)t->n_columns;
    if (t->values) {
        memcpy(out, t->values + first, n * sizeof *out);
    } else if (t->order == IL__ORDER_AS_IS) {
        il__weight_fetch(s, info, first * columns, n * columns, out);
    } else if (t->order == IL__ORDER_TURNED) {
        for (size_t c = 0; c < columns; c++) {
            il__weight_fetch(s, info, c * t->n_rows + first, n, spare);
            for (size_t r = 0; r < n; r++) {
                out[r * columns + c] = spare[r];
            }
        }
    } else {
        for (size_t r = 0; r < n; r++) {
            il__weight_fetch(s, info, il__gguf_source_row(t, first + r) * columns, columns,
                             out + r * columns);
        }
    }
    for (size_t i = 0; t->plus_one && i < n * columns; i++) {
        out[i] += 1.0f;
    }
}

typedef struct writing {
    const il__weight_source *source;
    const il_gguf_options *options;
    il_gguf_writer *w;
    float *values, *spare;
    uint8_t *blocks;
    uint64_t done_bytes, total_bytes;
} writing;

static int write_band(writing *j, const il__gguf_tensor *t, const il_tensor_info *info,
                      uint64_t first, size_t n, il_error *err)
{
    size_t n_values = n * (size_t)t->n_columns;
    fetch_rows(j->source, t, info, first, n, j->values, j->spare);
    int rc = il_quant_write(t->type, j->values, n_values, j->blocks, err);
    if (rc != IL_OK) {
        il_error_where(err, "tensor %s, row %" PRIu64 " and on", info ? info->name : t->name,
                       first);
        return rc;
    }
    size_t n_bytes = (size_t)il_quant_bytes(t->type, n_values);
    rc = il_gguf_writer_append(j->w, j->blocks, n_bytes, err);
    j->done_bytes += n_bytes;
    if (rc == IL_OK && j->options->progress) {
        j->options->progress(j->source->name, j->done_bytes, j->total_bytes, j->options->user);
    }
    if (rc == IL_OK && j->options->stop && *j->options->stop) {
        rc = il_fail(err, IL_E_INTERRUPTED, "interrupted; nothing was left behind");
    }
    return rc;
}

static int write_tensor(writing *j, const il__gguf_tensor *t, il_error *err)
{
    int rc = IL_OK;
    uint64_t most = BAND_VALUES / t->n_columns;
    most = most < 1 ? 1 : most;
    for (uint32_t p = 0; rc == IL_OK && p < t->n_parts; p++) {
        const il_tensor_info *info = t->parts ? t->parts + (size_t)p * t->stride : NULL;
        for (uint64_t row = 0; rc == IL_OK && row < t->n_rows; row += most) {
            uint64_t left = t->n_rows - row;
            rc = write_band(j, t, info, row, (size_t)(left < most ? left : most), err);
        }
    }
    return rc;
}

static int write_tensors(writing *j, const il__gguf_plan *plan, il_error *err)
{
    uint64_t widest = BAND_VALUES;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        widest = plan->tensors[i].n_columns > widest ? plan->tensors[i].n_columns : widest;
    }
    j->values = malloc(widest * sizeof *j->values);
    j->spare = malloc(widest * sizeof *j->spare);
    j->blocks = malloc(widest * sizeof *j->values);
    int rc = j->values && j->spare && j->blocks
                 ? IL_OK
                 : il_fail(err, IL_E_NOMEM, "no memory for a band of rows");
    for (size_t i = 0; rc == IL_OK && i < plan->n_tensors; i++) {
        rc = write_tensor(j, &plan->tensors[i], err);
    }
    free(j->values);
    free(j->spare);
    free(j->blocks);
    return rc;
}

/* --- metadata -------------------------------------------------------------------------------- */

static void put_fallbacks(il_gguf_writer *w, const il__gguf_plan *plan)
{
    il_gguf_put_texts(w, "inferlaw.fallback", plan->n_fallen);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const il__gguf_tensor *t = &plan->tensors[i];
        if (t->type != t->wanted) {
            char text[128];
            int n = snprintf(text, sizeof text, "%s %s %s", t->name,
                             il_ggml_layout_of((uint32_t)t->wanted)->name,
                             il_ggml_layout_of((uint32_t)t->type)->name);
            il_gguf_put_next_text(w, text, n > 0 ? (size_t)n : 0);
        }
    }
}

/* The synthetic vocabulary (model/vocab.h). A file without a token that begins a text: nothing is
 * put before a prompt. */
static void put_vocab(il_gguf_writer *w, const il_vocab *v)
{
    enum { NORMAL = 1, CONTROL = 3 };
    char text[4 * IL_VOCAB_MOST_TEXT + 2];
    uint32_t end = v->n_tokens - 1;
    il_gguf_put_text(w, "tokenizer.ggml.model", "gpt2");
    il_gguf_put_text(w, "tokenizer.ggml.pre", "gpt-2");
    il_gguf_put_texts(w, "tokenizer.ggml.tokens", v->n_tokens);
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        const il_vocab_token *t = &v->tokens[i];
        size_t n = i == end ? t->n_bytes : il_vocab_spell(t->bytes, t->n_bytes, text);
        il_gguf_put_next_text(w, i == end ? t->bytes : text, n);
    }
    il_gguf_put_i32s(w, "tokenizer.ggml.token_type", v->n_tokens);
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        il_gguf_put_next_i32(w, i == end ? CONTROL : NORMAL);
    }
    il_gguf_put_texts(w, "tokenizer.ggml.merges", v->n_merges);
    for (uint32_t i = 0; i < v->n_merges; i++) {
        const il_vocab_token *l = &v->tokens[v->merges[i].left];
        const il_vocab_token *r = &v->tokens[v->merges[i].right];
        size_t n = il_vocab_spell(l->bytes, l->n_bytes, text);
        text[n++] = ' ';
        n += il_vocab_spell(r->bytes, r->n_bytes, text + n);
        il_gguf_put_next_text(w, text, n);
    }
    il_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", end);
    il_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", end);
    il_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", false);
}

static void put_header(il_gguf_writer *w, const il__weight_source *s, il_gguf_recipe recipe,
                       const char *architecture, const il__gguf_plan *plan, const il_vocab *vocab)
{
    il_gguf_put_text(w, "general.architecture", architecture);
    il_gguf_put_text(w, "general.type", "model");
    il_gguf_put_text(w, "general.name", s->name);
    il_gguf_put_u32(w, "general.file_type", recipes[recipe].number);
    if (plan->n_quantised > 0) {
        il_gguf_put_u32(w, "general.quantization_version", QUANT_VERSION);
    }
    il__gguf_put_shape(w, s->shape, architecture);
    if (vocab->n_tokens > 0) {
        put_vocab(w, vocab);
    } else {
        il_gguf_put_text(w, "tokenizer.ggml.model", "no_vocab");
    }
    il_gguf_put_text(w, "inferlaw.family", il_arch_name(s->shape->arch));
    il_gguf_put_text(w, "inferlaw.gguf_type", recipes[recipe].name);
    il_gguf_put_text(w, "inferlaw.writer", writer_version);
    if (s->hash) {
        il_gguf_put_text(w, "inferlaw.content_hash", s->hash);
    }
    if (plan->n_fallen > 0) {
        put_fallbacks(w, plan);
    }
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const il__gguf_tensor *t = &plan->tensors[i];
        il_gguf_add_tensor(w, t->name, t->n_dims, t->dims, t->type);
    }
}

/* --- what stands there ----------------------------------------------------------------------- */

static bool is_text(const il_gguf *file, const char *key, const char *wanted)
{
    const char *text;
    size_t len = 0;
    return il_gguf_get_text(file, key, true, &text, &len, NULL) == IL_OK && len == strlen(wanted) &&
           memcmp(text, wanted, len) == 0;
}

static bool is_identical(const char *path, const il__weight_source *s, il_gguf_recipe recipe)
{
    il_gguf *file = NULL;
    bool same = s->hash && il_path_is_file(path) && il_gguf_open(path, &file, NULL) == IL_OK &&
                is_text(file, "inferlaw.content_hash", s->hash) &&
                is_text(file, "inferlaw.gguf_type", recipes[recipe].name) &&
                is_text(file, "inferlaw.writer", writer_version);
    il_gguf_close(file);
    return same;
}

/* --- making ---------------------------------------------------------------------------------- */

static int write_file(const il__weight_source *s, const char *path, const il_gguf_options *options,
                      const char *architecture, const il__gguf_plan *plan, const il_vocab *vocab,
                      il_gguf_report *report, il_error *err)
{
    il_gguf_writer *w = NULL;
    int rc = il_gguf_writer_open(path, &w, err);
    if (rc != IL_OK) {
        return rc;
    }
    put_header(w, s, options->recipe, architecture, plan, vocab);
    rc = il_gguf_writer_begin(w, err);
    report->n_bytes = il_gguf_writer_bytes(w);
    writing j = {.source = s, .options = options, .w = w, .total_bytes = report->n_bytes};
    rc = rc ? rc : write_tensors(&j, plan, err);
    rc = rc ? rc : il_gguf_writer_end(w, err);
    il_gguf_writer_close(w);
    return rc;
}

static int make_file(const il__weight_source *s, const char *path, const il_gguf_options *options,
                     il_gguf_report *report_or_null, il_error *err)
{
    il_gguf_report unasked;
    il_gguf_report *report = report_or_null ? report_or_null : &unasked;
    il_arena arena = {0};
    il__gguf_plan plan = {0};
    il_vocab vocab = {0}; /* of a synthetic model, when it is large enough */
    *report = (il_gguf_report){0};
    const char *architecture = il__gguf_architecture(s->shape, err);
    int rc = architecture ? il__gguf_plan_make(s->shape, options->recipe, &arena, &plan, err)
                          : IL_E_UNSUPPORTED;
    if (rc != IL_OK) {
        goto out;
    }
    if (s->hash && s->shape->vocab_size >= IL_VOCAB_LEAST) {
        rc = il_vocab_make(s->shape->vocab_size, &arena, &vocab, err);
        if (rc != IL_OK) {
            goto out;
        }
    }
    report->n_tensors = (uint32_t)plan.n_tensors;
    report->n_quantised = plan.n_quantised;
    report->n_fallen = plan.n_fallen;
    if (plan.n_quantised == 0 && options->recipe >= IL_GGUF_RECIPE_Q8_0) {
        report->none_fits = true;
        rc = il_fail(err, IL_E_UNSUPPORTED,
                     "no tensor of %.96s has rows that are a multiple of a block of %s", s->name,
                     recipes[options->recipe].name);
        il_error_where(err, "%s", path);
        il_error_hint(err, "the file would hold no quantised tensor: take F32, F16 or BF16");
        goto out;
    }
    if (!options->force && is_identical(path, s, options->recipe)) {
        report->kept = true;
        goto out;
    }
    rc = il__weight_check_place(path, options->force, err);
    rc = rc ? rc : write_file(s, path, options, architecture, &plan, &vocab, report, err);
out:
    il_arena_free(&arena);
    return rc;
}

int il_model_gguf_from_shape(const il_shape *shape, uint64_t seed, il_dtype dtype, const char *path,
                             const il_gguf_options *options, il_gguf_report *report, il_error *err)
{
    il__weight_source s;
    if (report) {
        *report = (il_gguf_report){0};
    }
    int rc = il__weight_source_of_shape(shape, seed, dtype, &s, err);
    rc = rc ? rc : make_file(&s, path, options, report, err);
    il__weight_source_close(&s);
    return rc;
}

int il_model_gguf_from_dir(const char *dir, const char *path, const il_gguf_options *options,
                           il_gguf_report *report, il_error *err)
{
    il__weight_source s;
    if (report) {
        *report = (il_gguf_report){0};
    }
    int rc = il__weight_source_of_dir(dir, &s, err);
    rc = rc ? rc : make_file(&s, path, options, report, err);
    il__weight_source_close(&s);
    return rc;
}
