/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The CSV artifacts of a run with columns by name, over base/csv.h. Two ways: row by row for
 * metrics.csv, which may be large, and whole tables for analysis/, which are small. A column that
 * is not there reads as empty, because tables of other programs may lack what is optional. Fields
 * come without the apostrophe that guards against formulas.
 */
#ifndef IL_REPORT_ARTIFACT_H
#define IL_REPORT_ARTIFACT_H

#include "base/arena.h"
#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il__csv_reader il__csv_reader;

/* Opens a regular file and reads its header row. Errors: NOT_FOUND, ACCESS, DAMAGED (no header, an
 * unnamed or doubled column). */
int il__csv_open(const char *path, il__csv_reader **out, il_error *err);
void il__csv_close(il__csv_reader *reader);
/* The next row: *more is false at the end of the file. The fields stay valid until the next call.
 * DAMAGED: a row with another number of fields than the header, or what base/csv.h
 * refuses. */
int il__csv_next(il__csv_reader *reader, bool *more, il_error *err);
/* Index of a column, −1 when there is none. */
int il__csv_column(const il__csv_reader *reader, const char *name);
/* Field of the current row; "" for column −1. */
const char *il__csv_field(const il__csv_reader *reader, int column);
/* Line number on which the current row begins. */
uint64_t il__csv_line(const il__csv_reader *reader);

typedef struct il_artifact {
    const char *file; /* name for evidence and errors, "laws.csv" */
    bool present;     /* false: the file was not there, and the table has no rows */
    size_t n_rows, n_columns;
    const char **columns;
    const char **cells; /* n_rows × n_columns, row-major */
} il_artifact;

/* Loads a whole table into the arena. An absent file is IL_OK with present false. */
int il_artifact_load(const char *path, const char *file, il_arena *arena, il_artifact *out,
                     il_error *err);
/* "" when the row or the column is not there. */
const char *il_artifact_text(const il_artifact *table, size_t row, const char *column);
/* NaN when empty, absent or no finite number. */
double il_artifact_number(const il_artifact *table, size_t row, const char *column);
/* "True" or "true" or "1". */
bool il_artifact_flag(const il_artifact *table, size_t row, const char *column);

#endif
