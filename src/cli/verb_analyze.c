/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw analyze RUN: the tables of a run directory.
 */
#include "cli/derive.h"
#include "cli/verbs.h"

#include "base/csv.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_json(const char *laws_path, const il_analysis_summary *summary, il_error *err)
{
    json_t *laws = NULL;
    int rc = il_derive_csv_json(laws_path, &laws, err);
    if (rc != IL_OK) {
        json_decref(laws);
        return rc;
    }
    json_t *all = json_pack("{s:I, s:I, s:I, s:b, s:o}", "rows", (json_int_t)summary->n_rows, "ok",
                            (json_int_t)summary->n_ok, "cells", (json_int_t)summary->n_cells,
                            "foreign", summary->foreign, "laws", laws);
    char *text = all ? il_json_dump_pretty(all) : NULL;
    if (text) {
        (void)puts(text);
    }
    free(text);
    json_decref(all);
    return text ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the JSON");
}

static void print_field(il_csv_field field)
{
    double x;
    if (il_csv_to_f64(field, &x) && x != floor(x)) {
        (void)printf(" %9.3f", x);
    } else {
        (void)printf(" %9.*s", (int)field.len, field.text);
    }
}

/* The slopes with their verdicts. */
static int print_laws(const char *path, il_error *err)
{
    enum { BACKEND, BATCH, MODE, X, N = 5, TERM = 8, ESTIMATE, LOW, HIGH, VERDICT = 17, BECAUSE };
    il_csv_reader *csv;
    int rc = il_csv_open(path, &csv, err);
    if (rc != IL_OK) {
        return rc;
    }
    bool header = true;
    for (;;) {
        const il_csv_field *f;
        size_t n;
        rc = il_csv_next(csv, &f, &n, err);
        if (rc != IL_OK || n <= BECAUSE) {
            break;
        }
        if (header) {
            (void)printf("%-18s %5s %-9s %-20s %9s %9s %9s %9s  %s\n", "backend", "batch", "mode",
                         "x", "models", "slope", "ci_low", "ci_high", "verdict");
            header = false;
            continue;
        }
        if (f[TERM].len != 5 || memcmp(f[TERM].text, "slope", 5) != 0) {
            continue;
        }
        (void)printf("%-18.*s %5.*s %-9.*s %-20.*s", (int)f[BACKEND].len, f[BACKEND].text,
                     (int)f[BATCH].len, f[BATCH].text, (int)f[MODE].len, f[MODE].text,
                     (int)f[X].len, f[X].text);
        print_field(f[N]);
        print_field(f[ESTIMATE]);
        print_field(f[LOW]);
        print_field(f[HIGH]);
        (void)printf("  %.*s: %.*s\n", (int)f[VERDICT].len, f[VERDICT].text, (int)f[BECAUSE].len,
                     f[BECAUSE].text);
    }
    il_csv_free(csv);
    return rc;
}

static int run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)n_words;
    il_error err = {0};
    il_analysis_summary summary;
    char laws[4096];
    int rc = il_derive_tables(words[0], flags, &summary, &err);
    if (rc == IL_OK && il_path_join(laws, sizeof laws, words[0], "analysis/laws.csv") != IL_OK) {
        rc = il_fail(&err, IL_E_RANGE, "the path of the run is too long");
    }
    if (rc == IL_OK) {
        il_log(IL_LOG_INFO, "%zu rows, %zu ok, %zu cells%s; tables in %s/analysis", summary.n_rows,
               summary.n_ok, summary.n_cells, summary.foreign ? " (a foreign metrics.csv)" : "",
               words[0]);
        rc = il_param_flag(flags, IL_P_PLOTS) ? il_derive_plots(words[0], &err) : IL_OK;
    }
    if (rc == IL_OK) {
        rc = il_param_flag(flags, IL_P_JSON) ? print_json(laws, &summary, &err)
                                             : print_laws(laws, &err);
    }
    if (rc != IL_OK) {
        il_log_error(&err);
        return il_exit_from_code(rc);
    }
    return summary.n_ok > 0 ? IL_EXIT_DONE : IL_EXIT_NO_OK_ROW;
}

const il_verb il_verb_analyze = {
    .name = "analyze",
    .arguments = "RUN",
    .summary = "the tables of a run directory, from its journal or a foreign metrics.csv",
    .details = "RUN/analysis is replaced as a whole. A directory that holds only a metrics.csv is\n"
               "analysed the same; it needs the columns backend, model, mode, status, latency_ms.",
    .scope = IL_SCOPE_ANALYZE,
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
