/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/compare.h"

#include "analysis/compare_load.h"
#include "analysis/compare_same.h"
#include "analysis/vector.h"
#include "stats/autocorr.h"
#include "stats/multiple.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SITTINGS = 64, N_MODES = 4 };

/* The runs that measured the noise between sittings. */
typedef struct sittings {
    il__compare_run runs[MOST_SITTINGS];
    il__compare_side sides[MOST_SITTINGS];
    size_t n;
} sittings;

/* Series of one mode over all cells, to see how much a block tells of the next: one after the
 * other, each with mean 0 and standard deviation 1. */
typedef struct series {
    il_vector values; /* double */
    il_vector first;  /* size_t, one more than there are series */
} series;

/* The cells of a row. */
typedef struct cells_of_row {
    const il__compare_cell *a, *b;
} cells_of_row;

typedef struct compare {
    il__compare_side a, b;
    bool paired;
    double least_margin, sentinel; /* fractions */
    const sittings *sittings;      /* NULL: not measured */
    il_comparison *out;
    series modes[N_MODES];
    il_log_ratio *ratios; /* of the rows */
    cells_of_row *cells;  /* likewise */
    const char **limits;  /* what set the margin of a row, "" when it is not comparable */
} compare;

/* How many cells from `at` share its key. */
static size_t key_run(const il__compare_side *side, size_t at)
{
    size_t n = 1;
    while (at + n < side->n && il__compare_key(&side->cells[at], &side->cells[at + n]) == 0) {
        n++;
    }
    return n;
}

/* --- the ratio of one cell -------------------------------------------------------------------- */

/* As many as rows, perhaps: not on the heap. */
static int medians_of(const compare *c, const il__replicate *from, size_t n, il_scratch *out,
                      il_error *err)
{
    int rc = il_scratch_take(out, c->a.run->scratch, n, sizeof(double), err);
    double *values = out->data;
    for (size_t i = 0; rc == IL_OK && i < n; i++) {
        values[i] = from[i].median;
    }
    return rc;
}

/* Keeps the replicates whose block is on both sides. */
static size_t keep_pairs(il__replicate *a, size_t n_a, il__replicate *b, size_t n_b)
{
    size_t i = 0, k = 0, n = 0;
    while (i < n_a && k < n_b) {
        if (a[i].id == b[k].id) {
            a[n] = a[i++];
            b[n++] = b[k++];
        } else if (a[i].id < b[k].id) {
            i++;
        } else {
            k++;
        }
    }
    return n;
}

static int mode_rank(const char *mode)
{
    static const char *const names[] = {"prefill", "kv_decode", "e2e_kv"};
    int i = 0;
    while (i < 3 && strcmp(mode, names[i]) != 0) {
        i++;
    }
    return i;
}

/* Appends the logs of v, made comparable; v changes. One without spread tells nothing. */
static int add_series(compare *c, int mode, double *v, size_t n, il_error *err)
{
    series *s = &c->modes[mode];
    for (size_t i = 0; i < n; i++) {
        v[i] = log(v[i]);
    }
    double mean = il_mean(v, n), sd = il_sd(v, n);
    if (!(sd > 0)) {
        return IL_OK;
    }
    const char *dir = c->a.run->scratch;
    size_t at = s->values.count, k = s->first.count ? s->first.count : 1;
    int rc = il_vector_resize(&s->values, dir, at + n, err);
    rc = rc ? rc : il_vector_resize(&s->first, dir, k + 1, err);
    if (rc != IL_OK) {
        return rc;
    }
    double *values = s->values.data;
    size_t *first = s->first.data;
    for (size_t i = 0; i < n; i++) {
        values[at + i] = (v[i] - mean) / sd;
    }
    first[k] = at + n;
    return IL_OK;
}

