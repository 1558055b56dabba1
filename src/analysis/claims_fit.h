/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Claims about fits over models: what the tests share.
 */
#ifndef IL_ANALYSIS_CLAIMS_FIT_H
#define IL_ANALYSIS_CLAIMS_FIT_H

#include "analysis/claims_points.h"
#include "stats/loo.h"

/* One fit of a claim: the points of a key, as columns. */
typedef struct il__claim_fit {
    const il__run *run;
    const il_claim *claim;
    const il__claim_rows *rows,
        *other; /* other: what versus selects; its times divide. NULL: none */
    il__claim_key key, other_key;
    il__points points, other_points;
    size_t n, k;                   /* points with known x; columns */
    const il__point **use, **less; /* the n points; those taken off them, where there is an other */
    double *x, *raw, *y;           /* [n][k] as fitted; [n][k] the plain columns; [n] */
    double noise;                  /* smallest ratio that counts, a fraction */
} il__claim_fit;

/* Each judges its test and may set gates. fit->y holds logs of ms unless the test says otherwise.
 */
int il__claim_term(il__claim_fit *fit, il__effect *e, il_error *err); /* exponent, coefficient */
int il__claim_terms_ratio(il__claim_fit *fit, il__effect *e, il_error *err);
int il__claim_rank(il__claim_fit *fit, il__effect *e, il_error *err);
int il__claim_predicts(il__claim_fit *fit, il__effect *e, il_error *err);
int il__claim_bend(il__claim_fit *fit, il__effect *e, il_error *err);
int il__claim_crossover(il__claim_fit *fit, il__effect *e, il_error *err);

/* Gates of the design: n ≥ coefficients + 3, range of the first x, collinearity, blocks. */
int il__claim_design_gates(const il__claim_fit *fit, size_t n_coefficients, il__effect *e,
                           il_error *err);
/* Gates of the fitted term: leverage 1, a decisive model. */
void il__claim_loo_gates(const il__claim_fit *fit, const il_loo *loo, size_t term, il__effect *e);
/* The y of point i without one block; NaN when nothing is left. */
double il__claim_y_without(const il__claim_fit *fit, size_t i, double block);
/* ln of the largest over the least value of the first x. */
double il__claim_span(const il__claim_fit *fit);

#endif
