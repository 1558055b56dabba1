/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/form_loo.h"

#include "base/checked.h"
#include "stats/dist.h"
#include "stats/order.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void interval_of(const il_form_fit *fit, size_t term, double *low, double *high)
{
    double half = il_t_quantile(0.975, fit->dof) * fit->se[term];
    *low = fit->coef[term] - half;
    *high = fit->coef[term] + half;
}

static void fill_general(il_form_loo *out)
{
    const il_form_fit *fit = &out->fit;
    il_ols *ols = &out->loo.fit;
    ols->n = fit->n;
    ols->n_terms = fit->n_terms;
    ols->sigma = fit->sigma;
    ols->dof = fit->dof;
    ols->r2 = NAN;
    for (size_t t = 0; t < fit->n_terms; t++) {
        ols->coef[t] = fit->coef[t];
        ols->se[t] = fit->se[t];
        interval_of(fit, t, &out->loo.ci_low[t], &out->loo.ci_high[t]);
    }
    for (size_t i = 0; i < fit->n; i++) {
        ols->max_leverage = fmax(ols->max_leverage, out->loo.leverage[i]);
    }
}

static void fill_row(il_form_loo *out, size_t i, const il_form_fit *part, const double *x)
{
    double ms = il_form_predict(part, x);
    out->loo.predicted[i] = ms > 0 ? log10(ms) : -INFINITY;
    for (size_t t = 0; t < part->n_terms; t++) {
        il_loo_row *row = &out->loo.rows[i * part->n_terms + t];
        row->fitted = true;
        row->estimate = part->coef[t];
        interval_of(part, t, &row->ci_low, &row->ci_high);
        row->decisive = il_is_decisive(out->fit.coef[t], out->loo.ci_low[t], out->loo.ci_high[t],
                                       row->estimate, row->ci_low, row->ci_high);
    }
}

static int leave_each_out(const il_form_points *points, il_form_loo *out, double *part,
                          il_error *err)
{
    size_t n = points->n;
    size_t n_x = il_form_n_x(points->form);
    double *part_ms = part + (n - 1) * n_x;
    for (size_t i = 0; i < n; i++) {
        memcpy(part, points->x, i * n_x * sizeof *part);
        memcpy(part + i * n_x, points->x + (i + 1) * n_x, (n - 1 - i) * n_x * sizeof *part);
        memcpy(part_ms, points->ms, i * sizeof *part);
        memcpy(part_ms + i, points->ms + i + 1, (n - 1 - i) * sizeof *part);
        il_form_fit fit;
        int rc = il_form_fit_to(points->form, part, part_ms, n - 1, NULL, &fit, NULL);
        if (rc == IL_OK) {
            fill_row(out, i, &fit, points->x + i * n_x);
            continue;
        }
        if (rc == IL_E_NOMEM) {
            return il_fail(err, rc, "no memory to leave a model out");
        }
        out->loo.predicted[i] = NAN;
        for (size_t t = 0; t < out->fit.n_terms; t++) {
            out->loo.rows[i * out->fit.n_terms + t] = (il_loo_row){NAN, NAN, NAN, false, true};
        }
    }
    return IL_OK;
}

int il_form_loo_fit(const il_form_points *points, il_form_loo *out, il_error *err)
{
    size_t n = points->n;
    size_t k = il_form_n_terms(points->form);
    *out = (il_form_loo){.loo = {.n = n, .n_terms = k}};
    int rc = il_form_columns_of(points->form, points->x, n, &out->columns, err);
    rc = rc ? rc : il_form_fit_to(points->form, points->x, points->ms, n, NULL, &out->fit, err);
    if (rc != IL_OK) {
        return rc;
    }
    size_t cells;
    size_t bytes;
    double *part = NULL;
    if (il_mul_size(n, k, &cells) && il_mul_size(cells, sizeof(il_loo_row), &bytes)) {
        part = malloc(bytes); /* a row is larger than the few numbers of a point */
        out->loo.rows = calloc(1, bytes);
        out->loo.leverage = calloc(n, sizeof *out->loo.leverage);
        out->loo.cooks = calloc(n, sizeof *out->loo.cooks);
        out->loo.predicted = calloc(n, sizeof *out->loo.predicted);
    }
    if (!part || !out->loo.rows || !out->loo.leverage || !out->loo.cooks || !out->loo.predicted) {
        rc = il_fail(err, IL_E_NOMEM, "no memory to leave %zu models out", n);
        goto out;
    }
    il_form_influence(&out->fit, points->x, points->ms, out->loo.leverage, out->loo.cooks);
    fill_general(out);
    rc = leave_each_out(points, out, part, err);
out:
    free(part);
    if (rc != IL_OK) {
        il_form_loo_free(out);
    }
    return rc;
}

