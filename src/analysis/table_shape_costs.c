/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shape_costs.csv: what a layer, a unit of width and a head cost, and what a layer's time is spent
 * on (docs/laws.md).
 */
#include "analysis/depth_line.h"

#include "stats/fieller.h"

#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"backend",   "batch_size", "mode",    "quantity",
                                      "unit",      "estimate",   "ci_low",  "ci_high",
                                      "ci_method", "n_models",   "verdict", "because"};
static const char shape_x[] = "n_layer*d_model*n_head";
enum { LEAST_DEPTHS = 4 }; /* of a sweep */
/* A share says something when it is known to a quarter of the whole. */
#define WIDEST_SHARE 0.25

typedef struct target {
    const il__run *run;
    const il__law_data *data;
    const char *each; /* what a time is counted per, beside its own unit: "", "/step", "/call" */
    il_csv_writer *out;
} target;

/* One row; the estimate is not told without a fit. */
typedef struct fact {
    const char *quantity, *unit, *each;
    il_interval value;
    const char *ci_method, *verdict, *because;
    size_t n_models;
} fact;

static void write_fact(const target *to, const fact *f)
{
    char unit[64];
    (void)snprintf(unit, sizeof unit, "%s%s", f->unit, f->each);
    bool told = isfinite(f->value.low) || isfinite(f->value.high);
    il_csv_text(to->out, il__text(to->run, to->data->key->backend));
    il_csv_f64(to->out, to->data->key->batch_size);
    il_csv_text(to->out, il__text(to->run, to->data->key->mode));
    il_csv_text(to->out, f->quantity);
    il_csv_text(to->out, unit);
    il_csv_f64(to->out, f->value.estimate);
    il_csv_f64(to->out, f->value.low);
    il_csv_f64(to->out, f->value.high);
    il_csv_text(to->out, told ? f->ci_method : "");
    il_csv_i64(to->out, (int64_t)f->n_models);
    il_csv_text(to->out, f->verdict);
    il_csv_text(to->out, f->because);
    il_csv_end_row(to->out);
}

static il_interval term_of(const il__law *l, size_t term)
{
    return (il_interval){l->fitted ? l->loo.fit.coef[term] : NAN, l->terms[term].low,
                         l->terms[term].high};
}

/* A sum over layers, width and heads that foresees a time below 0 is no sum: a layer does not cost
 * the same in all these shapes. The model for which it does, or NULL. */
static const char *below_zero(const il__law *l)
{
    for (size_t i = 0; l->fitted && l->form == IL_FORM_LINEAR_SHAPE && i < l->n; i++) {
        if (l->loo.loo.predicted[i] == -INFINITY) {
            return l->models[i]->name;
        }
    }
    return NULL;
}

/* Value, verdict and reason of one term: models, columns and leverage are the fit's, what decides
 * is the term's own. */
static void judge_term(il__law *l, size_t term, fact *f, il_buf *because)
{
    const char *below = below_zero(l);
    il__law_judge_term(l, term);
    il_buf_clear(because);
    f->value = term_of(l, term);
    f->verdict = il__law_verdict(l);
    if (below) {
        f->verdict = "not_identifiable";
        (void)il_buf_printf(
            because,
            "the sum does not hold over these shapes: fitted without %s it foresees "
            "a time below 0 there; ",
            below);
    }
    il__law_say_why(l, because);
    f->because = il_buf_text(because);
}

/* A layer's cost in units of width: the ratio of two coefficients of one fit. It stands when both
 * do. */
