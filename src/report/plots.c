/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/plots.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "report/facts.h"
#include "report/findings.h"
#include "report/names.h"
#include "report/plot.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct drawing {
    const il_facts *facts;
    il_arena *arena;
    il__plot *plots;
    size_t n_plots, cap;
    il_error *err;
} drawing;

static int no_memory(drawing *d)
{
    return il_fail(d->err, IL_E_NOMEM, "no memory for the plots");
}

/* A new plot with room for most points and lines; NULL when memory is out. */
static il__plot *plot_new(drawing *d, size_t most_points, size_t most_lines)
{
    if (d->n_plots == d->cap) {
        size_t grown = d->cap ? d->cap * 2 : 32;
        il__plot *moved = il_arena_array(d->arena, grown, sizeof *moved);
        if (!moved) {
            return NULL;
        }
        if (d->n_plots > 0) {
            memcpy(moved, d->plots, d->n_plots * sizeof *moved);
        }
        d->plots = moved;
        d->cap = grown;
    }
    il__plot *p = &d->plots[d->n_plots];
    *p = (il__plot){.subtitle = "", .x = {.low = NAN, .high = NAN}, .y = {.low = NAN, .high = NAN}};
    p->points = il_arena_array(d->arena, most_points + 1, sizeof *p->points);
    p->lines = il_arena_array(d->arena, most_lines + 1, sizeof *p->lines);
    return p->points && p->lines ? p : NULL;
}

/* PREFIX_A_B_SUFFIX as a file name. A name that had to be changed, or that another plot has
 * already, gets the hash of what it stands for. */
static const char *plot_name(drawing *d, const char *prefix, const char *const parts[3],
                             const char *suffix)
{
    char safe[3][96], key[1024] = "";
    bool changed = false;
    for (size_t i = 0; i < 3; i++) {
        changed = il_words_file_part(safe[i], sizeof safe[i], parts[i]) || changed;
    }
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(key, sizeof key, "%016llx", (unsigned long long)hash);
        hash = il_fnv1a64(parts[i], strlen(parts[i])) * 31 + il_fnv1a64(key, strlen(key));
    }
    char *name = il_arena_printf(d->arena, "%s_%s_%s%s%s%s", prefix, safe[0], safe[1],
                                 parts[2][0] ? "_" : "", parts[2][0] ? safe[2] : "", suffix);
    if (!parts[2][0]) { /* the empty third part is legal: nothing was changed for it */
        changed = strcmp(safe[0], parts[0]) != 0 || strcmp(safe[1], parts[1]) != 0;
    }
    for (size_t i = 0; name && i < d->n_plots; i++) {
        changed = changed || strcmp(d->plots[i].name, name) == 0;
    }
    return !changed || !name ? name
                             : il_arena_printf(d->arena, "%s_%08x", name, (unsigned)(hash >> 32));
}

/* ---- one scaling plot ---- */

typedef struct fit_row {
    const char *backend, *mode, *scenario;
    int64_t batch_size;
    double slope, intercept, r2;
    bool all;
    size_t law; /* row of laws.csv, SIZE_MAX none */
} fit_row;

static fit_row fit_read(const il_facts *f, size_t row)
{
    fit_row fit = {.backend = il_artifact_text(&f->fits, row, "backend"),
                   .mode = il_artifact_text(&f->fits, row, "mode"),
                   .scenario = il_artifact_text(&f->fits, row, "scenario"),
                   .slope = il_artifact_number(&f->fits, row, "slope"),
                   .intercept = il_artifact_number(&f->fits, row, "log10_intercept"),
                   .r2 = il_artifact_number(&f->fits, row, "r2"),
                   .law = SIZE_MAX};
    double batch = il_artifact_number(&f->fits, row, "batch_size");
    fit.batch_size = batch >= 1.0 && batch < 1e9 ? (int64_t)batch : 0;
    fit.all = strcmp(fit.scenario, IL_ALL_SCENARIOS) == 0;
    if (fit.all) {
        fit.law = il_facts_law(f, fit.backend, fit.mode, fit.batch_size, "params_total", "power");
    }
    return fit;
}

