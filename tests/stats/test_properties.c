/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What must hold for any input: ties, constants, two values, huge and tiny magnitudes, values that
 * are not finite. Fresh inputs each run; the seed is printed and IL_TEST_SEED sets it.
 */
#include "check.h"

#include "stats/autocorr.h"
#include "stats/bca.h"
#include "stats/boot.h"
#include "stats/deming.h"
#include "stats/equivalence.h"
#include "stats/loo.h"
#include "stats/noise.h"
#include "stats/order.h"
#include "stats/overhead.h"
#include "stats/rank.h"
#include "stats/robust.h"

#include <time.h>

enum { MOST = 24, ROUNDS = 1500 };

static il_stream inputs(const char *what)
{
    const char *text = getenv("IL_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
    print_message("IL_TEST_SEED=%llu\n", (unsigned long long)seed);
    return il_stream_open(seed, "properties", what);
}

/* Positive values: spread, tied, constant, or all but one the same, times 2^e. Returns n. */
static size_t draw(il_stream *s, int exponent, double *v)
{
    size_t n = 1 + il_stream_below(s, MOST);
    uint32_t kind = il_stream_below(s, 5);
    for (size_t i = 0; i < n; i++) {
        double z = il_stream_normal(s);
        v[i] = kind == 0   ? exp(z)
               : kind == 1 ? 1 + il_stream_below(s, 3)
               : kind == 2 ? 5
               : kind == 3 ? (i == 0 ? 9 : 4)
                           : exp(8 * z);
        v[i] = ldexp(v[i], exponent);
    }
    return n;
}

static void check_interval(const il_interval *i, int rc)
{
    if (rc == IL_OK && !isnan(i->low)) {
        double slack = 1e-12 * fmax(fabs(i->low), fabs(i->high));
        assert_true(i->low <= i->estimate + slack && i->estimate <= i->high + slack);
    } else {
        assert_true(isnan(i->low) && isnan(i->high));
    }
}

static void scaled(const il_interval *a, const il_interval *b, int exponent)
{
    const double pairs[3][2] = {{a->estimate, b->estimate}, {a->low, b->low}, {a->high, b->high}};
    for (int k = 0; k < 3; k++) {
        assert_true(isnan(pairs[k][0]) == isnan(pairs[k][1]));
        if (!isnan(pairs[k][0])) {
            check_near(ldexp(pairs[k][0], exponent), pairs[k][1], 1e-9);
        }
    }
}

/* An interval of values times 2^e is the interval times 2^e, and the estimate lies in it. */
static void intervals_follow_the_unit(void **state)
{
    (void)state;
    il_stream s = inputs("intervals");
    for (int round = 0; round < ROUNDS; round++) {
        double v[MOST], w[MOST];
        int exponent = (int)il_stream_below(&s, 401) - 200;
        size_t n = draw(&s, 0, v);
        for (size_t i = 0; i < n; i++) {
            w[i] = ldexp(v[i], exponent);
        }
        il_interval a, b;
        size_t need;
        double q = 0.02 + 0.96 * il_stream_uniform(&s);
        int rc = il_quantile_interval(v, n, q, 0.95, &a, &need, NULL);
        assert_int_equal(rc, n >= need ? IL_OK : IL_E_TOO_FEW);
        check_interval(&a, rc);
        assert_int_equal(il_quantile_interval(w, n, q, 0.95, &b, NULL, NULL), rc);
        scaled(&a, &b, exponent);
        int (*const means[])(const double *, size_t, double, il_interval *, il_error *) = {
            il_mean_interval, il_log_mean_interval, il_mean_interval_series,
            il_log_mean_interval_series, il_mean_interval_trend};
        for (int m = 0; m < 5; m++) {
            rc = means[m](v, n, 0.95, &a, NULL);
            check_interval(&a, rc);
            assert_int_equal(means[m](w, n, 0.95, &b, NULL), rc);
            scaled(&a, &b, exponent);
        }
        il_ratio r;
        if (il_ratio_paired(v, w, n, 0.95, &r, NULL) == IL_OK) {
            check_near(r.ratio.estimate, ldexp(1, exponent), 1e-9);
            assert_true(r.mde >= 2 * r.half_width);
        }
        double ess = il_effective_size(v, n);
        assert_true(ess >= 1 && ess <= (double)n);
        check_near(il_effective_size(w, n), ess, 1e-9);
        assert_int_equal(il_mser5(v, n, NULL), il_mser5(w, n, NULL));
    }
}

/* Fits of y = a + b·x in any unit: the law turns with the unit, and says so or refuses. */
static void fits_follow_the_unit(void **state)
{
    (void)state;
    il_stream s = inputs("fits");
    int fitted = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double x[MOST], y[MOST], u[MOST], w[MOST];
        int ex = (int)il_stream_below(&s, 101) - 50;
        int ey = (int)il_stream_below(&s, 101) - 50;
        size_t n = draw(&s, 0, x);
        for (size_t i = 0; i < n; i++) {
            y[i] = 1 + il_stream_below(&s, 6) * 0.25;
            u[i] = ldexp(x[i], ex);
            w[i] = ldexp(y[i], ey);
        }
        il_robust a, b;
        int rc = il_huber_fit(x, y, n, 1, &a, NULL, NULL);
        assert_int_equal(il_huber_fit(u, w, n, 1, &b, NULL, NULL), rc);
        if (rc == IL_OK) {
            check_near_at(ldexp(a.coef[1], ey - ex), b.coef[1], 1e-6, ldexp(1e-9, ey - ex),
                          __FILE__, __LINE__);
            assert_int_equal(a.n_down, b.n_down);
            fitted++;
        }
        rc = il_hc3_fit(x, y, n, 1, &a, NULL);
        assert_int_equal(il_hc3_fit(u, w, n, 1, &b, NULL), rc);
        if (rc == IL_OK && !isnan(a.se[1])) {
            check_near_at(ldexp(a.se[1], ey - ex), b.se[1], 1e-6, ldexp(1e-9, ey - ex), __FILE__,
                          __LINE__);
        }
        il_deming d, e;
        rc = il_deming_fit(x, y, n, 1, &d, NULL);
        assert_int_equal(il_deming_fit(u, w, n, ldexp(1, 2 * (ey - ex)), &e, NULL), rc);
        if (rc == IL_OK) {
            check_interval(&d.slope, rc);
            check_near_at(ldexp(d.slope.estimate, ey - ex), e.slope.estimate, 1e-6,
                          ldexp(1e-9, ey - ex), __FILE__, __LINE__);
        }
        il_theil_sen t;
        if (il_theil_sen_fit(x, y, n, &t, NULL) == IL_OK) {
            assert_true(t.slope_low <= t.slope && t.slope <= t.slope_high);
        }
        double p;
        if (il_spearman_exact_p(x, y, n < 8 ? n : 7, &p, NULL) == IL_OK && !isnan(p)) {
            assert_true(p > 0 && p <= 1);
        }
        il_loo loo;
        if (il_loo_fit(x, y, n, 1, &loo, NULL) == IL_OK) {
            assert_true(il_law_judge(&loo, 1).model <= n);
        }
        il_loo_free(&loo);
        il_interval drift;
        for (size_t i = 0; i < n; i++) {
            u[i] = (double)i;
        }
        check_interval(&drift, il_drift_percent(u, y, n, &drift, NULL));
    }
    assert_true(fitted > ROUNDS / 4);
}

