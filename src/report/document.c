/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/document.h"

#include "report/words.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TEXT_BYTES = 4096, MOST_CELL_CHARS = 90, MOST_PROSE_CHARS = 300 };

/* Room for one more of n items; NULL (and the failure kept) when memory is out. */
static void *grown(il__doc *doc, void *items, size_t n, size_t *cap, size_t size)
{
    if (doc->status != IL_OK) {
        return NULL;
    }
    if (n < *cap) {
        return items;
    }
    size_t more = *cap ? *cap * 2 : 16;
    void *moved = il_arena_array(doc->arena, more, size);
    if (!moved) {
        doc->status = IL_E_NOMEM;
        return NULL;
    }
    if (n > 0) {
        memcpy(moved, items, n * size);
    }
    *cap = more;
    return moved;
}

static const char *kept(il__doc *doc, const char *text)
{
    const char *copy = doc->status == IL_OK ? il_arena_strdup(doc->arena, text) : NULL;
    doc->status = copy || doc->status != IL_OK ? doc->status : IL_E_NOMEM;
    return copy ? copy : "";
}

static const char *cleaned(il__doc *doc, const char *text, size_t most_chars)
{
    char clean[MOST_TEXT_BYTES];
    il_words_clean(clean, sizeof clean, text, most_chars);
    return kept(doc, clean);
}

static il__block *block_add(il__doc *doc, il__block_kind kind)
{
    il__block *blocks =
        grown(doc, doc->blocks, doc->n_blocks, &doc->cap_blocks, sizeof *doc->blocks);
    if (!blocks) {
        return NULL;
    }
    doc->blocks = blocks;
    il__block *b = &doc->blocks[doc->n_blocks++];
    *b = (il__block){.kind = kind, .text = "", .id = ""};
    return b;
}

static il__block *block_last(il__doc *doc)
{
    return doc->status == IL_OK && doc->n_blocks > 0 ? &doc->blocks[doc->n_blocks - 1] : NULL;
}

static void block_text(il__doc *doc, il__block_kind kind, const char *id, const char *text)
{
    il__block *b = block_add(doc, kind);
    if (b) {
        const char *copy = cleaned(doc, text, MOST_TEXT_BYTES / 4);
        const char *id_copy = kept(doc, id);
        b->text = copy;
        b->id = id_copy;
    }
}

void il__doc_section(il__doc *doc, const char *id, const char *title)
{
    block_text(doc, IL__BLOCK_SECTION, id, title);
}

void il__doc_subsection(il__doc *doc, const char *title)
{
    block_text(doc, IL__BLOCK_SUBSECTION, "", title);
}

void il__doc_command(il__doc *doc, const char *line)
{
    block_text(doc, IL__BLOCK_COMMAND, "", line);
}

void il__doc_open(il__doc *doc, il__block_kind kind)
{
    (void)block_add(doc, kind);
}

static void span_add(il__doc *doc, il__span_kind kind, const char *fmt, va_list args)
{
    char text[MOST_TEXT_BYTES];
    (void)vsnprintf(text, sizeof text, fmt, args);
    il__block *b = block_last(doc);
    il__span *spans = b ? grown(doc, b->spans, b->n_spans, &b->cap_spans, sizeof *b->spans) : NULL;
    if (!spans) {
        return;
    }
    b->spans = spans;
    const char *copy = cleaned(doc, text, MOST_TEXT_BYTES / 4);
    if (kind == IL__SPAN_CODE) {
        for (char *p = (char *)(uintptr_t)copy; *p; p++) {
            *p = *p == '`' ? '\'' : *p;
        }
    }
    b->spans[b->n_spans++] = (il__span){.kind = kind, .text = copy};
}

#define SPAN_BUILDER(name, kind)                                                                   \
    void name(il__doc *doc, const char *fmt, ...)                                                  \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, fmt);                                                                       \
        span_add(doc, kind, fmt, args);                                                            \
        va_end(args);                                                                              \
    }
SPAN_BUILDER(il__doc_text, IL__SPAN_TEXT)
SPAN_BUILDER(il__doc_strong, IL__SPAN_STRONG)
SPAN_BUILDER(il__doc_code, IL__SPAN_CODE)

void il__doc_say(il__doc *doc, const char *fmt, ...)
{
    il__doc_open(doc, IL__BLOCK_PARAGRAPH);
    va_list args;
    va_start(args, fmt);
    span_add(doc, IL__SPAN_TEXT, fmt, args);
    va_end(args);
}

void il__doc_absent(il__doc *doc, const char *what, const char *file)
{
    il__doc_open(doc, IL__BLOCK_PARAGRAPH);
    il__doc_text(doc, "%s (", what);
    il__doc_code(doc, "analysis/%s", file);
    il__doc_text(doc, " is not there).");
}

/* ---- tables ---- */

void il__doc_table(il__doc *doc, il__block_kind kind, const char *caption,
                   const il__heading *headings, size_t n_columns, const char *file)
{
    il__block *b = block_add(doc, kind);
    if (b) {
        b->table =
            (il__table){.headings = headings, .n_columns = n_columns, .file = file, .caption = ""};
        b->table.caption = kept(doc, caption);
    }
}

