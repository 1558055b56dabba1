/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whether B takes longer than A: the ratio of two sets of times on a log scale, and the verdict.
 *
 * Rule of the verdict (docs/compare.md has its error rates, simulated):
 *   FASTER, SLOWER  p ≤ 0.001, q ≤ 0.05 and the estimate beyond the margin;
 *   SAME            two one-sided tests at 5 % put the ratio inside the margin (Schuirmann 1987),
 *                   and the margin is not above IL_CHANGE_SAME_MOST;
 *   AMBIGUOUS       otherwise.
 */
#ifndef IL_STATS_CHANGE_H
#define IL_STATS_CHANGE_H

#include "stats/order.h"

#define IL_CHANGE_P         0.001 /* of one verdict: A/A errs no more often */
#define IL_CHANGE_Q         0.05  /* share of false verdicts among those of one table */
#define IL_CHANGE_TOST      0.05
#define IL_CHANGE_SAME_MOST 0.10 /* inside a wider margin "the same" says nothing */

typedef struct il_log_ratio {
    double estimate; /* mean ln b − mean ln a: ln of the ratio of geometric means */
    double se, dof;  /* NaN where a side has one value alone */
    size_t n_a, n_b;
} il_log_ratio;

/* Two independent samples, all > 0 (IL_E_INVALID); dof by Welch 1947. IL_E_TOO_FEW when a side is
 * empty. */
int il_log_ratio_welch(const double *a, size_t n_a, const double *b, size_t n_b, il_log_ratio *out,
                       il_error *err);
/* a[i] and b[i] belong together: as above for the mean of ln(b/a). */
int il_log_ratio_paired(const double *a, const double *b, size_t n, il_log_ratio *out,
                        il_error *err);
/* For values that follow one another and depend on each other: rho is their correlation at lag 1,
 * as of an AR(1). The standard error grows by the variance of a mean of n such values over what
 * s²/n says of it, A/(1 − (A − 1)/(n − 1)) with A = (1 + ρ)/(1 − ρ) − 2ρ(1 − ρⁿ)/(n(1 − ρ)²)
 * (Bayley & Hammersley 1946), the degrees of freedom shrink by (1 − ρ²)/(1 + ρ²). rho ≤ 0 and NaN
 * change nothing; above IL_CHANGE_RHO_MOST it counts as that. */
#define IL_CHANGE_RHO_MOST 0.8
void il_log_ratio_correlate(il_log_ratio *ratio, double rho);
/* Adds noise between sittings: sd of the mean ln time of one sitting, estimated with dof. The
 * standard error becomes √2·sd with that dof where that is larger than what it was. */
void il_log_ratio_widen(il_log_ratio *ratio, double between_sd, double dof);

/* Of the ratio itself, not of its logarithm; ends NaN where se is. */
il_interval il_log_ratio_interval(const il_log_ratio *ratio, double confidence);
/* Half the width of that interval were the estimate 1: the noise floor of this comparison. */
double il_log_ratio_half_width(const il_log_ratio *ratio, double confidence);
/* Two-sided p of "the ratio is 1"; NaN where se is NaN or 0 (no spread is no measured noise). */
double il_log_ratio_p(const il_log_ratio *ratio);

typedef enum il_change {
    IL_CHANGE_SAME,
    IL_CHANGE_FASTER, /* B is */
    IL_CHANGE_SLOWER,
    IL_CHANGE_AMBIGUOUS,
} il_change;

/* margin: a fraction > 0; q: p adjusted over the table. *because, if not NULL, gets a sentence part
 * that lives forever. */
il_change il_change_judge(const il_log_ratio *ratio, double margin, double q, const char **because);
const char *il_change_name(il_change change); /* "SAME" … */

#endif
