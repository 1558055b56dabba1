/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * regimes.csv: whether one power law holds over all sizes, or its exponent changes at some size.
 * The rules are those of docs/regimes.md, fixed beforehand.
 */
#include "analysis/law_data.h"

#include "base/buf.h"
#include "stats/segmented.h"

#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"backend",
                                      "mode",
                                      "x",
                                      "n_breaks",
                                      "break_at",
                                      "ci_low",
                                      "ci_high",
                                      "davies_p",
                                      "delta_aicc",
                                      "slope_below",
                                      "slope_above",
                                      "verdict",
                                      "because",
                                      "batch_size",
                                      "n_models",
                                      "slope_below_low",
                                      "slope_below_high",
                                      "slope_above_low",
                                      "slope_above_high",
                                      "profile_low",
                                      "profile_high"};

enum { SIDE = IL_SEGMENTED_LEAST_SIDE };
#define DAVIES_LEVEL     0.01
#define LEAST_DELTA_AICC 10.0
#define OCTAVE           0.30102999566398120
/* "No break" is shown when no break that changes the exponent by this much is left possible. */
#define CHANGE_THAT_MATTERS 0.25

/* What a size is: an exponent in layers or width alone mixes with the other. */
static const char *const sizes[] = {"params_total", "params_non_embedding", "params_active",
                                    "bytes_read", "flops"};

typedef struct regime {
    const il__law_data *data;
    const char *x_name;
    size_t n;
    double *x, *y; /* log10 */
    const char **names;
    il_segmented line, broken, twice;
    il_davies davies;
    bool fitted, has_twice;
    double delta_aicc;      /* of one break against none; of two against one where two are chosen */
    double low[2], high[2]; /* of the breaks, log10: profile and bootstrap together */
    size_t n_breaks;
    bool supported;
} regime;

static bool is_size(const char *x)
{
    for (size_t i = 0; i < IL__COUNT_OF(sizes); i++) {
        if (strcmp(sizes[i], x) == 0) {
            return true;
        }
    }
    return false;
}

/* Fits all of it; fitted stays false when there are too few models or sizes. */
static int fit(const il__run *run, regime *r, il_error *err)
{
    if (r->n < 2 * SIDE || il_davies_test(r->x, r->y, r->n, SIDE, &r->davies, NULL) != IL_OK ||
        il_segmented_fit(r->x, r->y, r->n, 0, SIDE, &r->line, NULL) != IL_OK ||
        il_segmented_fit(r->x, r->y, r->n, 1, SIDE, &r->broken, NULL) != IL_OK) {
        return IL_OK;
    }
    r->fitted = true;
    r->delta_aicc = r->line.aicc - r->broken.aicc;
    r->has_twice = il_segmented_fit(r->x, r->y, r->n, 2, SIDE, &r->twice, NULL) == IL_OK;
    r->low[0] = r->broken.breaks[0].low;
    r->high[0] = r->broken.breaks[0].high;
    if (!(r->davies.p < DAVIES_LEVEL)) {
        return IL_OK;
    }
    r->n_breaks = 1;
    if (r->has_twice && r->broken.aicc - r->twice.aicc > LEAST_DELTA_AICC) {
        r->n_breaks = 2;
        r->delta_aicc = r->broken.aicc - r->twice.aicc;
        for (size_t j = 0; j < 2; j++) {
            r->low[j] = r->twice.breaks[j].low;
            r->high[j] = r->twice.breaks[j].high;
        }
        return IL_OK;
    }
    char row[1024];
    il__stream_row(row, sizeof row, run, r->data->key->backend, r->data->key->batch_size,
                   r->data->key->mode, r->x_name);
    il_stream stream = il_stream_open(run->seed, "regimes.csv", row);
    double low;
    double high;
    int rc = il_segmented_bootstrap(r->x, r->y, &r->broken, SIDE, run->n_resamples_own, &stream,
                                    &low, &high, err);
    r->low[0] = rc == IL_OK ? fmin(r->low[0], low) : NAN;
    r->high[0] = rc == IL_OK ? fmax(r->high[0], high) : NAN;
    return rc;
}

static const il_segmented *chosen(const regime *r)
{
    return r->n_breaks == 2 ? &r->twice : &r->broken;
}

/* The model without which Davies' test is silent or the break is elsewhere; n when there is none.
 */