static int write_ratio(const target *to, il__law *l, fact f, il_buf *because, il_error *err)
{
    char words[256];
    judge_term(l, 1, &f, because);
    if (strcmp(f.verdict, "supported") == 0) {
        judge_term(l, 2, &f, because);
    }
    f.quantity = "layer_over_width";
    f.unit = "units of width/layer";
    f.each = "";
    f.ci_method = "fieller";
    f.value = (il_interval){NAN, NAN, NAN};
    if (l->fitted && l->loo.fit.determined && l->loo.fit.dof > 0) {
        const il_form_fit *fit = &l->loo.fit;
        double s2 = fit->sigma * fit->sigma;
        il_fieller got;
        int rc = il_fieller_ratio(fit->coef[1], fit->coef[2], s2 * fit->inverse[1][1],
                                  s2 * fit->inverse[2][2], s2 * fit->inverse[1][2], fit->dof, 0.95,
                                  &got, err);
        if (rc != IL_OK && rc != IL_E_INVALID) {
            return rc;
        }
        f.value.estimate = rc == IL_OK ? got.ratio : NAN;
        if (rc == IL_OK && got.kind == IL_FIELLER_BOUNDED) {
            f.value.low = got.low;
            f.value.high = got.high;
        } else if (strcmp(f.verdict, "supported") == 0) {
            (void)snprintf(words, sizeof words,
                           "the cost of a unit of width, %.4g ms, is not told from 0: the ratio "
                           "has no bounds",
                           fit->coef[2]);
            f.verdict = "not_identifiable";
            f.because = words;
        }
    }
    write_fact(to, &f);
    return IL_OK;
}

/* The two forms over all shapes of the run. */
static int write_forms(const target *to, il_error *err)
{
    static const struct {
        il_form form;
        const char *quantities[3], *units[3];
    } list[] = {{IL_FORM_LINEAR_SHAPE,
                 {"per_layer_ms", "per_width_unit_ms", "per_head_ms"},
                 {"ms/layer", "ms/unit of width", "ms/head"}},
                {IL_FORM_DEPTH_WIDTH,
                 {"exponent_n_layer", "exponent_d_model", "exponent_n_head"},
                 {"", "", ""}}};
    int rc = IL_OK;
    for (size_t i = 0; i < IL__COUNT_OF(list) && rc == IL_OK; i++) {
        il__law l;
        il_buf because;
        il_buf_init(&because, 1 << 16);
        bool linear = list[i].form == IL_FORM_LINEAR_SHAPE;
        rc = il__law_fit(to->run, to->data, list[i].form, shape_x, IL__X_COUNT, &l, err);
        if (rc == IL_OK && l.n > 0) {
            fact f = {.each = linear ? to->each : "", .ci_method = l.ci_method, .n_models = l.n};
            for (size_t t = 0; t < 3; t++) {
                f.quantity = list[i].quantities[t];
                f.unit = list[i].units[t];
                judge_term(&l, t + 1, &f, &because);
                write_fact(to, &f);
            }
            rc = linear ? write_ratio(to, &l, f, &because, err) : IL_OK;
        }
        rc = rc ? rc : because.status ? il_fail(err, because.status, "no memory for words") : IL_OK;
        il_buf_free(&because);
        il__law_free(&l);
    }
    return rc;
}

/* Time a layer adds to the floor, and the part of it that memory bounds; NaN when not known. */
static void floor_slopes(const il__law_data *sweep, double *floor, double *memory)
{
    *floor = *memory = NAN;
    size_t n = sweep->n_models;
    double *work = malloc(3 * n * sizeof *work);
    il_line line;
    for (size_t i = 0; work && i < n; i++) {
        const il__law_model *model = &sweep->models[i];
        work[i] = model->x[IL__X_n_layer];
        work[n + i] = model->floor_ms;
        work[2 * n + i] = model->floor_ms * model->floor_memory;
    }
    if (work && il_line_fit(work, work + n, n, &line) == IL_OK) {
        *floor = line.slope;
        (void)il_line_fit(work, work + 2 * n, n, &line);
        *memory = line.slope;
    }
    free(work);
}

/* A share part/slope of a slope above 0; its interval is that of the slope alone, as the floor's
 * own is narrower. */
static il_interval share_of(double part, il_interval slope, bool rest)
{
    il_interval out = {part / slope.estimate, part / slope.high, part / slope.low};
    return rest ? (il_interval){1 - out.estimate, 1 - out.high, 1 - out.low} : out;
}

/* Says why a share is none, or NULL. */
static const char *share_unclear(il_interval share)
{
    if (!(fmax(share.estimate - share.low, share.high - share.estimate) <= WIDEST_SHARE)) {
        return "its interval is wider than a quarter of the whole on one side";
    }
    return share.high < 0 || share.low > 1
               ? "it lies outside of 0 to 1: a ceiling was measured too low or too high"
               : NULL;
}

