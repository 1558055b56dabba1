/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Segmented lines: exact data give back their breaks, an independent search agrees on noisy data,
 * intervals cover what they say at the numbers of models they are used at, and Davies' test keeps
 * its size.
 */
#include "check.h"

#include "stats/segmented.h"

enum { SIDE = IL_SEGMENTED_LEAST_SIDE, MOST = 40 };

static void exact_breaks_come_back(void **state)
{
    (void)state;
    double x[30], y[30];
    for (int i = 0; i < 30; i++) {
        x[29 - i] = 0.1 * i; /* in any order */
        y[29 - i] = 1 + 0.1 * (0.1 * i) + 0.7 * fmax(0.1 * i - 1.23, 0);
    }
    il_segmented one;
    il_error err = {0};
    check_ok(il_segmented_fit(x, y, 30, 1, SIDE, &one, &err), &err);
    check_close(one.breaks[0].at, 1.23, 1e-6);
    check_close(one.slope[0], 0.1, 1e-6);
    check_close(one.slope[1], 0.8, 1e-6);
    check_close(one.intercept, 1, 1e-6);
    check_close(il_segmented_at(&one, 2), 1 + 0.2 + 0.7 * 0.77, 1e-6);
    for (int i = 0; i < 30; i++) {
        y[i] += -0.5 * fmax(x[i] - 2.07, 0);
    }
    il_segmented two;
    check_ok(il_segmented_fit(x, y, 30, 1, SIDE, &one, &err), &err);
    check_ok(il_segmented_fit(x, y, 30, 2, SIDE, &two, &err), &err);
    check_close(two.breaks[0].at, 1.23, 2e-3);
    check_close(two.breaks[1].at, 2.07, 2e-3);
    check_close(two.slope[0], 0.1, 2e-3);
    check_close(two.slope[1], 0.8, 2e-3);
    check_close(two.slope[2], 0.3, 2e-3);
    assert_true(two.aicc < one.aicc - 10);
}

/* Least squares for a given break by plain normal equations, over a fine grid. */
static double sse_by_hand(const double *x, const double *y, int n, double psi)
{
    double a[3][4] = {{0}};
    for (int i = 0; i < n; i++) {
        double row[4] = {1, x[i], fmax(x[i] - psi, 0), y[i]};
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 4; c++) {
                a[r][c] += row[r] * row[c];
            }
        }
    }
    for (int p = 0; p < 3; p++) {
        for (int r = 0; r < 3; r++) {
            double f = r == p ? 0 : a[r][p] / a[p][p];
            for (int c = 0; c < 4; c++) {
                a[r][c] -= f * a[p][c];
            }
        }
    }
    double sse = 0;
    for (int i = 0; i < n; i++) {
        double e = y[i] - a[0][3] / a[0][0] - a[1][3] / a[1][1] * x[i] -
                   a[2][3] / a[2][2] * fmax(x[i] - psi, 0);
        sse += e * e;
    }
    return sse;
}

typedef struct law {
    size_t n;
    double at, below, above, scatter; /* scatter of ln */
} law;

static void draw(const law *l, il_stream *stream, double *x, double *y)
{
    double step = 3.3 / (double)(l->n - 1);
    for (size_t i = 0; i < l->n; i++) {
        x[i] = step * ((double)i + (il_stream_uniform(stream) - 0.5) / 1.5);
        y[i] = l->below * fmin(x[i] - l->at, 0) + l->above * fmax(x[i] - l->at, 0) +
               l->scatter / log(10) * il_stream_normal(stream);
    }
}

static void the_best_break_is_the_best(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(3, "segmented", "best");
    for (int t = 0; t < 20; t++) {
        const law l = {20, 1.7, 0.3, 0.8, 0.2};
        double x[20], y[20];
        draw(&l, &stream, x, y);
        il_segmented got;
        check_ok(il_segmented_fit(x, y, 20, 1, SIDE, &got, NULL), NULL);
        check_near(got.sse, sse_by_hand(x, y, 20, got.breaks[0].at), 1e-8);
        for (double psi = x[4]; psi <= x[15]; psi += 0.001) {
            assert_true(got.sse <= sse_by_hand(x, y, 20, psi) * (1 + 1e-4));
        }
        /* the ends of the interval lie on the limit of the likelihood: t²₁₆ = 4.4940 */
        double limit = got.sse * (1 + 4.4940 / 16);
        const il_break *b = &got.breaks[0];
        if (!b->open_low) {
            check_near(sse_by_hand(x, y, 20, b->low), limit, 5e-3);
        }
        if (!b->open_high) {
            check_near(sse_by_hand(x, y, 20, b->high), limit, 5e-3);
        }
    }
}

