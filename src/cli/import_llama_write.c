/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Writing: tests become the rows of a foreign run, one a sample.
 */
#include "cli/import_llama.h"

#include "base/buf.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings that tell one backend entry from another, where they vary over the tests. */
static const char *const settings[] = {
    "n_threads",     "n_gpu_layers",  "n_batch",    "n_ubatch",   "type_k",
    "type_v",        "f16_kv",        "flash_attn", "split_mode", "main_gpu",
    "no_kv_offload", "no_op_offload", "no_host",    "mul_mat_q",  "tensor_split",
    "use_mmap",      "use_direct_io", "load_mode",  "repack",     "embeddings",
    "cpu_mask",      "cpu_strict",    "poll",       "n_cpu_moe",  "moe_cache",
    "devices",       "build_commit",  "cpu_info",   "gpu_info",   "tensor_buft_overrides"};
enum { N_SETTINGS = sizeof settings / sizeof settings[0] };

/* Names of a run stay short enough to read. */
enum { MOST_VALUE = 48 };

/* A setting as text, the same in JSON and in CSV, where numbers and truth values are texts. */
static void value_text(const json_t *value, char out[MOST_VALUE + 1])
{
    if (json_is_string(value)) {
        (void)snprintf(out, MOST_VALUE + 1, "%s", json_string_value(value));
    } else if (json_is_boolean(value)) {
        (void)snprintf(out, MOST_VALUE + 1, "%d", json_is_true(value));
    } else if (json_is_number(value)) {
        (void)snprintf(out, MOST_VALUE + 1, "%.10g", json_number_value(value));
    } else {
        (void)snprintf(out, MOST_VALUE + 1, "none");
    }
}

/* A setting that only one of two files tells is not one that varies. */
static bool differ(const json_t *a, const json_t *b)
{
    char text_a[MOST_VALUE + 1], text_b[MOST_VALUE + 1];
    value_text(a, text_a);
    value_text(b, text_b);
    return a && b && strcmp(text_a, text_b) != 0;
}

static int name_backend(il_llama_tests *all, il_llama_test *t, const bool *varies, bool dtypes,
                        il_error *err)
{
    il_buf name;
    il_buf_init(&name, 1 << 16);
    (void)il_buf_printf(&name, "llama.cpp_%s", t->device);
    if (dtypes) {
        (void)il_buf_printf(&name, "_%s", t->dtype[0] ? t->dtype : "unknown");
    }
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (varies[i]) {
            char value[MOST_VALUE + 1];
            value_text(json_object_get(t->record, settings[i]), value);
            (void)il_buf_printf(&name, " %s=%s", settings[i], value);
        }
    }
    t->backend = il_arena_strdup(&all->arena, il_buf_text(&name));
    il_buf_free(&name);
    return t->backend ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a name");
}

static bool same_test(const il_llama_test *a, const il_llama_test *b)
{
    return a->n_prompt == b->n_prompt && a->n_gen == b->n_gen && a->n_depth == b->n_depth &&
           strcmp(a->backend, b->backend) == 0 && strcmp(a->model, b->model) == 0;
}

/* Two different checkpoints of one name would count as one model. */
static int check_models(const il_llama_tests *all, il_error *err)
{
    for (size_t i = 1; i < all->n; i++) {
        for (size_t k = 0; k < i; k++) {
            const il_llama_test *a = &all->items[k], *b = &all->items[i];
            if (strcmp(a->model, b->model) == 0 && a->params != b->params) {
                int rc = il_fail(err, IL_E_INVALID,
                                 "%s has %.0f parameters here and %.0f in %s: two models of one "
                                 "name",
                                 b->model, b->params, a->params, a->where);
                il_error_where(err, "%s", b->where);
                il_error_hint(err, "give the model files different names");
                return rc;
            }
        }
    }
    return IL_OK;
}

int il_llama_name(il_llama_tests *all, il_error *err)
{
    bool varies[N_SETTINGS] = {false};
    bool dtypes = false;
    for (size_t i = 1; i < all->n; i++) {
        const il_llama_test *a = &all->items[0], *b = &all->items[i];
        dtypes |= strcmp(a->dtype, b->dtype) != 0;
        for (size_t s = 0; s < N_SETTINGS; s++) {
            varies[s] |= differ(json_object_get(a->record, settings[s]),
                                json_object_get(b->record, settings[s]));
        }
    }
    int rc = check_models(all, err);
    for (size_t i = 0; rc == IL_OK && i < all->n; i++) {
        il_llama_test *t = &all->items[i];
        rc = name_backend(all, t, varies, dtypes, err);
        for (size_t k = 0; rc == IL_OK && k < i; k++) {
            t->occurrence += same_test(&all->items[k], t);
        }
        all->repeated |= t->occurrence > 0;
    }
    return rc;
}

/* --- rows ----------------------------------------------------------------------------------------
 */