/* The points that the fit was made from, with the exact interval of each median. */
static void scaling_points(drawing *d, il__plot *p, const fit_row *fit)
{
    const il_facts *f = d->facts;
    const il_artifact *t = fit->all ? &f->agg : &f->summary;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(il_artifact_text(t, i, "backend"), fit->backend) != 0 ||
            strcmp(il_artifact_text(t, i, "mode"), fit->mode) != 0 ||
            (fit->all && il_artifact_number(t, i, "batch_size") != (double)fit->batch_size) ||
            (!fit->all && strcmp(il_artifact_text(t, i, "scenario"), fit->scenario) != 0)) {
            continue;
        }
        const char *model = il_artifact_text(t, i, "model");
        il__point q = {
            .x = il_artifact_number(t, i, "params_millions_effective"),
            .y = il_artifact_number(t, i, fit->all ? "latency_geomean_ms" : "latency_median_ms"),
            .low = NAN,
            .high = NAN,
            .label = il_facts_model_name(f, model)};
        double batch = il_artifact_number(t, i, "batch_size");
        const il_cell_median *m = il_medians_find(&f->medians, fit->backend, model, fit->scenario,
                                                  fit->mode, batch >= 1.0 ? (int64_t)batch : 0);
        if (m) {
            q.low = m->low_ms;
            q.high = m->high_ms;
        }
        if (q.x > 0.0 && q.y > 0.0) {
            p->points[p->n_points++] = q;
        }
    }
}

/* The line of a slope through the centroid of the points, one of them left out (SIZE_MAX: none):
 * where least squares puts it, whatever unit the table's intercept has. */
static il__line line_through(const il__plot *p, double slope, size_t left_out)
{
    double sx = 0.0, sy = 0.0, low = INFINITY, high = -INFINITY;
    size_t n = 0;
    for (size_t i = 0; i < p->n_points; i++) {
        double x = log10(p->points[i].x);
        low = fmin(low, x);
        high = fmax(high, x);
        if (i != left_out) {
            sx += x;
            sy += log10(p->points[i].y);
            n++;
        }
    }
    double a = (sy - slope * sx) / (double)n, air = 0.05 * fmax(high - low, 0.15);
    return (il__line){.x0 = pow(10.0, low - air),
                      .x1 = pow(10.0, high + air),
                      .y0 = pow(10.0, a + slope * (low - air)),
                      .y1 = pow(10.0, a + slope * (high + air))};
}

