/* SPDX-License-Identifier: Apache-2.0 */
#include "base/staged_file.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20 };

struct il_staged_file {
    char path[PATH_MAX], tmp[PATH_MAX + 32];
    int fd;
    uint8_t *buffer;
    size_t filled;
    uint64_t n_bytes;
};

static int fail_at(const il_staged_file *f, int rc, il_error *err)
{
    il_error_where(err, "%s", f->path);
    return rc;
}

static int reserve(const il_staged_file *f, uint64_t n_bytes, il_error *err)
{
    if (n_bytes == 0 ||
        (n_bytes <= INT64_MAX && fallocate(f->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)n_bytes) == 0)) {
        return IL_OK;
    }
    int why = n_bytes > INT64_MAX ? EFBIG : errno;
    if (why != ENOSPC && why != EDQUOT && why != EFBIG) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_NO_SPACE, "no room for %.1f MB: %s", (double)n_bytes / 1e6,
                     strerror(why));
    il_error_hint(err, "free some space, or choose another place or a smaller type");
    return fail_at(f, rc, err);
}

int il_staged_file_open(const char *path, uint64_t n_bytes, il_staged_file **out, il_error *err)
{
    int rc = IL_OK;
    il_staged_file *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f || !(f->buffer = malloc(BUFFER_BYTES))) {
        free(f);
        return il_fail(err, IL_E_NOMEM, "no memory to write %.200s", path);
    }
    f->fd = -1;
    if (strlen(path) >= sizeof f->path) {
        rc = il_fail(err, IL_E_RANGE, "path too long: %.200s", path);
        goto out;
    }
    (void)snprintf(f->path, sizeof f->path, "%s", path);
    (void)snprintf(f->tmp, sizeof f->tmp, "%s.tmp-%ld", path, (long)getpid());
    f->fd = open(f->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (f->fd < 0) {
        rc = fail_at(f, il_fail_errno(err, errno, "cannot create the file"), err);
        goto out;
    }
    rc = reserve(f, n_bytes, err);
out:
    if (rc != IL_OK) {
        il_staged_file_close(f);
        f = NULL;
    }
    *out = f;
    return rc;
}

void il_staged_file_close(il_staged_file *f)
{
    if (f) {
        if (f->fd >= 0) {
            (void)close(f->fd);
            (void)unlink(f->tmp);
        }
        free(f->buffer);
        free(f);
    }
}

static int flush(il_staged_file *f, il_error *err)
{
    int rc = il_fd_write_all(f->fd, f->buffer, f->filled, err);
    f->filled = 0;
    return rc == IL_OK ? rc : fail_at(f, rc, err);
}

int il_staged_file_append(il_staged_file *f, const void *bytes, uint64_t n_bytes, il_error *err)
{
    const uint8_t *from = bytes;
    int rc = IL_OK;
    f->n_bytes += n_bytes;
    while (rc == IL_OK && n_bytes > 0) {
        size_t room = BUFFER_BYTES - f->filled;
        size_t part = room < n_bytes ? room : (size_t)n_bytes;
        if (from) {
            memcpy(f->buffer + f->filled, from, part);
            from += part;
        } else {
            memset(f->buffer + f->filled, 0, part);
        }
        f->filled += part;
        n_bytes -= part;
        rc = f->filled == BUFFER_BYTES ? flush(f, err) : IL_OK;
    }
    return rc;
}

int il_staged_file_skip(il_staged_file *f, uint64_t n_bytes, il_error *err)
{
    int rc = flush(f, err);
    f->n_bytes += n_bytes;
    if (rc == IL_OK && (n_bytes > INT64_MAX || lseek(f->fd, (off_t)n_bytes, SEEK_CUR) < 0)) {
        rc = fail_at(f, il_fail_errno(err, errno, "cannot move on in the file"), err);
    }
    return rc;
}

int il_staged_file_write_at(il_staged_file *f, uint64_t offset, const void *bytes, size_t n_bytes,
                            il_error *err)
{
    const uint8_t *from = bytes;
    while (n_bytes > 0) {
        ssize_t n = pwrite(f->fd, from, n_bytes, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return fail_at(f, il_fail_errno(err, n < 0 ? errno : EIO, "cannot write"), err);
        }
        from += n;
        offset += (uint64_t)n;
        n_bytes -= (size_t)n;
    }
    return IL_OK;
}

uint64_t il_staged_file_bytes(const il_staged_file *f)
{
    return f->n_bytes;
}

int il_staged_file_sync(il_staged_file *f, il_error *err)
{
    int rc = flush(f, err);
    if (rc == IL_OK && fsync(f->fd) != 0) {
        rc = fail_at(f, il_fail_errno(err, errno, "cannot sync the file"), err);
    }
    return rc;
}

int il_staged_file_commit(il_staged_file *f, il_error *err)
{
    int rc = il_staged_file_sync(f, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (rename(f->tmp, f->path) != 0) {
        return fail_at(f, il_fail_errno(err, errno, "cannot rename the file into place"), err);
    }
    int fd = f->fd;
    f->fd = -1; /* the temporary name is gone */
    if (close(fd) != 0) {
        rc = il_fail_errno(err, errno, "cannot close the file");
    }
    rc = rc ? rc : il_path_sync_parent(f->path, err);
    return rc == IL_OK ? rc : fail_at(f, rc, err);
}
