/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/fieller.h"

#include "stats/dist.h"

#include <math.h>

const char *il_fieller_kind_name(il_fieller_kind kind)
{
    static const char *const names[] = {"bounded", "exclusive", "unbounded"};
    return names[kind];
}

/* The set is A·ρ² − 2B·ρ + C ≤ 0 with A = b² − t²var_b, B = ab − t²cov, C = a² − t²var_a. a and b
 * are in units of their own size here, so that no square overflows. */
static void solve(double a, double b, double var_a, double var_b, double cov, double t2,
                  il_fieller *out)
{
    double A = b * b - t2 * var_b;
    double B = a * b - t2 * cov;
    double C = a * a - t2 * var_a;
    double d = B * B - A * C;
    out->g = t2 * var_b / (b * b);
    if (A > 0) {
        /* At ρ = a/b the form is ≤ 0, so real roots exist: a negative d is rounding. */
        double root = sqrt(fmax(d, 0));
        double far = B >= 0 ? B + root : B - root;
        double r1 = far / A;
        double r2 = far != 0 ? C / far : 0;
        out->kind = IL_FIELLER_BOUNDED;
        out->low = fmin(r1, r2);
        out->high = fmax(r1, r2);
    } else if (A < 0 && d > 0) {
        double root = sqrt(d);
        double far = B >= 0 ? B + root : B - root;
        double r1 = far / A;
        double r2 = far != 0 ? C / far : 0;
        out->kind = IL_FIELLER_EXCLUSIVE;
        out->low = fmin(r1, r2);
        out->high = fmax(r1, r2);
    } else if (A == 0 && B != 0) {
        /* One end at infinity: a half line, whose other side is the gap. */
        double end = C / (2 * B);
        out->kind = IL_FIELLER_EXCLUSIVE;
        out->low = B > 0 ? -INFINITY : end;
        out->high = B > 0 ? end : INFINITY;
    } else {
        out->kind = IL_FIELLER_UNBOUNDED;
        out->low = -INFINITY;
        out->high = INFINITY;
    }
}

int il_fieller_ratio(double a, double b, double var_a, double var_b, double cov, double dof,
                     double confidence, il_fieller *out, il_error *err)
{
    *out = (il_fieller){NAN, IL_FIELLER_UNBOUNDED, NAN, NAN, NAN};
    if (!isfinite(a) || !isfinite(b) || b == 0) {
        return il_fail(err, IL_E_INVALID, "%g over %g is no ratio", a, b);
    }
    if (!(var_a >= 0 && var_b >= 0) || !isfinite(var_a) || !isfinite(var_b) ||
        !(fabs(cov) <= sqrt(var_a) * sqrt(var_b) * (1 + 1e-9))) {
        return il_fail(err, IL_E_INVALID, "%g, %g and %g are no variances and covariance", var_a,
                       var_b, cov);
    }
    double p = 1 - (1 - confidence) / 2;
    double t = isinf(dof) && dof > 0 ? il_normal_quantile(p) : il_t_quantile(p, dof);
    if (!(t > 0)) {
        return il_fail(err, IL_E_INVALID, "no quantile at confidence %g and %g degrees of freedom",
                       confidence, dof);
    }
    double ua = fmax(fabs(a), sqrt(var_a));
    double ub = fmax(fabs(b), sqrt(var_b));
    ua = ua > 0 ? ua : 1;
    solve(a / ua, b / ub, var_a / ua / ua, var_b / ub / ub, cov / ua / ub, t * t, out);
    out->ratio = a / b;
    out->low *= ua / ub;
    out->high *= ua / ub;
    return IL_OK;
}
