/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/crossing.h"

#include "stats/dist.h"
#include "stats/order.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

/* The crossings of one curve: how many, and the middle one. Where the ends have the same sign the
 * curves do not change places and the middle one does not count. */
typedef struct passage {
    size_t n;
    double at; /* −∞ or +∞ when outside, by the direction asked for; NaN: no net crossing */
    int direction; /* of the ends */
} passage;

static int sign_of(double v)
{
    return (v > 0) - (v < 0);
}

static double zero_between(const double *x, const double *d, size_t i)
{
    double span = d[i + 1] - d[i];
    return span != 0 ? x[i] - d[i] * (x[i + 1] - x[i]) / span : x[i];
}

/* direction: where a curve without a crossing belongs. A curve that is all on the far side crossed
 * before the first point. */
static passage pass(const double *x, const double *d, size_t n, int direction)
{
    passage out = {0, NAN, 0};
    for (size_t i = 0; i + 1 < n; i++) {
        out.n += sign_of(d[i]) != sign_of(d[i + 1]);
    }
    int begins = sign_of(d[0]);
    int ends = sign_of(d[n - 1]);
    if (begins * ends < 0) {
        out.direction = ends;
        size_t wanted = out.n / 2;
        for (size_t i = 0, seen = 0; i + 1 < n; i++) {
            if (sign_of(d[i]) != sign_of(d[i + 1]) && seen++ == wanted) {
                out.at = zero_between(x, d, i);
            }
        }
    } else if (direction != 0 && (begins != 0 || ends != 0)) {
        int side = begins != 0 ? begins : ends;
        out.at = side == direction ? -INFINITY : INFINITY;
    }
    return out;
}

/* Means of the points' blocks; drawn anew when a stream is given. */
static void mean_curve(const il_curve_gap *gap, const double *means, il_stream *stream, double *out)
{
    for (size_t i = 0; i < gap->n_points; i++) {
        size_t n = gap->first[i + 1] - gap->first[i];
        const double *d = gap->d + gap->first[i];
        double sum = 0;
        for (size_t b = 0; b < n; b++) {
            sum += d[stream ? il_stream_below(stream, (uint32_t)n) : b];
        }
        out[i] = sum / (double)n;
        if (stream && n > 1) {
            out[i] = means[i] + sqrt((double)n / (double)(n - 1)) * (out[i] - means[i]);
        } else if (stream) {
            out[i] = means[i];
        }
    }
}

typedef struct tally {
    double *at; /* of each resample, −∞ and +∞ outside */
    size_t n, n_inside, n_below, n_above;
} tally;

static void count(const il_curve_gap *gap, const double *curve, int direction, tally *t)
{
    passage p = pass(gap->x, curve, gap->n_points, direction);
    size_t below = 0;
    size_t above = 0;
    for (size_t i = 0; i < gap->n_points; i++) {
        below += curve[i] < 0;
        above += curve[i] > 0;
    }
    t->n_below += below == gap->n_points;
    t->n_above += above == gap->n_points;
    bool inside = p.direction != 0 && (direction == 0 || p.direction == direction);
    t->n_inside += inside;
    if (inside || isinf(p.at)) {
        t->at[t->n++] = p.at;
    }
}

/* An order statistic, as extended real: a rank between −∞ and a number is not interpolated. */
static double end_at(const double *sorted, size_t n, double q, bool upper)
{
    double h = q * (double)(n - 1);
    double v = sorted[(size_t)(upper ? ceil(h) : floor(h))];
    return isfinite(v) ? v : NAN;
}

static void set_ends(tally *t, size_t n_blocks, il_crossing *out)
{
    il_sort(t->at, t->n);
    size_t inside_first = 0;
    while (inside_first < t->n && isinf(t->at[inside_first]) && t->at[inside_first] < 0) {
        inside_first++;
    }
    size_t inside = 0;
    while (inside_first + inside < t->n && isfinite(t->at[inside_first + inside])) {
        inside++;
    }
    if (inside > 0) {
        out->estimate = il_quantile_sorted(t->at + inside_first, inside, 0.5);
    }
    if (t->n == 0 || n_blocks < 2) {
        return;
    }
    double two = gsl_cdf_ugaussian_P(-il_t_quantile(0.975, (double)n_blocks - 1));
    double one = gsl_cdf_ugaussian_P(-il_t_quantile(0.95, (double)n_blocks - 1));
    out->low = end_at(t->at, t->n, two, false);
    out->high = end_at(t->at, t->n, 1 - two, true);
    out->one_low = end_at(t->at, t->n, one, false);
    out->one_high = end_at(t->at, t->n, 1 - one, true);
}

int il_crossing_find(const il_curve_gap *gap, size_t n_resamples, il_stream *stream,
                     il_crossing *out, il_error *err)
{
    *out = (il_crossing){.estimate = NAN,
                         .low = NAN,
                         .high = NAN,
                         .one_low = NAN,
                         .one_high = NAN,
                         .n_blocks = SIZE_MAX};
    il_stats_gsl_quiet();
    if (gap->n_points < 2 || n_resamples == 0) {
        return il_fail(err, IL_E_TOO_FEW, "a crossing needs two points, there is %zu",
                       gap->n_points);
    }
    for (size_t i = 0; i < gap->n_points; i++) {
        size_t n = gap->first[i + 1] - gap->first[i];
        if (n < 1 || n > UINT32_MAX) {
            return il_fail(err, IL_E_INVALID, "a point without a block");
        }
        out->n_blocks = n < out->n_blocks ? n : out->n_blocks;
    }
    size_t n_points = gap->n_points;
    double *means = malloc((2 * n_points + n_resamples) * sizeof *means);
    if (!means) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu resamples", n_resamples);
    }
    double *curve = means + n_points;
    tally t = {.at = curve + n_points};
    mean_curve(gap, NULL, NULL, means);
    passage plain = pass(gap->x, means, n_points, 0);
    out->n_crossings = plain.n;
    /* Which way: of the mean curve where it crosses, else of its trend from end to end. */
    out->direction = plain.direction;
    int toward = plain.direction ? plain.direction : sign_of(means[n_points - 1] - means[0]);
    for (size_t b = 0; b < n_resamples; b++) {
        mean_curve(gap, means, stream, curve);
        count(gap, curve, toward, &t);
    }
    out->p_inside = (double)t.n_inside / (double)n_resamples;
    out->p_all_below = (double)t.n_below / (double)n_resamples;
    out->p_all_above = (double)t.n_above / (double)n_resamples;
    set_ends(&t, out->n_blocks, out);
    free(means);
    return IL_OK;
}
