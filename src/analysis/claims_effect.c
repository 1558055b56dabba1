/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tests that are fits, put together: selection, points, columns, gates, the test itself, and
 * the weakest of several backends.
 */
#include "analysis/claims_fit.h"

#include <stdlib.h>
#include <string.h>

/* Whether the test takes sizes and times as logs. */
static bool is_log(const il_claim *c)
{
    return c->test != IL_CLAIM_coefficient && c->test != IL_CLAIM_coefficient_ratio;
}

/* A point of unknown size stays out; so does one of no size where logs are taken. */
static bool usable(const il_claim *c, const il__point *p)
{
    for (size_t j = 0; j < c->n_terms; j++) {
        double x = p->x[c->terms[j]];
        if (isnan(x) || (is_log(c) && !(x > 0))) {
            return false;
        }
    }
    return c->test != IL_CLAIM_predicts || c->against_mean || p->x[c->against] > 0;
}

/* The first column is the term that is judged. With a second term taken off, γ = β₁ − w·β₂ is the
 * first coefficient of the fit on x₁ and x₂ + w·x₁, its standard error with it. */
static void fill(il__claim_fit *fit, const il__point *p, const il__point *less)
{
    const il_claim *c = fit->claim;
    double *raw = fit->raw + fit->n * fit->k, *x = fit->x + fit->n * fit->k;
    for (size_t j = 0; j < fit->k; j++) {
        raw[j] = is_log(c) ? log(p->x[c->terms[j]]) : p->x[c->terms[j]];
        x[j] = raw[j];
    }
    bool takes_off = c->minus != IL_CLAIM_X_COUNT && fit->k >= 2 &&
                     (c->test == IL_CLAIM_exponent || c->test == IL_CLAIM_coefficient);
    if (takes_off) {
        x[1] += c->weight * x[0];
    }
    double y = p->y - (less ? less->y : 0);
    fit->y[fit->n] = is_log(c) ? y : exp(y);
    fit->less[fit->n] = less;
    fit->use[fit->n++] = p;
}

static int fit_alloc(il__claim_fit *fit, il_error *err)
{
    size_t n = fit->points.n + 1;
    bool one = fit->claim->test > IL_CLAIM_coefficient_ratio;
    fit->k = one ? 1 : fit->claim->n_terms;
    fit->use = malloc(n * sizeof *fit->use);
    fit->less = malloc(n * sizeof *fit->less);
    fit->x = malloc(n * fit->k * sizeof *fit->x);
    fit->raw = malloc(n * fit->k * sizeof *fit->raw);
    fit->y = malloc(n * sizeof *fit->y);
    return fit->use && fit->less && fit->x && fit->raw && fit->y
               ? IL_OK
               : il_fail(err, IL_E_NOMEM, "no memory for the fit of a claim");
}

static void fit_free(il__claim_fit *fit)
{
    free(fit->use);
    free(fit->less);
    free(fit->x);
    free(fit->raw);
    free(fit->y);
    il__points_free(&fit->points);
    il__points_free(&fit->other_points);
}

double il__claim_y_without(const il__claim_fit *fit, size_t i, double block)
{
    double y = il__point_without(fit->rows, fit->key, &fit->points, fit->use[i], block);
    if (fit->less[i]) {
        y -= il__point_without(fit->other, fit->other_key, &fit->other_points, fit->less[i], block);
    }
    return is_log(fit->claim) ? y : exp(y);
}

static size_t coefficients(const il_claim *c, size_t k)
{
    return c->test == IL_CLAIM_bend ? 4 : k + 1; /* the place of a bend is one of them */
}

static int judge(il__claim_fit *fit, il__effect *e, il_error *err)
{
    int rc = fit->claim->test == IL_CLAIM_rank
                 ? IL_OK
                 : il__claim_design_gates(fit, coefficients(fit->claim, fit->k), e, err);
    if (rc != IL_OK || fit->n < 2 || strcmp(e->gate, "n") == 0 ||
        strcmp(e->gate, "unknown_x") == 0) {
        return rc;
    }
    switch (fit->claim->test) {
    case IL_CLAIM_exponent:
    case IL_CLAIM_coefficient:
        return il__claim_term(fit, e, err);
    case IL_CLAIM_coefficient_ratio:
        return il__claim_terms_ratio(fit, e, err);
    case IL_CLAIM_rank:
        return il__claim_rank(fit, e, err);
    case IL_CLAIM_predicts:
        return il__claim_predicts(fit, e, err);
    case IL_CLAIM_bend:
        return il__claim_bend(fit, e, err);
    default:
        return il__claim_crossover(fit, e, err);
    }
}

