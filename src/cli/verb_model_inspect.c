/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "model/checkpoint.h"
#include "model/gguf_weights.h"
#include "model/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CONFIG_BYTES = 16 << 20, LIKELY_CONTEXT_TOK = 1024 };

static const il_column fact_columns[] = {{"what", "what"}, {"value", "value"}, {"unit", "unit"}};
static const il_column tensor_columns[] = {{"tensors", "kind"},
                                           {"dtype", "dtype"},
                                           {"count", "count"},
                                           {"elements M", "elements"},
                                           {"MB", "bytes"}};

static void number(il_table *t, const char *what, double value, double scale, int decimals,
                   const char *unit)
{
    il_table_text(t, what);
    il_table_scaled(t, value, scale, decimals);
    il_table_text(t, unit);
}

static void word(il_table *t, const char *what, const char *value)
{
    il_table_text(t, what);
    il_table_text(t, value);
    il_table_text(t, "");
}

static void add_sizes(il_table *t, const il_shape *s)
{
    word(t, "family", il_arch_name(s->arch));
    number(t, "layers", s->n_layer, 1, 0, "");
    number(t, "width", s->d_model, 1, 0, "");
    number(t, "attention heads", s->n_head, 1, 0, "");
    number(t, "KV heads", s->n_kv_head, 1, 0, "");
    number(t, "head size", s->d_head, 1, 0, "");
    number(t, s->n_expert ? "feed-forward width of an expert" : "feed-forward width", s->d_ff, 1, 0,
           "");
    if (s->n_expert) {
        number(t, "experts", s->n_expert, 1, 0, "");
        number(t, "experts per token", s->n_expert_used, 1, 0, "");
    }
    number(t, "vocabulary", s->vocab_size, 1, 0, "");
    number(t, "positions", s->n_positions, 1, 0, "");
    if (s->sliding_window) {
        number(t, "sliding window", s->sliding_window, 1, 0, "tokens");
        number(t, "every n-th layer is full", s->sliding_period, 1, 0, "0 = none");
    }
    word(t, "head shares the embedding", s->tied ? "yes" : "no");
}

static void add_costs(il_table *t, const il_shape *s, const il_param_counts *c)
{
    number(t, "parameters, total", (double)c->total, 1e-6, 3, "M");
    number(t, "parameters, non-embedding", (double)c->non_embedding, 1e-6, 3, "M");
    number(t, "parameters, active per token", (double)c->active, 1e-6, 3, "M");
    number(t, "parameters, read per step", (double)c->read_per_step, 1e-6, 3, "M");
    static const il_dtype dtypes[] = {IL_DTYPE_F32, IL_DTYPE_BF16};
    for (size_t i = 0; i < 2; i++) {
        il_dtype d = dtypes[i];
        char what[96];
        double weights = (double)c->total * (double)il_dtype_bytes(d);
        uint64_t kv = il_shape_kv_bytes_per_token(s, d);
        uint32_t context =
            s->n_positions < LIKELY_CONTEXT_TOK ? s->n_positions : LIKELY_CONTEXT_TOK;
        (void)snprintf(what, sizeof what, "weights, %s", il_dtype_name(d));
        number(t, what, weights, 1e-6, 3, "MB");
        (void)snprintf(what, sizeof what, "KV cache of a token, %s", il_dtype_name(d));
        number(t, what, (double)kv, 1, 0, "B");
        (void)snprintf(what, sizeof what, "read per step at 0 context, %s", il_dtype_name(d));
        number(t, what, (double)il_shape_bytes_per_step(s, d, d, 1, 0), 1e-6, 3, "MB");
        (void)snprintf(what, sizeof what, "read per step at %u context, %s", context,
                       il_dtype_name(d));
        number(t, what, (double)il_shape_bytes_per_step(s, d, d, 1, context), 1e-6, 3, "MB");
        (void)snprintf(what, sizeof what, "memory, weights and %u tokens, %s", context,
                       il_dtype_name(d));
        number(t, what, weights + (double)kv * context, 1e-6, 3, "MB");
    }
}

/* --- tensors as stored: one row per kind and dtype
 * -------------------------------------------------- */

