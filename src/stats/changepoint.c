/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/changepoint.h"

#include "stats/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HALF_WINDOW = 3, LEAST_SEGMENT = 2, LONGEST_SERIES = 512 };
static const double mad_to_sd = 1.4826022185056018;

const char *const il_steadiness_names[] = {"too_few", "flat", "warmup", "slowdown",
                                           "no_steady_state"};

double il_mad(double *values, size_t n, double *median)
{
    double middle = il_quantile_select(values, n, 0.5);
    if (median) {
        *median = middle;
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = fabs(values[i] - middle);
    }
    return il_quantile_select(values, n, 0.5);
}

double il_modified_z(double value, double median, double mad, double floor)
{
    double scale = fmax(mad, floor);
    return scale > 0 ? fabs(value - median) / scale : value == median ? 0 : INFINITY;
}

/* Robust standard deviation of one value, and correlation of neighbours, from first differences. */
static void noise_of(const double *v, size_t n, double *work, double *sd, double *rho)
{
    for (size_t i = 0; i + 1 < n; i++) {
        work[i] = v[i + 1] - v[i];
    }
    double middle;
    double spread = mad_to_sd * il_mad(work, n - 1, &middle);
    double limit = 3 * spread;
    double squares = 0;
    double products = 0;
    double before = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        double d = fmin(fmax(v[i + 1] - v[i] - middle, -limit), limit);
        squares += d * d;
        products += d * before;
        before = d;
    }
    double r = squares > 0 ? products / squares * (double)(n - 1) / (double)(n - 2) : -0.5;
    *rho = fmin(fmax(1 + 2 * r, 0), 0.9);
    *sd = spread / sqrt(2 * (1 - *rho));
}

/* Hampel's identifier: out gets the series without its spikes. At the ends the window is cut to an
 * odd number, so that its median is a value of the series and not one between two levels. */
static void without_spikes(const double *v, size_t n, double sd, double *out)
{
    for (size_t i = 0; i < n; i++) {
        double window[2 * HALF_WINDOW + 1];
        size_t from = i < HALF_WINDOW ? 0 : i - HALF_WINDOW;
        size_t to = i + HALF_WINDOW < n ? i + HALF_WINDOW + 1 : n;
        if ((to - from) % 2 == 0 && i - from < to - 1 - i) {
            to--;
        } else if ((to - from) % 2 == 0) {
            from++;
        }
        memcpy(window, v + from, (to - from) * sizeof *window);
        double middle = il_quantile_select(window, to - from, 0.5);
        out[i] = fabs(v[i] - middle) > 3 * sd ? middle : v[i];
    }
}

typedef struct pelt {
    size_t n;
    double *sum, *square; /* prefix sums, [n + 1] */
    double *best;         /* [n + 1] */
    double *total;        /* [n + 1]: of each open begin, without the penalty */
    size_t *last;         /* [n + 1]: begin of the last segment of the best cut of a prefix */
    size_t *open;         /* begins still worth looking at */
} pelt;

static double cost(const pelt *p, size_t from, size_t to)
{
    double count = (double)(to - from);
    double sum = p->sum[to] - p->sum[from];
    double left = p->square[to] - p->square[from] - sum * sum / count;
    return left > 0 ? left : 0;
}

static void run_pelt(pelt *p, const double *v, double penalty)
{
    double mean = il_mean(v, p->n);
    p->sum[0] = p->square[0] = 0;
    for (size_t i = 0; i < p->n; i++) {
        double d = v[i] - mean;
        p->sum[i + 1] = p->sum[i] + d;
        p->square[i + 1] = p->square[i] + d * d;
        p->best[i + 1] = INFINITY;
    }
    p->best[0] = -penalty;
    size_t n_open = 0;
    for (size_t to = LEAST_SEGMENT; to <= p->n; to++) {
        size_t fresh = to - LEAST_SEGMENT;
        if (fresh == 0 || fresh >= LEAST_SEGMENT) {
            p->open[n_open++] = fresh;
        }
        for (size_t k = 0; k < n_open; k++) {
            p->total[k] = p->best[p->open[k]] + cost(p, p->open[k], to);
            if (p->total[k] + penalty < p->best[to]) {
                p->best[to] = p->total[k] + penalty;
                p->last[to] = p->open[k];
            }
        }
        size_t kept = 0;
        for (size_t k = 0; k < n_open; k++) {
            if (p->total[k] <= p->best[to]) {
                p->open[kept++] = p->open[k];
            }
        }
        n_open = kept;
    }
}

static double level_of(const double *values, size_t from, size_t to, double *work)
{
    memcpy(work, values + from, (to - from) * sizeof *work);
    return il_quantile_select(work, to - from, 0.5);
}

