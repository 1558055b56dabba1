/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * steps.csv: the time of a decode step against the tokens in the cache, per backend, model and
 * batch size; where it changes its level, and single steps that took much longer (docs/regimes.md).
 */
#include "analysis/step_series.h"

#include "base/buf.h"
#include "stats/order.h"
#include "stats/rankline.h"

#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"backend",      "model",      "batch_size",
                                      "n_steps",      "a_ms",       "b_us_per_context_token",
                                      "ci_low",       "ci_high",    "change_points",
                                      "a_ci_low",     "a_ci_high",  "ci_method",
                                      "n_replicates", "n_calls",    "context_low",
                                      "context_high", "n_outliers", "outliers",
                                      "note"};

enum {
    MOST_POINTS = 128,
    LONGEST_SERIES = 512,
    LISTED = 5,
    MOST_SEGMENTS = 1000,
    LEAST_REPLICATES = 5
};
/* Smaller changes of level are nobody's concern; ln. */
#define LEAST_CHANGE 0.01
/* Steps are not told apart more finely than this share of their typical time. */
#define LEAST_SCALE 0.001

typedef struct line {
    il_interval a, b; /* ms; ms per token */
    size_t n;         /* replicates that have every cell */
} line;

static size_t segment_of(const il__step_series *s, size_t step)
{
    size_t segment = 0;
    while (segment < s->changes.n && step / s->bin >= s->changes.at[segment]) {
        segment++;
    }
    return segment;
}

static bool has_changes(const il__step_group *g)
{
    for (size_t s = 0; s < g->n_series; s++) {
        if (g->series[s].changes.n > 0) {
            return true;
        }
    }
    return false;
}

typedef struct points {
    double x[IL_RANKLINE_MOST], y[IL_RANKLINE_MOST], scratch[IL_RANKLINE_MOST];
    int level[IL_RANKLINE_MOST];
    size_t n;
} points;

/* A series as at most n_bins points: medians of neighbouring steps. Bins across a change of level
 * are left out. False when the replicate lacks the series. */
static bool add_points(const il__step_series *s, const double *medians, size_t number,
                       size_t n_bins, double *scratch, points *p)
{
    n_bins = n_bins < s->n_steps ? n_bins : s->n_steps;
    size_t had = p->n;
    for (size_t b = 0; b < n_bins && p->n < IL_RANKLINE_MOST; b++) {
        size_t from = b * s->n_steps / n_bins;
        size_t to = (b + 1) * s->n_steps / n_bins;
        size_t n = 0;
        for (size_t k = from; k < to; k++) {
            if (!isnan(medians[k])) {
                scratch[n++] = medians[k];
            }
        }
        size_t segment = segment_of(s, from);
        if (n == 0 || segment != segment_of(s, to - 1)) {
            continue;
        }
        p->x[p->n] = s->context + (double)(from + to - 1) / 2;
        p->y[p->n] = il_quantile_select(scratch, n, 0.5);
        p->level[p->n++] = (int)(number * MOST_SEGMENTS + segment);
    }
    return p->n > had;
}

/* One line a replicate; the estimate is their mean with its t interval. */
static int fit(const il__step_group *g, line *out, il_error *err)
{
    size_t longest = 1;
    for (size_t s = 0; s < g->n_series; s++) {
        longest = g->series[s].n_steps > longest ? g->series[s].n_steps : longest;
    }
    static const il_interval none = {NAN, NAN, NAN};
    *out = (line){none, none, 0};
    points *p = malloc(sizeof *p);
    double *work = malloc((2 * g->n_replicates + longest + 1) * sizeof *work);
    if (!p || !work) {
        free(p);
        free(work);
        return il_fail(err, IL_E_NOMEM, "no memory for %zu steps", longest);
    }
    double *a = work + longest;
    double *b = a + g->n_replicates;
    size_t n_bins = MOST_POINTS / g->n_series > 1 ? MOST_POINTS / g->n_series : 1;
    bool levels = has_changes(g);
    for (size_t r = 0; r < g->n_replicates; r++) {
        bool complete = true;
        p->n = 0;
        for (size_t s = 0; s < g->n_series && complete; s++) {
            const il__step_series *series = &g->series[s];
            complete =
                add_points(series, series->medians + r * series->n_steps, s, n_bins, work, p);
        }
        il_rankline got;
        if (complete &&
            il_rankline_fit(p->x, p->y, levels ? p->level : NULL, p->n, &got, NULL) == IL_OK) {
            a[out->n] = got.intercept;
            b[out->n++] = got.slope;
        }
    }
    if (out->n > 0) {
        (void)il_mean_interval(a, out->n, 0.95, &out->a, NULL);
        (void)il_mean_interval(b, out->n, 0.95, &out->b, NULL);
    }
    free(p);
    free(work);
    return IL_OK;
}

