/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/law_fit.h"

#include <stdlib.h>
#include <string.h>

size_t il__law_main_term(il_form form)
{
    return form == IL_FORM_AFFINE_POWER ? 2 : 1;
}

/* One row of x of a form for a model; false when a part is not known. */
static bool fill_row(il_form form, il__law_x x_kind, const il__law_model *model, double *row)
{
    switch (form) {
    case IL_FORM_LINEAR_SHAPE:
    case IL_FORM_DEPTH_WIDTH:
        row[0] = model->x[IL__X_n_layer];
        row[1] = model->x[IL__X_d_model];
        row[2] = model->n_head;
        break;
    case IL_FORM_PHYSICS:
        row[0] = model->passes;
        row[1] = model->passes * model->x[IL__X_n_layer];
        row[2] = model->floor_ms;
        break;
    default:
        row[0] = model->x[x_kind];
        break;
    }
    bool known = true;
    for (size_t j = 0; j < il_form_n_x(form); j++) {
        known = known && row[j] > 0 && isfinite(row[j]);
    }
    return known;
}

static int collect(il__law *l, il__law_x x_kind, il_error *err)
{
    const il__law_data *data = l->data;
    size_t n_x = il_form_n_x(l->form);
    l->models = malloc((data->n_models + 1) * sizeof *l->models);
    l->x = malloc((data->n_models + 1) * n_x * sizeof *l->x);
    l->ms = malloc((data->n_models + 1) * sizeof *l->ms);
    if (!l->models || !l->x || !l->ms) {
        return il_fail(err, IL_E_NOMEM, "no memory for a law");
    }
    l->n_blocks = SIZE_MAX;
    for (size_t i = 0; i < data->n_models; i++) {
        const il__law_model *model = &data->models[i];
        if (!fill_row(l->form, x_kind, model, l->x + l->n * n_x)) {
            l->n_unknown++;
            continue;
        }
        l->models[l->n] = model;
        l->ms[l->n++] = pow(10, model->y);
        l->n_blocks = model->n_blocks < l->n_blocks ? model->n_blocks : l->n_blocks;
    }
    return IL_OK;
}

static int fill_intervals(const il__run *run, il__law *l, il_error *err)
{
    il_form_method method = il_form_method_of(l->form, l->n);
    const il__law_data *data = l->data;
    double *values = malloc((data->n_values + 1) * sizeof *values);
    double *inside = malloc((l->n + 1) * sizeof *inside);
    size_t *first = malloc((l->n + 1) * sizeof *first);
    int rc =
        values && inside && first ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for intervals");
    if (rc == IL_OK) {
        first[0] = 0;
        for (size_t m = 0; m < l->n; m++) {
            const il__law_model *model = l->models[m];
            memcpy(values + first[m], data->values + model->first,
                   model->n_blocks * sizeof *values);
            first[m + 1] = first[m] + model->n_blocks;
            inside[m] = model->inside_var;
        }
        const il_nested nested = {l->n, NULL, values, first, inside};
        const il_form_points points = {l->form, l->x, l->ms, l->n};
        char what[64];
        char row[1024];
        (void)snprintf(what, sizeof what, "%s%s%s", l->x_name, l->form == IL_FORM_POWER ? "" : "|",
                       l->form == IL_FORM_POWER ? "" : il_form_name(l->form));
        il__stream_row(row, sizeof row, run, data->key->backend, data->key->batch_size,
                       data->key->mode, what);
        il_stream stream = il_stream_open(run->seed, "laws.csv", row);
        rc = il_form_intervals(&points, &l->loo.fit, &nested, method, run->n_resamples_own, &stream,
                               l->terms, err);
    }
    free(values);
    free(inside);
    free(first);
    return rc;
}