static void write_shares(const target *to, const il__law *l, const il__law_data *sweep, fact f,
                         const char *at)
{
    double floor;
    double memory;
    char name[96];
    il_interval slope = term_of(l, 1);
    floor_slopes(sweep, &floor, &memory);
    if (isnan(floor)) {
        f.verdict = "not_identifiable";
        f.because = "no ceilings, or no bytes and FLOPs, are known of these models";
    } else if (!(slope.low > 0)) {
        floor = memory = NAN;
        if (strcmp(f.verdict, "supported") == 0) {
            f.verdict = "not_identifiable";
            f.because = "the time of a layer is not told from 0, so its parts have no shares";
        }
    }
    const struct {
        const char *name;
        il_interval value;
    } shares[] = {{"overhead", share_of(floor, slope, true)},
                  {"bytes", share_of(memory, slope, false)},
                  {"flops", share_of(floor - memory, slope, false)}};
    f.unit = "";
    f.each = "";
    for (size_t i = 0; i < IL__COUNT_OF(shares); i++) {
        (void)snprintf(name, sizeof name, "depth_share_%s@%s", shares[i].name, at);
        f.quantity = name;
        f.value = shares[i].value;
        fact its = f;
        const char *unclear = strcmp(f.verdict, "supported") == 0 ? share_unclear(f.value) : NULL;
        its.verdict = unclear ? "not_identifiable" : f.verdict;
        its.because = unclear ? unclear : f.because;
        write_fact(to, &its);
    }
}

/* The models of one width and head count, which differ in depth. */
static int write_sweep(const target *to, const il__law_data *sweep, const char *at,
                       const char *used, il_error *err)
{
    char x_name[80];
    char name[96];
    il__law l;
    il_buf because;
    il_buf bend;
    il_buf_init(&because, 1 << 16);
    il_buf_init(&bend, 1 << 12);
    (void)snprintf(x_name, sizeof x_name, "n_layer@%s", at);
    int rc = il__law_fit(to->run, sweep, IL_FORM_AFFINE, x_name, IL__X_n_layer, &l, err);
    if (rc == IL_OK && l.n > 0) {
        bool bends = il__depths_bend(&l, &bend, err);
        fact f = {.quantity = name, .each = to->each, .ci_method = l.ci_method, .n_models = l.n};
        for (size_t term = 0; term < 2; term++) {
            /* Last the slope, which the shares are parts of. */
            bool slope = term == 1;
            judge_term(&l, term, &f, &because);
            if (bends) {
                f.verdict = "not_identifiable";
                f.because = il_buf_text(&bend);
            } else {
                (void)il_buf_puts(&because, used);
                f.because = il_buf_text(&because);
            }
            f.unit = slope ? "ms/layer" : "ms";
            (void)snprintf(name, sizeof name, "layer_sweep_%s_ms@%s", slope ? "slope" : "intercept",
                           at);
            write_fact(to, &f);
        }
        write_shares(to, &l, sweep, f, at);
    }
    rc = rc ? rc : bend.status ? il_fail(err, bend.status, "no memory for words") : IL_OK;
    il_buf_free(&bend);
    rc = rc ? rc : because.status ? il_fail(err, because.status, "no memory for words") : IL_OK;
    il_buf_free(&because);
    il__law_free(&l);
    return rc;
}

/* -1, 0, 1; unknown after all numbers. */
static int order_of(double a, double b)
{
    return isnan(a) || isnan(b) ? isnan(a) - isnan(b) : (a > b) - (a < b);
}

static int by_shape(const void *pa, const void *pb)
{
    const il__law_model *a = pa;
    const il__law_model *b = pb;
    int order = order_of(a->x[IL__X_d_model], b->x[IL__X_d_model]);
    order = order ? order : order_of(a->n_head, b->n_head);
    order = order ? order : order_of(a->x[IL__X_n_layer], b->x[IL__X_n_layer]);
    return order ? order : strcmp(a->name, b->name);
}

static size_t count_depths(const il__law_model *models, size_t n)
{
    size_t depths = 0;
    for (size_t i = 0; i < n; i++) {
        double its = models[i].x[IL__X_n_layer];
        depths += !isnan(its) && (i == 0 || its != models[i - 1].x[IL__X_n_layer]);
    }
    return depths;
}

/* Where the models of one width, or of one width and head count, end. */
static size_t end_of(const il__law_model *models, size_t n, size_t from, bool same_heads)
{
    size_t end = from + 1;
    while (end < n && order_of(models[end].x[IL__X_d_model], models[from].x[IL__X_d_model]) == 0 &&
           (!same_heads || order_of(models[end].n_head, models[from].n_head) == 0)) {
        end++;
    }
    return end;
}

