/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * When to stop measuring. Looking at an interval after every block and stopping when it is narrow
 * picks the moments at which it is narrow by luck, so that a 95 % interval covers less: 93 % where
 * the interval that is published also decides (docs/sampling.md). Here a wider one decides (98 %),
 * and it must be narrow enough twice in a row; the published one then covers 95 % or more
 * (tests/stats/test_sampling.c, inferlaw-bench sampling).
 *
 * Fixed-width sequential intervals: Chow & Robbins 1965; for quantiles Geertsema 1970.
 */
#ifndef IL_STATS_SAMPLING_H
#define IL_STATS_SAMPLING_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>

#define IL_SAMPLING_CONFIDENCE 0.98
/* Blocks below which "further blocks no longer help" is not asked, and what it asks: the width with
 * all blocks, now and one block ago, is at least this share of the width with the older half of
 * them. Independent noise gives 0.71 in the middle. */
#define IL_SAMPLING_STUCK_LEAST 24
#define IL_SAMPLING_STUCK_SHARE 1.0

typedef struct il_sampling_view {
    double half_width; /* of the deciding interval; NaN: too few values for one */
    bool met;          /* narrow enough now and one block ago */
    bool stuck;        /* not met, and further blocks do not narrow it */
} il_sampling_view;

/* The median of one cell: values > 0, its blocks in the order they were measured. half_width is
 * (high − low) / 2 of the exact order-statistic interval as a share of the median. n ≥ 7 for a
 * width, n ≥ 8 to be met. */
int il_sampling_median(const double *values, size_t n, double target, il_sampling_view *out,
                       il_error *err);

/* The measured part of a slope: groups of blocks at x, logs[first[i]] … logs[first[i + 1] − 1]
 * belong to group i, in the order they were measured, on the log10 scale of the fit. */
typedef struct il_sampling_line {
    size_t n_groups;
    const double *x; /* log10 */
    const double *logs;
    const size_t *first; /* [n_groups + 1] */
} il_sampling_line;

/* Half-width of the slope of a straight line through the groups' medians that comes from the noise
 * of blocks alone (the scatter of models around the line is not shrunk by blocks): Student's t by
 * Welch and Satterthwaite times √Σ wᵢ² (π/2) sᵢ²/nᵢ, wᵢ = (xᵢ − x̄)/Σ(x − x̄)², where π/2 is what a
 * median's variance is to a mean's. last[i] is how many blocks group i had one block ago and
 * half[i] in the older half of the run. gain[i]: by how much one more block of group i lowers the
 * variance, wᵢ² sᵢ² (1/nᵢ − 1/(nᵢ + 1)). Every group needs two blocks and two x's must differ, else
 * half_width is NaN. */
int il_sampling_slope(const il_sampling_line *line, const size_t *last, const size_t *half,
                      double target, double *gain, il_sampling_view *out, il_error *err);

#endif
