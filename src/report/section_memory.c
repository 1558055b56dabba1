/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Memory and energy: what processes took, where the ladder ended, joules per token. The sections
 * are there when their tables have rows.
 */
#include "report/artifact_table.h"
#include "report/names.h"
#include "report/report_internal.h"

#include <math.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MIB             1048576.0

static const char *text(const il_artifact *t, size_t row, const char *column)
{
    return il_artifact_text(t, row, column);
}

static bool what_is(const il_artifact *t, size_t row, const char *what)
{
    return strcmp(text(t, row, "what"), what) == 0;
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Bytes read as MiB; tokens, sequences and slopes as they are. */
static double scale_of(const il_artifact *t, size_t row)
{
    return strcmp(text(t, row, "unit"), "bytes") == 0 ? 1 / MIB : 1;
}

static const char *shown_unit(const il_artifact *t, size_t row)
{
    return strcmp(text(t, row, "unit"), "bytes") == 0 ? "MiB" : text(t, row, "unit");
}

static void put_rows(il__doc *doc, const il_facts *f, const char *caption, const char *const *whats,
                     size_t n_whats)
{
    static const il__heading headings[] = {
        {"backend", IL__CELL_TEXT}, {"model", IL__CELL_TEXT},          {"batch", IL__CELL_NUMBER},
        {"what", IL__CELL_TEXT},    {"along", IL__CELL_TEXT},          {"value", IL__CELL_INTERVAL},
        {"unit", IL__CELL_TEXT},    {"by the shape", IL__CELL_NUMBER}, {"note", IL__CELL_PROSE}};
    const il_artifact *t = &f->memory;
    bool opened = false;
    for (size_t i = 0; i < t->n_rows; i++) {
        bool wanted = false;
        for (size_t k = 0; k < n_whats; k++) {
            wanted = wanted || what_is(t, i, whats[k]);
        }
        if (!wanted) {
            continue;
        }
        if (!opened) {
            il__doc_table(doc, IL__BLOCK_TABLE, caption, headings, COUNT_OF(headings), t->file);
            opened = true;
        }
        if (!il__doc_row(doc, NULL)) {
            continue;
        }
        double scale = scale_of(t, i);
        il__doc_cell(doc, text(t, i, "backend"));
        il__doc_cell(doc, il_facts_model_name(f, text(t, i, "model")));
        il__doc_cell_number(doc, il_artifact_number(t, i, "batch_size"), "%.0f");
        il__doc_cell(doc, text(t, i, "what"));
        il__doc_cell(doc, text(t, i, "axis"));
        il__doc_cell_interval(doc, il_artifact_number(t, i, "estimate") * scale,
                              il_artifact_number(t, i, "ci_low") * scale,
                              il_artifact_number(t, i, "ci_high") * scale);
        il__doc_cell(doc, shown_unit(t, i));
        il__doc_cell_number(doc, il_artifact_number(t, i, "predicted") * scale, "%.4g");
        il__doc_cell(doc, text(t, i, "note"));
    }
}

static bool has_ladder(const il_artifact *t)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (what_is(t, i, "wall")) {
            return true;
        }
    }
    return false;
}

void il__report_memory(il__doc *doc, const il_facts *f)
{
    static const char *const held[] = {"rss_after_call"};
    static const char *const walls[] = {"wall", "growth_per_token", "growth_per_sequence",
                                        "paging_starts"};
    static const char *const peaks[] = {"peak_rss", "pss", "peak_vram"};
    if (f->memory.n_rows == 0) {
        return;
    }
    il__doc_section(doc, "memory", "Memory");
    if (has_ladder(&f->memory)) {
        il__doc_say(doc, "The ladder climbed models, context or batch in a child under a memory "
                         "limit until it failed. The value of a wall is the last rung that held; "
                         "its interval ends at the first that failed. By the shape: weights and "
                         "KV cache alone, without what a runtime needs besides.");
        put_rows(doc, f, "Walls and growth", walls, COUNT_OF(walls));
        put_rows(doc, f, "Peaks on the ladder", peaks, COUNT_OF(peaks));
    }
    put_rows(doc, f, "Resident after the calls of the study", held, COUNT_OF(held));
}

/* --- energy ----------------------------------------------------------------------------------- */

static bool is_told(const il_artifact *t, size_t row, const void *context)
{
    (void)context;
    return !what_is(t, row, "not_readable");
}

void il__report_energy(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"model", "model", IL__SHOW_MODEL, NULL, NULL},
        {"batch", "batch_size", IL__SHOW_NUMBER, NULL, NULL},
        {"meter", "meter", IL__SHOW_TEXT, NULL, NULL},
        {"what", "what", IL__SHOW_WORDS, NULL, NULL},
        {"basis", "basis", IL__SHOW_WORDS, NULL, NULL},
        {"unit", "unit", IL__SHOW_TEXT, NULL, NULL},
        {"samples", "n", IL__SHOW_NUMBER, NULL, NULL},
        {"value (95 % interval)", "estimate", IL__SHOW_INTERVAL, NULL, NULL},
        {"window, s", "window_s", IL__SHOW_NUMBER, NULL, NULL},
        {"resolution, ms", "resolution_ms", IL__SHOW_NUMBER, NULL, NULL},
        {"note", "note", IL__SHOW_PROSE, NULL, NULL}};
    const il_artifact *t = &f->energy;
    if (t->n_rows == 0) {
        return;
    }
    il__doc_section(doc, "energy", "Energy");
    if (!is_told(t, 0, NULL)) {
        il__doc_say(doc, "Not readable here: %s.", text(t, 0, "note"));
        return;
    }
    il__doc_say(doc, "Joules per token from windows of repeated calls with one decode step and "
                     "with all: gross, and above what the meter counted while nothing ran. A meter "
                     "counts all that its part of the machine does; meters overlap and are not "
                     "added up.");
    (void)il__doc_artifact(doc, f, t, "", columns, COUNT_OF(columns), is_told, NULL);
}
