/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Our own engine in a process of its own (workers/native).
 */
#include "backend/process.h"

#include "base/checked.h"
#include "base/json.h"
#include "model/gguf_weights.h"
#include "model/native_families.h"
#include "os/machine.h"

#include <string.h>

static int native_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    int rc = il__process_open(&il__backend_native, "inferlaw-worker-native", entry, out, err);
    if (rc == IL_OK) {
        ((il__process_backend *)*out)->takes_file = true;
    }
    return rc;
}

/* The model's shape; of a GGUF file the bytes of its weights too, else 0. */
static int read_model(const il_backend_model *model, il_shape *shape, uint64_t *file_bytes,
                      il_error *err)
{
    const char *path = model->file ? model->file : model->path;
    il_gguf_weights *file = NULL;
    *file_bytes = 0;
    if (!path || !il_path_is_gguf(path)) {
        int rc = il__check_model_dir(model, err);
        return rc ? rc : il_shape_from_dir(path, shape, err);
    }
    int rc = il_gguf_weights_open(path, &file, err);
    if (rc == IL_OK) {
        *shape = *il_gguf_weights_shape(file);
        *file_bytes = il_gguf_weights_bytes(file);
    }
    il_gguf_weights_close(file);
    return rc;
}

/* "expand": the blocks of a GGUF file become the entry's dtype. */
static int read_expand(const il_param_set *entry, bool *expand, il_error *err)
{
    const char *text = entry->values[IL_P_OPTIONS].text;
    json_t *options = NULL;
    *expand = false;
    if (!text) {
        return IL_OK;
    }
    int rc = il_json_parse(text, strlen(text), "options of the backend entry", &options, err);
    const json_t *value = json_object_get(options, "expand");
    if (rc == IL_OK && json_object_size(options) != (value ? 1u : 0u)) {
        rc = il_fail(err, IL_E_UNSUPPORTED,
                     "the native engine has no options but expand, the entry has %.100s", text);
        il_error_hint(err, "leave the others out of `options`");
    } else if (rc == IL_OK && value && !json_is_boolean(value)) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "options: expand must be true or false");
    }
    *expand = json_is_true(value);
    json_decref(options);
    return rc;
}

/* Memory that a call of the largest cell needs: weights, cache, activations of prefill, logits.
 * false on overflow, which no machine satisfies either. */
static bool bytes_needed(const il_shape *shape, uint64_t weight_bytes, il_dtype dtype,
                         bool all_logits, const il_backend_model *model, uint64_t *out)
{
    uint64_t rows = 0, context = 0, kv = 0, wide = 0, activations = 0, head = 0, sum = 0;
    uint64_t n_head_rows = model->max_batch;
    bool fits = il_mul_u64(model->max_batch, model->max_prompt_tok, &rows);
    context = (uint64_t)model->max_prompt_tok + model->max_gen_tok;
    fits = fits && il_mul_u64(context, model->max_batch, &kv) &&
           il_mul_u64(kv, il_shape_kv_bytes_per_token(shape, dtype), &kv);
    wide = 4 * (uint64_t)shape->d_model + 2 * (uint64_t)shape->d_ff +
           ((uint64_t)shape->n_head + 2 * (uint64_t)shape->n_kv_head) * shape->d_head;
    fits = fits && il_mul_u64(rows, wide, &activations) && il_mul_u64(activations, 4, &activations);
    n_head_rows = all_logits ? rows : n_head_rows;
    fits = fits && il_mul_u64(n_head_rows, shape->vocab_size, &head) && il_mul_u64(head, 4, &head);
    fits = fits && il_add_u64(weight_bytes, kv, &sum) && il_add_u64(sum, activations, &sum) &&
           il_add_u64(sum, head, &sum);
    *out = sum;
    return fits;
}

/* What was free when it was first asked for, within the limit of the control group. */
static int ask_capacity(il__process_backend *p, il_error *err)
{
    if (p->capacity_bytes > 0) {
        return IL_OK;
    }
    il_machine machine;
    int rc = il_machine_probe(&machine, err);
    if (rc != IL_OK) {
        return rc;
    }
    p->capacity_bytes = machine.available_bytes;
    if (machine.memory_limit_bytes > 0 && machine.memory_limit_bytes < p->capacity_bytes) {
        p->capacity_bytes = machine.memory_limit_bytes;
    }
    if (p->capacity_bytes == 0) {
        p->capacity_bytes = UINT64_MAX; /* unknown: let the load find out */
    }
    return IL_OK;
}