/* Where enough depths lie in one tier, those alone; used says so. */
static void keep_one_tier(il__law_data *sweep, char *used, size_t used_bytes)
{
    size_t from;
    size_t n = il__depths_in_one_tier(sweep->models, sweep->n_models, &from);
    size_t all = sweep->n_models;
    used[0] = '\0';
    if (n < all && count_depths(sweep->models + from, n) >= LEAST_DEPTHS) {
        sweep->models += from;
        sweep->n_models = n;
        (void)snprintf(used, used_bytes,
                       "; of %zu models those of %g to %g layers, whose steps lie in one tier of "
                       "memory",
                       all, sweep->models[0].x[IL__X_n_layer],
                       sweep->models[n - 1].x[IL__X_n_layer]);
    }
}

static int write_sweeps(const target *to, il_error *err)
{
    size_t n = to->data->n_models;
    il__law_model *models = malloc((n + 1) * sizeof *models);
    if (!models) {
        return il_fail(err, IL_E_NOMEM, "no memory for the sweeps of depth");
    }
    int rc = IL_OK;
    memcpy(models, to->data->models, n * sizeof *models);
    if (n > 1) {
        qsort(models, n, sizeof *models, by_shape);
    }
    for (size_t i = 0; i < n && rc == IL_OK;) {
        size_t end = end_of(models, n, i, true);
        double width = models[i].x[IL__X_d_model];
        if (!isnan(width) && count_depths(models + i, end - i) >= LEAST_DEPTHS) {
            char at[64];
            bool lone = (i == 0 || models[i - 1].x[IL__X_d_model] != width) &&
                        end == end_of(models, n, i, false);
            (void)(lone ? snprintf(at, sizeof at, "d=%g", width)
                        : snprintf(at, sizeof at, "d=%g,h=%g", width, models[i].n_head));
            il__law_data sweep = *to->data;
            sweep.models = models + i;
            sweep.n_models = end - i;
            char used[128];
            keep_one_tier(&sweep, used, sizeof used);
            rc = write_sweep(to, &sweep, at, used, err);
        }
        i = end;
    }
    free(models);
    return rc;
}

/* A decode is told per step where every model made as many: the points themselves are divided, so
 * that every number of a row, its words too, is of one step. */
static const char *to_steps(const il__run *run, il__law_data *data)
{
    const char *mode = il__text(run, data->key->mode);
    bool same = data->n_models > 0 && strcmp(mode, "kv_decode") == 0;
    for (size_t i = 0; i < data->n_models; i++) {
        same = same && data->models[i].passes_known &&
               fabs(data->models[i].passes / data->models[0].passes - 1) < 1e-9;
    }
    if (!same) {
        return strcmp(mode, "prefill") == 0 ? "" : "/call";
    }
    double steps = data->models[0].passes;
    for (size_t i = 0; i < data->n_models; i++) {
        data->models[i].y -= log10(steps);
        data->models[i].y_unflagged -= log10(steps);
        data->models[i].floor_ms /= steps;
        data->models[i].passes = 1;
    }
    for (size_t i = 0; i < data->n_values; i++) {
        data->values[i] -= log10(steps);
    }
    return "/step";
}

int il__write_shape_costs(const il__run *run, il_error *err)
{
    il__aggregates all;
    il_csv_writer out = {.fd = -1};
    int rc = il__aggregates_build(run, &all, err);
    if (rc != IL_OK) {
        return rc;
    }
    rc = il__table_open(run, "shape_costs.csv", columns, IL__COUNT_OF(columns), &out, err);
    for (size_t i = 0; rc == IL_OK && i < all.n;) {
        size_t count = il__aggregate_run(&all, i);
        il__law_data data;
        rc = il__law_data_build(run, &all, i, count, &data, err);
        if (rc == IL_OK) {
            const char *each = to_steps(run, &data);
            const target to = {.run = run, .data = &data, .each = each, .out = &out};
            rc = write_forms(&to, err);
            rc = rc ? rc : write_sweeps(&to, err);
            il__law_data_free(&data);
        }
        i += count;
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    il__aggregates_free(&all);
    return rc;
}
