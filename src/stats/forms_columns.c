/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/forms_internal.h"

#include "stats/dist.h"

#include <gsl/gsl_eigen.h>
#include <math.h>

enum { MOST = IL_FORM_MOST_X };

static double column_at(il_form form, const double *row, size_t j)
{
    switch (form) {
    case IL_FORM_DEPTH_WIDTH:
        return log10(row[j]);
    case IL_FORM_PHYSICS:
        return row[j + 1] / row[0];
    default:
        return row[j];
    }
}

/* Correlations of the columns; false when one of them is constant. */
static bool correlate(il_form form, const double *x, size_t n, size_t k, double r[MOST][MOST])
{
    size_t n_x = il_form_n_x(form);
    double mean[MOST] = {0};
    double size[MOST] = {0};
    for (size_t i = 0; i < n * k; i++) {
        double v = column_at(form, x + i / k * n_x, i % k);
        mean[i % k] += v / (double)n;
        size[i % k] = fmax(size[i % k], fabs(v));
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < k; j++) {
            double d = column_at(form, x + i * n_x, j) - mean[j];
            for (size_t c = 0; c < k; c++) {
                r[j][c] += d * (column_at(form, x + i * n_x, c) - mean[c]);
            }
        }
    }
    double sd[MOST];
    for (size_t j = 0; j < k; j++) {
        sd[j] = sqrt(r[j][j]);
        if (!(sd[j] > 1e-12 * size[j] * sqrt((double)n))) {
            return false;
        }
    }
    for (size_t j = 0; j < k; j++) {
        for (size_t c = 0; c < k; c++) {
            r[j][c] /= sd[j] * sd[c];
        }
    }
    return true;
}

int il_form_columns_of(il_form form, const double *x, size_t n, il_form_columns *out, il_error *err)
{
    size_t n_x = il_form_n_x(form);
    size_t k = form == IL_FORM_PHYSICS ? n_x - 1 : n_x;
    *out = (il_form_columns){.condition = 1, .vif = {1, 1, 1}, .n_columns = k};
    if (k < 2) {
        return IL_OK;
    }
    double r[MOST][MOST] = {{0}};
    double m[IL_FORM_MOST_TERMS][IL_FORM_MOST_TERMS] = {{0}};
    double inverse[IL_FORM_MOST_TERMS][IL_FORM_MOST_TERMS];
    bool varied = n > 0 && correlate(form, x, n, k, r);
    for (size_t i = 0; i < k * k; i++) {
        m[i / k][i % k] = r[i / k][i % k];
    }
    if (!varied || !il__invert_symmetric(k, m, inverse)) {
        out->condition = INFINITY;
        for (size_t j = 0; j < k; j++) {
            out->vif[j] = INFINITY;
        }
        return IL_OK;
    }
    il_stats_gsl_quiet();
    gsl_matrix *a = gsl_matrix_alloc(k, k);
    gsl_vector *values = gsl_vector_alloc(k);
    gsl_eigen_symm_workspace *work = gsl_eigen_symm_alloc(k);
    int rc = a && values && work ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for columns");
    if (rc == IL_OK) {
        for (size_t i = 0; i < k * k; i++) {
            gsl_matrix_set(a, i / k, i % k, r[i / k][i % k]);
        }
        (void)gsl_eigen_symm(a, values, work);
        double least = gsl_vector_min(values);
        out->condition = least > 0 ? sqrt(gsl_vector_max(values) / least) : INFINITY;
        for (size_t j = 0; j < k; j++) {
            out->vif[j] = inverse[j][j];
        }
    }
    gsl_matrix_free(a);
    gsl_vector_free(values);
    if (work) {
        gsl_eigen_symm_free(work);
    }
    return rc;
}
