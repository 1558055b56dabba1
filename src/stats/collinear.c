/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/collinear.h"

#include "stats/dist.h"

#include <gsl/gsl_eigen.h>
#include <math.h>

/* Eigenvalues this small beside the largest are rounding of 0. */
#define ROUNDING 1e-14
/* A column whose scatter is this small beside its size is rounding of a constant. */
#define CONSTANT 1e-12

static int correlations(const double *x, size_t n, size_t k, double r[static 64])
{
    double mean[IL_COLLINEAR_MOST] = {0}, length[IL_COLLINEAR_MOST] = {0};
    double size[IL_COLLINEAR_MOST] = {0};
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < k; j++) {
            mean[j] += x[i * k + j] / (double)n;
            size[j] = fmax(size[j], fabs(x[i * k + j]));
        }
    }
    for (size_t a = 0; a < k; a++) {
        for (size_t b = 0; b < k; b++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++) {
                sum += (x[i * k + a] - mean[a]) * (x[i * k + b] - mean[b]);
            }
            r[a * k + b] = sum;
        }
        length[a] = sqrt(r[a * k + a]);
        if (!(length[a] > CONSTANT * size[a] * sqrt((double)n))) {
            return IL_E_INVALID;
        }
    }
    for (size_t a = 0; a < k; a++) {
        for (size_t b = 0; b < k; b++) {
            r[a * k + b] /= length[a] * length[b];
        }
    }
    return IL_OK;
}

int il_collinear_of(const double *x, size_t n, size_t k, il_collinear *out, il_error *err)
{
    double r[64], value[8], vector[64];
    *out = (il_collinear){.condition = 1, .vif = 1};
    il_stats_gsl_quiet();
    if (k < 1 || k > IL_COLLINEAR_MOST || n < 2 || correlations(x, n, k, r) != IL_OK) {
        return il_fail(err, IL_E_INVALID, "%zu columns of %zu rows, or a constant one", k, n);
    }
    gsl_eigen_symmv_workspace *work = gsl_eigen_symmv_alloc(k);
    if (!work) {
        return il_fail(err, IL_E_NOMEM, "no memory for eigenvalues");
    }
    gsl_matrix_view matrix = gsl_matrix_view_array(r, k, k);
    gsl_matrix_view vectors = gsl_matrix_view_array(vector, k, k);
    gsl_vector_view values = gsl_vector_view_array(value, k);
    int failed = gsl_eigen_symmv(&matrix.matrix, &values.vector, &vectors.matrix, work);
    gsl_eigen_symmv_free(work);
    double most = 0, least = INFINITY;
    for (size_t j = 0; j < k; j++) {
        most = fmax(most, value[j]);
        least = fmin(least, value[j]);
    }
    if (failed || least <= ROUNDING * most) {
        *out = (il_collinear){.condition = INFINITY, .vif = INFINITY};
        for (size_t j = 0; j < k; j++) {
            out->vif_of[j] = INFINITY;
        }
        return failed ? il_fail(err, IL_E_INVALID, "no eigenvalues") : IL_OK;
    }
    /* The diagonal of the inverse from the eigenvectors. */
    for (size_t a = 0; a < k; a++) {
        double sum = 0;
        for (size_t j = 0; j < k; j++) {
            sum += vector[a * k + j] * vector[a * k + j] / value[j];
        }
        out->vif_of[a] = sum;
        out->vif = fmax(out->vif, sum);
    }
    out->condition = sqrt(most / least);
    return IL_OK;
}
