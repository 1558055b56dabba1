/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/change.h"

#include "stats/dist.h"

#include <math.h>
#include <stdbool.h>

/* Mean and variance of ln v. */
static int log_moments(const double *v, size_t n, double *mean, double *variance, il_error *err)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(v[i] > 0) || isinf(v[i])) {
            return il_fail(err, IL_E_INVALID, "the logarithm of %g does not exist", v[i]);
        }
        sum += log(v[i]);
    }
    *mean = sum / (double)n;
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        double d = log(v[i]) - *mean;
        squares += d * d;
    }
    *variance = n >= 2 ? squares / (double)(n - 1) : NAN;
    return IL_OK;
}

int il_log_ratio_welch(const double *a, size_t n_a, const double *b, size_t n_b, il_log_ratio *out,
                       il_error *err)
{
    *out = (il_log_ratio){NAN, NAN, NAN, n_a, n_b};
    if (n_a == 0 || n_b == 0) {
        return il_fail(err, IL_E_TOO_FEW, "a side of the comparison has no values");
    }
    double mean_a, mean_b, var_a, var_b;
    int rc = log_moments(a, n_a, &mean_a, &var_a, err);
    rc = rc ? rc : log_moments(b, n_b, &mean_b, &var_b, err);
    if (rc != IL_OK) {
        return rc;
    }
    double part_a = var_a / (double)n_a, part_b = var_b / (double)n_b;
    double sum = part_a + part_b;
    out->estimate = mean_b - mean_a;
    out->se = sqrt(sum);
    out->dof = sum > 0
                   ? sum * sum /
                         (part_a * part_a / (double)(n_a - 1) + part_b * part_b / (double)(n_b - 1))
                   : (double)(n_a + n_b - 2);
    if (isnan(out->se)) {
        out->dof = NAN;
    }
    return IL_OK;
}

int il_log_ratio_paired(const double *a, const double *b, size_t n, il_log_ratio *out,
                        il_error *err)
{
    *out = (il_log_ratio){NAN, NAN, NAN, n, n};
    if (n == 0) {
        return il_fail(err, IL_E_TOO_FEW, "there are no pairs to compare");
    }
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(a[i] > 0 && b[i] > 0) || isinf(a[i]) || isinf(b[i])) {
            return il_fail(err, IL_E_INVALID, "the ratio of %g and %g has no logarithm", b[i],
                           a[i]);
        }
        sum += log(b[i] / a[i]);
    }
    out->estimate = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = log(b[i] / a[i]) - out->estimate;
        squares += d * d;
    }
    if (n >= 2) {
        out->dof = (double)(n - 1);
        out->se = sqrt(squares / out->dof / (double)n);
    }
    return IL_OK;
}

void il_log_ratio_correlate(il_log_ratio *ratio, double rho)
{
    double n = (double)(ratio->n_a < ratio->n_b ? ratio->n_a : ratio->n_b);
    if (!(rho > 0) || n < 2 || isnan(ratio->se)) {
        return;
    }
    rho = fmin(rho, IL_CHANGE_RHO_MOST);
    double inflated =
        (1 + rho) / (1 - rho) - 2 * rho * (1 - pow(rho, n)) / (n * (1 - rho) * (1 - rho));
    ratio->se *= sqrt(inflated / (1 - (inflated - 1) / (n - 1)));
    ratio->dof = fmax(1, ratio->dof * (1 - rho * rho) / (1 + rho * rho));
}

void il_log_ratio_widen(il_log_ratio *ratio, double between_sd, double dof)
{
    double se = sqrt(2) * between_sd;
    if (se > 0 && (isnan(ratio->se) || se > ratio->se)) {
        ratio->se = se;
        ratio->dof = dof;
    }
}

static double reach_of(const il_log_ratio *ratio, double confidence)
{
    if (isnan(ratio->se) || !(ratio->dof > 0)) {
        return NAN;
    }
    return il_t_quantile(0.5 + confidence / 2, ratio->dof) * ratio->se;
}

il_interval il_log_ratio_interval(const il_log_ratio *ratio, double confidence)
{
    double reach = reach_of(ratio, confidence);
    return (il_interval){exp(ratio->estimate), exp(ratio->estimate - reach),
                         exp(ratio->estimate + reach)};
}

double il_log_ratio_half_width(const il_log_ratio *ratio, double confidence)
{
    return sinh(reach_of(ratio, confidence));
}

double il_log_ratio_p(const il_log_ratio *ratio)
{
    if (!(ratio->se > 0) || !(ratio->dof > 0)) {
        return NAN;
    }
    return il_t_two_sided_p(ratio->estimate / ratio->se, ratio->dof);
}

/* Inside the margin by both one-sided tests: the 1 − 2·level interval lies in it. */
static bool equivalent(const il_log_ratio *ratio, double limit)
{
    double reach = reach_of(ratio, 1 - 2 * IL_CHANGE_TOST);
    return fabs(ratio->estimate) + reach < limit;
}

il_change il_change_judge(const il_log_ratio *ratio, double margin, double q, const char **because)
{
    const char *unused;
    const char **why = because ? because : &unused;
    double limit = log1p(margin);
    double p = il_log_ratio_p(ratio);
    bool beyond = fabs(ratio->estimate) > limit;
    if (isnan(ratio->se)) {
        *why = "one replicate on a side has no interval";
        return IL_CHANGE_AMBIGUOUS;
    }
    if (p <= IL_CHANGE_P && q <= IL_CHANGE_Q && beyond) {
        *why = "beyond the margin";
        return ratio->estimate > 0 ? IL_CHANGE_SLOWER : IL_CHANGE_FASTER;
    }
    if (!(margin <= IL_CHANGE_SAME_MOST)) {
        *why = beyond ? "beyond the margin, but too uncertain" : "too noisy to call either way";
        return IL_CHANGE_AMBIGUOUS;
    }
    if (equivalent(ratio, limit)) {
        *why = "equivalent within the margin";
        return IL_CHANGE_SAME;
    }
    *why = !beyond            ? "below the margin, and not shown to be the same"
           : ratio->se == 0.0 ? "replicates without any spread show no noise to judge by"
                              : "beyond the margin, but too uncertain";
    return IL_CHANGE_AMBIGUOUS;
}

const char *il_change_name(il_change change)
{
    static const char *const names[] = {"SAME", "FASTER", "SLOWER", "AMBIGUOUS"};
    return names[change];
}
