/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Cold starts: the policy in plain words, whole starts, their stages, the law against bytes, and
 * the share of requests that meets one. The section is there when cold_start.csv has rows.
 */
#include "report/artifact_table.h"
#include "report/names.h"
#include "report/report_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *text(const il_artifact *t, size_t row, const char *column)
{
    return il_artifact_text(t, row, column);
}

static bool same(const il_artifact *t, size_t a, size_t b, const char *column)
{
    return strcmp(text(t, a, column), text(t, b, column)) == 0;
}

/* --- the policy ------------------------------------------------------------------------------- */

/* The first row of its backend, state of the page cache and objective. */
static bool is_first(const il_artifact *t, size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (same(t, i, row, "backend") && same(t, i, row, "page_cache") &&
            same(t, i, row, "objective")) {
            return false;
        }
    }
    return true;
}

static void say_rate(il__doc *doc, const il_artifact *t, size_t row)
{
    double low = il_artifact_number(t, row, "ci_low"), high = il_artifact_number(t, row, "ci_high");
    il__doc_strong(doc, "%.3g", il_artifact_number(t, row, "requests_per_hour"));
    il__doc_text(doc, " requests an hour");
    if (high > low) {
        il__doc_text(doc, " (%.3g to %.3g)", low, high);
    }
}

/* One line a backend, state and objective: the models whose rates are lowest and highest. */
static void say_policy(il__doc *doc, const il_facts *f, const il_artifact *t, size_t row)
{
    size_t least = SIZE_MAX, most = SIZE_MAX, n = 0, n_keep = 0, n_not = 0, n_missed = 0;
    for (size_t i = row; i < t->n_rows; i++) {
        if (!same(t, i, row, "backend") || !same(t, i, row, "page_cache") ||
            !same(t, i, row, "objective")) {
            continue;
        }
        const char *verdict = text(t, i, "verdict");
        double rate = il_artifact_number(t, i, "requests_per_hour");
        n++;
        n_not += strcmp(verdict, "not_needed") == 0;
        n_missed += strcmp(verdict, "missed_warm_too") == 0;
        if (strcmp(verdict, "keep_warm_below") == 0 && isfinite(rate)) {
            n_keep++;
            if (least == SIZE_MAX || rate < il_artifact_number(t, least, "requests_per_hour")) {
                least = i;
            }
            if (most == SIZE_MAX || rate > il_artifact_number(t, most, "requests_per_hour")) {
                most = i;
            }
        }
    }
    bool mean = strcmp(text(t, row, "objective"), "mean") == 0;
    il__doc_open(doc, IL__BLOCK_ITEM);
    il__doc_strong(doc, "%s", text(t, row, "backend"));
    il__doc_text(doc, ", files %s the page cache, ",
                 strcmp(text(t, row, "page_cache"), "cold") == 0 ? "not in" : "in");
    if (mean) {
        il__doc_text(doc, "so that cold starts are at most 5 %% of the mean request: ");
    } else {
        il__doc_text(doc, "so that %.3g %% of the requests have their first token within %.4g ms: ",
                     100 * il_artifact_number(t, row, "quantile"),
                     il_artifact_number(t, row, "threshold_ms"));
    }
    if (most == SIZE_MAX) {
        il__doc_text(doc, "%s.",
                     n_not == n      ? "no model needs to be kept loaded"
                     : n_missed == n ? "missed when loaded too: keeping warm does not help"
                                     : "not decided for any model");
        return;
    }
    il__doc_text(doc, "keep it loaded below ");
    say_rate(doc, t, most);
    if (!same(t, least, most, "requests_per_hour")) {
        il__doc_text(doc, " for %s, and below ", il_facts_model_name(f, text(t, most, "model")));
        say_rate(doc, t, least);
        il__doc_text(doc, " for %s; the other models lie between",
                     il_facts_model_name(f, text(t, least, "model")));
    } else {
        il__doc_text(doc, " for %zu of %zu models", n_keep, n);
    }
    if (n_not > 0) {
        il__doc_text(doc, "; %zu need not be kept loaded", n_not);
    }
    il__doc_text(doc, ".");
}

static void put_policy(il__doc *doc, const il_facts *f)
{
    const il_artifact *t = &f->warmup_policy;
    if (t->n_rows == 0) {
        return;
    }
    il__doc_say(doc,
                "Warm-up policy. A model that is unloaded after %.4g s without a request meets "
                "its next request cold. Arrivals are taken to be at random (Poisson), so that at "
                "r requests an hour a share of exp(-r x %.4g s) finds it unloaded. Below the rates "
                "here, keep the model loaded (pin it, or send a request before the time is up); "
                "above them requests keep it loaded by themselves.",
                il_artifact_number(t, 0, "keep_alive_s"), il_artifact_number(t, 0, "keep_alive_s"));
    for (size_t i = 0; i < t->n_rows; i++) {
        if (is_first(t, i)) {
            say_policy(doc, f, t, i);
        }
    }
}

/* --- tables ----------------------------------------------------------------------------------- */

static bool is_whole(const il_artifact *t, size_t row, const void *context)
{
    (void)context;
    return strcmp(text(t, row, "stage"), "total") == 0;
}

