/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A machine to probe that is not this one: unpacks tests/os/fixtures/NAME.txt (made by make.py
 * there) below a scratch directory and points il_machine_set_root at it.
 */
#ifndef IL_TESTS_OS_FIXTURE_H
#define IL_TESTS_OS_FIXTURE_H

#include "check.h"

#include "base/buf.h"
#include "base/file.h"
#include "os/machine.h"

#include <ftw.h>
#include <unistd.h>

/* Writes root + path with the text, parents too. */
static inline void fixture_put_bytes(const char *root, const char *path, const char *text, size_t n)
{
    char full[1024], dir[1024];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    (void)snprintf(dir, sizeof dir, "%s", full);
    *strrchr(dir, '/') = '\0';
    assert_int_equal(il_dir_make(dir, NULL), IL_OK);
    FILE *out = fopen(full, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

static inline void fixture_put(const char *root, const char *path, const char *text)
{
    fixture_put_bytes(root, path, text, strlen(text));
}

/* The directory; it is also the root from now on. Owned by the caller: fixture_drop. */
static inline char *fixture_unpack(const char *name)
{
    char file[512], path[512];
    il_buf text;
    il_error err = {0};
    char *root = strdup(check_scratch_dir(name));
    (void)snprintf(file, sizeof file, "%s/tests/os/fixtures/%s.txt", IL_TEST_SOURCE_DIR, name);
    il_buf_init(&text, 1 << 20);
    check_ok(il_file_read(file, &text, &err), &err);
    const char *at = il_buf_text(&text);
    while (*at) {
        assert_true(strncmp(at, "@ /", 3) == 0);
        size_t n = strcspn(at + 2, "\n");
        assert_true(n < sizeof path);
        memcpy(path, at + 2, n);
        path[n] = '\0';
        const char *body = at + 2 + n + 1;
        const char *next = strstr(body, "\n@ /");
        size_t len = next ? (size_t)(next - body) + 1 : strlen(body);
        fixture_put_bytes(root, path, body, len);
        at = body + len;
    }
    il_buf_free(&text);
    il_machine_set_root(root);
    return root;
}

static inline int fixture_unlink(const char *path, const struct stat *st, int type,
                                 struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void fixture_drop(char *root)
{
    il_machine_set_root("");
    (void)nftw(root, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
    free(root);
}

#endif
