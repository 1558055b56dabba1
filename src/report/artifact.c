/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/artifact.h"

#include "base/buf.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ROW_BYTES = 64 << 20, MOST_FIELDS = 65536 };

typedef struct csv_reader {
    il_csv_reader *csv;
    il_buf row;      /* fields of the current row, each ended by NUL */
    size_t *starts;  /* of the fields in row */
    size_t n_fields; /* of the current row */
    size_t n_columns;
    char **columns;
} csv_reader;

static int damaged(const csv_reader *r, il_error *err, const char *what)
{
    int rc = il_fail(err, IL_E_DAMAGED, "%s", what);
    il_error_where(err, "%s:%llu", il_csv_path(r->csv), (unsigned long long)il_csv_line(r->csv));
    il_error_hint(err, "rebuild it with \"inferlaw analyze\" on the run directory");
    return rc;
}

/* Reads one row into row/starts; *more false at the end of the file. */
static int row_read(csv_reader *r, bool *more, il_error *err)
{
    const il_csv_field *fields = NULL;
    size_t n = 0;
    il_buf_clear(&r->row);
    r->n_fields = 0;
    int rc = il_csv_next(r->csv, &fields, &n, err);
    if (rc != IL_OK) {
        il_error_hint(err, "rebuild it with \"inferlaw analyze\" on the run directory");
        return rc;
    }
    *more = n > 0;
    for (size_t i = 0; i < n; i++) {
        il_csv_field f = il_csv_unprefix(fields[i]);
        r->starts[r->n_fields++] = r->row.len;
        (void)il_buf_append(&r->row, f.text, f.len);
        (void)il_buf_append(&r->row, "", 1);
    }
    return r->row.status == IL_OK ? IL_OK
                                  : il_fail(err, r->row.status, "a row cannot be held in memory");
}

static int column_of(const csv_reader *r, const char *name)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        if (r->columns[i] && strcmp(r->columns[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int header_read(csv_reader *r, il_error *err)
{
    bool more = false;
    int rc = row_read(r, &more, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (!more) {
        return damaged(r, err, "the file is empty: not even a header row");
    }
    r->columns = calloc(r->n_fields, sizeof *r->columns);
    if (!r->columns) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu columns", r->n_fields);
    }
    r->n_columns = r->n_fields;
    for (size_t i = 0; i < r->n_columns; i++) {
        const char *name = r->row.data + r->starts[i];
        if (name[0] == '\0' || column_of(r, name) >= 0) {
            return damaged(r, err, "the header has an unnamed column or a name twice");
        }
        r->columns[i] = strdup(name);
        if (!r->columns[i]) {
            return il_fail(err, IL_E_NOMEM, "no memory");
        }
    }
    return IL_OK;
}

static void reader_close(csv_reader *r)
{
    if (!r) {
        return;
    }
    il_csv_free(r->csv);
    for (size_t i = 0; i < r->n_columns; i++) {
        free(r->columns[i]);
    }
    free(r->columns);
    free(r->starts);
    il_buf_free(&r->row);
    free(r);
}

static int reader_open(const char *path, csv_reader **out, il_error *err)
{
    *out = NULL;
    csv_reader *r = calloc(1, sizeof *r);
    if (!r) {
        return il_fail(err, IL_E_NOMEM, "no memory for a reader");
    }
    il_buf_init(&r->row, MOST_ROW_BYTES);
    r->starts = calloc(MOST_FIELDS, sizeof *r->starts);
    int rc = r->starts ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a reader");
    if (rc == IL_OK && access(path, F_OK) == 0 && !il_path_is_file(path)) {
        rc = il_fail(err, IL_E_DAMAGED, "the table is not a regular file");
        il_error_where(err, "%s", path);
    }
    rc = rc == IL_OK ? il_csv_open(path, &r->csv, err) : rc;
    if (rc != IL_OK) {
        goto out;
    }
    rc = header_read(r, err);
out:
    if (rc != IL_OK) {
        reader_close(r);
    } else {
        *out = r;
    }
    return rc;
}

static int reader_next(csv_reader *r, bool *more, il_error *err)
{
    int rc = row_read(r, more, err);
    if (rc == IL_OK && *more && r->n_fields != r->n_columns) {
        char what[96];
        (void)snprintf(what, sizeof what, "a row has %zu fields where the header has %zu",
                       r->n_fields, r->n_columns);
        return damaged(r, err, what);
    }
    return rc;
}

static const char *field_of(const csv_reader *r, int column)
{
    if (column < 0 || (size_t)column >= r->n_fields) {
        return "";
    }
    return r->row.data + r->starts[column];
}

static int table_append(il_artifact *t, csv_reader *r, size_t *cap, il_arena *arena, il_error *err)
{
    if (t->n_rows == *cap) {
        size_t grown = *cap ? *cap * 2 : 64;
        const char **cells = il_arena_array(arena, grown * t->n_columns, sizeof *cells);
        if (!cells) {
            return il_fail(err, IL_E_NOMEM, "no memory for the rows of %s", t->file);
        }
        if (t->n_rows > 0) {
            memcpy(cells, t->cells, t->n_rows * t->n_columns * sizeof *cells);
        }
        t->cells = cells;
        *cap = grown;
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        const char *copy = il_arena_strdup(arena, field_of(r, (int)i));
        if (!copy) {
            return il_fail(err, IL_E_NOMEM, "no memory for the rows of %s", t->file);
        }
        t->cells[t->n_rows * t->n_columns + i] = copy;
    }
    t->n_rows++;
    return IL_OK;
}

int il_artifact_load(const char *path, const char *file, il_arena *arena, il_artifact *out,
                     il_error *err)
{
    *out = (il_artifact){.file = file};
    csv_reader *r = NULL;
    il_error local = {0};
    int rc = reader_open(path, &r, &local);
    if (rc == IL_E_NOT_FOUND) {
        return IL_OK;
    }
    if (rc != IL_OK) {
        if (err) {
            *err = local;
        }
        return rc;
    }
    out->present = true;
    out->n_columns = r->n_columns;
    out->columns = il_arena_array(arena, r->n_columns, sizeof *out->columns);
    if (!out->columns) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for the columns of %s", file);
        goto out;
    }
    for (size_t i = 0; i < r->n_columns; i++) {
        out->columns[i] = il_arena_strdup(arena, r->columns[i]);
        if (!out->columns[i]) {
            rc = il_fail(err, IL_E_NOMEM, "no memory for the columns of %s", file);
            goto out;
        }
    }
    size_t cap = 0;
    for (;;) {
        bool more = false;
        rc = reader_next(r, &more, err);
        if (rc != IL_OK || !more) {
            break;
        }
        rc = table_append(out, r, &cap, arena, err);
        if (rc != IL_OK) {
            break;
        }
    }
out:
    reader_close(r);
    return rc;
}

const char *il_artifact_text(const il_artifact *t, size_t row, const char *column)
{
    if (row >= t->n_rows) {
        return "";
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        if (strcmp(t->columns[i], column) == 0) {
            return t->cells[row * t->n_columns + i];
        }
    }
    return "";
}

double il_artifact_number(const il_artifact *t, size_t row, const char *column)
{
    double value;
    return il_text_to_f64(il_artifact_text(t, row, column), &value) == IL_OK ? value : NAN;
}

bool il_artifact_flag(const il_artifact *t, size_t row, const char *column)
{
    const char *text = il_artifact_text(t, row, column);
    return strcmp(text, "True") == 0 || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}
