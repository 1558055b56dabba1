/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/forms_internal.h"

#include "stats/collinear.h"

#include <math.h>
#include <stdlib.h>

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

int il_form_columns_of(il_form form, const double *x, size_t n, il_form_columns *out, il_error *err)
{
    size_t n_x = il_form_n_x(form);
    size_t k = form == IL_FORM_PHYSICS ? n_x - 1 : n_x;
    *out = (il_form_columns){.condition = 1, .vif = {1, 1, 1}, .n_columns = k};
    if (k < 2) {
        return IL_OK;
    }
    double *columns = malloc((n + 1) * k * sizeof *columns);
    if (!columns) {
        return il_fail(err, IL_E_NOMEM, "no memory for columns");
    }
    for (size_t i = 0; i < n * k; i++) {
        columns[i] = column_at(form, x + i / k * n_x, i % k);
    }
    il_collinear got;
    int rc = il_collinear_of(columns, n, k, &got, NULL);
    free(columns);
    if (rc == IL_E_NOMEM) {
        return il_fail(err, rc, "no memory for columns");
    }
    /* A column that does not vary follows from the intercept. */
    out->condition = rc == IL_OK ? got.condition : INFINITY;
    for (size_t j = 0; j < k; j++) {
        out->vif[j] = rc == IL_OK ? got.vif_of[j] : INFINITY;
    }
    return IL_OK;
}