/* Joins neighbours whose levels differ by less than least_change, the closest two first. */
static void join(const double *values, size_t n, double least_change, double *work, il_changes *out)
{
    for (;;) {
        size_t closest = out->n;
        double gap = least_change;
        for (size_t i = 0; i <= out->n; i++) {
            size_t from = i == 0 ? 0 : out->at[i - 1];
            out->level[i] = level_of(values, from, i < out->n ? out->at[i] : n, work);
        }
        for (size_t i = 0; i < out->n; i++) {
            double here = fabs(out->level[i + 1] - out->level[i]);
            if (here < gap) {
                gap = here;
                closest = i;
            }
        }
        if (closest == out->n) {
            return;
        }
        memmove(out->at + closest, out->at + closest + 1, (out->n - closest - 1) * sizeof *out->at);
        out->n--;
    }
}

int il_changes_find(const double *values, size_t n, double least_change, il_changes *out,
                    il_error *err)
{
    *out = (il_changes){0};
    if (n < IL_CHANGEPOINT_LEAST || n > 1u << 24) {
        return il_fail(err, IL_E_TOO_FEW, "%zu values are not searched for changes", n);
    }
    double *work = malloc((6 * (n + 1)) * sizeof *work);
    size_t *places = malloc(2 * (n + 1) * sizeof *places);
    out->memory = malloc((n + 1) * (sizeof *out->at + sizeof *out->level));
    int rc = work && places && out->memory
                 ? IL_OK
                 : il_fail(err, IL_E_NOMEM, "no memory for %zu values", n);
    if (rc == IL_OK) {
        out->level = out->memory;
        out->at = (size_t *)(out->level + n + 1);
        double *clean = work + 4 * (n + 1);
        pelt p = {.n = n,
                  .sum = work,
                  .square = work + n + 1,
                  .best = work + 2 * (n + 1),
                  .total = work + 5 * (n + 1),
                  .last = places,
                  .open = places + n + 1};
        double sd;
        double rho;
        noise_of(values, n, work, &sd, &rho);
        without_spikes(values, n, sd, clean);
        double units = 3 * log((double)n) + 8;
        /* A series as flat as its clock's ticks has no scale: what is smaller than least_change
         * does not count anyway. */
        double variance = fmax(sd * sd * (1 + rho) / (1 - rho), least_change * least_change / 64);
        run_pelt(&p, clean, units * variance);
        for (size_t to = n; p.last[to] > 0; to = p.last[to]) {
            out->n++;
        }
        size_t i = out->n;
        for (size_t to = n; p.last[to] > 0; to = p.last[to]) {
            out->at[--i] = p.last[to];
        }
        join(values, n, least_change, work, out);
    }
    free(work);
    free(places);
    if (rc != IL_OK) {
        il_changes_free(out);
    }
    return rc;
}

void il_changes_free(il_changes *changes)
{
    free(changes->memory);
    *changes = (il_changes){0};
}

int il_changes_drop(il_changes *changes, const double *values, size_t n, size_t which,
                    il_error *err)
{
    size_t from = which == 0 ? 0 : changes->at[which - 1];
    size_t to = which + 1 < changes->n ? changes->at[which + 1] : n;
    double *work = malloc((to - from) * sizeof *work);
    if (!work) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu values", to - from);
    }
    changes->level[which] = level_of(values, from, to, work);
    memmove(changes->at + which, changes->at + which + 1,
            (changes->n - which - 1) * sizeof *changes->at);
    memmove(changes->level + which + 1, changes->level + which + 2,
            (changes->n - which - 1) * sizeof *changes->level);
    changes->n--;
    free(work);
    return IL_OK;
}

static void classify(const il_changes *changes, size_t n, double least_change, il_steadiness *kind,
                     size_t *change_at)
{
    *kind = IL_STEADY_FLAT;
    *change_at = 0;
    if (changes->n == 0) {
        return;
    }
    *change_at = changes->at[changes->n - 1];
    double lowest = changes->level[0];
    for (size_t i = 1; i < changes->n; i++) {
        lowest = fmin(lowest, changes->level[i]);
    }
    if (4 * *change_at >= 3 * n) {
        *kind = IL_STEADY_NEVER;
    } else if (changes->level[changes->n] > lowest + least_change / 2) {
        *kind = IL_STEADY_SLOWDOWN;
    } else {
        *kind = IL_STEADY_WARMUP;
    }
}

int il_steadiness_of(const double *logs, size_t n, double least_change, il_steadiness *kind,
                     size_t *change_at, il_error *err)
{
    *kind = IL_STEADY_TOO_FEW;
    *change_at = 0;
    if (n < IL_CHANGEPOINT_LEAST) {
        return IL_OK;
    }
    size_t group = (n + LONGEST_SERIES - 1) / LONGEST_SERIES;
    size_t n_groups = n / group;
    double *medians = malloc((n_groups + group) * sizeof *medians);
    if (!medians) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu calls", n);
    }
    for (size_t g = 0; g < n_groups; g++) {
        size_t from = g * group;
        medians[g] = level_of(logs, from, from + group, medians + n_groups);
    }
    il_changes changes;
    int rc = il_changes_find(medians, n_groups, least_change, &changes, err);
    if (rc == IL_OK) {
        classify(&changes, n_groups, least_change, kind, change_at);
        *change_at *= group;
        il_changes_free(&changes);
    }
    free(medians);
    return rc;
}