static void intervals_of_the_break_cover(void **state)
{
    (void)state;
    static const law laws[] = {{20, 1.7, 0.1, 0.9, 0.03},
                               {20, 1.7, 0.1, 0.9, 0.10},
                               {20, 1.7, 0.3, 0.8, 0.06},
                               {14, 1.7, 0.1, 0.9, 0.06}};
    const int trials = 500;
    for (size_t k = 0; k < sizeof laws / sizeof laws[0]; k++) {
        il_stream stream = il_stream_open(4, "segmented cover", k % 2 ? "odd" : "even");
        int profile = 0, both = 0, slopes = 0, found = 0;
        for (int t = 0; t < trials; t++) {
            double x[MOST], y[MOST], low, high;
            il_segmented line, got;
            il_davies davies;
            draw(&laws[k], &stream, x, y);
            check_ok(il_segmented_fit(x, y, laws[k].n, 0, SIDE, &line, NULL), NULL);
            check_ok(il_segmented_fit(x, y, laws[k].n, 1, SIDE, &got, NULL), NULL);
            check_ok(il_davies_test(x, y, laws[k].n, SIDE, &davies, NULL), NULL);
            check_ok(il_segmented_bootstrap(x, y, &got, SIDE, 200, &stream, &low, &high, NULL),
                     NULL);
            const il_break *b = &got.breaks[0];
            profile += b->low <= laws[k].at && laws[k].at <= b->high;
            both += fmin(low, b->low) <= laws[k].at && laws[k].at <= fmax(high, b->high);
            slopes += got.slope_low[0] <= laws[k].below && laws[k].below <= got.slope_high[0];
            slopes += got.slope_low[1] <= laws[k].above && laws[k].above <= got.slope_high[1];
            found += davies.p < 0.01 && line.aicc - got.aicc > 10;
        }
        double n = trials;
        print_message("n = %zu, scatter %.0f %%: found %.3f, profile %.3f, with bootstrap %.3f, "
                      "slopes %.3f\n",
                      laws[k].n, 100 * laws[k].scatter, found / n, profile / n, both / n,
                      slopes / n / 2);
        /* three standard errors of 500 trials beyond 93 to 97 %, conservative above */
        assert_true(profile / n > 0.91 && profile / n < 0.99);
        assert_true(both >= profile && both / n > 0.92);
        assert_true(slopes / n / 2 > 0.92 && slopes / n / 2 < 0.98);
        assert_true(found / n > 0.99);
    }
}

static void davies_keeps_its_size(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 20, 30};
    const int trials = 2000;
    for (size_t k = 0; k < 3; k++) {
        il_stream stream = il_stream_open(5, "davies", k ? "more" : "ten");
        int at05 = 0, at01 = 0;
        for (int t = 0; t < trials; t++) {
            const law l = {sizes[k], 1.7, 0.6, 0.6, 0.06};
            double x[MOST], y[MOST];
            il_davies davies;
            draw(&l, &stream, x, y);
            check_ok(il_davies_test(x, y, l.n, SIDE, &davies, NULL), NULL);
            at05 += davies.p < 0.05;
            at01 += davies.p < 0.01;
        }
        print_message("no break, n = %zu: p < 0.05 in %.4f, p < 0.01 in %.4f\n", sizes[k],
                      (double)at05 / trials, (double)at01 / trials);
        assert_true((double)at05 / trials < 0.06 && (double)at05 / trials > 0.015);
        assert_true((double)at01 / trials < 0.015 && at01 > 3);
    }
}

/* What "no break found" leaves possible: wide for noisy data, narrow for quiet. */
static void silence_is_not_proof(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(6, "davies", "left");
    double x[20], y[20];
    il_davies noisy, quiet;
    const law loud = {20, 1.7, 0.6, 0.6, 0.3};
    const law still = {20, 1.7, 0.6, 0.6, 0.01};
    draw(&loud, &stream, x, y);
    check_ok(il_davies_test(x, y, 20, SIDE, &noisy, NULL), NULL);
    draw(&still, &stream, x, y);
    check_ok(il_davies_test(x, y, 20, SIDE, &quiet, NULL), NULL);
    assert_true(quiet.change_not_excluded < 0.05 && noisy.change_not_excluded > 0.25);
    for (int i = 0; i < 20; i++) {
        y[i] = 2 + 0.5 * x[i];
    }
    check_ok(il_davies_test(x, y, 20, SIDE, &quiet, NULL), NULL);
    assert_true(quiet.p > 0.01 && quiet.change_not_excluded < 1e-6);
}

static void too_little_is_refused(void **state)
{
    (void)state;
    const double x[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 2};
    const double y[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 9};
    il_segmented fit;
    il_davies davies;
    assert_int_equal(il_segmented_fit(x, y, 10, 1, SIDE, &fit, NULL), IL_E_TOO_FEW);
    assert_int_equal(il_segmented_fit(x, y, 9, 1, SIDE, &fit, NULL), IL_E_TOO_FEW);
    assert_int_equal(il_segmented_fit(x, y, 10, 3, SIDE, &fit, NULL), IL_E_INVALID);
    assert_int_equal(il_davies_test(x, y, 9, SIDE, &davies, NULL), IL_E_TOO_FEW);
    assert_int_equal(il_davies_test(x, y, 10, SIDE, &davies, NULL), IL_E_TOO_FEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_breaks_come_back),
        cmocka_unit_test(the_best_break_is_the_best),
        cmocka_unit_test(intervals_of_the_break_cover),
        cmocka_unit_test(davies_keeps_its_size),
        cmocka_unit_test(silence_is_not_proof),
        cmocka_unit_test(too_little_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
