/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/robust.h"

#include "base/checked.h"
#include "stats/design.h"
#include "stats/dist.h"
#include "stats/order.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_matrix.h>
#include <gsl/gsl_vector.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_ROUNDS = 200,
    SCALE_ROUNDS = 50, /* then the scale is held: what is left is convex and comes to rest */
};

typedef struct work {
    size_t n, p;
    gsl_matrix *design, *qr, *r_inverse;
    gsl_vector *tau, *rhs, *beta, *residual;
    double *weights, *scratch; /* [n] */
    double center[IL_OLS_MOST_TERMS], scale[IL_OLS_MOST_TERMS];
} work;

static void work_free(work *w)
{
    gsl_matrix_free(w->design);
    gsl_matrix_free(w->qr);
    gsl_matrix_free(w->r_inverse);
    gsl_vector_free(w->tau);
    gsl_vector_free(w->rhs);
    gsl_vector_free(w->beta);
    gsl_vector_free(w->residual);
    free(w->weights);
    free(w->scratch);
}

static int work_open(work *w, const double *x, size_t n, size_t k, il_error *err)
{
    size_t p = k + 1;
    *w = (work){.n = n, .p = p};
    w->design = gsl_matrix_alloc(n, p);
    w->qr = gsl_matrix_alloc(n, p);
    w->r_inverse = gsl_matrix_calloc(p, p);
    w->tau = gsl_vector_alloc(p);
    w->rhs = gsl_vector_alloc(n);
    w->beta = gsl_vector_alloc(p);
    w->residual = gsl_vector_alloc(n);
    w->weights = calloc(n, sizeof *w->weights);
    w->scratch = calloc(n, sizeof *w->scratch);
    if (!w->design || !w->qr || !w->r_inverse || !w->tau || !w->rhs || !w->beta || !w->residual ||
        !w->weights || !w->scratch) {
        return il_fail(err, IL_E_NOMEM, "no memory for a regression of %zu rows", n);
    }
    if (il__design_fill(w->design, x, n, k, w->center, w->scale) != IL_OK) {
        return il_fail(err, IL_E_INVALID, "the columns of the regression are not independent");
    }
    return IL_OK;
}

/* Weighted least squares into beta, residuals of the plain rows into residual. */
static int solve_weighted(work *w, const double *y, il_error *err)
{
    for (size_t i = 0; i < w->n; i++) {
        double root = sqrt(w->weights[i]);
        for (size_t j = 0; j < w->p; j++) {
            gsl_matrix_set(w->qr, i, j, root * gsl_matrix_get(w->design, i, j));
        }
        gsl_vector_set(w->rhs, i, root * y[i]);
    }
    if (gsl_linalg_QR_decomp(w->qr, w->tau) != 0 ||
        gsl_linalg_QR_lssolve(w->qr, w->tau, w->rhs, w->beta, w->residual) != 0) {
        return il_fail(err, IL_E_INVALID, "the weighted regression has no solution");
    }
    for (size_t i = 0; i < w->n; i++) {
        double e = y[i];
        for (size_t j = 0; j < w->p; j++) {
            e -= gsl_matrix_get(w->design, i, j) * gsl_vector_get(w->beta, j);
        }
        gsl_vector_set(w->residual, i, e);
    }
    return IL_OK;
}

/* R⁻¹ of the plain design, so that (XᵀX)⁻¹ = R⁻¹R⁻ᵀ. */
static int invert_plain(work *w, il_error *err)
{
    (void)gsl_matrix_memcpy(w->qr, w->design);
    (void)gsl_linalg_QR_decomp(w->qr, w->tau);
    for (size_t c = 0; c < w->p; c++) {
        for (size_t r = 0; r <= c; r++) {
            gsl_matrix_set(w->r_inverse, r, c, gsl_matrix_get(w->qr, r, c));
        }
    }
    if (gsl_linalg_tri_upper_invert(w->r_inverse) != 0) {
        return il_fail(err, IL_E_INVALID, "the columns of the regression are not independent");
    }
    return IL_OK;
}

/* Row i of Q = X·R⁻¹; its square is the leverage. */
static void q_row(const work *w, size_t i, double *q)
{
    for (size_t c = 0; c < w->p; c++) {
        q[c] = 0;
        for (size_t r = 0; r <= c; r++) {
            q[c] += gsl_matrix_get(w->design, i, r) * gsl_matrix_get(w->r_inverse, r, c);
        }
    }
}