/* A value that is not finite gives a refusal or no number, and ends. */
static void what_is_not_finite_stays_so(void **state)
{
    (void)state;
    il_stream s = inputs("nonfinite");
    const double bad[] = {NAN, INFINITY, -INFINITY, -1, 0};
    for (int round = 0; round < ROUNDS; round++) {
        double v[MOST], w[MOST];
        size_t n = draw(&s, 0, v);
        for (size_t i = 0; i < n; i++) {
            w[i] = exp(il_stream_normal(&s));
        }
        double odd = bad[il_stream_below(&s, 5)];
        v[il_stream_below(&s, (uint32_t)n)] = odd;
        il_interval i;
        il_ratio r;
        int rc = il_log_mean_interval(v, n, 0.95, &i, NULL);
        assert_int_equal(rc, IL_E_INVALID);
        assert_true(isnan(i.low) && isnan(i.estimate));
        assert_true(il_log_mean_interval_series(v, n, 0.95, &i, NULL) != IL_OK);
        assert_true(il_ratio_paired(w, v, n, 0.95, &r, NULL) != IL_OK && isnan(r.mde));
        (void)il_quantile(v, n, 0.5);
        (void)il_effective_size(v, n);
        (void)il_mser5(v, n, NULL);
        if (!isfinite(odd)) {
            il_robust fit;
            il_deming line;
            assert_true(il_huber_fit(v, w, n, 1, &fit, NULL, NULL) != IL_OK);
            assert_true(il_hc3_fit(w, v, n, 1, &fit, NULL) != IL_OK);
            assert_true(il_deming_fit(v, w, n, 1, &line, NULL) != IL_OK);
        }
    }
}

static void extreme_quantiles(void **state)
{
    (void)state;
    size_t low, high, need;
    assert_int_equal(il_order_ranks(100, 1e-20, 0.95, &low, &high, &need), IL_E_TOO_FEW);
    assert_true(need == SIZE_MAX);
    assert_int_equal(il_order_ranks(100, 1 - 1e-9, 0.95, &low, &high, &need), IL_E_TOO_FEW);
    assert_true(need > 3600000000U && need < 3700000000U);
    assert_int_equal(il_order_ranks(100, 0.5, 0.95, &low, &high, &need), IL_OK);
    assert_int_equal(need, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_follow_the_unit),
        cmocka_unit_test(fits_follow_the_unit),
        cmocka_unit_test(what_is_not_finite_stays_so),
        cmocka_unit_test(extreme_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
