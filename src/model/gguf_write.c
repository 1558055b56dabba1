/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_write.h"

#include "base/buf.h"
#include "base/staged_file.h"
#include "model/quant.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 32 };
static const size_t most_header_bytes = (size_t)1 << 30;

struct il_gguf_writer {
    char path[PATH_MAX];
    il_staged_file *file;       /* NULL until the header is written */
    il_buf pairs, infos, sizes; /* sizes: bytes of each tensor, u64 in memory order */
    uint64_t n_pairs, n_tensors, data_bytes;
    uint64_t tensor;      /* being written */
    uint64_t tensor_done; /* bytes of it */
};

static uint64_t aligned(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

int il_gguf_writer_open(const char *path, il_gguf_writer **out, il_error *err)
{
    *out = NULL;
    if (strlen(path) >= sizeof(*out)->path) {
        return il_fail(err, IL_E_RANGE, "path too long: %.200s", path);
    }
    il_gguf_writer *w = calloc(1, sizeof *w);
    if (!w) {
        return il_fail(err, IL_E_NOMEM, "no memory to write %.200s", path);
    }
    il_buf_init(&w->pairs, most_header_bytes);
    il_buf_init(&w->infos, most_header_bytes);
    il_buf_init(&w->sizes, most_header_bytes);
    (void)snprintf(w->path, sizeof w->path, "%s", path);
    *out = w;
    return IL_OK;
}

void il_gguf_writer_close(il_gguf_writer *w)
{
    if (w) {
        il_staged_file_close(w->file);
        il_buf_free(&w->pairs);
        il_buf_free(&w->infos);
        il_buf_free(&w->sizes);
        free(w);
    }
}

/* --- header ---------------------------------------------------------------------------------- */

static void put_le(il_buf *to, uint64_t value, unsigned n)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    (void)il_buf_append(to, bytes, n);
}

static void put_string(il_buf *to, const char *text, size_t len)
{
    put_le(to, len, 8);
    (void)il_buf_append(to, text, len);
}

static void put_key(il_gguf_writer *w, const char *key, il_gguf_type type)
{
    put_string(&w->pairs, key, strlen(key));
    put_le(&w->pairs, type, 4);
    w->n_pairs++;
}

void il_gguf_put_u32(il_gguf_writer *w, const char *key, uint32_t value)
{
    put_key(w, key, IL_GGUF_U32);
    put_le(&w->pairs, value, 4);
}

void il_gguf_put_u64(il_gguf_writer *w, const char *key, uint64_t value)
{
    put_key(w, key, IL_GGUF_U64);
    put_le(&w->pairs, value, 8);
}

void il_gguf_put_f32(il_gguf_writer *w, const char *key, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(w, key, IL_GGUF_F32);
    put_le(&w->pairs, bits, 4);
}

void il_gguf_put_bool(il_gguf_writer *w, const char *key, bool value)
{
    put_key(w, key, IL_GGUF_BOOL);
    put_le(&w->pairs, value, 1);
}

void il_gguf_put_text(il_gguf_writer *w, const char *key, const char *value)
{
    put_key(w, key, IL_GGUF_STRING);
    put_string(&w->pairs, value, strlen(value));
}

static void put_array(il_gguf_writer *w, const char *key, il_gguf_type element, uint64_t n)
{
    put_key(w, key, IL_GGUF_ARRAY);
    put_le(&w->pairs, element, 4);
    put_le(&w->pairs, n, 8);
}

void il_gguf_put_texts(il_gguf_writer *w, const char *key, uint64_t n)
{
    put_array(w, key, IL_GGUF_STRING, n);
}

void il_gguf_put_next_text(il_gguf_writer *w, const char *value, size_t len)
{
    put_string(&w->pairs, value, len);
}

void il_gguf_put_i32s(il_gguf_writer *w, const char *key, uint64_t n)
{
    put_array(w, key, IL_GGUF_I32, n);
}

void il_gguf_put_next_i32(il_gguf_writer *w, int32_t value)
{
    put_le(&w->pairs, (uint32_t)value, 4);
}

