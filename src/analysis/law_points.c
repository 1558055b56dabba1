/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rows of law_points.csv (each model against each law) and law_curves.csv (each law of one x, with
 * all models and without each).
 */
#include "analysis/law_fit.h"

const char *const il__law_point_columns[IL__LAW_POINT_COLUMNS] = {"backend",
                                                                  "batch_size",
                                                                  "mode",
                                                                  "x",
                                                                  "form",
                                                                  "model",
                                                                  "x_value",
                                                                  "observed_ms",
                                                                  "ci_low_ms",
                                                                  "ci_high_ms",
                                                                  "fitted_ms",
                                                                  "residual_percent",
                                                                  "loo_predicted_ms",
                                                                  "loo_error_percent",
                                                                  "leverage",
                                                                  "cooks_distance",
                                                                  "floor_ms"};
const char *const il__law_curve_columns[IL__LAW_CURVE_COLUMNS] = {
    "backend",  "batch_size", "mode",        "x",         "form",
    "left_out", "x_value",    "estimate_ms", "pi_low_ms", "pi_high_ms"};

enum { CURVE_POINTS = 33 };

/* Exact interval of the median of a model's replicates, ms; NaN ends when there are too few. */
static int observed(const il__law *l, size_t i, il_interval *out, il_error *err)
{
    const il__law_model *model = l->models[i];
    il_interval log_ms;
    int rc = il_quantile_interval(l->data->values + model->first, model->n_blocks, 0.5, 0.95,
                                  &log_ms, NULL, err);
    if (rc != IL_OK && rc != IL_E_TOO_FEW) {
        return rc;
    }
    *out = (il_interval){l->ms[i], pow(10, log_ms.low), pow(10, log_ms.high)};
    return IL_OK;
}

int il__law_write_points(const il__run *run, const il__law *l, il_csv_writer *out, il_error *err)
{
    size_t n_x = il_form_n_x(l->form);
    for (size_t i = 0; l->fitted && i < l->n; i++) {
        il_interval ms;
        int rc = observed(l, i, &ms, err);
        if (rc != IL_OK) {
            return rc;
        }
        double fitted = il_form_predict(&l->loo.fit, l->x + i * n_x);
        double left_out = pow(10, l->loo.loo.predicted[i]);
        left_out = left_out > 0 ? left_out : NAN;
        il__law_write_key(run, l, out);
        il_csv_text(out, l->models[i]->name);
        il_csv_f64(out, n_x == 1 ? l->x[i] : NAN);
        il_csv_f64(out, ms.estimate);
        il_csv_f64(out, ms.low);
        il_csv_f64(out, ms.high);
        il_csv_f64(out, fitted);
        il_csv_f64(out, 100 * (ms.estimate / fitted - 1));
        il_csv_f64(out, left_out);
        il_csv_f64(out, 100 * (left_out / ms.estimate - 1));
        il_csv_f64(out, l->loo.loo.leverage[i]);
        il_csv_f64(out, l->loo.loo.cooks[i]);
        il_csv_f64(out, l->models[i]->floor_ms);
        il_csv_end_row(out);
    }
    return IL_OK;
}

/* The curve of one fit over the range of x; the interval for a new model with all of them only. */
static void write_curve(const il__run *run, const il__law *l, const il_form_fit *fit,
                        const char *left_out, double low, double high, il_csv_writer *out)
{
    for (int p = 0; p < CURVE_POINTS; p++) {
        double at = (double)p / (CURVE_POINTS - 1);
        double x = p == 0 ? low : p == CURVE_POINTS - 1 ? high : low * pow(high / low, at);
        double ms = il_form_predict(fit, &x);
        double pi_low = NAN;
        double pi_high = NAN;
        if (!left_out[0]) {
            il_form_new_model(fit, &x, 0.95, &pi_low, &pi_high);
        }
        il__law_write_key(run, l, out);
        il_csv_text(out, left_out);
        il_csv_f64(out, x);
        il_csv_f64(out, ms > 0 ? ms : NAN);
        il_csv_f64(out, pi_low);
        il_csv_f64(out, pi_high);
        il_csv_end_row(out);
    }
}

void il__law_write_curves(const il__run *run, const il__law *l, il_csv_writer *out)
{
    if (!l->fitted || il_form_n_x(l->form) != 1) {
        return;
    }
    double low = INFINITY;
    double high = 0;
    for (size_t i = 0; i < l->n; i++) {
        low = fmin(low, l->x[i]);
        high = fmax(high, l->x[i]);
    }
    write_curve(run, l, &l->loo.fit, "", low, high, out);
    for (size_t i = 0; i < l->n; i++) {
        const il_loo_row *row = &l->loo.loo.rows[i * l->loo.fit.n_terms];
        if (!row[0].fitted) {
            continue;
        }
        il_form_fit part = {.form = l->form, .n_terms = l->loo.fit.n_terms};
        for (size_t t = 0; t < part.n_terms; t++) {
            part.coef[t] = row[t].estimate;
        }
        write_curve(run, l, &part, l->models[i]->name, low, high, out);
    }
}
