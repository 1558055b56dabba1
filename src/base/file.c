/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

int il_file_read(const char *path, il_buf *buf, il_error *err)
{
    int rc = IL_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        rc = il_fail_errno(err, errno, "cannot open the file");
        goto out;
    }
    struct stat st;
    if (fstat(fd, &st) != 0) {
        rc = il_fail_errno(err, errno, "cannot stat the file");
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = il_fail(err, IL_E_INVALID, "not a regular file");
        goto out;
    }
    if ((uint64_t)st.st_size > buf->max - buf->len) {
        rc = il_fail(err, IL_E_RANGE, "the file has %lld bytes, more than the %zu allowed here",
                     (long long)st.st_size, buf->max);
        goto out;
    }
    char block[65536];
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n == 0) {
            break;
        }
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            rc = il_fail_errno(err, errno, "cannot read the file");
            goto out;
        }
        rc = il_buf_append(buf, block, (size_t)n);
        if (rc != IL_OK) {
            rc = il_fail(err, rc, "cannot hold the file: %s", il_code_text(rc));
            goto out;
        }
    }
out:
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

int il_fd_write_all(int fd, const void *bytes, size_t n_bytes, il_error *err)
{
    const char *p = bytes;
    while (n_bytes > 0) {
        ssize_t n = write(fd, p, n_bytes);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return il_fail_errno(err, errno, "cannot write");
        }
        p += n;
        n_bytes -= (size_t)n;
    }
    return IL_OK;
}

int il_path_sync_parent(const char *path, il_error *err)
{
    char dir[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 1;
    if (n == 0) {
        n = 1; /* the root */
    }
    if (n >= sizeof dir) {
        return il_fail(err, IL_E_RANGE, "path too long");
    }
    memcpy(dir, slash ? path : ".", n);
    dir[n] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return il_fail_errno(err, errno, "cannot open the directory");
    }
    int rc = IL_OK;
    if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) {
        rc = il_fail_errno(err, errno, "cannot sync the directory");
    }
    (void)close(fd);
    return rc;
}

int il_file_write_atomic(const char *path, const void *bytes, size_t n_bytes, il_error *err)
{
    char tmp[PATH_BYTES];
    int rc = IL_OK, fd = -1;
    int n = snprintf(tmp, sizeof tmp, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof tmp) {
        return il_fail(err, IL_E_RANGE, "path too long");
    }
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        rc = il_fail_errno(err, errno, "cannot create the file");
        goto out;
    }
    rc = il_fd_write_all(fd, bytes, n_bytes, err);
    if (rc != IL_OK) {
        goto out;
    }
    if (fsync(fd) != 0) {
        rc = il_fail_errno(err, errno, "cannot sync the file");
        goto out;
    }
    int closed = close(fd);
    fd = -1;
    if (closed != 0) {
        rc = il_fail_errno(err, errno, "cannot close the file");
        goto out;
    }
    if (rename(tmp, path) != 0) {
        rc = il_fail_errno(err, errno, "cannot rename into place");
        goto out;
    }
    rc = il_path_sync_parent(path, err);
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    if (rc != IL_OK) {
        (void)unlink(tmp);
        il_error_where(err, "%s", path);
    }
    return rc;
}

int il_dir_make(const char *path, il_error *err)
{
    char part[PATH_BYTES];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part) {
        return il_fail(err, IL_E_RANGE, "path empty or too long");
    }
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char keep = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            int rc = il_fail_errno(err, errno, "cannot create the directory");
            il_error_where(err, "%s", part);
            return rc;
        }
        part[i] = keep;
    }
    if (!il_path_is_dir(path)) {
        int rc = il_fail(err, IL_E_EXISTS, "a file stands where a directory is needed");
        il_error_where(err, "%s", path);
        return rc;
    }
    return IL_OK;
}

int il_dir_make_scratch(const char *purpose, char *out, size_t out_bytes, il_error *err)
{
    const char *base = getenv("TMPDIR");
    base = base && base[0] ? base : "/tmp";
    int n = snprintf(out, out_bytes, "%s/%s-XXXXXX", base, purpose);
    int rc = IL_OK;
    if (n < 0 || (size_t)n >= out_bytes) {
        rc = il_fail(err, IL_E_RANGE, "the path of the scratch directory is too long");
    } else if (!mkdtemp(out)) {
        rc = il_fail_errno(err, errno, "cannot make a scratch directory");
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s", base);
        out[0] = '\0';
    }
    return rc;
}

bool il_path_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool il_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int il_path_join(char *out, size_t out_bytes, const char *dir, const char *name)
{
    int n = name[0] == '/' ? snprintf(out, out_bytes, "%s", name)
                           : snprintf(out, out_bytes, "%s/%s", dir, name);
    return n < 0 || (size_t)n >= out_bytes ? IL_E_RANGE : IL_OK;
}

const char *il_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