/* x and y are in order of their blocks, which is that of time. */
static int ratio_of_values(compare *c, int mode, double *x, size_t n_x, double *y, size_t n_y,
                           il_log_ratio *out, il_error *err)
{
    int rc = c->paired ? il_log_ratio_paired(x, y, n_x, out, err)
                       : il_log_ratio_welch(x, n_x, y, n_y, out, err);
    if (rc != IL_OK) {
        return rc == IL_E_TOO_FEW ? IL_OK : rc;
    }
    if (c->paired) {
        for (size_t i = 0; i < n_x; i++) {
            y[i] /= x[i];
        }
        return add_series(c, mode, y, n_y, err);
    }
    rc = add_series(c, mode, x, n_x, err);
    return rc ? rc : add_series(c, mode, y, n_y, err);
}

static int ratio_of(compare *c, int mode, il__replicate *a, size_t n_a, il__replicate *b,
                    size_t n_b, il_log_ratio *out, il_error *err)
{
    if (c->paired) {
        n_a = n_b = keep_pairs(a, n_a, b, n_b);
    }
    il_scratch x = {.data = NULL}, y = {.data = NULL};
    int rc = medians_of(c, a, n_a, &x, err);
    rc = rc ? rc : medians_of(c, b, n_b, &y, err);
    rc = rc ? rc : ratio_of_values(c, mode, x.data, n_a, y.data, n_b, out, err);
    il_scratch_free(&x);
    il_scratch_free(&y);
    return rc;
}

/* --- noise between sittings ------------------------------------------------------------------- */

static int by_value_key(const void *key, const void *element)
{
    return il__compare_key(key, element);
}

/* Mean ln time of the cell in one sitting; NaN when it is not there. */
static int sitting_mean(const il__compare_side *side, const il__compare_cell *key, double *out,
                        il_error *err)
{
    *out = NAN;
    const il__compare_cell *found =
        side->n ? bsearch(key, side->cells, side->n, sizeof *key, by_value_key) : NULL;
    if (!found) {
        return IL_OK;
    }
    size_t at = (size_t)(found - side->cells), n;
    while (at > 0 && il__compare_key(&side->cells[at - 1], key) == 0) {
        at--;
    }
    il_scratch memory = {.data = NULL};
    int rc = il__compare_replicates(side, &side->cells[at], key_run(side, at), &memory, &n, err);
    const il__replicate *all = memory.data;
    double sum = 0;
    for (size_t i = 0; rc == IL_OK && i < n; i++) {
        sum += log(all[i].median) / (double)n;
    }
    *out = rc == IL_OK && n > 0 ? sum : NAN;
    il_scratch_free(&memory);
    return rc;
}

/* Spread of the sittings' means; n < 2 gives NaN. */
static int between_sittings(const sittings *s, const il__compare_cell *key, double *sd, size_t *n,
                            il_error *err)
{
    double means[MOST_SITTINGS];
    *n = 0;
    for (size_t i = 0; i < s->n; i++) {
        double mean;
        int rc = sitting_mean(&s->sides[i], key, &mean, err);
        if (rc != IL_OK) {
            return rc;
        }
        if (!isnan(mean)) {
            means[(*n)++] = mean;
        }
    }
    *sd = il_sd(means, *n);
    return IL_OK;
}

/* --- the margin of one cell ------------------------------------------------------------------- */

static const char *say_limit(compare *c, const char *what, double fraction)
{
    const char *text = il_arena_printf(&c->out->arena, "margin %.3g %%: %s", 100 * fraction, what);
    return text ? text : what;
}

/* Twice the largest noise floor that was measured for the cell, the sentinel's shift, and the
 * least effect that matters: whichever is widest. */
