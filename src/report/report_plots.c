/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/report_plots.h"

#include "report/findings_internal.h"
#include "report/names.h"
#include "report/svg.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which rows of the laws' tables a plot shows. */
typedef struct law_key {
    const char *backend, *batch, *mode, *x, *form;
} law_key;

static bool row_is(const il_artifact *t, size_t row, const law_key *k)
{
    return strcmp(il_artifact_text(t, row, "backend"), k->backend) == 0 &&
           strcmp(il_artifact_text(t, row, "batch_size"), k->batch) == 0 &&
           strcmp(il_artifact_text(t, row, "mode"), k->mode) == 0 &&
           strcmp(il_artifact_text(t, row, "x"), k->x) == 0 &&
           strcmp(il_artifact_text(t, row, "form"), k->form) == 0;
}

/* Bytes are shown in megabytes. */
static double shown_x(const char *x, double value)
{
    return strcmp(x, "bytes_read") == 0 ? value / 1e6 : value;
}

static int no_memory(il_error *err)
{
    return il_fail(err, IL_E_NOMEM, "no memory for the plots");
}

int il__report_plot_start(il_facts *f, il__plot *p, const char *name, size_t most, il_error *err)
{
    *p = (il__plot){.name = name,
                    .title = "",
                    .subtitle = "",
                    .x = {.title = "", .log = true, .low = NAN, .high = NAN},
                    .y = {.title = "", .log = true, .low = NAN, .high = NAN}};
    p->points = il_arena_array(&f->arena, most + 1, sizeof *p->points);
    p->lines = il_arena_array(&f->arena, most + 2, sizeof *p->lines);
    p->curves = il_arena_array(&f->arena, 4 * IL__PLOT_SERIES, sizeof *p->curves);
    il__svg_geometry(p);
    return p->points && p->lines && p->curves ? IL_OK : no_memory(err);
}

int il__report_plot_layout(il_facts *f, il__report_plot *out, il_error *err)
{
    out->narrow = out->plot;
    out->narrow.narrow = true;
    il__svg_geometry(&out->narrow);
    int rc = il__plot_layout(&out->narrow, &f->arena, err);
    return rc == IL_OK ? il__plot_layout(&out->plot, &f->arena, err) : rc;
}

/* ---- pieces of the first picture ---- */

/* Index of the backend among the series, a new one for a new name; IL__PLOT_SERIES when colours are
 * out: the tables have it. */
static size_t series_of(il__plot *p, const char *backend)
{
    size_t s = 0;
    while (s < p->n_series && strcmp(p->series[s], backend) != 0) {
        s++;
    }
    if (s == p->n_series && s < IL__PLOT_SERIES) {
        p->series[p->n_series++] = backend;
    }
    return s;
}

static int compare_x(const void *a, const void *b)
{
    const il__point *p = a, *q = b;
    return (p->x > q->x) - (p->x < q->x);
}

/* What turns a law's decode time into that of a step: 1 over the steps that all its models ran. NaN
 * where that is not one number: the law's curves belong to no model. */
static double per_step(const il_facts *f, const char *backend)
{
    double steps = NAN;
    for (size_t i = 0; i < f->medians.n_rows; i++) {
        const il_cell_median *m = &f->medians.rows[i];
        if (strcmp(m->backend, backend) == 0 && strcmp(m->mode, "kv_decode") == 0 &&
            strcmp(m->scenario, IL_ALL_SCENARIOS) == 0) {
            if (!(m->decode_steps > 0.0) || (isfinite(steps) && steps != m->decode_steps)) {
                return NAN;
            }
            steps = m->decode_steps;
        }
    }
    return 1.0 / steps;
}

/* Points of one law's rows, sorted by x; low is the floor where the row has one, else NaN. */
static void points_add(il_facts *f, il__plot *p, const law_key *k, unsigned series, double scale)
{
    const il_artifact *t = &f->law_points;
    for (size_t i = 0; i < t->n_rows; i++) {
        double x = il_artifact_number(t, i, "x_value"), y = il_artifact_number(t, i, "observed_ms");
        if (row_is(t, i, k) && x > 0.0 && y > 0.0) {
            p->points[p->n_points++] =
                (il__point){.x = shown_x(k->x, x),
                            .y = y * scale,
                            .low = il_artifact_number(t, i, "ci_low_ms") * scale,
                            .high = il_artifact_number(t, i, "ci_high_ms") * scale,
                            .series = series,
                            .label = il_facts_model_name(f, il_artifact_text(t, i, "model"))};
        }
    }
}

