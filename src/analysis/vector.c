/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/vector.h"

#include "base/checked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Making a file and reserving its blocks costs more than most small tables: those stay on the heap.
 */
enum { LEAST_BYTES = 1 << 20, HEAP_BYTES = 1 << 16 };

void il_vector_init(il_vector *v, size_t element_bytes)
{
    *v = (il_vector){.fd = -1, .element_bytes = element_bytes};
}

static int open_unlinked(const char *dir, il_error *err)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) {
        return fd;
    }
    /* Not every file system has O_TMPFILE. */
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/.inferlaw-XXXXXX", dir);
    if (n < 0 || (size_t)n >= sizeof path) {
        return il_fail(err, IL_E_RANGE, "the path is too long");
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        int rc = il_fail_errno(err, errno, "cannot create a scratch file");
        il_error_where(err, "%s", dir);
        return rc;
    }
    (void)unlink(path);
    return fd;
}

static int begin_on_heap(il_vector *v, size_t count, il_error *err)
{
    v->data = calloc(HEAP_BYTES / v->element_bytes, v->element_bytes);
    if (!v->data) {
        return il_fail(err, IL_E_NOMEM, "no memory for %d bytes", (int)HEAP_BYTES);
    }
    v->cap = HEAP_BYTES / v->element_bytes;
    v->count = count;
    return IL_OK;
}

int il_vector_resize(il_vector *v, const char *dir, size_t count, il_error *err)
{
    if (count <= v->cap) {
        v->count = count > v->count ? count : v->count;
        return IL_OK;
    }
    if (v->fd < 0 && count <= HEAP_BYTES / v->element_bytes) {
        return begin_on_heap(v, count, err);
    }
    size_t bytes;
    size_t cap = v->fd >= 0 ? v->cap : LEAST_BYTES / v->element_bytes;
    while (cap < count) {
        if (!il_mul_size(cap, 2, &cap)) {
            return il_fail(err, IL_E_RANGE, "too many rows");
        }
    }
    if (!il_mul_size(cap, v->element_bytes, &bytes) || bytes > INT64_MAX / 2) {
        return il_fail(err, IL_E_RANGE, "too many rows");
    }
    if (v->fd < 0) {
        v->fd = open_unlinked(dir, err);
        if (v->fd < 0) {
            int rc = v->fd;
            v->fd = -1;
            return rc;
        }
    }
    /* Reserved, not sparse: a full disk must be an error here and not a signal at a store. */
    if (fallocate(v->fd, 0, 0, (off_t)bytes) != 0 &&
        (errno != EOPNOTSUPP || ftruncate(v->fd, (off_t)bytes) != 0)) {
        return il_fail_errno(err, errno, "no room for %zu bytes of scratch in %s", bytes, dir);
    }
    void *data = v->mapped ? mremap(v->data, v->cap * v->element_bytes, bytes, MREMAP_MAYMOVE)
                           : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (data == MAP_FAILED) {
        return il_fail_errno(err, errno, "cannot map %zu bytes of scratch", bytes);
    }
    if (v->data && !v->mapped) {
        memcpy(data, v->data, v->count * v->element_bytes);
        free(v->data);
    }
    v->mapped = true;
    v->data = data;
    v->cap = cap;
    v->count = count;
    return IL_OK;
}

void il_vector_free(il_vector *v)
{
    if (v->mapped) {
        (void)munmap(v->data, v->cap * v->element_bytes);
    } else {
        free(v->data);
    }
    if (v->fd >= 0) {
        (void)close(v->fd);
    }
    il_vector_init(v, v->element_bytes);
}

int il_scratch_take(il_scratch *s, const char *dir, size_t count, size_t element_bytes,
                    il_error *err)
{
    size_t bytes;
    *s = (il_scratch){.data = NULL};
    il_vector_init(&s->file, element_bytes);
    count = count ? count : 1;
    if (!il_mul_size(count, element_bytes, &bytes)) {
        return il_fail(err, IL_E_RANGE, "too many rows");
    }
    if (bytes <= LEAST_BYTES) {
        s->data = malloc(bytes);
        return s->data ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for %zu bytes", bytes);
    }
    int rc = il_vector_resize(&s->file, dir, count, err);
    s->data = s->file.data;
    if (rc != IL_OK) {
        il_vector_free(&s->file);
    }
    return rc;
}

void il_scratch_free(il_scratch *s)
{
    if (s->file.data) {
        il_vector_free(&s->file);
    } else {
        free(s->data);
    }
    *s = (il_scratch){.data = NULL};
    s->file.fd = -1;
}