static int margin_of(compare *c, const il__compare_cell *a, const il__compare_cell *b,
                     const il_log_ratio *ratio, double *margin, const char **limit, il_error *err)
{
    double arms_a, arms_b;
    int rc = il__compare_arms(&c->a, a, &arms_a, err);
    rc = rc ? rc : il__compare_arms(&c->b, b, &arms_b, err);
    if (rc != IL_OK) {
        return rc;
    }
    const char *what = "the least that matters";
    *margin = c->least_margin;
    double own = 2 * il_log_ratio_half_width(ratio, 0.95);
    if (own > *margin) {
        *margin = own;
        what = "twice the half-width of the interval";
    }
    double arms = 2 * fmax(isnan(arms_a) ? 0 : arms_a, isnan(arms_b) ? 0 : arms_b);
    if (arms > *margin) {
        *margin = arms;
        what = "twice the half-width of the A/A arms";
    }
    if (c->sentinel > *margin) {
        *margin = c->sentinel;
        what = "the sentinel moved as much between the runs";
    }
    *limit = say_limit(c, what, *margin);
    return IL_OK;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* The first measured value of a quantity in a cell; NaN when there is none. */
static double first_value(const il__compare_side *side, const il__compare_cell *cell,
                          il_quantity quantity)
{
    const il_cell *its = il_rows_cell(side->run->rows, cell->cell);
    const double *values = il_rows_values(side->run->rows, quantity);
    return values && its->n_measured > 0 ? values[its->first] : NAN;
}

/* The plan's row of a cell; NULL in a foreign run. */
static const il_plan_cell *planned(const il__compare_side *side, const il__compare_cell *cell)
{
    int64_t at = il_rows_cell(side->run->rows, cell->cell)->plan_cell;
    const il_run_facts *facts = &side->run->facts;
    return at >= 0 && (size_t)at < facts->n_cells ? &facts->cells[at] : NULL;
}

/* Whether the head was asked for at other positions of the prompt; false where one is unknown. */
static bool other_logits(const compare *c, const il__compare_cell *a, const il__compare_cell *b)
{
    const il_plan_cell *p = planned(&c->a, a), *q = planned(&c->b, b);
    return p && q && p->logits_all != q->logits_all;
}

/* Why two cells of one name are not the same work, or NULL. */
static const char *unlike(compare *c, const il__compare_cell *a, const il__compare_cell *b)
{
    static const struct {
        il_quantity quantity;
        const char *what;
        bool prefill, decode;
    } sizes[] = {{IL_Q_decode_steps, "decode steps", false, true},
                 {IL_Q_prompt_tokens, "prompt tokens", true, true}};
    bool prefill = strcmp(a->mode, "prefill") == 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double x = first_value(&c->a, a, sizes[i].quantity);
        double y = first_value(&c->b, b, sizes[i].quantity);
        if ((prefill ? sizes[i].prefill : sizes[i].decode) && x != y && !isnan(x) && !isnan(y)) {
            return il_arena_printf(&c->out->arena, "not the same work: %g and %g %s", x, y,
                                   sizes[i].what);
        }
    }
    return strcmp(a->mode, "kv_decode") != 0 && other_logits(c, a, b)
               ? "not the same work: logits at the last position and at all"
               : NULL;
}

static int add_row(compare *c, size_t at_a, size_t n_cells_a, size_t at_b, size_t n_cells_b,
                   il_error *err)
{
    const il__compare_cell *a = &c->a.cells[at_a], *b = &c->b.cells[at_b];
    size_t at = c->out->n_rows++;
    il_compare_row *row = &c->out->rows[at];
    il_log_ratio *ratio = &c->ratios[at];
    *row = (il_compare_row){.backend = a->backend,
                            .model = il_arena_strdup(&c->out->arena, a->model),
                            .scenario = il_arena_strdup(&c->out->arena, a->scenario),
                            .mode = il_arena_strdup(&c->out->arena, a->mode),
                            .batch_size = a->batch_size,
                            .params = a->params,
                            .margin = NAN};
    if (!row->model || !row->scenario || !row->mode) {
        return il_fail(err, IL_E_NOMEM, "no memory for the comparison");
    }
    *ratio = (il_log_ratio){NAN, NAN, NAN, 0, 0};
    il_scratch x = {.data = NULL}, y = {.data = NULL};
    size_t n_x = 0, n_y = 0;
    int rc = il__compare_replicates(&c->a, a, n_cells_a, &x, &n_x, err);
    rc = rc ? rc : il__compare_replicates(&c->b, b, n_cells_b, &y, &n_y, err);
    rc = rc ? rc : ratio_of(c, mode_rank(a->mode), x.data, n_x, y.data, n_y, ratio, err);
    il_scratch_free(&x);
    il_scratch_free(&y);
    row->n_a = c->paired && rc == IL_OK ? ratio->n_a : n_x;
    row->n_b = c->paired && rc == IL_OK ? ratio->n_b : n_y;
    row->because = unlike(c, a, b);
    if (row->because) {
        *ratio = (il_log_ratio){NAN, NAN, NAN, 0, 0};
    }
    c->cells[at] = (cells_of_row){a, b};
    return rc;
}

