/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/ols.h"

#include "stats/design.h"
#include "stats/dist.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_matrix.h>
#include <gsl/gsl_vector.h>
#include <math.h>

int il_line_fit(const double *x, const double *y, size_t n, il_line *out)
{
    *out = (il_line){NAN, NAN, NAN};
    if (n < 2) {
        return IL_E_TOO_FEW;
    }
    double mx = 0;
    double my = 0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i];
        my += y[i];
    }
    mx /= (double)n;
    my /= (double)n;
    double sxx = 0;
    double sxy = 0;
    double syy = 0;
    int different = 0;
    for (size_t i = 0; i < n; i++) {
        different |= x[i] != x[0];
        sxx += (x[i] - mx) * (x[i] - mx);
        sxy += (x[i] - mx) * (y[i] - my);
        syy += (y[i] - my) * (y[i] - my);
    }
    if (!different || !(sxx > 0)) {
        return IL_E_TOO_FEW;
    }
    out->slope = sxy / sxx;
    out->intercept = my - out->slope * mx;
    out->r2 = syy > 0 ? sxy * sxy / (sxx * syy) : NAN;
    return IL_OK;
}

int il__design_fill(gsl_matrix *design, const double *x, size_t n, size_t k, double *center,
                    double *scale)
{
    for (size_t j = 0; j < k; j++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) {
            mean += x[i * k + j];
        }
        mean /= (double)n;
        double sum = 0;
        double largest = 0;
        for (size_t i = 0; i < n; i++) {
            double d = x[i * k + j] - mean;
            sum += d * d;
            largest = fmax(largest, fabs(x[i * k + j]));
        }
        center[j] = mean;
        scale[j] = sqrt(sum / (double)n);
        if (!(scale[j] > 1e-13 * largest) || !isfinite(scale[j])) {
            return IL_E_INVALID;
        }
        for (size_t i = 0; i < n; i++) {
            gsl_matrix_set(design, i, j + 1, (x[i * k + j] - mean) / scale[j]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        gsl_matrix_set(design, i, 0, 1.0);
    }
    return IL_OK;
}

void il__design_row(size_t term, size_t p, const double *center, const double *scale, double *w)
{
    for (size_t j = 0; j < p; j++) {
        w[j] = 0;
    }
    if (term > 0) {
        w[term] = 1 / scale[term - 1];
        return;
    }
    w[0] = 1;
    for (size_t j = 1; j < p; j++) {
        w[j] = -center[j - 1] / scale[j - 1];
    }
}

/* From the coefficients and covariance of the centred, scaled design to those of the plain one. */
static void unscale(il_ols *out, const double *beta, const gsl_matrix *r_inverse,
                    const double *center, const double *scale)
{
    size_t p = out->n_terms;
    out->coef[0] = beta[0];
    for (size_t j = 1; j < p; j++) {
        out->coef[j] = beta[j] / scale[j - 1];
        out->coef[0] -= out->coef[j] * center[j - 1];
    }
    for (size_t t = 0; t < p; t++) {
        /* A coefficient is a combination w·β; its variance is s²·|R⁻ᵀw|². */
        double w[IL_OLS_MOST_TERMS];
        il__design_row(t, p, center, scale, w);
        double sum = 0;
        for (size_t c = 0; c < p; c++) {
            double z = 0;
            for (size_t r = 0; r <= c; r++) {
                z += gsl_matrix_get(r_inverse, r, c) * w[r];
            }
            sum += z * z;
        }
        out->se[t] = out->sigma * sqrt(sum);
    }
}

/* Residual sums, leverage and Cook's distance. Row i of Q is row i of the design times R⁻¹. */
static void diagnose(il_ols *out, const gsl_matrix *design, const gsl_matrix *r_inverse,
                     const double *y, const double *beta, double *leverage, double *cooks)
{
    size_t n = out->n;
    size_t p = out->n_terms;
    double my = 0;
    for (size_t i = 0; i < n; i++) {
        my += y[i] / (double)n;
    }
    double sse = 0;
    double sst = 0;
    for (size_t i = 0; i < n; i++) {
        double e = y[i];
        for (size_t j = 0; j < p; j++) {
            e -= gsl_matrix_get(design, i, j) * beta[j];
        }
        sse += e * e;
        sst += (y[i] - my) * (y[i] - my);
    }
    out->dof = (double)(n - p);
    out->sigma = n > p ? sqrt(sse / out->dof) : NAN;
    out->r2 = sst > 0 ? 1 - sse / sst : NAN;
    for (size_t i = 0; i < n; i++) {
        double h = 0;
        double e = y[i];
        for (size_t c = 0; c < p; c++) {
            double q = 0;
            for (size_t r = 0; r <= c; r++) {
                q += gsl_matrix_get(design, i, r) * gsl_matrix_get(r_inverse, r, c);
            }
            h += q * q;
            e -= gsl_matrix_get(design, i, c) * beta[c];
        }
        out->max_leverage = fmax(out->max_leverage, h);
        if (leverage) {
            leverage[i] = fmin(h, 1.0);
        }
        if (cooks) {
            double s2 = out->sigma * out->sigma;
            cooks[i] = h < IL_LEVERAGE_ONE ? e * e * h / ((double)p * s2 * (1 - h) * (1 - h)) : NAN;
        }
    }
}

int il_ols_fit(const double *x, const double *y, size_t n, size_t k, il_ols *out, double *leverage,
               double *cooks, il_error *err)
{
    *out = (il_ols){.n = n, .n_terms = k + 1};
    if (k < 1 || k + 1 > IL_OLS_MOST_TERMS) {
        return il_fail(err, IL_E_INVALID, "a regression on %zu columns is not offered", k);
    }
    if (n < k + 1) {
        return il_fail(err, IL_E_TOO_FEW, "%zu points do not fix %zu coefficients", n, k + 1);
    }
    il_stats_gsl_quiet();
    size_t p = k + 1;
    double center[IL_OLS_MOST_TERMS];
    double scale[IL_OLS_MOST_TERMS];
    double beta[IL_OLS_MOST_TERMS];
    int rc = IL_OK;
    gsl_matrix *design = gsl_matrix_alloc(n, p);
    gsl_matrix *qr = gsl_matrix_alloc(n, p);
    gsl_matrix *r_inverse = gsl_matrix_calloc(p, p);
    gsl_vector *tau = gsl_vector_alloc(p);
    gsl_vector *solution = gsl_vector_alloc(p);
    gsl_vector *residual = gsl_vector_alloc(n);
    if (!design || !qr || !r_inverse || !tau || !solution || !residual) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for a regression of %zu rows", n);
        goto out;
    }
    rc = il__design_fill(design, x, n, k, center, scale);
    if (rc == IL_OK) {
        (void)gsl_matrix_memcpy(qr, design);
        (void)gsl_linalg_QR_decomp(qr, tau);
        /* The columns have length √n, so a pivot this small is rounding, not information. */
        for (size_t j = 0; j < p && rc == IL_OK; j++) {
            if (!(fabs(gsl_matrix_get(qr, j, j)) > 1e-10 * sqrt((double)n))) {
                rc = IL_E_INVALID;
            }
        }
    }
    if (rc != IL_OK) {
        rc = il_fail(err, rc, "the columns of the regression are not independent");
        goto out;
    }
    gsl_vector_const_view yv = gsl_vector_const_view_array(y, n);
    if (gsl_linalg_QR_lssolve(qr, tau, &yv.vector, solution, residual) != 0) {
        rc = il_fail(err, IL_E_INVALID, "the regression has no solution");
        goto out;
    }
    for (size_t c = 0; c < p; c++) {
        beta[c] = gsl_vector_get(solution, c);
        for (size_t r = 0; r <= c; r++) {
            gsl_matrix_set(r_inverse, r, c, gsl_matrix_get(qr, r, c));
        }
    }
    (void)gsl_linalg_tri_upper_invert(r_inverse);
    diagnose(out, design, r_inverse, y, beta, leverage, cooks);
    unscale(out, beta, r_inverse, center, scale);
out:
    gsl_matrix_free(design);
    gsl_matrix_free(qr);
    gsl_matrix_free(r_inverse);
    gsl_vector_free(tau);
    gsl_vector_free(solution);
    gsl_vector_free(residual);
    return rc;
}

void il_ols_interval(const il_ols *fit, size_t term, double confidence, double *low, double *high)
{
    double t = il_t_quantile(1 - (1 - confidence) / 2, fit->dof);
    *low = fit->coef[term] - t * fit->se[term];
    *high = fit->coef[term] + t * fit->se[term];
}