static size_t point_of(const il__plot *p, const char *label)
{
    for (size_t i = 0; i < p->n_points; i++) {
        if (p->points[i].label && strcmp(p->points[i].label, label) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* leave_one_out.csv holds aggregates; its rows for this fit become grey lines, a decisive one
 * stands out and is named. */
static int ghost_lines(drawing *d, il__plot *p, const fit_row *fit)
{
    const il_artifact *t = &d->facts->leave_one_out;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(il_artifact_text(t, i, "term"), "slope") != 0 ||
            strcmp(il_artifact_text(t, i, "form"), "power") != 0 ||
            strcmp(il_artifact_text(t, i, "x"), "params_total") != 0 ||
            strcmp(il_artifact_text(t, i, "backend"), fit->backend) != 0 ||
            strcmp(il_artifact_text(t, i, "mode"), fit->mode) != 0 ||
            il_artifact_number(t, i, "batch_size") != (double)fit->batch_size) {
            continue;
        }
        const char *name = il_facts_model_name(d->facts, il_artifact_text(t, i, "left_out"));
        double slope = il_artifact_number(t, i, "estimate");
        size_t left_out = point_of(p, name);
        if (left_out == SIZE_MAX || !isfinite(slope) || p->n_points < 3) {
            continue;
        }
        il__line line = line_through(p, slope, left_out);
        line.kind = IL__LINE_GHOST;
        if (il_artifact_flag(t, i, "decisive")) {
            line.kind = IL__LINE_MARKED;
            line.label = il_arena_printf(d->arena, "without %s: slope %.2f", name, slope);
            if (!line.label) {
                return no_memory(d);
            }
        }
        p->lines[p->n_lines++] = line;
    }
    return IL_OK;
}

static const char *mode_axis(const drawing *d, const char *mode)
{
    if (strcmp(mode, "prefill") == 0) {
        return "prefill time, ms";
    }
    if (strcmp(mode, "kv_decode") == 0) {
        double n = il_facts_number(d->facts, NULL, "gen_tokens");
        const char *text = isfinite(n) && n >= 1.0
                               ? il_arena_printf(d->arena, "decode time of %.0f steps, ms", n)
                               : NULL;
        return text ? text : "decode time, ms";
    }
    return strcmp(mode, "e2e_kv") == 0 ? "end-to-end time, ms" : "time, ms";
}

/* Title: what, slope and R². Below: what the marks mean, and the verdict on the law. */
static int scaling_texts(drawing *d, il__plot *p, const fit_row *fit)
{
    char backend[160], scenario[160], because[400] = "", interval[96] = "";
    il_words_clean(backend, sizeof backend, fit->backend, 30);
    il_words_clean(scenario, sizeof scenario, fit->all ? "all scenarios" : fit->scenario, 24);
    bool bars = false;
    for (size_t i = 0; i < p->n_points; i++) {
        bars = bars || isfinite(p->points[i].low);
    }
    if (fit->law != SIZE_MAX) {
        const il_artifact *t = &d->facts->laws;
        double low = il_artifact_number(t, fit->law, "ci_low");
        double high = il_artifact_number(t, fit->law, "ci_high");
        if (il_findings_quotable(il_artifact_text(t, fit->law, "ci_method")) && isfinite(low) &&
            isfinite(high)) {
            (void)snprintf(interval, sizeof interval, ", 95 %% interval of the slope %.2f to %.2f",
                           low, high);
        }
        bool stands = strcmp(il_artifact_text(t, fit->law, "verdict"), "supported") == 0;
        char why[320];
        const char *reason = il_artifact_text(t, fit->law, "because");
        const char *rest = strstr(reason, "; "); /* qualifications stand in the report */
        char first[512];
        (void)snprintf(first, sizeof first, "%.*s", rest ? (int)(rest - reason) : 500, reason);
        il_words_sentence(why, sizeof why, first, 84);
        (void)snprintf(because, sizeof because, "%s%s%s",
                       stands ? "law supported" : "not identifiable", why[0] ? ": " : "", why);
    }
    p->title = il_arena_printf(d->arena, "%s, %s, %s: slope %.3f, R² %.3f", backend, fit->mode,
                               scenario, fit->slope, fit->r2);
    p->subtitle =
        il_arena_printf(d->arena, "%zu models%s%s%s\n%s", p->n_points, interval,
                        bars ? "; bars: exact 95 % intervals" : "; too few repetitions for bars",
                        p->n_lines > 1 ? "; grey: without one model" : "", because);
    return p->title && p->subtitle ? IL_OK : no_memory(d);
}

static int scaling_plot(drawing *d, size_t row)
{
    const il_facts *f = d->facts;
    fit_row fit = fit_read(f, row);
    if (!isfinite(fit.slope) || !isfinite(fit.intercept)) {
        return IL_OK; /* a fit that was not possible has no line to show */
    }
    il__plot *p = plot_new(d, f->summary.n_rows + f->agg.n_rows, f->leave_one_out.n_rows + 1);
    if (!p) {
        return no_memory(d);
    }
    p->x = (il__axis){.title = "parameters, millions", .log = true, .low = NAN, .high = NAN};
    p->y = (il__axis){.title = mode_axis(d, fit.mode), .log = true, .low = NAN, .high = NAN};
    scaling_points(d, p, &fit);
    if (p->n_points < 2) {
        return IL_OK;
    }
    int rc = fit.all ? ghost_lines(d, p, &fit) : IL_OK;
    if (rc != IL_OK) {
        return rc;
    }
    il__line line = line_through(p, fit.slope, SIZE_MAX);
    line.y0 = pow(10.0, fit.intercept + fit.slope * log10(line.x0));
    line.y1 = pow(10.0, fit.intercept + fit.slope * log10(line.x1));
    bool weak = fit.law != SIZE_MAX &&
                strcmp(il_artifact_text(&f->laws, fit.law, "verdict"), "supported") != 0;
    line.kind = weak ? IL__LINE_WEAK : IL__LINE_FIT;
    p->lines[p->n_lines++] = line;
    char suffix[32] = "";
    if (fit.all) {
        (void)snprintf(suffix, sizeof suffix, "__all__bs%lld", (long long)fit.batch_size);
    }
    p->name = plot_name(d, "scaling",
                        (const char *const[]){fit.backend, fit.mode, fit.all ? "" : fit.scenario},
                        suffix);
    rc = p->name ? scaling_texts(d, p, &fit) : no_memory(d);
    d->n_plots += rc == IL_OK;
    return rc;
}

/* ---- step time against parameters: the first picture of a report ---- */

static int step_plot(drawing *d)
{
    const il_facts *f = d->facts;
    il__plot *p = plot_new(d, f->medians.n_rows, IL__PLOT_SERIES);
    if (!p) {
        return no_memory(d);
    }
    const char *backends[IL__PLOT_SERIES];
    for (size_t i = 0; i < f->medians.n_rows; i++) {
        const il_cell_median *m = &f->medians.rows[i];
        double step[3];
        if (!il_median_is_step_of_size(m, step)) {
            continue;
        }
        size_t s = 0;
        while (s < p->n_series && strcmp(backends[s], m->backend) != 0) {
            s++;
        }
        if (s == IL__PLOT_SERIES) {
            continue; /* more backends than colours: the table has them all */
        }
        if (s == p->n_series) {
            backends[p->n_series] = m->backend;
            p->series[p->n_series++] = m->backend;
        }
        p->points[p->n_points++] = (il__point){.x = m->params_millions,
                                               .y = step[0],
                                               .low = step[1],
                                               .high = step[2],
                                               .series = (unsigned)s,
                                               .label = il_facts_model_name(f, m->model)};
    }
    if (p->n_points == 0) {
        return IL_OK;
    }
    /* The points of a backend are joined: the eye sees where a larger model is faster. */
    size_t n_points = p->n_points;
    il__line *joins = il_arena_array(d->arena, n_points, sizeof *joins);
    if (!joins) {
        return no_memory(d);
    }
    p->lines = joins;
    for (size_t i = 1; i < n_points; i++) {
        const il__point *a = &p->points[i - 1], *b = &p->points[i];
        if (a->series == b->series) {
            p->lines[p->n_lines++] = (il__line){.x0 = a->x,
                                                .y0 = a->y,
                                                .x1 = b->x,
                                                .y1 = b->y,
                                                .kind = IL__LINE_JOIN,
                                                .series = a->series};
        }
    }
    p->name = "step_time_vs_parameters";
    p->x = (il__axis){.title = "parameters, millions", .log = true, .low = NAN, .high = NAN};
    p->y = (il__axis){.title = "time of one decode step, ms", .log = true, .low = NAN, .high = NAN};
    p->title = "Time of one decode step against model size";
    bool bars = false;
    for (size_t i = 0; i < p->n_points; i++) {
        bars = bars || isfinite(p->points[i].low);
    }
    p->subtitle = bars ? "medians, geometric mean over scenarios; bars: exact 95 % intervals"
                       : "medians, geometric mean over scenarios; too few repetitions for bars";
    d->n_plots++;
    return IL_OK;
}

/* ---- servers that stop early ---- */

static int early_stop_plot(drawing *d)
{
    const il_artifact *t = &d->facts->early_stop;
    if (t->n_rows == 0) {
        return IL_OK;
    }
    il__plot *p = plot_new(d, t->n_rows, 1);
    if (!p) {
        return no_memory(d);
    }
    double target = NAN, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < t->n_rows; i++) {
        il__point q = {.x = il_artifact_number(t, i, "params_millions_effective_median"),
                       .y = il_artifact_number(t, i, "gen_tokens_raw_median"),
                       .low = NAN,
                       .high = NAN};
        double rate = il_artifact_number(t, i, "early_stop_rate");
        char scenario[100];
        il_words_clean(scenario, sizeof scenario, il_artifact_text(t, i, "scenario"), 16);
        if (!(q.x > 0.0) || !(q.y >= 0.0)) {
            continue;
        }
        q.series = rate > 0.0;
        q.label = il_arena_printf(d->arena, "%s, %s: %.0f %%",
                                  il_facts_model_name(d->facts, il_artifact_text(t, i, "model")),
                                  scenario, 100.0 * rate);
        if (!q.label) {
            return no_memory(d);
        }
        target = il_artifact_number(t, i, "gen_tokens_target");
        low = fmin(low, q.x);
        high = fmax(high, q.x);
        p->points[p->n_points++] = q;
    }
    if (p->n_points == 0) {
        return IL_OK;
    }
    double top = isfinite(target) ? target : 1.0;
    for (size_t i = 0; i < p->n_points; i++) {
        top = fmax(top, p->points[i].y);
    }
    p->name = "ollama_early_stop_sanity";
    p->x = (il__axis){
        .title = "parameters, millions", .log = true, .low = low / 2.2, .high = high * 2.2};
    p->y = (il__axis){.title = "tokens generated, median", .low = 0.0, .high = top * 1.18};
    p->title = "Ollama: did the server generate what was asked?";
    p->subtitle = "label: share of calls that stopped before the target; "
                  "dashed: the target";
    p->series[0] = "full length";
    p->series[1] = "stopped early";
    p->n_series = 2;
    if (isfinite(target)) {
        p->lines[p->n_lines++] =
            (il__line){.x0 = p->x.low,
                       .x1 = p->x.high,
                       .y0 = target,
                       .y1 = target,
                       .kind = IL__LINE_MARKED,
                       .label = il_arena_printf(d->arena, "target %.0f", target)};
    }
    d->n_plots++;
    return IL_OK;
}