/* How much a block tells of the next in each mode, NaN when too little is there; said when it
 * matters. */
static void correlations(compare *c, double out[N_MODES])
{
    static const char *const names[N_MODES] = {"prefill", "kv_decode", "e2e_kv", "other modes"};
    for (int m = 0; m < N_MODES; m++) {
        const series *s = &c->modes[m];
        out[m] = s->first.count > 1
                     ? il_pooled_lag1(s->values.data, s->first.data, s->first.count - 1, NULL)
                     : NAN;
        if (out[m] > 0.2) {
            il__compare_note(c->out,
                             "%s: each block resembles the one before (correlation %.2f), the "
                             "intervals are wider for it",
                             names[m], out[m]);
        }
    }
}

/* The second look at a row, when all of them tell how the blocks hang together. */
static int finish_row(compare *c, size_t at, const double rho[N_MODES], il_error *err)
{
    il_compare_row *row = &c->out->rows[at];
    if (row->because) {
        return IL_OK;
    }
    int rc = IL_OK;
    il_log_ratio_correlate(&c->ratios[at], rho[mode_rank(row->mode)]);
    if (c->sittings) {
        double sd;
        size_t n;
        rc = between_sittings(c->sittings, c->cells[at].a, &sd, &n, err);
        il_log_ratio_widen(&c->ratios[at], sd, (double)n - 1);
    }
    return rc ? rc
              : margin_of(c, c->cells[at].a, c->cells[at].b, &c->ratios[at], &row->margin,
                          &c->limits[at], err);
}

static int join(compare *c, il_error *err)
{
    size_t i = 0, k = 0;
    int rc = IL_OK;
    while ((i < c->a.n || k < c->b.n) && rc == IL_OK) {
        int order = i == c->a.n   ? 1
                    : k == c->b.n ? -1
                                  : il__compare_key(&c->a.cells[i], &c->b.cells[k]);
        size_t n_a = order <= 0 ? key_run(&c->a, i) : 0;
        size_t n_b = order >= 0 ? key_run(&c->b, k) : 0;
        if (order == 0) {
            rc = add_row(c, i, n_a, k, n_b, err);
        }
        c->out->n_only_a += order < 0;
        c->out->n_only_b += order > 0;
        i += n_a;
        k += n_b;
    }
    return rc;
}

/* p, q and verdicts over all rows. */
static int judge(compare *c, il_error *err)
{
    size_t n = c->out->n_rows;
    double *p = malloc((n + 1) * sizeof *p);
    if (!p) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu cells", n);
    }
    for (size_t i = 0; i < n; i++) {
        il_compare_row *row = &c->out->rows[i];
        il_interval ci = il_log_ratio_interval(&c->ratios[i], 0.95);
        row->ratio = ci.estimate;
        row->ci_low = ci.low;
        row->ci_high = ci.high;
        row->p = p[i] = il_log_ratio_p(&c->ratios[i]);
    }
    int rc = il_fdr_adjust(p, n, p, err);
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        il_compare_row *row = &c->out->rows[i];
        row->q = p[i];
        const char *why = row->because;
        row->verdict =
            why ? IL_CHANGE_AMBIGUOUS : il_change_judge(&c->ratios[i], row->margin, row->q, &why);
        if (row->n_a == 0 || row->n_b == 0) {
            why = "a side has no measured call that counts";
        }
        row->because = c->limits[i] ? il_arena_printf(&c->out->arena, "%s (%s)", why, c->limits[i])
                                    : il_arena_strdup(&c->out->arena, why);
        rc = row->because ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the comparison");
    }
    free(p);
    return rc;
}