/* Takes coefficients and the covariance R⁻¹·middle·R⁻ᵀ of the scaled design to the plain one. */
static void finish(const work *w, const double middle[IL_OLS_MOST_TERMS][IL_OLS_MOST_TERMS],
                   il_robust *out)
{
    size_t p = w->p;
    double rows[IL_OLS_MOST_TERMS][IL_OLS_MOST_TERMS]; /* of W·R⁻¹ */
    for (size_t t = 0; t < p; t++) {
        double weights[IL_OLS_MOST_TERMS];
        il__design_row(t, p, w->center, w->scale, weights);
        out->coef[t] = 0;
        for (size_t c = 0; c < p; c++) {
            out->coef[t] += weights[c] * gsl_vector_get(w->beta, c);
            rows[t][c] = 0;
            for (size_t r = 0; r <= c; r++) {
                rows[t][c] += weights[r] * gsl_matrix_get(w->r_inverse, r, c);
            }
        }
    }
    for (size_t s = 0; s < p; s++) {
        for (size_t t = 0; t < p; t++) {
            double sum = 0;
            for (size_t a = 0; a < p; a++) {
                for (size_t b = 0; b < p; b++) {
                    sum += rows[s][a] * middle[a][b] * rows[t][b];
                }
            }
            out->cov[s][t] = sum;
        }
        out->se[s] = sqrt(out->cov[s][s]);
    }
}

/* MAD over the residuals that the p − 1 coefficients beside the intercept do not make nil. */
static double mad_scale(work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        w->scratch[i] = fabs(gsl_vector_get(w->residual, i));
    }
    il_sort(w->scratch, w->n);
    size_t skip = w->p - 1;
    return il_quantile_sorted(w->scratch + skip, w->n - skip, 0.5) / 0.67448975019608171;
}

static void set_weights(work *w, double bound)
{
    for (size_t i = 0; i < w->n; i++) {
        double e = fabs(gsl_vector_get(w->residual, i));
        w->weights[i] = e <= bound ? 1 : bound / e;
    }
}

/* Rounds until no fitted value moves by more than 1e-10 of the scale. A scale of `rounding` or less
 * is none: the fit is perfect. */
static int iterate(work *w, const double *y, double rounding, il_robust *out, il_error *err)
{
    double before[IL_OLS_MOST_TERMS];
    for (int round = 1; round <= MOST_ROUNDS; round++) {
        out->n_iterations = round;
        if (round <= SCALE_ROUNDS) {
            out->scale = mad_scale(w);
        }
        if (!(out->scale > rounding)) {
            out->scale = 0;
            set_weights(w, rounding);
            for (size_t i = 0; i < w->n; i++) {
                w->weights[i] = w->weights[i] == 1 ? 1 : 0;
            }
            return IL_OK;
        }
        set_weights(w, IL_HUBER_K * out->scale);
        for (size_t j = 0; j < w->p; j++) {
            before[j] = gsl_vector_get(w->beta, j);
        }
        int rc = solve_weighted(w, y, err);
        if (rc != IL_OK) {
            return rc;
        }
        double moved = 0; /* the columns are of unit variance: this bounds the fitted values */
        for (size_t j = 0; j < w->p; j++) {
            moved += fabs(gsl_vector_get(w->beta, j) - before[j]);
        }
        if (moved <= 1e-10 * out->scale) {
            set_weights(w, IL_HUBER_K * out->scale);
            return IL_OK;
        }
    }
    return il_fail(err, IL_E_INVALID, "Huber's regression did not come to rest in %d rounds",
                   MOST_ROUNDS);
}

