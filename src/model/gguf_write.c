/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_write.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "model/quant.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 32, BUFFER_BYTES = 1 << 20 };
static const size_t most_header_bytes = (size_t)1 << 30;

struct il_gguf_writer {
    char path[PATH_MAX], tmp[PATH_MAX + 32];
    int fd;
    il_buf pairs, infos, sizes; /* sizes: bytes of each tensor, u64 in memory order */
    uint64_t n_pairs, n_tensors, data_bytes;
    uint64_t tensor;      /* being written */
    uint64_t tensor_done; /* bytes of it */
    uint8_t *buffer;
    size_t filled;
};

static uint64_t aligned(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

int il_gguf_writer_open(const char *path, il_gguf_writer **out, il_error *err)
{
    int rc = IL_OK;
    il_gguf_writer *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w || !(w->buffer = malloc(BUFFER_BYTES))) {
        free(w);
        return il_fail(err, IL_E_NOMEM, "no memory to write %.200s", path);
    }
    w->fd = -1;
    il_buf_init(&w->pairs, most_header_bytes);
    il_buf_init(&w->infos, most_header_bytes);
    il_buf_init(&w->sizes, most_header_bytes);
    if (strlen(path) >= sizeof w->path) {
        rc = il_fail(err, IL_E_RANGE, "path too long: %.200s", path);
        goto out;
    }
    (void)snprintf(w->path, sizeof w->path, "%s", path);
    (void)snprintf(w->tmp, sizeof w->tmp, "%s.tmp-%ld", path, (long)getpid());
    w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0) {
        rc = il_fail_errno(err, errno, "cannot create the model file");
        il_error_where(err, "%s", path);
    }
out:
    if (rc != IL_OK) {
        il_gguf_writer_close(w);
        w = NULL;
    }
    *out = w;
    return rc;
}

void il_gguf_writer_close(il_gguf_writer *w)
{
    if (w) {
        if (w->fd >= 0) {
            (void)close(w->fd);
            (void)unlink(w->tmp);
        }
        il_buf_free(&w->pairs);
        il_buf_free(&w->infos);
        il_buf_free(&w->sizes);
        free(w->buffer);
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

static int flush(il_gguf_writer *w, il_error *err)
{
    int rc = il_fd_write_all(w->fd, w->buffer, w->filled, err);
    w->filled = 0;
    return rc == IL_OK ? rc : fail_at(w, rc, err);
}

/* bytes NULL: zeros. */
static int push(il_gguf_writer *w, const void *bytes, size_t n, il_error *err)
{
    const uint8_t *from = bytes;
    int rc = IL_OK;
    while (rc == IL_OK && n > 0) {
        size_t part = BUFFER_BYTES - w->filled < n ? BUFFER_BYTES - w->filled : n;
        if (from) {
            memcpy(w->buffer + w->filled, from, part);
            from += part;
        } else {
            memset(w->buffer + w->filled, 0, part);
        }
        w->filled += part;
        n -= part;
        rc = w->filled == BUFFER_BYTES ? flush(w, err) : IL_OK;
    }
    return rc;
}

static int reserve(const il_gguf_writer *w, il_error *err)
{
    uint64_t n = il_gguf_writer_bytes(w);
    if (n > INT64_MAX || fallocate(w->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)n) != 0) {
        /* a file system that cannot reserve is no failure */
        if (n > INT64_MAX || errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
            int why = n > INT64_MAX ? EFBIG : errno;
            int rc = why == EFBIG
                         ? il_fail(err, IL_E_NO_SPACE, "no room for %.1f MB", (double)n / 1e6)
                         : il_fail_errno(err, why, "no room for %.1f MB", (double)n / 1e6);
            il_error_hint(err, "free some space, or choose another place or a smaller type");
            return fail_at(w, rc, err);
        }
    }
    return IL_OK;
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
    rc = rc ? rc : reserve(w, err);
    rc = rc ? rc : push(w, head.data, head.len, err);
    rc = rc ? rc : push(w, w->pairs.data, w->pairs.len, err);
    rc = rc ? rc : push(w, w->infos.data, w->infos.len, err);
    size_t used = 24 + w->pairs.len + w->infos.len;
    rc = rc ? rc : push(w, NULL, (size_t)(header_bytes(w) - used), err);
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
    int rc = push(w, bytes, n_bytes, err);
    w->tensor_done += n_bytes;
    uint64_t n = size_of(w, w->tensor);
    if (rc == IL_OK && w->tensor_done == n) {
        w->tensor++;
        w->tensor_done = 0;
        rc = push(w, NULL, (size_t)(aligned(n) - n), err);
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
    int rc = flush(w, err);
    if (rc == IL_OK && fsync(w->fd) != 0) {
        rc = il_fail_errno(err, errno, "cannot sync the model file");
    }
    if (rc == IL_OK && rename(w->tmp, w->path) != 0) {
        rc = il_fail_errno(err, errno, "cannot rename the model file into place");
    }
    if (rc == IL_OK) {
        int fd = w->fd;
        w->fd = -1; /* the temporary name is gone */
        if (close(fd) != 0) {
            rc = il_fail_errno(err, errno, "cannot close the model file");
        }
        rc = rc ? rc : il_path_sync_parent(w->path, err);
    }
    return rc == IL_OK ? rc : fail_at(w, rc, err);
}
