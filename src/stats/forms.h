/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The competing forms of a law of latency, behind one interface: fit, predict, and what follows
 * from the Jacobian (standard errors, leverage, the interval for a new model).
 *
 *   power         log10 T = intercept + slope·log10 x
 *   affine        T = a + b·x
 *   affine_power  T = a + b·x^s                       a, b ≥ 0, 0.05 ≤ s ≤ 2
 *   linear_shape  T = intercept + β_L·L + β_d·d + β_h·h
 *   depth_width   log10 T = intercept + β_L·log10 L + β_d·log10 d + β_h·log10 h
 *   physics       T = t_step·n + t_layer·n·L + factor·floor      all ≥ 0; n forward passes
 *
 * Every form minimises residuals of ln T, so that forms are compared on one scale and a model of
 * 1 ms weighs as much as one of 1 s. (stats/overhead.h keeps the original study's least squares on
 * milliseconds, where the largest model decides.) The squares are summed, except in physics, where
 * Huber's function with a corner at 10 % takes their place. Forms that are not linear in the logs
 * are solved by damped Gauss–Newton steps with bounds (Levenberg 1944, Marquardt 1963) from several
 * starts, until the projected gradient vanishes. A prediction ≤ 0 has no logarithm: the search
 * stays where all of its own points are predicted above 0, and a prediction of another point that
 * falls to 0 or below is an infinite error.
 */
#ifndef IL_STATS_FORMS_H
#define IL_STATS_FORMS_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum il_form {
    IL_FORM_POWER,
    IL_FORM_AFFINE,
    IL_FORM_AFFINE_POWER,
    IL_FORM_LINEAR_SHAPE,
    IL_FORM_DEPTH_WIDTH,
    IL_FORM_PHYSICS,
    IL_FORM_COUNT
} il_form;

enum { IL_FORM_MOST_TERMS = 4, IL_FORM_MOST_X = 3 };
#define IL_FORM_HUBER_CORNER  0.1 /* of ln T, physics alone */
#define IL_FORM_LEAST_POWER   0.05
#define IL_FORM_LARGEST_POWER 2.0

const char *il_form_name(il_form form);
size_t il_form_n_terms(il_form form);
/* Columns of x: 1 for power, affine and affine_power; 3 (L, d, h) for the shape forms; 3 (n, n·L,
 * floor in ms) for physics. */
size_t il_form_n_x(il_form form);
const char *il_form_term_name(il_form form, size_t term);
/* Whether a verdict hangs on the term. Not on the first of any form (an intercept), and not on b of
 * affine_power, which is in the unit of x to the power of a fitted s. */
bool il_form_term_judged(il_form form, size_t term);

typedef struct il_form_fit {
    il_form form;
    size_t n, n_terms;
    double coef[IL_FORM_MOST_TERMS];
    double se[IL_FORM_MOST_TERMS]; /* NaN: no degree of freedom, on a bound, or not determined */
    bool on_bound[IL_FORM_MOST_TERMS];
    double sse;      /* Σ (ln T − ln fitted)², also for physics */
    double dof;      /* n − n_terms; a coefficient on its bound still counts */
    double sigma;    /* √(sse/dof); NaN when dof is 0 */
    double gradient; /* largest projected slope of the objective, dimensionless; 0: closed form */
    bool determined; /* the Jacobian has full rank in the coefficients that are off their bounds */
    double inverse[IL_FORM_MOST_TERMS][IL_FORM_MOST_TERMS]; /* (JᵀJ)⁻¹ of ln T; 0 on bounds */
} il_form_fit;

/* x is row-major [n][il_form_n_x], ms is [n]; every ms > 0, and every x > 0 in the forms that take
 * its logarithm or its power. IL_E_TOO_FEW: n < n_terms. IL_E_INVALID: columns that depend on one
 * another (a constant x too), or values out of range. start (may be NULL) is a known nearby fit's
 * coefficients: it is tried first and the other starts only when it does not converge. */
int il_form_fit_to(il_form form, const double *x, const double *ms, size_t n, const double *start,
                   il_form_fit *out, il_error *err);
/* Predicted ms of one row of x; may be ≤ 0 in affine and linear_shape. */
double il_form_predict(const il_form_fit *fit, const double *x);
/* 95 % (confidence) interval of T of a model that was not fitted: ln T ± t·σ·√(1 + gᵀ(JᵀJ)⁻¹g), g
 * the gradient of ln T there; σ holds the scatter of models around the law and their own noise.
 * NaN ends when there is no degree of freedom or the prediction is not above 0. */
void il_form_new_model(const il_form_fit *fit, const double *x, double confidence, double *low,
                       double *high);
/* Leverage J(JᵀJ)⁻¹Jᵀ and Cook's distance on ln T of each point; either may be NULL. A point of
 * leverage 1 has no Cook's distance (NaN). */
void il_form_influence(const il_form_fit *fit, const double *x, const double *ms, double *leverage,
                       double *cooks);

typedef struct il_form_columns {
    double condition;           /* of the centred, scaled columns; infinite when dependent */
    double vif[IL_FORM_MOST_X]; /* variance inflation of each column */
    size_t n_columns;
} il_form_columns;

#define IL_FORM_MOST_CONDITION 30.0
#define IL_FORM_MOST_VIF       10.0

/* How far the columns of a form with two or more x's can be told apart: L, d, h (logs in
 * depth_width), or L and floor of physics, each over n. One-x forms: condition 1. */
int il_form_columns_of(il_form form, const double *x, size_t n, il_form_columns *out,
                       il_error *err);

#endif
