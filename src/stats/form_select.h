/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The choice of a form and its x, and what that choice errs by.
 *
 * Candidates are compared by the mean of |ln(predicted/observed)| over models left out. The one
 * chosen is the simplest (fewest terms) whose mean is within one standard error of the least mean
 * (Breiman, Friedman, Olshen & Stone 1984, section 3.4.3; Hastie, Tibshirani & Friedman, section
 * 7.10); among equally simple ones the least mean. Its own error is too good, being a least one, so
 * the error to publish is nested: for each model the whole choice is made again without it
 * (Varma & Simon 2006).
 *
 * With more than 40 models they are left out in 40 groups: model i is in group i mod 40.
 */
#ifndef IL_STATS_FORM_SELECT_H
#define IL_STATS_FORM_SELECT_H

#include "stats/form_loo.h"

enum { IL_SELECT_MOST_FOLDS = 40 };

typedef struct il_selection {
    size_t n, n_candidates;
    size_t chosen;     /* n_candidates when nothing could be chosen */
    double *error;     /* [n_candidates], mean |ln ratio| left out; infinite: cannot predict some */
    double *predicted; /* [n], ms, of the choice made without that model; NaN: none */
    size_t *choice;    /* [n], what was chosen without that model; n_candidates: none */
    double mape, p95;  /* nested, |predicted/observed − 1|, fractions; NaN when one is missing,
                          infinite when a prediction is not above 0 */
} il_selection;

/* All candidates hold the same models in the same order and the same ms. A candidate needs
 * terms + 3 models, so that two can be left out; others are never chosen. start are the fits to all
 * models (may hold NULL). NOMEM otherwise IL_OK; free also after a failure. */
int il_form_select(const il_form_points *candidates, const il_form_fit *const *start,
                   size_t n_candidates, il_selection *out, il_error *err);
void il_selection_free(il_selection *selection);

#endif
