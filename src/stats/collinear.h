/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How far the columns of a regression say the same: condition number and variance inflation.
 */
#ifndef IL_STATS_COLLINEAR_H
#define IL_STATS_COLLINEAR_H

#include "inferlaw/error.h"

#include <stddef.h>

enum { IL_COLLINEAR_MOST = 8 };

typedef struct il_collinear {
    double condition; /* √(largest / least eigenvalue) of the correlation matrix */
    double vif;       /* the largest 1 / (1 − R²) of a column on the others */
    double vif_of[IL_COLLINEAR_MOST];
} il_collinear;

/* x is row-major [n][k] without the intercept; columns are centred and scaled to unit length first
 * (Belsley, Kuh & Welsch 1980, chapter 3, on centred columns). One column has condition and VIF 1.
 * Dependent columns give infinities. 1 ≤ k ≤ 8, n ≥ 2, no constant column, else IL_E_INVALID. */
int il_collinear_of(const double *x, size_t n, size_t k, il_collinear *out, il_error *err);

#endif
