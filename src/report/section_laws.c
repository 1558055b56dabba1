/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Laws: the one that held-out error chose, its competitors, the exponents with each model left out;
 * the costs of shape; step time against context.
 */
#include "report/artifact_table.h"
#include "report/names.h"
#include "report/report_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *const law_keys[] = {"backend", "batch_size", "mode", "x", "form"};

static bool same_law(const il_artifact *a, size_t i, const il_artifact *b, size_t j)
{
    for (size_t k = 0; k < sizeof law_keys / sizeof *law_keys; k++) {
        if (strcmp(il_artifact_text(a, i, law_keys[k]), il_artifact_text(b, j, law_keys[k])) != 0) {
            return false;
        }
    }
    return true;
}

/* Terms of a law follow each other; its first row stands for it. */
static bool is_first_term(const il_artifact *t, size_t row)
{
    return row == 0 || !same_law(t, row - 1, t, row);
}

static bool is_selected_term(const il_artifact *t, size_t row, const void *context)
{
    (void)context;
    return il_artifact_flag(t, row, "selected");
}

static void put_selected(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"batch", "batch_size", IL__SHOW_NUMBER, NULL, NULL},
        {"mode", "mode", IL__SHOW_TEXT, NULL, NULL},
        {"x", "x", IL__SHOW_X, NULL, NULL},
        {"form", "form", IL__SHOW_TEXT, NULL, NULL},
        {"term", "term", IL__SHOW_TEXT, NULL, NULL},
        {"estimate (95 % interval)", "estimate", IL__SHOW_INTERVAL, NULL, NULL},
        {"models", "n_models", IL__SHOW_NUMBER, NULL, NULL},
        {"nested error", "loo_mape", IL__SHOW_SHARE, NULL, NULL},
        {"nested error, p95", "loo_p95", IL__SHOW_SHARE, NULL, NULL},
        {"verdict", "verdict", IL__SHOW_WORDS, NULL, NULL},
        {"because", "because", IL__SHOW_PROSE, NULL, NULL}};
    il__doc_subsection(doc, "The law that held-out error chose");
    il__doc_say(doc, "For each backend, batch and mode the forms and x's compete by the error on "
                     "models that were left out of the fit; the simplest within one standard error "
                     "of the best is taken. The choice is made anew without each model, and the "
                     "error printed is of models left out of both fit and choice.");
    if (il__doc_artifact(doc, f, &f->laws, "", columns, 12, is_selected_term, NULL) == 0) {
        il__doc_say(doc, "No law was selected.");
    }
}

static bool same_text(const il_artifact *t, size_t i, size_t j, const char *column)
{
    return strcmp(il_artifact_text(t, i, column), il_artifact_text(t, j, column)) == 0;
}

/* Rows of one backend, batch and mode. */
static bool same_fit(const il_artifact *t, size_t i, size_t j)
{
    return same_text(t, i, j, "backend") && same_text(t, i, j, "batch_size") &&
           same_text(t, i, j, "mode");
}

static bool is_first_of_fit(const il_artifact *t, size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (same_fit(t, i, row)) {
            return false;
        }
    }
    return true;
}

static bool is_reference(const il_facts *f, const char *backend)
{
    const il_artifact *t = &f->rankings;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(il_artifact_text(t, i, "backend"), backend) == 0) {
            return il_artifact_flag(t, i, "reference");
        }
    }
    return false;
}

/* "affine in bytes read: a 0.31 (0.28 to 0.35), b 5.2e-05 (…)", of the law that was chosen. */
static void put_chosen(il__doc *doc, const il_artifact *t, size_t row)
{
    char text[600] = "";
    size_t n = 0;
    for (size_t i = 0; i < t->n_rows && n < sizeof text; i++) {
        if (!same_fit(t, i, row) || !il_artifact_flag(t, i, "selected")) {
            continue;
        }
        char interval[96];
        bool quotable = il_findings_quotable(il_artifact_text(t, i, "ci_method"));
        il_words_interval(interval, sizeof interval, il_artifact_number(t, i, "estimate"),
                          quotable ? il_artifact_number(t, i, "ci_low") : NAN,
                          quotable ? il_artifact_number(t, i, "ci_high") : NAN);
        int more =
            n == 0 ? snprintf(text, sizeof text, "%s in %s: %s %s", il_artifact_text(t, i, "form"),
                              il_findings_x_words(il_artifact_text(t, i, "x")),
                              il_artifact_text(t, i, "term"), interval)
                   : snprintf(text + n, sizeof text - n, ", %s %s", il_artifact_text(t, i, "term"),
                              interval);
        n += more > 0 ? (size_t)more : 0;
    }
    il__doc_cell(doc, n > 0 ? text : "none");
}