/* weight_bytes 0: every parameter in dtype. */
static int check_memory(il__process_backend *p, const il_shape *shape, uint64_t weight_bytes,
                        il_dtype dtype, const il_backend_model *model, il_error *err)
{
    il_param_counts counts;
    uint64_t needed = 0;
    int rc = il_shape_count(shape, &counts, err);
    if (rc == IL_OK) {
        rc = ask_capacity(p, err);
    }
    if (rc == IL_OK && weight_bytes == 0) {
        weight_bytes = counts.total * il_dtype_bytes(dtype); /* counts leave that room */
    }
    if (rc != IL_OK) {
        return rc;
    }
    bool all_logits = strcmp(il_param_text(p->entry, IL_P_LOGITS), "all") == 0;
    if (bytes_needed(shape, weight_bytes, dtype, all_logits, model, &needed) &&
        needed <= p->capacity_bytes) {
        return IL_OK;
    }
    rc = il_fail(err, IL_E_NOMEM, "model %s needs about %.1f GiB in %s, %.1f GiB are free",
                 model->name, (double)needed / 0x1p30, il_dtype_name(dtype),
                 (double)p->capacity_bytes / 0x1p30);
    il_error_hint(err, "dtype bf16, a smaller batch or a shorter context needs less");
    return rc;
}

static int check_entry(const il_param_set *entry, il_dtype *dtype, il_error *err)
{
    int rc = il_dtype_parse(il_param_text(entry, IL_P_DTYPE), dtype);
    if (rc != IL_OK) {
        return il_fail(err, rc, "unknown dtype");
    }
    if (strcmp(il_param_text(entry, IL_P_DEVICE), "cpu") != 0) {
        rc = il_fail(err, IL_E_UNSUPPORTED,
                     "the native engine of this version computes on the CPU "
                     "alone, not on %s",
                     il_param_text(entry, IL_P_DEVICE));
        il_error_hint(err,
                      "write device: cpu on this backend entry, or leave it out with --backends");
        return rc;
    }
    if (*dtype != IL_DTYPE_F32 && *dtype != IL_DTYPE_BF16) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "the native engine does not compute in %s",
                     il_dtype_name(*dtype));
        il_error_hint(err, "dtype: fp32 or bf16");
        return rc;
    }
    return IL_OK;
}

static int native_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    il__process_backend *p = (il__process_backend *)b;
    il_dtype dtype;
    il_shape shape;
    uint64_t file_bytes = 0;
    bool expand = false;
    if (il__process_has_command(p)) {
        /* a worker of the user's own knows its limits, and says so at load */
        return il__check_model_dir(model, err);
    }
    int rc = check_entry(p->entry, &dtype, err);
    rc = rc ? rc : read_expand(p->entry, &expand, err);
    rc = rc ? rc : read_model(model, &shape, &file_bytes, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (!il_native_family(shape.arch)) {
        char families[IL_NATIVE_FAMILIES_BYTES];
        il_native_families_text(families);
        rc = il_fail(err, IL_E_UNSUPPORTED, "the native engine does not run models of type %s",
                     il_arch_hf_name(shape.arch));
        il_error_hint(err, "it runs %s; the nearest is %s", families,
                      il_native_family_nearest(shape.arch));
        return rc;
    }
    uint64_t context = (uint64_t)model->max_prompt_tok + model->max_gen_tok;
    if (context > shape.n_positions) {
        rc = il_fail(err, IL_E_UNSUPPORTED,
                     "prompt and generation take %llu positions, model %s has %u",
                     (unsigned long long)context, model->name, shape.n_positions);
        il_error_hint(err, "a shorter prompt or fewer gen_tokens");
        return rc;
    }
    return check_memory(p, &shape, expand ? 0 : file_bytes, dtype, model, err);
}

const il_backend_ops il__backend_native = {
    IL__PROCESS_OPS,
    .kind = "native",
    .caps = IL__PROCESS_CAPS | IL_CAP_REFERENCE,
    .open = native_open,
    .supports = native_supports,
};
