/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bootstrap intervals of any statistic. Which to take: with fewer than 15 blocks none of these, but
 * the order-statistic interval of a median or t on log block means (order.h), because BCa covers
 * far too little there (Owen 2025, arXiv 2508.10083); from 15 on BCa; for a series whose values
 * depend on each other the block bootstrap. IL_E_TOO_FEW is returned below these bounds and no
 * interval given.
 */
#ifndef IL_STATS_BCA_H
#define IL_STATS_BCA_H

#include "stats/order.h"
#include "stats/stream.h"

enum { IL_BCA_LEAST = 15 };

/* The statistic of observations pick[0 … n − 1], indices into what the caller's context holds, with
 * repeats. NaN: it does not exist for this resample, which is then skipped and counted. */
typedef double (*il_pick_statistic)(void *context, const size_t *pick, size_t n);

/* Bias-corrected and accelerated interval (Efron 1987; Efron & Tibshirani 1993, eq. 14.9 to 14.15):
 * ends at Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))), z₀ from the share of resamples below the estimate (ties
 * count half), a from the jackknife; in place of ±z(0.975) stands ±t(n − 1)·√(n/(n − 1)), without
 * which it covers 92 % at n = 20 (expanded percentiles, Hesterberg 2015, section 3.2). n <
 * IL_BCA_LEAST: IL_E_TOO_FEW, the estimate set. A statistic that is NaN for the whole sample, or a
 * resampling in which all are on one side of the estimate: IL_E_INVALID. All resamples equal to the
 * estimate: an interval of no width. n_used may be NULL.
 */
int il_bca_interval(size_t n, il_pick_statistic statistic, void *context, double confidence,
                    size_t n_resamples, il_stream *stream, il_interval *out, size_t *n_used,
                    il_error *err);

typedef enum il_block_kind {
    IL_BLOCK_MOVING,     /* Künsch 1989: blocks of one length that start anywhere */
    IL_BLOCK_STATIONARY, /* Politis & Romano 1994: geometric lengths, on a circle */
} il_block_kind;

/* The length that Politis & White 2004 (corrected by Patton, Politis & White 2009) choose for the
 * mean of this series: at least 1, at most ⌈min(3√n, n/3)⌉. NaN when n < 4 or memory is out; 1 when
 * values is constant. */
double il_block_length(const double *values, size_t n, il_block_kind kind);

/* Interval of a statistic of a series. Resamples keep the order inside blocks of block_length (the
 * mean length when stationary; ≥ 1). Ends are the percentiles at Φ(±t(m − 1)·√(m/(m − 1))) with
 * m = n/b blocks, expanded as those of BCa. n < IL_BCA_LEAST·block_length is IL_E_TOO_FEW,
 * the estimate set: fewer than 15 blocks. Else as il_bca_interval. */
int il_block_interval(size_t n, il_pick_statistic statistic, void *context, il_block_kind kind,
                      double block_length, double confidence, size_t n_resamples, il_stream *stream,
                      il_interval *out, size_t *n_used, il_error *err);

#endif