/* ---- sweep ---- */

/* First of the names that the table has. */
static double number_of(const il_artifact *t, size_t row, const char *a, const char *b)
{
    double value = il_artifact_number(t, row, a);
    return isfinite(value) ? value : il_artifact_number(t, row, b);
}

static int sweep_plot(drawing *d, const il_artifact *t)
{
    il__plot *p = plot_new(d, t->n_rows, t->n_rows);
    if (!p) {
        return no_memory(d);
    }
    double least = 1.0;
    for (size_t i = 0; i < t->n_rows; i++) {
        const char *backend = il_artifact_text(t, i, "backend");
        size_t s = 0;
        while (s < p->n_series && strcmp(p->series[s], backend) != 0) {
            s++;
        }
        il__point q = {.x = number_of(t, i, "gen_tokens_target", "gen_tokens"),
                       .y = number_of(t, i, "decode_fraction_median", "median"),
                       .low = number_of(t, i, "decode_fraction_p25", "p25"),
                       .high = number_of(t, i, "decode_fraction_p75", "p75"),
                       .series = (unsigned)s};
        if (s == IL__PLOT_SERIES || !(q.x > 0.0) || !isfinite(q.y)) {
            continue;
        }
        if (s == p->n_series) {
            p->series[p->n_series++] = backend;
        }
        least = fmin(least, fmin(q.y, isfinite(q.low) ? q.low : q.y));
        p->points[p->n_points++] = q;
        for (size_t k = p->n_points - 1; k-- > 0;) { /* the step before in the same series */
            const il__point *o = &p->points[k];
            if (o->series == q.series) {
                p->lines[p->n_lines++] = (il__line){.x0 = o->x,
                                                    .y0 = o->y,
                                                    .x1 = q.x,
                                                    .y1 = q.y,
                                                    .kind = IL__LINE_JOIN,
                                                    .series = q.series};
                break;
            }
        }
    }
    if (p->n_points == 0) {
        return il_fail(d->err, IL_E_DAMAGED, "decode_fraction_summary.csv has no usable row");
    }
    p->name = "decode_fraction_by_gen_tokens";
    p->x = (il__axis){.title = "decode steps", .log = true, .low = NAN, .high = NAN};
    p->y = (il__axis){.title = "decode share of the end-to-end time",
                      .low = fmax(0.0, floor((least - 0.02) * 20.0) / 20.0),
                      .high = 1.0};
    p->title = "Share of decode in a call against its length";
    p->subtitle = "median over models; bars: quartiles over models, not an uncertainty";
    d->n_plots++;
    return IL_OK;
}

