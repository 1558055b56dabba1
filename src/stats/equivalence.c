/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/equivalence.h"

#include "stats/dist.h"
#include "stats/order.h"

#include <math.h>

/* P(T > t) for either sign of t. */
static double upper_p(double t, double dof)
{
    double two = il_t_two_sided_p(fabs(t), dof);
    return t > 0 ? two / 2 : 1 - two / 2;
}

int il_equivalence_test(const double *effects, size_t n, double margin, double level,
                        il_equivalence *out, il_error *err)
{
    *out = (il_equivalence){il_mean(effects, n), NAN, NAN, NAN, false};
    if (!(margin > 0) || !(level > 0 && level < 0.5)) {
        return il_fail(err, IL_E_INVALID,
                       "equivalence needs a margin above 0 and a level in (0, 0.5)");
    }
    if (n < 2) {
        return il_fail(err, IL_E_TOO_FEW, "equivalence needs two effects or more, there are %zu",
                       n);
    }
    double dof = (double)(n - 1);
    double se = il_sd(effects, n) / sqrt((double)n);
    double reach = il_t_quantile(1 - level, dof) * se;
    out->low = out->estimate - reach;
    out->high = out->estimate + reach;
    if (se > 0) {
        out->p = fmax(upper_p((out->estimate + margin) / se, dof),
                      upper_p((margin - out->estimate) / se, dof));
    } else {
        out->p = fabs(out->estimate) < margin ? 0 : 1;
    }
    out->equivalent = out->p < level;
    return IL_OK;
}
