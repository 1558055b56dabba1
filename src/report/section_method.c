/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Method, how to reproduce, and the rows behind the findings.
 */
#include "report/report_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void put_step(il__doc *doc, const char *text)
{
    il__doc_open(doc, IL__BLOCK_NUMBERED);
    il__doc_text(doc, "%s", text);
}

void il__report_method(il__doc *doc, const il_facts *f)
{
    static const char *const steps[] = {
        "Prefill is one forward pass over the prompt; decode is single-token steps on its cache; "
        "decode times divide by the steps that ran.",
        "A cell's time is the median over replicates; its interval is exact, from order "
        "statistics, at 95 % or more.",
        "Over several scenarios: the geometric mean within each replicate, then the median.",
        "A law is fitted over models; its interval is by resampling models and blocks, widened "
        "until it covers (ci_method nested_bootstrap), or Student's t.",
        "Every law is fitted again without each model; a law with a decisive model, or with fewer "
        "than its coefficients + 3 models, is not identifiable.",
        "Two arms of the same cell give the noise floor; smaller effects get no verdict.",
        "Rows with a warning flag stay in; rows that failed, were skipped or are wrong do not.",
        "Every number above is in the artifact that its evidence names."};
    const il_medians *m = &f->medians;
    il__doc_section(doc, "method", "Method");
    il__doc_open(doc, IL__BLOCK_NUMBERED);
    if (m->by_block) {
        il__doc_text(doc,
                     "%zu blocks: each is a pass over all cells in random order; the block is the "
                     "unit of replication.",
                     m->n_blocks);
    } else {
        il__doc_text(doc, "One block: the calls of a cell are the replicates.");
    }
    il__doc_open(doc, IL__BLOCK_NUMBERED);
    il__doc_text(doc, "%zu warm-up rows stay out; %zu rows are measured.", m->n_warmup,
                 m->n_measured);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        put_step(doc, steps[i]);
    }
}

/* ---- how to reproduce ---- */

static void put_time(il__doc *doc, const char *label, double unix_s)
{
    time_t at = isfinite(unix_s) && unix_s > 0.0 && unix_s < 4e10 ? (time_t)unix_s : 0;
    struct tm utc;
    char text[64];
    if (at > 0 && gmtime_r(&at, &utc) &&
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc)) {
        il__doc_open(doc, IL__BLOCK_ITEM);
        il__doc_text(doc, "%s: %s", label, text);
    }
}

static void put_fact(il__doc *doc, const char *label, const char *text)
{
    if (text[0]) {
        il__doc_open(doc, IL__BLOCK_ITEM);
        il__doc_text(doc, "%s: %s", label, text);
    }
}

/* The command as one would type it, each word quoted where it must be. */
static void put_argv(il__doc *doc, const json_t *argv)
{
    il_buf line;
    il_buf_init(&line, 1 << 20);
    size_t i;
    json_t *word;
    json_array_foreach((json_t *)argv, i, word)
    {
        char clean[1024];
        il_words_clean(clean, sizeof clean, json_is_string(word) ? json_string_value(word) : "?",
                       200);
        bool plain = clean[0] && !clean[strcspn(clean, " \t'\"\\$`&|;<>()*?[]#~!{}")];
        (void)il_buf_puts(&line, i ? " " : "");
        if (plain) {
            (void)il_buf_puts(&line, clean);
            continue;
        }
        (void)il_buf_puts(&line, "'");
        for (const char *p = clean; *p; p++) {
            (void)(*p == '\'' ? il_buf_puts(&line, "'\\''") : il_buf_append(&line, p, 1));
        }
        (void)il_buf_puts(&line, "'");
    }
    if (line.len > 0 && line.status == IL_OK) {
        il__doc_command(doc, il_buf_text(&line));
    }
    il_buf_free(&line);
}

