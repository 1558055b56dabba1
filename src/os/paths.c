/* SPDX-License-Identifier: Apache-2.0 */
#include "os/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int il_path_self_dir(char *out, size_t out_bytes, il_error *err)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n < 0) {
        return il_fail_errno(err, errno, "cannot find the program's own path");
    }
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash) {
        return il_fail(err, IL_E_NOT_FOUND, "the program's own path \"%.200s\" has no directory",
                       path);
    }
    slash[slash == path] = '\0'; /* the root keeps its slash */
    if (strlen(path) >= out_bytes) {
        return il_fail(err, IL_E_RANGE, "the program's own path is too long");
    }
    memcpy(out, path, strlen(path) + 1);
    return IL_OK;
}

/* The first DIR/base[i]/name that exists, made absolute and free of "..". */
static int find(const char *dir, const char *const *bases, size_t n_bases, const char *name,
                char *out, size_t out_bytes, il_error *err)
{
    char tried[256] = "";
    size_t n_tried = 0;
    for (size_t i = 0; i < n_bases; i++) {
        char path[PATH_MAX], real[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s%s/%s", dir, bases[i], name);
        if (n < 0 || (size_t)n >= sizeof path) {
            return il_fail(err, IL_E_RANGE, "path too long: %.200s", dir);
        }
        if (realpath(path, real)) {
            if (strlen(real) >= out_bytes) {
                return il_fail(err, IL_E_RANGE, "path too long: %.200s", real);
            }
            memcpy(out, real, strlen(real) + 1);
            return IL_OK;
        }
        int more = snprintf(tried + n_tried, sizeof tried - n_tried, "%s%.100s%s", i ? ", " : "",
                            dir, bases[i]);
        n_tried += more > 0 && (size_t)more < sizeof tried - n_tried ? (size_t)more : 0;
    }
    int rc = il_fail(err, IL_E_NOT_FOUND, "%.120s is not there (looked in %s)", name, tried);
    return rc;
}

int il_path_find_data(const char *name, char *out, size_t out_bytes, il_error *err)
{
    static const char *const alone[] = {""};
    static const char *const bases[] = {"/..", "/../..", "/../share/inferlaw"};
    char dir[PATH_MAX];
    const char *set = getenv("INFERLAW_DATA");
    if (set && set[0] != '\0') {
        int rc = find(set, alone, 1, name, out, out_bytes, err);
        if (rc != IL_OK) {
            il_error_hint(err, "INFERLAW_DATA is set; unset it to use the program's own files");
        }
        return rc;
    }
    int rc = il_path_self_dir(dir, sizeof dir, err);
    if (rc == IL_OK) {
        rc = find(dir, bases, sizeof bases / sizeof *bases, name, out, out_bytes, err);
    }
    if (rc == IL_E_NOT_FOUND) {
        il_error_hint(err, "set INFERLAW_DATA to the directory that holds suites and configs");
    }
    return rc;
}

int il_path_find_worker(const char *name, char *out, size_t out_bytes, il_error *err)
{
    static const char *const bases[] = {"", "/..", "/../libexec/inferlaw"};
    char dir[PATH_MAX];
    int rc = il_path_self_dir(dir, sizeof dir, err);
    if (rc == IL_OK) {
        rc = find(dir, bases, sizeof bases / sizeof *bases, name, out, out_bytes, err);
    }
    if (rc == IL_E_NOT_FOUND) {
        il_error_hint(err, "build all targets, or keep the workers beside the program");
    }
    return rc;
}
