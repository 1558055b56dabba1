/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/forms_internal.h"

#include "base/checked.h"
#include "stats/dist.h"
#include "stats/ols.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { K = IL_FORM_MOST_TERMS };
#define LOG_10    2.302585092994046
#define CONVERGED 1e-8

static const struct {
    const char *name;
    size_t n_terms, n_x;
    const char *terms[K];
    bool judged[K];
} forms[IL_FORM_COUNT] = {
    [IL_FORM_POWER] = {"power", 2, 1, {"intercept", "slope"}, {false, true}},
    [IL_FORM_AFFINE] = {"affine", 2, 1, {"a", "b"}, {false, true}},
    [IL_FORM_AFFINE_POWER] = {"affine_power", 3, 1, {"a", "b", "s"}, {false, false, true}},
    [IL_FORM_LINEAR_SHAPE] = {"linear_shape",
                              4,
                              3,
                              {"intercept", "beta_n_layer", "beta_d_model", "beta_n_head"},
                              {false, true, true, true}},
    [IL_FORM_DEPTH_WIDTH] = {"depth_width",
                             4,
                             3,
                             {"intercept", "beta_n_layer", "beta_d_model", "beta_n_head"},
                             {false, true, true, true}},
    [IL_FORM_PHYSICS] =
        {"physics", 3, 3, {"t_step_ms", "t_layer_ms", "floor_factor"}, {false, true, true}},
};

const char *il_form_name(il_form form)
{
    return forms[form].name;
}

size_t il_form_n_terms(il_form form)
{
    return forms[form].n_terms;
}

size_t il_form_n_x(il_form form)
{
    return forms[form].n_x;
}

const char *il_form_term_name(il_form form, size_t term)
{
    return forms[form].terms[term];
}

bool il_form_term_judged(il_form form, size_t term)
{
    return forms[form].judged[term];
}

static bool takes_logs(il_form form)
{
    return form == IL_FORM_POWER || form == IL_FORM_AFFINE_POWER || form == IL_FORM_DEPTH_WIDTH;
}

/* The columns that a form multiplies its coefficients with; k of them. */
static void linear_row(il_form form, const double *x, double *row)
{
    size_t at = 0;
    if (form != IL_FORM_PHYSICS) {
        row[at++] = 1;
    }
    for (size_t j = 0; j < forms[form].n_x; j++) {
        row[at++] = form == IL_FORM_DEPTH_WIDTH ? log10(x[j]) : x[j];
    }
}

static double predict(il_form form, const double *coef, const double *x)
{
    switch (form) {
    case IL_FORM_POWER:
        return pow(10, coef[0] + coef[1] * log10(x[0]));
    case IL_FORM_AFFINE_POWER:
        return coef[0] + coef[1] * pow(x[0], coef[2]);
    default: {
        double row[K];
        double sum = 0;
        linear_row(form, x, row);
        for (size_t j = 0; j < forms[form].n_terms; j++) {
            sum += coef[j] * row[j];
        }
        return form == IL_FORM_DEPTH_WIDTH ? pow(10, sum) : sum;
    }
    }
}

double il_form_predict(const il_form_fit *fit, const double *x)
{
    return predict(fit->form, fit->coef, x);
}

/* ∂ ln T / ∂ coefficient; the prediction must be above 0. */
static void log_gradient(il_form form, const double *coef, const double *x, double *g)
{
    if (form == IL_FORM_POWER) {
        g[0] = LOG_10;
        g[1] = log(x[0]);
        return;
    }
    double f = predict(form, coef, x);
    if (form == IL_FORM_AFFINE_POWER) {
        double p = pow(x[0], coef[2]);
        g[0] = 1 / f;
        g[1] = p / f;
        g[2] = coef[1] * p * log(x[0]) / f;
        return;
    }
    linear_row(form, x, g);
    for (size_t j = 0; j < forms[form].n_terms; j++) {
        g[j] = form == IL_FORM_DEPTH_WIDTH ? g[j] * LOG_10 : g[j] / f;
    }
}

static int check_values(il_form form, const double *x, const double *ms, size_t n, il_error *err)
{
    size_t n_x = forms[form].n_x;
    for (size_t i = 0; i < n; i++) {
        bool fine = ms[i] > 0 && isfinite(ms[i]);
        for (size_t j = 0; j < n_x; j++) {
            double v = x[i * n_x + j];
            fine = fine && isfinite(v) && (v > 0 || (!takes_logs(form) && v >= 0));
        }
        if (!fine) {
            return il_fail(err, IL_E_INVALID, "point %zu is out of the range of the form %s", i,
                           forms[form].name);
        }
    }
    return IL_OK;
}

