/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What every cmocka program here includes: the headers in the order cmocka needs, comparison of
 * doubles (cmocka 1.1.5 has none), and assertion of an il_error's code with its words shown.
 */
#ifndef IL_TESTS_CHECK_H
#define IL_TESTS_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inferlaw/error.h"

/* |a − b| ≤ rel · max(|a|, |b|), or both within abs_tol of each other. */
static inline void check_near_at(double a, double b, double rel, double abs_tol, const char *file,
                                 int line)
{
    double scale = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    double gap = fabs(a - b);
    if (!(gap <= rel * scale || gap <= abs_tol)) {
        print_error("%.17g and %.17g differ by %.3g, more than %.3g relative or %.3g\n", a, b, gap,
                    rel, abs_tol);
        _fail(file, line);
    }
}
#define check_near(a, b, rel)      check_near_at((a), (b), (rel), 0.0, __FILE__, __LINE__)
#define check_close(a, b, abs_tol) check_near_at((a), (b), 0.0, (abs_tol), __FILE__, __LINE__)

static inline void check_ok_at(int rc, const il_error *err, const char *file, int line)
{
    if (rc != IL_OK) {
        print_error("%s: %s [%s] (%s)\n", il_code_name(rc), err ? err->what : "",
                    err ? err->where : "", err ? err->hint : "");
        _fail(file, line);
    }
}
#define check_ok(rc, err) check_ok_at((rc), (err), __FILE__, __LINE__)

/* A fresh directory below the build's scratch space; the text lives until the next call. */
static inline const char *check_scratch_dir(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "/tmp/il-test-%s-XXXXXX", name);
    assert_non_null(mkdtemp(path));
    return path;
}

#endif
