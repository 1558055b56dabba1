/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scaling_fits.csv, scaling_fits_length_limited.csv and overhead_compute_fits.csv: latency against
 * millions of parameters, as the TR121 study fits it.
 */
#include "analysis/tables.h"

#include "base/text.h"
#include "stats/boot.h"
#include "stats/order.h"
#include "stats/overhead.h"
#include "stats/rank.h"

#include <stdlib.h>
#include <string.h>

#define FIT_COLUMNS                                                                                \
    "n_models", "ok", "log10_intercept", "slope", "r2", "spearman_rho_loglog",                     \
        "spearman_p_loglog", "theilsen_slope", "theilsen_log10_intercept",                         \
        "theilsen_slope_ci_low", "theilsen_slope_ci_high", "slope_ci_low", "slope_ci_high",        \
        "log10_intercept_ci_low", "log10_intercept_ci_high", "boot_n_used", "boot_n_requested"

static const char *const scaling_columns[] = {"backend",  "backend_kind", "batch_size", "mode",
                                              "scenario", "aggregation",  FIT_COLUMNS};
static const char *const limited_columns[] = {"backend", "backend_kind", "batch_size",
                                              "mode",    "scenario",     "aggregation",
                                              "filter",  FIT_COLUMNS};
static const char *const overhead_columns[] = {"backend",
                                               "backend_kind",
                                               "batch_size",
                                               "mode",
                                               "aggregation",
                                               "fit",
                                               "n_models",
                                               "ok",
                                               "a_ms",
                                               "b_ms_per_million_params",
                                               "r2",
                                               "overhead_fraction_at_min_model",
                                               "overhead_fraction_at_max_model",
                                               "b",
                                               "s"};

/* A fit waiting to be written: its key and the points in the pool. */
typedef struct group {
    il_text_id backend, backend_kind, mode;
    const char *scenario; /* "__all__" for the aggregate */
    double batch_size;
    size_t first, n;
} group;

typedef struct groups {
    group *items;
    size_t n;
    double *params, *latency; /* the pool of points */
    size_t n_points;
} groups;

static int groups_open(const il__run *run, groups *out, il_error *err)
{
    size_t cap = 2 * il_rows_cell_count(run->rows) + 2;
    *out = (groups){.items = malloc(cap * sizeof *out->items),
                    .params = malloc(cap * sizeof(double)),
                    .latency = malloc(cap * sizeof(double))};
    return out->items && out->params && out->latency
               ? IL_OK
               : il_fail(err, IL_E_NOMEM, "no memory for the points of the fits");
}

static void groups_free(groups *g)
{
    free(g->items);
    free(g->params);
    free(g->latency);
}

static void add_point(groups *g, double params, double latency)
{
    if (params > 0 && latency > 0) {
        g->params[g->n_points] = params;
        g->latency[g->n_points++] = latency;
        g->items[g->n - 1].n++;
    }
}

/* Cells come sorted by backend, mode, scenario, parameters: a group is a stretch of them. */
static void add_scenarios(const il__run *run, groups *g)
{
    const il_cell *last = NULL;
    for (size_t i = 0; i < il_rows_cell_count(run->rows); i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        if (il__cell_n(run, cell) == 0) {
            continue;
        }
        if (!last || last->backend != cell->backend || last->mode != cell->mode ||
            last->scenario != cell->scenario) {
            g->items[g->n++] = (group){
                cell->backend,    cell->backend_kind, cell->mode, il__text(run, cell->scenario),
                cell->batch_size, g->n_points,        0};
        }
        add_point(g, cell->params, il__cell_median(run, i, IL_Q_latency));
        last = cell;
    }
}

static void add_aggregates(const il__run *run, const il__aggregates *all, groups *g)
{
    for (size_t i = 0; i < all->n;) {
        const il__aggregate *a = &all->items[i];
        size_t end = i + il__aggregate_run(all, i);
        g->items[g->n++] =
            (group){a->backend, a->backend_kind, a->mode, "__all__", a->batch_size, g->n_points, 0};
        for (; i < end; i++) {
            add_point(g, all->items[i].params,
                      il__aggregate_geomean(run, all, &all->items[i], IL_Q_latency));
        }
    }
}

static const il__run *sorted_run;

