/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw claims RUN --claims F: what this run says of somebody's claims.
 */
#include "cli/claims_file.h"
#include "cli/derive.h"
#include "cli/table.h"
#include "cli/verbs.h"

#include "base/file.h"
#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static double number_of(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void print_number(double x)
{
    if (isfinite(x)) {
        (void)printf(" %9.4g", x);
    } else {
        (void)printf(" %9s", "");
    }
}

/* The rows for people: a line of numbers, a line of reasons, and what would decide. */
static int print_claims(const char *path, il_error *err)
{
    json_t *rows = NULL;
    int rc = il_derive_csv_json(path, &rows, err);
    (void)printf("%-34s %-16s %9s %9s %9s %9s\n", "claim", "verdict", "estimate", "ci_low",
                 "ci_high", "margin");
    for (size_t i = 0; rc == IL_OK && i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        (void)printf("%-34s %-16s", text_of(row, "id"), text_of(row, "verdict"));
        print_number(number_of(row, "estimate"));
        print_number(number_of(row, "ci_low"));
        print_number(number_of(row, "ci_high"));
        print_number(number_of(row, "margin"));
        (void)printf("\n    %s\n    because %s\n", text_of(row, "statement"),
                     text_of(row, "because"));
        if (text_of(row, "would_decide")[0]) {
            (void)printf("    would decide: %s\n", text_of(row, "would_decide"));
        }
    }
    json_decref(rows);
    return rc;
}

static int run_claims(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)n_words;
    il_error err = {0};
    il_analysis_summary summary = {0};
    char path[PATH_BYTES];
    const char *file = il_param_text(flags, IL_P_CLAIMS);
    int rc = il_path_join(path, sizeof path, words[0], "claims.yaml");
    rc = rc ? il_fail(&err, rc, "the path of the run is too long") : IL_OK;
    if (rc == IL_OK && file) {
        rc = il_claims_keep(file, words[0], &err);
    } else if (rc == IL_OK && !il_path_is_file(path)) {
        rc = il_fail(&err, IL_E_USAGE, "this run has no claims.yaml and --claims names none");
        il_error_where(&err, "%s", words[0]);
        il_error_hint(&err, "--claims claims/tr121.yaml");
    }
    rc = rc ? rc : il_derive_tables(words[0], flags, &summary, &err);
    if (rc == IL_OK && summary.n_ok > 0) {
        rc = il_derive_report(words[0], il_param_flag(flags, IL_P_PLOTS), NULL, &err);
    }
    if (rc == IL_OK && il_param_has(flags, IL_P_JSON) && il_param_flag(flags, IL_P_JSON)) {
        rc = il_derive_print_json(words[0], "analysis/claims.csv", &err);
    } else if (rc == IL_OK) {
        rc = il_path_join(path, sizeof path, words[0], "analysis/claims.csv");
        rc = rc ? il_fail(&err, rc, "the path of the run is too long") : print_claims(path, &err);
    }
    if (rc != IL_OK) {
        il_log_error(&err);
        return il_exit_from_code(rc);
    }
    return summary.n_ok > 0 ? IL_EXIT_DONE : IL_EXIT_NO_OK_ROW;
}

const il_verb il_verb_claims = {
    .name = "claims",
    .arguments = "RUN",
    .summary =
        "judges a file of claims by a run: supported, contradicted, not identifiable, ill posed",
    .details =
        "The file is copied to RUN/claims.yaml and from then on judged by every analysis of\n"
        "this run. Without --claims the copy that is there is judged. RUN/analysis, its\n"
        "plots and report.md are made anew. The format: docs/claims.md.",
    .scope = IL_SCOPE_CLAIMS,
    .least_words = 1,
    .most_words = 1,
    .run = run_claims,
};
