/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Distribution functions, over GSL with its aborting error handler turned off. Arguments out of
 * range give NaN, never a stop.
 */
#ifndef IL_STATS_DIST_H
#define IL_STATS_DIST_H

#include <stdint.h>

/* Φ⁻¹(p), 0 < p < 1. */
double il_normal_quantile(double p);
/* Quantile of Student's t with dof > 0 degrees of freedom. */
double il_t_quantile(double p, double dof);
/* 2·P(T > |t|) with dof > 0 degrees of freedom. */
double il_t_two_sided_p(double t, double dof);
/* P(B ≤ k) for B ~ Binomial(n, p); 0 for k < 0, 1 for k ≥ n. */
double il_binomial_cdf(int64_t k, uint32_t n, double p);

/* Before any direct use of GSL elsewhere in this module. Safe from any thread, any number of
 * times. */
void il_stats_gsl_quiet(void);

#endif