static const char *const columns[] = {"scenario",
                                      "backend",
                                      "backend_kind",
                                      "model",
                                      "model_kind",
                                      "params_millions",
                                      "params_millions_measured",
                                      "gen_tokens_target",
                                      "is_warmup",
                                      "rep",
                                      "mode",
                                      "status",
                                      "batch_size",
                                      "prompt_tokens",
                                      "gen_tokens_raw",
                                      "prefill_ms",
                                      "kv_decode_ms",
                                      "latency_ms",
                                      "tokens_total",
                                      "tokens_per_s",
                                      "gen_tokens",
                                      "block",
                                      "dtype",
                                      "threads",
                                      "replication",
                                      "decode_steps",
                                      "params_total",
                                      "bytes_read"};

static void scenario_of(const il_llama_test *t, char *out, size_t bytes)
{
    char depth[32] = "";
    if (t->n_depth > 0) {
        (void)snprintf(depth, sizeof depth, "@d%lld", (long long)t->n_depth);
    }
    if (t->n_gen == 0) {
        (void)snprintf(out, bytes, "pp%lld%s", (long long)t->n_prompt, depth);
    } else if (t->n_prompt == 0) {
        (void)snprintf(out, bytes, "tg%lld%s", (long long)t->n_gen, depth);
    } else {
        (void)snprintf(out, bytes, "pp%lld+tg%lld%s", (long long)t->n_prompt, (long long)t->n_gen,
                       depth);
    }
}

static void put_count(il_csv_writer *out, bool there, int64_t value)
{
    if (there) {
        il_csv_i64(out, value);
    } else {
        il_csv_empty(out);
    }
}

static void write_sample(const il_llama_tests *all, const il_llama_test *t, size_t i,
                         il_csv_writer *out)
{
    char scenario[96];
    bool prefill = t->n_gen == 0, decode = t->n_prompt == 0;
    double ms = t->samples_ms[i];
    scenario_of(t, scenario, sizeof scenario);
    il_csv_text(out, scenario);
    il_csv_text(out, t->backend);
    il_csv_text(out, "llama.cpp");
    il_csv_text(out, t->model);
    il_csv_text(out, "gguf");
    il_csv_empty(out);
    il_csv_f64(out, t->params / 1e6);
    put_count(out, !prefill, t->n_gen);
    il_csv_bool(out, false);
    il_csv_i64(out, (int64_t)i);
    il_csv_text(out, prefill ? "prefill" : decode ? "kv_decode" : "e2e_kv");
    il_csv_text(out, "ok");
    il_csv_i64(out, 1);
    put_count(out, !decode, t->n_prompt);
    put_count(out, !prefill, t->n_gen);
    il_csv_f64(out, prefill ? ms : (double)NAN);
    il_csv_f64(out, decode ? ms : (double)NAN);
    il_csv_f64(out, ms);
    il_csv_i64(out, t->n_prompt + t->n_gen);
    il_csv_f64(out, (double)(t->n_prompt + t->n_gen) / ms * 1e3);
    put_count(out, !prefill, t->n_gen);
    put_count(out, all->repeated, (int64_t)t->occurrence);
    il_csv_text(out, t->dtype);
    il_csv_f64(out, t->threads);
    il_csv_text(out, all->repeated ? "process" : "");
    put_count(out, !prefill, t->n_gen);
    il_csv_f64(out, t->params);
    il_csv_f64(out, t->size_bytes);
    il_csv_end_row(out);
}

static int write_manifest(const il_llama_tests *all, char *const *files, size_t n_files,
                          const char *dir, il_error *err)
{
    char path[4096];
    json_t *names = json_array();
    for (size_t i = 0; i < n_files; i++) {
        (void)json_array_append_new(names, json_string(il_path_base(files[i])));
    }
    json_t *first = all->items[0].record;
    json_t *root = json_pack(
        "{s:s, s:s, s:{s:s, s:o, s:I, s:b, s:O?, s:O?, s:O?, s:O?}}", "run_id", "imported",
        "run_name", "llama-bench", "imported", "from", "llama-bench", "files", names, "tests",
        (json_int_t)all->n, "averages_only", all->averages, "build_commit",
        json_object_get(first, "build_commit"), "build_number",
        json_object_get(first, "build_number"), "cpu_info", json_object_get(first, "cpu_info"),
        "gpu_info", json_object_get(first, "gpu_info"));
    char *text = root ? il_json_dump_pretty(root) : NULL;
    int rc = text ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the manifest");
    if (rc == IL_OK && il_path_join(path, sizeof path, dir, "manifest.json") != IL_OK) {
        rc = il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    rc = rc ? rc : il_file_write_atomic(path, text, strlen(text), err);
    free(text);
    json_decref(root);
    return rc;
}

int il_llama_write(const il_llama_tests *all, char *const *files, size_t n_files, const char *dir,
                   il_error *err)
{
    char path[4096];
    il_csv_writer out = {.fd = -1};
    if (il_path_join(path, sizeof path, dir, "metrics.csv") != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    int rc = il_dir_make(dir, err);
    rc = rc ? rc : il_csv_create(path, &out, err);
    if (rc == IL_OK) {
        il_csv_row(&out, columns, sizeof columns / sizeof columns[0]);
        for (size_t i = 0; i < all->n; i++) {
            for (size_t k = 0; k < all->items[i].n_samples; k++) {
                write_sample(all, &all->items[i], k, &out);
            }
        }
        rc = il_csv_close(&out, err);
    }
    il_csv_abandon(&out);
    return rc ? rc : write_manifest(all, files, n_files, dir, err);
}
