/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Our own engine in a process of its own (workers/native).
 */
#include "backend/process.h"

#include "base/checked.h"
#include "model/native_families.h"
#include "os/machine.h"

#include <string.h>

static int native_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    return il__process_open(&il__backend_native, "inferlaw-worker-native", entry, out, err);
}

/* Memory that a call of the largest cell needs: weights, cache, activations of prefill, logits.
 * false on overflow, which no machine satisfies either. */
static bool bytes_needed(const il_shape *shape, const il_param_counts *counts, il_dtype dtype,
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
    fits = fits && il_mul_u64(counts->total, il_dtype_bytes(dtype), &sum);
    fits = fits && il_add_u64(sum, kv, &sum) && il_add_u64(sum, activations, &sum) &&
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

static int check_memory(il__process_backend *p, const il_shape *shape, il_dtype dtype,
                        const il_backend_model *model, il_error *err)
{
    il_param_counts counts;
    uint64_t needed = 0;
    int rc = il_shape_count(shape, &counts, err);
    if (rc == IL_OK) {
        rc = ask_capacity(p, err);
    }
    if (rc != IL_OK) {
        return rc;
    }
    bool all_logits = strcmp(il_param_text(p->entry, IL_P_LOGITS), "all") == 0;
    if (bytes_needed(shape, &counts, dtype, all_logits, model, &needed) &&
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
    const char *options = entry->values[IL_P_OPTIONS].text;
    if (options && strcmp(options, "{}") != 0) {
        rc = il_fail(err, IL_E_UNSUPPORTED,
                     "the native engine has no options, the entry has %.100s", options);
        il_error_hint(err, "leave `options` out of the backend entry");
        return rc;
    }
    return IL_OK;
}

static int native_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    il__process_backend *p = (il__process_backend *)b;
    int rc = il__check_model_dir(model, err);
    if (rc != IL_OK || il__process_has_command(p)) {
        return rc; /* a worker of the user's own knows its limits, and says so at load */
    }
    il_dtype dtype;
    il_shape shape;
    rc = check_entry(p->entry, &dtype, err);
    if (rc == IL_OK) {
        rc = il_shape_from_dir(model->path, &shape, err);
    }
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
    return check_memory(p, &shape, dtype, model, err);
}

const il_backend_ops il__backend_native = {
    IL__PROCESS_OPS,
    .kind = "native",
    .caps = IL__PROCESS_CAPS | IL_CAP_REFERENCE,
    .open = native_open,
    .supports = native_supports,
};
