/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The solver below the forms: small dense least squares, and bounded damped Gauss–Newton on ln T.
 */
#ifndef IL_STATS_FORMS_INTERNAL_H
#define IL_STATS_FORMS_INTERNAL_H

#include "stats/forms.h"

/* Least squares of y on the columns of a, row-major [n][k], k ≤ 4, by Gram–Schmidt done twice.
 * IL_E_INVALID when a column is a combination of those before it (to 1e-9 of its length). work is
 * [n·(k + 1)]. */
int il__least_squares(const double *a, const double *y, size_t n, size_t k, double *coef,
                      double *work);

/* Inverse of a symmetric positive matrix of the first k rows; false when it has none. */
bool il__invert_symmetric(size_t k, double m[IL_FORM_MOST_TERMS][IL_FORM_MOST_TERMS],
                          double out[IL_FORM_MOST_TERMS][IL_FORM_MOST_TERMS]);

/* ln T = ln f(θ, row). With is_power, f = θ0 + θ1·x^θ2 of one column; else f = Σ θj·xj. */
typedef struct il__curve {
    bool is_power;
    size_t n, k;
    const double *x;     /* [n][k], or [n] with is_power; scaled to about 1 */
    const double *log_y; /* [n], scaled to about 0 */
    double low[IL_FORM_MOST_TERMS], high[IL_FORM_MOST_TERMS];
    double corner; /* of Huber's function; INFINITY: squares */
} il__curve;

/* f and its gradient at a row; f may be ≤ 0. */
double il__curve_at(const il__curve *curve, const double *theta, const double *x, double *gradient);
/* Goes downhill from theta, which it changes. Returns the objective, INFINITY when the start
 * predicts something ≤ 0. *gradient is the largest projected slope at the end. */
double il__curve_descend(const il__curve *curve, double *theta, double *gradient);

/* The least objective of a searched form with one coefficient held at a value: coef is where the
 * others start, and where they end. INFINITY when no start predicts every point above 0. */
int il__form_held(il_form form, const double *x, const double *ms, size_t n, size_t term,
                  double value, double *coef, double *objective);

#endif
