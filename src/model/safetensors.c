/* SPDX-License-Identifier: Apache-2.0 */
#include "model/safetensors.h"

#include "base/checked.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    il_dtype dtype;
    uint32_t n_bytes;
} formats[] = {
    {"F32", IL_DTYPE_F32, 4},    {"BF16", IL_DTYPE_BF16, 2},     {"F16", IL_DTYPE_F16, 2},
    {"BOOL", IL_DTYPE_COUNT, 1}, {"U8", IL_DTYPE_COUNT, 1},      {"I8", IL_DTYPE_COUNT, 1},
    {"I16", IL_DTYPE_COUNT, 2},  {"U16", IL_DTYPE_COUNT, 2},     {"I32", IL_DTYPE_COUNT, 4},
    {"U32", IL_DTYPE_COUNT, 4},  {"I64", IL_DTYPE_COUNT, 8},     {"U64", IL_DTYPE_COUNT, 8},
    {"F64", IL_DTYPE_COUNT, 8},  {"F8_E4M3", IL_DTYPE_COUNT, 1}, {"F8_E5M2", IL_DTYPE_COUNT, 1},
};

static const char again[] = "the file is damaged or incomplete; download or make it again";

static int damaged(il_error *err, const char *fmt, ...) IL_PRINTF(2, 3);
static int damaged(il_error *err, const char *fmt, ...)
{
    char text[320];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    int rc = il_fail(err, IL_E_DAMAGED, "%s", text);
    il_error_hint(err, "%s", again);
    return rc;
}

static int read_at(int fd, void *bytes, size_t n_bytes, off_t at, il_error *err)
{
    char *p = bytes;
    while (n_bytes > 0) {
        ssize_t n = pread(fd, p, n_bytes, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return il_fail_errno(err, errno, "cannot read the file");
        }
        if (n == 0) {
            return damaged(err, "the file ends inside its header");
        }
        p += n;
        at += n;
        n_bytes -= (size_t)n;
    }
    return IL_OK;
}

/* --- header -------------------------------------------------------------------------------------
 */

static int read_header(int fd, il__st_file *file, json_t **header, il_error *err)
{
    uint8_t prefix[8];
    char *text = NULL;
    if (file->file_bytes < 8) {
        return damaged(err, "the file has %" PRIu64 " bytes, too few for a safetensors file",
                       file->file_bytes);
    }
    int rc = read_at(fd, prefix, sizeof prefix, 0, err);
    if (rc != IL_OK) {
        return rc;
    }
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) {
        n = n << 8 | prefix[i];
    }
    if (n > IL__ST_MOST_HEADER_BYTES) {
        return damaged(err, "the header claims %" PRIu64 " bytes, more than the %d allowed", n,
                       IL__ST_MOST_HEADER_BYTES);
    }
    if (n > file->file_bytes - 8) {
        return damaged(err, "the header claims %" PRIu64 " bytes, the file has only %" PRIu64, n,
                       file->file_bytes);
    }
    text = malloc(n + 1);
    if (!text) {
        return il_fail(err, IL_E_NOMEM, "no memory for a header of %" PRIu64 " bytes", n);
    }
    rc = read_at(fd, text, n, 8, err);
    if (rc == IL_OK) {
        rc = il_json_parse(text, n, "header", header, err);
        if (rc != IL_OK && err) {
            char detail[384];
            (void)snprintf(detail, sizeof detail, "%s", err->what);
            rc = damaged(err, "the header is %.280s", detail);
        }
    }
    if (rc == IL_OK && !json_is_object(*header)) {
        rc = damaged(err, "the header is not a JSON object");
    }
    file->data_at = 8 + n;
    free(text);
    return rc;
}