/* The terms over the models without the rows that carry flags; NaN when they cannot be had. */
static void fill_unflagged(il__law *l)
{
    size_t n_x = il_form_n_x(l->form);
    double *x = malloc((l->n + 1) * (n_x + 1) * sizeof *x);
    size_t n = 0;
    for (size_t i = 0; x && i < l->n; i++) {
        if (!isnan(l->models[i]->y_unflagged)) {
            memcpy(x + n * n_x, l->x + i * n_x, n_x * sizeof *x);
            x[l->n * n_x + n++] = pow(10, l->models[i]->y_unflagged);
        }
    }
    il_form_fit fit;
    if (x && il_form_fit_to(l->form, x, x + l->n * n_x, n, NULL, &fit, NULL) == IL_OK) {
        memcpy(l->unflagged, fit.coef, fit.n_terms * sizeof *fit.coef);
    }
    free(x);
}

/* Corrected Akaike criterion of the residuals of ln T; the scatter is a parameter too. Residuals
 * below 1e-9 are rounding, and no form is better by it. */
static double aicc_of(const il_form_fit *fit)
{
    double n = (double)fit->n;
    double k = (double)fit->n_terms + 1;
    if (n - k - 1 <= 0) {
        return NAN;
    }
    return n * log(fmax(fit->sse / n, 1e-18)) + 2 * k + 2 * k * (k + 1) / (n - k - 1);
}

static int fit_one(const il__run *run, il__law *l, il_error *err)
{
    const il_form_points points = {l->form, l->x, l->ms, l->n};
    int rc = il_form_loo_fit(&points, &l->loo, err);
    if (rc == IL_E_TOO_FEW || rc == IL_E_INVALID) {
        return IL_OK; /* said in `because` */
    }
    if (rc != IL_OK) {
        return rc;
    }
    l->fitted = true;
    l->judgement = il_form_judge(&l->loo);
    if (l->data->n_flagged > 0) {
        fill_unflagged(l);
    }
    l->aicc = aicc_of(&l->loo.fit);
    l->ci_method = il_form_method_name(il_form_method_of(l->form, l->n));
    rc = il_form_loo_error(&l->loo, l->ms, &l->mape, &l->p95, err);
    return rc ? rc : fill_intervals(run, l, err);
}

int il__law_fit(const il__run *run, const il__law_data *data, il_form form, const char *x_name,
                il__law_x x_kind, il__law *out, il_error *err)
{
    *out = (il__law){.data = data,
                     .form = form,
                     .x_name = x_name,
                     .ci_method = "",
                     .mape = NAN,
                     .p95 = NAN,
                     .aicc = NAN,
                     .delta_aicc = NAN,
                     .about = il_form_n_terms(form)};
    for (size_t t = 0; t < IL_FORM_MOST_TERMS; t++) {
        out->terms[t] = (il_interval){NAN, NAN, NAN};
        out->unflagged[t] = NAN;
    }
    int rc = collect(out, x_kind, err);
    return rc || out->n == 0 ? rc : fit_one(run, out, err);
}

void il__law_judge_term(il__law *law, size_t term)
{
    law->about = term;
    if (law->fitted) {
        law->judgement = il_form_judge_term(&law->loo, term);
    }
}

void il__law_free(il__law *law)
{
    if (law->fitted) {
        il_form_loo_free(&law->loo);
    }
    free(law->models);
    free(law->x);
    free(law->ms);
    *law = (il__law){0};
}

/* An x that no model has gives no law. */
static int add_law(const il__run *run, const il__law_data *data, il_form form, const char *x_name,
                   il__law_x x_kind, il__laws *out, il_error *err)
{
    il__law *l = &out->items[out->n];
    int rc = il__law_fit(run, data, form, x_name, x_kind, l, err);
    if (rc == IL_OK && l->n > 0) {
        out->n++;
    } else {
        il__law_free(l);
    }
    return rc;
}

/* Whether an x adds anything: active parameters that are the total ones do not, nor does a width
 * that all models share. */
static bool worth_a_law(const il__law_data *data, il__law_x x)
{
    bool differs = false;
    bool varies = false;
    for (size_t i = 0; i < data->n_models; i++) {
        const double *its = data->models[i].x;
        differs = differs || its[x] != its[IL__X_params_total];
        varies = varies || its[x] != data->models[0].x[x];
    }
    return (x != IL__X_params_active || differs) && (x != IL__X_d_model || varies);
}