bool il__doc_row(il__doc *doc, const char *anchor)
{
    il__block *b = block_last(doc);
    if (!b) {
        return false;
    }
    il__table *t = &b->table;
    assert(t->headings && t->n_cells == t->n_rows * t->n_columns);
    if (t->file && t->n_rows >= IL__DOC_MOST_ROWS) {
        t->n_more++;
        return false;
    }
    const char **anchors = grown(doc, t->anchors, t->n_rows, &t->cap_rows, sizeof *t->anchors);
    if (!anchors) {
        return false;
    }
    t->anchors = anchors;
    t->anchors[t->n_rows++] = anchor;
    return true;
}

static void cell_add(il__doc *doc, const char *text, double sort)
{
    il__block *b = block_last(doc);
    il__table *t = b ? &b->table : NULL;
    il__cell *cells = t ? grown(doc, t->cells, t->n_cells, &t->cap_cells, sizeof *t->cells) : NULL;
    if (cells) {
        t->cells = cells;
        t->cells[t->n_cells++] = (il__cell){.text = text, .sort = sort};
    }
}

/* The kind of the column that the next cell stands in. */
static il__cell_kind next_kind(il__doc *doc)
{
    il__block *b = block_last(doc);
    return b ? b->table.headings[b->table.n_cells % b->table.n_columns].kind : IL__CELL_TEXT;
}

void il__doc_cell(il__doc *doc, const char *text)
{
    char clean[MOST_TEXT_BYTES];
    il__cell_kind kind = next_kind(doc);
    if (kind == IL__CELL_PROSE) {
        il_words_sentence(clean, sizeof clean, text, MOST_PROSE_CHARS);
    } else {
        il_words_clean(clean, sizeof clean, text, MOST_CELL_CHARS);
    }
    for (char *p = clean; kind == IL__CELL_VERDICT && *p; p++) {
        *p = *p == '_' ? ' ' : *p;
    }
    double sort = NAN;
    if (kind == IL__CELL_NUMBER) {
        (void)sscanf(clean, "%lf", &sort);
    }
    cell_add(doc, kept(doc, clean[0] ? clean : "-"), sort);
}

void il__doc_cell_number(il__doc *doc, double value, const char *fmt)
{
    char text[96] = "-";
    if (isfinite(value) && fmt) {
        (void)snprintf(text, sizeof text, fmt, value);
    } else if (isfinite(value)) {
        il_words_plain(text, sizeof text, value);
    }
    cell_add(doc, kept(doc, text), value);
}

void il__doc_cell_interval(il__doc *doc, double value, double low, double high)
{
    char text[128];
    il_words_interval(text, sizeof text, value, low, high);
    cell_add(doc, kept(doc, text), value);
}

void il__doc_cell_percent(il__doc *doc, double percent)
{
    il__doc_cell_number(doc, percent, fabs(percent) < 9.95 ? "%.1f %%" : "%.0f %%");
}

/* ---- findings, plots, anchors ---- */

void il__doc_findings(il__doc *doc, const il_finding *items, size_t n, const char *none)
{
    if (n == 0) {
        il__doc_say(doc, "%s", none);
        return;
    }
    il__block *b = block_add(doc, IL__BLOCK_FINDINGS);
    if (b) {
        b->findings = items;
        b->n_findings = n;
    }
}

void il__doc_plot(il__doc *doc, const il__plot *plot, const il__plot *narrow, const char *caption)
{
    il__block *b = block_add(doc, IL__BLOCK_PLOT);
    if (b) {
        b->plot = plot;
        b->narrow = narrow;
        b->text = kept(doc, caption);
    }
}

const char *il__doc_plot_path(const il__doc *doc, const il__plot *plot)
{
    const char *path = il_arena_printf(doc->arena, "analysis/plots/report_%s.svg", plot->name);
    return path ? path : "";
}

const char *il__doc_anchor(il__doc *doc, const char *file, size_t row)
{
    size_t stem = strcspn(file, ".");
    const char *id = il_arena_printf(doc->arena, "%.*s-%zu", (int)stem, file, row + 1);
    doc->status = id || doc->status != IL_OK ? doc->status : IL_E_NOMEM;
    return id;
}

bool il__doc_has_anchor(const il__doc *doc, const char *anchor)
{
    for (size_t i = 0; i < doc->n_blocks; i++) {
        const il__table *t = &doc->blocks[i].table;
        for (size_t k = 0; doc->blocks[i].kind == IL__BLOCK_TABLE && k < t->n_rows; k++) {
            if (t->anchors[k] && strcmp(t->anchors[k], anchor) == 0) {
                return true;
            }
        }
    }
    return false;
}

int il__doc_status(const il__doc *doc, il_error *err)
{
    return doc->status == IL_OK ? IL_OK : il_fail(err, doc->status, "no memory for the report");
}
