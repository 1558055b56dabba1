/* SPDX-License-Identifier: Apache-2.0 */
#include "os/machine_files.h"

#include "os/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static char root_dir[PATH_BYTES];
static unsigned root_generation;

void il_machine_set_root(const char *root)
{
    size_t n = strlen(root);
    while (n > 0 && root[n - 1] == '/') {
        n--;
    }
    if (n >= sizeof root_dir) {
        n = 0;
    }
    memcpy(root_dir, root, n);
    root_dir[n] = '\0';
    root_generation++;
}

const char *il__sys_root(void)
{
    return root_dir;
}

unsigned il__sys_root_generation(void)
{
    return root_generation;
}

bool il__sys_read(const char *path, char *text, size_t cap)
{
    char full[PATH_BYTES];
    text[0] = '\0';
    int len = snprintf(full, sizeof full, "%s%s", root_dir, path);
    if (len < 0 || (size_t)len >= sizeof full) {
        return false;
    }
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    struct stat st;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    size_t n = 0;
    while (ok && n < cap - 1) {
        ssize_t got = read(fd, text + n, cap - 1 - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        ok = got >= 0;
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    (void)close(fd);
    text[ok ? n : 0] = '\0';
    return ok;
}

static bool read_line(char *text, size_t cap, const char *path_fmt, va_list args)
{
    char path[PATH_BYTES];
    int len = vsnprintf(path, sizeof path, path_fmt, args);
    if (len < 0 || (size_t)len >= sizeof path || !il__sys_read(path, text, cap)) {
        text[0] = '\0';
        return false;
    }
    text[strcspn(text, "\n")] = '\0';
    return true;
}

bool il__sys_line(char *text, size_t cap, const char *path_fmt, ...)
{
    va_list args;
    va_start(args, path_fmt);
    bool ok = read_line(text, cap, path_fmt, args);
    va_end(args);
    return ok;
}

bool il__sys_u64(uint64_t *out, const char *path_fmt, ...)
{
    char text[64];
    va_list args;
    va_start(args, path_fmt);
    bool ok = read_line(text, sizeof text, path_fmt, args);
    va_end(args);
    const char *at = text;
    uint64_t value;
    if (!ok || !il__scan_u64(&at, &value) || at[strspn(at, " \t")] != '\0') {
        return false;
    }
    *out = value;
    return true;
}

bool il__scan_u64(const char **at, uint64_t *out)
{
    const char *p = *at + strspn(*at, " \t");
    if (*p < '0' || *p > '9') {
        return false;
    }
    uint64_t value = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value)) {
            return false;
        }
    }
    *out = value;
    *at = p;
    return true;
}

bool il__scan_f64(const char **at, double *out)
{
    const char *p = *at;
    uint64_t whole, digits = 0;
    double place = 1;
    if (!il__scan_u64(&p, &whole)) {
        return false;
    }
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            if (place < 1e15) { /* further digits are beyond a double's */
                digits = digits * 10 + (uint64_t)(*p - '0');
                place *= 10;
            }
        }
    }
    *out = (double)whole + (double)digits / place;
    *at = p;
    return true;
}

const char *il__line_of(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0) {
            return line + n;
        }
    }
    return NULL;
}

bool il__line_u64(const char *text, const char *key, uint64_t *out)
{
    const char *at = il__line_of(text, key);
    return at && il__scan_u64(&at, out);
}

void il__copy_line(char *out, size_t cap, const char *from)
{
    from += strspn(from, " \t");
    size_t n = strcspn(from, "\n");
    while (n > 0 && (from[n - 1] == ' ' || from[n - 1] == '\t')) {
        n--;
    }
    if (n >= cap) {
        n = cap - 1;
    }
    memcpy(out, from, n);
    out[n] = '\0';
}
