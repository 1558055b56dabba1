/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The first screen: question, answer, whether it can be trusted, one picture, findings, and what
 * this run cannot tell.
 */
#include "report/names.h"
#include "report/report_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double il__worst_of(const il_artifact *t, const char *column, double centre, size_t *row)
{
    double worst = NAN;
    for (size_t i = 0; i < t->n_rows; i++) {
        double v = il_artifact_number(t, i, column);
        if (isfinite(v) && !(fabs(v - centre) <= fabs(worst - centre))) {
            worst = v;
            *row = i;
        }
    }
    return worst;
}

/* A rate per hour from minutes of blocks says nothing unless its interval leaves out 0. */
bool il__drift_told(const il_artifact *noise, size_t row)
{
    return !(il_artifact_number(noise, row, "drift_ci_low") <= 0.0 &&
             il_artifact_number(noise, row, "drift_ci_high") >= 0.0);
}

/* ---- the validity strip ---- */

static const il__heading strip_headings[] = {{"can it be trusted?", IL__CELL_TEXT},
                                             {"this run", IL__CELL_TEXT},
                                             {"meaning", IL__CELL_PROSE}};

/* state: good, weak, bad, or NULL for neither. */
static void put_check(il__doc *doc, const char *state, const char *what, const char *value,
                      const char *meaning)
{
    if (il__doc_row(doc, state)) {
        il__doc_cell(doc, what);
        il__doc_cell(doc, value);
        il__doc_cell(doc, meaning);
    }
}

static void check_noise(il__doc *doc, const il_facts *f)
{
    const il_artifact *t = &f->noise;
    size_t row = 0, drift_row = 0;
    double aa = il__worst_of(t, "aa_ratio", 1.0, &row);
    double low = il_artifact_number(t, row, "ci_low"), high = il_artifact_number(t, row, "ci_high");
    char text[96] = "not measured";
    if (isfinite(aa)) {
        il_words_interval(text, sizeof text, aa, low, high);
    }
    bool beyond = 100.0 * fabs(aa - 1.0) > il_artifact_number(t, row, "mde_percent");
    bool judged = isfinite(aa) && isfinite(low) && isfinite(high);
    put_check(doc,
              beyond   ? "bad"
              : judged ? "good"
                       : "weak",
              "A/A ratio, worst", text, "the same cell twice: 1 but for noise");
    double mde = il__worst_of(t, "mde_percent", 0.0, &row);
    (void)snprintf(text, sizeof text, isfinite(mde) ? "%.*f %%" : "not measured",
                   mde < 9.95 ? 1 : 0, mde);
    if (mde > 1e4) {
        (void)snprintf(text, sizeof text, "over 10000 %%: nothing can be told apart");
    }
    put_check(doc, isfinite(mde) ? (mde > 10.0 ? "weak" : "good") : "weak",
              "smallest effect, worst", text, "smaller differences get no verdict");
    double drift = il__worst_of(t, "drift_percent_per_hour", 0.0, &drift_row);
    bool told = isfinite(drift) && il__drift_told(t, drift_row);
    /* The table leaves a drift blank whose interval takes in 0; the interval says it was measured.
     */
    size_t unused;
    bool measured =
        told || isfinite(drift) || isfinite(il__worst_of(t, "drift_ci_low", 0.0, &unused));
    (void)snprintf(text, sizeof text,
                   !measured ? "not measured"
                   : told    ? "%.1f %% per hour"
                             : "none to be told from 0",
                   drift);
    put_check(doc,
              !measured                   ? NULL
              : told && fabs(drift) > 5.0 ? "weak"
                                          : "good",
              "drift, worst", text, "blocks in random order keep it out of the laws");
    double closure = il__worst_of(t, "closure", 1.0, &row);
    (void)snprintf(text, sizeof text, "not measured");
    if (isfinite(closure)) {
        double c_low = il_artifact_number(t, row, "closure_ci_low");
        double c_high = il_artifact_number(t, row, "closure_ci_high");
        if (isfinite(c_low) && c_high > 10.0 * c_low) { /* of two or three blocks */
            (void)snprintf(text, sizeof text, "%.3g, too few blocks to tell", closure);
        } else if (isfinite(c_low)) {
            il_words_interval(text, sizeof text, closure, c_low, c_high);
        } else {
            (void)snprintf(text, sizeof text, "%.3f", closure);
        }
    }
    put_check(doc, NULL, "closure, worst", text,
              "an unsplit call over prefill + decode: what stamps cost");
}

