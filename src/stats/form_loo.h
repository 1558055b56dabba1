/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Leave one model out for any form, the verdict on a law. Sources of the rules: docs/laws.md.
 */
#ifndef IL_STATS_FORM_LOO_H
#define IL_STATS_FORM_LOO_H

#include "stats/forms.h"
#include "stats/loo.h"

/* Points of a law: x row-major [n][il_form_n_x(form)], ms [n]. */
typedef struct il_form_points {
    il_form form;
    const double *x, *ms;
    size_t n;
} il_form_points;

typedef enum il_form_verdict {
    IL_FORM_SUPPORTED,
    IL_FORM_NO_FIT,         /* too few points, or columns that depend on each other */
    IL_FORM_TOO_FEW_MODELS, /* n < terms + 3 */
    IL_FORM_CONFOUNDED,     /* condition > 30 or a VIF > 10 */
    IL_FORM_LEVERAGE_ONE,
    IL_FORM_UNDETERMINED, /* b is 0, so that no exponent is defined; or s is where the search ends
                           */
    IL_FORM_DECISIVE,
} il_form_verdict;

typedef struct il_form_loo {
    il_form_fit fit;
    /* rows, leverage, cooks and the coefficients in the general shape of stats/loo.h. predicted is
     * log10 ms: NaN without a fit, −∞ where the prediction is not above 0. */
    il_loo loo;
    il_form_columns columns;
} il_form_loo;

typedef struct il_form_judgement {
    il_form_verdict verdict;
    size_t model, term;          /* that decides most; model is n when none */
    size_t n_needed, n_decisive; /* models decisive for any judged term */
} il_form_judgement;

/* Fits with all models and without each. Codes as il_form_fit_to; il_form_loo_free also after a
 * failure; columns are set then too. */
int il_form_loo_fit(const il_form_points *points, il_form_loo *out, il_error *err);
void il_form_loo_free(il_form_loo *loo);
/* The verdict on the law: the first that applies in the order of il_form_verdict. It is not
 * identifiable when any judged term has a decisive model. */
il_form_judgement il_form_judge(const il_form_loo *loo);
/* The verdict on one term, judged or not: what is the fit's (models, columns, leverage) as above,
 * and of the decisive models those that decide this term. */
il_form_judgement il_form_judge_term(const il_form_loo *loo, size_t term);

/* Relative errors |predicted/observed − 1| of left-out models: mean and 95th percentile (type 7) as
 * fractions; infinite when a prediction is not above 0, NaN when a model could not be left out. */
int il_form_loo_error(const il_form_loo *loo, const double *ms, double *mape, double *p95,
                      il_error *err);

#endif
