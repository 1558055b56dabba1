/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/segmented.h"

#include "stats/dist.h"
#include "stats/order.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRID_ONE = 256, GRID_TWO = 72, GOLDEN_STEPS = 60 };

/* The points sorted by x, and y without its straight line. A hinge is max(x − ψ, 0) without its
 * own straight line, at length 1: the SSE of a break is then rest − (hinge·residual)². */
typedef struct plane {
    size_t n;
    double *x, *y;
    double *unit;                             /* x centred, of length 1 */
    double *residual;                         /* y off the constant and unit */
    double x_mean, y_mean, x_length, y_along; /* y_along = unit·y */
    double rest;                              /* residual·residual */
    size_t n_grid;
    double *psi;     /* [n_grid], ascending */
    double *hinge;   /* [n_grid][n]; all 0 where the hinge is a straight line on the points */
    double *length;  /* [n_grid], before it was made 1 */
    double *scratch; /* [2n] */
    void *memory;
} plane;

static void plane_free(plane *p)
{
    free(p->memory);
    p->memory = NULL;
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* Writes the hinge of ψ at length 1 and returns its length before; 0 when nothing is left. */
static double make_hinge(const plane *p, double psi, double *out)
{
    double mean = 0;
    for (size_t i = 0; i < p->n; i++) {
        out[i] = fmax(p->x[i] - psi, 0);
        mean += out[i] / (double)p->n;
    }
    for (size_t i = 0; i < p->n; i++) {
        out[i] -= mean;
    }
    double along = dot(p->unit, out, p->n);
    for (size_t i = 0; i < p->n; i++) {
        out[i] -= along * p->unit[i];
    }
    double length = sqrt(dot(out, out, p->n));
    if (!(length > 1e-10 * p->x_length)) {
        memset(out, 0, p->n * sizeof *out);
        return 0;
    }
    for (size_t i = 0; i < p->n; i++) {
        out[i] /= length;
    }
    return length;
}

static void set_response(plane *p, const double *y)
{
    if (p->y != y) {
        memcpy(p->y, y, p->n * sizeof *y);
    }
    p->y_mean = 0;
    for (size_t i = 0; i < p->n; i++) {
        p->y_mean += p->y[i] / (double)p->n;
    }
    p->y_along = dot(p->unit, p->y, p->n);
    for (size_t i = 0; i < p->n; i++) {
        p->residual[i] = p->y[i] - p->y_mean - p->y_along * p->unit[i];
    }
    p->rest = dot(p->residual, p->residual, p->n);
}

typedef struct point {
    double x, y;
} point;

static int by_x(const void *pa, const void *pb)
{
    const point *a = pa;
    const point *b = pb;
    int order = (a->x > b->x) - (a->x < b->x);
    return order ? order : (a->y > b->y) - (a->y < b->y);
}

static int sort_points(plane *p, const double *x, const double *y, il_error *err)
{
    point *points = malloc((p->n + 1) * sizeof *points);
    if (!points) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu points", p->n);
    }
    for (size_t i = 0; i < p->n; i++) {
        points[i] = (point){x[i], y[i]};
    }
    qsort(points, p->n, sizeof *points, by_x);
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = points[i].x;
        p->y[i] = points[i].y;
        p->x_mean += points[i].x / (double)p->n;
    }
    free(points);
    return IL_OK;
}

/* n_grid places for a break from the second point to the second last. */
static int plane_make(plane *p, const double *x, const double *y, size_t n, size_t n_grid,
                      il_error *err)
{
    *p = (plane){.n = n, .n_grid = n_grid};
    if (n < 4 || n > 1000000) {
        return il_fail(err, IL_E_TOO_FEW, "%zu points do not make a segmented line", n);
    }
    p->memory = malloc((6 * n + n_grid * (n + 2)) * sizeof(double));
    if (!p->memory) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu points", n);
    }
    p->x = p->memory;
    p->y = p->x + n;
    p->unit = p->y + n;
    p->residual = p->unit + n;
    p->scratch = p->residual + n;
    p->psi = p->scratch + 2 * n;
    p->length = p->psi + n_grid;
    p->hinge = p->length + n_grid;
    int rc = sort_points(p, x, y, err);
    for (size_t i = 0; i < n; i++) {
        p->unit[i] = p->x[i] - p->x_mean;
    }
    p->x_length = sqrt(dot(p->unit, p->unit, n));
    if (rc == IL_OK && !(p->x[n - 2] > p->x[1])) {
        rc = il_fail(err, IL_E_TOO_FEW, "too few different x for a segmented line");
    }
    if (rc != IL_OK) {
        plane_free(p);
        return rc;
    }
    for (size_t i = 0; i < n; i++) {
        p->unit[i] /= p->x_length;
    }
    set_response(p, p->y);
    double step = (p->x[n - 2] - p->x[1]) / (double)(n_grid - 1);
    for (size_t g = 0; g < n_grid; g++) {
        p->psi[g] = p->x[1] + (double)g * step;
        p->length[g] = make_hinge(p, p->psi[g], p->hinge + g * n);
    }
    return IL_OK;
}