/* Power and depth_width are straight lines in the logs. work is [n·(2k + 2)]. */
static int fit_logs(il_form form, const double *x, const double *ms, size_t n, double *coef,
                    double *work)
{
    size_t k = forms[form].n_terms;
    double *log_ms = work + n * (2 * k + 1);
    for (size_t i = 0; i < n; i++) {
        log_ms[i] = log10(ms[i]);
    }
    if (form == IL_FORM_POWER) {
        il_line line;
        for (size_t i = 0; i < n; i++) {
            work[i] = log10(x[i]);
        }
        int rc = il_line_fit(work, log_ms, n, &line);
        coef[0] = line.intercept;
        coef[1] = line.slope;
        return rc == IL_OK ? IL_OK : IL_E_INVALID;
    }
    for (size_t i = 0; i < n; i++) {
        linear_row(form, x + i * forms[form].n_x, work + i * k);
    }
    return il__least_squares(work, log_ms, n, k, coef, work + n * k);
}

/* A problem in units in which coefficients are about 1: coef = theta · unit. */
typedef struct scaled {
    il__curve curve;
    double *columns, *log_y, *work; /* [n][k], [n], [n·(2k + 1)] */
    double unit[K];
    double x_unit; /* of affine_power */
} scaled;

/* keep_x leaves the x of affine_power in its own unit, so that b is a coordinate of the problem. */
static void scale_problem(il_form form, const double *x, const double *ms, size_t n, bool keep_x,
                          double *memory, scaled *out)
{
    size_t k = forms[form].n_terms;
    double y_unit = 0;
    for (size_t i = 0; i < n; i++) {
        y_unit += log(ms[i]) / (double)n;
    }
    out->columns = memory;
    out->log_y = memory + n * k;
    out->work = out->log_y + n;
    for (size_t i = 0; i < n; i++) {
        out->log_y[i] = log(ms[i]) - y_unit;
    }
    y_unit = exp(y_unit);
    out->curve = (il__curve){.is_power = form == IL_FORM_AFFINE_POWER,
                             .n = n,
                             .k = k,
                             .x = out->columns,
                             .log_y = out->log_y,
                             .corner = form == IL_FORM_PHYSICS ? IL_FORM_HUBER_CORNER : INFINITY};
    bool bounded = form == IL_FORM_PHYSICS || form == IL_FORM_AFFINE_POWER;
    for (size_t j = 0; j < k; j++) {
        out->curve.low[j] = bounded ? 0 : -INFINITY;
        out->curve.high[j] = INFINITY;
        out->unit[j] = y_unit;
    }
    if (out->curve.is_power) {
        out->curve.low[2] = IL_FORM_LEAST_POWER;
        out->curve.high[2] = IL_FORM_LARGEST_POWER;
        out->x_unit = 0;
        for (size_t i = 0; i < n; i++) {
            out->x_unit += log(x[i]) / (double)n;
        }
        out->x_unit = keep_x ? 1 : exp(out->x_unit);
        for (size_t i = 0; i < n; i++) {
            out->columns[i] = x[i] / out->x_unit;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        linear_row(form, x + i * forms[form].n_x, out->columns + i * k);
    }
    for (size_t j = 0; j < k; j++) {
        double size = 0;
        for (size_t i = 0; i < n; i++) {
            size += fabs(out->columns[i * k + j]) / (double)n;
        }
        size = size > 0 ? size : 1; /* a column of zeros is found dependent below */
        for (size_t i = 0; i < n; i++) {
            out->columns[i * k + j] /= size;
        }
        out->unit[j] = y_unit / size;
    }
}

static void from_scaled(const scaled *p, const double *theta, double *coef)
{
    for (size_t j = 0; j < p->curve.k; j++) {
        coef[j] = theta[j] * p->unit[j];
    }
    if (p->curve.is_power) {
        coef[1] /= pow(p->x_unit, theta[2]);
        coef[2] = theta[2];
    }
}

static void to_scaled(const scaled *p, const double *coef, double *theta)
{
    for (size_t j = 0; j < p->curve.k; j++) {
        theta[j] = coef[j] / p->unit[j];
    }
    if (p->curve.is_power) {
        theta[1] *= pow(p->x_unit, coef[2]);
        theta[2] = coef[2];
    }
}

/* Least squares of relative errors, Σ (f/T − 1)²: linear, and near the answer. For affine_power
 * with the exponent given. */
static int relative_start(const scaled *p, double power, double *theta)
{
    const il__curve *c = &p->curve;
    size_t n = c->n;
    size_t k = c->is_power ? 2 : c->k;
    double *a = p->work;
    double *one = p->work + n * k;
    for (size_t i = 0; i < n; i++) {
        double y = exp(p->log_y[i]);
        one[i] = 1;
        for (size_t j = 0; j < k; j++) {
            double v = c->is_power ? (j == 0 ? 1 : pow(c->x[i], power)) : c->x[i * k + j];
            a[i * k + j] = v / y;
        }
    }
    double *rest = one + n;
    int rc = il__least_squares(a, one, n, k, theta, rest);
    if (rc == IL_OK) {
        for (size_t j = 0; j < k; j++) {
            theta[j] = fmax(theta[j], c->low[j]);
        }
        if (c->is_power) {
            theta[0] = theta[0] + theta[1] > 0 ? theta[0] : 1;
            theta[1] = fmax(theta[1], 1e-3);
            theta[2] = power;
        }
    }
    return rc;
}

typedef struct best {
    double objective, gradient;
    double theta[K];
} best;

static void descend(const scaled *p, const double *start, best *found)
{
    double theta[K] = {0};
    double gradient;
    memcpy(theta, start, p->curve.k * sizeof *theta);
    double reached = il__curve_descend(&p->curve, theta, &gradient);
    /* Two starts that meet in one minimum differ by rounding: the first of them stays. */
    if (reached < found->objective * (1 - 1e-12) - 1e-28) {
        found->objective = reached;
        found->gradient = gradient;
        memcpy(found->theta, theta, sizeof theta);
    }
}

static int descend_all(const scaled *p, best *found)
{
    static const double powers[] = {0.25, 0.5, 1, 1.6};
    double theta[K];
    if (p->curve.is_power) {
        for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++) {
            int rc = relative_start(p, powers[i], theta);
            if (rc != IL_OK) {
                return rc;
            }
            descend(p, theta, found);
        }
        return IL_OK;
    }
    int rc = relative_start(p, NAN, theta);
    if (rc != IL_OK) {
        return rc;
    }
    descend(p, theta, found);
    for (size_t j = 0; j < p->curve.k; j++) {
        double unit[K] = {0};
        unit[j] = 1;
        descend(p, unit, found); /* all of the time from one term */
    }
    return IL_OK;
}

