/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw-bench laws [TRIALS]: simulated studies of known laws. Models scatter around the law,
 * blocks around their model. Counted: how often the intervals of every term hold the truth, how
 * often the prediction interval holds a new model, and which form is chosen.
 */
#include "bench.h"

#include "inferlaw/error.h"
#include "stats/dist.h"
#include "stats/form_select.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MODELS = 20, BLOCKS = 10, N_RESAMPLES = 1000, N_CANDIDATES = 6 };
#define MODEL_SD 0.10 /* of ln T, between models of one law */
#define BLOCK_SD 0.03 /* of ln T, between blocks of one model */

static const struct {
    il_form form;
    double coef[IL_FORM_MOST_TERMS];
} truths[] = {
    {IL_FORM_POWER, {1, 0.5}},
    {IL_FORM_AFFINE, {20, 0.7}},
    {IL_FORM_AFFINE_POWER, {10, 0.5, 0.9}},
    {IL_FORM_LINEAR_SHAPE, {5, 2, 0.05, 1}},
    {IL_FORM_DEPTH_WIDTH, {0, 0.8, 0.5, 0.1}},
    {IL_FORM_PHYSICS, {0.2, 0.1, 1.3}},
};
enum { N_TRUTHS = sizeof truths / sizeof truths[0] };

/* A study: shapes drawn like those of a depth and width grid. */
typedef struct study {
    size_t n;
    double shape[MOST_MODELS + 1][3];   /* layers, width, heads; the last is the new model */
    double params[MOST_MODELS + 1];     /* millions */
    double physics[MOST_MODELS + 1][3]; /* 64 passes, 64·L, floor */
    double ms[MOST_MODELS + 1];
    double values[MOST_MODELS * BLOCKS];
    size_t first[MOST_MODELS + 1];
} study;

static const double *x_of(const study *s, il_form form)
{
    switch (form) {
    case IL_FORM_LINEAR_SHAPE:
    case IL_FORM_DEPTH_WIDTH:
        return s->shape[0];
    case IL_FORM_PHYSICS:
        return s->physics[0];
    default:
        return s->params;
    }
}

static void draw_shape(study *s, size_t i, il_stream *stream)
{
    static const double layers[] = {2, 3, 4, 6, 8, 12, 16, 24};
    static const double widths[] = {64, 128, 256, 384, 512, 768, 1024};
    static const double heads[] = {1, 2, 4, 8, 16};
    double *shape = s->shape[i];
    shape[0] = layers[il_stream_below(stream, 8)];
    shape[1] = widths[il_stream_below(stream, 7)];
    shape[2] = heads[il_stream_below(stream, 5)];
    s->params[i] = (12 * shape[0] * shape[1] * shape[1] + 50257 * shape[1]) / 1e6;
    s->physics[i][0] = 64;
    s->physics[i][1] = 64 * shape[0];
    s->physics[i][2] = 64 * 4 * s->params[i] / 30; /* fp32 at 30 GB/s */
}

static void draw_study(study *s, size_t n, size_t truth, il_stream *stream)
{
    s->n = n;
    il_form_fit law = {.form = truths[truth].form};
    law.n_terms = il_form_n_terms(law.form);
    memcpy(law.coef, truths[truth].coef, sizeof law.coef);
    size_t n_x = il_form_n_x(law.form);
    for (size_t i = 0; i <= n; i++) {
        draw_shape(s, i, stream);
        double log_ms = log(il_form_predict(&law, x_of(s, law.form) + i * n_x)) +
                        MODEL_SD * il_stream_normal(stream);
        if (i == n) {
            s->ms[i] = exp(log_ms);
            break;
        }
        s->first[i] = i * BLOCKS;
        for (size_t b = 0; b < BLOCKS; b++) {
            s->values[i * BLOCKS + b] = (log_ms + BLOCK_SD * il_stream_normal(stream)) / log(10);
        }
        s->ms[i] = pow(10, il_median(s->values + i * BLOCKS, BLOCKS));
    }
    s->first[n] = n * BLOCKS;
}

typedef struct counts {
    int fitted, boots, new_model, new_known;
    int by_t[IL_FORM_MOST_TERMS], by_boot[IL_FORM_MOST_TERMS];
    int t_known[IL_FORM_MOST_TERMS];
    double t_width[IL_FORM_MOST_TERMS], boot_width[IL_FORM_MOST_TERMS];
} counts;

static int count_study(const study *s, size_t truth, int trial, counts *out, il_error *err)
{
    il_form form = truths[truth].form;
    size_t n_x = il_form_n_x(form);
    const il_form_points points = {form, x_of(s, form), s->ms, s->n};
    il_form_fit fit;
    int rc = il_form_fit_to(form, points.x, points.ms, s->n, NULL, &fit, err);
    if (rc == IL_E_INVALID) {
        return IL_OK; /* the draw holds one value of a column */
    }
    if (rc != IL_OK) {
        return rc;
    }
    const il_nested nested = {s->n, NULL, s->values, s->first, NULL};
    il_interval terms[IL_FORM_MOST_TERMS];
    size_t used;
    il_stream stream = il_stream_open((uint64_t)trial, "bench laws", il_form_name(form));
    rc = il_form_boot(&points, &fit, &nested, N_RESAMPLES, &stream, terms, &used, err);
    if (rc != IL_OK) {
        return rc;
    }
    out->fitted++;
    out->boots += used == N_RESAMPLES;
    double t = il_t_quantile(0.975, fit.dof);
    for (size_t k = 0; k < fit.n_terms; k++) {
        double want = truths[truth].coef[k];
        bool known = !isnan(fit.se[k]);
        out->t_known[k] += known;
        out->by_t[k] += known && fabs(fit.coef[k] - want) <= t * fit.se[k];
        out->t_width[k] += known ? 2 * t * fit.se[k] : 0;
        out->by_boot[k] += terms[k].low <= want && want <= terms[k].high;
        out->boot_width[k] += terms[k].high - terms[k].low;
    }
    double low, high;
    il_form_new_model(&fit, points.x + s->n * n_x, 0.95, &low, &high);
    out->new_known += !isnan(low);
    out->new_model += low <= s->ms[s->n] && s->ms[s->n] <= high;
    return IL_OK;
}