/* Points at or below ψ; those at or above it. */
static size_t count_below(const plane *p, double psi)
{
    size_t n = 0;
    while (n < p->n && p->x[n] <= psi) {
        n++;
    }
    return n;
}

static size_t count_above(const plane *p, double psi)
{
    size_t n = 0;
    while (n < p->n && p->x[p->n - 1 - n] >= psi) {
        n++;
    }
    return n;
}

static bool admissible(const plane *p, double psi, size_t least_side)
{
    return count_below(p, psi) >= least_side && count_above(p, psi) >= least_side;
}

static bool admissible_pair(const plane *p, double first, double second, size_t least_side)
{
    size_t below = count_below(p, first);
    size_t above = count_above(p, second);
    size_t between = 0;
    for (size_t i = 0; i < p->n; i++) {
        between += p->x[i] >= first && p->x[i] <= second;
    }
    return second > first && below >= least_side && above >= least_side && between >= least_side;
}

static double sse_of(const plane *p, const double *h)
{
    double along = dot(h, p->residual, p->n);
    return fmax(p->rest - along * along, 0);
}

/* What two hinges of length 1 take from the residual; d gets their coefficients. */
static double sse_of_pair(const plane *p, const double *h1, const double *h2, double d[2])
{
    double a = dot(h1, p->residual, p->n);
    double b = dot(h2, p->residual, p->n);
    double c = dot(h1, h2, p->n);
    double det = 1 - c * c;
    if (!(det > 1e-10)) {
        d[0] = d[1] = 0;
        return INFINITY;
    }
    d[0] = (a - b * c) / det;
    d[1] = (b - a * c) / det;
    return fmax(p->rest - d[0] * a - d[1] * b, 0);
}

/* --- the best break --------------------------------------------------------------------------- */

static double sse_at(const plane *p, double psi)
{
    (void)make_hinge(p, psi, p->scratch);
    return sse_of(p, p->scratch);
}

static double sse_at_pair(const plane *p, const double psi[2])
{
    double d[2];
    (void)make_hinge(p, psi[0], p->scratch);
    (void)make_hinge(p, psi[1], p->scratch + p->n);
    return sse_of_pair(p, p->scratch, p->scratch + p->n, d);
}

/* Golden section (Kiefer 1953) over one of the breaks, the others held. */
static double golden(const plane *p, double *psi, size_t n_breaks, size_t which, double low,
                     double high)
{
    const double ratio = 0.61803398874989485;
    double a = low;
    double b = high;
    double best = psi[which];
    double best_sse = n_breaks == 1 ? sse_at(p, best) : sse_at_pair(p, psi);
    for (int i = 0; i < GOLDEN_STEPS; i++) {
        double at[2] = {b - ratio * (b - a), a + ratio * (b - a)};
        double sse[2];
        for (int k = 0; k < 2; k++) {
            psi[which] = at[k];
            sse[k] = n_breaks == 1 ? sse_at(p, at[k]) : sse_at_pair(p, psi);
            if (sse[k] < best_sse) {
                best_sse = sse[k];
                best = at[k];
            }
        }
        if (sse[0] < sse[1]) {
            b = at[1];
        } else {
            a = at[0];
        }
    }
    psi[which] = best;
    return best_sse;
}

/* The best place on the grid; n_grid when none is admissible. */
static size_t best_on_grid(const plane *p, size_t first, size_t last, double *best_sse)
{
    size_t best = p->n_grid;
    *best_sse = INFINITY;
    for (size_t g = first; g < last; g++) {
        double sse = p->length[g] > 0 ? sse_of(p, p->hinge + g * p->n) : INFINITY;
        if (sse < *best_sse) {
            *best_sse = sse;
            best = g;
        }
    }
    return best;
}

/* The admissible places are neighbours: [first, last). */
static void admissible_range(const plane *p, size_t least_side, size_t *first, size_t *last)
{
    *first = p->n_grid;
    *last = 0;
    for (size_t g = 0; g < p->n_grid; g++) {
        if (admissible(p, p->psi[g], least_side)) {
            *first = g < *first ? g : *first;
            *last = g + 1;
        }
    }
}

