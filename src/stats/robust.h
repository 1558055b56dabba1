/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Fits that one odd point, or points of unequal noise, do not spoil: Huber's regression and the HC3
 * covariance of an ordinary one. Both are y = β₀ + Σ βⱼ xⱼ with an intercept.
 */
#ifndef IL_STATS_ROBUST_H
#define IL_STATS_ROBUST_H

#include "stats/ols.h"

/* 95 % as good as least squares when the noise is normal (Huber 1981, section 7.1). */
#define IL_HUBER_K 1.345

typedef struct il_robust {
    size_t n, n_terms;
    double coef[IL_OLS_MOST_TERMS];
    double se[IL_OLS_MOST_TERMS];                     /* NaN when n = n_terms */
    double cov[IL_OLS_MOST_TERMS][IL_OLS_MOST_TERMS]; /* of the coefficients */
    double scale;                                     /* of the residuals, see each function */
    double dof;                                       /* n − n_terms */
    int n_iterations;
    size_t n_down; /* points with weight below 1 */
} il_robust;

/* Huber's M-estimate with k = IL_HUBER_K by iteratively reweighted least squares from the least
 * squares fit. Scale: median(|e|)/0.6745 over all but the p − 1 least |e|, which a fit of p
 * coefficients makes too small (the rule of MATLAB's robustfit), renewed for 50 rounds and then
 * held. Standard errors (Huber 1981, eq. 6.5 and 6.6 of section 7.6):
 * κ²·[Σψ²/(n − p)]/[mean ψ′]²·(XᵀX)⁻¹ with κ = 1 + p/n·var(ψ′)/mean(ψ′)². Where more than half of
 * the points lie on one line exactly, it ends with scale 0: those count fully, the others not at
 * all, standard errors are 0.
 * weights may be NULL, else n long. x [n][k], 1 ≤ k ≤ 8. IL_E_TOO_FEW and IL_E_INVALID as
 * il_ols_fit; IL_E_INVALID also for values that are not finite, or when 200 rounds do not bring the
 * coefficients to rest. */
int il_huber_fit(const double *x, const double *y, size_t n, size_t k, il_robust *out,
                 double *weights, il_error *err);

/* Least squares coefficients with the heteroscedasticity-consistent covariance HC3,
 * (XᵀX)⁻¹·Xᵀ diag(e²/(1 − h)²) X·(XᵀX)⁻¹ (MacKinnon & White 1985; Long & Ervin 2000 recommend it
 * for n < 250). scale is the usual residual standard deviation. A point of leverage 1 leaves no
 * residual: standard errors NaN. Errors as il_ols_fit. */
int il_hc3_fit(const double *x, const double *y, size_t n, size_t k, il_robust *out, il_error *err);

/* coef[term] ± t(1 − α/2, dof)·se[term]; NaN ends when there is no degree of freedom. */
void il_robust_interval(const il_robust *fit, size_t term, double confidence, double *low,
                        double *high);

#endif