typedef struct kind {
    const char *name;
    uint64_t count[IL_DTYPE_COUNT], elements[IL_DTYPE_COUNT];
} kind;

typedef struct sorter {
    const il_checkpoint *ckpt;
    kind kinds[5];
} sorter;

static int sort_tensor(const il_tensor_info *info, void *user)
{
    sorter *s = user;
    const il_tensor_view *view = il_checkpoint_tensor(s->ckpt, info->name);
    int k = 3;
    switch (info->role) {
    case IL_ROLE_EMBEDDING:
    case IL_ROLE_POSITION:
    case IL_ROLE_HEAD:
        k = 0;
        break;
    case IL_ROLE_LINEAR:
        k = info->expert >= 0 || info->n_dims == 3 ? 2 : 1;
        break;
    default:
        break;
    }
    s->kinds[k].count[view->dtype]++;
    s->kinds[k].elements[view->dtype] += view->n_bytes / il_dtype_bytes(view->dtype);
    return 0;
}

static void add_tensors(il_table *t, const il_checkpoint *ckpt)
{
    sorter s = {.ckpt = ckpt,
                .kinds = {{.name = "embedding, positions, head"},
                          {.name = "matrices"},
                          {.name = "experts"},
                          {.name = "norms, biases"},
                          {.name = "not of the model"}}};
    (void)il_shape_each_tensor(il_checkpoint_shape(ckpt), sort_tensor, &s);
    size_t n_needed = 0;
    for (int k = 0; k < 4; k++) {
        for (int d = 0; d < IL_DTYPE_COUNT; d++) {
            n_needed += s.kinds[k].count[d];
        }
    }
    /* The reader lists what the shape needs first. */
    for (size_t i = n_needed; i < il_checkpoint_count(ckpt); i++) {
        const il_tensor_view *view = il_checkpoint_at(ckpt, i);
        s.kinds[4].count[view->dtype]++;
        s.kinds[4].elements[view->dtype] += view->n_bytes / il_dtype_bytes(view->dtype);
    }
    for (int k = 0; k < 5; k++) {
        for (int d = 0; d < IL_DTYPE_COUNT; d++) {
            if (s.kinds[k].count[d] == 0) {
                continue;
            }
            double elements = (double)s.kinds[k].elements[d];
            il_table_text(t, s.kinds[k].name);
            il_table_text(t, il_dtype_name((il_dtype)d));
            il_table_int(t, (int64_t)s.kinds[k].count[d]);
            il_table_scaled(t, elements, 1e-6, 3);
            il_table_scaled(t, elements * (double)il_dtype_bytes((il_dtype)d), 1e-6, 3);
        }
    }
}

/* The same of a GGUF file, by its number formats. */
static void add_gguf_tensors(il_table *t, const il_gguf_weights *file)
{
    enum { MOST_TYPES = 64, N_KINDS = 4 };
    static const char *const kinds[N_KINDS] = {"embedding, positions, head", "matrices", "experts",
                                               "norms, biases"};
    struct {
        uint64_t count, elements, bytes;
    } sums[N_KINDS][MOST_TYPES] = {0};
    for (size_t i = 0; i < il_gguf_weights_count(file); i++) {
        const il_gguf_weight *w = il_gguf_weights_at(file, i);
        uint32_t type = (uint32_t)w->layout->type;
        int k =
            w->role == IL_ROLE_EMBEDDING || w->role == IL_ROLE_POSITION || w->role == IL_ROLE_HEAD
                ? 0
            : w->role != IL_ROLE_LINEAR    ? 3
            : strstr(w->name, ".experts.") ? 2
                                           : 1;
        if (type < MOST_TYPES) {
            sums[k][type].count++;
            sums[k][type].elements += w->n_rows * w->n_columns;
            sums[k][type].bytes += w->n_rows * w->row_bytes;
        }
    }
    for (int k = 0; k < N_KINDS; k++) {
        for (uint32_t type = 0; type < MOST_TYPES; type++) {
            if (sums[k][type].count > 0) {
                il_table_text(t, kinds[k]);
                il_table_text(t, il_ggml_layout_of(type)->name);
                il_table_int(t, (int64_t)sums[k][type].count);
                il_table_scaled(t, (double)sums[k][type].elements, 1e-6, 3);
                il_table_scaled(t, (double)sums[k][type].bytes, 1e-6, 3);
            }
        }
    }
}

