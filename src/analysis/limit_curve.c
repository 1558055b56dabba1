/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/limit_curve.h"

#include "stats/ols.h"

#include <math.h>
#include <stdlib.h>

#define OCTAVE 0.69314718055994531

/* Mean over the models of the size that begins at *from, which moves on to the next size. */
static double mean_at(const il__curve *c, size_t *from)
{
    double sum = 0;
    size_t first = *from;
    for (; *from < c->n && c->x[*from] == c->x[first]; (*from)++) {
        sum += c->y[*from];
    }
    return sum / (double)(*from - first);
}

/* From a measured end: the crossing when it lies within an octave, else limit. */
static double beyond(const il__curve *c, double x, double y, double threshold, double limit)
{
    il_line line;
    if (il_line_fit(c->x, c->y, c->n, &line) != IL_OK || !(line.slope > 0)) {
        return limit;
    }
    double at = x + (threshold - y) / line.slope;
    return fabs(at - x) <= OCTAVE ? at : limit;
}

il__crossing il__first_crossing(const il__curve *c, double threshold)
{
    size_t i = 0;
    double x = c->x[0];
    double y = mean_at(c, &i);
    il__crossing out = {INFINITY, true, false};
    bool crossed = y > threshold;
    if (crossed) {
        out.at = beyond(c, x, y, threshold, -INFINITY);
    }
    while (i < c->n) {
        double next_x = c->x[i];
        double next_y = mean_at(c, &i);
        if (!crossed && next_y > threshold) {
            crossed = true;
            out.at = x + (next_x - x) * (threshold - y) / (next_y - y);
            out.extrapolated = false;
        } else if (crossed && next_y <= threshold) {
            out.back = true;
        }
        x = next_x;
        y = next_y;
    }
    if (!crossed) {
        out.at = beyond(c, x, y, threshold, INFINITY);
    }
    return out;
}

int il__crossing_interval(const il__block_table *t, const double *x, double threshold,
                          size_t n_resamples, il_stream *stream, il_interval *out, il_error *err)
{
    *out = (il_interval){NAN, NAN, NAN};
    if (t->n_blocks < IL__LEAST_BLOCKS || n_resamples < 40) {
        return il_fail(err, IL_E_TOO_FEW, "%zu blocks are too few to resample, %d would do",
                       t->n_blocks, IL__LEAST_BLOCKS);
    }
    double *results = malloc(n_resamples * sizeof *results);
    double *scratch = malloc((2 * t->n_blocks + t->n_series) * sizeof *scratch);
    if (!results || !scratch) {
        free(results);
        free(scratch);
        return il_fail(err, IL_E_NOMEM, "no memory for %zu resamples", n_resamples);
    }
    double *y = scratch + 2 * t->n_blocks;
    const il__curve curve = {x, y, t->n_series};
    il__block_medians(t, NULL, scratch, y);
    out->estimate = il__first_crossing(&curve, threshold).at;
    for (size_t i = 0; i < n_resamples; i++) {
        il__block_medians(t, stream, scratch, y);
        results[i] = il__first_crossing(&curve, threshold).at;
    }
    il_sort(results, n_resamples);
    size_t tail = il__resample_tail(n_resamples, t->n_blocks);
    out->low = results[tail];
    out->high = results[n_resamples - 1 - tail];
    free(results);
    free(scratch);
    return IL_OK;
}
