/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdio.h>

/* The one piece of process-wide state in base: where talk goes is a property of the process. */
static il_log_level least_level = IL_LOG_INFO;
static void (*line_hook)(int before);

void il_log_set_level(il_log_level level)
{
    least_level = level;
}

void il_log_set_hook(void (*hook)(int before))
{
    line_hook = hook;
}

static void hook_call(int before)
{
    if (line_hook) {
        line_hook(before);
    }
}

void il_log(il_log_level level, const char *fmt, ...)
{
    static const char *const prefix[] = {"debug: ", "", "warning: ", "error: "};
    if (level < least_level) {
        return;
    }
    hook_call(1);
    va_list args;
    va_start(args, fmt);
    (void)fputs(prefix[level], stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
    hook_call(0);
}

void il_log_error(const il_error *err)
{
    hook_call(1);
    (void)fprintf(stderr, "error: %s\n", err->what[0] ? err->what : il_code_text(err->code));
    if (err->where[0]) {
        (void)fprintf(stderr, "   at: %s\n", err->where);
    }
    if (err->hint[0]) {
        (void)fprintf(stderr, "  try: %s\n", err->hint);
    }
    hook_call(0);
}