/* --- output
 * ------------------------------------------------------------------------------------------ */

/* What stands on the disk: one of the two, or neither. */
typedef struct stored {
    const il_checkpoint *ckpt;
    const il_gguf_weights *gguf;
} stored;

static uint64_t stored_params(stored from)
{
    return from.gguf ? il_gguf_weights_params(from.gguf) : il_checkpoint_params(from.ckpt);
}

static uint64_t stored_bytes(stored from)
{
    return from.gguf ? il_gguf_weights_bytes(from.gguf) : il_checkpoint_bytes(from.ckpt);
}

static uint64_t gguf_step_bytes(const il_shape *s, const il_gguf_weights *file)
{
    return il_gguf_step_bytes(s, il_gguf_weights_step(file), IL_DTYPE_F32, 1, 0);
}

static int print_json(const il_shape *s, const il_param_counts *c, stored from,
                      const il_table *tensors, il_error *err)
{
    json_t *bytes = json_object(), *kv = json_object();
    for (int d = 0; d < IL_DTYPE_COUNT; d++) {
        il_dtype t = (il_dtype)d;
        (void)json_object_set_new(bytes, il_dtype_name(t),
                                  json_integer((json_int_t)il_shape_bytes_per_step(s, t, t, 1, 0)));
        (void)json_object_set_new(kv, il_dtype_name(t),
                                  json_integer((json_int_t)il_shape_kv_bytes_per_token(s, t)));
    }
    json_t *root =
        json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:o}", "name", s->name, "family",
                  il_arch_name(s->arch), "config", il_shape_hf_config(s), "params_total",
                  (json_int_t)c->total, "params_non_embedding", (json_int_t)c->non_embedding,
                  "params_active", (json_int_t)c->active, "params_read_per_step",
                  (json_int_t)c->read_per_step, "bytes_per_step", bytes, "kv_bytes_per_token", kv);
    int failed = root == NULL;
    if (from.gguf) {
        failed |=
            json_object_set_new(root, "gguf_type", json_string(il_gguf_weights_type(from.gguf)));
        failed |= json_object_set_new(bytes, il_gguf_weights_type(from.gguf),
                                      json_integer((json_int_t)gguf_step_bytes(s, from.gguf)));
    }
    if (from.ckpt || from.gguf) {
        failed |= json_object_set_new(root, "params_measured",
                                      json_integer((json_int_t)stored_params(from)));
        failed |=
            json_object_set_new(root, "stored_bytes", json_integer((json_int_t)stored_bytes(from)));
        failed |= json_object_set_new(root, "tensors", il_table_json(tensors));
    }
    char *text = failed ? NULL : il_json_dump_pretty(root);
    if (text) {
        (void)printf("%s\n", text);
    }
    int rc = text ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the answer");
    free(text);
    json_decref(root);
    return rc;
}

static void add_stored(il_table *t, const il_shape *s, stored from)
{
    char what[96];
    number(t, "parameters, measured", (double)stored_params(from), 1e-6, 3, "M");
    if (from.gguf) {
        word(t, "GGUF type", il_gguf_weights_type(from.gguf));
        (void)snprintf(what, sizeof what, "read per step at 0 context, %s",
                       il_gguf_weights_type(from.gguf));
        number(t, what, (double)gguf_step_bytes(s, from.gguf), 1e-6, 3, "MB");
    }
    number(t, "stored", (double)stored_bytes(from), 1e-6, 3, "MB");
}

static int show(const il_shape *s, stored from, bool as_json, il_error *err)
{
    bool is_stored = from.ckpt || from.gguf;
    il_param_counts counts;
    il_table facts, tensors;
    il_table_init(&facts, fact_columns, 3);
    il_table_init(&tensors, tensor_columns, 5);
    int rc = il_shape_count(s, &counts, err);
    if (rc == IL_OK && from.gguf) {
        add_gguf_tensors(&tensors, from.gguf);
    } else if (rc == IL_OK && from.ckpt) {
        add_tensors(&tensors, from.ckpt);
    }
    if (rc == IL_OK && as_json) {
        rc = print_json(s, &counts, from, &tensors, err);
    } else if (rc == IL_OK) {
        add_sizes(&facts, s);
        add_costs(&facts, s, &counts);
        if (is_stored) {
            add_stored(&facts, s, from);
        }
        rc = il_table_print(&facts, false, stdout, err);
        if (rc == IL_OK && is_stored) {
            (void)putchar('\n');
            rc = il_table_print(&tensors, false, stdout, err);
        }
    }
    il_table_free(&facts);
    il_table_free(&tensors);
    return rc;
}

