/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Overhead and compute on linear milliseconds: lat = a + b·P and lat = a + b·P^s, P in millions of
 * parameters. Both minimise the sum of squared residuals of the latency itself.
 */
#ifndef IL_STATS_OVERHEAD_H
#define IL_STATS_OVERHEAD_H

#include "inferlaw/error.h"

#include <stddef.h>

typedef struct il_overhead_fit {
    double a, b, s; /* s is 1 in the affine form */
    double r2;      /* 1 − SSE/SST; NaN when the latency is constant */
} il_overhead_fit;

/* Plain least squares, signs free. Two different P, else IL_E_TOO_FEW. */
int il_overhead_affine(const double *p, const double *latency, size_t n, il_overhead_fit *out,
                       il_error *err);
/* a, b ≥ 0, 0 ≤ s ≤ 2. For a given s the best a and b are a nonnegative least squares problem with
 * two unknowns, solved exactly by its four active sets; s is found on a grid of 201 values and then
 * by golden section between the neighbours of the best (Kiefer 1953). Every P > 0 and three
 * different P, else IL_E_TOO_FEW or IL_E_INVALID. */
int il_overhead_power(const double *p, const double *latency, size_t n, il_overhead_fit *out,
                      il_error *err);
/* a / (a + b·P^s); NaN when the sum is 0. */
double il_overhead_fraction(const il_overhead_fit *fit, double p);

#endif