static size_t decisive(const regime *r, double *x, double *y, double *p_without,
                       double *break_without)
{
    for (size_t i = 0; i < r->n; i++) {
        size_t n = 0;
        for (size_t k = 0; k < r->n; k++) {
            if (k != i) {
                x[n] = r->x[k];
                y[n++] = r->y[k];
            }
        }
        /* One side may lose its fifth model by this: four are enough to see it stand. */
        il_davies davies = {1, NAN, NAN};
        il_segmented broken = {0};
        (void)il_davies_test(x, y, n, SIDE - 1, &davies, NULL);
        bool fitted = il_segmented_fit(x, y, n, 1, SIDE - 1, &broken, NULL) == IL_OK;
        *p_without = davies.p;
        *break_without = fitted ? broken.breaks[0].at : NAN;
        if (!(davies.p < DAVIES_LEVEL) || !fitted ||
            fabs(broken.breaks[0].at - r->broken.breaks[0].at) > OCTAVE) {
            return i;
        }
    }
    return r->n;
}

/* The first rule that a break fails, in words; nothing when it stands. */
static void say_unsettled(const regime *r, il_buf *out)
{
    const il_segmented *f = chosen(r);
    if (!(r->delta_aicc > LEAST_DELTA_AICC)) {
        (void)il_buf_printf(out, "dAICc is %.1f, a break needs more than 10", r->delta_aicc);
        return;
    }
    for (size_t j = 0; j < r->n_breaks; j++) {
        const il_break *b = &f->breaks[j];
        double below = b->at - r->low[j];
        double above = r->high[j] - b->at;
        if (b->open_low || b->open_high) {
            (void)il_buf_printf(out, "the interval of the break is open %s",
                                b->open_low ? "below" : "above");
            return;
        }
        if (!(below < OCTAVE && above < OCTAVE)) {
            (void)il_buf_printf(out,
                                "the interval of the break spans %.2f octaves below and %.2f "
                                "above it, less than one is needed on each side",
                                below / OCTAVE, above / OCTAVE);
            return;
        }
        if (!(f->slope_high[j] < f->slope_low[j + 1] || f->slope_high[j + 1] < f->slope_low[j])) {
            (void)il_buf_printf(out,
                                "the intervals of the exponents overlap: %.3f to %.3f below, "
                                "%.3f to %.3f above",
                                f->slope_low[j], f->slope_high[j], f->slope_low[j + 1],
                                f->slope_high[j + 1]);
            return;
        }
    }
}

static int say_decisive(const regime *r, il_buf *out, il_error *err)
{
    if (r->n_breaks != 1) {
        return IL_OK;
    }
    double *work = malloc(2 * (r->n + 1) * sizeof *work);
    if (!work) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu models", r->n);
    }
    double p;
    double at;
    size_t i = decisive(r, work, work + r->n, &p, &at);
    if (i < r->n && !(p < DAVIES_LEVEL)) {
        (void)il_buf_printf(out, "without %s Davies' p is %.3g", r->names[i], p);
    } else if (i < r->n) {
        (void)il_buf_printf(out, "without %s the break is at %.4g instead of %.4g", r->names[i],
                            pow(10, at), pow(10, r->broken.breaks[0].at));
    }
    free(work);
    return IL_OK;
}

static int judge(regime *r, il_buf *because, il_error *err)
{
    if (!r->fitted) {
        (void)il_buf_printf(because, "n: two regimes need %d models a side, there are %zu in all",
                            (int)SIDE, r->n);
        if (r->n >= 2 * SIDE) {
            (void)il_buf_puts(because, ", and too few different sizes");
        }
        return IL_OK;
    }
    if (r->n_breaks == 0) {
        r->supported = r->davies.change_not_excluded < CHANGE_THAT_MATTERS;
        (void)il_buf_printf(because,
                            "no break found (Davies p = %.3g); %s a change of the exponent by "
                            "%.2f or more is excluded anywhere with %d models a side",
                            r->davies.p, r->supported ? "and" : "but only",
                            r->davies.change_not_excluded, (int)SIDE);
        return IL_OK;
    }
    say_unsettled(r, because);
    int rc = because->len == 0 ? say_decisive(r, because, err) : IL_OK;
    if (rc == IL_OK && because->len == 0) {
        r->supported = true;
        (void)il_buf_printf(because,
                            "Davies p = %.2g, dAICc = %.1f, the exponents' intervals are apart "
                            "and no model decides alone",
                            r->davies.p, r->delta_aicc);
    }
    return rc;
}

