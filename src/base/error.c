/* SPDX-License-Identifier: Apache-2.0 */
#include "inferlaw/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void error_start(il_error *err, int code, int os_errno, const char *fmt, va_list args)
{
    err->code = code;
    err->os_errno = os_errno;
    err->where[0] = '\0';
    err->hint[0] = '\0';
    (void)vsnprintf(err->what, sizeof err->what, fmt, args);
}

int il_fail(il_error *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        error_start(err, code, 0, fmt, args);
        va_end(args);
    }
    return code;
}

static int code_from_errno(int os_errno)
{
    switch (os_errno) {
    case ENOENT:
    case ENOTDIR:
        return IL_E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return IL_E_ACCESS;
    case ENOSPC:
    case EDQUOT:
        return IL_E_NO_SPACE;
    case ENOMEM:
        return IL_E_NOMEM;
    case EEXIST:
        return IL_E_EXISTS;
    case EINTR:
        return IL_E_INTERRUPTED;
    default:
        return IL_E_IO;
    }
}

int il_fail_errno(il_error *err, int os_errno, const char *fmt, ...)
{
    int code = code_from_errno(os_errno);
    if (err) {
        va_list args;
        va_start(args, fmt);
        error_start(err, code, os_errno, fmt, args);
        va_end(args);
        size_t used = strlen(err->what);
        (void)snprintf(err->what + used, sizeof err->what - used, ": %s", strerror(os_errno));
    }
    return code;
}

void il_error_where(il_error *err, const char *fmt, ...)
{
    if (!err || err->where[0] != '\0') {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->where, sizeof err->where, fmt, args);
    va_end(args);
}

void il_error_hint(il_error *err, const char *fmt, ...)
{
    if (!err || err->hint[0] != '\0') {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
}

const char *il_code_name(int code)
{
    switch (code) {
    case IL_OK:
        return "OK";
#define CODE_NAME(name, value, text)                                                               \
    case IL_E_##name:                                                                              \
        return #name;
        IL_CODE_MAP(CODE_NAME)
#undef CODE_NAME
    default:
        return "UNKNOWN";
    }
}

const char *il_code_text(int code)
{
    switch (code) {
    case IL_OK:
        return "no error";
#define CODE_TEXT(name, value, text)                                                               \
    case IL_E_##name:                                                                              \
        return text;
        IL_CODE_MAP(CODE_TEXT)
#undef CODE_TEXT
    default:
        return "unknown code";
    }
}
