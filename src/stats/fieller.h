/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Fieller's interval of a ratio of two estimates (Fieller 1954, J. R. Stat. Soc. B 16:175). It is
 * the set of ρ for which a − ρ·b does not differ from 0, and that set need not be an interval.
 */
#ifndef IL_STATS_FIELLER_H
#define IL_STATS_FIELLER_H

#include "inferlaw/error.h"

typedef enum il_fieller_kind {
    IL_FIELLER_BOUNDED,   /* low … high */
    IL_FIELLER_EXCLUSIVE, /* everything but what lies between low and high: b may be 0 */
    IL_FIELLER_UNBOUNDED, /* every ratio: neither a nor b is known to differ from 0 */
} il_fieller_kind;

typedef struct il_fieller {
    double ratio; /* a / b */
    il_fieller_kind kind;
    double low, high; /* BOUNDED: the ends; EXCLUSIVE: the gap; UNBOUNDED: −∞, ∞ */
    double g;         /* t²·var(b)/b²: below 1 the interval is bounded */
} il_fieller;

/* Ratio a/b of estimates with variances and covariance (of the estimates, not of one observation)
 * on dof degrees of freedom; dof = INFINITY takes the normal quantile. IL_E_INVALID: b is 0, a
 * variance is negative or not finite, cov² > var_a·var_b (beyond rounding), confidence outside
 * (0, 1), dof not > 0. */
int il_fieller_ratio(double a, double b, double var_a, double var_b, double cov, double dof,
                     double confidence, il_fieller *out, il_error *err);

/* "bounded", "exclusive", "unbounded". */
const char *il_fieller_kind_name(il_fieller_kind kind);

#endif
