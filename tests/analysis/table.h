/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small CSV files whole in memory, for comparing tables.
 */
#ifndef IL_TESTS_ANALYSIS_TABLE_H
#define IL_TESTS_ANALYSIS_TABLE_H

#include "check.h"

#include "base/arena.h"
#include "base/csv.h"

typedef struct table {
    il_arena arena;
    const char **cells;       /* the header is row 0 */
    size_t n_columns, n_rows; /* rows without the header */
} table;

static inline void table_load(const char *path, table *out)
{
    *out = (table){0};
    il_error err = {0};
    il_csv_reader *csv;
    size_t cap = 1 << 20;
    out->cells = malloc(cap * sizeof *out->cells);
    check_ok(il_csv_open(path, &csv, &err), &err);
    size_t n_cells = 0;
    for (;;) {
        const il_csv_field *fields;
        size_t n;
        check_ok(il_csv_next(csv, &fields, &n, &err), &err);
        if (n == 0) {
            break;
        }
        out->n_columns = out->n_columns ? out->n_columns : n;
        assert_int_equal(n, out->n_columns);
        assert_true(n_cells + n < cap);
        for (size_t i = 0; i < n; i++) {
            out->cells[n_cells++] = il_arena_strndup(&out->arena, fields[i].text, fields[i].len);
        }
    }
    out->n_rows = out->n_columns ? n_cells / out->n_columns - 1 : 0;
    il_csv_free(csv);
}

static inline void table_free(table *t)
{
    free(t->cells);
    il_arena_free(&t->arena);
}

static inline size_t table_column(const table *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        if (strcmp(t->cells[i], name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Row from 0. */
static inline const char *table_at(const table *t, size_t row, const char *column)
{
    size_t c = table_column(t, column);
    if (c == SIZE_MAX || row >= t->n_rows) {
        print_error("no cell %s of row %zu\n", column, row);
        fail();
    }
    return t->cells[(row + 1) * t->n_columns + c];
}

/* The first row from `from` whose column holds the text. */
static inline size_t table_find(const table *t, size_t from, const char *column, const char *text)
{
    for (size_t i = from; i < t->n_rows; i++) {
        if (strcmp(table_at(t, i, column), text) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

#endif