static double expected(const line *l, double context)
{
    double ms = l->a.estimate + l->b.estimate * context;
    return ms > 0 ? ms : NAN;
}

/* ln of what the line leaves of the steps [from, to) of a bin, their median; NaN when not known. */
static double rest_of_bin(const il__step_series *s, const double *times, size_t bin, const line *l,
                          double *scratch)
{
    for (size_t k = 0; k < s->bin; k++) {
        size_t step = bin * s->bin + k;
        scratch[k] = log(times[step] / expected(l, s->context + (double)step));
        if (!isfinite(scratch[k])) {
            return NAN;
        }
    }
    return s->bin == 1 ? scratch[0] : il_quantile_select(scratch, s->bin, 0.5);
}

/* The change as one replicate shows it; NaN when it lacks a step. */
static double change_in(const il__step_series *s, size_t which, size_t n, const double *times,
                        const line *l, double *work)
{
    const size_t *at = s->changes.at;
    size_t ends[3] = {which == 0 ? 0 : at[which - 1], at[which],
                      which + 1 < s->changes.n ? at[which + 1] : n};
    double level[2];
    for (size_t side = 0; side < 2; side++) {
        size_t count = ends[side + 1] - ends[side];
        for (size_t i = 0; i < count; i++) {
            work[i] = rest_of_bin(s, times, ends[side] + i, l, work + n);
            if (isnan(work[i])) {
                return NAN;
            }
        }
        level[side] = il_quantile_select(work, count, 0.5);
    }
    return level[1] - level[0];
}

/* A burst of noise in a few calls looks like a level too: a change stands when the replicates agree
 * on it, 0 outside the 99 % t interval of their differences. */
static int confirm_changes(const il__step_group *g, il__step_series *s, const double *rest,
                           size_t n, const line *l, il_error *err)
{
    double *work = malloc((n + s->bin + g->n_replicates) * sizeof *work);
    int rc = work ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for %zu steps", n);
    for (size_t which = 0; rc == IL_OK && which < s->changes.n;) {
        double *changes = work + n + s->bin;
        size_t n_known = 0;
        for (size_t r = 0; r < g->n_replicates; r++) {
            double change = change_in(s, which, n, s->medians + r * s->n_steps, l, work);
            if (!isnan(change)) {
                changes[n_known++] = change;
            }
        }
        il_interval ci = {NAN, NAN, NAN};
        (void)il_mean_interval(changes, n_known, 0.99, &ci, NULL);
        if (n_known >= LEAST_REPLICATES && (ci.low > 0 || ci.high < 0)) {
            which++;
        } else {
            rc = il_changes_drop(&s->changes, rest, n, which, err);
            which = 0; /* its neighbours have other segments beside them now */
        }
    }
    free(work);
    return rc;
}

/* Changes of level of what the line leaves of a series. */
static int find_changes(const il__step_group *g, il__step_series *s, const line *l, il_error *err)
{
    il_changes_free(&s->changes);
    s->bin = (s->n_steps + LONGEST_SERIES - 1) / LONGEST_SERIES;
    size_t n = s->n_steps / s->bin;
    if (n < IL_CHANGEPOINT_LEAST || g->n_replicates < LEAST_REPLICATES || isnan(l->b.estimate)) {
        return IL_OK;
    }
    double *rest = malloc((n + s->bin) * sizeof *rest);
    if (!rest) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu steps", n);
    }
    bool known = true;
    for (size_t i = 0; i < n; i++) {
        rest[i] = rest_of_bin(s, s->typical, i, l, rest + n);
        known = known && !isnan(rest[i]);
    }
    int rc = known ? il_changes_find(rest, n, LEAST_CHANGE, &s->changes, err) : IL_OK;
    rc = rc ? rc : confirm_changes(g, s, rest, n, l, err);
    free(rest);
    return rc;
}

/* A jump tilts a line through both of its sides, and a tilted line looks like jumps: so where
 * levels change the slope is taken within levels, and the levels are looked for once more. */
static int fit_with_changes(il__step_group *g, line *out, il_error *err)
{
    int rc = fit(g, out, err);
    for (int pass = 0; pass < 2 && rc == IL_OK; pass++) {
        for (size_t s = 0; s < g->n_series && rc == IL_OK; s++) {
            rc = find_changes(g, &g->series[s], out, err);
        }
        if (rc != IL_OK || !has_changes(g)) {
            break;
        }
        rc = fit(g, out, err);
    }
    return rc;
}

