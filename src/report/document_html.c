/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/document.h"

#include "report/html_page.h"
#include "report/svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The look of a verdict or of a check's state. */
static const char *tone_of(const char *word)
{
    static const char *const tones[][2] = {
        {"supported", "good"}, {"passed", "good"},           {"good", "good"},
        {"same", "none"},      {"contradicted", "bad"},      {"failed", "bad"},
        {"bad", "bad"},        {"not identifiable", "weak"}, {"not_identifiable", "weak"},
        {"weak", "weak"},      {"ill posed", "odd"},         {"ill_posed", "odd"}};
    for (size_t i = 0; i < sizeof tones / sizeof *tones; i++) {
        if (strcmp(tones[i][0], word) == 0) {
            return tones[i][1];
        }
    }
    return "none";
}

static void put_spans(il_buf *to, const il__block *b)
{
    static const char *const tags[] = {NULL, "strong", "code"};
    for (size_t i = 0; i < b->n_spans; i++) {
        const char *tag = tags[b->spans[i].kind];
        if (tag) {
            (void)il_buf_printf(to, "<%s>", tag);
        }
        il__html_text(to, b->spans[i].text);
        if (tag) {
            (void)il_buf_printf(to, "</%s>", tag);
        }
    }
}

/* ---- tables ---- */

/* "12.3 (12.1 to 12.6)": the value first, its interval quieter. */
static void put_interval(il_buf *to, const char *text)
{
    const char *open = strstr(text, " (");
    if (!open || (size_t)(open - text) > 100) {
        il__html_text(to, text);
        return;
    }
    char value[128];
    (void)snprintf(value, sizeof value, "%.*s", (int)(open - text), text);
    il__html_text(to, value);
    (void)il_buf_puts(to, " <span class=\"ci\">");
    il__html_text(to, open + 1);
    (void)il_buf_puts(to, "</span>");
}

static void put_cell(il_buf *to, const il__cell *c, il__cell_kind kind)
{
    bool numeric = kind == IL__CELL_NUMBER || kind == IL__CELL_INTERVAL;
    (void)il_buf_puts(to, "<td");
    if (numeric) {
        (void)il_buf_puts(to, " class=\"n\" data-v=\"");
        if (isfinite(c->sort)) {
            (void)il_buf_printf(to, "%.9g", c->sort);
        }
        (void)il_buf_puts(to, "\">");
    } else {
        (void)il_buf_puts(to, kind == IL__CELL_PROSE ? " class=\"prose\">" : ">");
    }
    if (kind == IL__CELL_INTERVAL) {
        put_interval(to, c->text);
    } else if (kind == IL__CELL_VERDICT && strcmp(c->text, "-") != 0) {
        (void)il_buf_printf(to, "<span class=\"chip %s\">", tone_of(c->text));
        il__html_text(to, c->text);
        (void)il_buf_puts(to, "</span>");
    } else {
        il__html_text(to, c->text);
    }
    (void)il_buf_puts(to, "</td>");
}

static void put_table(il_buf *to, const il__table *t, const char *name)
{
    (void)il_buf_puts(to, "<div class=\"box\" tabindex=\"0\" role=\"region\" aria-label=\"");
    il__html_text(to, t->caption[0] ? t->caption : name);
    (void)il_buf_printf(to, "\"><table%s>", t->n_rows > 1 ? " class=\"sorts\"" : "");
    if (t->caption[0]) {
        (void)il_buf_puts(to, "<caption>");
        il__html_text(to, t->caption);
        (void)il_buf_puts(to, "</caption>");
    }
    (void)il_buf_puts(to, "\n<thead><tr>");
    for (size_t i = 0; i < t->n_columns; i++) {
        bool right =
            t->headings[i].kind == IL__CELL_NUMBER || t->headings[i].kind == IL__CELL_INTERVAL;
        (void)il_buf_printf(to, "<th scope=\"col\"%s>", right ? " class=\"n\"" : "");
        il__html_text(to, t->headings[i].title);
        (void)il_buf_puts(to, "</th>");
    }
    (void)il_buf_puts(to, "</tr></thead>\n<tbody>\n");
    for (size_t row = 0; row < t->n_rows; row++) {
        if (t->anchors[row]) {
            (void)il_buf_puts(to, "<tr id=\"");
            il__html_text(to, t->anchors[row]);
            (void)il_buf_puts(to, "\">");
        } else {
            (void)il_buf_puts(to, "<tr>");
        }
        for (size_t i = 0; i < t->n_columns; i++) {
            put_cell(to, &t->cells[row * t->n_columns + i], t->headings[i].kind);
        }
        (void)il_buf_puts(to, "</tr>\n");
    }
    (void)il_buf_puts(to, "</tbody></table></div>\n");
    if (t->n_more > 0) {
        (void)il_buf_printf(to,
                            "<p class=\"more\">%zu further rows are in <code>analysis/%s</code>."
                            "</p>\n",
                            t->n_more, t->file);
    }
}

