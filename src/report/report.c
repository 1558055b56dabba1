/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/report.h"

#include "base/file.h"
#include "base/version.h"
#include "report/facts.h"
#include "report/findings.h"
#include "report/names.h"
#include "report/report_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MOST_REPORT_BYTES = 256 << 20 };

void il__md_cell(il_buf *to, const char *text)
{
    char clean[400];
    il_words_clean(clean, sizeof clean, text, 90);
    (void)il_buf_puts(to, " ");
    il_words_markdown(to, clean);
    (void)il_buf_puts(to, " |");
}

void il__md_number(il_buf *to, double value, double low, double high)
{
    char text[96];
    il_words_interval(text, sizeof text, value, low, high);
    (void)il_buf_printf(to, " %s |", text);
}

static void put_findings(il_buf *to, const il_finding *items, size_t n, const char *none)
{
    if (n == 0) {
        (void)il_buf_printf(to, "%s\n", none);
    }
    for (size_t i = 0; i < n; i++) {
        (void)il_buf_printf(to, "%zu. **%s** ", i + 1, items[i].verdict);
        il_words_markdown(to, items[i].sentence);
        (void)il_buf_puts(to, "  \n   <sub>evidence: ");
        il_words_markdown(to, items[i].evidence);
        (void)il_buf_puts(to, "</sub>\n");
    }
    (void)il_buf_puts(to, "\n");
}

/* The value farthest from 1 (or 0) of a column, and how many rows have one. */
static double worst_of(const il_artifact *t, const char *column, double centre, size_t *row)
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

static void put_check(il_buf *to, const char *what, double value, const char *fmt,
                      const char *meaning)
{
    char text[64] = "not measured";
    if (isfinite(value)) {
        (void)snprintf(text, sizeof text, fmt, value);
    }
    (void)il_buf_printf(to, "| %s | %s | %s |\n", what, text, meaning);
}

static void put_rows_check(il_buf *to, const il_medians *m)
{
    (void)il_buf_printf(to,
                        "| rows of metrics.csv | %zu ok, %zu failed, %zu skipped, %zu wrong, %zu "
                        "not run | only ok rows count; three rows a call |\n| warning flags |",
                        m->n_ok, m->n_error + m->n_other, m->n_skipped, m->n_flagged, m->n_not_run);
    for (size_t i = 0; i < m->n_flags; i++) {
        (void)il_buf_puts(to, i ? ", " : " ");
        il_words_markdown(to, m->flags[i].word);
        (void)il_buf_printf(to, " on %zu", m->flags[i].n_rows);
    }
    (void)il_buf_printf(to,
                        "%s | the machine was disturbed on %zu ok rows; they stay in the fits |\n",
                        m->n_flags ? " rows" : " none", m->n_rows_with_flags);
    (void)il_buf_printf(to, "| replication | %zu %s; renewed: ", m->n_blocks,
                        m->n_blocks == 1 ? "block" : "blocks");
    il_words_markdown(to, m->replication ? m->replication : "not recorded");
    (void)il_buf_puts(to, " | what an interval can hold |\n\n");
}

/* The validity strip: what a sceptic asks first. */
static void put_validity(il_buf *to, const il_facts *f)
{
    size_t row = 0, unused = 0;
    double aa = worst_of(&f->noise, "aa_ratio", 1.0, &row);
    char ratio[96] = "not measured";
    if (isfinite(aa)) {
        il_words_interval(ratio, sizeof ratio, aa, il_artifact_number(&f->noise, row, "ci_low"),
                          il_artifact_number(&f->noise, row, "ci_high"));
    }
    (void)il_buf_puts(to, "| can it be trusted? | this run | meaning |\n|---|---|---|\n");
    (void)il_buf_printf(to, "| A/A ratio, worst | %s | the same cell twice: 1 but for noise |\n",
                        ratio);
    double mde = worst_of(&f->noise, "mde_percent", 0.0, &unused);
    put_check(to, "smallest effect, worst", mde, mde < 9.95 ? "%.1f %%" : "%.0f %%",
              "smaller differences get no verdict");
    double drift = worst_of(&f->noise, "drift_percent_per_hour", 0.0, &row);
    bool told = il__drift_told(&f->noise, row);
    put_check(to, "drift, worst", drift, told ? "%.1f %% per hour" : "none to be told from 0",
              "blocks in random order keep it out of the laws");
    char closed[96] = "not measured";
    double closure = worst_of(&f->noise, "closure", 1.0, &row);
    double low = il_artifact_number(&f->noise, row, "closure_ci_low");
    double high = il_artifact_number(&f->noise, row, "closure_ci_high");
    if (isfinite(closure) && isfinite(low)) {
        il_words_interval(closed, sizeof closed, closure, low, high);
    } else if (isfinite(closure)) {
        (void)snprintf(closed, sizeof closed, "%.3f", closure);
    }
    (void)il_buf_printf(to,
                        "| closure, worst | %s | an unsplit call over prefill + decode: what "
                        "stamps cost |\n",
                        closed);
    put_rows_check(to, &f->medians);
}