static int coverage(int trials, il_error *err)
{
    static const size_t sizes[] = {7, 11, 20};
    (void)printf("coverage of nominal 95 %% intervals, %d studies each; models scatter by %.0f %%, "
                 "%d blocks by %.0f %%\n%-13s %6s %-13s %8s %8s %9s %9s %s\n",
                 trials, 100 * MODEL_SD, BLOCKS, 100 * BLOCK_SD, "form", "models", "term", "t",
                 "nested", "t width", "nested w.", "new model");
    for (size_t truth = 0; truth < N_TRUTHS; truth++) {
        for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++) {
            counts c = {0};
            il_stream stream =
                il_stream_open(sizes[size], "bench laws", il_form_name(truths[truth].form));
            for (int trial = 0; trial < trials; trial++) {
                study s;
                draw_study(&s, sizes[size], truth, &stream);
                int rc = count_study(&s, truth, trial, &c, err);
                if (rc != IL_OK) {
                    return rc;
                }
            }
            il_form form = truths[truth].form;
            for (size_t k = 0; k < il_form_n_terms(form); k++) {
                (void)printf("%-13s %6zu %-13s %8.3f %8.3f %9.3g %9.3g", il_form_name(form),
                             sizes[size], il_form_term_name(form, k),
                             (double)c.by_t[k] / c.t_known[k], (double)c.by_boot[k] / c.fitted,
                             c.t_width[k] / c.t_known[k], c.boot_width[k] / c.fitted);
                if (k == 0) {
                    (void)printf(" %.3f", (double)c.new_model / c.new_known);
                }
                (void)printf("\n");
            }
        }
    }
    return IL_OK;
}

static int choices(int trials, il_error *err)
{
    static const il_form forms[N_CANDIDATES] = {IL_FORM_POWER,        IL_FORM_AFFINE,
                                                IL_FORM_AFFINE_POWER, IL_FORM_LINEAR_SHAPE,
                                                IL_FORM_DEPTH_WIDTH,  IL_FORM_PHYSICS};
    static const size_t sizes[] = {7, 11, 20};
    (void)printf("\nform chosen, %d studies each\n%-13s %6s", trials, "truth", "models");
    for (size_t f = 0; f < N_CANDIDATES; f++) {
        (void)printf(" %12s", il_form_name(forms[f]));
    }
    (void)printf(" %8s %8s %8s\n", "nested", "own", "new");
    for (size_t truth = 0; truth < N_TRUTHS; truth++) {
        for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++) {
            int chosen[N_CANDIDATES + 1] = {0};
            double nested = 0, own = 0, fresh = 0;
            int known = 0;
            il_stream stream =
                il_stream_open(sizes[size], "bench choice", il_form_name(truths[truth].form));
            for (int trial = 0; trial < trials; trial++) {
                study s;
                il_form_points list[N_CANDIDATES];
                draw_study(&s, sizes[size], truth, &stream);
                for (size_t f = 0; f < N_CANDIDATES; f++) {
                    list[f] = (il_form_points){forms[f], x_of(&s, forms[f]), s.ms, s.n};
                }
                il_selection got;
                int rc = il_form_select(list, NULL, N_CANDIDATES, &got, err);
                if (rc != IL_OK) {
                    return rc;
                }
                chosen[got.chosen]++;
                il_form_fit fit;
                if (got.chosen < N_CANDIDATES && isfinite(got.mape) &&
                    il_form_fit_to(forms[got.chosen], list[got.chosen].x, s.ms, s.n, NULL, &fit,
                                   NULL) == IL_OK) {
                    const double *x = list[got.chosen].x + s.n * il_form_n_x(fit.form);
                    known++;
                    nested += got.mape;
                    own += got.error[got.chosen];
                    fresh += fabs(il_form_predict(&fit, x) / s.ms[s.n] - 1);
                }
                il_selection_free(&got);
            }
            (void)printf("%-13s %6zu", il_form_name(truths[truth].form), sizes[size]);
            for (size_t f = 0; f < N_CANDIDATES; f++) {
                (void)printf(" %12.3f", (double)chosen[f] / trials);
            }
            (void)printf(" %8.3f %8.3f %8.3f\n", nested / known, own / known, fresh / known);
        }
    }
    return IL_OK;
}

int bench_laws(int argc, char **argv)
{
    int trials = argc > 0 ? atoi(argv[0]) : 1000;
    if (trials < 1) {
        (void)fprintf(stderr, "usage: inferlaw-bench laws [STUDIES]\n");
        return 1;
    }
    il_error err = {0};
    int rc = coverage(trials, &err);
    rc = rc ? rc : choices(trials < 200 ? trials : 200, &err);
    if (rc != IL_OK) {
        (void)fprintf(stderr, "%s\n", err.what);
        return 1;
    }
    return 0;
}
