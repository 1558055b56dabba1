/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The CSV artifacts of a run with columns by name, whole tables over base/csv.h. A column that is
 * not there reads as empty, because tables of other programs may lack what is optional. Fields
 * come without the apostrophe that guards against formulas.
 */
#ifndef IL_REPORT_ARTIFACT_H
#define IL_REPORT_ARTIFACT_H

#include "base/arena.h"
#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_artifact {
    const char *file; /* name for evidence and errors, "laws.csv" */
    bool present;     /* false: the file was not there, and the table has no rows */
    size_t n_rows, n_columns;
    const char **columns;
    const char **cells; /* n_rows × n_columns, row-major */
} il_artifact;

/* Loads a whole table into the arena. An absent file is IL_OK with present false. Errors: ACCESS,
 * DAMAGED (no regular file, no header, an unnamed or doubled column, a row of another width, what
 * base/csv.h refuses). */
int il_artifact_load(const char *path, const char *file, il_arena *arena, il_artifact *out,
                     il_error *err);
/* "" when the row or the column is not there. */
const char *il_artifact_text(const il_artifact *table, size_t row, const char *column);
/* NaN when empty, absent or no finite number. */
double il_artifact_number(const il_artifact *table, size_t row, const char *column);
/* "True" or "true" or "1". */
bool il_artifact_flag(const il_artifact *table, size_t row, const char *column);

#endif