static void put_picture(il_buf *to, const il_facts *f, const char *name, const char *caption)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/analysis/plots/%s.png", f->run_dir, name);
    if (n > 0 && (size_t)n < sizeof path && il_path_is_file(path)) {
        (void)il_buf_printf(to, "![%s](analysis/plots/%s.png)\n\n", caption, name);
    }
}

static void put_first_screen(il_buf *to, const il_facts *f, const il_findings *found)
{
    (void)il_buf_puts(to, "# ");
    const char *name = il_facts_text(f, NULL, "run_name");
    il_words_markdown(to, name[0] ? name : il_path_base(f->run_dir));
    (void)il_buf_puts(to, "\n\n**Question.** ");
    il_words_markdown(to, found->question);
    (void)il_buf_puts(to, "\n\n**Answer.** ");
    il_words_markdown(to, found->answer);
    (void)il_buf_puts(to, " Numbers in brackets are 95 % intervals, exact for medians.\n\n");
    put_validity(to, f);
    put_picture(to, f, "step_time_vs_parameters",
                "Time of one decode step against parameters, both axes logarithmic");
    (void)il_buf_puts(to, "## Findings\n\n");
    put_findings(to, found->items, found->n_items,
                 "None: no law was judged and no difference exceeds the noise floor.");
}

/* ---- the table of all models ---- */

static void put_models(il_buf *to, const il_facts *f)
{
    const il_medians *all = &f->medians;
    (void)il_buf_puts(to,
                      "## Every model\n\nMedians; for several scenarios the geometric mean over "
                      "them. `analysis/medians.csv` has each scenario.\n\n"
                      "| backend | model | parameters, M | batch | prefill, ms "
                      "| decode step, ms | tokens/s | end to end, ms |\n"
                      "|---|---|--:|--:|--:|--:|--:|--:|\n");
    for (size_t i = 0; i < all->n_rows; i++) {
        const il_cell_median *e = &all->rows[i];
        if (!il_medians_leads(all, i)) {
            continue;
        }
        bool whole = strcmp(e->mode, "e2e_kv") == 0;
        const il_cell_median *p =
            il_medians_find(all, e->backend, e->model, IL_ALL_SCENARIOS, "prefill", e->batch_size);
        const il_cell_median *d = il_medians_find(all, e->backend, e->model, IL_ALL_SCENARIOS,
                                                  "kv_decode", e->batch_size);
        double step[3];
        il_median_per_step(d, step);
        double rate = (double)e->batch_size * 1000.0;
        char params[32];
        il_words_plain(params, sizeof params, e->params_millions);
        (void)il_buf_puts(to, "|");
        il__md_cell(to, e->backend);
        il__md_cell(to, il_facts_model_name(f, e->model));
        (void)il_buf_printf(to, " %s | %lld |", params, (long long)e->batch_size);
        il__md_number(to, p ? p->median_ms : NAN, p ? p->low_ms : NAN, p ? p->high_ms : NAN);
        il__md_number(to, step[0], step[1], step[2]);
        char tokens[48];
        il_words_number(tokens, sizeof tokens, rate / step[0], rate / step[2], rate / step[1]);
        (void)il_buf_printf(to, " %s |", tokens);
        il__md_number(to, whole ? e->median_ms : NAN, whole ? e->low_ms : NAN,
                      whole ? e->high_ms : NAN);
        (void)il_buf_puts(to, "\n");
    }
    (void)il_buf_puts(to, "\n");
}

int il_report_write(il_facts *facts, il_error *err)
{
    il_findings found;
    il_buf text;
    il_buf_init(&text, MOST_REPORT_BYTES);
    char path[4096];
    int rc = il_findings_make(facts, &found, err);
    if (rc != IL_OK) {
        goto out;
    }
    put_first_screen(&text, facts, &found);
    put_models(&text, facts);
    (void)il_buf_puts(&text, "## What this run cannot tell\n\n");
    put_findings(&text, found.cannot, found.n_cannot, "Nothing that it knows of.");
    il__report_noise(&text, facts);
    il__report_laws(&text, facts);
    il__report_tails(&text, facts);
    il__report_machine(&text, facts);
    il__report_method(&text, facts);
    il__report_reproduce(&text, facts);
    rc = text.status == IL_OK ? il_path_join(path, sizeof path, facts->run_dir, "report.md")
                              : text.status;
    rc = rc == IL_OK ? il_file_write_atomic(path, il_buf_text(&text), text.len, err)
                     : il_fail(err, rc, "cannot hold the report");
out:
    il_buf_free(&text);
    return rc;
}