static void put_strip(il_buf *to, const il__table *t)
{
    (void)il_buf_puts(to, "<dl class=\"strip\">\n");
    for (size_t row = 0; row < t->n_rows; row++) {
        const il__cell *c = &t->cells[row * t->n_columns];
        (void)il_buf_printf(to, "<div class=\"%s\"><dt>",
                            tone_of(t->anchors[row] ? t->anchors[row] : ""));
        il__html_text(to, c[0].text);
        (void)il_buf_puts(to, "</dt><dd class=\"value\">");
        put_interval(to, c[1].text);
        (void)il_buf_puts(to, "</dd><dd class=\"why\">");
        il__html_text(to, c[2].text);
        (void)il_buf_puts(to, "</dd></div>\n");
    }
    (void)il_buf_puts(to, "</dl>\n");
}

/* ---- findings ---- */

static void put_link(const il__doc *doc, const il_citation *cite, const char *text, il_buf *to)
{
    char id[160];
    (void)snprintf(id, sizeof id, "%.*s-%zu", (int)strcspn(cite->table->file, "."),
                   cite->table->file, cite->row + 1);
    bool linked = il__doc_has_anchor(doc, id);
    if (linked) {
        (void)il_buf_printf(to, "<a href=\"#%s\">", id);
    }
    il__html_text(to, text);
    (void)il_buf_puts(to, linked ? "</a>" : "");
}

static void put_findings(const il__doc *doc, const il__block *b, il_buf *to)
{
    (void)il_buf_puts(to, "<ol class=\"findings\">\n");
    for (size_t i = 0; i < b->n_findings; i++) {
        const il_finding *f = &b->findings[i];
        char verdict[40];
        (void)snprintf(verdict, sizeof verdict, "%s", f->verdict);
        for (char *p = verdict; *p; p++) {
            *p = *p == '_' ? ' ' : *p;
        }
        (void)il_buf_printf(to, "<li><div><span class=\"chip %s\">", tone_of(verdict));
        il__html_text(to, verdict);
        (void)il_buf_puts(to, "</span></div><p>");
        il__html_text(to, f->sentence);
        (void)il_buf_puts(to, "</p><p class=\"evidence\">evidence: ");
        if (f->n_cites > 0) {
            put_link(doc, &f->cites[0], f->evidence, to);
        } else {
            il__html_text(to, f->evidence);
        }
        for (size_t k = 1; k < f->n_cites; k++) {
            (void)il_buf_puts(to, ", ");
            put_link(doc, &f->cites[k], "further row", to);
        }
        (void)il_buf_puts(to, "</p></li>\n");
    }
    (void)il_buf_puts(to, "</ol>\n");
}

/* ---- blocks ---- */

static bool is_item(const il__block *b)
{
    return b->kind == IL__BLOCK_ITEM || b->kind == IL__BLOCK_NUMBERED;
}