static int fit_curve(il_form form, const double *x, const double *ms, size_t n, const double *start,
                     il_form_fit *out, double *memory)
{
    scaled p = {0};
    scale_problem(form, x, ms, n, false, memory, &p);
    best found = {.objective = INFINITY, .gradient = INFINITY};
    int rc = IL_OK;
    if (start) {
        double theta[K];
        to_scaled(&p, start, theta);
        descend(&p, theta, &found);
    }
    if (!(found.gradient < CONVERGED)) {
        rc = descend_all(&p, &found);
    } else if (!p.curve.is_power) {
        double theta[K]; /* dependent columns are refused whatever the start */
        rc = relative_start(&p, NAN, theta);
    }
    if (rc != IL_OK || !isfinite(found.objective)) {
        return IL_E_INVALID;
    }
    from_scaled(&p, found.theta, out->coef);
    out->gradient = found.gradient;
    for (size_t j = 0; j < out->n_terms; j++) {
        out->on_bound[j] = found.theta[j] <= p.curve.low[j] || found.theta[j] >= p.curve.high[j];
    }
    return IL_OK;
}

/* Residuals, (JᵀJ)⁻¹ and standard errors at the fit. */
static void describe(il_form_fit *out, const double *x, const double *ms)
{
    size_t n_x = forms[out->form].n_x;
    double m[K][K] = {{0}};
    double inverse[K][K];
    size_t at[K];
    size_t n_free = 0;
    for (size_t j = 0; j < out->n_terms; j++) {
        if (!out->on_bound[j]) {
            at[n_free++] = j;
        }
    }
    for (size_t i = 0; i < out->n; i++) {
        double g[K];
        double r = log(ms[i] / il_form_predict(out, x + i * n_x));
        log_gradient(out->form, out->coef, x + i * n_x, g);
        out->sse += r * r;
        for (size_t j = 0; j < n_free; j++) {
            for (size_t c = 0; c < n_free; c++) {
                m[j][c] += g[at[j]] * g[at[c]];
            }
        }
    }
    out->dof = (double)(out->n - out->n_terms);
    out->sigma = out->dof > 0 ? sqrt(out->sse / out->dof) : NAN;
    out->determined = il__invert_symmetric(n_free, m, inverse);
    for (size_t j = 0; out->determined && j < n_free; j++) {
        out->se[at[j]] = out->sigma * sqrt(inverse[j][j]);
        for (size_t c = 0; c < n_free; c++) {
            out->inverse[at[j]][at[c]] = inverse[j][c];
        }
    }
}