/* With many backends a model's name stands once: at its slowest point. */
static void labels_thin(il__plot *p)
{
    if (p->n_series <= 3) {
        return;
    }
    for (size_t i = 0; i < p->n_points; i++) {
        il__point *a = &p->points[i];
        for (size_t k = 0; k < p->n_points; k++) {
            const il__point *b = &p->points[k];
            bool above = b->y > a->y || (b->y == a->y && k < i);
            a->quiet =
                a->quiet || (a->label && b->label && strcmp(a->label, b->label) == 0 && above);
        }
    }
}

static int floor_add(il_facts *f, il__plot *p, const law_key *k, double scale, il_error *err)
{
    const il_artifact *t = &f->law_points;
    il__point *sorted = il_arena_array(&f->arena, t->n_rows + 1, sizeof *sorted);
    double *x = il_arena_array(&f->arena, t->n_rows + 1, sizeof *x);
    double *y = il_arena_array(&f->arena, t->n_rows + 1, sizeof *y);
    if (!sorted || !x || !y) {
        return no_memory(err);
    }
    size_t n = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        double at = il_artifact_number(t, i, "x_value");
        double floor_ms = il_artifact_number(t, i, "floor_ms");
        if (row_is(t, i, k) && at > 0.0 && floor_ms > 0.0) {
            sorted[n++] = (il__point){.x = shown_x(k->x, at), .y = floor_ms * scale};
        }
    }
    qsort(sorted, n, sizeof *sorted, compare_x);
    for (size_t i = 0; i < n; i++) {
        x[i] = sorted[i].x;
        y[i] = sorted[i].y;
    }
    if (n >= 2) {
        p->curves[p->n_curves++] = (il__curve){.kind = IL__CURVE_FLOOR, .x = x, .y = y, .n = n};
    }
    return IL_OK;
}

/* The estimate of a law as a curve, and its prediction band below it. */
static int law_add(il_facts *f, il__plot *p, const law_key *k, bool stands, double scale,
                   il_error *err)
{
    const il_artifact *t = &f->law_curves;
    double *x = il_arena_array(&f->arena, t->n_rows + 1, sizeof *x);
    double *y = il_arena_array(&f->arena, t->n_rows + 1, sizeof *y);
    double *low = il_arena_array(&f->arena, t->n_rows + 1, sizeof *low);
    double *high = il_arena_array(&f->arena, t->n_rows + 1, sizeof *high);
    if (!x || !y || !low || !high) {
        return no_memory(err);
    }
    size_t n = 0;
    bool band = true;
    for (size_t i = 0; i < t->n_rows; i++) {
        double at = il_artifact_number(t, i, "x_value");
        double value = il_artifact_number(t, i, "estimate_ms");
        if (!row_is(t, i, k) || il_artifact_text(t, i, "left_out")[0] || !(at > 0.0) ||
            !(value > 0.0)) {
            continue;
        }
        x[n] = shown_x(k->x, at);
        y[n] = value * scale;
        low[n] = il_artifact_number(t, i, "pi_low_ms") * scale;
        high[n] = il_artifact_number(t, i, "pi_high_ms") * scale;
        band = band && isfinite(low[n]) && isfinite(high[n]);
        n++;
    }
    if (n >= 2 && band) {
        p->curves[p->n_curves++] =
            (il__curve){.kind = IL__CURVE_BAND, .x = x, .y = low, .high = high, .n = n};
    }
    if (n >= 2) {
        p->curves[p->n_curves++] =
            (il__curve){.kind = stands ? IL__CURVE_LAW : IL__CURVE_WEAK, .x = x, .y = y, .n = n};
    }
    return IL_OK;
}

/* Whether leave_one_out.csv calls the model decisive for the slope; the slope without it. */
static bool is_decisive(const il_facts *f, const law_key *k, const char *model, double *slope)
{
    const il_artifact *t = &f->leave_one_out;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (row_is(t, i, k) && strcmp(il_artifact_text(t, i, "term"), "slope") == 0 &&
            strcmp(il_artifact_text(t, i, "left_out"), model) == 0) {
            *slope = il_artifact_number(t, i, "estimate");
            return il_artifact_flag(t, i, "decisive");
        }
    }
    return false;
}

