/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims.csv: the claims of RUN/claims.yaml, each with its verdict. No such file, no table.
 */
#include "analysis/claims_internal.h"

#include "base/file.h"
#include "stats/multiple.h"

#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {
    "id",       "statement",    "verdict", "estimate",  "ci_low", "ci_high",  "margin",
    "evidence", "would_decide", "test",    "direction", "than",   "n_models", "n_blocks",
    "p",        "p_holm",       "gate",    "because",   "twin"};

/* An effect in the unit of the claim. */
static double shown(const il__effect *e, double x)
{
    switch (e->scale) {
    case IL__SCALE_RATIO:
        return exp(x);
    case IL__SCALE_SHARE:
        return 1 / (1 + exp(-x));
    default:
        return x;
    }
}

static void write_claim(const il_claim *c, const il__effect *e, il__verdict verdict, double p_holm,
                        il_csv_writer *out)
{
    bool ill = verdict == IL__ILL_POSED;
    bool decided = verdict == IL__SUPPORTED || verdict == IL__CONTRADICTED;
    il_csv_text(out, c->id);
    il_csv_text(out, c->statement);
    il_csv_text(out, il__verdict_names[verdict]);
    il_csv_f64(out, shown(e, e->estimate));
    il_csv_f64(out, shown(e, e->low));
    il_csv_f64(out, shown(e, e->high));
    il_csv_f64(out, ill ? NAN : e->scale == IL__SCALE_PLAIN ? e->margin : exp(e->margin) - 1);
    il_csv_text(out, e->evidence);
    il_csv_text(out, decided ? "" : e->decide);
    il_csv_text(out, c->has_test && !ill ? il_claim_test_names[c->test] : "");
    il_csv_text(out, c->has_test && !ill ? il_claim_direction_names[c->direction] : "");
    il_csv_f64(out, ill || c->test == IL_CLAIM_crossover ? NAN : shown(e, e->null));
    if (e->n_models) {
        il_csv_i64(out, (int64_t)e->n_models);
    } else {
        il_csv_empty(out);
    }
    if (e->n_blocks) {
        il_csv_i64(out, (int64_t)e->n_blocks);
    } else {
        il_csv_empty(out);
    }
    il_csv_f64(out, e->p);
    il_csv_f64(out, p_holm);
    il_csv_text(out, e->gate);
    il_csv_text(out, e->because);
    il_csv_text(out, c->twin);
    il_csv_end_row(out);
}

static int effect_of(const il__run *run, const il_claim *c, il__effect *e, bool *ill, il_error *err)
{
    *e = (il__effect){.estimate = NAN, .low = NAN, .high = NAN, .p = NAN, .margin = NAN};
    *ill = il__claim_ill_posed(c, e->because, sizeof e->because);
    if (*ill) {
        (void)snprintf(e->decide, sizeof e->decide, "nothing: see %s",
                       c->twin ? c->twin : "a claim that says what it compares");
        return IL_OK;
    }
    if (!c->has_test) {
        il__effect_gate(e, "no_test", "a test in the claims file",
                        "its words hold together, and the file names no test");
        return IL_OK;
    }
    bool ratio = c->test == IL_CLAIM_ratio || c->test == IL_CLAIM_share;
    int rc = ratio ? il__effect_ratio(run, c, e, err) : il__effect_fit(run, c, e, err);
    if (rc == IL_OK && c->decided_by && e->gate[0]) {
        (void)snprintf(e->decide, sizeof e->decide, "%s", c->decided_by);
    }
    return rc;
}

/* Gated claims are no tests: they do not count among those that Holm adjusts. */
static void note_summary(il__effect *e)
{
    size_t len = strlen(e->because);
    if (e->n_blocks == 0 && e->n_models > 0 && len < sizeof e->because) {
        (void)snprintf(e->because + len, sizeof e->because - len,
                       "%sone value a cell: the gates of blocks and flags are n/a",
                       len ? "; " : "");
    }
}

static int judge_all(const il__run *run, const il_claims *claims, il_csv_writer *out, il_error *err)
{
    il__effect *effects = calloc(claims->n + 1, sizeof *effects);
    double *p = malloc(2 * (claims->n + 1) * sizeof *p);
    bool *ill = calloc(claims->n + 1, sizeof *ill);
    int rc = effects && p && ill ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for claims");
    double *holm = p + claims->n;
    for (size_t i = 0; rc == IL_OK && i < claims->n; i++) {
        rc = effect_of(run, &claims->items[i], &effects[i], &ill[i], err);
        p[i] = effects[i].gate[0] || ill[i] ? NAN : effects[i].p;
    }
    rc = rc ? rc : il_holm_adjust(p, claims->n, holm, err);
    for (size_t i = 0; rc == IL_OK && i < claims->n; i++) {
        const il_claim *c = &claims->items[i];
        il__verdict verdict = ill[i] ? IL__ILL_POSED : il__claim_verdict(c, &effects[i], holm[i]);
        if (!ill[i]) {
            note_summary(&effects[i]);
        }
        write_claim(c, &effects[i], verdict, holm[i], out);
    }
    free(effects);
    free(p);
    free(ill);
    return rc;
}

int il__write_claims(const il__run *run, il_error *err)
{
    char path[4096];
    il_claims claims = {0};
    il_csv_writer out = {.fd = -1};
    if (il_path_join(path, sizeof path, run->run_dir, "claims.yaml") != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    if (!il_path_is_file(path)) {
        return IL_OK;
    }
    int rc = il_claims_load(path, &claims, err);
    rc = rc ? rc : il__table_open(run, "claims.csv", columns, IL__COUNT_OF(columns), &out, err);
    rc = rc ? rc : judge_all(run, &claims, &out, err);
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    il_claims_free(&claims);
    return rc;
}
