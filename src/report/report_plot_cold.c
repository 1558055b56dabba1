/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/names.h"
#include "report/report_plots.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CURVE_POINTS = 48 };

/* A series is a backend with a state of the page cache; IL__PLOT_SERIES when colours are out. */
static size_t series_of(il_facts *f, il__plot *p, const char *backend, const char *state)
{
    const char *name = il_arena_printf(&f->arena, "%s, page cache %s", backend, state);
    size_t s = 0;
    while (name && s < p->n_series && strcmp(p->series[s], name) != 0) {
        s++;
    }
    if (name && s == p->n_series && s < IL__PLOT_SERIES) {
        p->series[p->n_series++] = name;
    }
    return name ? s : IL__PLOT_SERIES;
}

static void points_add(il_facts *f, il__plot *p)
{
    const il_artifact *t = &f->cold_start;
    for (size_t i = 0; i < t->n_rows; i++) {
        double mb = il_artifact_number(t, i, "file_bytes") * 1e-6;
        double ms = il_artifact_number(t, i, "median_ms");
        if (strcmp(il_artifact_text(t, i, "stage"), "cold_cost") != 0 || !(mb > 0) || !(ms > 0)) {
            continue;
        }
        size_t s = series_of(f, p, il_artifact_text(t, i, "backend"),
                             il_artifact_text(t, i, "page_cache"));
        if (s < IL__PLOT_SERIES) {
            p->points[p->n_points++] =
                (il__point){.x = mb,
                            .y = ms,
                            .low = il_artifact_number(t, i, "ci_low"),
                            .high = il_artifact_number(t, i, "ci_high"),
                            .series = (unsigned)s,
                            .label = il_facts_model_name(f, il_artifact_text(t, i, "model"))};
        }
    }
}

/* The fitted line of a fixed row and the per_gb row behind it. */
static int curve_add(il_facts *f, il__plot *p, size_t row, double from, double to, il_error *err)
{
    const il_artifact *t = &f->cold_law;
    double fixed = il_artifact_number(t, row, "estimate");
    double per_gb = il_artifact_number(t, row + 1, "estimate");
    size_t s = series_of(f, p, il_artifact_text(t, row, "backend"),
                         il_artifact_text(t, row, "page_cache"));
    double *x = il_arena_array(&f->arena, CURVE_POINTS, sizeof *x);
    double *y = il_arena_array(&f->arena, CURVE_POINTS, sizeof *y);
    if (!x || !y) {
        return il_fail(err, IL_E_NOMEM, "no memory for the plots");
    }
    if (s >= IL__PLOT_SERIES || p->n_curves >= 4 * IL__PLOT_SERIES) {
        return IL_OK;
    }
    size_t n = 0;
    for (size_t i = 0; i < CURVE_POINTS; i++) {
        double at = from * pow(to / from, (double)i / (CURVE_POINTS - 1));
        double ms = fixed + per_gb * at * 1e-3;
        if (ms > 0) {
            x[n] = at;
            y[n++] = ms;
        }
    }
    bool stands = strcmp(il_artifact_text(t, row, "verdict"), "supported") == 0;
    p->curves[p->n_curves++] = (il__curve){.kind = stands ? IL__CURVE_LAW : IL__CURVE_WEAK,
                                           .x = x,
                                           .y = y,
                                           .n = n,
                                           .series = (unsigned)s};
    return IL_OK;
}

static int curves_add(il_facts *f, il__plot *p, il_error *err)
{
    const il_artifact *t = &f->cold_law;
    double from = INFINITY, to = 0;
    int rc = IL_OK;
    for (size_t i = 0; i < p->n_points; i++) {
        from = fmin(from, p->points[i].x);
        to = fmax(to, p->points[i].x);
    }
    for (size_t i = 0; rc == IL_OK && to > from && i + 1 < t->n_rows; i++) {
        if (strcmp(il_artifact_text(t, i, "term"), "fixed") == 0) {
            rc = curve_add(f, p, i, from, to, err);
        }
    }
    return rc;
}

int il__plot_cold(il_facts *facts, il__report_plot *out, bool *there, il_error *err)
{
    *there = false;
    il__plot *p = &out->plot;
    int rc = il__report_plot_start(facts, p, "cold", facts->cold_start.n_rows, err);
    if (rc == IL_OK) {
        points_add(facts, p);
    }
    if (rc != IL_OK || p->n_points == 0) {
        return rc;
    }
    rc = curves_add(facts, p, err);
    p->title = "What a cold start adds to a request";
    p->x.title = "files of the model, MB";
    p->y.title = "added time, ms";
    out->caption = "From the start of the process to the end of its first call, less a steady "
                   "call. Bars are exact 95 % intervals of the median; lines are a fixed part and "
                   "a part per byte, dashed where the law is not identifiable.";
    *there = rc == IL_OK;
    return rc == IL_OK ? il__report_plot_layout(facts, out, err) : rc;
}
