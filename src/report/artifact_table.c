/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/artifact_table.h"

#include "report/names.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static il__cell_kind kind_of(il__show how)
{
    switch (how) {
    case IL__SHOW_WORDS:
        return IL__CELL_VERDICT;
    case IL__SHOW_PROSE:
        return IL__CELL_PROSE;
    case IL__SHOW_NUMBER:
    case IL__SHOW_PERCENT:
    case IL__SHOW_SHARE:
        return IL__CELL_NUMBER;
    case IL__SHOW_INTERVAL:
    case IL__SHOW_SHARE_INTERVAL:
        return IL__CELL_INTERVAL;
    default:
        return IL__CELL_TEXT;
    }
}

static void put_interval(il__doc *doc, const il_artifact *t, size_t row, const il__shown *c)
{
    double value = il_artifact_number(t, row, c->column);
    double low = il_artifact_number(t, row, c->low ? c->low : "ci_low");
    double high = il_artifact_number(t, row, c->high ? c->high : "ci_high");
    const char *method = il_artifact_text(t, row, "ci_method");
    if (method[0] && !il_findings_quotable(method)) {
        low = high = NAN;
    }
    double k = c->how == IL__SHOW_SHARE_INTERVAL ? 100.0 : 1.0;
    if (!isfinite(value) && (isfinite(low) || isfinite(high))) { /* a bound on one side */
        char bound[96];
        (void)snprintf(bound, sizeof bound, "%s %.4g", isfinite(low) ? "above" : "below",
                       k * (isfinite(low) ? low : high));
        il__doc_cell(doc, bound);
        return;
    }
    il__doc_cell_interval(doc, k * value, k * low, k * high);
}

static void put_cell(il__doc *doc, const il_facts *facts, const il_artifact *t, size_t row,
                     const il__shown *c)
{
    const char *text = il_artifact_text(t, row, c->column);
    double value = il_artifact_number(t, row, c->column);
    switch (c->how) {
    case IL__SHOW_MODEL:
        il__doc_cell(doc, il_facts_model_name(facts, text));
        return;
    case IL__SHOW_X:
        il__doc_cell(doc, il_findings_x_words(text));
        return;
    case IL__SHOW_NUMBER: /* a whole number stays one */
        il__doc_cell_number(doc, value, text[strspn(text, "-0123456789")] ? NULL : "%.0f");
        return;
    case IL__SHOW_INTERVAL:
    case IL__SHOW_SHARE_INTERVAL:
        put_interval(doc, t, row, c);
        return;
    case IL__SHOW_PERCENT:
        il__doc_cell_percent(doc, value);
        return;
    case IL__SHOW_SHARE:
        il__doc_cell_percent(doc, 100.0 * value);
        return;
    case IL__SHOW_YES:
        il__doc_cell(doc, il_artifact_flag(t, row, c->column) ? "yes" : "-");
        return;
    default:
        il__doc_cell(doc, text);
    }
}

size_t il__doc_artifact(il__doc *doc, const il_facts *facts, const il_artifact *table,
                        const char *caption, const il__shown *columns, size_t n_columns,
                        il__row_filter *filter, const void *context)
{
    size_t n = 0;
    il__heading *headings = il_arena_array(doc->arena, n_columns, sizeof *headings);
    if (!headings) {
        doc->status = IL_E_NOMEM;
        return 0;
    }
    for (size_t i = 0; i < n_columns; i++) {
        headings[i] = (il__heading){.title = columns[i].title, .kind = kind_of(columns[i].how)};
    }
    for (size_t row = 0; row < table->n_rows; row++) {
        if (filter && !filter(table, row, context)) {
            continue;
        }
        if (n++ == 0) {
            il__doc_table(doc, IL__BLOCK_TABLE, caption, headings, n_columns, table->file);
        }
        if (!il__doc_row(doc, NULL)) {
            continue;
        }
        for (size_t i = 0; i < n_columns; i++) {
            put_cell(doc, facts, table, row, &columns[i]);
        }
    }
    return n;
}