static bool find_one(const plane *p, size_t least_side, double *psi, double *sse)
{
    size_t first;
    size_t last;
    admissible_range(p, least_side, &first, &last);
    size_t best = best_on_grid(p, first, last, sse);
    if (best == p->n_grid) {
        return false;
    }
    psi[0] = p->psi[best];
    *sse = golden(p, psi, 1, 0, p->psi[best > first ? best - 1 : best],
                  p->psi[best + 1 < last ? best + 1 : best]);
    return true;
}

static bool find_two(const plane *p, size_t least_side, double *psi, double *sse)
{
    *sse = INFINITY;
    for (size_t g = 0; g < p->n_grid; g++) {
        for (size_t k = g + 1; k < p->n_grid; k++) {
            double d[2];
            if (p->length[g] > 0 && p->length[k] > 0 &&
                admissible_pair(p, p->psi[g], p->psi[k], least_side)) {
                double here = sse_of_pair(p, p->hinge + g * p->n, p->hinge + k * p->n, d);
                if (here < *sse) {
                    *sse = here;
                    psi[0] = p->psi[g];
                    psi[1] = p->psi[k];
                }
            }
        }
    }
    if (!isfinite(*sse)) {
        return false;
    }
    double step = p->psi[1] - p->psi[0];
    for (int round = 0; round < 6; round++) {
        for (size_t which = 0; which < 2; which++) {
            double held = psi[which];
            double better = golden(p, psi, 2, which, held - step, held + step);
            if (!admissible_pair(p, psi[0], psi[1], least_side)) {
                psi[which] = held;
            } else {
                *sse = better;
            }
        }
    }
    return true;
}

/* --- intervals -------------------------------------------------------------------------------- */

/* SSE with the break at a place of the grid, the other break (if any) refitted over the grid. */
static double profile_at(const plane *p, size_t g, size_t n_breaks, size_t which)
{
    if (!(p->length[g] > 0)) {
        return p->rest;
    }
    if (n_breaks == 1) {
        return sse_of(p, p->hinge + g * p->n);
    }
    double best = INFINITY;
    size_t from = which == 0 ? g + 1 : 0;
    size_t to = which == 0 ? p->n_grid : g;
    for (size_t k = from; k < to; k++) {
        double d[2];
        if (p->length[k] > 0) {
            best = fmin(best, sse_of_pair(p, p->hinge + g * p->n, p->hinge + k * p->n, d));
        }
    }
    return best;
}

/* Where a straight line between two neighbours of the profile meets the limit. */
static double meet(double outside, double sse_outside, double inside, double sse_inside,
                   double limit)
{
    double span = sse_outside - sse_inside;
    double share = span > 0 && isfinite(span) ? (limit - sse_inside) / span : 0;
    return inside + fmin(fmax(share, 0), 1) * (outside - inside);
}

static int profile_interval(const plane *p, const il_segmented *fit, size_t which, il_break *out,
                            il_error *err)
{
    double *sse = malloc(p->n_grid * sizeof *sse);
    if (!sse) {
        return il_fail(err, IL_E_NOMEM, "no memory for a profile");
    }
    double t = il_t_quantile(0.975, fit->dof);
    double limit = fit->sse * (1 + t * t / fit->dof);
    size_t first = p->n_grid;
    size_t last = 0;
    for (size_t g = 0; g < p->n_grid; g++) {
        sse[g] = profile_at(p, g, fit->n_breaks, which);
        if (sse[g] <= limit) {
            first = g < first ? g : first;
            last = g;
        }
    }
    if (first == p->n_grid) { /* the interval lies between two places */
        out->low = out->high = out->at;
    } else {
        out->open_low = first == 0;
        out->open_high = last == p->n_grid - 1;
        out->low = first == 0
                       ? p->psi[0]
                       : meet(p->psi[first - 1], sse[first - 1], p->psi[first], sse[first], limit);
        out->high = out->open_high
                        ? p->psi[last]
                        : meet(p->psi[last + 1], sse[last + 1], p->psi[last], sse[last], limit);
    }
    out->low = fmin(out->low, out->at);
    out->high = fmax(out->high, out->at);
    free(sse);
    return IL_OK;
}

