/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * laws.csv and leave_one_out.csv: power laws of latency in what a model is, and how far each hangs
 * on one model.
 */
#include "analysis/law_data.h"

#include "base/buf.h"
#include "stats/boot.h"
#include "stats/loo.h"

#include <stdlib.h>

static const char *const law_columns[] = {
    "backend",     "batch_size", "mode",     "x",       "form",    "n_models",  "n_blocks",
    "replication", "term",       "estimate", "ci_low",  "ci_high", "ci_method", "loo_mape",
    "loo_p95",     "delta_aicc", "selected", "verdict", "because"};
static const char *const loo_columns[] = {
    "backend",  "batch_size", "mode",         "x",        "form",           "term",
    "left_out", "estimate",   "estimate_all", "leverage", "cooks_distance", "decisive"};
/* Below seven models resamples often hold two models alone; there the t interval stands. */
enum { LEAST_TO_RESAMPLE = 7 };
static const char *const term_names[] = {"intercept", "slope"};

/* One law: the models whose x is known. */
typedef struct law {
    il__law_x x_kind;
    const il__law_data *data;
    size_t n;
    const il__law_model **models;
    double *x, *y; /* log10 */
    size_t n_unknown;
    bool fitted;
    il_loo loo;
    il_law_judgement judgement;
    il_boot_line boot;
    const char *ci_method;
    double mape, p95;
    double slope_unflagged;
    size_t n_blocks;
} law;

static int resample(const il__run *run, law *l, il_error *err)
{
    const il__law_data *data = l->data;
    double *values = malloc((data->n_values + 1) * sizeof *values);
    double *inside = malloc((l->n + 1) * sizeof *inside);
    size_t *first = malloc((l->n + 1) * sizeof *first);
    int rc = values && inside && first ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory to resample");
    if (rc == IL_OK) {
        first[0] = 0;
        for (size_t m = 0; m < l->n; m++) {
            const il__law_model *model = l->models[m];
            for (size_t b = 0; b < model->n_blocks; b++) {
                values[first[m] + b] = data->values[model->first + b];
            }
            first[m + 1] = first[m] + model->n_blocks;
            inside[m] = model->inside_var;
        }
        const il_nested nested = {l->n, l->x, values, first, inside};
        char row[1024];
        il__stream_row(row, sizeof row, run, data->key->backend, data->key->batch_size,
                       data->key->mode, il__law_x_names[l->x_kind]);
        il_stream stream = il_stream_open(run->seed, "laws.csv", row);
        rc = il_boot_line_nested(&nested, run->n_resamples_own, &stream, &l->boot, err);
    }
    free(values);
    free(inside);
    free(first);
    return rc;
}

/* The slope over the models without the rows that carry flags; NaN when it cannot be had. */
static double unflagged_slope(const law *l)
{
    double *xy = malloc(2 * (l->n + 1) * sizeof *xy);
    il_line line = {NAN, NAN, NAN};
    size_t n = 0;
    for (size_t i = 0; xy && i < l->n; i++) {
        if (!isnan(l->models[i]->y_unflagged)) {
            xy[n] = l->x[i];
            xy[l->n + n++] = l->models[i]->y_unflagged;
        }
    }
    if (xy) {
        (void)il_line_fit(xy, xy + l->n, n, &line);
    }
    free(xy);
    return line.slope;
}

static void collect(law *l)
{
    l->n_blocks = SIZE_MAX;
    for (size_t i = 0; i < l->data->n_models; i++) {
        const il__law_model *model = &l->data->models[i];
        if (!(model->x[l->x_kind] > 0)) {
            l->n_unknown++;
            continue;
        }
        l->models[l->n] = model;
        l->x[l->n] = log10(model->x[l->x_kind]);
        l->y[l->n++] = model->y;
        l->n_blocks = model->n_blocks < l->n_blocks ? model->n_blocks : l->n_blocks;
    }
}