static void say_changes(const il__step_group *g, il_buf *out)
{
    for (size_t s = 0; s < g->n_series; s++) {
        const il__step_series *series = &g->series[s];
        for (size_t i = 0; i < series->changes.n; i++) {
            double change = exp(series->changes.level[i + 1] - series->changes.level[i]) - 1;
            if (g->n_series > 1) {
                (void)il_buf_printf(out, "%s%s: step %zu (%+.0f %%)", out->len ? "; " : "",
                                    series->plan->scenario, series->changes.at[i] * series->bin + 1,
                                    100 * change);
            } else {
                (void)il_buf_printf(out, "%sstep %zu (%+.0f %%)", out->len ? "; " : "",
                                    series->changes.at[i] * series->bin + 1, 100 * change);
            }
        }
    }
}

/* --- single steps ----------------------------------------------------------------------------- */

typedef struct outlier {
    const il__step_series *series;
    uint64_t call_idx;
    uint32_t block, step;
    double times; /* its time over what the call's steps take */
} outlier;

typedef struct outliers {
    outlier largest[LISTED]; /* descending */
    size_t n, n_listed;
} outliers;

static void note_outlier(outliers *o, outlier one)
{
    o->n++;
    size_t at = o->n_listed < LISTED ? o->n_listed++ : LISTED;
    while (at > 0 && o->largest[at - 1].times < one.times) {
        if (at < LISTED) {
            o->largest[at] = o->largest[at - 1];
        }
        at--;
    }
    if (at < LISTED) {
        o->largest[at] = one;
    }
}

/* What a step's level is over that of the first steps. */
static double level_at(const il__step_series *s, size_t step)
{
    const il_changes *c = &s->changes;
    return c->n > 0 ? exp(c->level[segment_of(s, step)] - c->level[0]) : 1;
}

/* Steps of one call by the modified z rule, against the line, the level and the other steps of the
 * call. */
static void scan_call(const il__step_series *s, const il_step_call *call, const double *times,
                      const line *l, double *rest, outliers *out)
{
    for (size_t k = 0; k < call->n; k++) {
        rest[k] = times[k] / level_at(s, k) - l->b.estimate * (s->context + (double)k);
    }
    double middle;
    double mad = il_mad(rest, call->n, &middle);
    for (size_t k = 0; k < call->n; k++) {
        double here = times[k] / level_at(s, k);
        double line_ms = middle + l->b.estimate * (s->context + (double)k);
        if (il_modified_z(here, line_ms, mad, LEAST_SCALE * fabs(line_ms)) > IL_OUTLIER_Z) {
            note_outlier(
                out, (outlier){s, call->call_idx, call->block, (uint32_t)k + 1, here / line_ms});
        }
    }
}

static int scan(const il__step_group *g, const line *l, outliers *out, il_error *err)
{
    *out = (outliers){.n = 0};
    const double *times = g->run->facts->step_ms.data;
    for (size_t s = 0; s < g->n_series && !isnan(l->b.estimate); s++) {
        const il__step_series *series = &g->series[s];
        double *rest = malloc((series->n_steps + 1) * sizeof *rest);
        if (!rest) {
            return il_fail(err, IL_E_NOMEM, "no memory for %zu steps", series->n_steps);
        }
        for (size_t i = 0; i < series->n_calls; i++) {
            const il_step_call *call = &series->calls[i];
            if (call->n >= IL_CHANGEPOINT_LEAST) {
                scan_call(series, call, times + call->first, l, rest, out);
            }
        }
        free(rest);
    }
    return IL_OK;
}

static void say_outliers(const outliers *o, il_buf *out)
{
    for (size_t i = 0; i < o->n_listed; i++) {
        const outlier *one = &o->largest[i];
        (void)il_buf_printf(out, "%sblock %u call %llu step %u (x%.2f)", i ? "; " : "", one->block,
                            (unsigned long long)one->call_idx, one->step, one->times);
    }
}

/* --- rows ------------------------------------------------------------------------------------- */

static void say_note(const il__step_group *g, il_buf *out)
{
    if (g->n_chunked > 0) {
        (void)il_buf_printf(out, "%zu calls have fewer stamps than steps and are left out",
                            g->n_chunked);
    }
    if (g->n_series > 0 && g->n_replicates < LEAST_REPLICATES) {
        (void)il_buf_printf(out, "%schanges of level are not looked for below %d %s",
                            out->len ? "; " : "", (int)LEAST_REPLICATES,
                            g->by_block ? "blocks" : "calls");
    }
    if (has_changes(g)) {
        (void)il_buf_printf(out, "%sthe slope is that within levels", out->len ? "; " : "");
    }
}

