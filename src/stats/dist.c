/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/dist.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <threads.h>

static once_flag quiet_once = ONCE_FLAG_INIT;

static void turn_handler_off(void)
{
    (void)gsl_set_error_handler_off();
}

void il_stats_gsl_quiet(void)
{
    call_once(&quiet_once, turn_handler_off);
}

double il_normal_quantile(double p)
{
    if (!(p > 0 && p < 1)) {
        return NAN;
    }
    il_stats_gsl_quiet();
    return gsl_cdf_ugaussian_Pinv(p);
}

double il_t_quantile(double p, double dof)
{
    if (!(p > 0 && p < 1) || !(dof > 0)) {
        return NAN;
    }
    il_stats_gsl_quiet();
    return gsl_cdf_tdist_Pinv(p, dof);
}

double il_t_two_sided_p(double t, double dof)
{
    if (isnan(t) || !(dof > 0)) {
        return NAN;
    }
    if (isinf(t)) {
        return 0.0;
    }
    il_stats_gsl_quiet();
    return 2.0 * gsl_cdf_tdist_Q(fabs(t), dof);
}

double il_binomial_cdf(int64_t k, uint32_t n, double p)
{
    if (!(p >= 0 && p <= 1)) {
        return NAN;
    }
    if (k < 0) {
        return 0.0;
    }
    if (k >= (int64_t)n) {
        return 1.0;
    }
    il_stats_gsl_quiet();
    return gsl_cdf_binomial_P((unsigned)k, p, n);
}
