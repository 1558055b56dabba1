/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The reference of the parity gate: the native fp32 engine in a process of its own, asked once per
 * model and sequence of ids. Its rows are kept in a scratch directory, so that the next backend
 * that answers with the same tokens costs no second pass.
 */
#include "study/driver_parts.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS_MOST_BYTES = 1 << 30 };

static const il_backend_ops *reference_ops(const il__driver *d)
{
    return d->options->reference ? d->options->reference : il_backend_find("native");
}

/* The entry of a study that would run it. */
static int reference_entry(il_param_set *set, il_arena *arena, const char *isa, il_error *err)
{
    int rc = il_param_set_init(set, IL_SCOPE_BACKEND, arena, err);
    rc = rc ? rc : il_param_set_text(set, IL_P_NAME, "parity reference", IL_ORIGIN_FILE, err);
    rc = rc ? rc : il_param_set_text(set, IL_P_KIND, "native", IL_ORIGIN_FILE, err);
    /* the very blocks of a quantised file, but multiplied in fp32 */
    set->values[IL_P_OPTIONS].text = "{\"expand\":true}";
    return rc ? rc : il_param_set_text(set, IL_P_ISA, isa, IL_ORIGIN_FILE, err);
}

int il__reference_supports(il__driver *d, const il_backend_model *model, il_error *err)
{
    const il_backend_ops *ops = reference_ops(d);
    il_arena arena = {0};
    il_param_set set;
    il_backend *b = NULL;
    int rc = reference_entry(&set, &arena, "auto", err);
    rc = rc ? rc : ops->open(&set, &b, err);
    rc = rc ? rc : ops->supports(b, model, err);
    if (b) {
        ops->close(b);
    }
    il_arena_free(&arena);
    return rc;
}

/* One process: load, one pass, leave. */
static int run_reference(il__driver *d, const il_backend_model *model, const char *isa,
                         const int32_t *ids, uint32_t n_ids, const char *path, il_error *err)
{
    const il_backend_ops *ops = reference_ops(d);
    il_arena arena = {0};
    il_param_set set;
    il_backend *b = NULL;
    il_load_result load = {0};
    int rc = reference_entry(&set, &arena, isa, err);
    rc = rc ? rc : ops->open(&set, &b, err);
    rc = rc ? rc : ops->supports(b, model, err);
    if (rc == IL_OK) {
        rc = ops->load(b, model, &load, err);
        json_decref(load.stages);
        json_decref(load.facts);
        if (rc == IL_OK) {
            il__driver_note_pid(d, ops->pid(b));
            rc = ops->logits(b, ids, n_ids, path, err);
        }
        (void)ops->unload(b, NULL);
        il__driver_note_pid(d, d->loaded == IL__NO_GROUP ? 0 : il__driver_loaded_pid(d));
    }
    if (b) {
        ops->close(b);
    }
    il_arena_free(&arena);
    return rc;
}

int il__logits_read(const char *path, uint32_t n_rows, float **rows, uint32_t *columns,
                    il_error *err)
{
    il_buf buf;
    il_buf_init(&buf, ROWS_MOST_BYTES);
    *rows = NULL;
    int rc = il_file_read(path, &buf, err);
    size_t row_bytes = buf.len / n_rows;
    if (rc == IL_OK && (row_bytes < sizeof(float) || buf.len % (n_rows * sizeof(float)) != 0)) {
        rc = il_fail(err, IL_E_PROTOCOL, "%zu bytes of logits are no %u rows of float32", buf.len,
                     n_rows);
    }
    if (rc == IL_OK && !(*rows = malloc(buf.len))) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for %zu bytes of logits", buf.len);
    }
    if (rc == IL_OK) {
        memcpy(*rows, buf.data, buf.len);
        *columns = (uint32_t)(row_bytes / sizeof(float));
    }
    il_buf_free(&buf);
    return rc;
}

int il__parity_scratch(il__driver *d, const char *name, char *out, size_t out_bytes, il_error *err)
{
    int rc = IL_OK;
    if (!d->parity_dir[0]) {
        rc = il_dir_make_scratch("inferlaw-parity", d->parity_dir, sizeof d->parity_dir, err);
    }
    if (rc == IL_OK && il_path_join(out, out_bytes, d->parity_dir, name) != IL_OK) {
        rc = il_fail(err, IL_E_RANGE, "the path of the scratch directory is too long");
    }
    return rc;
}

int il__reference_rows(il__driver *d, const il_backend_model *model, const char *isa,
                       const int32_t *ids, uint32_t n_ids, float **rows, uint32_t *columns,
                       il_error *err)
{
    char name[64], path[1024];
    *rows = NULL;
    uint64_t key = il_fnv1a64(model->path, strlen(model->path));
    key = key * 0x9e3779b97f4a7c15u ^ il_fnv1a64(isa, strlen(isa));
    key = key * 0x9e3779b97f4a7c15u ^ il_fnv1a64(ids, n_ids * sizeof *ids);
    (void)snprintf(name, sizeof name, "%016llx.f32", (unsigned long long)key);
    int rc = il__parity_scratch(d, name, path, sizeof path, err);
    if (rc == IL_OK && !il_path_is_file(path)) {
        rc = run_reference(d, model, isa, ids, n_ids, path, err);
    }
    rc = rc ? rc : il__logits_read(path, n_ids, rows, columns, err);
    if (rc != IL_OK && d->parity_dir[0]) {
        (void)unlink(path);
    }
    return rc;
}