static void count_or_blank(il_csv_writer *out, size_t n, bool known)
{
    if (known) {
        il_csv_i64(out, (int64_t)n);
    } else {
        il_csv_empty(out);
    }
}

static int write_row(const il__step_group *g, const il_plan_cell *key, const line *l,
                     const outliers *o, il_csv_writer *out, il_error *err)
{
    il_buf text[3];
    double low = INFINITY;
    double high = -INFINITY;
    size_t n_steps = 0;
    for (size_t s = 0; s < g->n_series; s++) {
        const il__step_series *series = &g->series[s];
        low = fmin(low, series->context);
        high = fmax(high, series->context + (double)series->n_steps - 1);
        n_steps = series->n_steps > n_steps ? series->n_steps : n_steps;
    }
    for (int i = 0; i < 3; i++) {
        il_buf_init(&text[i], 1 << 20);
    }
    say_changes(g, &text[0]);
    say_outliers(o, &text[1]);
    say_note(g, &text[2]);
    il_csv_text(out, key->backend);
    il_csv_text(out, key->model);
    il_csv_f64(out, key->batch_size);
    count_or_blank(out, n_steps, g->n_calls > 0);
    il_csv_f64(out, l->a.estimate);
    il_csv_f64(out, l->b.estimate * 1000);
    il_csv_f64(out, l->b.low * 1000);
    il_csv_f64(out, l->b.high * 1000);
    il_csv_text(out, il_buf_text(&text[0]));
    il_csv_f64(out, l->a.low);
    il_csv_f64(out, l->a.high);
    il_csv_text(out, isnan(l->b.low) ? "" : g->by_block ? "t_blocks" : "t_batches");
    count_or_blank(out, l->n, g->n_calls > 0);
    il_csv_i64(out, (int64_t)g->n_calls);
    il_csv_f64(out, low);
    il_csv_f64(out, high);
    count_or_blank(out, o->n, g->n_calls > 0);
    il_csv_text(out, il_buf_text(&text[1]));
    il_csv_text(out, il_buf_text(&text[2]));
    il_csv_end_row(out);
    int rc = IL_OK;
    for (int i = 0; i < 3; i++) {
        rc = rc ? rc : text[i].status;
        il_buf_free(&text[i]);
    }
    return rc == IL_OK ? IL_OK : il_fail(err, rc, "no memory for words");
}

static bool same_group(const il_plan_cell *a, const il_plan_cell *b)
{
    return a->batch_size == b->batch_size && strcmp(a->backend, b->backend) == 0 &&
           strcmp(a->model, b->model) == 0;
}

static int write_group(const il__run *run, const size_t *cells, size_t n, il_csv_writer *out,
                       il_error *err)
{
    il__step_group group;
    line l = {{NAN, NAN, NAN}, {NAN, NAN, NAN}, 0};
    outliers found = {.n = 0};
    int rc = il__step_group_make(run, cells, n, &group, err);
    if (rc == IL_OK && group.n_calls + group.n_chunked > 0) {
        rc = group.n_series > 0 ? fit_with_changes(&group, &l, err) : IL_OK;
        rc = rc ? rc : scan(&group, &l, &found, err);
        rc = rc ? rc : write_row(&group, &run->facts->cells[cells[0]], &l, &found, out, err);
    }
    il__step_group_free(&group);
    return rc;
}

int il__write_steps(const il__run *run, il_error *err)
{
    const il_run_facts *f = run->facts;
    il_csv_writer out = {.fd = -1};
    size_t *cells = malloc((f->n_cells + 1) * sizeof *cells);
    bool *done = calloc(f->n_cells + 1, sizeof *done);
    int rc = cells && done ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the cells");
    rc = rc ? rc : il__table_open(run, "steps.csv", columns, IL__COUNT_OF(columns), &out, err);
    for (size_t i = 0; i < f->n_cells && rc == IL_OK; i++) {
        size_t n = 0;
        for (size_t k = i; k < f->n_cells && !done[i]; k++) {
            if (!done[k] && same_group(&f->cells[i], &f->cells[k])) {
                cells[n++] = k;
            }
        }
        for (size_t k = 0; k < n; k++) {
            done[cells[k]] = true;
        }
        if (n > 0) {
            rc = write_group(run, cells, n, &out, err);
        }
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    free(cells);
    free(done);
    return rc;
}