static int fit(const il__run *run, law *l, il_error *err)
{
    int rc = il_loo_fit(l->x, l->y, l->n, 1, &l->loo, err);
    if (rc == IL_E_TOO_FEW || rc == IL_E_INVALID) {
        return IL_OK; /* no two different x: said in `because` */
    }
    if (rc != IL_OK) {
        return rc;
    }
    l->fitted = true;
    l->judgement = il_law_judge(&l->loo, 1);
    il_loo_error_log10(&l->loo, l->y, &l->mape, &l->p95);
    l->slope_unflagged = unflagged_slope(l);
    l->ci_method = l->n >= 3 ? "t" : "";
    l->boot.intercept = (il_interval){0, l->loo.ci_low[0], l->loo.ci_high[0]};
    l->boot.slope = (il_interval){0, l->loo.ci_low[1], l->loo.ci_high[1]};
    if (l->n >= LEAST_TO_RESAMPLE) {
        l->ci_method = "nested_bootstrap";
        rc = resample(run, l, err);
    }
    return rc;
}

static void say_decisive(const law *l, il_buf *out)
{
    const il_loo_row *row = &l->loo.rows[2 * l->judgement.model + 1];
    const char *name = l->models[l->judgement.model]->name;
    if (!row->fitted) {
        (void)il_buf_printf(out, "without %s there is no slope at all", name);
        return;
    }
    (void)il_buf_printf(out, "without %s the slope goes from %.3f to %.3f", name,
                        l->loo.fit.coef[1], row->estimate);
    if (l->judgement.n_decisive > 1) {
        (void)il_buf_printf(out, "; %zu models are decisive", l->judgement.n_decisive);
    }
}

static void say_supported(const law *l, il_buf *out)
{
    double low = INFINITY;
    double high = -INFINITY;
    for (size_t i = 0; i < l->n; i++) {
        low = fmin(low, l->loo.rows[2 * i + 1].estimate);
        high = fmax(high, l->loo.rows[2 * i + 1].estimate);
    }
    (void)il_buf_printf(
        out,
        "no model is decisive: the slope %.3f stays between %.3f and %.3f whichever "
        "of the %zu models is left out",
        l->loo.fit.coef[1], low, high, l->n);
    if (l->boot.slope.low <= 0 && l->boot.slope.high >= 0) {
        (void)il_buf_puts(out, "; its interval takes in 0");
    }
}

/* The verdict's reason in words, with the number and the model. */
static void say_why(const law *l, il_buf *out)
{
    const char *x = il__law_x_names[l->x_kind];
    if (!l->fitted) {
        (void)il_buf_printf(out, "%zu model%s without two different values of %s", l->n,
                            l->n == 1 ? "" : "s", x);
    } else {
        switch (l->judgement.verdict) {
        case IL_LAW_TOO_FEW_MODELS:
            (void)il_buf_printf(out, "n: a line needs %zu models, there are %zu",
                                l->judgement.n_needed, l->n);
            if (l->judgement.n_decisive > 0) {
                (void)il_buf_puts(out, "; ");
                say_decisive(l, out);
            }
            break;
        case IL_LAW_LEVERAGE_ONE:
            (void)il_buf_printf(out, "%s alone fixes the slope: leverage 1",
                                l->models[l->judgement.model]->name);
            break;
        case IL_LAW_DECISIVE:
            say_decisive(l, out);
            break;
        case IL_LAW_SUPPORTED:
            say_supported(l, out);
            break;
        }
    }
    if (l->data->n_flagged > 0 && isnan(l->slope_unflagged)) {
        (void)il_buf_printf(out, "; %zu rows carry flags, and too few models are left without them",
                            l->data->n_flagged);
    } else if (l->data->n_flagged > 0) {
        (void)il_buf_printf(out, "; without the %zu flagged rows the slope is %.3f",
                            l->data->n_flagged, l->slope_unflagged);
    }
    if (l->n_unknown > 0) {
        (void)il_buf_printf(out, "; %zu models without known %s are left out", l->n_unknown, x);
    }
    if (l->data->missing[0]) {
        (void)il_buf_printf(out, "; %s", l->data->missing);
    }
}

static void write_key(const il__run *run, const law *l, il_csv_writer *out)
{
    il_csv_text(out, il__text(run, l->data->key->backend));
    il_csv_f64(out, l->data->key->batch_size);
    il_csv_text(out, il__text(run, l->data->key->mode));
    il_csv_text(out, il__law_x_names[l->x_kind]);
    il_csv_text(out, "power");
}

