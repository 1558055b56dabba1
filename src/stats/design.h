/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The design matrix that the regressions of this module share.
 */
#ifndef IL_STATS_DESIGN_H
#define IL_STATS_DESIGN_H

#include <gsl/gsl_matrix.h>
#include <stddef.h>

/* A column of ones, then the x's [n][k] centred and scaled, so that the factorisation judges
 * independence and not units. design is n × (k + 1), center and scale are [k]. IL_E_INVALID: a
 * column is constant or not finite. */
int il__design_fill(gsl_matrix *design, const double *x, size_t n, size_t k, double *center,
                    double *scale);
/* The row w [p] that takes the coefficients of that design to coefficient `term` of the plain one:
 * w·β. */
void il__design_row(size_t term, size_t p, const double *center, const double *scale, double *w);

#endif