void il__report_reproduce(il__doc *doc, const il_facts *f)
{
    il__doc_section(doc, "reproduce", "How to reproduce");
    put_argv(doc, json_object_get(f->manifest, "argv"));
    put_fact(doc, "study file", il_facts_text(f, NULL, "config_path"));
    put_fact(doc, "hash of the study", il_facts_text(f, NULL, "config_sha256"));
    put_fact(doc, "hash of the program's source", il_facts_text(f, NULL, "source_hash"));
    put_fact(doc, "version", il_facts_text(f, NULL, "version"));
    double seed = il_facts_number(f, NULL, "seed");
    if (isfinite(seed)) {
        il__doc_open(doc, IL__BLOCK_ITEM);
        il__doc_text(doc, "seed: %.0f", seed);
    }
    put_time(doc, "started", il_facts_number(f, NULL, "started_at_unix"));
    put_time(doc, "finished", il_facts_number(f, NULL, "finished_at_unix"));
    il__doc_open(doc, IL__BLOCK_ITEM);
    if (!f->manifest) {
        il__doc_text(doc, "The run has no manifest.");
        il__doc_open(doc, IL__BLOCK_ITEM);
    }
    il__doc_text(doc, "the tables again from the journal: ");
    il__doc_code(doc, "inferlaw analyze");
    il__doc_text(doc, ", then ");
    il__doc_code(doc, "inferlaw report");
    il__doc_text(doc, ", on this directory");
}

/* ---- evidence ---- */

typedef struct cited {
    const il_finding *lists[2];
    size_t n[2];
} cited;

static bool is_cited(const cited *all, const il_artifact *table, size_t row)
{
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < all->n[k]; i++) {
            const il_finding *f = &all->lists[k][i];
            for (size_t c = 0; c < f->n_cites; c++) {
                if (f->cites[c].table == table && (row == SIZE_MAX || f->cites[c].row == row)) {
                    return true;
                }
            }
        }
    }
    return false;
}

static bool is_prose(const char *column)
{
    static const char *const names[] = {"because", "statement", "would_decide", "evidence", "note"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], column) == 0) {
            return true;
        }
    }
    return false;
}

/* The cited rows of one table; columns that are empty in all of them are left out. */
static void put_rows(il__doc *doc, const il_artifact *t, const cited *all)
{
    il__heading *headings = il_arena_array(doc->arena, t->n_columns + 1, sizeof *headings);
    size_t n = 0;
    for (size_t c = 0; headings && c < t->n_columns; c++) {
        bool filled = false;
        for (size_t row = 0; !filled && row < t->n_rows; row++) {
            filled = t->cells[row * t->n_columns + c][0] && is_cited(all, t, row);
        }
        if (filled) {
            headings[n++] =
                (il__heading){.title = t->columns[c],
                              .kind = is_prose(t->columns[c]) ? IL__CELL_PROSE : IL__CELL_TEXT};
        }
    }
    if (!headings) {
        doc->status = IL_E_NOMEM;
        return;
    }
    il__doc_subsection(doc, il_arena_printf(doc->arena, "analysis/%s", t->file));
    il__doc_table(doc, IL__BLOCK_TABLE, "", headings, n, t->file);
    for (size_t row = 0; row < t->n_rows; row++) {
        if (!is_cited(all, t, row) || !il__doc_row(doc, il__doc_anchor(doc, t->file, row))) {
            continue;
        }
        for (size_t c = 0; c < n; c++) {
            il__doc_cell(doc, il_artifact_text(t, row, headings[c].title));
        }
    }
}

void il__report_evidence(il__doc *doc, const il_facts *f, const il_findings *found)
{
    const cited all = {{found->items, found->cannot}, {found->n_items, found->n_cannot}};
    const il_artifact *const tables[] = {
        &f->median_rows, &f->laws,     &f->leave_one_out, &f->baselines, &f->shape_costs,
        &f->noise,       &f->steps,    &f->tails,         &f->regimes,   &f->crossovers,
        &f->first_limit, &f->rankings, &f->claims,        &f->sampling,  &f->outcomes};
    il__doc_section(doc, "evidence", "Evidence");
    il__doc_say(doc, "The rows that the findings name, as they stand in their files.");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (is_cited(&all, tables[i], SIZE_MAX)) {
            put_rows(doc, tables[i], &all);
        }
    }
}
