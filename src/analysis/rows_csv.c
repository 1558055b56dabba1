/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/rows_csv.h"

#include "base/csv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct header {
    size_t n;
    il_column *columns; /* IL_COLUMN_COUNT: passed over */
} header;

static int read_header(il_csv_reader *csv, header *out, il_error *err)
{
    const il_csv_field *fields;
    int rc = il_csv_next(csv, &fields, &out->n, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (out->n == 0) {
        rc = il_fail(err, IL_E_DAMAGED, "the file is empty: no header line");
        il_error_where(err, "%s", il_csv_path(csv));
        return rc;
    }
    out->columns = malloc(out->n * sizeof *out->columns);
    if (!out->columns) {
        return il_fail(err, IL_E_NOMEM, "no memory for the header");
    }
    bool seen[IL_COLUMN_COUNT] = {false};
    for (size_t i = 0; i < out->n; i++) {
        il_column column = il_column_find(fields[i].text, fields[i].len);
        out->columns[i] = column;
        if (column == IL_COLUMN_COUNT) {
            continue;
        }
        if (seen[column]) {
            rc = il_fail(err, IL_E_DAMAGED, "column \"%s\" stands in the header twice",
                         il_columns[column].name);
            il_error_where(err, "%s:1", il_csv_path(csv));
            return rc;
        }
        seen[column] = true;
        if (!il_rows_wants(column)) {
            out->columns[i] = IL_COLUMN_COUNT;
        }
    }
    static const il_column required[] = {IL_C_backend, IL_C_model, IL_C_mode, IL_C_status,
                                         IL_C_latency_ms};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (!seen[required[i]]) {
            rc = il_fail(err, IL_E_DAMAGED, "required column \"%s\" is missing",
                         il_columns[required[i]].name);
            il_error_where(err, "%s:1", il_csv_path(csv));
            il_error_hint(err, "a metrics.csv needs backend, model, mode, status and latency_ms");
            return rc;
        }
    }
    return IL_OK;
}

static bool is_word(il_csv_field field, const char *word)
{
    return field.len == strlen(word) && strncasecmp(field.text, word, field.len) == 0;
}

/* Spaces around a number are forgiven: programs pad columns. */
static il_csv_field trimmed(il_csv_field field)
{
    while (field.len > 0 && field.text[0] == ' ') {
        field.text++;
        field.len--;
    }
    while (field.len > 0 && field.text[field.len - 1] == ' ') {
        field.len--;
    }
    return field;
}

static bool read_boolean(il_csv_field field, double *out)
{
    if (is_word(field, "true") || is_word(field, "1") || is_word(field, "1.0")) {
        *out = 1;
        return true;
    }
    *out = 0;
    return is_word(field, "false") || is_word(field, "0") || is_word(field, "0.0");
}

static bool read_value(il_csv_field field, il_column_type type, il_value *out)
{
    *out = (il_value){field.text, field.len, NAN};
    if (type == IL_COLUMN_T) {
        field = il_csv_unprefix(field);
        *out = (il_value){field.text, field.len, NAN};
        return true;
    }
    field = trimmed(field);
    if (field.len == 0 || is_word(field, "nan") || is_word(field, "none") ||
        is_word(field, "null")) {
        return true;
    }
    if (type == IL_COLUMN_B) {
        return read_boolean(field, &out->num);
    }
    return il_csv_to_f64(field, &out->num);
}

static int read_row(il_csv_reader *csv, const header *head, const il_csv_field *fields, size_t n,
                    il_metric_row *row, il_error *err)
{
    if (n != head->n) {
        int rc = il_fail(err, IL_E_DAMAGED, "%zu fields where the header has %zu", n, head->n);
        il_error_where(err, "%s:%llu", il_csv_path(csv), (unsigned long long)il_csv_line(csv));
        return rc;
    }
    for (size_t i = 0; i < n; i++) {
        il_column column = head->columns[i];
        if (column != IL_COLUMN_COUNT &&
            !read_value(fields[i], il_columns[column].type, &row->v[column])) {
            int rc = il_fail(err, IL_E_DAMAGED, "column \"%s\": \"%.*s\" is not a %s",
                             il_columns[column].name,
                             (int)(fields[i].len < 60 ? fields[i].len : 60), fields[i].text,
                             il_columns[column].type == IL_COLUMN_B ? "boolean" : "finite number");
            il_error_where(err, "%s:%llu", il_csv_path(csv), (unsigned long long)il_csv_line(csv));
            il_error_hint(err, "mend this field, or leave it empty where nothing was measured");
            return rc;
        }
    }
    if (row->v[IL_C_latency_ms].num < 0) {
        int rc = il_fail(err, IL_E_DAMAGED, "column \"latency_ms\": no time is below zero");
        il_error_where(err, "%s:%llu", il_csv_path(csv), (unsigned long long)il_csv_line(csv));
        return rc;
    }
    return IL_OK;
}

int il_rows_from_csv(il_rows *rows, const char *path, il_error *err)
{
    header head = {0};
    il_csv_reader *csv = NULL;
    il_metric_row row;
    il_metric_row_clear(&row);
    int rc = il_csv_open(path, &csv, err);
    if (rc == IL_OK) {
        rc = read_header(csv, &head, err);
    }
    while (rc == IL_OK) {
        const il_csv_field *fields;
        size_t n;
        rc = il_csv_next(csv, &fields, &n, err);
        if (rc != IL_OK || n == 0) {
            break;
        }
        rc = read_row(csv, &head, fields, n, &row, err);
        if (rc == IL_OK) {
            rc = il_rows_add(rows, &row, err);
        }
    }
    free(head.columns);
    il_csv_free(csv);
    return rc;
}