static void write_row(const il__run *run, const regime *r, size_t j, const char *because,
                      il_csv_writer *out)
{
    const il_segmented *f = chosen(r);
    bool broken = r->fitted && r->n_breaks > 0;
    il_csv_text(out, il__text(run, r->data->key->backend));
    il_csv_text(out, il__text(run, r->data->key->mode));
    il_csv_text(out, r->x_name);
    if (r->fitted) {
        il_csv_i64(out, (int64_t)r->n_breaks);
    } else {
        il_csv_empty(out);
    }
    il_csv_f64(out, broken ? pow(10, f->breaks[j].at) : NAN);
    il_csv_f64(out, broken ? pow(10, r->low[j]) : NAN);
    il_csv_f64(out, broken ? pow(10, r->high[j]) : NAN);
    il_csv_f64(out, r->fitted ? r->davies.p : NAN);
    il_csv_f64(out, r->fitted ? r->delta_aicc : NAN);
    il_csv_f64(out, broken ? f->slope[j] : r->fitted ? r->line.slope[0] : NAN);
    il_csv_f64(out, broken ? f->slope[j + 1] : NAN);
    il_csv_text(out, r->supported ? "supported" : "not_identifiable");
    il_csv_text(out, because);
    il_csv_f64(out, r->data->key->batch_size);
    il_csv_i64(out, (int64_t)r->n);
    const il_segmented *s = broken ? f : &r->line;
    il_csv_f64(out, r->fitted ? s->slope_low[j] : NAN);
    il_csv_f64(out, r->fitted ? s->slope_high[j] : NAN);
    il_csv_f64(out, broken ? f->slope_low[j + 1] : NAN);
    il_csv_f64(out, broken ? f->slope_high[j + 1] : NAN);
    il_csv_f64(out, broken ? pow(10, f->breaks[j].low) : NAN);
    il_csv_f64(out, broken ? pow(10, f->breaks[j].high) : NAN);
    il_csv_end_row(out);
}

static int write_regime(const il__run *run, regime *r, il_csv_writer *out, il_error *err)
{
    il_buf because;
    il_buf_init(&because, 1 << 16);
    int rc = fit(run, r, err);
    rc = rc ? rc : judge(r, &because, err);
    rc = rc ? rc : because.status;
    for (size_t j = 0; rc == IL_OK && (j == 0 || j < r->n_breaks); j++) {
        write_row(run, r, j, il_buf_text(&because), out);
    }
    il_buf_free(&because);
    return rc;
}

static int write_x(const il__run *run, const il__law_data *data, int x_kind, il_csv_writer *out,
                   il_error *err)
{
    regime r = {.data = data, .x_name = il__law_x_names[x_kind], .delta_aicc = NAN};
    double *work = malloc(2 * (data->n_models + 1) * sizeof *work);
    r.names = malloc((data->n_models + 1) * sizeof *r.names);
    int rc = work && r.names ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the models");
    if (rc == IL_OK) {
        r.x = work;
        r.y = work + data->n_models + 1;
        for (size_t i = 0; i < data->n_models; i++) {
            if (data->models[i].x[x_kind] > 0) {
                r.x[r.n] = log10(data->models[i].x[x_kind]);
                r.y[r.n] = data->models[i].y;
                r.names[r.n++] = data->models[i].name;
            }
        }
        rc = r.n > 0 ? write_regime(run, &r, out, err) : IL_OK; /* an unknown x gives no row */
    }
    free(work);
    free(r.names);
    return rc;
}

int il__write_regimes(const il__run *run, il_error *err)
{
    il__aggregates all;
    il_csv_writer out = {.fd = -1};
    int rc = il__aggregates_build(run, &all, err);
    rc = rc ? rc : il__table_open(run, "regimes.csv", columns, IL__COUNT_OF(columns), &out, err);
    for (size_t i = 0; rc == IL_OK && i < all.n;) {
        size_t count = il__aggregate_run(&all, i);
        il__law_data data;
        rc = il__law_data_build(run, &all, i, count, &data, err);
        for (int x = 0; x < IL__X_COUNT && rc == IL_OK; x++) {
            if (is_size(il__law_x_names[x])) {
                rc = write_x(run, &data, x, &out, err);
            }
        }
        il__law_data_free(&data);
        i += count;
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    il__aggregates_free(&all);
    return rc;
}