/* The power law without each model, a straight line between the ends of its curve. */
static int ghosts_add(il_facts *f, il__plot *p, const law_key *k, double scale, il_error *err)
{
    const il_artifact *t = &f->law_curves;
    for (size_t i = 0; i < t->n_rows;) {
        const char *model = il_artifact_text(t, i, "left_out");
        size_t end = i + 1;
        while (end < t->n_rows && strcmp(il_artifact_text(t, end, "left_out"), model) == 0 &&
               row_is(t, end, k)) {
            end++;
        }
        if (model[0] && row_is(t, i, k) && end - i >= 2) {
            double slope = NAN;
            bool decisive = is_decisive(f, k, model, &slope);
            il__line line = {.x0 = shown_x(k->x, il_artifact_number(t, i, "x_value")),
                             .y0 = il_artifact_number(t, i, "estimate_ms") * scale,
                             .x1 = shown_x(k->x, il_artifact_number(t, end - 1, "x_value")),
                             .y1 = il_artifact_number(t, end - 1, "estimate_ms") * scale,
                             .kind = decisive ? IL__LINE_MARKED : IL__LINE_GHOST};
            if (decisive) {
                line.label = il_arena_printf(&f->arena, "without %s: exponent %.2f",
                                             il_facts_model_name(f, model), slope);
                if (!line.label) {
                    return no_memory(err);
                }
            }
            if (line.x0 > 0.0 && line.y0 > 0.0 && line.x1 > 0.0 && line.y1 > 0.0) {
                p->lines[p->n_lines++] = line;
            }
        }
        i = end;
    }
    return IL_OK;
}

/* ---- the first picture ---- */

/* The first batch size of the backend's decode points against bytes read; NULL when there is none.
 */
static const char *batch_of(const il_facts *f, const char *backend)
{
    const il_artifact *t = &f->law_points;
    for (size_t i = 0; i < t->n_rows; i++) {
        const char *batch = il_artifact_text(t, i, "batch_size");
        const law_key k = {backend, batch, "kv_decode", "bytes_read", "power"};
        if (row_is(t, i, &k)) {
            return batch;
        }
    }
    return NULL;
}

static int against_bytes(il_facts *f, il__report_plot *out, const char *backend, const char *batch,
                         il_error *err)
{
    il__plot *p = &out->plot;
    law_key k = {backend, batch, "kv_decode", "bytes_read", "power"};
    (void)series_of(p, backend);
    double scale = per_step(f, backend);
    bool steps = isfinite(scale);
    scale = steps ? scale : 1.0;
    points_add(f, p, &k, 0, scale);
    const il_medians *all = &f->medians;
    for (size_t i = 0; i < all->n_rows; i++) { /* the other backends, each once */
        const char *other = all->rows[i].backend;
        bool seen = i > 0 && strcmp(all->rows[i - 1].backend, other) == 0;
        const char *at = seen || strcmp(other, backend) == 0 ? NULL : batch_of(f, other);
        double its = steps ? per_step(f, other) : 1.0;
        at = isfinite(its) ? at : NULL;
        size_t s = at ? series_of(p, other) : IL__PLOT_SERIES;
        if (s < IL__PLOT_SERIES) {
            const law_key o = {other, at, "kv_decode", "bytes_read", "power"};
            points_add(f, p, &o, (unsigned)s, its);
        }
    }
    size_t row = il__law_selected(f, backend, "kv_decode", NAN);
    const char *x = row == SIZE_MAX ? "" : il_artifact_text(&f->laws, row, "x");
    bool chosen = strcmp(x, "bytes_read") == 0;
    law_key law = k;
    law.form = chosen ? il_artifact_text(&f->laws, row, "form") : "power";
    size_t slope = il_facts_law(f, backend, "kv_decode", 0, "bytes_read", "power");
    size_t verdict = chosen ? row : slope;
    bool stands = verdict != SIZE_MAX &&
                  strcmp(il_artifact_text(&f->laws, verdict, "verdict"), "supported") == 0;
    int rc = law_add(f, p, &law, stands, scale, err);
    rc = rc == IL_OK ? ghosts_add(f, p, &k, scale, err) : rc;
    rc = rc == IL_OK ? floor_add(f, p, &k, scale, err) : rc;
    char name[64];
    il_words_clean(name, sizeof name, backend, 30);
    out->caption = il_arena_printf(
        &f->arena,
        "Time of one decode step against the bytes it reads, both axes logarithmic; bars are exact "
        "95 %% intervals. The line is the %s law of %s in bytes read%s%s; its band is the 95 %% "
        "prediction for a model that was not measured. Grey: the power law without one model; "
        "dashed and named where that model decides.",
        strcmp(law.form, "power") == 0 ? "power" : law.form, name,
        chosen            ? ", the one that held-out error chose"
        : row != SIZE_MAX ? " (held-out error chose another, see the laws)"
                          : "",
        stands ? "" : ", not identifiable: dashed");
    p->x.title = "bytes read per step, MB";
    p->y.title = steps ? "time of one decode step, ms" : "time of the decode, ms";
    return rc != IL_OK ? rc : out->caption ? IL_OK : no_memory(err);
}