static int write_law(const il__run *run, const law *l, il_csv_writer *out, il_error *err)
{
    il_buf because;
    il_buf_init(&because, 1 << 16);
    say_why(l, &because);
    bool supported = l->fitted && l->judgement.verdict == IL_LAW_SUPPORTED;
    for (int term = 0; term < 2; term++) {
        const il_interval *ci = term == 0 ? &l->boot.intercept : &l->boot.slope;
        write_key(run, l, out);
        il_csv_i64(out, (int64_t)l->n);
        il_csv_i64(out, (int64_t)l->n_blocks);
        il_csv_text(out, l->data->replication);
        il_csv_text(out, term_names[term]);
        il_csv_f64(out, l->fitted ? l->loo.fit.coef[term] : NAN);
        il_csv_f64(out, ci->low);
        il_csv_f64(out, ci->high);
        il_csv_text(out, l->ci_method);
        il_csv_f64(out, l->mape);
        il_csv_f64(out, l->p95);
        il_csv_empty(out); /* one form alone is not a choice */
        il_csv_empty(out);
        il_csv_text(out, supported ? "supported" : "not_identifiable");
        il_csv_text(out, il_buf_text(&because));
        il_csv_end_row(out);
    }
    int rc = because.status == IL_OK ? IL_OK : il_fail(err, because.status, "no memory for words");
    il_buf_free(&because);
    return rc;
}

static void write_left_out(const il__run *run, const law *l, il_csv_writer *out)
{
    for (int term = 1; l->fitted && term >= 0; term--) {
        for (size_t i = 0; i < l->n; i++) {
            const il_loo_row *row = &l->loo.rows[2 * i + (size_t)term];
            write_key(run, l, out);
            il_csv_text(out, term_names[term]);
            il_csv_text(out, l->models[i]->name);
            il_csv_f64(out, row->estimate);
            il_csv_f64(out, l->loo.fit.coef[term]);
            il_csv_f64(out, l->loo.leverage[i]);
            il_csv_f64(out, l->loo.cooks[i]);
            il_csv_bool(out, row->decisive);
            il_csv_end_row(out);
        }
    }
}

static int write_one(const il__run *run, const il__law_data *data, il__law_x x_kind,
                     il_csv_writer *laws, il_csv_writer *left_out, il_error *err)
{
    static const il_interval none = {NAN, NAN, NAN};
    law l = {.x_kind = x_kind,
             .data = data,
             .boot = {none, none, 0, 0},
             .ci_method = "",
             .mape = NAN,
             .p95 = NAN,
             .slope_unflagged = NAN};
    l.models = malloc((data->n_models + 1) * sizeof *l.models);
    l.x = malloc(2 * (data->n_models + 1) * sizeof *l.x);
    if (!l.models || !l.x) {
        free(l.models);
        free(l.x);
        return il_fail(err, IL_E_NOMEM, "no memory for a law");
    }
    l.y = l.x + data->n_models + 1;
    collect(&l);
    int rc = IL_OK;
    if (l.n > 0) { /* an unknown x gives no row */
        rc = fit(run, &l, err);
        rc = rc ? rc : write_law(run, &l, laws, err);
        if (rc == IL_OK) {
            write_left_out(run, &l, left_out);
        }
    }
    if (l.fitted) {
        il_loo_free(&l.loo);
    }
    free(l.models);
    free(l.x);
    return rc;
}

int il__write_laws(const il__run *run, il_error *err)
{
    il__aggregates all;
    il_csv_writer laws = {.fd = -1};
    il_csv_writer left_out = {.fd = -1};
    int rc = il__aggregates_build(run, &all, err);
    rc = rc ? rc
            : il__table_open(run, "laws.csv", law_columns, IL__COUNT_OF(law_columns), &laws, err);
    rc = rc ? rc
            : il__table_open(run, "leave_one_out.csv", loo_columns, IL__COUNT_OF(loo_columns),
                             &left_out, err);
    for (size_t i = 0; rc == IL_OK && i < all.n;) {
        size_t count = il__aggregate_run(&all, i);
        il__law_data data;
        rc = il__law_data_build(run, &all, i, count, &data, err);
        for (int x = 0; x < IL__X_COUNT && rc == IL_OK; x++) {
            rc = write_one(run, &data, (il__law_x)x, &laws, &left_out, err);
        }
        il__law_data_free(&data);
        i += count;
    }
    rc = rc ? rc : il_csv_close(&laws, err);
    rc = rc ? rc : il_csv_close(&left_out, err);
    il_csv_abandon(&laws);
    il_csv_abandon(&left_out);
    il__aggregates_free(&all);
    return rc;
}