static void put_beside_row(il__doc *doc, const il_facts *f, size_t row)
{
    const il_artifact *t = &f->laws;
    size_t slope = SIZE_MAX;
    for (size_t i = 0; i < t->n_rows && slope == SIZE_MAX; i++) {
        if (same_fit(t, i, row) && strcmp(il_artifact_text(t, i, "x"), "params_total") == 0 &&
            strcmp(il_artifact_text(t, i, "term"), "slope") == 0) {
            slope = i;
        }
    }
    char name[300];
    const char *backend = il_artifact_text(t, row, "backend");
    (void)snprintf(name, sizeof name, "%s%s", backend,
                   is_reference(f, backend) ? " (reference)" : "");
    bool quotable =
        slope != SIZE_MAX && il_findings_quotable(il_artifact_text(t, slope, "ci_method"));
    il__doc_cell(doc, il_artifact_text(t, row, "mode"));
    il__doc_cell(doc, name);
    il__doc_cell(doc, il_artifact_text(t, row, "batch_size"));
    il__doc_cell(doc, il_artifact_text(t, row, "n_models"));
    il__doc_cell_interval(doc, slope != SIZE_MAX ? il_artifact_number(t, slope, "estimate") : NAN,
                          quotable ? il_artifact_number(t, slope, "ci_low") : NAN,
                          quotable ? il_artifact_number(t, slope, "ci_high") : NAN);
    il__doc_cell(doc, slope != SIZE_MAX ? il_artifact_text(t, slope, "verdict") : "");
    put_chosen(doc, t, row);
}

/* Every backend under every mode, so that one looks down a column to compare. Only where there are
 * two backends. */
static void put_beside(il__doc *doc, const il_facts *f)
{
    static const il__heading headings[] = {{"mode", IL__CELL_TEXT},
                                           {"backend", IL__CELL_TEXT},
                                           {"batch", IL__CELL_NUMBER},
                                           {"models", IL__CELL_NUMBER},
                                           {"exponent in total parameters", IL__CELL_INTERVAL},
                                           {"verdict", IL__CELL_VERDICT},
                                           {"law chosen", IL__CELL_PROSE}};
    static const char *const modes[] = {"prefill", "kv_decode", "e2e_kv"};
    const il_artifact *t = &f->laws;
    bool several = false;
    for (size_t i = 1; i < t->n_rows && !several; i++) {
        several = !same_text(t, 0, i, "backend");
    }
    if (!several) {
        return;
    }
    il__doc_subsection(doc, "Backends side by side");
    il__doc_say(doc,
                "How time grows with size on each runtime: the exponent is for comparing, the "
                "law that was chosen is for predicting. An exponent far below 1 on small models "
                "means that costs without size rule there, not that the runtime is fast.");
    il__doc_table(doc, IL__BLOCK_TABLE, "", headings, 7, "laws.csv");
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
        for (size_t i = 0; i < t->n_rows; i++) {
            if (strcmp(il_artifact_text(t, i, "mode"), modes[k]) == 0 && is_first_of_fit(t, i) &&
                il__doc_row(doc, NULL)) {
                put_beside_row(doc, f, i);
            }
        }
    }
}

static void put_baselines(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"batch", "batch_size", IL__SHOW_NUMBER, NULL, NULL},
        {"mode", "mode", IL__SHOW_TEXT, NULL, NULL},
        {"baseline", "baseline", IL__SHOW_WORDS, NULL, NULL},
        {"from", "x", IL__SHOW_X, NULL, NULL},
        {"models", "n_models", IL__SHOW_NUMBER, NULL, NULL},
        {"held-out error", "loo_mape", IL__SHOW_SHARE, NULL, NULL},
        {"nested error of the law", "law_loo_mape", IL__SHOW_SHARE, NULL, NULL},
        {"skill of the law", "skill", IL__SHOW_SHARE, NULL, NULL},
        {"best baseline", "best", IL__SHOW_YES, NULL, NULL}};
    if (f->baselines.n_rows == 0) {
        return;
    }
    il__doc_subsection(doc, "Against baselines");
    il__doc_say(doc,
                "What anyone could say without a law: the mean of the other models, a power of "
                "parameters, one constant times bytes or FLOPs, the measured floor, the model "
                "nearest in size. Skill is 1 less the ratio of the errors: at 0 or below the "
                "law adds nothing.");
    (void)il__doc_artifact(doc, f, &f->baselines, "", columns, 10, NULL, NULL);
}

static bool competes(const il_artifact *t, size_t row, const void *context)
{
    (void)context;
    return is_first_term(t, row) && isfinite(il_artifact_number(t, row, "form_loo_mape"));
}

