/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/form_intervals.h"

#include "stats/dist.h"
#include "stats/forms_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A search takes a hundred times as long as a line, and 1,000 give ends to a tenth of a width. */
enum { MOST_SEARCHED_RESAMPLES = 1000, MOST_DOUBLINGS = 60, BISECTIONS = 32 };

const char *il_form_method_name(il_form_method method)
{
    static const char *const names[] = {"", "t", "profile", "nested_bootstrap"};
    return names[method];
}

il_form_method il_form_method_of(il_form form, size_t n_models)
{
    if (n_models <= il_form_n_terms(form)) {
        return IL_FORM_BY_NOTHING;
    }
    switch (form) {
    case IL_FORM_AFFINE:
    case IL_FORM_AFFINE_POWER:
        return n_models >= 15 && form == IL_FORM_AFFINE_POWER ? IL_FORM_BY_NESTED
                                                              : IL_FORM_BY_PROFILE;
    case IL_FORM_LINEAR_SHAPE:
    case IL_FORM_DEPTH_WIDTH:
        return n_models >= 20 ? IL_FORM_BY_NESTED : IL_FORM_BY_T;
    default:
        return n_models >= 7 ? IL_FORM_BY_NESTED : IL_FORM_BY_T;
    }
}

static void by_t(const il_form_fit *fit, il_interval *out)
{
    double t = il_t_quantile(0.975, fit->dof);
    for (size_t k = 0; k < fit->n_terms; k++) {
        out[k] = (il_interval){fit->coef[k], fit->coef[k] - t * fit->se[k],
                               fit->coef[k] + t * fit->se[k]};
    }
}

typedef struct profile {
    const il_form_points *points;
    size_t term;
    double most; /* of the objective, within the interval */
    double coef[IL_FORM_MOST_TERMS];
    int rc;
} profile;

static bool inside(profile *p, double value)
{
    double objective = INFINITY;
    double coef[IL_FORM_MOST_TERMS];
    memcpy(coef, p->coef, sizeof coef);
    int rc = il__form_held(p->points->form, p->points->x, p->points->ms, p->points->n, p->term,
                           value, coef, &objective);
    p->rc = p->rc ? p->rc : rc;
    if (objective <= p->most) {
        memcpy(p->coef, coef, sizeof coef); /* the next value begins near */
        return true;
    }
    return false;
}

/* Where the profile leaves the interval on the way from the estimate to a bound. */
static double end_of(profile *p, const il_form_fit *fit, double bound)
{
    double from = fit->coef[p->term];
    double outside = bound;
    memcpy(p->coef, fit->coef, sizeof p->coef);
    if (isinf(bound)) {
        double step = fit->se[p->term] > 0 ? fit->se[p->term] : fabs(from);
        step = step > 0 ? step : 1e-3 * p->points->ms[0];
        step = bound > 0 ? step : -step;
        int i = 0;
        for (; i < MOST_DOUBLINGS && inside(p, from + step); i++) {
            from += step;
            step *= 2;
        }
        if (i == MOST_DOUBLINGS) {
            return NAN;
        }
        outside = from + step;
    } else if (inside(p, bound)) {
        return bound;
    }
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = (from + outside) / 2;
        if (inside(p, middle)) {
            from = middle;
        } else {
            outside = middle;
        }
    }
    return from;
}

static int by_profile(const il_form_points *points, const il_form_fit *fit, il_interval *out,
                      il_error *err)
{
    bool power = points->form == IL_FORM_AFFINE_POWER;
    double t = il_t_quantile(0.975, fit->dof);
    for (size_t k = 0; k < fit->n_terms; k++) {
        double low = !power ? -INFINITY : k == 2 ? IL_FORM_LEAST_POWER : 0;
        double high = power && k == 2 ? IL_FORM_LARGEST_POWER : INFINITY;
        profile p = {.points = points, .term = k, .most = fit->sse * (1 + t * t / fit->dof)};
        p.most += 1e-24; /* exact data: all is rounding */
        out[k].estimate = fit->coef[k];
        out[k].low = end_of(&p, fit, low);
        out[k].high = end_of(&p, fit, high);
        if (p.rc != IL_OK) {
            return il_fail(err, p.rc, "no memory for a profile");
        }
    }
    return IL_OK;
}

typedef struct resampled {
    const il_form_points *points;
    const il_form_fit *fit;
    double *x, *ms;
} resampled;

static int fit_resample(void *context, const size_t *pick, const double *y, size_t n, double *terms)
{
    const resampled *r = context;
    il_form form = r->points->form;
    size_t n_x = il_form_n_x(form);
    for (size_t i = 0; i < n; i++) {
        memcpy(r->x + i * n_x, r->points->x + pick[i] * n_x, n_x * sizeof *r->x);
        r->ms[i] = pow(10, y[i]);
    }
    il_form_fit fit;
    int rc = il_form_fit_to(form, r->x, r->ms, n, r->fit->coef, &fit, NULL);
    if (rc != IL_OK) {
        return rc;
    }
    /* Without b there is no exponent; any other rank lost is a resample of too few models. */
    bool flat = form == IL_FORM_AFFINE_POWER && fit.coef[1] == 0;
    if (!fit.determined && !flat) {
        return IL_E_INVALID;
    }
    memcpy(terms, fit.coef, fit.n_terms * sizeof *terms);
    if (flat) {
        terms[2] = NAN;
    }
    return IL_OK;
}

static int by_resampling(const il_form_points *points, const il_form_fit *fit,
                         const il_nested *data, size_t n_resamples, il_stream *stream,
                         il_interval *out, size_t *n_used, il_error *err)
{
    size_t n_x = il_form_n_x(points->form);
    double *memory = malloc(points->n * (n_x + 1) * sizeof *memory);
    if (!memory) {
        return il_fail(err, IL_E_NOMEM, "no memory to resample %zu models", points->n);
    }
    if (points->form == IL_FORM_POWER) { /* a line in the logs needs no search */
        il_boot_line line;
        il_nested logs = *data;
        logs.x = memory;
        for (size_t i = 0; i < points->n; i++) {
            memory[i] = log10(points->x[i]);
        }
        int rc = il_boot_line_nested(&logs, n_resamples, stream, &line, err);
        out[0] = line.intercept;
        out[1] = line.slope;
        *n_used = line.n_used;
        free(memory);
        return rc;
    }
    resampled r = {points, fit, memory, memory + points->n * n_x};
    size_t k = il_form_n_terms(points->form);
    int rc = il_boot_nested(data, k, k, fit_resample, &r, n_resamples, stream, out, n_used, err);
    free(memory);
    return rc;
}

int il_form_intervals(const il_form_points *points, const il_form_fit *fit, const il_nested *data,
                      il_form_method method, size_t n_resamples, il_stream *stream,
                      il_interval *out, il_error *err)
{
    size_t used;
    bool searched = points->form != IL_FORM_POWER && points->form != IL_FORM_DEPTH_WIDTH;
    switch (method) {
    case IL_FORM_BY_NESTED:
        if (searched && n_resamples > MOST_SEARCHED_RESAMPLES) {
            n_resamples = MOST_SEARCHED_RESAMPLES;
        }
        return by_resampling(points, fit, data, n_resamples, stream, out, &used, err);
    case IL_FORM_BY_PROFILE:
        return by_profile(points, fit, out, err);
    case IL_FORM_BY_T:
        by_t(fit, out);
        return IL_OK;
    case IL_FORM_BY_NOTHING:
        break;
    }
    for (size_t k = 0; k < fit->n_terms; k++) {
        out[k] = (il_interval){fit->coef[k], NAN, NAN};
    }
    return IL_OK;
}