static void fill_delta(il__laws *laws)
{
    double least = INFINITY;
    for (size_t i = 0; i < laws->n; i++) {
        const il__law *l = &laws->items[i];
        least = l->in_choice && l->aicc < least ? l->aicc : least;
    }
    for (size_t i = 0; i < laws->n; i++) {
        il__law *l = &laws->items[i];
        l->delta_aicc = l->in_choice && isfinite(least) ? l->aicc - least : NAN;
    }
}

/* Laws over the same models, the most that any law has, are compared. */
static int choose(il__laws *laws, il_error *err)
{
    const il__law *widest = NULL;
    for (size_t i = 0; i < laws->n; i++) {
        const il__law *l = &laws->items[i];
        widest = l->fitted && (!widest || l->n > widest->n) ? l : widest;
    }
    il_form_points *points = calloc(laws->n + 1, sizeof *points);
    const il_form_fit **start = calloc(laws->n + 1, sizeof *start);
    laws->candidates = calloc(laws->n + 1, sizeof *laws->candidates);
    int rc = points && start && laws->candidates
                 ? IL_OK
                 : il_fail(err, IL_E_NOMEM, "no memory to choose a law");
    for (size_t i = 0; i < laws->n && rc == IL_OK; i++) {
        il__law *l = &laws->items[i];
        l->in_choice = l->fitted && l->n == widest->n &&
                       memcmp(l->models, widest->models, l->n * sizeof(il__law_model *)) == 0;
        if (l->in_choice) {
            points[laws->n_candidates] = (il_form_points){l->form, l->x, l->ms, l->n};
            start[laws->n_candidates] = &l->loo.fit;
            laws->candidates[laws->n_candidates++] = i;
        }
    }
    rc = rc ? rc : il_form_select(points, start, laws->n_candidates, &laws->choice, err);
    if (rc == IL_OK && laws->choice.chosen < laws->n_candidates) {
        laws->items[laws->candidates[laws->choice.chosen]].selected = true;
    }
    free(points);
    free(start);
    return rc;
}

int il__laws_fit(const il__run *run, const il__law_data *data, il__laws *out, il_error *err)
{
    static const il_form one_x[] = {IL_FORM_POWER, IL_FORM_AFFINE, IL_FORM_AFFINE_POWER};
    static const struct {
        il_form form;
        const char *x_name;
    } more_x[] = {{IL_FORM_LINEAR_SHAPE, "n_layer*d_model*n_head"},
                  {IL_FORM_DEPTH_WIDTH, "n_layer*d_model*n_head"},
                  {IL_FORM_PHYSICS, "n_layer*floor"}};
    *out = (il__laws){0};
    out->items =
        calloc(IL__X_COUNT * IL__COUNT_OF(one_x) + IL__COUNT_OF(more_x), sizeof *out->items);
    int rc = out->items ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for laws");
    for (int x = 0; x < IL__X_COUNT; x++) {
        for (size_t f = 0; f < IL__COUNT_OF(one_x) && rc == IL_OK; f++) {
            if (worth_a_law(data, (il__law_x)x)) {
                rc = add_law(run, data, one_x[f], il__law_x_names[x], (il__law_x)x, out, err);
            }
        }
    }
    for (size_t f = 0; f < IL__COUNT_OF(more_x) && rc == IL_OK; f++) {
        rc = add_law(run, data, more_x[f].form, more_x[f].x_name, IL__X_COUNT, out, err);
    }
    rc = rc ? rc : choose(out, err);
    if (rc != IL_OK) {
        il__laws_free(out);
        return rc;
    }
    fill_delta(out);
    return IL_OK;
}

void il__laws_free(il__laws *laws)
{
    for (size_t i = 0; i < laws->n; i++) {
        il__law_free(&laws->items[i]);
    }
    il_selection_free(&laws->choice);
    free(laws->items);
    free(laws->candidates);
    *laws = (il__laws){0};
}
