/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/noise.h"

#include "base/checked.h"
#include "stats/autocorr.h"
#include "stats/dist.h"
#include "stats/rank.h"

#include <math.h>
#include <stdlib.h>

static int allocate(size_t n, double **out, il_error *err)
{
    size_t bytes;
    *out = il_mul_size(n ? n : 1, sizeof **out, &bytes) ? malloc(bytes) : NULL;
    return *out ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for %zu values", n);
}

double il_mde_factor(size_t n, double confidence)
{
    if (n < 2) {
        return NAN;
    }
    double dof = (double)(n - 1);
    return fmax(2, il_t_quantile(0.9996, dof) / il_t_quantile(1 - (1 - confidence) / 2, dof));
}

bool il_ratio_is_effect(const il_ratio *ratio, double confidence)
{
    double half = log(ratio->ratio.high / ratio->ratio.low) / 2;
    double effect = fabs(log(ratio->ratio.estimate));
    return effect > half && effect > il_mde_factor(ratio->n, confidence) * half;
}

int il_ratio_of(const double *ratios, size_t n, double confidence, il_ratio *out, il_error *err)
{
    *out = (il_ratio){{NAN, NAN, NAN}, NAN, NAN, n};
    int rc = il_log_mean_interval(ratios, n, confidence, &out->ratio, err);
    if (rc == IL_OK) {
        out->half_width = (out->ratio.high - out->ratio.low) / 2;
        out->mde = il_mde_factor(n, confidence) * out->half_width;
    }
    return rc;
}

int il_ratio_paired(const double *a, const double *b, size_t n, double confidence, il_ratio *out,
                    il_error *err)
{
    *out = (il_ratio){{NAN, NAN, NAN}, NAN, NAN, n};
    double *ratios;
    int rc = allocate(n, &ratios, err);
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        if (!(a[i] > 0 && b[i] > 0 && isfinite(a[i]) && isfinite(b[i]))) {
            rc = il_fail(err, IL_E_INVALID, "the ratio of %g and %g has no logarithm", b[i], a[i]);
        } else {
            ratios[i] = b[i] / a[i];
        }
    }
    if (rc == IL_OK) {
        rc = il_ratio_of(ratios, n, confidence, out, err);
    }
    free(ratios);
    return rc;
}

int il_drift_percent(const double *time, const double *values, size_t n, il_interval *out,
                     il_error *err)
{
    *out = (il_interval){NAN, NAN, NAN};
    double *logs;
    int rc = allocate(n, &logs, err);
    rc = rc ? rc : il_log_values(values, n, logs, err);
    il_theil_sen line;
    if (rc == IL_OK) {
        rc = il_theil_sen_fit(time, logs, n, &line, err);
    }
    if (rc == IL_OK) {
        out->estimate = 100 * line.slope;
        il_interval trend;
        if (il_trend_interval_series(time, logs, n, 0.95, &trend, NULL) == IL_OK) {
            double half = (trend.high - trend.low) / 2;
            out->low = 100 * (line.slope - half);
            out->high = 100 * (line.slope + half);
        }
    }
    free(logs);
    return rc;
}
