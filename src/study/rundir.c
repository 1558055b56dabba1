/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/rundir.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

int il_rundir_default(const char *run_name, char *out, size_t out_bytes, il_error *err)
{
    char utc[32];
    struct tm tm;
    time_t now = time(NULL);
    (void)gmtime_r(&now, &tm);
    (void)strftime(utc, sizeof utc, "%Y%m%dT%H%M%SZ", &tm);
    for (int i = 1; i < 100; i++) {
        int n = i == 1 ? snprintf(out, out_bytes, "runs/%s-%s", run_name, utc)
                       : snprintf(out, out_bytes, "runs/%s-%s-%d", run_name, utc, i);
        if (n < 0 || (size_t)n >= out_bytes) {
            return il_fail(err, IL_E_RANGE, "path too long");
        }
        struct stat st;
        if (stat(out, &st) != 0) {
            return IL_OK;
        }
    }
    return il_fail(err, IL_E_EXISTS, "a hundred runs began in this second");
}

static int count_entries(int fd, unsigned *n, il_error *err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    *n = 0;
    if (!dir) {
        int rc = il_fail_errno(err, errno, "cannot list the run directory");
        if (copy >= 0) {
            (void)close(copy);
        }
        return rc;
    }
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        *n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    }
    (void)closedir(dir);
    return IL_OK;
}

static int check_content(const il_rundir *d, bool resume, il_error *err)
{
    if (resume) {
        if (!il_path_is_file(d->journal)) {
            int rc = il_fail(err, IL_E_NOT_FOUND, "nothing to resume: there is no journal here");
            il_error_hint(err, "leave out --resume to begin a new run");
            return rc;
        }
        return IL_OK;
    }
    unsigned n = 0;
    int rc = count_entries(d->fd, &n, err);
    if (rc == IL_OK && n > 0) {
        rc = il_fail(err, IL_E_EXISTS, "the run directory is not empty");
        il_error_hint(err,
                      il_path_is_file(d->journal)
                          ? "--resume goes on with this run; another --out-dir begins a new one"
                          : "choose another --out-dir");
    }
    return rc;
}

/* Permission and space show by trying: access(2) says yes to root on a read-only mount. */
static int check_writable(const il_rundir *d, uint64_t need_bytes, il_error *err)
{
    int fd = openat(d->fd, ".probe", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        int rc = il_fail_errno(err, errno, "cannot write into the run directory");
        il_error_hint(err, "choose another place with --out-dir");
        return rc;
    }
    char block[4096] = {0};
    int rc = il_fd_write_all(fd, block, sizeof block, err);
    if (rc == IL_OK && fsync(fd) != 0) {
        rc = il_fail_errno(err, errno, "cannot write into the run directory");
    }
    (void)close(fd);
    (void)unlinkat(d->fd, ".probe", 0);
    struct statvfs fs;
    if (rc == IL_OK && fstatvfs(d->fd, &fs) == 0) {
        uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
        if (free_bytes < need_bytes) {
            rc = il_fail(err, IL_E_NO_SPACE, "%.1f MB free, the run may need %.1f MB",
                         (double)free_bytes / 1e6, (double)need_bytes / 1e6);
        }
    }
    if (rc == IL_E_NO_SPACE) {
        il_error_hint(err, "free some space, or choose another place with --out-dir");
    }
    return rc;
}

static int lock(il_rundir *d, il_error *err)
{
    if (flock(d->fd, LOCK_EX | LOCK_NB) == 0) {
        return IL_OK;
    }
    if (errno == EWOULDBLOCK) {
        int rc = il_fail(err, IL_E_BUSY, "another inferlaw is writing into this run directory");
        il_error_hint(err, "wait for it, or choose another --out-dir");
        return rc;
    }
    return il_fail_errno(err, errno, "cannot lock the run directory");
}

int il_rundir_open(const char *path, bool resume, uint64_t need_bytes, il_rundir *d, il_error *err)
{
    *d = (il_rundir){.fd = -1};
    int rc = IL_OK;
    bool existed = il_path_is_dir(path);
    if (strlen(path) >= sizeof d->path) {
        return il_fail(err, IL_E_RANGE, "path too long");
    }
    (void)snprintf(d->path, sizeof d->path, "%s", path);
    (void)snprintf(d->journal, sizeof d->journal, "%s/journal.jsonl", path);
    (void)snprintf(d->manifest, sizeof d->manifest, "%s/manifest.json", path);
    if (!resume) {
        rc = il_dir_make(path, err);
        if (rc != IL_OK) {
            il_error_hint(err, "choose another place with --out-dir");
            return rc;
        }
    }
    d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0) {
        rc = il_fail_errno(err, errno, "cannot open the run directory");
    }
    rc = rc == IL_OK ? lock(d, err) : rc;
    rc = rc == IL_OK ? check_content(d, resume, err) : rc;
    rc = rc == IL_OK ? check_writable(d, need_bytes, err) : rc;
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
        il_rundir_close(d);
        if (!existed && !resume) {
            (void)rmdir(path); /* nothing half-made is left */
        }
    }
    return rc;
}

void il_rundir_close(il_rundir *d)
{
    if (d->fd >= 0) {
        (void)close(d->fd);
        d->fd = -1;
    }
}
