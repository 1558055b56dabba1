/* SPDX-License-Identifier: Apache-2.0
 *
 * CSV after RFC 4180: a streaming reader whose memory is one record, and a writer that replaces its
 * file in one rename.
 *
 * Reader: a byte-order mark is skipped, lines end with LF or CRLF, quoted fields may hold commas,
 * quotes (doubled) and newlines, blank lines are skipped.
 * Writer: a field is quoted only when it must be; a text that a spreadsheet would take for a
 * formula (first byte = + - @, tab or carriage return) gets an apostrophe before it, which
 * il_csv_unprefix takes away again. Numbers have the fewest digits that read back the same,
 * booleans are True and False, "not measured" is an empty field.
 */
#ifndef IL_BASE_CSV_H
#define IL_BASE_CSV_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_csv_field {
    const char *text; /* not NUL-terminated; lives until the next call */
    size_t len;
} il_csv_field;

typedef struct il_csv_reader il_csv_reader;

/* A record is at most 64 MiB and 65,536 fields. */
int il_csv_open(const char *path, il_csv_reader **out, il_error *err);
/* The next record, or *n_fields = 0 at the end. IL_E_DAMAGED names file and line: an open quote at
 * the end, bytes after a closing quote, a NUL byte, a record beyond the limits. */
int il_csv_next(il_csv_reader *reader, const il_csv_field **fields, size_t *n_fields,
                il_error *err);
/* The line on which the last record began, from 1. */
uint64_t il_csv_line(const il_csv_reader *reader);
const char *il_csv_path(const il_csv_reader *reader);
void il_csv_free(il_csv_reader *reader); /* NULL is fine */

/* A field without the apostrophe the writer may have put before it. */
il_csv_field il_csv_unprefix(il_csv_field field);
/* A finite decimal number that fills the field, correctly rounded; false otherwise (an empty field
 * too). Faster than strtod on what programs write. */
bool il_csv_to_f64(il_csv_field field, double *out);

typedef struct il_csv_writer {
    int fd;
    char *path, *temporary; /* owned */
    char *data;
    size_t len;
    bool mid_row;
    int code; /* first failure; later calls do nothing */
    int os_errno;
} il_csv_writer;

/* Writes to a temporary beside path until il_csv_close. */
int il_csv_create(const char *path, il_csv_writer *out, il_error *err);
void il_csv_text(il_csv_writer *w, const char *text); /* NULL: empty */
void il_csv_text_n(il_csv_writer *w, const char *text, size_t len);
void il_csv_f64(il_csv_writer *w, double x); /* not finite: empty */
void il_csv_i64(il_csv_writer *w, int64_t x);
void il_csv_bool(il_csv_writer *w, bool x);
void il_csv_empty(il_csv_writer *w);
void il_csv_end_row(il_csv_writer *w);
/* A header, or any row of n texts. */
void il_csv_row(il_csv_writer *w, const char *const *texts, size_t n);
/* Raw bytes outside the row discipline, for formats that share the file handling (JSON lines). */
void il_csv_raw(il_csv_writer *w, const char *bytes, size_t n_bytes);
/* Flushes, fsyncs, renames. After a failure of any earlier call nothing is replaced. */
int il_csv_close(il_csv_writer *w, il_error *err);
/* Gives up: removes the temporary. Harmless after il_csv_close. */
void il_csv_abandon(il_csv_writer *w);

enum { IL_NUMBER_BYTES = 32 };
/* The fewest digits that read back as x, "" when x is not finite; returns the length. */
size_t il_number_print(double x, char out[IL_NUMBER_BYTES]);

#endif
