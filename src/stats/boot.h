/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Resampling. Pairs over models with percentile ends is what the original study's tables hold; it
 * covers about 90 % at seven models and no sentence of ours quotes it. The nested form resamples
 * models, block medians within a model, and adds the variance inside blocks; its ends are taken
 * farther out, so that it covers what it says (tests/stats/test_coverage.c).
 */
#ifndef IL_STATS_BOOT_H
#define IL_STATS_BOOT_H

#include "stats/ols.h"
#include "stats/order.h"
#include "stats/stream.h"

/* used counts the resamples that could be fitted: one whose x are all the same is skipped. With
 * n < 3, or none used, all ends are NaN. Estimates are those of the plain fit. */
typedef struct il_boot_line {
    il_interval slope, intercept; /* 2.5 and 97.5 percentiles, type 7 */
    size_t n_requested, n_used;
} il_boot_line;

/* Pairs bootstrap of the straight line. IL_E_TOO_FEW when the line itself does not exist. */
int il_boot_line_pairs(const double *x, const double *y, size_t n, size_t n_resamples,
                       il_stream *stream, il_boot_line *out, il_error *err);

typedef struct il_boot_ols {
    il_interval coef[IL_OLS_MOST_TERMS];
    il_interval r2;
    size_t n_requested, n_used;
} il_boot_ols;

/* The same for k x's, row-major [n][k]; resamples whose columns are dependent are skipped. */
int il_boot_ols_pairs(const double *x, const double *y, size_t n, size_t k, size_t n_resamples,
                      il_stream *stream, il_boot_ols *out, il_error *err);

/* Block medians by model: values[first[m]] … values[first[m + 1] − 1] belong to model m, on the
 * scale of the fit (log10 of the latency). inside_var[m] is the variance of one block median that
 * comes from inside the block, 0 where a block holds one call; NULL for all 0. */
typedef struct il_nested {
    size_t n_models;
    const double *x; /* [n_models] */
    const double *values;
    const size_t *first; /* [n_models + 1] */
    const double *inside_var;
} il_nested;

/* Line through (x, median of the model's block medians). Models are drawn with replacement, blocks
 * within each drawn model, and a normal of variance inside_var/n_blocks is added. Percentiles
 * are expanded to Φ(±z(0.975)·√(n/(n − 2))), the factor by which resampled residuals are too short
 * (after Hesterberg 2015, section 3.2; his t quantile on top of it makes a line on seven models
 * cover 99 %). n_models ≥ 4, else IL_E_TOO_FEW. */
int il_boot_line_nested(const il_nested *data, size_t n_resamples, il_stream *stream,
                        il_boot_line *out, il_error *err);

#endif