static void put_item(const il__doc *doc, size_t i, il_buf *to)
{
    const il__block *b = &doc->blocks[i];
    const char *tag = b->kind == IL__BLOCK_ITEM ? "ul" : "ol";
    if (i == 0 || doc->blocks[i - 1].kind != b->kind) {
        (void)il_buf_printf(to, "<%s>\n", tag);
    }
    (void)il_buf_puts(to, "<li>");
    put_spans(to, b);
    (void)il_buf_puts(to, "</li>\n");
    if (i + 1 == doc->n_blocks || doc->blocks[i + 1].kind != b->kind) {
        (void)il_buf_printf(to, "</%s>\n", tag);
    }
}

static void put_plot(const il__block *b, il_buf *to)
{
    (void)il_buf_puts(to, "<figure>\n");
    il__svg_put(b->plot, false, to);
    il__svg_put(b->narrow, false, to);
    (void)il_buf_puts(to, "<figcaption>");
    il__html_text(to, b->text);
    (void)il_buf_puts(to, "</figcaption></figure>\n");
}

static void put_block(const il__doc *doc, size_t i, bool *in_section, const char **name, il_buf *to)
{
    const il__block *b = &doc->blocks[i];
    if (is_item(b)) {
        put_item(doc, i, to);
        return;
    }
    switch (b->kind) {
    case IL__BLOCK_SECTION:
        (void)il_buf_printf(to, "%s<section id=\"%s\" aria-labelledby=\"h-%s\">\n<h2 id=\"h-%s\">",
                            *in_section ? "</section>\n" : "", b->id, b->id, b->id);
        il__html_text(to, b->text);
        (void)il_buf_puts(to, "</h2>\n");
        *in_section = true;
        *name = b->text;
        break;
    case IL__BLOCK_SUBSECTION:
        (void)il_buf_puts(to, "<h3>");
        il__html_text(to, b->text);
        (void)il_buf_puts(to, "</h3>\n");
        *name = b->text;
        break;
    case IL__BLOCK_PARAGRAPH:
    case IL__BLOCK_LEAD:
        (void)il_buf_puts(to, b->kind == IL__BLOCK_LEAD ? "<p class=\"lead\">" : "<p>");
        put_spans(to, b);
        (void)il_buf_puts(to, "</p>\n");
        break;
    case IL__BLOCK_COMMAND:
        (void)il_buf_puts(to, "<pre><code>");
        il__html_text(to, b->text);
        (void)il_buf_puts(to, "</code></pre>\n");
        break;
    case IL__BLOCK_STRIP:
        put_strip(to, &b->table);
        break;
    case IL__BLOCK_TABLE:
        put_table(to, &b->table, *name);
        break;
    case IL__BLOCK_FINDINGS:
        put_findings(doc, b, to);
        break;
    default:
        put_plot(b, to);
    }
}

static void put_contents(const il__doc *doc, il_buf *to)
{
    (void)il_buf_puts(to, "<nav aria-label=\"Sections\"><ol>\n");
    for (size_t i = 0; i < doc->n_blocks; i++) {
        if (doc->blocks[i].kind == IL__BLOCK_SECTION) {
            (void)il_buf_printf(to, "<li><a href=\"#%s\">", doc->blocks[i].id);
            il__html_text(to, doc->blocks[i].text);
            (void)il_buf_puts(to, "</a></li>\n");
        }
    }
    (void)il_buf_puts(to, "</ol></nav>\n");
}

void il__doc_to_html(const il__doc *doc, il_buf *to)
{
    il__html_head(to, doc->title);
    (void)il_buf_puts(to, "<a class=\"skip\" href=\"#content\">Skip to the content</a>\n"
                          "<div class=\"sheet\">\n<header><h1>");
    il__html_text(to, doc->title);
    (void)il_buf_puts(to, "</h1><button id=\"theme\" type=\"button\" hidden>light or dark</button>"
                          "</header>\n");
    put_contents(doc, to);
    (void)il_buf_puts(to, "<main id=\"content\">\n");
    bool in_section = false;
    const char *name = "checks";
    for (size_t i = 0; i < doc->n_blocks; i++) {
        put_block(doc, i, &in_section, &name, to);
    }
    (void)il_buf_puts(to, in_section ? "</section>\n</main>\n</div>\n" : "</main>\n</div>\n");
    il__html_tail(to);
}
