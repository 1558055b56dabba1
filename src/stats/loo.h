/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Leave one out: how much a law hangs on one model, and how wrong it is about a model it has not
 * seen. Source of the rules: this project's docs/statistics.md, "When a law stands".
 */
#ifndef IL_STATS_LOO_H
#define IL_STATS_LOO_H

#include "stats/ols.h"

#include <stdbool.h>

typedef struct il_loo_row {
    double estimate, ci_low,
        ci_high; /* of the term without this model; NaN ends: no freedom left */
    bool fitted; /* false: without it there is no fit at all */
    bool decisive;
} il_loo_row;

typedef struct il_loo {
    size_t n, n_terms;
    il_loo_row *rows;         /* [n][n_terms] */
    double *leverage, *cooks; /* [n] */
    double *predicted; /* [n], of the fit without that model, on the scale of y; NaN: no fit */
    double ci_low[IL_OLS_MOST_TERMS], ci_high[IL_OLS_MOST_TERMS]; /* 95 %, of the full fit */
    il_ols fit;
} il_loo;

/* The rule. A model is decisive for a term when without it the estimate changes by more than half,
 * |b₋ᵢ/b − 1| > 0.5, or changes sign, or its 95 % t interval takes in 0 while the full one did
 * not. NaN ends (no degree of freedom) do not trip the last part. Estimates below 1e-12 are
 * rounding of 0: two of them are equal. */
bool il_is_decisive(double all, double all_low, double all_high, double without, double low,
                    double high);

/* Fits y on x [n][k] with all and without each. The caller frees with il_loo_free, also after a
 * failure. IL_E_TOO_FEW and IL_E_INVALID as il_ols_fit. A model without which the columns become
 * dependent is not fitted and decisive for every term. */
int il_loo_fit(const double *x, const double *y, size_t n, size_t k, il_loo *out, il_error *err);
void il_loo_free(il_loo *loo);

typedef enum il_law_verdict {
    IL_LAW_SUPPORTED,
    IL_LAW_TOO_FEW_MODELS, /* n < coefficients + 3 */
    IL_LAW_LEVERAGE_ONE,   /* one model fixes a coefficient alone */
    IL_LAW_DECISIVE,       /* without one model the term is another */
} il_law_verdict;

typedef struct il_law_judgement {
    il_law_verdict verdict;
    size_t model;    /* the model that decides: of leverage 1, or the largest change; else n */
    size_t n_needed; /* models the form needs: coefficients + 3 */
    size_t n_decisive;
} il_law_judgement;

/* Judges one term. The largest change is by |ln|b₋ᵢ/b||, sign changes and lost fits before all. */
il_law_judgement il_law_judge(const il_loo *loo, size_t term);

/* Relative prediction errors |10^(predicted − y) − 1| of left-out models for y = log10 latency:
 * mean and 95th percentile (type 7), as fractions. NaN when any model could not be left out. */
void il_loo_error_log10(const il_loo *loo, const double *y, double *mape, double *p95);

#endif
