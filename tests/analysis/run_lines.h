/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A run directory of a test and the lines of its journal.
 */
#ifndef IL_TESTS_ANALYSIS_RUN_LINES_H
#define IL_TESTS_ANALYSIS_RUN_LINES_H

#include "check.h"

#include "base/json.h"
#include "study/journal.h"

static char run_dir[1024];

static inline const char *in_run(const char *name)
{
    static char path[2048];
    (void)snprintf(path, sizeof path, "%s/%s", run_dir, name);
    return path;
}

/* Writes a line of a kind: the body as JSON, printf's way. */
static inline void write_line(il_journal *journal, const char *kind, const char *fmt, ...)
{
    static char text[65536];
    va_list args;
    il_error err = {0};
    json_t *value = NULL;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    check_ok(il_json_parse(text, strlen(text), "test", &value, &err), &err);
    check_ok(il_journal_write(journal, kind, value, &err), &err);
}

#endif
