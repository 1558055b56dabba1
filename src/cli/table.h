/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A small table for people (aligned columns, numbers to the right) or for programs (JSON: a list of
 * objects, numbers in full). Fill it row by row, cell by cell; errors stick until it is printed.
 *
 *   static const il_column columns[] = {{"model", "model"}, {"params M", "params_total"}};
 *   il_table t;
 *   il_table_init(&t, columns, 2);
 *   il_table_text(&t, "gpt2-25m");
 *   il_table_scaled(&t, 25016064, 1e-6, 3);          shown as 25.016, in JSON 25016064
 *   rc = il_table_print(&t, as_json, stdout, &err);
 *   il_table_free(&t);
 */
#ifndef IL_CLI_TABLE_H
#define IL_CLI_TABLE_H

#include "base/arena.h"
#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct il_column {
    const char *title; /* over the column */
    const char *key;   /* in JSON */
} il_column;

typedef struct il_table {
    const il_column *columns; /* not owned */
    unsigned n_columns;
    struct il_table_cell *cells; /* row by row */
    size_t n_cells, cap;
    il_arena arena;
    int status;
} il_table;

void il_table_init(il_table *table, const il_column *columns, unsigned n_columns);
void il_table_free(il_table *table);

/* The next cell of the current row. */
void il_table_text(il_table *table, const char *text); /* NULL: nothing there */
void il_table_int(il_table *table, int64_t value);
/* decimals after the point for people; not finite: nothing there, null in JSON. */
void il_table_real(il_table *table, double value, int decimals);
/* value × scale for people, value itself in JSON (an integer when it is one). */
void il_table_scaled(il_table *table, double value, double scale, int decimals);
void il_table_flag(il_table *table, bool value); /* yes, no */
void il_table_none(il_table *table);

/* Asserts whole rows. IL_E_NOMEM when a cell was lost, IL_E_IO when `to` fails. */
int il_table_print(const il_table *table, bool as_json, FILE *to, il_error *err);
/* The list of objects, for a verb that prints more than one table. NULL when memory is out. */
json_t *il_table_json(const il_table *table);

#endif
