/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/form_select.h"

#include "base/checked.h"
#include "stats/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the fits share. predicted[(c · F + g) · n + i] is the prediction of candidate c for model i
 * without i's fold and without fold g (g = i's own: without it alone). */
typedef struct work {
    const il_form_points *candidates;
    const il_form_fit *const *start;
    size_t n, n_folds, n_candidates;
    double *predicted;
    double *x, *ms, *errors; /* of one fit; of one choice */
} work;

static bool eligible(const il_form_points *candidate)
{
    return candidate->n >= il_form_n_terms(candidate->form) + 3;
}

/* Fits candidate c without folds a and b (which may be one) and predicts their models. */
static int fit_without(work *w, size_t c, size_t a, size_t b)
{
    const il_form_points *p = &w->candidates[c];
    size_t n_x = il_form_n_x(p->form);
    size_t kept = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (i % w->n_folds != a && i % w->n_folds != b) {
            memcpy(w->x + kept * n_x, p->x + i * n_x, n_x * sizeof *w->x);
            w->ms[kept++] = p->ms[i];
        }
    }
    il_form_fit fit;
    const double *start = w->start && w->start[c] ? w->start[c]->coef : NULL;
    int rc = il_form_fit_to(p->form, w->x, w->ms, kept, start, &fit, NULL);
    if (rc == IL_E_NOMEM) {
        return rc;
    }
    for (size_t i = 0; i < w->n; i++) {
        size_t fold = i % w->n_folds;
        if (fold == a || fold == b) {
            size_t other = fold == a ? b : a;
            w->predicted[(c * w->n_folds + other) * w->n + i] =
                rc == IL_OK ? il_form_predict(&fit, p->x + i * n_x) : NAN;
        }
    }
    return IL_OK;
}

/* |ln(predicted/observed)|; infinite where there is no prediction above 0. */
static double error_of(const work *w, size_t c, size_t without, size_t i)
{
    double ms = w->predicted[(c * w->n_folds + without) * w->n + i];
    return ms > 0 ? fabs(log(ms / w->candidates[c].ms[i])) : INFINITY;
}

/* Mean error of a candidate over the models outside fold `without` (n_folds: all models), and its
 * standard error. */
static double mean_error(const work *w, size_t c, size_t without, double *standard)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        size_t fold = i % w->n_folds;
        if (fold != without) {
            w->errors[n++] = error_of(w, c, without < w->n_folds ? without : fold, i);
        }
    }
    double mean = il_mean(w->errors, n);
    *standard = isfinite(mean) ? il_sd(w->errors, n) / sqrt((double)n) : INFINITY;
    return mean;
}

/* The simplest within one standard error of the best. */
static size_t choose(const work *w, size_t without, double *means)
{
    double least = INFINITY;
    double standard = 0;
    for (size_t c = 0; c < w->n_candidates; c++) {
        double its = INFINITY;
        means[c] = eligible(&w->candidates[c]) ? mean_error(w, c, without, &its) : INFINITY;
        if (means[c] < least) {
            least = means[c];
            standard = its;
        }
    }
    size_t best = w->n_candidates;
    for (size_t c = 0; c < w->n_candidates && isfinite(least); c++) {
        if (means[c] > least + standard) {
            continue;
        }
        size_t terms = il_form_n_terms(w->candidates[c].form);
        size_t its = best < w->n_candidates ? il_form_n_terms(w->candidates[best].form) : SIZE_MAX;
        if (terms < its || (terms == its && means[c] < means[best])) {
            best = c;
        }
    }
    return best;
}

static void fill_nested(const work *w, il_selection *out, double *means)
{
    bool known = true;
    bool below = false;
    for (size_t fold = 0; fold < w->n_folds; fold++) {
        size_t choice = choose(w, fold, means);
        for (size_t i = fold; i < w->n; i += w->n_folds) {
            out->choice[i] = choice;
            out->predicted[i] = choice < w->n_candidates
                                    ? w->predicted[(choice * w->n_folds + fold) * w->n + i]
                                    : NAN;
            known = known && !isnan(out->predicted[i]);
            below = below || out->predicted[i] <= 0;
        }
    }
    for (size_t i = 0; i < w->n; i++) {
        w->errors[i] = fabs(out->predicted[i] / w->candidates[0].ms[i] - 1);
    }
    if (known && below) {
        out->mape = out->p95 = INFINITY;
    } else if (known) {
        out->mape = il_mean(w->errors, w->n);
        out->p95 = il_quantile(w->errors, w->n, 0.95);
    }
}

static int fit_all(work *w, il_error *err)
{
    for (size_t c = 0; c < w->n_candidates; c++) {
        if (!eligible(&w->candidates[c])) {
            continue;
        }
        for (size_t a = 0; a < w->n_folds; a++) {
            for (size_t b = a; b < w->n_folds; b++) {
                if (fit_without(w, c, a, b) != IL_OK) {
                    return il_fail(err, IL_E_NOMEM, "no memory to choose a form");
                }
            }
        }
    }
    return IL_OK;
}

int il_form_select(const il_form_points *candidates, const il_form_fit *const *start,
                   size_t n_candidates, il_selection *out, il_error *err)
{
    size_t n = n_candidates ? candidates[0].n : 0;
    *out = (il_selection){
        .n = n, .n_candidates = n_candidates, .chosen = n_candidates, .mape = NAN, .p95 = NAN};
    if (n == 0) {
        return IL_OK;
    }
    work w = {.candidates = candidates,
              .start = start,
              .n = n,
              .n_folds = n < IL_SELECT_MOST_FOLDS ? n : IL_SELECT_MOST_FOLDS,
              .n_candidates = n_candidates};
    size_t cells;
    size_t bytes;
    int rc = IL_OK;
    double *means = malloc(n_candidates * sizeof *means);
    out->error = malloc(n_candidates * sizeof *out->error);
    out->predicted = malloc(n * sizeof *out->predicted);
    out->choice = malloc(n * sizeof *out->choice);
    w.x = malloc(n * IL_FORM_MOST_X * sizeof *w.x);
    w.ms = malloc(n * sizeof *w.ms);
    w.errors = malloc(n * sizeof *w.errors);
    if (il_mul_size(n_candidates * w.n_folds, n, &cells) &&
        il_mul_size(cells, sizeof *w.predicted, &bytes)) {
        w.predicted = malloc(bytes);
    }
    if (!means || !out->error || !out->predicted || !out->choice || !w.x || !w.ms || !w.errors ||
        !w.predicted) {
        rc = il_fail(err, IL_E_NOMEM, "no memory to choose among %zu forms", n_candidates);
        goto out;
    }
    rc = fit_all(&w, err);
    if (rc == IL_OK) {
        out->chosen = choose(&w, w.n_folds, out->error);
        fill_nested(&w, out, means);
    }
out:
    free(means);
    free(w.x);
    free(w.ms);
    free(w.errors);
    free(w.predicted);
    if (rc != IL_OK) {
        il_selection_free(out);
    }
    return rc;
}

void il_selection_free(il_selection *selection)
{
    free(selection->error);
    free(selection->predicted);
    free(selection->choice);
    selection->error = NULL;
    selection->predicted = NULL;
    selection->choice = NULL;
}