static void say_evidence(const il__claim_fit *fit, il__effect *e)
{
    const il_claim *c = fit->claim;
    const char *x = il_claim_x_names[c->x];
    const char *backend = il__text(fit->run, fit->key.backend);
    if (c->test == IL_CLAIM_crossover) {
        (void)snprintf(e->evidence, sizeof e->evidence,
                       "crossovers.csv: kind=backend_overtakes mode=%s a=%s x=%s; medians.csv "
                       "holds the times",
                       c->a.mode, backend, x);
        return;
    }
    const char *file = c->test == IL_CLAIM_bend   ? "regimes.csv"
                       : c->test == IL_CLAIM_rank ? "medians.csv"
                                                  : "laws.csv";
    const char *form = fit->k == 1 ? "power" : is_log(c) ? "depth_width" : "linear_shape";
    (void)snprintf(e->evidence, sizeof e->evidence, "%s: backend=%s batch_size=%g mode=%s x=%s",
                   file, backend, fit->key.batch_size, c->a.mode,
                   fit->k == 1 ? x : "n_layer*d_model*n_head");
    size_t len = strlen(e->evidence);
    if (strcmp(file, "laws.csv") == 0) {
        (void)snprintf(e->evidence + len, sizeof e->evidence - len, " form=%s term=%s%s", form,
                       fit->k == 1 ? "slope" : "beta_", fit->k == 1 ? "" : x);
    }
}

/* The point of the same model among the others; NULL without one. */
static const il__point *less_of(const il__claim_fit *fit, const il__point *p)
{
    for (size_t k = 0; k < fit->other_points.n; k++) {
        if (fit->other_points.items[k].cell->model == p->cell->model) {
            return &fit->other_points.items[k];
        }
    }
    return NULL;
}

static int one_key(il__claim_fit *fit, il__effect *e, il_error *err)
{
    int rc = il__points_build(fit->run, fit->rows, fit->key, &fit->points, err);
    if (rc == IL_OK && fit->other) {
        rc = il__points_build(fit->run, fit->other, fit->other_key, &fit->other_points, err);
    }
    rc = rc ? rc : fit_alloc(fit, err);
    for (size_t i = 0; rc == IL_OK && i < fit->points.n; i++) {
        const il__point *p = &fit->points.items[i];
        const il__point *less = fit->other ? less_of(fit, p) : NULL;
        if (usable(fit->claim, p) && (less || !fit->other)) {
            fill(fit, p, less);
        }
    }
    e->n_models = fit->n;
    e->n_blocks = fit->rows->summary ? 0 : fit->points.n_blocks;
    say_evidence(fit, e);
    rc = rc ? rc : judge(fit, e, err);
    fit_free(fit);
    return rc;
}

/* How far an effect is from being supported: the weakest of several backends is told. */
static int weakness(const il__effect *e)
{
    if (!e->gate[0] && (e->state == IL__OPPOSITE || e->state == IL__INSIDE)) {
        return 3;
    }
    return e->gate[0] ? 2 : e->state == IL__UNDECIDED ? 1 : 0;
}

static const il__effect blank = {
    .estimate = NAN, .low = NAN, .high = NAN, .p = NAN, .se = NAN, .null = NAN, .margin = NAN};

static int every_key(il__claim_fit *base, il__effect *e, il_error *err)
{
    bool first = true;
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < base->rows->n; i++) {
        il__claim_fit fit = *base;
        il__effect one = *e;
        if (!il__claim_key_new(base->rows, i, &fit.key)) {
            continue;
        }
        fit.other_key = fit.key;
        rc = one_key(&fit, &one, err);
        if (first || weakness(&one) > weakness(e) ||
            (weakness(&one) == weakness(e) && one.p > e->p)) {
            *e = one;
        }
        first = false;
    }
    return rc;
}

static int crossing(il__claim_fit *fit, const il__claim_rows *other, il__effect *e, il_error *err)
{
    il__claim_key key;
    for (size_t i = 1; i < fit->rows->n; i++) {
        if (il__claim_key_new(fit->rows, i, &key)) {
            il__effect_gate(e, "several", "a claim that names one backend and batch size a side",
                            "several backends or batch sizes match one side");
            return IL_OK;
        }
    }
    for (size_t i = 1; i < other->n; i++) {
        if (il__claim_key_new(other, i, &key)) {
            il__effect_gate(e, "several", "a claim that names one backend and batch size a side",
                            "several backends or batch sizes match the other side");
            return IL_OK;
        }
    }
    (void)il__claim_key_new(fit->rows, 0, &fit->key);
    (void)il__claim_key_new(other, 0, &fit->other_key);
    return one_key(fit, e, err);
}

int il__effect_fit(const il__run *run, const il_claim *c, il__effect *e, il_error *err)
{
    il__claim_rows rows, other;
    double noise = NAN;
    *e = blank;
    int rc = il__claim_rows_select(run, &c->a, &rows, err);
    int rc_other = il__claim_rows_select(run, &c->b, &other, rc ? NULL : err);
    rc = rc ? rc : rc_other;
    rc = rc ? rc : il__claims_noise(run, &rows, &noise, err);
    il__claim_fit fit = {.run = run, .claim = c, .rows = &rows, .noise = fmax(0.02, noise)};
    bool two = c->differs.backend || c->differs.batch_size;
    fit.other = c->has_versus ? &other : NULL;
    if (rc == IL_OK && (rows.n == 0 || (fit.other && other.n == 0))) {
        il__effect_gate(e, "no_data", c->decided_by ? c->decided_by : "a run with such rows",
                        "no row of the selection%s", rows.n == 0 ? "" : " compared with");
    } else if (rc == IL_OK) {
        rc = il__effect_row_gates(run, &rows, e, err);
        rc = rc ? rc : two ? crossing(&fit, &other, e, err) : every_key(&fit, e, err);
    }
    il__claim_rows_free(&rows);
    il__claim_rows_free(&other);
    return rc;
}