static int by_display(const void *pa, const void *pb)
{
    const il_compare_row *a = pa, *b = pb;
    int order = strcmp(a->backend, b->backend);
    order = order ? order : (a->batch_size > b->batch_size) - (a->batch_size < b->batch_size);
    order = order ? order : isnan(a->params) - isnan(b->params);
    order = order ? order : (a->params > b->params) - (a->params < b->params);
    order = order ? order : strcmp(a->model, b->model);
    order = order ? order : strcmp(a->scenario, b->scenario);
    order = order ? order : mode_rank(a->mode) - mode_rank(b->mode);
    return order ? order : strcmp(a->mode, b->mode);
}

static int compare_all(compare *c, il_error *err)
{
    size_t most = c->a.n < c->b.n ? c->a.n : c->b.n;
    c->out->rows = il_arena_array(&c->out->arena, most, sizeof *c->out->rows);
    c->ratios = il_arena_array(&c->out->arena, most, sizeof *c->ratios);
    c->limits = il_arena_array(&c->out->arena, most, sizeof *c->limits);
    c->cells = il_arena_array(&c->out->arena, most, sizeof *c->cells);
    for (int m = 0; m < N_MODES; m++) {
        il_vector_init(&c->modes[m].values, sizeof(double));
        il_vector_init(&c->modes[m].first, sizeof(size_t));
    }
    if (!c->out->rows || !c->ratios || !c->limits || !c->cells) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu cells", most);
    }
    double rho[N_MODES];
    int rc = join(c, err);
    if (rc == IL_OK) {
        correlations(c, rho);
    }
    for (size_t i = 0; i < c->out->n_rows && rc == IL_OK; i++) {
        rc = finish_row(c, i, rho, err);
    }
    for (int m = 0; m < N_MODES; m++) {
        il_vector_free(&c->modes[m].values);
        il_vector_free(&c->modes[m].first);
    }
    rc = rc ? rc : judge(c, err);
    if (rc == IL_OK && c->out->n_rows > 1) {
        qsort(c->out->rows, c->out->n_rows, sizeof *c->out->rows, by_display);
    }
    return rc;
}

/* --- what is compared ------------------------------------------------------------------------- */

static int open_sittings(const char *run_a, const il_compare_options *options, il_comparison *out,
                         sittings **made, il_error *err)
{
    *made = NULL;
    if (options->n_sittings == 0) {
        il__compare_note(out, "the noise between sittings was not measured: --sittings takes runs "
                              "of one setting, compare --live needs none");
        return IL_OK;
    }
    if (options->n_sittings < 3 || options->n_sittings > MOST_SITTINGS) {
        return il_fail(err, IL_E_USAGE, "--sittings takes 3 to %d runs, not %zu", MOST_SITTINGS,
                       options->n_sittings);
    }
    sittings *s = *made = calloc(1, sizeof *s);
    int rc = s ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the sittings");
    for (size_t i = 0; i < options->n_sittings && rc == IL_OK; i++) {
        s->n = i + 1;
        rc = il__compare_same(run_a, options->sittings[i], options->force, NULL, err);
        rc = rc ? rc : il__compare_open(options->sittings[i], &s->runs[i], err);
        rc = rc ? rc : il__compare_cells(&s->runs[i], "", &out->arena, &s->sides[i], err);
    }
    return rc;
}