/* The lengths that were run are the numbers on the axis. */
static void sweep_ticks(il__plot *p)
{
    for (size_t i = 0; i < p->n_points; i++) {
        bool seen = false;
        for (size_t k = 0; k < p->x.n_ticks; k++) {
            seen = seen || p->x.ticks[k].at == p->points[i].x;
        }
        if (!seen && p->x.n_ticks < IL__PLOT_MOST_TICKS) {
            il__tick *t = &p->x.ticks[p->x.n_ticks++];
            t->at = p->points[i].x;
            (void)snprintf(t->text, sizeof t->text, "%.6g", t->at);
        }
    }
}

static int draw(drawing *d, const char *dir)
{
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < d->n_plots; i++) {
        rc = il__plot_layout(&d->plots[i], d->arena, d->err);
    }
    bool drawn = false;
    rc = rc == IL_OK ? il__gnuplot_draw(d->plots, d->n_plots, dir, &drawn, d->err) : rc;
    if (rc == IL_OK && !drawn) {
        il_log(IL_LOG_INFO,
               "gnuplot is not installed, so there are no plots (package gnuplot-nox)");
    }
    return rc;
}

int il_plots_write(il_facts *facts, il_error *err)
{
    drawing d = {.facts = facts, .arena = &facts->arena, .err = err};
    int rc = step_plot(&d);
    /* Aggregates first: their names are fixed, a scenario that clashes gets the hash. */
    for (int all = 1; all >= 0; all--) {
        for (size_t i = 0; rc == IL_OK && i < facts->fits.n_rows; i++) {
            bool is_all =
                strcmp(il_artifact_text(&facts->fits, i, "scenario"), IL_ALL_SCENARIOS) == 0;
            rc = is_all == (all == 1) ? scaling_plot(&d, i) : IL_OK;
        }
    }
    rc = rc == IL_OK ? early_stop_plot(&d) : rc;
    const char *dir = il_arena_printf(&facts->arena, "%s/analysis/plots", facts->run_dir);
    if (rc == IL_OK) {
        rc = dir ? draw(&d, dir) : no_memory(&d);
    }
    return rc;
}

int il_plots_write_sweep(const char *sweep_dir, il_error *err)
{
    il_arena arena = {0};
    il_facts nothing = {0};
    il_artifact table = {0};
    drawing d = {.facts = &nothing, .arena = &arena, .err = err};
    const char *file = "decode_fraction_summary.csv";
    const char *path = il_arena_printf(&arena, "%s/%s", sweep_dir, file);
    const char *dir = il_arena_printf(&arena, "%s/plots", sweep_dir);
    int rc = path && dir ? il_artifact_load(path, file, &arena, &table, err) : no_memory(&d);
    if (rc == IL_OK && !table.present) {
        rc = il_fail(err, IL_E_DAMAGED, "the sweep has no decode_fraction_summary.csv");
        il_error_where(err, "%s", sweep_dir);
        il_error_hint(err, "\"inferlaw sweep\" writes it after its last run");
    }
    rc = rc == IL_OK ? sweep_plot(&d, &table) : rc;
    if (rc == IL_OK) {
        sweep_ticks(&d.plots[0]);
        rc = draw(&d, dir);
    }
    il_arena_free(&arena);
    return rc;
}
