/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/document.h"

#include "report/words.h"

#include <stdio.h>
#include <string.h>

static void put_spans(il_buf *to, const il__block *b)
{
    for (size_t i = 0; i < b->n_spans; i++) {
        const il__span *s = &b->spans[i];
        const char *mark = s->kind == IL__SPAN_CODE ? "`" : s->kind == IL__SPAN_STRONG ? "**" : "";
        (void)il_buf_puts(to, mark);
        if (s->kind == IL__SPAN_CODE) {
            (void)il_buf_puts(to, s->text); /* clean, and without a backtick */
        } else {
            il_words_markdown(to, s->text);
        }
        (void)il_buf_puts(to, mark);
    }
}

static void put_table(il_buf *to, const il__table *t)
{
    (void)il_buf_puts(to, "|");
    for (size_t i = 0; i < t->n_columns; i++) {
        (void)il_buf_printf(to, " %s |", t->headings[i].title);
    }
    (void)il_buf_puts(to, "\n|");
    for (size_t i = 0; i < t->n_columns; i++) {
        bool right =
            t->headings[i].kind == IL__CELL_NUMBER || t->headings[i].kind == IL__CELL_INTERVAL;
        (void)il_buf_puts(to, right ? "--:|" : "---|");
    }
    (void)il_buf_puts(to, "\n");
    for (size_t row = 0; row < t->n_rows; row++) {
        (void)il_buf_puts(to, "|");
        for (size_t i = 0; i < t->n_columns; i++) {
            (void)il_buf_puts(to, " ");
            const char *text = t->cells[row * t->n_columns + i].text;
            if (text[strspn(text, "-.0123456789 %()to")] == '\0') {
                (void)il_buf_puts(to, text); /* a minus in a cell makes no list */
            } else {
                il_words_markdown(to, text);
            }
            (void)il_buf_puts(to, " |");
        }
        (void)il_buf_puts(to, "\n");
    }
    if (t->n_more > 0) {
        (void)il_buf_printf(to, "\n%zu further rows are in `analysis/%s`.\n", t->n_more, t->file);
    }
    (void)il_buf_puts(to, "\n");
}

static void put_findings(il_buf *to, const il__block *b)
{
    for (size_t i = 0; i < b->n_findings; i++) {
        const il_finding *f = &b->findings[i];
        (void)il_buf_printf(to, "%zu. **", i + 1);
        for (const char *p = f->verdict; *p; p++) {
            (void)il_buf_append(to, *p == '_' ? " " : p, 1);
        }
        (void)il_buf_puts(to, "** ");
        il_words_markdown(to, f->sentence);
        (void)il_buf_puts(to, "  \n   <sub>evidence: ");
        il_words_markdown(to, f->evidence);
        (void)il_buf_puts(to, "</sub>\n");
    }
    (void)il_buf_puts(to, "\n");
}

/* Whether the next block goes on with the same list. */
static bool list_goes_on(const il__doc *doc, size_t i)
{
    return i + 1 < doc->n_blocks && doc->blocks[i + 1].kind == doc->blocks[i].kind;
}

static void put_item(const il__doc *doc, size_t i, size_t *number, il_buf *to)
{
    const il__block *b = &doc->blocks[i];
    if (b->kind == IL__BLOCK_ITEM) {
        (void)il_buf_puts(to, "- ");
    } else {
        (void)il_buf_printf(to, "%zu. ", ++*number);
    }
    put_spans(to, b);
    (void)il_buf_puts(to, "\n");
    if (!list_goes_on(doc, i)) {
        (void)il_buf_puts(to, "\n");
        *number = 0;
    }
}

static void put_plot(const il__doc *doc, const il__block *b, il_buf *to)
{
    (void)il_buf_puts(to, "![");
    il_words_markdown(to, b->plot->title);
    (void)il_buf_printf(to, "](%s)\n\n", il__doc_plot_path(doc, b->plot));
    il_words_markdown(to, b->text);
    (void)il_buf_puts(to, "\n\n");
}

static void put_block(const il__doc *doc, size_t i, size_t *number, il_buf *to)
{
    const il__block *b = &doc->blocks[i];
    switch (b->kind) {
    case IL__BLOCK_SECTION:
    case IL__BLOCK_SUBSECTION:
        (void)il_buf_puts(to, b->kind == IL__BLOCK_SECTION ? "## " : "### ");
        il_words_markdown(to, b->text);
        (void)il_buf_puts(to, "\n\n");
        break;
    case IL__BLOCK_PARAGRAPH:
    case IL__BLOCK_LEAD:
        put_spans(to, b);
        (void)il_buf_puts(to, "\n\n");
        break;
    case IL__BLOCK_ITEM:
    case IL__BLOCK_NUMBERED:
        put_item(doc, i, number, to);
        break;
    case IL__BLOCK_COMMAND: /* an indented block shows text literally; one line is all it may be */
        (void)il_buf_printf(to, "    %s\n\n", b->text);
        break;
    case IL__BLOCK_STRIP:
    case IL__BLOCK_TABLE:
        if (b->table.caption[0]) {
            (void)il_buf_printf(to, "*%s*\n\n", b->table.caption);
        }
        put_table(to, &b->table);
        break;
    case IL__BLOCK_FINDINGS:
        put_findings(to, b);
        break;
    case IL__BLOCK_PLOT:
        put_plot(doc, b, to);
        break;
    }
}

void il__doc_to_md(const il__doc *doc, il_buf *to)
{
    (void)il_buf_puts(to, "# ");
    il_words_markdown(to, doc->title);
    (void)il_buf_puts(to, "\n\n");
    size_t number = 0;
    for (size_t i = 0; i < doc->n_blocks; i++) {
        put_block(doc, i, &number, to);
    }
}