/* Slopes and intercept from the changes δ at the breaks. */
static void fill_slopes(const plane *p, const double *delta, il_segmented *out)
{
    double sxy = 0;
    double mean = 0;
    for (size_t i = 0; i < p->n; i++) {
        double rest = p->y[i];
        for (size_t j = 0; j < out->n_breaks; j++) {
            rest -= delta[j] * fmax(p->x[i] - out->breaks[j].at, 0);
        }
        sxy += rest * p->unit[i];
        mean += rest / (double)p->n;
    }
    out->slope[0] = sxy / p->x_length;
    out->intercept = mean - out->slope[0] * p->x_mean;
    double t = out->dof > 0 ? il_t_quantile(0.975, out->dof) : NAN;
    for (size_t piece = 0; piece <= out->n_breaks; piece++) {
        if (piece > 0) {
            out->slope[piece] = out->slope[piece - 1] + delta[piece - 1];
        }
        double low = piece > 0 ? out->breaks[piece - 1].at : -INFINITY;
        double high = piece < out->n_breaks ? out->breaks[piece].at : INFINITY;
        double sum = 0;
        double squares = 0;
        double count = 0;
        for (size_t i = 0; i < p->n; i++) {
            if (p->x[i] > low && p->x[i] <= high) {
                sum += p->x[i] - p->x_mean;
                squares += (p->x[i] - p->x_mean) * (p->x[i] - p->x_mean);
                count++;
            }
        }
        double spread = squares - sum * sum / count;
        double half = t * sqrt(out->sse / out->dof / spread);
        out->slope_low[piece] = out->slope[piece] - half;
        out->slope_high[piece] = out->slope[piece] + half;
    }
}

static double aicc_of(double sse, size_t n, size_t n_breaks)
{
    double k = 3 + 2 * (double)n_breaks;
    double left = (double)n - k - 1;
    /* A perfect fit has no finite likelihood; the floor keeps differences finite. */
    double mean = fmax(sse / (double)n, 1e-30);
    return left > 0 ? (double)n * log(mean) + 2 * k + 2 * k * (k + 1) / left : INFINITY;
}

static int fit_breaks(const plane *p, size_t n_breaks, size_t least_side, il_segmented *out,
                      il_error *err)
{
    double psi[2] = {0, 0};
    double delta[2] = {0, 0};
    if (n_breaks == 0) {
        out->sse = p->rest;
    } else if (!(n_breaks == 1 ? find_one(p, least_side, psi, &out->sse)
                               : find_two(p, least_side, psi, &out->sse))) {
        return il_fail(err, IL_E_TOO_FEW, "no break leaves %zu points on each side", least_side);
    }
    if (n_breaks == 1) {
        double length = make_hinge(p, psi[0], p->scratch);
        delta[0] = length > 0 ? dot(p->scratch, p->residual, p->n) / length : 0;
    } else if (n_breaks == 2) {
        double first = make_hinge(p, psi[0], p->scratch);
        double second = make_hinge(p, psi[1], p->scratch + p->n);
        (void)sse_of_pair(p, p->scratch, p->scratch + p->n, delta);
        delta[0] /= first;
        delta[1] /= second;
    }
    out->dof = (double)p->n - 2 - 2 * (double)n_breaks;
    out->aicc = aicc_of(out->sse, p->n, n_breaks);
    int rc = IL_OK;
    for (size_t j = 0; j < n_breaks && rc == IL_OK; j++) {
        out->breaks[j].at = psi[j];
        if (out->dof > 0) {
            rc = profile_interval(p, out, j, &out->breaks[j], err);
        } else {
            out->breaks[j] = (il_break){psi[j], p->psi[0], p->psi[p->n_grid - 1], true, true};
        }
    }
    fill_slopes(p, delta, out);
    return rc;
}

int il_segmented_fit(const double *x, const double *y, size_t n, size_t n_breaks, size_t least_side,
                     il_segmented *out, il_error *err)
{
    *out = (il_segmented){.n = n, .n_breaks = n_breaks};
    if (n_breaks > IL_SEGMENTED_MOST_BREAKS || least_side < 2) {
        return il_fail(err, IL_E_INVALID, "0, 1 or 2 breaks, and 2 points a side or more");
    }
    if (n < (n_breaks + 1) * least_side) {
        return il_fail(err, IL_E_TOO_FEW, "%zu breaks need %zu points, there are %zu", n_breaks,
                       (n_breaks + 1) * least_side, n);
    }
    plane p;
    int rc = plane_make(&p, x, y, n, n_breaks == 2 ? GRID_TWO : GRID_ONE, err);
    if (rc == IL_OK) {
        rc = fit_breaks(&p, n_breaks, least_side, out, err);
        plane_free(&p);
    }
    return rc;
}

double il_segmented_at(const il_segmented *fit, double x)
{
    double y = fit->intercept + fit->slope[0] * x;
    for (size_t j = 0; j < fit->n_breaks; j++) {
        y += (fit->slope[j + 1] - fit->slope[j]) * fmax(x - fit->breaks[j].at, 0);
    }
    return y;
}