int il_form_fit_to(il_form form, const double *x, const double *ms, size_t n, const double *start,
                   il_form_fit *out, il_error *err)
{
    size_t k = forms[form].n_terms;
    *out = (il_form_fit){.form = form, .n = n, .n_terms = k, .se = {NAN, NAN, NAN, NAN}};
    if (n < k) {
        return il_fail(err, IL_E_TOO_FEW, "%zu points do not fix %zu coefficients", n, k);
    }
    int rc = check_values(form, x, ms, n, err);
    if (rc != IL_OK) {
        return rc;
    }
    size_t count;
    size_t bytes;
    double *memory = il_mul_size(n, 3 * k + 4, &count) && il_mul_size(count, sizeof *memory, &bytes)
                         ? malloc(bytes)
                         : NULL;
    if (!memory) {
        return il_fail(err, IL_E_NOMEM, "no memory to fit %zu points", n);
    }
    rc = form == IL_FORM_POWER || form == IL_FORM_DEPTH_WIDTH
             ? fit_logs(form, x, ms, n, out->coef, memory)
             : fit_curve(form, x, ms, n, start, out, memory);
    free(memory);
    if (rc != IL_OK) {
        return il_fail(err, rc,
                       "the points do not fix the form %s: its columns depend on each other",
                       forms[form].name);
    }
    describe(out, x, ms);
    return IL_OK;
}

int il__form_held(il_form form, const double *x, const double *ms, size_t n, size_t term,
                  double value, double *coef, double *objective)
{
    size_t k = forms[form].n_terms;
    double *memory = malloc(n * (3 * k + 4) * sizeof *memory);
    if (!memory) {
        return IL_E_NOMEM;
    }
    scaled p = {0};
    scale_problem(form, x, ms, n, true, memory, &p);
    double theta[K];
    coef[term] = value;
    to_scaled(&p, coef, theta);
    p.curve.low[term] = p.curve.high[term] = theta[term];
    best found = {.objective = INFINITY, .gradient = INFINITY};
    descend(&p, theta, &found);
    for (int i = 0; p.curve.is_power && !(found.gradient < CONVERGED) && i < 4; i++) {
        double other[K];
        double power = term == 2 ? value : 0.25 + 0.45 * i;
        if (relative_start(&p, power, other) == IL_OK) {
            other[term] = theta[term];
            descend(&p, other, &found);
        }
    }
    if (isfinite(found.objective)) {
        from_scaled(&p, found.theta, coef);
        coef[term] = value;
    }
    *objective = found.objective;
    free(memory);
    return IL_OK;
}

/* gᵀ(JᵀJ)⁻¹g */
static double spread(const il_form_fit *fit, const double *x)
{
    double g[K];
    log_gradient(fit->form, fit->coef, x, g);
    double h = 0;
    for (size_t i = 0; i < fit->n_terms; i++) {
        for (size_t j = 0; j < fit->n_terms; j++) {
            h += g[i] * fit->inverse[i][j] * g[j];
        }
    }
    return h;
}

void il_form_new_model(const il_form_fit *fit, const double *x, double confidence, double *low,
                       double *high)
{
    *low = *high = NAN;
    double t = il_form_predict(fit, x);
    if (!(t > 0) || !(fit->dof > 0) || !fit->determined) {
        return;
    }
    double half =
        il_t_quantile(1 - (1 - confidence) / 2, fit->dof) * fit->sigma * sqrt(1 + spread(fit, x));
    *low = t * exp(-half);
    *high = t * exp(half);
}

void il_form_influence(const il_form_fit *fit, const double *x, const double *ms, double *leverage,
                       double *cooks)
{
    size_t n_x = forms[fit->form].n_x;
    double p = 0;
    for (size_t j = 0; j < fit->n_terms; j++) {
        p += !fit->on_bound[j];
    }
    double s2 = fit->sigma * fit->sigma;
    for (size_t i = 0; i < fit->n; i++) {
        double h = fit->determined ? spread(fit, x + i * n_x) : NAN;
        double e = log(ms[i] / il_form_predict(fit, x + i * n_x));
        if (leverage) {
            leverage[i] = h > 1 ? 1 : h;
        }
        if (cooks) {
            cooks[i] = h < IL_LEVERAGE_ONE ? e * e * h / (p * s2 * (1 - h) * (1 - h)) : NAN;
        }
    }
}