static void close_sittings(sittings *s)
{
    for (size_t i = 0; s && i < s->n; i++) {
        il__compare_close(&s->runs[i]);
    }
    free(s);
}

int il_compare_runs(const char *run_a, const char *run_b, const il_compare_options *options,
                    il_comparison *out, il_error *err)
{
    *out = (il_comparison){0};
    compare c = {.out = out, .least_margin = options->least_margin};
    il__compare_run a = {0}, b = {0};
    sittings *measured = NULL;
    int rc = il__compare_same(run_a, run_b, options->force, out, err);
    rc = rc ? rc : il__compare_open(run_a, &a, err);
    rc = rc ? rc : il__compare_open(run_b, &b, err);
    rc = rc ? rc : il__compare_cells(&a, "", &out->arena, &c.a, err);
    rc = rc ? rc : il__compare_cells(&b, "", &out->arena, &c.b, err);
    rc = rc ? rc : open_sittings(run_a, options, out, &measured, err);
    rc = rc ? rc : il__compare_sentinel(&a, &b, &c.sentinel, err);
    if (rc == IL_OK) {
        c.sittings = measured;
        rc = compare_all(&c, err);
    }
    if (rc == IL_OK && out->n_rows == 0) {
        rc = il_fail(err, IL_E_USAGE, "the runs have no cell in common");
        il_error_hint(err, "cells are compared by backend, model, scenario, mode and batch size");
    }
    close_sittings(measured);
    il__compare_close(&a);
    il__compare_close(&b);
    return rc;
}

/* Two backends side by side have a name each: both get "X vs Y". */
static int rename_sides(compare *c, il_error *err)
{
    il__compare_side *sides[2] = {&c->a, &c->b};
    for (int s = 0; s < 2; s++) {
        for (size_t i = 1; i < sides[s]->n; i++) {
            if (strcmp(sides[s]->cells[0].backend, sides[s]->cells[i].backend) != 0) {
                return IL_OK; /* several entries, each with two sides of one name */
            }
        }
    }
    if (c->a.n == 0 || c->b.n == 0 || strcmp(c->a.cells[0].backend, c->b.cells[0].backend) == 0) {
        return IL_OK;
    }
    const char *name =
        il_arena_printf(&c->out->arena, "%s vs %s", c->a.cells[0].backend, c->b.cells[0].backend);
    for (int s = 0; s < 2 && name; s++) {
        for (size_t i = 0; i < sides[s]->n; i++) {
            sides[s]->cells[i].backend = name;
        }
    }
    return name ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a name");
}

int il_compare_sides(const char *run, const il_compare_options *options, il_comparison *out,
                     il_error *err)
{
    *out = (il_comparison){0};
    compare c = {.out = out, .paired = true, .least_margin = options->least_margin};
    il__compare_run loaded = {0};
    int rc = il__compare_open(run, &loaded, err);
    rc = rc ? rc : il__compare_cells(&loaded, IL_COMPARE_SIDE_A, &out->arena, &c.a, err);
    rc = rc ? rc : il__compare_cells(&loaded, IL_COMPARE_SIDE_B, &out->arena, &c.b, err);
    rc = rc ? rc : rename_sides(&c, err);
    rc = rc ? rc : compare_all(&c, err);
    if (rc == IL_OK && out->n_rows == 0) {
        rc = il_fail(err, IL_E_USAGE, "the run has no backend entries NAME%s and NAME%s",
                     IL_COMPARE_SIDE_A, IL_COMPARE_SIDE_B);
        il_error_where(err, "%s", run);
        il_error_hint(err, "inferlaw compare --live makes such a run; two runs are compared by "
                           "inferlaw compare A B");
    }
    il__compare_close(&loaded);
    return rc;
}

void il_comparison_free(il_comparison *comparison)
{
    il_arena_free(&comparison->arena);
    *comparison = (il_comparison){0};
}
