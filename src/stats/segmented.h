/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Segmented regression: a continuous line of one, two or three pieces,
 *   y = β₀ + β₁x + Σⱼ δⱼ·max(x − ψⱼ, 0),
 * with x and y on the scale of the caller (log10 of size and of time for a regime).
 *
 * For given breaks ψ the model is linear. ψ is found by looking at the whole profile of the sum of
 * squares on a grid and then by golden section around its best point, which is what restarts of an
 * iterative method (Muggeo 2003; Wood 2001) can at best reach: the global minimum. Each bootstrap
 * resample is searched the same way.
 *
 * Sources: Muggeo 2003 (segmented regression), Hinkley 1969 (likelihood interval of a break),
 * Davies 1987 (test when a parameter exists only under the alternative), Hurvich & Tsai 1989
 * (AICc), Liu 1988 and Davidson & Flachaire 2008 (wild bootstrap, signs ±1).
 */
#ifndef IL_STATS_SEGMENTED_H
#define IL_STATS_SEGMENTED_H

#include "stats/stream.h"

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    IL_SEGMENTED_MOST_BREAKS = 2,
    IL_SEGMENTED_LEAST_SIDE = 5, /* points a piece needs */
};

typedef struct il_break {
    double at;
    /* 95 %: all ψ with SSE(ψ) ≤ SSE·(1 + F₀.₉₅(1, ν)/ν), the other break refitted, as a hull. An
     * open end reaches the second point from its side: the data do not bound it. */
    double low, high;
    bool open_low, open_high;
} il_break;

typedef struct il_segmented {
    size_t n, n_breaks;
    il_break breaks[IL_SEGMENTED_MOST_BREAKS]; /* ascending */
    double intercept;                          /* of the first piece, at x = 0 */
    /* Of each piece, with a 95 % t interval that carries the uncertainty of the breaks: the error
     * is that of separate lines (Muggeo's linearised covariance). NaN ends without freedom. */
    double slope[IL_SEGMENTED_MOST_BREAKS + 1];
    double slope_low[IL_SEGMENTED_MOST_BREAKS + 1], slope_high[IL_SEGMENTED_MOST_BREAKS + 1];
    double sse, dof; /* dof = n − 2 − 2·n_breaks */
    double aicc;     /* n·ln(SSE/n) with 3 + 2·n_breaks parameters; +∞ when n is too small */
} il_segmented;

/* The best fit with exactly n_breaks ≤ 2 breaks and at least least_side points on each piece.
 * IL_E_TOO_FEW when n < (n_breaks + 1)·least_side or x has too few different values. */
int il_segmented_fit(const double *x, const double *y, size_t n, size_t n_breaks, size_t least_side,
                     il_segmented *out, il_error *err);
double il_segmented_at(const il_segmented *fit, double x);

typedef struct il_davies {
    double p;       /* of "no break", two-sided, an upper bound; 1 at most */
    double best_at; /* where the statistic is largest */
    /* The largest change of slope, up or down, that a break somewhere in the range could have at
     * pointwise 95 %: what "no break was found" leaves possible. */
    double change_not_excluded;
} il_davies;

/* Davies' test of δ = 0 over breaks with at least least_side points on each side. The t statistic
 * of each ψ is first taken to the normal of equal tail, so that the bound holds at small n. */
int il_davies_test(const double *x, const double *y, size_t n, size_t least_side, il_davies *out,
                   il_error *err);

/* Wild bootstrap of the break of a fit with one break: residuals, scaled by √(n/(n − 4)), with
 * random signs. low and high are the 2.5 and 97.5 percentiles. */
int il_segmented_bootstrap(const double *x, const double *y, const il_segmented *fit,
                           size_t least_side, size_t n_resamples, il_stream *stream, double *low,
                           double *high, il_error *err);

#endif
