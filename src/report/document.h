/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The report as one document in memory: sections of paragraphs, lists, tables, findings and plots.
 * It is built once and rendered twice (document_md.c, document_html.c), so that report.md and
 * report.html hold the same words and the same numbers by construction: every number is formatted
 * here, never by a renderer.
 *
 * Builders return nothing; the first failure sticks and il__doc_status tells it. Texts are cleaned
 * and copied; renderers escape them. Shared by the files of src/report only.
 */
#ifndef IL_REPORT_DOCUMENT_H
#define IL_REPORT_DOCUMENT_H

#include "report/artifact.h"
#include "report/findings.h"
#include "report/plot.h"

/* Rows of a table in the report; the rest is in its file, and the report says so. */
enum { IL__DOC_MOST_ROWS = 200 };

typedef enum il__span_kind {
    IL__SPAN_TEXT,
    IL__SPAN_STRONG,
    IL__SPAN_CODE, /* file names, commands; holds no backtick */
} il__span_kind;

typedef struct il__span {
    il__span_kind kind;
    const char *text;
} il__span;

typedef enum il__cell_kind {
    IL__CELL_TEXT,
    IL__CELL_NUMBER,   /* a number, its unit, or "-": to the right */
    IL__CELL_INTERVAL, /* "12.3 (12.1 to 12.6)" */
    IL__CELL_VERDICT,  /* supported, contradicted, not identifiable, … */
    IL__CELL_PROSE,    /* a sentence: wraps */
} il__cell_kind;

typedef struct il__cell {
    const char *text;
    double sort; /* what a numeric column sorts by; NaN: not measured */
} il__cell;

typedef struct il__heading {
    const char *title;
    il__cell_kind kind;
} il__heading;

typedef struct il__table {
    const char *caption;
    const il__heading *headings;
    size_t n_columns;
    il__cell *cells; /* row-major */
    size_t n_cells, cap_cells;
    const char **anchors; /* one a row; NULL none */
    size_t n_rows, cap_rows;
    size_t n_more; /* rows that are only in the file */
    const char *file;
} il__table;

typedef enum il__block_kind {
    IL__BLOCK_SECTION,    /* text = title, id */
    IL__BLOCK_SUBSECTION, /* text = title */
    IL__BLOCK_PARAGRAPH,  /* spans */
    IL__BLOCK_LEAD,       /* spans: question and answer */
    IL__BLOCK_ITEM,       /* spans; items that follow each other are one list */
    IL__BLOCK_NUMBERED,   /* the same, numbered from 1 */
    IL__BLOCK_COMMAND,    /* text: one line as typed */
    IL__BLOCK_STRIP,      /* table of check, value, meaning; each row's state is in its anchor */
    IL__BLOCK_TABLE,
    IL__BLOCK_FINDINGS,
    IL__BLOCK_PLOT,
} il__block_kind;

typedef struct il__block {
    il__block_kind kind;
    const char *text, *id;
    il__span *spans;
    size_t n_spans, cap_spans;
    il__table table;
    const il_finding *findings;
    size_t n_findings;
    const il__plot *plot, *narrow;
} il__block;

typedef struct il__doc {
    il_arena *arena;
    const char *title;
    il__block *blocks;
    size_t n_blocks, cap_blocks;
    int status; /* IL_OK or IL_E_NOMEM, sticky */
} il__doc;

void il__doc_section(il__doc *doc, const char *id, const char *title);
void il__doc_subsection(il__doc *doc, const char *title);

/* Opens a block of spans; the span builders below add to the last block opened. */
void il__doc_open(il__doc *doc, il__block_kind kind);
void il__doc_text(il__doc *doc, const char *fmt, ...) IL_PRINTF(2, 3);
void il__doc_strong(il__doc *doc, const char *fmt, ...) IL_PRINTF(2, 3);
void il__doc_code(il__doc *doc, const char *fmt, ...) IL_PRINTF(2, 3);
/* A paragraph of one text. */
void il__doc_say(il__doc *doc, const char *fmt, ...) IL_PRINTF(2, 3);
/* "WHAT (`analysis/FILE` is not there)." */
void il__doc_absent(il__doc *doc, const char *what, const char *file);
void il__doc_command(il__doc *doc, const char *line);

/* Opens a table (kind IL__BLOCK_TABLE or IL__BLOCK_STRIP); headings must outlive the document. file
 * is the artifact that holds all rows, NULL none. */
void il__doc_table(il__doc *doc, il__block_kind kind, const char *caption,
                   const il__heading *headings, size_t n_columns, const char *file);
/* Whether the table has room for a further row; else the row is counted as one that is only in the
 * file. Call once before the cells of each row. anchor as of il__doc_anchor, or NULL. */
bool il__doc_row(il__doc *doc, const char *anchor);
void il__doc_cell(il__doc *doc, const char *text);
void il__doc_cell_number(il__doc *doc, double value, const char *fmt);
void il__doc_cell_interval(il__doc *doc, double value, double low, double high);
void il__doc_cell_percent(il__doc *doc, double percent);

void il__doc_findings(il__doc *doc, const il_finding *items, size_t n, const char *none);
/* The plots must outlive the document; their layout is made. narrow is the same for a narrow
 * window.
 */
void il__doc_plot(il__doc *doc, const il__plot *plot, const il__plot *narrow, const char *caption);

/* The id of a row of an artifact: "laws-17". */
const char *il__doc_anchor(il__doc *doc, const char *file, size_t row);
/* Whether some table has a row of that id. */
bool il__doc_has_anchor(const il__doc *doc, const char *anchor);
int il__doc_status(const il__doc *doc, il_error *err);

/* report.md; name_of_plot(plot) is where its picture lies. */
void il__doc_to_md(const il__doc *doc, il_buf *to);
/* report.html: one file, no network. */
void il__doc_to_html(const il__doc *doc, il_buf *to);
/* Where report.md finds a plot, relative to the run: "analysis/plots/report_ID.svg". */
const char *il__doc_plot_path(const il__doc *doc, const il__plot *plot);

#endif