void il_gguf_add_tensor(il_gguf_writer *w, const char *name, uint32_t n_dims, const uint64_t *dims,
                        il_ggml_type type)
{
    uint64_t n = 1;
    assert(n_dims >= 1 && n_dims <= 4);
    put_string(&w->infos, name, strlen(name));
    put_le(&w->infos, n_dims, 4);
    for (uint32_t d = 0; d < n_dims; d++) {
        n *= dims[d]; /* a checked shape's */
        put_le(&w->infos, dims[d], 8);
    }
    put_le(&w->infos, type, 4);
    put_le(&w->infos, w->data_bytes, 8);
    uint64_t n_bytes = il_quant_bytes(type, n);
    assert(n_bytes > 0 && il_quant_bytes(type, dims[0]) > 0);
    (void)il_buf_append(&w->sizes, &n_bytes, sizeof n_bytes);
    w->data_bytes += aligned(n_bytes);
    w->n_tensors++;
}

static uint64_t header_bytes(const il_gguf_writer *w)
{
    return aligned(24 + w->pairs.len + w->infos.len);
}

uint64_t il_gguf_writer_bytes(const il_gguf_writer *w)
{
    return header_bytes(w) + w->data_bytes;
}

/* --- stream ---------------------------------------------------------------------------------- */

static int fail_at(const il_gguf_writer *w, int rc, il_error *err)
{
    il_error_where(err, "%s", w->path);
    return rc;
}

int il_gguf_writer_begin(il_gguf_writer *w, il_error *err)
{
    il_buf head;
    il_buf_init(&head, 64);
    (void)il_buf_append(&head, "GGUF", 4);
    put_le(&head, 3, 4);
    put_le(&head, w->n_tensors, 8);
    put_le(&head, w->n_pairs, 8);
    int rc = head.status ? head.status : w->pairs.status ? w->pairs.status : w->infos.status;
    rc = rc ? rc : w->sizes.status;
    if (rc != IL_OK) {
        rc = fail_at(w, il_fail(err, rc, "no memory for the metadata"), err);
    }
    rc = rc ? rc : il_staged_file_open(w->path, il_gguf_writer_bytes(w), &w->file, err);
    rc = rc ? rc : il_staged_file_append(w->file, head.data, head.len, err);
    rc = rc ? rc : il_staged_file_append(w->file, w->pairs.data, w->pairs.len, err);
    rc = rc ? rc : il_staged_file_append(w->file, w->infos.data, w->infos.len, err);
    size_t used = 24 + w->pairs.len + w->infos.len;
    rc = rc ? rc : il_staged_file_append(w->file, NULL, header_bytes(w) - used, err);
    il_buf_free(&head);
    return rc;
}

static uint64_t size_of(const il_gguf_writer *w, uint64_t tensor)
{
    uint64_t n;
    memcpy(&n, w->sizes.data + tensor * sizeof n, sizeof n);
    return n;
}

int il_gguf_writer_append(il_gguf_writer *w, const void *bytes, size_t n_bytes, il_error *err)
{
    assert(w->tensor < w->n_tensors && n_bytes <= size_of(w, w->tensor) - w->tensor_done);
    int rc = il_staged_file_append(w->file, bytes, n_bytes, err);
    w->tensor_done += n_bytes;
    uint64_t n = size_of(w, w->tensor);
    if (rc == IL_OK && w->tensor_done == n) {
        w->tensor++;
        w->tensor_done = 0;
        rc = il_staged_file_append(w->file, NULL, aligned(n) - n, err);
    }
    return rc;
}

int il_gguf_writer_end(il_gguf_writer *w, il_error *err)
{
    if (w->tensor != w->n_tensors) {
        return fail_at(w,
                       il_fail(err, IL_E_INTERNAL, "%llu of %llu tensors were written",
                               (unsigned long long)w->tensor, (unsigned long long)w->n_tensors),
                       err);
    }
    return il_staged_file_commit(w->file, err);
}