static void check_rows(il__doc *doc, const il_medians *m)
{
    char text[256];
    size_t lost = m->n_error + m->n_other + m->n_flagged;
    const struct {
        size_t n;
        const char *word;
    } counts[] = {{m->n_skipped, "skipped"}, {m->n_flagged, "wrong"}, {m->n_not_run, "not run"}};
    (void)snprintf(text, sizeof text, "%zu ok, %zu failed", m->n_ok, m->n_error + m->n_other);
    for (size_t i = 0; i < 3; i++) { /* what did not happen needs no word */
        size_t n = strlen(text);
        if (counts[i].n > 0) {
            (void)snprintf(text + n, sizeof text - n, ", %zu %s", counts[i].n, counts[i].word);
        }
    }
    put_check(doc,
              lost > 0                          ? "bad"
              : m->n_skipped + m->n_not_run > 0 ? "weak"
                                                : "good",
              "rows of metrics.csv", text, "only ok rows count; three rows a call");
    char flags[256] = "";
    for (size_t i = 0; i < m->n_flags; i++) {
        size_t n = strlen(flags);
        (void)snprintf(flags + n, sizeof flags - n, "%s%s on %zu", i ? ", " : "", m->flags[i].word,
                       m->flags[i].n_rows);
    }
    (void)snprintf(text, sizeof text, "%s%s", m->n_flags ? flags : "none",
                   m->n_flags ? " rows" : "");
    char meaning[128];
    (void)snprintf(meaning, sizeof meaning,
                   "the machine was disturbed on %zu ok rows; they stay in the fits",
                   m->n_rows_with_flags);
    put_check(doc, m->n_rows_with_flags * 10 > m->n_ok ? "weak" : NULL, "warning flags", text,
              meaning);
    (void)snprintf(text, sizeof text, "%zu %s; renewed: %s", m->n_blocks,
                   m->n_blocks == 1 ? "block" : "blocks",
                   m->replication ? m->replication : "not recorded");
    put_check(doc, m->by_block ? "good" : "weak", "replication", text, "what an interval can hold");
}

static size_t count_where(const il_artifact *t, const char *column, const char *value)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        n += strcmp(il_artifact_text(t, i, column), value) == 0;
    }
    return n;
}

static void check_blocks(il__doc *doc, const il_facts *f)
{
    char text[160] = "not measured";
    size_t n = 0;
    for (size_t i = 0; i < f->blocks.n_rows; i++) {
        n += il_artifact_flag(&f->blocks, i, "flagged");
    }
    if (f->blocks.n_rows > 0) {
        (void)snprintf(text, sizeof text, "%zu of %zu", n, f->blocks.n_rows);
    }
    put_check(doc,
              f->blocks.n_rows == 0 ? NULL
              : n                   ? "weak"
                                    : "good",
              "flagged blocks", text, "a sentinel measured in each block left its usual range");
    const il_artifact *p = &f->parity;
    (void)snprintf(text, sizeof text, "%s",
                   il_facts_parity_off(f) ? "switched off" : "not measured");
    size_t failed = count_where(p, "verdict", "failed");
    if (p->n_rows > 0) {
        (void)snprintf(text, sizeof text, "%zu passed, %zu failed, %zu not checkable",
                       count_where(p, "verdict", "passed"), failed,
                       count_where(p, "verdict", "not_checkable"));
    }
    put_check(doc,
              p->n_rows == 0 ? NULL
              : failed       ? "bad"
                             : "good",
              "parity", text, "the same weights give the same answers on every backend");
}

static void put_validity(il__doc *doc, const il_facts *f)
{
    il__doc_table(doc, IL__BLOCK_STRIP, "", strip_headings, 3, NULL);
    check_noise(doc, f);
    check_rows(doc, &f->medians);
    check_blocks(doc, f);
}