static void put_competing(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"batch", "batch_size", IL__SHOW_NUMBER, NULL, NULL},
        {"mode", "mode", IL__SHOW_TEXT, NULL, NULL},
        {"form", "form", IL__SHOW_TEXT, NULL, NULL},
        {"x", "x", IL__SHOW_X, NULL, NULL},
        {"models", "n_models", IL__SHOW_NUMBER, NULL, NULL},
        {"held-out error", "form_loo_mape", IL__SHOW_SHARE, NULL, NULL},
        {"held-out error, p95", "form_loo_p95", IL__SHOW_SHARE, NULL, NULL},
        {"\xCE\x94"
         "AICc",
         "delta_aicc", IL__SHOW_NUMBER, NULL, NULL},
        {"selected", "selected", IL__SHOW_YES, NULL, NULL},
        {"verdict", "verdict", IL__SHOW_WORDS, NULL, NULL},
        {"because", "because", IL__SHOW_PROSE, NULL, NULL}};
    il__doc_subsection(doc, "Competing forms");
    (void)il__doc_artifact(doc, f, &f->laws,
                           "Error of each form on models left out of its fit; what choosing among "
                           "them costs is in the nested error above.",
                           columns, 12, competes, NULL);
}

/* "0.123 without tiny-gpt2 (decisive)": the model whose absence moves the exponent farthest. */
static void put_left_out(il__doc *doc, const il_facts *f, size_t law)
{
    const il_artifact *a = &f->laws, *t = &f->leave_one_out;
    double all = il_artifact_number(a, law, "estimate"), worst = NAN;
    size_t row = SIZE_MAX;
    for (size_t i = 0; i < t->n_rows; i++) {
        double e = il_artifact_number(t, i, "estimate");
        if (isfinite(e) && !(fabs(e - all) <= fabs(worst - all)) && same_law(a, law, t, i) &&
            strcmp(il_artifact_text(t, i, "term"), il_artifact_text(a, law, "term")) == 0) {
            worst = e;
            row = i;
        }
    }
    char text[160] = "-";
    if (row != SIZE_MAX) {
        (void)snprintf(text, sizeof text, "%.3f without %s%s", worst,
                       il_facts_model_name(f, il_artifact_text(t, row, "left_out")),
                       il_artifact_flag(t, row, "decisive") ? " (decisive)" : "");
    }
    il__doc_cell(doc, text);
}

static void put_exponents(il__doc *doc, const il_facts *f)
{
    static const il__heading headings[] = {{"backend", IL__CELL_TEXT},
                                           {"batch", IL__CELL_NUMBER},
                                           {"mode", IL__CELL_TEXT},
                                           {"x", IL__CELL_TEXT},
                                           {"models", IL__CELL_NUMBER},
                                           {"exponent (95 % interval)", IL__CELL_INTERVAL},
                                           {"farthest leave-one-out", IL__CELL_TEXT},
                                           {"held-out error", IL__CELL_NUMBER},
                                           {"verdict", IL__CELL_VERDICT},
                                           {"because", IL__CELL_PROSE}};
    const il_artifact *t = &f->laws;
    il__doc_subsection(doc, "Exponents, with each model left out");
    il__doc_say(doc,
                "Time as a power of x. A model is decisive when without it the exponent changes "
                "by more than half, changes sign, or its interval takes in 0: then the law is "
                "not identifiable.");
    il__doc_table(doc, IL__BLOCK_TABLE, "", headings, 10, "laws.csv");
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(il_artifact_text(t, i, "term"), "slope") != 0 || !il__doc_row(doc, NULL)) {
            continue;
        }
        bool quotable = il_findings_quotable(il_artifact_text(t, i, "ci_method"));
        il__doc_cell(doc, il_artifact_text(t, i, "backend"));
        il__doc_cell(doc, il_artifact_text(t, i, "batch_size"));
        il__doc_cell(doc, il_artifact_text(t, i, "mode"));
        il__doc_cell(doc, il_findings_x_words(il_artifact_text(t, i, "x")));
        il__doc_cell(doc, il_artifact_text(t, i, "n_models"));
        il__doc_cell_interval(doc, il_artifact_number(t, i, "estimate"),
                              quotable ? il_artifact_number(t, i, "ci_low") : NAN,
                              quotable ? il_artifact_number(t, i, "ci_high") : NAN);
        put_left_out(doc, f, i);
        il__doc_cell_percent(doc, 100.0 * il_artifact_number(t, i, "loo_mape"));
        il__doc_cell(doc, il_artifact_text(t, i, "verdict"));
        il__doc_cell(doc, il_artifact_text(t, i, "because"));
    }
}

