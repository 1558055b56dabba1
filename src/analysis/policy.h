/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * When something else becomes necessary: two entries of a study that differ in one aspect, held
 * against a limit as models grow (docs/policy.md).
 */
#ifndef IL_ANALYSIS_POLICY_H
#define IL_ANALYSIS_POLICY_H

#include "analysis/limits.h"

typedef enum il__remedy {
    IL__REMEDY_NONE, /* alike, or different in more than one aspect */
    IL__REMEDY_QUANTISATION,
    IL__REMEDY_DTYPE,
    IL__REMEDY_COMPILATION,
    IL__REMEDY_BATCHING,
    IL__REMEDY_RUNTIME,
} il__remedy;

const char *il__remedy_name(il__remedy remedy);

/* The aspect in which b departs from a, where it is one and b is the remedy of the two: fewer bytes
 * a weight, compiled, the larger batch. Another runtime is a remedy to either. */
il__remedy il__remedy_of(const il_plan_backend *a, const il_plan_backend *b);
/* Keys that decide about remedies and that the plan does not have, "launch, weights"; "" none. */
void il__missing_aspects(const il_plan_backend *backend, char *out, size_t out_bytes);
/* "F32", "BF16", "Q8_0": the format of the weights, asked for or by the dtype; "" unknown. */
const char *il__weights_format(const il_plan_backend *backend);

/* Natural logarithms of sizes (millions of parameters) and of ratios. */
typedef struct il__policy {
    const char *limit, *scenario, *verdict, *helps, *bound_by;
    double threshold;
    il_interval base, remedy;    /* size at the limit; ±INFINITY out of reach, NaN unknown */
    il_interval ratio;           /* of the two sizes */
    il_interval gain;            /* base's time over the remedy's (batching: tokens/s) at `at` */
    il_interval equal, overhead; /* size where both take the same; up to which overhead rules */
    double at;                   /* the base's limit (batching: the remedy's), or the nearest end */
    double share, mde;           /* of the floor, the base's; smallest effect with a verdict */
    double x_low, x_high;        /* sizes both ran */
    size_t n_models, n_blocks;
    char because[512];
} il__policy;

/* Two series of models side by side: y of the base first, then of the remedy. x ascending. */
typedef struct il__duel {
    il__block_table table; /* 2 · n_models series */
    const double *x;
    double threshold; /* ln */
    double batch;     /* ln of the remedy's batch over the base's; 0 */
} il__duel;

/* base, remedy, ratio, gain, at, equal, helps. Intervals are NaN below IL__LEAST_BLOCKS blocks. */
int il__duel_resample(const il__duel *duel, size_t n_resamples, il_stream *stream, il__policy *out,
                      il_error *err);
/* verdict and because, from the numbers. */
void il__policy_judge(il__remedy remedy, const char *base, const char *with, il__policy *out);

/* One limit of the pair; false in *known when the study does not set it. cells: scratch for
 * il_rows_cell_count of them. */
int il__policy_of(const il__run *run, const il_plan_backend *base, const il_plan_backend *remedy,
                  il__remedy kind, const char *limit, const il_cell **cells, il__policy *out,
                  bool *known, il_error *err);

#endif