void il__report_first_screen(il__doc *doc, const il_facts *f, const il_findings *found,
                             const il__pictures *pictures)
{
    il__doc_open(doc, IL__BLOCK_LEAD);
    il__doc_strong(doc, "Question.");
    il__doc_text(doc, " %s", found->question);
    il__doc_open(doc, IL__BLOCK_LEAD);
    il__doc_strong(doc, "Answer.");
    il__doc_text(doc, " %s", found->answer);
    put_validity(doc, f);
    if (pictures->has_step_time) {
        il__doc_plot(doc, &pictures->step_time.plot, &pictures->step_time.narrow,
                     pictures->step_time.caption);
    }
    il__doc_section(doc, "findings", "Findings");
    il__doc_say(doc,
                "Numbers in brackets are 95 %% intervals. Each finding names the row that holds "
                "its numbers; the rows stand under Evidence.");
    il__doc_findings(doc, found->items, found->n_items,
                     "None: no law was judged and no difference exceeds the noise floor.");
    il__doc_section(doc, "cannot-tell", "What this run cannot tell");
    il__doc_findings(doc, found->cannot, found->n_cannot, "Nothing that it knows of.");
}

/* ---- the table of all models ---- */

void il__report_models(il__doc *doc, const il_facts *f)
{
    static const il__heading headings[] = {
        {"backend", IL__CELL_TEXT},         {"model", IL__CELL_TEXT},
        {"parameters, M", IL__CELL_NUMBER}, {"batch", IL__CELL_NUMBER},
        {"prefill, ms", IL__CELL_INTERVAL}, {"decode step, ms", IL__CELL_INTERVAL},
        {"tokens/s", IL__CELL_NUMBER},      {"end to end, ms", IL__CELL_INTERVAL}};
    const il_medians *all = &f->medians;
    il__doc_section(doc, "models", "Every model");
    il__doc_open(doc, IL__BLOCK_PARAGRAPH);
    il__doc_text(doc, "Medians; for several scenarios the geometric mean over them. ");
    il__doc_code(doc, "analysis/medians.csv");
    il__doc_text(doc, " has each scenario.");
    if (il_facts_shared_tail(f)[0]) {
        il__doc_text(doc, " The name of every model ends in ");
        il__doc_code(doc, il_facts_shared_tail(f));
        il__doc_text(doc, ", which sentences, tables and plots leave out; its file has it whole.");
    }
    il__doc_table(doc, IL__BLOCK_TABLE, "", headings, 8, "medians.csv");
    for (size_t i = 0; i < all->n_rows; i++) {
        const il_cell_median *e = &all->rows[i];
        if (!il_medians_leads(all, i) || !il__doc_row(doc, NULL)) {
            continue;
        }
        bool whole = strcmp(e->mode, "e2e_kv") == 0;
        const il_cell_median *p =
            il_medians_find(all, e->backend, e->model, IL_ALL_SCENARIOS, "prefill", e->batch_size);
        const il_cell_median *d = il_medians_find(all, e->backend, e->model, IL_ALL_SCENARIOS,
                                                  "kv_decode", e->batch_size);
        double step[3], rate = (double)e->batch_size * 1000.0;
        il_median_per_step(d, step);
        char tokens[48];
        il_words_number(tokens, sizeof tokens, rate / step[0], rate / step[2], rate / step[1]);
        il__doc_cell(doc, e->backend);
        il__doc_cell(doc, il_facts_model_name(f, e->model));
        il__doc_cell_number(doc, e->params_millions, NULL);
        il__doc_cell_number(doc, (double)e->batch_size, "%.0f");
        il__doc_cell_interval(doc, p ? p->median_ms : NAN, p ? p->low_ms : NAN,
                              p ? p->high_ms : NAN);
        il__doc_cell_interval(doc, step[0], step[1], step[2]);
        il__doc_cell(doc, tokens);
        il__doc_cell_interval(doc, whole ? e->median_ms : NAN, whole ? e->low_ms : NAN,
                              whole ? e->high_ms : NAN);
    }
}