void il__report_laws(il__doc *doc, const il_facts *f, const il__pictures *pictures)
{
    il__doc_section(doc, "laws", "Laws");
    if (f->laws.n_rows == 0) {
        il__doc_absent(doc, "No law was judged", "laws.csv");
        return;
    }
    put_beside(doc, f);
    put_selected(doc, f);
    if (pictures->has_residuals) {
        il__doc_plot(doc, &pictures->residuals.plot, &pictures->residuals.narrow,
                     pictures->residuals.caption);
    }
    put_baselines(doc, f);
    put_competing(doc, f);
    put_exponents(doc, f);
    if (pictures->has_left_out) {
        il__doc_plot(doc, &pictures->left_out.plot, &pictures->left_out.narrow,
                     pictures->left_out.caption);
    }
    il__doc_open(doc, IL__BLOCK_PARAGRAPH);
    il__doc_text(doc, "The plots ");
    il__doc_code(doc, "analysis/plots/scaling_*.png");
    il__doc_text(doc, " show each fit, where gnuplot is installed. ");
    il__doc_code(doc, "analysis/scaling_fits.csv");
    il__doc_text(doc, " keeps the percentile bootstrap of the original study for comparison; it "
                      "covers too little at this many models and no sentence here uses it.");
}

void il__report_shapes(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"batch", "batch_size", IL__SHOW_NUMBER, NULL, NULL},
        {"mode", "mode", IL__SHOW_TEXT, NULL, NULL},
        {"quantity", "quantity", IL__SHOW_TEXT, NULL, NULL},
        {"estimate (95 % interval)", "estimate", IL__SHOW_INTERVAL, NULL, NULL},
        {"unit", "unit", IL__SHOW_TEXT, NULL, NULL},
        {"interval by", "ci_method", IL__SHOW_TEXT, NULL, NULL},
        {"models", "n_models", IL__SHOW_NUMBER, NULL, NULL},
        {"verdict", "verdict", IL__SHOW_WORDS, NULL, NULL},
        {"because", "because", IL__SHOW_PROSE, NULL, NULL}};
    il__doc_section(doc, "shapes", "What depth and width cost");
    if (f->shape_costs.n_rows == 0) {
        il__doc_absent(doc,
                       "Not judged: that needs models whose depth and width do not go together",
                       "shape_costs.csv");
        return;
    }
    il__doc_say(doc, "The share that is overhead is what remains of a layer's time after its bytes "
                     "and FLOPs at the measured ceilings.");
    (void)il__doc_artifact(doc, f, &f->shape_costs, "", columns, 10, NULL, NULL);
}

void il__report_steps(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"model", "model", IL__SHOW_MODEL, NULL, NULL},
        {"batch", "batch_size", IL__SHOW_NUMBER, NULL, NULL},
        {"steps", "n_steps", IL__SHOW_NUMBER, NULL, NULL},
        {"step at no context, ms", "a_ms", IL__SHOW_INTERVAL, "a_ci_low", "a_ci_high"},
        {"\xC2\xB5s a token of context", "b_us_per_context_token", IL__SHOW_INTERVAL, NULL, NULL},
        {"changes at step", "change_points", IL__SHOW_TEXT, NULL, NULL},
        {"outliers", "n_outliers", IL__SHOW_NUMBER, NULL, NULL},
        {"note", "note", IL__SHOW_PROSE, NULL, NULL}};
    static const il__shown steady[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"model", "model", IL__SHOW_MODEL, NULL, NULL},
        {"scenario", "scenario", IL__SHOW_TEXT, NULL, NULL},
        {"batch", "batch_size", IL__SHOW_NUMBER, NULL, NULL},
        {"mode", "mode", IL__SHOW_TEXT, NULL, NULL},
        {"calls", "n_calls", IL__SHOW_NUMBER, NULL, NULL},
        {"series", "classification", IL__SHOW_WORDS, NULL, NULL},
        {"change at call", "change_at", IL__SHOW_NUMBER, NULL, NULL},
        {"warm-up too short", "warmup_too_short", IL__SHOW_YES, NULL, NULL}};
    il__doc_section(doc, "steps", "Step time against context");
    if (f->steps.n_rows == 0) {
        il__doc_absent(doc, "Not judged: no decode kept the times of its steps", "steps.csv");
    } else {
        il__doc_say(doc, "Time of a step as a line in the tokens behind it: the slope is what the "
                         "cache costs. A change is a step from which on the series keeps another "
                         "level.");
        (void)il__doc_artifact(doc, f, &f->steps, "", columns, 9, NULL, NULL);
    }
    if (f->steady.n_rows > 0) {
        il__doc_subsection(doc, "Warm-up");
        il__doc_say(doc, "Change-points in each cell's calls, in order. They warn; no row is "
                         "labelled anew.");
        (void)il__doc_artifact(doc, f, &f->steady, "", steady, 9, NULL, NULL);
    }
}