static void put_whole(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"model", "model", IL__SHOW_MODEL, NULL, NULL},
        {"page cache", "page_cache", IL__SHOW_TEXT, NULL, NULL},
        {"stage", "stage", IL__SHOW_TEXT, NULL, NULL},
        {"samples", "n", IL__SHOW_NUMBER, NULL, NULL},
        {"ms", "median_ms", IL__SHOW_INTERVAL, NULL, NULL},
        {"requests to amortise", "requests_to_amortise", IL__SHOW_NUMBER, NULL, NULL}};
    (void)il__doc_artifact(doc, f, &f->cold_start, "", columns, COUNT_OF(columns), is_whole, NULL);
}

static const char *const shown_stages[] = {"spawn",      "runtime_init",  "load",
                                           "prepare",    "first_prefill", "first_decode_step",
                                           "first_call", "steady_call"};

static double stage_of(const il_artifact *t, size_t whole, const char *stage)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(text(t, i, "stage"), stage) == 0 && same(t, i, whole, "backend") &&
            same(t, i, whole, "model") && same(t, i, whole, "page_cache")) {
            return il_artifact_number(t, i, "median_ms");
        }
    }
    return NAN;
}

/* The stages side by side; what a runtime told of its load in parts is in the file. */
static void put_stages(il__doc *doc, const il_facts *f)
{
    static const il__heading headings[] = {
        {"backend", IL__CELL_TEXT},        {"model", IL__CELL_TEXT},
        {"page cache", IL__CELL_TEXT},     {"spawn", IL__CELL_NUMBER},
        {"runtime init", IL__CELL_NUMBER}, {"load", IL__CELL_NUMBER},
        {"prepare", IL__CELL_NUMBER},      {"first prefill", IL__CELL_NUMBER},
        {"first step", IL__CELL_NUMBER},   {"first call", IL__CELL_NUMBER},
        {"steady call", IL__CELL_NUMBER},  {"major faults", IL__CELL_NUMBER}};
    const il_artifact *t = &f->cold_start;
    bool opened = false;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (!is_whole(t, i, NULL) || isnan(stage_of(t, i, "load"))) {
            continue;
        }
        if (!opened) {
            il__doc_table(doc, IL__BLOCK_TABLE, "Stages, ms (medians)", headings,
                          COUNT_OF(headings), t->file);
            opened = true;
        }
        if (!il__doc_row(doc, NULL)) {
            continue;
        }
        il__doc_cell(doc, text(t, i, "backend"));
        il__doc_cell(doc, il_facts_model_name(f, text(t, i, "model")));
        il__doc_cell(doc, text(t, i, "page_cache"));
        for (size_t s = 0; s < COUNT_OF(shown_stages); s++) {
            il__doc_cell_number(doc, stage_of(t, i, shown_stages[s]), "%.3g");
        }
        il__doc_cell_number(doc, il_artifact_number(t, i, "major_faults"), "%.0f");
    }
}

static void put_law(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"page cache", "page_cache", IL__SHOW_TEXT, NULL, NULL},
        {"term", "term", IL__SHOW_WORDS, NULL, NULL},
        {"unit", "unit", IL__SHOW_TEXT, NULL, NULL},
        {"models", "n_models", IL__SHOW_NUMBER, NULL, NULL},
        {"estimate (95 % interval)", "estimate", IL__SHOW_INTERVAL, NULL, NULL},
        {"left-out error", "loo_mape", IL__SHOW_SHARE, NULL, NULL},
        {"verdict", "verdict", IL__SHOW_WORDS, NULL, NULL},
        {"because", "because", IL__SHOW_PROSE, NULL, NULL}};
    if (f->cold_law.n_rows == 0) {
        return;
    }
    il__doc_say(doc, "What a cold start adds to a request, against the bytes of the model's files: "
                     "a fixed part and a part per GB, fitted on the logarithm of the time.");
    (void)il__doc_artifact(doc, f, &f->cold_law, "", columns, COUNT_OF(columns), NULL, NULL);
}

static bool is_cold(const il_artifact *t, size_t row, const void *context)
{
    (void)context;
    return strcmp(text(t, row, "page_cache"), "cold") == 0;
}

static void put_risk(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"backend", "backend", IL__SHOW_TEXT, NULL, NULL},
        {"model", "model", IL__SHOW_MODEL, NULL, NULL},
        {"requests an hour", "requests_per_hour", IL__SHOW_NUMBER, NULL, NULL},
        {"requests that start cold", "share_cold", IL__SHOW_SHARE, NULL, NULL},
        {"added to the mean request, ms", "added_ms", IL__SHOW_INTERVAL, NULL, NULL}};
    (void)il__doc_artifact(doc, f, &f->cold_risk, "", columns, COUNT_OF(columns), is_cold, NULL);
}

void il__report_cold(il__doc *doc, const il_facts *f, const il__pictures *pictures)
{
    if (f->cold_start.n_rows == 0) {
        return;
    }
    il__doc_section(doc, "cold", "Cold starts");
    put_policy(doc, f);
    put_whole(doc, f);
    put_stages(doc, f);
    if (pictures->has_cold) {
        il__doc_plot(doc, &pictures->cold.plot, &pictures->cold.narrow, pictures->cold.caption);
    }
    put_law(doc, f);
    put_risk(doc, f);
}
