/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cold_law.csv: how what a cold start costs grows with the bytes of the model's files, by backend
 * and state of the page cache: a fixed part and so much for each GB (docs/cold-start.md).
 */
#include "analysis/cold_data.h"
#include "analysis/tables.h"
#include "stats/form_intervals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"backend",   "page_cache", "x",        "form",    "n_models",
                                      "term",      "unit",       "estimate", "ci_low",  "ci_high",
                                      "ci_method", "loo_mape",   "loo_p95",  "verdict", "because"};

/* What a cold start costs against the bytes of its files: a point a model. */
typedef struct points {
    const char *backend;
    bool warm;
    double *gb, *ms;
    const char **models;
    size_t n;
} points;

static double bytes_of(const il_cold_start *s, const void *unused)
{
    (void)unused;
    return s->file_bytes;
}

static void collect(const il__run *run, points *p)
{
    const il_run_facts *f = run->facts;
    p->n = 0;
    for (size_t at = 0; at < f->n_colds;) {
        il_cold_group g = il__cold_group_at(f->colds, f->n_colds, at);
        const il_plan_cell *cell = &f->cells[g.starts[0].cell];
        at += g.n;
        size_t n;
        double cost = il__cold_interval(&g, il__cold_cost, NULL, &n).estimate;
        double bytes = il__cold_interval(&g, bytes_of, NULL, &n).estimate;
        if (strcmp(cell->backend, p->backend) == 0 && g.starts[0].warm == p->warm && cost > 0 &&
            bytes > 0) {
            p->gb[p->n] = bytes * 1e-9;
            p->ms[p->n] = cost;
            p->models[p->n++] = cell->model;
        }
    }
}

/* Why the law stands or does not, on its slope. */
static void say_why(const points *p, const il_form_loo *loo, il_form_judgement j, char *out,
                    size_t out_bytes)
{
    const il_loo_row *row = j.model < p->n ? &loo->loo.rows[j.model * loo->fit.n_terms + 1] : NULL;
    switch (j.verdict) {
    case IL_FORM_SUPPORTED:
        (void)snprintf(out, out_bytes, "no model is decisive among %zu", p->n);
        return;
    case IL_FORM_TOO_FEW_MODELS:
        (void)snprintf(out, out_bytes, "n: a line needs %zu models, there are %zu", j.n_needed,
                       p->n);
        return;
    case IL_FORM_DECISIVE:
        if (row && row->fitted) {
            (void)snprintf(out, out_bytes, "without %s the time per GB goes from %.4g to %.4g ms",
                           p->models[j.model], loo->fit.coef[1], row->estimate);
            return;
        }
        (void)snprintf(out, out_bytes, "without %s there is no slope at all",
                       row ? p->models[j.model] : "one model");
        return;
    default:
        (void)snprintf(out, out_bytes, "%s", "one model fixes the line alone, or none is fitted");
    }
}

static void write_terms(const points *p, const il_form_loo *loo, const il_interval *terms,
                        il_csv_writer *out)
{
    static const char *const names[] = {"fixed", "per_gb"}, *const units[] = {"ms", "ms/GB"};
    char because[512];
    double mape = NAN, p95 = NAN;
    il_form_judgement j = il_form_judge_term(loo, 1);
    (void)il_form_loo_error(loo, p->ms, &mape, &p95, NULL);
    say_why(p, loo, j, because, sizeof because);
    for (size_t t = 0; t < 2; t++) {
        il_csv_text(out, p->backend);
        il_csv_text(out, p->warm ? "warm" : "cold");
        il_csv_text(out, "file_gb");
        il_csv_text(out, il_form_name(IL_FORM_AFFINE));
        il_csv_i64(out, (int64_t)p->n);
        il_csv_text(out, names[t]);
        il_csv_text(out, units[t]);
        il_csv_f64(out, terms[t].estimate);
        il_csv_f64(out, terms[t].low);
        il_csv_f64(out, terms[t].high);
        il_csv_text(out, il_form_method_name(il_form_method_of(IL_FORM_AFFINE, p->n)));
        il_csv_f64(out, mape);
        il_csv_f64(out, p95);
        il_csv_text(out, j.verdict == IL_FORM_SUPPORTED ? "supported" : "not_identifiable");
        il_csv_text(out, because);
        il_csv_end_row(out);
    }
}

static void write_unfitted(const points *p, il_csv_writer *out)
{
    char because[128];
    (void)snprintf(because, sizeof because,
                   p->n < 2 ? "n: a line needs 5 models, there is %zu"
                            : "the files of %zu models are of one size",
                   p->n);
    const char *const texts[] = {p->backend, p->warm ? "warm" : "cold", "file_gb",
                                 il_form_name(IL_FORM_AFFINE)};
    for (size_t i = 0; i < IL__COUNT_OF(texts); i++) {
        il_csv_text(out, texts[i]);
    }
    il_csv_i64(out, (int64_t)p->n);
    il_csv_text(out, "per_gb");
    il_csv_text(out, "ms/GB");
    for (int i = 0; i < 6; i++) {
        il_csv_empty(out);
    }
    il_csv_text(out, "not_identifiable");
    il_csv_text(out, because);
    il_csv_end_row(out);
}

static int write_law(const il__run *run, points *p, il_csv_writer *out, il_error *err)
{
    collect(run, p);
    if (p->n == 0) {
        return IL_OK;
    }
    il_form_points form = {IL_FORM_AFFINE, p->gb, p->ms, p->n};
    il_form_loo loo = {0};
    il_interval terms[IL_FORM_MOST_TERMS];
    int rc = il_form_loo_fit(&form, &loo, err);
    if (rc == IL_E_TOO_FEW || rc == IL_E_INVALID) {
        write_unfitted(p, out);
        rc = IL_OK;
    } else if (rc == IL_OK) {
        rc = il_form_intervals(&form, &loo.fit, NULL, il_form_method_of(IL_FORM_AFFINE, p->n), 0,
                               NULL, terms, err);
        if (rc == IL_OK) {
            write_terms(p, &loo, terms, out);
        }
    }
    il_form_loo_free(&loo);
    return rc;
}

/* The first group of its backend and state. */
static bool is_first(const il_run_facts *f, size_t at)
{
    const il_cold_start *s = f->colds;
    for (size_t i = 0; i < at; i++) {
        if (s[i].warm == s[at].warm &&
            strcmp(f->cells[s[i].cell].backend, f->cells[s[at].cell].backend) == 0) {
            return false;
        }
    }
    return true;
}

int il__write_cold_law(const il__run *run, il_error *err)
{
    const il_run_facts *f = run->facts;
    il_csv_writer out = {.fd = -1};
    points p = {.gb = calloc(f->n_cells * 2 + 1, sizeof *p.gb),
                .ms = calloc(f->n_cells * 2 + 1, sizeof *p.ms),
                .models = calloc(f->n_cells * 2 + 1, sizeof *p.models)};
    int rc = p.gb && p.ms && p.models
                 ? il__table_open(run, "cold_law.csv", columns, IL__COUNT_OF(columns), &out, err)
                 : il_fail(err, IL_E_NOMEM, "no memory for a law");
    for (size_t at = 0; rc == IL_OK && at < f->n_colds;) {
        il_cold_group g = il__cold_group_at(f->colds, f->n_colds, at);
        if (is_first(f, at)) {
            p.backend = f->cells[g.starts[0].cell].backend;
            p.warm = g.starts[0].warm;
            rc = write_law(run, &p, &out, err);
        }
        at += g.n;
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    free(p.gb);
    free(p.ms);
    free(p.models);
    return rc;
}
