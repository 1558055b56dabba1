/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/table.h"

#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2 };

typedef struct il_table_cell {
    const char *text; /* for people; "" when nothing is there */
    json_t *value;
    bool right;
} il_table_cell;

void il_table_init(il_table *table, const il_column *columns, unsigned n_columns)
{
    *table = (il_table){.columns = columns, .n_columns = n_columns};
}

void il_table_free(il_table *table)
{
    for (size_t i = 0; i < table->n_cells; i++) {
        json_decref(table->cells[i].value);
    }
    free(table->cells);
    il_arena_free(&table->arena);
    *table = (il_table){0};
}

/* Takes over value; NULL for either is memory gone. */
static void add(il_table *table, const char *text, json_t *value, bool right)
{
    if (table->n_cells == table->cap && table->status == IL_OK) {
        size_t cap = table->cap ? 2 * table->cap : 64;
        il_table_cell *cells = realloc(table->cells, cap * sizeof *cells);
        if (cells) {
            table->cells = cells;
            table->cap = cap;
        } else {
            table->status = IL_E_NOMEM;
        }
    }
    if (!text || !value) {
        table->status = IL_E_NOMEM;
    }
    if (table->status != IL_OK) {
        json_decref(value);
        return;
    }
    table->cells[table->n_cells++] = (il_table_cell){text, value, right};
}

void il_table_text(il_table *table, const char *text)
{
    if (!text) {
        il_table_none(table);
        return;
    }
    add(table, il_arena_strdup(&table->arena, text), json_string(text), false);
}

void il_table_int(il_table *table, int64_t value)
{
    add(table, il_arena_printf(&table->arena, "%lld", (long long)value), json_integer(value), true);
}

void il_table_real(il_table *table, double value, int decimals)
{
    il_table_scaled(table, value, 1, decimals);
}

void il_table_scaled(il_table *table, double value, double scale, int decimals)
{
    if (!isfinite(value)) {
        il_table_none(table);
        return;
    }
    bool whole = scale != 1 && value == floor(value) && fabs(value) < 0x1p53;
    add(table, il_arena_printf(&table->arena, "%.*f", decimals, value * scale),
        whole ? json_integer((json_int_t)value) : json_real(value), true);
}

void il_table_flag(il_table *table, bool value)
{
    add(table, value ? "yes" : "no", json_boolean(value), false);
}

void il_table_none(il_table *table)
{
    add(table, "", json_null(), false);
}

/* Code points, which is what a terminal shows of the texts here. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        n += ((unsigned char)*p & 0xC0) != 0x80;
    }
    return n;
}

static void pad(FILE *to, size_t n)
{
    (void)fprintf(to, "%*s", (int)n, "");
}

static void put(FILE *to, const char *text, size_t wide, bool right, bool last)
{
    size_t spare = wide - width(text);
    if (right) {
        pad(to, spare);
    }
    (void)fputs(text, to);
    if (!last) {
        pad(to, (right ? 0 : spare) + GAP);
    }
}

/* A column is right-aligned when its first cell that holds something is a number. */
static bool is_right(const il_table *table, unsigned column)
{
    for (size_t i = column; i < table->n_cells; i += table->n_columns) {
        if (table->cells[i].text[0] != '\0') {
            return table->cells[i].right;
        }
    }
    return false;
}

static int print_text(const il_table *table, FILE *to, il_error *err)
{
    size_t n_rows = table->n_cells / table->n_columns;
    size_t *wide = calloc(table->n_columns, sizeof *wide);
    if (!wide) {
        return il_fail(err, IL_E_NOMEM, "no memory for a table");
    }
    for (unsigned c = 0; c < table->n_columns; c++) {
        wide[c] = width(table->columns[c].title);
        for (size_t r = 0; r < n_rows; r++) {
            size_t w = width(table->cells[r * table->n_columns + c].text);
            wide[c] = w > wide[c] ? w : wide[c];
        }
    }
    for (size_t r = 0; r <= n_rows; r++) {
        for (unsigned c = 0; c < table->n_columns; c++) {
            const char *text = r == 0 ? table->columns[c].title
                                      : table->cells[(r - 1) * table->n_columns + c].text;
            put(to, text, wide[c], is_right(table, c), c + 1 == table->n_columns);
        }
        (void)fputc('\n', to);
    }
    free(wide);
    return IL_OK;
}

json_t *il_table_json(const il_table *table)
{
    json_t *rows = json_array();
    bool failed = rows == NULL || table->status != IL_OK;
    for (size_t i = 0; !failed && i + table->n_columns <= table->n_cells; i += table->n_columns) {
        json_t *row = json_object();
        for (unsigned c = 0; c < table->n_columns; c++) {
            failed |= json_object_set(row, table->columns[c].key, table->cells[i + c].value) != 0;
        }
        failed |= json_array_append_new(rows, row) != 0;
    }
    if (failed) {
        json_decref(rows);
        return NULL;
    }
    return rows;
}

int il_table_print(const il_table *table, bool as_json, FILE *to, il_error *err)
{
    int rc = IL_OK;
    if (table->status != IL_OK) {
        return il_fail(err, table->status, "no memory for a table");
    }
    assert(table->n_cells % table->n_columns == 0);
    if (as_json) {
        json_t *rows = il_table_json(table);
        char *text = rows ? il_json_dump_pretty(rows) : NULL;
        if (text) {
            (void)fprintf(to, "%s\n", text);
        } else {
            rc = il_fail(err, IL_E_NOMEM, "no memory for a table");
        }
        free(text);
        json_decref(rows);
    } else {
        rc = print_text(table, to, err);
    }
    if (rc == IL_OK && (fflush(to) != 0 || ferror(to))) {
        rc = il_fail(err, IL_E_IO, "cannot write the table");
    }
    return rc;
}