static void huber_errors(const work *w, il_robust *out)
{
    double n = (double)w->n;
    double p = (double)w->p;
    double psi2 = 0;
    double inside = 0;
    for (size_t i = 0; i < w->n; i++) {
        double bound = IL_HUBER_K * out->scale;
        double e = fabs(gsl_vector_get(w->residual, i));
        psi2 += fmin(e, bound) * fmin(e, bound);
        inside += e <= bound;
    }
    double mean = inside / n; /* of ψ′, which is 0 or 1 */
    double kappa = 1 + p / n * (1 - mean) / mean;
    double variance = kappa * kappa * psi2 / (n - p) / (mean * mean);
    if (w->n == w->p) {
        variance = NAN;
    } else if (out->scale == 0) {
        variance = 0;
    }
    double middle[IL_OLS_MOST_TERMS][IL_OLS_MOST_TERMS] = {{0}};
    for (size_t t = 0; t < w->p; t++) {
        middle[t][t] = variance;
    }
    finish(w, middle, out);
}

static int check_finite(const double *x, const double *y, size_t n, size_t k, il_error *err)
{
    for (size_t i = 0; i < n; i++) {
        bool finite = isfinite(y[i]);
        for (size_t j = 0; j < k; j++) {
            finite = finite && isfinite(x[i * k + j]);
        }
        if (!finite) {
            return il_fail(err, IL_E_INVALID, "row %zu of the regression is not finite", i + 1);
        }
    }
    return IL_OK;
}

/* Checks, the plain fit (whose refusals are ours too), and the scratch of both methods. */
static int begin(const double *x, const double *y, size_t n, size_t k, il_robust *out,
                 il_ols *plain, work *w, il_error *err)
{
    *out = (il_robust){.n = n, .n_terms = k + 1};
    *w = (work){0};
    int rc = check_finite(x, y, n, k, err);
    rc = rc ? rc : il_ols_fit(x, y, n, k, plain, NULL, NULL, err);
    rc = rc ? rc : work_open(w, x, n, k, err);
    if (rc != IL_OK) {
        return rc;
    }
    out->dof = plain->dof;
    for (size_t i = 0; i < n; i++) {
        w->weights[i] = 1;
    }
    rc = solve_weighted(w, y, err);
    return rc ? rc : invert_plain(w, err);
}

int il_huber_fit(const double *x, const double *y, size_t n, size_t k, il_robust *out,
                 double *weights, il_error *err)
{
    work w;
    il_ols plain;
    int rc = begin(x, y, n, k, out, &plain, &w, err);
    if (rc != IL_OK) {
        goto out;
    }
    double middle = il_median(y, n);
    double rounding = 0;
    for (size_t i = 0; i < n; i++) {
        rounding = fmax(rounding, fmax(1e-13 * fabs(y[i] - middle), 0x1p-48 * fabs(y[i])));
    }
    if (n > w.p) {
        rc = iterate(&w, y, rounding, out, err);
    }
    if (rc != IL_OK) {
        goto out;
    }
    huber_errors(&w, out);
    for (size_t i = 0; i < n; i++) {
        out->n_down += w.weights[i] < 1;
    }
    if (weights) {
        memcpy(weights, w.weights, n * sizeof *weights);
    }
out:
    work_free(&w);
    return rc;
}

int il_hc3_fit(const double *x, const double *y, size_t n, size_t k, il_robust *out, il_error *err)
{
    work w;
    il_ols plain;
    int rc = begin(x, y, n, k, out, &plain, &w, err);
    if (rc != IL_OK) {
        goto out;
    }
    out->scale = plain.sigma;
    out->n_iterations = 1;
    double middle[IL_OLS_MOST_TERMS][IL_OLS_MOST_TERMS] = {{0}};
    for (size_t i = 0; i < n; i++) {
        double q[IL_OLS_MOST_TERMS];
        double h = 0;
        q_row(&w, i, q);
        for (size_t c = 0; c < w.p; c++) {
            h += q[c] * q[c];
        }
        double e = h < IL_LEVERAGE_ONE ? gsl_vector_get(w.residual, i) / (1 - h) : NAN;
        for (size_t a = 0; a < w.p; a++) {
            for (size_t b = 0; b < w.p; b++) {
                middle[a][b] += q[a] * q[b] * e * e;
            }
        }
    }
    finish(&w, middle, out);
out:
    work_free(&w);
    return rc;
}

void il_robust_interval(const il_robust *fit, size_t term, double confidence, double *low,
                        double *high)
{
    double t = il_t_quantile(1 - (1 - confidence) / 2, fit->dof);
    *low = fit->coef[term] - t * fit->se[term];
    *high = fit->coef[term] + t * fit->se[term];
}
