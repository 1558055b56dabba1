/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Ordinary least squares with an intercept: y = β₀ + Σ βⱼ xⱼ.
 *
 * Formulas: Montgomery, Peck & Vining, Introduction to Linear Regression Analysis: coefficients and
 * standard errors (3.2, 3.3), leverage h_ii = [X(XᵀX)⁻¹Xᵀ]_ii, Cook's distance
 * D_i = e_i² h_ii / (p s² (1 − h_ii)²) (6.3), R² = 1 − SSE/SST.
 */
#ifndef IL_STATS_OLS_H
#define IL_STATS_OLS_H

#include "inferlaw/error.h"

#include <stddef.h>

/* A straight line in one pass, for resampling loops: no allocation, no standard errors. */
typedef struct il_line {
    double intercept, slope;
    double r2; /* NaN when y is constant */
} il_line;

/* n ≥ 2 and at least two different x, else IL_E_TOO_FEW. */
int il_line_fit(const double *x, const double *y, size_t n, il_line *out);

enum { IL_OLS_MOST_TERMS = 9 }; /* intercept and eight x's */

typedef struct il_ols {
    size_t n, n_terms; /* n_terms = k + 1; term 0 is the intercept */
    double coef[IL_OLS_MOST_TERMS];
    double se[IL_OLS_MOST_TERMS]; /* standard errors; NaN when n = n_terms */
    double r2;                    /* NaN when y is constant */
    double sigma;                 /* residual standard deviation; NaN when n = n_terms */
    double dof;                   /* n − n_terms */
    double max_leverage;
} il_ols;

/* x is row-major [n][k], 1 ≤ k ≤ 8. leverage and cooks (each n long, either may be NULL) are filled
 * in; a point of leverage 1 has no Cook's distance (NaN). IL_E_TOO_FEW: n < k + 1. IL_E_INVALID:
 * the columns are not independent (a constant x, two proportional ones). */
int il_ols_fit(const double *x, const double *y, size_t n, size_t k, il_ols *out, double *leverage,
               double *cooks, il_error *err);
/* coef[term] ± t(1 − α/2, dof) · se[term]; NaN ends when there is no degree of freedom. */
void il_ols_interval(const il_ols *fit, size_t term, double confidence, double *low, double *high);

/* A leverage this close to 1 fixes the line at that point: the model decides alone. */
#define IL_LEVERAGE_ONE (1.0 - 1e-9)

#endif
