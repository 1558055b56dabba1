/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Series whose values depend on the ones before: how many independent values they are worth, where
 * their warm-up ends, and intervals that hold for them.
 */
#ifndef IL_STATS_AUTOCORR_H
#define IL_STATS_AUTOCORR_H

#include "stats/order.h"

/* Correlation of a series with itself `lag` places on, autocovariances divided by n. NaN when the
 * series is constant or lag ≥ n. Its expectation is too low by about (1 + 4ρ)/n at lag 1. */
double il_autocorrelation(const double *values, size_t n, size_t lag);

/* n/τ with τ = 1 + 2Σρ, summed over the initial positive sequence of pair sums ρ(2k) + ρ(2k + 1),
 * made monotone (Geyer 1992, sections 3.3). At least 1 and at most n: values that alternate are not
 * credited. n when n < 4 or the series is constant. A long series says something here; at ten
 * values the estimate is far too high, so take il_mean_interval_series for those. */
double il_effective_size(const double *values, size_t n);

/* MSER-5 (White 1997; White, Cobb & Spratt 2000): the number of leading values to drop as warm-up,
 * a multiple of 5, that minimises Σ(batch − mean)²/(batches left)² over means of five, looked for
 * in the first half. *steady (may be NULL) is false when the least lies at the end of that half, so
 * that no end of the warm-up was seen; or when there are fewer than 4 batches (n < 20), which
 * return 0. */
size_t il_mser5(const double *values, size_t n, int *steady);

/* The lag-1 correlation of several short series of one machine together: autocovariances around
 * each series' own mean are pooled, and the bias of a mean taken from n values is undone,
 * ρ = (r + 1/n)/(1 − 4/n) (Marriott & Pope 1954), n the mean length; clamped to [−0.99, 0.99].
 * Series s is values[first[s]] … values[first[s + 1] − 1]; ones shorter than 6 are left out. se
 * (may be NULL) is that of independent values, 1/√(Σ(n − 1)), spread by the same factor. NaN when
 * no series is usable. */
double il_pooled_lag1(const double *values, const size_t *first, size_t n_series, double *se);

/* The same series by series, where they do not stand in one array; starts as {0}. */
typedef struct il_lag1_pool {
    double at_one, at_zero;
    size_t n_used, total;
} il_lag1_pool;
void il_lag1_add(il_lag1_pool *pool, const double *values, size_t n);
double il_lag1_of(const il_lag1_pool *pool, double *se);
/* `stay` for il_order_ranks_series: 1/2 + asin(ρ)/π where ρ is clearly above 0, beyond two standard
 * errors and beyond IL_LAG1_LEAST, at most 0.999; else 1/2. The series of a run share the machine,
 * so that the standard error is too small and some runs without dependence get the wider ranks;
 * below the least the exact interval still covers 95 % or so. */
#define IL_LAG1_LEAST 0.1
double il_lag1_stay(const il_lag1_pool *pool);

/* Interval of the mean of a series whose values may depend on each other: the variance of the mean
 * from the first ν cosine transforms of the series, t on ν degrees of freedom, ν = 0.4·n^(2/3)
 * rounded, at least 1 (equal-weighted cosine test: Müller 2007; Lazarus, Lewis, Stock & Watson
 * 2018), spread by √(n/(n − 1)) because the slowest cosine of a short series sees less of a lasting
 * state than its mean does. What it covers is measured in docs/statistics.md. It pays in width:
 * twice the t interval at n = 10, 1.6 times at 20. n ≥ 3, else IL_E_TOO_FEW. values are in order of
 * time. */
int il_mean_interval_series(const double *values, size_t n, double confidence, il_interval *out,
                            il_error *err);
/* The same on ln v, taken back. Every value > 0 and finite, else IL_E_INVALID. */
int il_log_mean_interval_series(const double *values, size_t n, double confidence, il_interval *out,
                                il_error *err);

/* Interval of the mean over a run that may drift in a straight line: scatter about the least
 * squares line through the series, t on n − 2 degrees of freedom. Exact for independent normal
 * noise with any linear drift or none; the t interval takes the drift for noise and is too wide. n
 * ≥ 3, else IL_E_TOO_FEW. values are in order of time, evenly spaced. */
int il_mean_interval_trend(const double *values, size_t n, double confidence, il_interval *out,
                           il_error *err);

/* Slope of a straight line over time, any times in ascending order, when values may depend on each
 * other: least squares, its variance from the first ν cosines that are not the line itself
 * (orthogonal to it, as above), spread by √(n/(n − 3)), t on ν degrees of freedom. n ≥ 5 and
 * different times, else IL_E_TOO_FEW. */
int il_trend_interval_series(const double *time, const double *values, size_t n, double confidence,
                             il_interval *out, il_error *err);

/* Ranks for the median when the series stays on its side of the median from one value to the next
 * with probability `stay` (0.5: independent, then as il_order_ranks; a normal AR(1) has
 * 1/2 + asin(ρ)/π). The count below the median then follows that of a two-state Markov chain, which
 * is summed exactly. Symmetric ranks l, n + 1 − l with the tightest coverage ≥ confidence.
 * IL_E_TOO_FEW when not even (1, n) covers; *n_needed (may be NULL) is the least n that does.
 * IL_E_INVALID: stay outside [0.5, 0.999], confidence outside (0, 1), n > 4096. */
int il_order_ranks_series(size_t n, double stay, double confidence, size_t *low, size_t *high,
                          size_t *n_needed);

#endif