void il_form_loo_free(il_form_loo *loo)
{
    il_loo_free(&loo->loo);
}

/* Which terms a verdict hangs on: one, or with n_terms those that the form is judged by. */
static bool counts(const il_form_loo *loo, size_t only, size_t term)
{
    return only < loo->fit.n_terms ? term == only : il_form_term_judged(loo->fit.form, term);
}

static size_t count_decisive(const il_form_loo *loo, size_t only)
{
    size_t n = 0;
    for (size_t i = 0; i < loo->loo.n; i++) {
        bool any = false;
        for (size_t t = 0; t < loo->fit.n_terms; t++) {
            any = any || (counts(loo, only, t) && loo->loo.rows[i * loo->fit.n_terms + t].decisive);
        }
        n += any;
    }
    return n;
}

static double change_of(const il_form_loo *loo, size_t model, size_t term)
{
    const il_loo_row *row = &loo->loo.rows[model * loo->fit.n_terms + term];
    double ratio = row->estimate / loo->fit.coef[term];
    return row->fitted && ratio > 0 ? fabs(log(ratio)) : INFINITY;
}

/* The judged term and model with the largest change among the decisive ones. */
static void find_decisive(const il_form_loo *loo, size_t only, il_form_judgement *out)
{
    double largest = -1;
    for (size_t t = 0; t < loo->fit.n_terms; t++) {
        if (!counts(loo, only, t)) {
            continue;
        }
        for (size_t i = 0; i < loo->loo.n; i++) {
            double change = change_of(loo, i, t);
            if (loo->loo.rows[i * loo->fit.n_terms + t].decisive && change > largest) {
                largest = change;
                out->model = i;
                out->term = t;
            }
        }
    }
}

static bool confounded(const il_form_columns *columns)
{
    bool any = columns->condition > IL_FORM_MOST_CONDITION;
    for (size_t j = 0; j < columns->n_columns && columns->n_columns > 1; j++) {
        any = any || columns->vif[j] > IL_FORM_MOST_VIF;
    }
    return any;
}

static il_form_judgement judge(const il_form_loo *loo, size_t only)
{
    size_t n = loo->loo.n;
    il_form_judgement out = {.verdict = IL_FORM_SUPPORTED,
                             .model = n,
                             .term = only < loo->fit.n_terms ? only : loo->fit.n_terms - 1,
                             .n_needed = loo->fit.n_terms + 3,
                             .n_decisive = count_decisive(loo, only)};
    find_decisive(loo, only, &out);
    if (n < out.n_needed) {
        out.verdict = IL_FORM_TOO_FEW_MODELS;
        return out;
    }
    if (confounded(&loo->columns)) {
        out.verdict = IL_FORM_CONFOUNDED;
        return out;
    }
    for (size_t i = 0; i < n; i++) {
        if (loo->loo.leverage[i] >= IL_LEVERAGE_ONE) {
            out.verdict = IL_FORM_LEVERAGE_ONE;
            out.model = i;
            return out;
        }
    }
    bool exponent_held = loo->fit.form == IL_FORM_AFFINE_POWER && loo->fit.on_bound[2];
    if (!loo->fit.determined || exponent_held) {
        out.verdict = IL_FORM_UNDETERMINED;
    } else if (out.n_decisive > 0) {
        out.verdict = IL_FORM_DECISIVE;
    }
    return out;
}

il_form_judgement il_form_judge(const il_form_loo *loo)
{
    return judge(loo, loo->fit.n_terms);
}

il_form_judgement il_form_judge_term(const il_form_loo *loo, size_t term)
{
    assert(term < loo->fit.n_terms);
    return judge(loo, term);
}

int il_form_loo_error(const il_form_loo *loo, const double *ms, double *mape, double *p95,
                      il_error *err)
{
    size_t n = loo->loo.n;
    *mape = *p95 = NAN;
    double *errors = malloc(n * sizeof *errors);
    if (!errors) {
        return il_fail(err, IL_E_NOMEM, "no memory for the errors of %zu models", n);
    }
    bool known = true;
    bool below = false;
    for (size_t i = 0; i < n; i++) {
        double predicted = loo->loo.predicted[i];
        known = known && !isnan(predicted);
        below = below || predicted == -INFINITY;
        errors[i] = fabs(pow(10, predicted - log10(ms[i])) - 1);
    }
    if (known && below) {
        *mape = *p95 = INFINITY;
    } else if (known) {
        *mape = il_mean(errors, n);
        *p95 = il_quantile(errors, n, 0.95);
    }
    free(errors);
    return IL_OK;
}
