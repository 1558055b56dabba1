/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/policy.h"

#include "stats/crossing.h"

#include <math.h>
#include <stdlib.h>

/* ln y at ln size x, between measured sizes; the nearest end outside. Equal sizes: the first. */
static double curve_at(const il__curve *c, double x)
{
    size_t i = 0;
    while (i < c->n && c->x[i] < x) {
        i++;
    }
    if (i == 0 || i == c->n || c->x[i] == x) {
        return c->y[i == c->n ? i - 1 : i];
    }
    double share = (x - c->x[i - 1]) / (c->x[i] - c->x[i - 1]);
    return c->y[i - 1] + share * (c->y[i] - c->y[i - 1]);
}

/* Sorts; the ends of a 95 % interval. */
static void ends_of(double *values, size_t n, size_t tail, il_interval *out)
{
    il_sort(values, n);
    out->low = values[tail];
    out->high = values[n - 1 - tail];
}

/* Differences of the two curves block by block at every size, and where they change places. */
static int find_equal(const il__duel *duel, size_t n_resamples, il_stream *stream, il__policy *out,
                      il_error *err)
{
    const il__block_table *t = &duel->table;
    size_t n = t->n_series / 2, n_blocks = t->n_blocks, n_points = 0;
    double *x = malloc((n + n * n_blocks + 1) * sizeof *x);
    size_t *first = malloc((n + 2) * sizeof *first);
    int rc = x && first ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a crossing");
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        if (n_points > 0 && x[n_points - 1] == duel->x[i]) {
            continue; /* of models of one size the first */
        }
        double *d = x + n + n_points * n_blocks;
        for (size_t b = 0; b < n_blocks; b++) {
            d[b] = t->logs[i * n_blocks + b] - t->logs[(n + i) * n_blocks + b] + duel->batch;
        }
        x[n_points] = duel->x[i];
        first[n_points] = n_points * n_blocks;
        n_points++;
    }
    out->helps = "unknown";
    if (rc == IL_OK && n_points >= 2) {
        il_crossing found;
        first[n_points] = n_points * n_blocks;
        const il_curve_gap gap = {n_points, x, x + n, first};
        rc = il_crossing_find(&gap, n_resamples, stream, &found, err);
        if (rc == IL_OK && found.p_inside >= 0.95 && found.n_crossings == 1) {
            out->helps = found.direction > 0 ? "above" : "below";
            out->equal = (il_interval){found.estimate, found.low, found.high};
        } else if (rc == IL_OK) {
            out->helps = found.p_all_above >= 0.95   ? "everywhere"
                         : found.p_all_below >= 0.95 ? "nowhere"
                                                     : "unknown";
        }
    }
    free(x);
    free(first);
    return rc;
}

int il__duel_resample(const il__duel *duel, size_t n_resamples, il_stream *stream, il__policy *out,
                      il_error *err)
{
    const il__block_table *t = &duel->table;
    size_t n = t->n_series / 2, m = n_resamples;
    double *scratch = malloc((2 * t->n_blocks + t->n_series + 4 * m + 1) * sizeof *scratch);
    if (!scratch) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu resamples", m);
    }
    double *y = scratch + 2 * t->n_blocks, *bases = y + t->n_series, *remedies = bases + m,
           *ratios = remedies + m, *gains = ratios + m;
    const il__curve base = {duel->x, y, n}, remedy = {duel->x, y + n, n};
    out->x_low = duel->x[0];
    out->x_high = duel->x[n - 1];
    il__block_medians(t, NULL, scratch, y);
    out->base = (il_interval){il__first_crossing(&base, duel->threshold).at, NAN, NAN};
    out->remedy = (il_interval){il__first_crossing(&remedy, duel->threshold).at, NAN, NAN};
    out->ratio = (il_interval){out->remedy.estimate - out->base.estimate, NAN, NAN};
    out->at = fmin(fmax(duel->batch > 0 ? out->remedy.estimate : out->base.estimate, out->x_low),
                   out->x_high);
    out->gain = (il_interval){curve_at(&base, out->at) - curve_at(&remedy, out->at) + duel->batch,
                              NAN, NAN};
    out->n_models = n;
    out->n_blocks = t->n_blocks;
    out->equal = (il_interval){NAN, NAN, NAN};
    out->helps = "unknown";
    int rc = IL_OK;
    if (t->n_blocks >= IL__LEAST_BLOCKS && m >= 40) {
        size_t n_ratios = 0, tail = il__resample_tail(m, t->n_blocks);
        for (size_t i = 0; i < m; i++) {
            il__block_medians(t, stream, scratch, y);
            bases[i] = il__first_crossing(&base, duel->threshold).at;
            remedies[i] = il__first_crossing(&remedy, duel->threshold).at;
            double ratio = remedies[i] - bases[i];
            n_ratios += isnan(ratio) ? 0 : 1;
            ratios[i] = ratio;
            gains[i] = curve_at(&base, out->at) - curve_at(&remedy, out->at) + duel->batch;
        }
        ends_of(bases, m, tail, &out->base);
        ends_of(remedies, m, tail, &out->remedy);
        ends_of(gains, m, tail, &out->gain);
        if (n_ratios == m) { /* else both were out of reach in some */
            ends_of(ratios, m, tail, &out->ratio);
        }
        rc = find_equal(duel, m, stream, out, err);
    }
    free(scratch);
    return rc;
}
