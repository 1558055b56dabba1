/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw verify: every artifact of a run made again from its journal, in a scratch directory, and
 * held against what is stored (docs/verify.md).
 */
#ifndef IL_CLI_VERIFY_H
#define IL_CLI_VERIFY_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_verify {
    json_t *findings; /* {"artifact", "state", "line", "column", "stored", "recomputed", "text"} */
    size_t n_ok, n_differ;
} il_verify;

/* Checks all of the run and writes nothing into it. What differs is a finding, not an error; errors
 * are those of the check itself: NOT_FOUND when run_dir is no run, IO, NO_SPACE, NOMEM. */
int il_verify_run(const char *run_dir, il_verify *out, il_error *err);
void il_verify_free(il_verify *verify);

/* One line for people, without its newline; malloc'd. NULL when memory is out. */
char *il_verify_line(const json_t *finding);

/* --- shared with verify_files.c --------------------------------------------------------------- */

void il__verify_ok(il_verify *v, const char *artifact, const char *text);
void il__verify_note(il_verify *v, const char *artifact, const char *text);
/* column, stored and recomputed may be NULL; line 0: none. */
void il__verify_differs(il_verify *v, const char *artifact, uint64_t line, const char *column,
                        const char *stored, const char *recomputed, const char *text);

/* Holds stored against fresh, both there, and records a finding: field by field, key by key, or
 * number by number. */
int il__verify_csv(il_verify *v, const char *artifact, const char *stored, const char *fresh,
                   il_error *err);
int il__verify_json_lines(il_verify *v, const char *artifact, const char *stored, const char *fresh,
                          il_error *err);
int il__verify_text(il_verify *v, const char *artifact, const char *stored, const char *fresh,
                    il_error *err);

#endif