static int against_parameters(il_facts *f, il__report_plot *out)
{
    il__plot *p = &out->plot;
    for (size_t i = 0; i < f->medians.n_rows; i++) {
        const il_cell_median *m = &f->medians.rows[i];
        double step[3];
        if (!il_median_is_step_of_size(m, step)) {
            continue;
        }
        size_t s = series_of(p, m->backend);
        if (s < IL__PLOT_SERIES) {
            p->points[p->n_points++] = (il__point){.x = m->params_millions,
                                                   .y = step[0],
                                                   .low = step[1],
                                                   .high = step[2],
                                                   .series = (unsigned)s,
                                                   .label = il_facts_model_name(f, m->model)};
        }
    }
    p->x.title = "parameters, millions";
    p->y.title = "time of one decode step, ms";
    out->caption = "Time of one decode step against parameters, both axes logarithmic; medians, "
                   "geometric mean over scenarios; bars are exact 95 % intervals. Bytes read are "
                   "not known here, so neither floor nor law is drawn.";
    return IL_OK;
}

int il__plot_step_time(il_facts *facts, il__report_plot *out, bool *there, il_error *err)
{
    const char *backend = il_findings_backend(facts);
    const char *batch = backend ? batch_of(facts, backend) : NULL;
    size_t most = facts->law_points.n_rows + facts->law_curves.n_rows + facts->medians.n_rows;
    int rc = il__report_plot_start(facts, &out->plot, "step_time", most, err);
    if (rc == IL_OK) {
        rc =
            batch ? against_bytes(facts, out, backend, batch, err) : against_parameters(facts, out);
    }
    labels_thin(&out->plot);
    out->plot.title = "Time of one decode step against model size";
    *there = rc == IL_OK && out->plot.n_points > 0;
    return *there ? il__report_plot_layout(facts, out, err) : rc;
}

/* ---- residuals and leave-one-out ---- */

static void zero_line(il__plot *p, double at)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < p->n_points; i++) {
        low = fmin(low, p->points[i].x);
        high = fmax(high, p->points[i].x);
    }
    p->lines[p->n_lines++] = (il__line){.x0 = p->x.log ? low / 1.1 : low,
                                        .x1 = p->x.log ? high * 1.1 : high,
                                        .y0 = at,
                                        .y1 = at,
                                        .kind = IL__LINE_MARKED};
}

