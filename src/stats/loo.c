/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/loo.h"

#include "base/checked.h"
#include "stats/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Equal times give a slope of 0 but for rounding, and the sign of rounding decides nothing. */
static double zero_if_rounding(double estimate)
{
    return fabs(estimate) < 1e-12 ? 0 : estimate;
}

bool il_is_decisive(double all, double all_low, double all_high, double without, double low,
                    double high)
{
    all = zero_if_rounding(all);
    without = zero_if_rounding(without);
    if (all == 0 && without == 0) {
        return false;
    }
    if (fabs(without / all - 1) > 0.5 || (without > 0) != (all > 0)) {
        return true;
    }
    bool takes_in_zero = low <= 0 && high >= 0;
    bool did = all_low <= 0 && all_high >= 0;
    return takes_in_zero && !did;
}

/* Rows of [n][k] without row `left`. */
static void copy_without(const double *from, size_t n, size_t k, size_t left, double *to)
{
    memcpy(to, from, left * k * sizeof *to);
    memcpy(to + left * k, from + (left + 1) * k, (n - left - 1) * k * sizeof *to);
}

static void fill_row(il_loo *out, size_t i, const double *x, const il_ols *part)
{
    size_t k = out->n_terms - 1;
    il_loo_row *row = out->rows + i * out->n_terms;
    double predicted = part->coef[0];
    for (size_t j = 0; j < k; j++) {
        predicted += part->coef[j + 1] * x[i * k + j];
    }
    out->predicted[i] = predicted;
    for (size_t t = 0; t < out->n_terms; t++) {
        row[t].fitted = true;
        row[t].estimate = part->coef[t];
        il_ols_interval(part, t, 0.95, &row[t].ci_low, &row[t].ci_high);
        row[t].decisive = il_is_decisive(out->fit.coef[t], out->ci_low[t], out->ci_high[t],
                                         row[t].estimate, row[t].ci_low, row[t].ci_high);
    }
}

int il_loo_fit(const double *x, const double *y, size_t n, size_t k, il_loo *out, il_error *err)
{
    *out = (il_loo){.n = n, .n_terms = k + 1};
    size_t cells;
    size_t copies;
    if (n == 0 || k == 0 || k + 1 > IL_OLS_MOST_TERMS || !il_mul_size(n, k + 1, &copies) ||
        !il_mul_size(copies, sizeof(il_loo_row), &cells)) {
        return il_fail(err, IL_E_TOO_FEW, "%zu points do not fix a law", n);
    }
    int rc;
    double *part_x = malloc(copies * sizeof *part_x);
    out->rows = calloc(1, cells);
    out->leverage = calloc(n, sizeof *out->leverage);
    out->cooks = calloc(n, sizeof *out->cooks);
    out->predicted = calloc(n, sizeof *out->predicted);
    if (!part_x || !out->rows || !out->leverage || !out->cooks || !out->predicted) {
        rc = il_fail(err, IL_E_NOMEM, "no memory to leave %zu models out", n);
        goto out;
    }
    rc = il_ols_fit(x, y, n, k, &out->fit, out->leverage, out->cooks, err);
    if (rc != IL_OK) {
        goto out;
    }
    for (size_t t = 0; t <= k; t++) {
        il_ols_interval(&out->fit, t, 0.95, &out->ci_low[t], &out->ci_high[t]);
    }
    double *part_y = part_x + (n - 1) * k;
    for (size_t i = 0; i < n; i++) {
        copy_without(x, n, k, i, part_x);
        copy_without(y, n, 1, i, part_y);
        il_ols part;
        if (il_ols_fit(part_x, part_y, n - 1, k, &part, NULL, NULL, NULL) == IL_OK) {
            fill_row(out, i, x, &part);
            continue;
        }
        out->predicted[i] = NAN;
        for (size_t t = 0; t <= k; t++) {
            out->rows[i * out->n_terms + t] = (il_loo_row){NAN, NAN, NAN, false, true};
        }
    }
out:
    free(part_x);
    if (rc != IL_OK) {
        il_loo_free(out);
    }
    return rc;
}

void il_loo_free(il_loo *loo)
{
    free(loo->rows);
    free(loo->leverage);
    free(loo->cooks);
    free(loo->predicted);
    loo->rows = NULL;
    loo->leverage = loo->cooks = loo->predicted = NULL;
}

/* How far a row moves the term; infinite for a lost fit or a change of sign. */
static double change_of(const il_loo *loo, size_t i, size_t term)
{
    const il_loo_row *row = &loo->rows[i * loo->n_terms + term];
    double ratio = row->estimate / loo->fit.coef[term];
    return row->fitted && ratio > 0 ? fabs(log(ratio)) : INFINITY;
}

il_law_judgement il_law_judge(const il_loo *loo, size_t term)
{
    il_law_judgement out = {
        .verdict = IL_LAW_SUPPORTED, .model = loo->n, .n_needed = loo->n_terms + 3};
    double largest = -1;
    for (size_t i = 0; i < loo->n; i++) {
        if (loo->rows[i * loo->n_terms + term].decisive) {
            out.n_decisive++;
            if (change_of(loo, i, term) > largest) {
                largest = change_of(loo, i, term);
                out.model = i;
            }
        }
    }
    if (loo->n < out.n_needed) {
        out.verdict = IL_LAW_TOO_FEW_MODELS;
        return out;
    }
    for (size_t i = 0; i < loo->n; i++) {
        if (loo->leverage[i] >= IL_LEVERAGE_ONE) {
            out.verdict = IL_LAW_LEVERAGE_ONE;
            out.model = i;
            return out;
        }
    }
    if (out.n_decisive > 0) {
        out.verdict = IL_LAW_DECISIVE;
    }
    return out;
}

void il_loo_error_log10(const il_loo *loo, const double *y, double *mape, double *p95)
{
    *mape = *p95 = NAN;
    double *errors = malloc(loo->n * sizeof *errors);
    if (!errors) {
        return;
    }
    for (size_t i = 0; i < loo->n; i++) {
        errors[i] = fabs(pow(10, loo->predicted[i] - y[i]) - 1);
        if (isnan(errors[i])) {
            goto out;
        }
    }
    *mape = il_mean(errors, loo->n);
    *p95 = il_quantile(errors, loo->n, 0.95);
out:
    free(errors);
}