/* A count or an offset: an integer of 0 or more. */
static bool whole(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static int read_dims(const json_t *dims, il__st_entry *entry, il_error *err)
{
    if (!json_is_array(dims)) {
        return damaged(err, "tensor \"%.120s\" has no list \"shape\"", entry->name);
    }
    if (json_array_size(dims) > IL__ST_MOST_DIMS) {
        return damaged(err, "tensor \"%.120s\" has %zu dimensions, more than the %d allowed",
                       entry->name, json_array_size(dims), IL__ST_MOST_DIMS);
    }
    entry->n_dims = (uint32_t)json_array_size(dims);
    for (uint32_t i = 0; i < entry->n_dims; i++) {
        if (!whole(json_array_get(dims, i), &entry->dims[i])) {
            return damaged(err, "tensor \"%.120s\": dimension %u is not a whole number",
                           entry->name, i);
        }
    }
    return IL_OK;
}

static int read_entry(const char *name, const json_t *value, const il__st_file *file,
                      il__st_entry *entry, il_error *err)
{
    const char *text = json_string_value(json_object_get(value, "dtype"));
    size_t f = 0, n_formats = sizeof formats / sizeof *formats;
    while (text && f < n_formats && strcmp(text, formats[f].name) != 0) {
        f++;
    }
    if (!text || f == n_formats) {
        int rc = il_fail(err, IL_E_UNSUPPORTED, "tensor \"%.120s\" has the unknown dtype \"%.20s\"",
                         name, text ? text : "");
        il_error_hint(err, "convert the checkpoint to float32, bfloat16 or float16");
        return rc;
    }
    entry->name = name;
    entry->dtype_text = formats[f].name;
    entry->dtype = formats[f].dtype;
    int rc = read_dims(json_object_get(value, "shape"), entry, err);
    if (rc != IL_OK) {
        return rc;
    }
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (json_array_size(offsets) != 2 || !whole(json_array_get(offsets, 0), &entry->begin) ||
        !whole(json_array_get(offsets, 1), &entry->end) || entry->end < entry->begin) {
        return damaged(err, "tensor \"%.120s\" has no valid \"data_offsets\"", name);
    }
    uint64_t n_bytes = formats[f].n_bytes;
    for (uint32_t i = 0; i < entry->n_dims; i++) {
        if (!il_mul_u64(n_bytes, entry->dims[i], &n_bytes)) {
            return damaged(err, "tensor \"%.120s\": the product of its dimensions overflows", name);
        }
    }
    if (entry->end - entry->begin != n_bytes) {
        return damaged(err,
                       "tensor \"%.120s\" needs %" PRIu64 " bytes by its shape, its offsets span "
                       "%" PRIu64,
                       name, n_bytes, entry->end - entry->begin);
    }
    if (entry->end > file->file_bytes - file->data_at) {
        return damaged(err,
                       "tensor \"%.120s\" ends at byte %" PRIu64 " of the data, the file has only "
                       "%" PRIu64 " (truncated?)",
                       name, entry->end, file->file_bytes - file->data_at);
    }
    return IL_OK;
}

static int by_begin(const void *a, const void *b)
{
    const il__st_entry *x = a, *y = b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return x->end < y->end ? -1 : x->end > y->end;
}

static int check_cover(const il__st_file *file, il_error *err)
{
    uint64_t at = 0;
    for (size_t i = 0; i < file->n_entries; i++) {
        const il__st_entry *e = &file->entries[i];
        if (e->begin < at) {
            return damaged(err, "tensor \"%.120s\" overlaps \"%.120s\"", e->name,
                           file->entries[i - 1].name);
        }
        if (e->begin > at) {
            return damaged(err, "%" PRIu64 " bytes before tensor \"%.120s\" belong to no tensor",
                           e->begin - at, e->name);
        }
        at = e->end;
    }
    if (at != file->file_bytes - file->data_at) {
        return damaged(err, "%" PRIu64 " bytes at the end belong to no tensor",
                       file->file_bytes - file->data_at - at);
    }
    return IL_OK;
}

static int read_entries(json_t *header, il_arena *arena, il__st_file *file, il_error *err)
{
    file->entries = il_arena_array(arena, json_object_size(header) + 1, sizeof *file->entries);
    if (!file->entries) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu tensors", json_object_size(header));
    }
    const char *key;
    json_t *value;
    json_object_foreach(header, key, value)
    {
        if (strcmp(key, "__metadata__") == 0) {
            continue;
        }
        const char *name = il_arena_strdup(arena, key);
        if (!name) {
            return il_fail(err, IL_E_NOMEM, "no memory for tensor names");
        }
        int rc = read_entry(name, value, file, &file->entries[file->n_entries], err);
        if (rc != IL_OK) {
            return rc;
        }
        file->n_entries++;
    }
    qsort(file->entries, file->n_entries, sizeof *file->entries, by_begin);
    return check_cover(file, err);
}

/* --- file ---------------------------------------------------------------------------------------
 */

int il__st_open(const char *path, il_arena *arena, il__st_file *out, il_error *err)
{
    int rc = IL_OK, fd = -1;
    json_t *header = NULL;
    il__st_file file = {.path = il_arena_strdup(arena, path)};
    struct stat st;
    if (!file.path) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for a path");
        goto out;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        rc = il_fail_errno(err, errno, "cannot open the weights");
        goto out;
    }
    if (fstat(fd, &st) != 0) {
        rc = il_fail_errno(err, errno, "cannot stat the weights");
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = il_fail(err, IL_E_INVALID, "not a regular file");
        goto out;
    }
    file.file_bytes = (uint64_t)st.st_size;
    rc = read_header(fd, &file, &header, err);
    if (rc == IL_OK) {
        rc = read_entries(header, arena, &file, err);
    }
    if (rc != IL_OK) {
        goto out;
    }
    void *map = mmap(NULL, file.file_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        rc = il_fail_errno(err, errno, "cannot map the weights");
        goto out;
    }
    file.map = map;
    *out = file;
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    json_decref(header);
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
    }
    return rc;
}

void il__st_close(il__st_file *file)
{
    if (file->map) {
        (void)munmap((void *)(uintptr_t)file->map, file->file_bytes);
        file->map = NULL;
    }
}
