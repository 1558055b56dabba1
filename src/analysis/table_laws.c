/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * laws.csv, leave_one_out.csv, law_points.csv, law_curves.csv and baselines.csv: what latency
 * follows, in which form, and how far each law hangs on one model.
 */
#include "analysis/law_fit.h"

static const char *const law_columns[] = {
    "backend",     "batch_size", "mode",     "x",       "form",    "n_models",      "n_blocks",
    "replication", "term",       "estimate", "ci_low",  "ci_high", "ci_method",     "loo_mape",
    "loo_p95",     "delta_aicc", "selected", "verdict", "because", "form_loo_mape", "form_loo_p95"};
static const char *const loo_columns[] = {
    "backend",  "batch_size", "mode",         "x",        "form",           "term",
    "left_out", "estimate",   "estimate_all", "leverage", "cooks_distance", "decisive"};

/* The files, written side by side. */
typedef struct outputs {
    il_csv_writer laws, left_out, points, curves, baselines;
} outputs;

static int open_all(const il__run *run, outputs *out, il_error *err)
{
    static const il_csv_writer closed = {.fd = -1};
    *out = (outputs){closed, closed, closed, closed, closed};
    int rc =
        il__table_open(run, "laws.csv", law_columns, IL__COUNT_OF(law_columns), &out->laws, err);
    rc = rc ? rc
            : il__table_open(run, "leave_one_out.csv", loo_columns, IL__COUNT_OF(loo_columns),
                             &out->left_out, err);
    rc = rc ? rc
            : il__table_open(run, "law_points.csv", il__law_point_columns, IL__LAW_POINT_COLUMNS,
                             &out->points, err);
    rc = rc ? rc
            : il__table_open(run, "law_curves.csv", il__law_curve_columns, IL__LAW_CURVE_COLUMNS,
                             &out->curves, err);
    rc = rc ? rc
            : il__table_open(run, "baselines.csv", il__law_baseline_columns,
                             IL__LAW_BASELINE_COLUMNS, &out->baselines, err);
    return rc;
}

static int close_all(outputs *out, int rc, il_error *err)
{
    rc = rc ? rc : il_csv_close(&out->laws, err);
    rc = rc ? rc : il_csv_close(&out->left_out, err);
    rc = rc ? rc : il_csv_close(&out->points, err);
    rc = rc ? rc : il_csv_close(&out->curves, err);
    rc = rc ? rc : il_csv_close(&out->baselines, err);
    il_csv_abandon(&out->laws);
    il_csv_abandon(&out->left_out);
    il_csv_abandon(&out->points);
    il_csv_abandon(&out->curves);
    il_csv_abandon(&out->baselines);
    return rc;
}

static int write_law(const il__run *run, const il__laws *all, const il__law *l, il_csv_writer *out,
                     il_error *err)
{
    il_buf because;
    il_buf_init(&because, 1 << 16);
    il__law_say_why(l, &because);
    for (size_t term = 0; term < il_form_n_terms(l->form); term++) {
        il__law_write_key(run, l, out);
        il_csv_i64(out, (int64_t)l->n);
        il_csv_i64(out, (int64_t)l->n_blocks);
        il_csv_text(out, l->data->replication);
        il_csv_text(out, il_form_term_name(l->form, term));
        il_csv_f64(out, l->fitted ? l->loo.fit.coef[term] : NAN);
        il_csv_f64(out, l->terms[term].low);
        il_csv_f64(out, l->terms[term].high);
        il_csv_text(out, l->ci_method);
        /* The least of many errors is too good: the chosen law publishes what choosing errs by. */
        il_csv_f64(out, l->selected ? all->choice.mape : l->mape);
        il_csv_f64(out, l->selected ? all->choice.p95 : l->p95);
        il_csv_f64(out, l->delta_aicc);
        if (all->choice.chosen < all->choice.n_candidates) {
            il_csv_bool(out, l->selected);
        } else {
            il_csv_empty(out); /* too few models to choose */
        }
        il_csv_text(out, il__law_verdict(l));
        il_csv_text(out, il_buf_text(&because));
        il_csv_f64(out, l->mape);
        il_csv_f64(out, l->p95);
        il_csv_end_row(out);
    }
    int rc = because.status == IL_OK ? IL_OK : il_fail(err, because.status, "no memory for words");
    il_buf_free(&because);
    return rc;
}

static void write_left_out(const il__run *run, const il__law *l, il_csv_writer *out)
{
    size_t k = il_form_n_terms(l->form);
    for (size_t term = k; l->fitted && term-- > 0;) {
        for (size_t i = 0; i < l->n; i++) {
            const il_loo_row *row = &l->loo.loo.rows[k * i + term];
            il__law_write_key(run, l, out);
            il_csv_text(out, il_form_term_name(l->form, term));
            il_csv_text(out, l->models[i]->name);
            il_csv_f64(out, row->estimate);
            il_csv_f64(out, l->loo.fit.coef[term]);
            il_csv_f64(out, l->loo.loo.leverage[i]);
            il_csv_f64(out, l->loo.loo.cooks[i]);
            il_csv_bool(out, row->decisive);
            il_csv_end_row(out);
        }
    }
}

static int write_group(const il__run *run, const il__law_data *data, outputs *out, il_error *err)
{
    il__laws laws;
    int rc = il__laws_fit(run, data, &laws, err);
    for (size_t i = 0; rc == IL_OK && i < laws.n; i++) {
        const il__law *l = &laws.items[i];
        rc = write_law(run, &laws, l, &out->laws, err);
        rc = rc ? rc : il__law_write_points(run, l, &out->points, err);
        write_left_out(run, l, &out->left_out);
        il__law_write_curves(run, l, &out->curves);
    }
    if (rc == IL_OK) {
        il__law_write_baselines(run, data, &laws, &out->baselines);
        il__laws_free(&laws);
    }
    return rc;
}

int il__write_laws(const il__run *run, il_error *err)
{
    il__aggregates all;
    outputs out;
    int rc = il__aggregates_build(run, &all, err);
    if (rc != IL_OK) {
        return rc;
    }
    rc = open_all(run, &out, err);
    for (size_t i = 0; rc == IL_OK && i < all.n;) {
        size_t count = il__aggregate_run(&all, i);
        il__law_data data;
        rc = il__law_data_build(run, &all, i, count, &data, err);
        if (rc == IL_OK) {
            rc = write_group(run, &data, &out, err);
            il__law_data_free(&data);
        }
        i += count;
    }
    rc = close_all(&out, rc, err);
    il__aggregates_free(&all);
    return rc;
}
