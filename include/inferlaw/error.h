/* SPDX-License-Identifier: Apache-2.0
 *
 * The one error convention of inferlaw.
 *
 * Every fallible function returns int: IL_OK (0) or a negative il_code. Detail goes to an il_error
 * that the caller owns; passing NULL is legal and loses only the words. A message answers three
 * questions: what went wrong, where (a path, a line, a cell), and what to try next.
 */
#ifndef INFERLAW_ERROR_H
#define INFERLAW_ERROR_H

#include <stdarg.h>

/* name, value, text. The names are also the `reason` words of skipped and failed rows. */
#define IL_CODE_MAP(X)                                                                             \
    X(NOMEM, -1, "out of memory")                                                                  \
    X(USAGE, -2, "bad command line or study file")                                                 \
    X(INVALID, -3, "invalid value")                                                                \
    X(PARSE, -4, "text or file that cannot be parsed")                                             \
    X(RANGE, -5, "number out of range or arithmetic overflow")                                     \
    X(NOT_FOUND, -6, "not found")                                                                  \
    X(EXISTS, -7, "already exists")                                                                \
    X(ACCESS, -8, "permission denied")                                                             \
    X(NO_SPACE, -9, "no space left")                                                               \
    X(IO, -10, "input or output failed")                                                           \
    X(UNSUPPORTED, -11, "not supported")                                                           \
    X(TIMEOUT, -12, "deadline exceeded")                                                           \
    X(CRASHED, -13, "child process died")                                                          \
    X(PROTOCOL, -14, "message outside the protocol")                                               \
    X(NONFINITE, -15, "a value is not finite")                                                     \
    X(DAMAGED, -16, "artifact is damaged")                                                         \
    X(INTERRUPTED, -17, "interrupted")                                                             \
    X(BUSY, -18, "in use by another process")                                                      \
    X(TOO_FEW, -19, "too few data")                                                                \
    X(INTERNAL, -20, "internal error")

enum il_code {
    IL_OK = 0,
#define IL_CODE_ENUM(name, value, text) IL_E_##name = (value),
    IL_CODE_MAP(IL_CODE_ENUM)
#undef IL_CODE_ENUM
};

typedef struct il_error {
    int code;        /* an il_code; IL_OK when nothing was recorded */
    int os_errno;    /* errno at the time, 0 when it plays no part */
    char what[384];  /* one sentence without a final stop */
    char where[384]; /* file, file:line:column, cell or process; empty when unknown */
    char hint[384];  /* the next thing to try; empty when there is none */
} il_error;

#if defined(__GNUC__)
#define IL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define IL_MUST_CHECK        __attribute__((warn_unused_result))
#else
#define IL_PRINTF(fmt, args)
#define IL_MUST_CHECK
#endif

/* Records code and message (clearing where, hint and os_errno) and returns code, so that
 * `return il_fail(err, IL_E_RANGE, "…")` is the idiom. err may be NULL. */
int il_fail(il_error *err, int code, const char *fmt, ...) IL_PRINTF(3, 4);

/* As il_fail, for a failed system call: maps errno to a code (ENOENT → NOT_FOUND, EACCES → ACCESS,
 * ENOSPC/EDQUOT → NO_SPACE, ENOMEM → NOMEM, EEXIST → EXISTS, EINTR → INTERRUPTED, else IO) and
 * appends its text. Call before anything that can change errno. */
int il_fail_errno(il_error *err, int os_errno, const char *fmt, ...) IL_PRINTF(3, 4);

/* Adds the place or the next step to an error already recorded. The outermost `where` does not
 * overwrite an inner one: the first, most exact place wins. The hint likewise. */
void il_error_where(il_error *err, const char *fmt, ...) IL_PRINTF(2, 3);
void il_error_hint(il_error *err, const char *fmt, ...) IL_PRINTF(2, 3);

/* "NOMEM" … for a code, "OK" for 0, "UNKNOWN" for anything else. */
const char *il_code_name(int code);
/* The sentence of the code table. */
const char *il_code_text(int code);

#endif