static int by_group(const void *pa, const void *pb)
{
    const group *a = pa;
    const group *b = pb;
    int order = strcmp(il__text(sorted_run, a->backend), il__text(sorted_run, b->backend));
    order = order ? order : strcmp(il__text(sorted_run, a->mode), il__text(sorted_run, b->mode));
    order = order ? order : strcmp(a->scenario, b->scenario);
    return order ? order : (a->batch_size > b->batch_size) - (a->batch_size < b->batch_size);
}

static void write_key(const il__run *run, const group *item, il_csv_writer *out)
{
    il_csv_text(out, il__text(run, item->backend));
    il_csv_text(out, il__text(run, item->backend_kind));
    il_csv_f64(out, item->batch_size);
    il_csv_text(out, il__text(run, item->mode));
}

/* The fit of one group; columns that cannot be computed stay blank. */
static int write_fit(const il__run *run, const char *table, const groups *g, const group *item,
                     double *lx, double *ly, il_csv_writer *out, il_error *err)
{
    size_t n = item->n;
    for (size_t i = 0; i < n; i++) {
        lx[i] = log10(g->params[item->first + i]);
        ly[i] = log10(g->latency[item->first + i]);
    }
    il_line line;
    bool ok = il_line_fit(lx, ly, n, &line) == IL_OK;
    il_spearman spearman = {NAN, NAN};
    il_theil_sen robust = {NAN, NAN, NAN, NAN, 0};
    il_boot_line boot = {{NAN, NAN, NAN}, {NAN, NAN, NAN}, run->n_resamples, 0};
    if (ok) {
        char row[1024];
        il__stream_row(row, sizeof row, run, item->backend, item->batch_size, item->mode,
                       item->scenario);
        il_stream stream = il_stream_open(run->seed, table, row);
        int rc = il_spearman_fit(lx, ly, n, &spearman, err);
        rc = rc ? rc : il_theil_sen_fit(lx, ly, n, &robust, err);
        rc = rc ? rc : il_boot_line_pairs(lx, ly, n, run->n_resamples, &stream, &boot, err);
        if (rc != IL_OK) {
            return rc;
        }
    }
    il_csv_i64(out, (int64_t)n);
    il_csv_bool(out, ok);
    const double values[] = {line.intercept,     line.slope,       line.r2,
                             spearman.rho,       spearman.p,       robust.slope,
                             robust.intercept,   robust.slope_low, robust.slope_high,
                             boot.slope.low,     boot.slope.high,  boot.intercept.low,
                             boot.intercept.high};
    for (size_t i = 0; i < IL__COUNT_OF(values); i++) {
        il_csv_f64(out, values[i]);
    }
    il_csv_i64(out, (int64_t)boot.n_used);
    il_csv_i64(out, (int64_t)boot.n_requested);
    il_csv_end_row(out);
    return IL_OK;
}

static int write_groups(const il__run *run, const char *name, groups *g, const char *filter,
                        il_error *err)
{
    il_csv_writer out;
    double *logs = malloc((2 * g->n_points + 2) * sizeof *logs);
    int rc = logs ? il__table_open(run, name, filter ? limited_columns : scaling_columns,
                                   filter ? IL__COUNT_OF(limited_columns)
                                          : IL__COUNT_OF(scaling_columns),
                                   &out, err)
                  : il_fail(err, IL_E_NOMEM, "no memory for logarithms");
    if (rc != IL_OK) {
        free(logs);
        return rc;
    }
    sorted_run = run;
    if (g->n > 1) {
        qsort(g->items, g->n, sizeof *g->items, by_group);
    }
    for (size_t i = 0; i < g->n && rc == IL_OK; i++) {
        const group *item = &g->items[i];
        write_key(run, item, &out);
        il_csv_text(&out, item->scenario);
        il_csv_text(&out, strcmp(item->scenario, "__all__") == 0 ? "geomean_across_scenarios"
                                                                 : "scenario");
        if (filter) {
            il_csv_text(&out, filter);
        }
        rc = write_fit(run, name, g, item, logs, logs + g->n_points + 1, &out, err);
    }
    if (rc == IL_OK) {
        rc = il_csv_close(&out, err);
    } else {
        il_csv_abandon(&out);
    }
    free(logs);
    return rc;
}

/* Median latency of a cell's rows that ran to the length asked for; prefill rows all count. */
static double limited_median(const il__run *run, const il_cell *cell, double *scratch)
{
    const double *latency = il_rows_values(run->rows, IL_Q_latency);
    bool all = il__is_mode(run, cell, "prefill");
    size_t n = 0;
    for (size_t i = cell->first; i < cell->first + il__cell_n(run, cell); i++) {
        if (all || !il__stopped_early(run, i)) {
            scratch[n++] = latency[i];
        }
    }
    return il_quantile_select(scratch, n, 0.5);
}