static int show_config(const char *path, bool as_json, il_error *err)
{
    json_t *config = NULL;
    il_shape shape;
    int rc = il_json_load(path, MOST_CONFIG_BYTES, &config, err);
    if (rc == IL_OK) {
        rc = il_shape_from_hf_config(config, path, &shape, err);
    }
    if (rc == IL_OK) {
        rc = show(&shape, (stored){0}, as_json, err);
    }
    json_decref(config);
    return rc;
}

static int show_suite_model(const char *selector, bool as_json, il_error *err)
{
    il_arena arena = {0};
    il_suite suite;
    int rc = il_suite_select(selector, &arena, &suite, err);
    if (rc == IL_OK && suite.n_shapes > 1) {
        rc = il_fail(err, IL_E_USAGE, "\"%.80s\" names %zu models", selector, suite.n_shapes);
        il_error_hint(err, "name one, as --suite %s/%s", suite.name, suite.shapes[0].name);
    }
    if (rc == IL_OK) {
        rc = show(&suite.shapes[0], (stored){0}, as_json, err);
    }
    il_arena_free(&arena);
    return rc;
}

static int run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    il_error err = {0};
    const char *config = il_param_text(flags, IL_P_HF_CONFIG);
    const char *text = il_param_text(flags, IL_P_SHAPE);
    const char *suite = il_param_text(flags, IL_P_SUITE);
    bool as_json = il_param_flag(flags, IL_P_JSON);
    int rc;
    if ((n_words == 1) + (config != NULL) + (text != NULL) + (suite != NULL) != 1) {
        rc = il_fail(
            &err, IL_E_USAGE,
            "model inspect needs one of DIR, FILE.gguf, --suite S/NAME, --hf-config, --shape");
        il_error_hint(&err, "inferlaw model inspect --help");
    } else if (n_words == 1 && il_path_is_gguf(words[0])) {
        il_gguf_weights *file = NULL;
        rc = il_gguf_weights_open(words[0], &file, &err);
        if (rc == IL_OK) {
            rc = show(il_gguf_weights_shape(file), (stored){.gguf = file}, as_json, &err);
        }
        il_gguf_weights_close(file);
    } else if (n_words == 1) {
        il_checkpoint *ckpt = NULL;
        rc = il_checkpoint_open(words[0], &ckpt, &err);
        if (rc == IL_OK) {
            rc = show(il_checkpoint_shape(ckpt), (stored){.ckpt = ckpt}, as_json, &err);
        }
        il_checkpoint_close(ckpt);
    } else if (config) {
        rc = show_config(config, as_json, &err);
    } else if (suite) {
        rc = show_suite_model(suite, as_json, &err);
    } else {
        il_shape shape;
        rc = il_shape_from_flags(text, &shape, &err);
        if (rc == IL_OK) {
            rc = show(&shape, (stored){0}, as_json, &err);
        }
    }
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    return il_exit_from_code(rc);
}

const il_verb il_verb_model_inspect = {
    .name = "model inspect",
    .arguments = "[DIR|FILE.gguf]",
    .summary = "a model's shape, parameters counted four ways, bytes of a step, memory",
    .details = "DIR or FILE is checked whole: sizes, offsets and dims of every tensor.\n\n"
               "  inferlaw model inspect models/gpt2-25m\n"
               "  inferlaw model inspect --suite qwen3/qwen3-30b-a3b\n"
               "  inferlaw model inspect --shape family=llama,n_layer=4,d_model=256,n_head=4 "
               "--json",
    .scope = IL_SCOPE_MODEL_INSPECT,
    .most_words = 1,
    .run = run,
};
