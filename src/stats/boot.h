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

/* The block medians made ready to draw from. It owns copies: data may go. */
typedef struct il_nested_sampler {
    size_t n_models;
    size_t *first;    /* as in il_nested */
    double *sorted;   /* block medians, ascending within a model */
    double *medians;  /* [n_models], of the block medians: what a plain fit takes */
    double *noise_sd; /* [n_models], √(inside_var / blocks) */
} il_nested_sampler;

/* n_models ≥ 4, else IL_E_TOO_FEW; a model without blocks or first[0] ≠ 0 is IL_E_INVALID; x is not
 * read. il_nested_close is also right after a failure. */
int il_nested_open(const il_nested *data, il_nested_sampler *out, il_error *err);
void il_nested_close(il_nested_sampler *sampler);

/* One resample: pick[i] is the model drawn into place i, with replacement, and y[i] its value: the
 * median of as many blocks as it has, drawn with replacement, plus a normal of variance
 * inside_var/blocks. Both are n_models long. A law of any form is refitted to the x's of pick and
 * to y; a resample that it cannot fit is skipped and counted. Nothing is allocated. */
void il_nested_draw(const il_nested_sampler *sampler, il_stream *stream, size_t *pick, double *y);
/* The same for one model that is kept in place: resamples blocks only. */
double il_nested_draw_model(const il_nested_sampler *sampler, size_t m, il_stream *stream);

/* Where the ends of the interval are to be taken in the sorted estimates of resampled models, for a
 * law of k = n_coefficients (the intercept is one). Below ten models Φ(−z·√(n/(n − k))), the factor
 * by which resampled residuals are too short; from ten on Φ(−t), t on n − k degrees of freedom.
 * Both are parts of the expanded percentiles of Hesterberg 2015, section 3.2; both at once make a
 * line on seven models cover 99 %, since resamples that hold few models twice over spread the
 * slopes already. Which part where is chosen by simulation (docs/statistics.md). NaN when n ≤ k. */
double il_nested_tail(size_t n_models, size_t n_coefficients, double confidence);
/* The least models at which that interval covers what it says: 3k + 1. With fewer the resamples
 * hardly ever fix the law, and a t interval of the fit stands instead. */
size_t il_nested_least_models(size_t n_coefficients);
/* Sets low and high to the tail and 1 − tail quantiles (type 7) of the values that are not NaN.
 * Rearranges values; NaN ends when none is left. */
void il_interval_ends(double *values, size_t n, double tail, il_interval *out);

/* Fits a law to models pick[0 … n − 1] (with repeats) with values y and fills terms; anything but
 * IL_OK means that this resample does not fix the law. A term that alone is unknown may be NaN. */
typedef int (*il_nested_fit)(void *context, const size_t *pick, const double *y, size_t n,
                             double *terms);

/* 95 % intervals of any law over n_resamples of il_nested_draw. out is [n_terms]; the estimates are
 * those of the fit to all models and their medians. n_coefficients is what il_nested_tail takes.
 * IL_E_TOO_FEW when that fit fails. */
int il_boot_nested(const il_nested *data, size_t n_coefficients, size_t n_terms, il_nested_fit fit,
                   void *context, size_t n_resamples, il_stream *stream, il_interval *out,
                   size_t *n_used, il_error *err);

/* il_boot_nested of the line through (x, median of the model's block medians). */
int il_boot_line_nested(const il_nested *data, size_t n_resamples, il_stream *stream,
                        il_boot_line *out, il_error *err);

#endif