/* --- is there a break at all ------------------------------------------------------------------ */

/* The normal deviate whose tail is as heavy as that of t with dof degrees. */
static double to_normal(double t, double dof)
{
    double tail = gsl_cdf_tdist_Q(fabs(t), dof);
    /* Beyond 1e-300 nothing changes and the quantile has no finite value. */
    double z = gsl_cdf_ugaussian_Qinv(fmax(tail, 1e-300));
    return t < 0 ? -z : z;
}

int il_davies_test(const double *x, const double *y, size_t n, size_t least_side, il_davies *out,
                   il_error *err)
{
    *out = (il_davies){1, NAN, INFINITY};
    plane p;
    il_stats_gsl_quiet();
    if (n < 4 || n < 2 * least_side) {
        return il_fail(err, IL_E_TOO_FEW, "a break needs %zu points, there are %zu", 2 * least_side,
                       n);
    }
    int rc = plane_make(&p, x, y, n, GRID_ONE, err);
    if (rc != IL_OK) {
        return rc;
    }
    double dof = (double)n - 3;
    double t95 = il_t_quantile(0.975, dof);
    double most = -1;
    double variation = 0;
    double before = NAN;
    out->change_not_excluded = 0;
    for (size_t g = 0; g < p.n_grid; g++) {
        if (!(p.length[g] > 0) || !admissible(&p, p.psi[g], least_side)) {
            continue;
        }
        double along = dot(p.hinge + g * n, p.residual, n);
        double error = sqrt(fmax(p.rest - along * along, 0) / dof);
        double z = error > 0 ? to_normal(along / error, dof) : along > 0 ? 37.0 : -37.0;
        if (!(p.rest > 0)) {
            z = 0; /* a perfect straight line */
        }
        variation += isnan(before) ? 0 : fabs(z - before);
        before = z;
        if (fabs(z) > most) {
            most = fabs(z);
            out->best_at = p.psi[g];
        }
        out->change_not_excluded =
            fmax(out->change_not_excluded, (fabs(along) + t95 * error) / p.length[g]);
    }
    plane_free(&p);
    if (most < 0) {
        return il_fail(err, IL_E_TOO_FEW, "no break leaves %zu points on each side", least_side);
    }
    const double eight_pi = 25.132741228718345;
    out->p = fmin(
        1, 2 * (gsl_cdf_ugaussian_Q(most) + variation * exp(-most * most / 2) / sqrt(eight_pi)));
    return IL_OK;
}

int il_segmented_bootstrap(const double *x, const double *y, const il_segmented *fit,
                           size_t least_side, size_t n_resamples, il_stream *stream, double *low,
                           double *high, il_error *err)
{
    *low = *high = NAN;
    size_t n = fit->n;
    if (fit->n_breaks != 1 || n < 5 || n_resamples == 0) {
        return il_fail(err, IL_E_INVALID, "the bootstrap is of one break and five points or more");
    }
    plane p;
    int rc = plane_make(&p, x, y, n, GRID_ONE, err);
    if (rc != IL_OK) {
        return rc;
    }
    double *work = malloc((3 * n + n_resamples) * sizeof *work);
    if (!work) {
        plane_free(&p);
        return il_fail(err, IL_E_NOMEM, "no memory for %zu resamples", n_resamples);
    }
    double *fitted = work;
    double *error = work + n;
    double *drawn = work + 2 * n;
    double *places = work + 3 * n;
    double scale = sqrt((double)n / ((double)n - 4));
    for (size_t i = 0; i < n; i++) {
        fitted[i] = il_segmented_at(fit, p.x[i]);
        error[i] = (p.y[i] - fitted[i]) * scale;
    }
    size_t first;
    size_t last;
    size_t used = 0;
    admissible_range(&p, least_side, &first, &last);
    for (size_t b = 0; b < n_resamples; b++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < n; i++) {
            bits = i % 64 == 0 ? il_stream_u64(stream) : bits >> 1;
            drawn[i] = fitted[i] + (bits & 1 ? error[i] : -error[i]);
        }
        set_response(&p, drawn);
        double sse;
        size_t best = best_on_grid(&p, first, last, &sse);
        if (best < p.n_grid) {
            places[used++] = p.psi[best];
        }
    }
    if (used > 0) {
        il_sort(places, used);
        *low = il_quantile_sorted(places, used, 0.025);
        *high = il_quantile_sorted(places, used, 0.975);
    }
    free(work);
    plane_free(&p);
    return IL_OK;
}
