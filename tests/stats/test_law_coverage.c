/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Intervals of every form hold the truth as often as they say, by the methods that the tables use.
 * Fixed seeds and few studies: the tolerance is about three times their binomial noise
 * (inferlaw-bench laws counts more).
 */
#include "check.h"

#include "bench/law_study.h"

/* Share of studies whose intervals hold the truth, over the judged terms; and of those whose
 * prediction interval holds a new model. */
static void count(size_t truth, size_t n, int trials, double *terms, double *new_model)
{
    il_form form = truths[truth].form;
    il_stream stream = il_stream_open(n, "coverage", il_form_name(form));
    int hit = 0, known = 0, held = 0, told = 0;
    for (int trial = 0; trial < trials; trial++) {
        study s;
        draw_study(&s, n, truth, &stream);
        const il_form_points points = {form, x_of(&s, form), s.ms, n};
        il_form_fit fit;
        if (il_form_fit_to(form, points.x, s.ms, n, NULL, &fit, NULL) != IL_OK) {
            continue;
        }
        const il_nested nested = {n, NULL, s.values, s.first, NULL};
        il_interval got[IL_FORM_MOST_TERMS];
        il_stream resample = il_stream_open((uint64_t)trial, "coverage", "");
        check_ok(il_form_intervals(&points, &fit, &nested, il_form_method_of(form, n), 200,
                                   &resample, got, NULL),
                 NULL);
        for (size_t k = 0; k < fit.n_terms; k++) {
            if (il_form_term_judged(form, k) && !isnan(got[k].low) && !isnan(got[k].high)) {
                known++;
                hit += got[k].low <= truths[truth].coef[k] && truths[truth].coef[k] <= got[k].high;
            }
        }
        double low, high;
        il_form_new_model(&fit, points.x + n * il_form_n_x(form), 0.95, &low, &high);
        told += !isnan(low);
        held += low <= s.ms[n] && s.ms[n] <= high;
    }
    assert_true(told >= trials * 8 / 10 && known >= trials * 8 / 10);
    *terms = (double)hit / known;
    *new_model = (double)held / told;
}

static void intervals_cover(void **state)
{
    (void)state;
    static const size_t sizes[] = {7, 11, 20};
    for (size_t truth = 0; truth < N_TRUTHS; truth++) {
        /* a search at 20 models takes long: the bench counts those */
        bool line =
            truths[truth].form == IL_FORM_POWER || truths[truth].form == IL_FORM_DEPTH_WIDTH;
        for (int i = 0; i < (line ? 3 : 2); i++) {
            double terms, new_model;
            count(truth, sizes[i], 100, &terms, &new_model);
            print_message("%-13s %2zu models: judged terms %.3f, a new model %.3f\n",
                          il_form_name(truths[truth].form), sizes[i], terms, new_model);
            assert_true(terms >= 0.88);
            assert_true(new_model >= 0.89);
        }
    }
}

/* Narrow enough to say something: the true exponent is told from 0 in nearly every study. */
static void intervals_are_not_empty_words(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(1, "coverage", "power");
    int told = 0;
    for (int trial = 0; trial < 60; trial++) {
        study s;
        draw_study(&s, 11, 0, &stream);
        const il_form_points points = {IL_FORM_POWER, s.params, s.ms, 11};
        const il_nested nested = {11, NULL, s.values, s.first, NULL};
        il_form_fit fit;
        il_interval got[IL_FORM_MOST_TERMS];
        check_ok(il_form_fit_to(IL_FORM_POWER, s.params, s.ms, 11, NULL, &fit, NULL), NULL);
        check_ok(
            il_form_intervals(&points, &fit, &nested, IL_FORM_BY_NESTED, 300, &stream, got, NULL),
            NULL);
        told += got[1].low > 0.25 && got[1].high < 0.75; /* around 0.5 */
    }
    assert_true(told >= 56);
}

static void methods_by_number(void **state)
{
    (void)state;
    assert_int_equal(il_form_method_of(IL_FORM_POWER, 2), IL_FORM_BY_NOTHING);
    assert_int_equal(il_form_method_of(IL_FORM_POWER, 6), IL_FORM_BY_T);
    assert_int_equal(il_form_method_of(IL_FORM_POWER, 7), IL_FORM_BY_NESTED);
    assert_int_equal(il_form_method_of(IL_FORM_AFFINE_POWER, 7), IL_FORM_BY_PROFILE);
    assert_int_equal(il_form_method_of(IL_FORM_AFFINE, 5), IL_FORM_BY_PROFILE);
    assert_int_equal(il_form_method_of(IL_FORM_DEPTH_WIDTH, 11), IL_FORM_BY_T);
    assert_int_equal(il_form_method_of(IL_FORM_DEPTH_WIDTH, 20), IL_FORM_BY_NESTED);
    assert_string_equal(il_form_method_name(IL_FORM_BY_PROFILE), "profile");
}

/* The ends of a profile are where the sum of squares has grown by t²/(n − k). */
static void a_profile_ends_where_it_says(void **state)
{
    (void)state;
    const double x[] = {1, 3, 10, 30, 100, 300};
    const double ms[] = {10.4, 11.3, 14.2, 21.1, 41, 96};
    const il_form_points points = {IL_FORM_AFFINE_POWER, x, ms, 6};
    il_form_fit fit;
    check_ok(il_form_fit_to(IL_FORM_AFFINE_POWER, x, ms, 6, NULL, &fit, NULL), NULL);
    il_interval got[IL_FORM_MOST_TERMS];
    check_ok(il_form_intervals(&points, &fit, NULL, IL_FORM_BY_PROFILE, 0, NULL, got, NULL), NULL);
    for (int k = 0; k < 3; k++) {
        assert_true(got[k].low < fit.coef[k] && fit.coef[k] < got[k].high);
    }
    /* s held at its upper end: the best a and b by brute force lie on the limit */
    const double t = 3.182446305284263; /* 0.975, 3 degrees of freedom */
    double least = INFINITY;
    for (int i = -200; i <= 200; i++) {
        for (int j = -200; j <= 200; j++) {
            double sse = 0;
            double a = fit.coef[0] * (1 + 0.001 * i);
            double b = fit.coef[1] * exp(0.003 * j);
            for (int m = 0; m < 6; m++) {
                double r = log(ms[m] / (a + b * pow(x[m], got[2].high)));
                sse += r * r;
            }
            least = fmin(least, sse);
        }
    }
    check_near(least, fit.sse * (1 + t * t / 3), 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_cover),
        cmocka_unit_test(intervals_are_not_empty_words),
        cmocka_unit_test(methods_by_number),
        cmocka_unit_test(a_profile_ends_where_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
