/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw-bench laws [STUDIES [FORM]]: simulated studies of known laws. Models scatter around the
 * law, blocks around their model. Counted: how often the intervals of every term hold the truth,
 * how often the prediction interval holds a new model, and which form is chosen.
 */
#include "bench.h"

#include "base/text.h"

#include "law_study.h"
#include "stats/form_select.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_RESAMPLES = 1000, N_CANDIDATES = 6, N_METHODS = 3 };

typedef struct counts {
    int fitted, new_model, new_known;
    int hit[N_METHODS][IL_FORM_MOST_TERMS], known[N_METHODS][IL_FORM_MOST_TERMS];
    double width[N_METHODS][IL_FORM_MOST_TERMS];
} counts;

/* The method the tables use, then t and the nested bootstrap whatever the number of models. */
static il_form_method method_of(size_t which, il_form form, size_t n)
{
    return which == 0 ? il_form_method_of(form, n) : which == 1 ? IL_FORM_BY_T : IL_FORM_BY_NESTED;
}

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
    out->fitted++;
    for (size_t which = 0; which < N_METHODS; which++) {
        il_interval terms[IL_FORM_MOST_TERMS];
        il_form_method method = method_of(which, form, s->n);
        il_stream stream = il_stream_open((uint64_t)trial, "bench laws", il_form_name(form));
        rc = il_form_intervals(&points, &fit, &nested, method, N_RESAMPLES, &stream, terms, err);
        if (rc != IL_OK) {
            return rc;
        }
        for (size_t k = 0; k < fit.n_terms; k++) {
            double want = truths[truth].coef[k];
            bool known = !isnan(terms[k].low) && !isnan(terms[k].high);
            out->known[which][k] += known;
            out->hit[which][k] += known && terms[k].low <= want && want <= terms[k].high;
            out->width[which][k] += known ? terms[k].high - terms[k].low : 0;
        }
    }
    double low, high;
    il_form_new_model(&fit, points.x + s->n * n_x, 0.95, &low, &high);
    out->new_known += !isnan(low);
    out->new_model += low <= s->ms[s->n] && s->ms[s->n] <= high;
    return IL_OK;
}

static void print_counts(il_form form, size_t n, const counts *c)
{
    for (size_t k = 0; k < il_form_n_terms(form); k++) {
        (void)printf("%-13s %6zu %-13s %-16s", il_form_name(form), n, il_form_term_name(form, k),
                     il_form_method_name(il_form_method_of(form, n)));
        for (size_t which = 0; which < N_METHODS; which++) {
            (void)printf(" %7.3f %8.3g", (double)c->hit[which][k] / c->known[which][k],
                         c->width[which][k] / c->known[which][k]);
        }
        if (k == 0) {
            (void)printf(" %9.3f", (double)c->new_model / c->new_known);
        }
        (void)printf("\n");
    }
}

static int coverage(int trials, const char *only, il_error *err)
{
    static const size_t sizes[] = {7, 11, 20};
    (void)printf(
        "coverage of nominal 95 %% intervals and their mean width, %d studies each; models "
        "scatter by %.0f %%, %d blocks by %.0f %%\n%-13s %6s %-13s %-16s %16s %16s %16s "
        "%9s\n",
        trials, 100 * MODEL_SD, BLOCKS, 100 * BLOCK_SD, "form", "models", "term", "method",
        "as in the tables", "t", "nested", "new model");
    for (size_t truth = 0; truth < N_TRUTHS; truth++) {
        if (only && strcmp(only, il_form_name(truths[truth].form)) != 0) {
            continue;
        }
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
            print_counts(truths[truth].form, sizes[size], &c);
            (void)fflush(stdout);
        }
    }
    return IL_OK;
}

static int choices(int trials, const char *only, il_error *err)
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
        if (only && strcmp(only, il_form_name(truths[truth].form)) != 0) {
            continue;
        }
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
    int64_t studies = 300;
    if (argc > 0 &&
        (il_text_to_i64(argv[0], &studies) != IL_OK || studies < 1 || studies > 1000000)) {
        (void)fprintf(stderr, "usage: inferlaw-bench laws [STUDIES [FORM]]\n");
        return 1;
    }
    il_error err = {0};
    const char *only = argc > 1 ? argv[1] : NULL;
    int trials = (int)studies;
    int rc = coverage(trials, only, &err);
    rc = rc ? rc : choices(trials < 200 ? trials : 200, only, &err);
    if (rc != IL_OK) {
        (void)fprintf(stderr, "%s\n", err.what);
        return 1;
    }
    return 0;
}
