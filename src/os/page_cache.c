/* SPDX-License-Identifier: Apache-2.0 */
#include "os/page_cache.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FILES = 4096, READ_BYTES = 1 << 20 };

/* Files are looked at through windows, so that a vector of pages stays small. */
#define WINDOW_BYTES (UINT64_C(256) << 20)

/* --- which files ------------------------------------------------------------------------------ */

static int add_file(il_page_files *out, const char *path, il_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return IL_OK;
    }
    if (out->n == MOST_FILES) {
        int rc = il_fail(err, IL_E_RANGE, "more than %d files beside a model", MOST_FILES);
        il_error_where(err, "%s", path);
        return rc;
    }
    char **grown = realloc(out->paths, (out->n + 1) * sizeof *grown);
    char *copy = strdup(path);
    if (grown) {
        out->paths = grown;
    }
    if (!grown || !copy) {
        free(copy);
        return il_fail(err, IL_E_NOMEM, "no memory for a list of files");
    }
    out->paths[out->n++] = copy;
    out->bytes += (uint64_t)st.st_size;
    return IL_OK;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static bool is_other_format(const char *name)
{
    return ends_with(name, ".gguf") || strstr(name, ".onnx") != NULL;
}

/* Names of dir that begin with prefix ("" for all). */
static int add_directory(il_page_files *out, const char *dir, const char *prefix,
                         bool skip_other_formats, il_error *err)
{
    DIR *open = opendir(dir);
    int rc = open ? IL_OK : il_fail_errno(err, errno, "cannot list the files of a model");
    struct dirent *entry;
    while (rc == IL_OK && (entry = readdir(open)) != NULL) {
        char path[4096];
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            !(skip_other_formats && is_other_format(entry->d_name))) {
            rc = il_path_join(path, sizeof path, dir, entry->d_name);
            rc = rc == IL_OK ? add_file(out, path, err) : IL_OK;
        }
    }
    if (open) {
        (void)closedir(open);
    } else {
        il_error_where(err, "%s", dir);
    }
    return rc;
}

static bool holds_safetensors(const char *dir)
{
    DIR *open = opendir(dir);
    struct dirent *entry;
    bool found = false;
    while (open && !found && (entry = readdir(open)) != NULL) {
        found = ends_with(entry->d_name, ".safetensors");
    }
    if (open) {
        (void)closedir(open);
    }
    return found;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int il_page_files_find(const char *path, il_page_files *out, il_error *err)
{
    *out = (il_page_files){0};
    int rc = IL_OK;
    if (il_path_is_dir(path)) {
        rc = add_directory(out, path, "", holds_safetensors(path), err);
    } else if (il_path_is_file(path)) {
        const char *base = il_path_base(path);
        char *dir = base == path ? strdup(".") : strndup(path, (size_t)(base - path));
        rc = dir ? add_directory(out, dir, base, false, err)
                 : il_fail(err, IL_E_NOMEM, "no memory for a path");
        free(dir);
    }
    if (rc == IL_OK && out->n == 0) {
        rc = il_fail(err, IL_E_NOT_FOUND, "the model has no files here");
        il_error_where(err, "%s", path);
    }
    if (out->n > 1) {
        qsort(out->paths, out->n, sizeof *out->paths, by_name);
    }
    return rc;
}

void il_page_files_free(il_page_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->paths[i]);
    }
    free(files->paths);
    *files = (il_page_files){0};
}

/* --- residency, drop, fill -------------------------------------------------------------------- */

static int open_file(const char *path, int *fd, uint64_t *bytes, il_error *err)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int rc = *fd >= 0 && fstat(*fd, &st) == 0
                 ? IL_OK
                 : il_fail_errno(err, errno, "cannot open a file of the model");
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
        return rc;
    }
    *bytes = (uint64_t)st.st_size;
    return IL_OK;
}

static int resident_window(int fd, uint64_t at, uint64_t n_bytes, unsigned char *pages,
                           uint64_t *bytes, il_error *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (size_t)n_bytes;
    void *map = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, (off_t)at);
    if (map == MAP_FAILED) {
        return il_fail_errno(err, errno, "cannot map a file of the model");
    }
    int rc = mincore(map, n, pages) == 0
                 ? IL_OK
                 : il_fail_errno(err, errno, "cannot tell which pages are in memory");
    for (size_t i = 0; rc == IL_OK && i * page < n; i++) {
        size_t left = n - i * page;
        *bytes += (pages[i] & 1) ? (left < page ? left : page) : 0;
    }
    (void)munmap(map, n);
    return rc;
}

static int real_resident(const il_page_files *files, uint64_t *bytes, il_error *err)
{
    unsigned char *pages = malloc((size_t)(WINDOW_BYTES / 4096));
    int rc = pages ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory to look at pages");
    *bytes = 0;
    for (size_t i = 0; rc == IL_OK && i < files->n; i++) {
        uint64_t size;
        int fd = -1;
        rc = open_file(files->paths[i], &fd, &size, err);
        for (uint64_t at = 0; rc == IL_OK && at < size; at += WINDOW_BYTES) {
            uint64_t left = size - at;
            rc = resident_window(fd, at, left < WINDOW_BYTES ? left : WINDOW_BYTES, pages, bytes,
                                 err);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    free(pages);
    return rc;
}

static int real_drop(const il_page_files *files, il_error *err)
{
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < files->n; i++) {
        uint64_t size;
        int fd = -1;
        rc = open_file(files->paths[i], &fd, &size, err);
        /* Pages not yet written cannot be dropped; a file system that cannot sync has none. */
        if (rc == IL_OK && fsync(fd) != 0 && errno != EINVAL && errno != EROFS) {
            rc = il_fail_errno(err, errno, "cannot write out a file of the model");
        }
        if (rc == IL_OK) {
            (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    return rc;
}

static int real_fill(const il_page_files *files, il_error *err)
{
    char *buffer = malloc(READ_BYTES);
    int rc = buffer ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory to read a file");
    for (size_t i = 0; rc == IL_OK && i < files->n; i++) {
        uint64_t size;
        int fd = -1;
        rc = open_file(files->paths[i], &fd, &size, err);
        ssize_t got = rc == IL_OK ? 1 : 0;
        while (got > 0) {
            got = read(fd, buffer, READ_BYTES);
            if (got < 0 && errno == EINTR) {
                got = 1;
            }
        }
        if (rc == IL_OK && got < 0) {
            rc = il_fail_errno(err, errno, "cannot read a file of the model");
            il_error_where(err, "%s", files->paths[i]);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    free(buffer);
    return rc;
}

static const il_page_cache_ops real = {real_resident, real_drop, real_fill};
static const il_page_cache_ops *ops = &real;

void il_page_cache_use(const il_page_cache_ops *other)
{
    ops = other ? other : &real;
}

int il_page_cache_resident(const il_page_files *files, uint64_t *bytes, il_error *err)
{
    return ops->resident(files, bytes, err);
}

int il_page_cache_drop(const il_page_files *files, il_error *err)
{
    return ops->drop(files, err);
}

int il_page_cache_fill(const il_page_files *files, il_error *err)
{
    return ops->fill(files, err);
}