int il__plot_residuals(il_facts *facts, il__report_plot *out, bool *there, il_error *err)
{
    *there = false;
    const il_artifact *t = &facts->law_points, *laws = &facts->laws;
    const char *backend = il_findings_backend(facts);
    size_t row = backend ? il__law_selected(facts, backend, "kv_decode", NAN) : SIZE_MAX;
    row = row == SIZE_MAX && backend
              ? il_facts_law(facts, backend, "kv_decode", 0, "params_total", "power")
              : row;
    if (row == SIZE_MAX) {
        return IL_OK;
    }
    law_key k = {backend, il_artifact_text(laws, row, "batch_size"), "kv_decode",
                 il_artifact_text(laws, row, "x"), il_artifact_text(laws, row, "form")};
    bool by_time = strchr(k.x, '*') != NULL; /* several x's: the time itself orders the models */
    il__plot *p = &out->plot;
    int rc = il__report_plot_start(facts, p, "residuals", 2 * t->n_rows, err);
    for (size_t i = 0; rc == IL_OK && i < t->n_rows; i++) {
        double x = shown_x(k.x, il_artifact_number(t, i, by_time ? "observed_ms" : "x_value"));
        static const char *const columns[] = {"residual_percent", "loo_error_percent"};
        for (unsigned s = 0; row_is(t, i, &k) && x > 0.0 && s < 2; s++) {
            double y = il_artifact_number(t, i, columns[s]);
            if (isfinite(y)) {
                p->points[p->n_points++] = (il__point){
                    .x = x,
                    .y = y,
                    .low = NAN,
                    .high = NAN,
                    .series = s,
                    .label = s == 0 ? il_facts_model_name(facts, il_artifact_text(t, i, "model"))
                                    : NULL};
            }
        }
    }
    if (rc != IL_OK || p->n_points == 0) {
        return rc;
    }
    zero_line(p, 0.0);
    p->y.log = false;
    p->series[p->n_series++] = "residual of the fit";
    p->series[p->n_series++] = "error when the model is left out";
    p->title = "What the selected law misses, model by model";
    p->x.title = by_time                          ? "time of the decode, ms"
                 : strcmp(k.x, "bytes_read") == 0 ? "bytes read per step, MB"
                 : strncmp(k.x, "params", 6) == 0 ? "parameters, millions"
                                                  : il_findings_x_words(k.x);
    p->y.title = "error, %";
    char name[64];
    il_words_clean(name, sizeof name, backend, 30);
    out->caption = il_arena_printf(&facts->arena,
                                   "The law of a decode step of %s: form %s in %s. Filled circles "
                                   "are residuals of the fit to all models; squares are what the "
                                   "law misses a model by when it was fitted without it.",
                                   name, k.form, il_findings_x_words(k.x));
    *there = out->caption != NULL;
    return *there ? il__report_plot_layout(facts, out, err) : no_memory(err);
}

int il__plot_left_out(il_facts *facts, il__report_plot *out, bool *there, il_error *err)
{
    *there = false;
    const il_artifact *t = &facts->leave_one_out;
    const char *backend = il_findings_backend(facts);
    size_t row =
        backend ? il_facts_law(facts, backend, "kv_decode", 0, "params_total", "power") : SIZE_MAX;
    if (row == SIZE_MAX) {
        return IL_OK;
    }
    law_key k = {backend, il_artifact_text(&facts->laws, row, "batch_size"), "kv_decode",
                 "params_total", "power"};
    il__plot *p = &out->plot;
    int rc = il__report_plot_start(facts, p, "left_out", t->n_rows, err);
    for (size_t i = 0; rc == IL_OK && i < t->n_rows; i++) {
        double x = il_artifact_number(t, i, "leverage"), y = il_artifact_number(t, i, "estimate");
        if (row_is(t, i, &k) && strcmp(il_artifact_text(t, i, "term"), "slope") == 0 &&
            isfinite(x) && isfinite(y)) {
            p->points[p->n_points++] = (il__point){
                .x = x,
                .y = y,
                .low = NAN,
                .high = NAN,
                .series = il_artifact_flag(t, i, "decisive"),
                .label = il_facts_model_name(facts, il_artifact_text(t, i, "left_out"))};
        }
    }
    if (rc != IL_OK || p->n_points == 0) {
        return rc;
    }
    p->x.log = p->y.log = false;
    p->x.low = 0.0;
    p->x.high = 1.15;
    zero_line(p, il_artifact_number(&facts->laws, row, "estimate"));
    p->lines[0].x0 = 0.0;
    p->lines[0].x1 = 1.15;
    p->lines[0].label = "with all models";
    p->series[p->n_series++] = "without this model";
    p->series[p->n_series++] = "decisive";
    p->title = "The exponent in total parameters without each model";
    p->x.title = "leverage of the model left out";
    p->y.title = "exponent without it";
    char name[64];
    il_words_clean(name, sizeof name, backend, 30);
    out->caption = il_arena_printf(
        &facts->arena,
        "Power law of a decode step of %s in total parameters. A model far to the right pulls the "
        "line; a point far from the dashed line shows what it did. Decisive: without it the "
        "exponent changes by more than half, changes sign, or its interval takes in 0.",
        name);
    *there = out->caption != NULL;
    return *there ? il__report_plot_layout(facts, out, err) : no_memory(err);
}