static void add_limited(const il__run *run, const il__aggregates *all, double *scratch, groups *g)
{
    for (size_t i = 0; i < all->n;) {
        const il__aggregate *a = &all->items[i];
        size_t end = i + il__aggregate_run(all, i);
        if (!il__is_kind(run, il_rows_cell(run->rows, all->cells[a->first]), "ollama")) {
            i = end;
            continue;
        }
        g->items[g->n++] =
            (group){a->backend, a->backend_kind, a->mode, "__all__", a->batch_size, g->n_points, 0};
        for (; i < end; i++) {
            const il__aggregate *item = &all->items[i];
            double sum = 0;
            size_t n = 0;
            for (size_t c = item->first; c < item->first + item->n; c++) {
                double median =
                    limited_median(run, il_rows_cell(run->rows, all->cells[c]), scratch);
                if (median > 0) {
                    sum += log(median);
                    n++;
                }
            }
            add_point(g, item->params, n ? exp(sum / (double)n) : NAN);
        }
    }
}

int il__write_scaling(const il__run *run, il_error *err)
{
    il__aggregates all;
    groups fits = {0};
    groups limited = {0};
    int rc = il__aggregates_build(run, &all, err);
    il_scratch scratch = {.data = NULL};
    rc = rc ? rc
            : il_scratch_take(&scratch, run->out_dir, il__most_values(run), sizeof(double), err);
    rc = rc ? rc : groups_open(run, &fits, err);
    rc = rc ? rc : groups_open(run, &limited, err);
    if (rc == IL_OK) {
        add_scenarios(run, &fits);
        add_aggregates(run, &all, &fits);
        add_limited(run, &all, scratch.data, &limited);
        rc = write_groups(run, "scaling_fits.csv", &fits, NULL, err);
    }
    rc = rc ? rc
            : write_groups(run, "scaling_fits_length_limited.csv", &limited,
                           "length_limited_decode_only", err);
    il_scratch_free(&scratch);
    groups_free(&fits);
    groups_free(&limited);
    il__aggregates_free(&all);
    return rc;
}

static void write_overhead_row(const il__run *run, const groups *g, const group *item, bool power,
                               il_csv_writer *out)
{
    const double *p = g->params + item->first;
    const double *y = g->latency + item->first;
    il_overhead_fit fit;
    int rc = power ? il_overhead_power(p, y, item->n, &fit, NULL)
                   : il_overhead_affine(p, y, item->n, &fit, NULL);
    double least = INFINITY;
    double most = -INFINITY;
    for (size_t i = 0; i < item->n; i++) {
        least = fmin(least, p[i]);
        most = fmax(most, p[i]);
    }
    write_key(run, item, out);
    il_csv_text(out, "geomean_across_scenarios");
    il_csv_text(out, power ? "lat = a + b*P^s" : "lat = a + b*P");
    il_csv_i64(out, (int64_t)item->n);
    il_csv_bool(out, rc == IL_OK);
    il_csv_f64(out, fit.a);
    il_csv_f64(out, power ? NAN : fit.b);
    il_csv_f64(out, fit.r2);
    il_csv_f64(out, rc == IL_OK ? il_overhead_fraction(&fit, least) : NAN);
    il_csv_f64(out, rc == IL_OK ? il_overhead_fraction(&fit, most) : NAN);
    il_csv_f64(out, power ? fit.b : NAN);
    il_csv_f64(out, power ? fit.s : NAN);
    il_csv_end_row(out);
}

int il__write_overhead(const il__run *run, il_error *err)
{
    il__aggregates all;
    groups g = {0};
    il_csv_writer out;
    int rc = il__aggregates_build(run, &all, err);
    rc = rc ? rc : groups_open(run, &g, err);
    rc = rc ? rc
            : il__table_open(run, "overhead_compute_fits.csv", overhead_columns,
                             IL__COUNT_OF(overhead_columns), &out, err);
    if (rc == IL_OK) {
        add_aggregates(run, &all, &g);
        for (size_t i = 0; i < g.n; i++) {
            write_overhead_row(run, &g, &g.items[i], false, &out);
            write_overhead_row(run, &g, &g.items[i], true, &out);
        }
        rc = il_csv_close(&out, err);
    }
    groups_free(&g);
    il__aggregates_free(&all);
    return rc;
}
