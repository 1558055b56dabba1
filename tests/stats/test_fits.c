/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Edges of the fits: ties, degenerate columns, known answers, streams.
 */
#include "check.h"

#include "stats/boot.h"
#include "stats/dist.h"
#include "stats/loo.h"
#include "stats/noise.h"
#include "stats/overhead.h"
#include "stats/rank.h"

static void distributions(void **state)
{
    (void)state;
    check_near(il_normal_quantile(0.025), -1.959963984540054, 1e-9);
    check_near(il_t_quantile(0.975, 5), 2.570581835636314, 1e-9);
    check_near(il_t_two_sided_p(2.570581835636314, 5), 0.05, 1e-9);
    check_near(il_binomial_cdf(1, 10, 0.5), 11.0 / 1024, 1e-12);
    check_near(il_binomial_cdf(-1, 10, 0.5), 0, 0);
    check_near(il_binomial_cdf(10, 10, 0.5), 1, 0);
    assert_true(isnan(il_t_quantile(0.975, 0)));
    assert_true(isnan(il_normal_quantile(1)));
    check_near(il_t_two_sided_p(INFINITY, 3), 0, 0);
}

static void ties_share_a_rank(void **state)
{
    (void)state;
    const double values[] = {3, 1, 3, 2, 3};
    const double want[] = {4, 1, 4, 2, 4};
    double got[5];
    check_ok(il_ranks(values, 5, got, NULL), NULL);
    assert_memory_equal(got, want, sizeof want);
}

static void spearman_edges(void **state)
{
    (void)state;
    const double up[] = {1, 2, 3, 4};
    const double down[] = {8, 4, 2, 1};
    const double flat[] = {5, 5, 5, 5};
    il_spearman got;
    check_ok(il_spearman_fit(up, down, 4, &got, NULL), NULL);
    check_near(got.rho, -1, 0);
    check_near(got.p, 0, 0);
    check_ok(il_spearman_fit(up, flat, 4, &got, NULL), NULL);
    assert_true(isnan(got.rho) && isnan(got.p));
    check_ok(il_spearman_fit(up, down, 2, &got, NULL), NULL);
    check_near(got.rho, -1, 0);
    assert_true(isnan(got.p));
    assert_int_equal(il_spearman_fit(up, down, 1, &got, NULL), IL_E_TOO_FEW);
}

/* scipy.stats.theilslopes([1,3,2,5,5,8], [1,2,2,3,4,5]): ties in both. */
static void theil_sen_with_ties(void **state)
{
    (void)state;
    const double x[] = {1, 2, 2, 3, 4, 5};
    const double y[] = {1, 3, 2, 5, 5, 8};
    il_theil_sen got;
    check_ok(il_theil_sen_fit(x, y, 6, &got, NULL), NULL);
    assert_int_equal(got.n_slopes, 14);
    check_near(got.slope, 1.7083333333333335, 1e-12);
    check_near(got.intercept, -0.2708333333333339, 1e-12);
    check_near(got.slope_low, 1.0, 1e-12);
    check_near(got.slope_high, 3.0, 1e-12);
    const double same[] = {2, 2, 2};
    assert_int_equal(il_theil_sen_fit(same, y, 3, &got, NULL), IL_E_TOO_FEW);
}

static void dependent_columns_are_refused(void **state)
{
    (void)state;
    double x[] = {1, 2, 2, 4, 3, 6, 4, 8, 5, 10};
    const double y[] = {1, 2, 3, 5, 4};
    il_ols got;
    il_error err = {0};
    assert_int_equal(il_ols_fit(x, y, 5, 2, &got, NULL, NULL, &err), IL_E_INVALID);
    x[1] += 1e-3; /* independent again */
    check_ok(il_ols_fit(x, y, 5, 2, &got, NULL, NULL, &err), &err);
    const double flat[] = {7, 7, 7, 7, 7};
    assert_int_equal(il_ols_fit(flat, y, 5, 1, &got, NULL, NULL, &err), IL_E_INVALID);
    assert_int_equal(il_ols_fit(x, y, 2, 2, &got, NULL, NULL, &err), IL_E_TOO_FEW);
    il_line line;
    assert_int_equal(il_line_fit(flat, y, 5, &line), IL_E_TOO_FEW);
}

/* Scale must not matter: parameters in units or in millions give one law. */
static void scale_does_not_matter(void **state)
{
    (void)state;
    const double x[] = {1e9, 2e9, 4e9, 9e9, 11e9};
    const double y[] = {1e-6, 3e-6, 2e-6, 7e-6, 8e-6};
    double x1[5], y1[5];
    for (int i = 0; i < 5; i++) {
        x1[i] = x[i] * 1e-9;
        y1[i] = y[i] * 1e6;
    }
    il_ols a, b;
    double ca[5], cb[5];
    check_ok(il_ols_fit(x, y, 5, 1, &a, NULL, ca, NULL), NULL);
    check_ok(il_ols_fit(x1, y1, 5, 1, &b, NULL, cb, NULL), NULL);
    check_near(a.coef[1] * 1e15, b.coef[1], 1e-12);
    check_near(a.se[0] * 1e6, b.se[0], 1e-12);
    check_near(a.r2, b.r2, 1e-12);
    for (int i = 0; i < 5; i++) {
        check_near(ca[i], cb[i], 1e-9);
    }
}

static void a_lone_head_count_has_leverage_one(void **state)
{
    (void)state;
    const double x[] = {1, 2, 2, 2, 3, 2, 4, 2, 5, 2, 6, 8};
    const double y[] = {1.0, 2.1, 2.9, 4.2, 5.0, 9.0};
    double leverage[6], cooks[6];
    il_ols got;
    check_ok(il_ols_fit(x, y, 6, 2, &got, leverage, cooks, NULL), NULL);
    assert_true(leverage[5] >= IL_LEVERAGE_ONE);
    assert_true(isnan(cooks[5]));
    il_loo loo;
    check_ok(il_loo_fit(x, y, 6, 2, &loo, NULL), NULL);
    il_law_judgement judgement = il_law_judge(&loo, 2);
    assert_int_equal(judgement.verdict, IL_LAW_LEVERAGE_ONE);
    assert_int_equal(judgement.model, 5);
    assert_false(loo.rows[5 * 3 + 2].fitted);
    double mape, p95;
    il_loo_error_log10(&loo, y, &mape, &p95);
    assert_true(isnan(mape));
    il_loo_free(&loo);
}

static void decisive_rule(void **state)
{
    (void)state;
    assert_false(il_is_decisive(1, 0.5, 1.5, 1.49, 1, 2));
    assert_true(il_is_decisive(1, 0.5, 1.5, 1.51, 1, 2));   /* more than half up */
    assert_true(il_is_decisive(1, 0.5, 1.5, 0.49, 0.3, 1)); /* more than half down */
    assert_true(il_is_decisive(0.1, -1, 1, -0.01, -1, 1));  /* sign */
    assert_true(il_is_decisive(1, 0.5, 1.5, 0.9, -0.1, 2)); /* takes in 0 */
    assert_false(
        il_is_decisive(1e-17, 0, 0, -2e-17, 0, 0)); /* equal times: rounding decides nothing */
    assert_true(il_is_decisive(1e-17, 0, 0, 0.1, 0.05, 0.15)); /* from nothing to something */
    assert_false(il_is_decisive(1, -0.5, 2.5, 0.9, -0.1, 2));  /* the full one did too */
    assert_false(il_is_decisive(1, 0.5, 1.5, 0.9, NAN, NAN));
}

static void clean_law_is_supported(void **state)
{
    (void)state;
    double x[8], y[8];
    for (int i = 0; i < 8; i++) {
        x[i] = 0.3 * i;
        y[i] = 1 + 0.8 * x[i] + (i % 2 ? 0.01 : -0.01);
    }
    il_loo loo;
    check_ok(il_loo_fit(x, y, 8, 1, &loo, NULL), NULL);
    il_law_judgement got = il_law_judge(&loo, 1);
    assert_int_equal(got.verdict, IL_LAW_SUPPORTED);
    assert_int_equal(got.model, 8);
    assert_int_equal(got.n_needed, 5);
    double mape, p95;
    il_loo_error_log10(&loo, y, &mape, &p95);
    assert_true(mape > 0.01 && mape < 0.06);
    il_loo_free(&loo);
    check_ok(il_loo_fit(x, y, 4, 1, &loo, NULL), NULL);
    assert_int_equal(il_law_judge(&loo, 1).verdict, IL_LAW_TOO_FEW_MODELS);
    il_loo_free(&loo);
}

static void overhead_known_answers(void **state)
{
    (void)state;
    const double p[] = {1, 4, 9, 16, 25, 100};
    double y[6];
    il_overhead_fit got;
    for (int i = 0; i < 6; i++) {
        y[i] = 3 + 2 * pow(p[i], 0.7);
    }
    check_ok(il_overhead_power(p, y, 6, &got, NULL), NULL);
    check_near(got.s, 0.7, 1e-6);
    check_near(got.a, 3, 1e-5);
    check_near(got.b, 2, 1e-5);
    check_near(il_overhead_fraction(&got, 1), 0.6, 1e-5);
    for (int i = 0; i < 6; i++) {
        y[i] = 100 - 2 * p[i] / 10; /* falling: b would be negative */
    }
    check_ok(il_overhead_power(p, y, 6, &got, NULL), NULL);
    check_near(got.b, 0, 0);
    for (int i = 0; i < 6; i++) {
        y[i] = pow(p[i], 3); /* steeper than allowed */
    }
    check_ok(il_overhead_power(p, y, 6, &got, NULL), NULL);
    check_near(got.s, 2, 1e-8);
    check_near(got.a, 0, 0);
    const double two[] = {1, 4, 4, 1, 1, 4};
    assert_int_equal(il_overhead_power(two, y, 6, &got, NULL), IL_E_TOO_FEW);
    const double zero[] = {0, 4, 9};
    assert_int_equal(il_overhead_power(zero, y, 3, &got, NULL), IL_E_INVALID);
}

static void streams_are_keyed(void **state)
{
    (void)state;
    il_stream a = il_stream_open(42, "t", "row");
    il_stream b = il_stream_open(42, "t", "row");
    il_stream c = il_stream_open(42, "tr", "ow");
    il_stream d = il_stream_open(43, "t", "row");
    uint64_t first = il_stream_u64(&a);
    assert_true(first == il_stream_u64(&b));
    assert_true(first != il_stream_u64(&c));
    assert_true(first != il_stream_u64(&d));
    unsigned counts[7] = {0};
    for (int i = 0; i < 70000; i++) {
        counts[il_stream_below(&a, 7)]++;
    }
    double chi2 = 0;
    for (int i = 0; i < 7; i++) {
        chi2 += (counts[i] - 1e4) * (counts[i] - 1e4) / 1e4;
    }
    assert_true(chi2 < 22.5); /* χ²(6), p = 0.001 */
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < 100000; i++) {
        double z = il_stream_normal(&a);
        sum += z;
        squares += z * z;
    }
    check_close(sum / 1e5, 0, 0.013);
    check_close(squares / 1e5, 1, 0.018);
}

static void degenerate_resamples_are_counted(void **state)
{
    (void)state;
    const double x[] = {1, 1, 1, 2};
    const double y[] = {1, 2, 3, 4};
    il_boot_line got;
    il_stream stream = il_stream_open(1, "t", "r");
    check_ok(il_boot_line_pairs(x, y, 4, 4000, &stream, &got, NULL), NULL);
    /* all four from the first three: (3/4)^4, all the last: (1/4)^4 */
    double want = 1 - (81.0 + 1.0) / 256.0;
    check_close((double)got.n_used / 4000, want, 0.03);
    assert_int_equal(got.n_requested, 4000);
    check_ok(il_boot_line_pairs(x + 2, y + 2, 2, 100, &stream, &got, NULL), NULL);
    assert_int_equal(got.n_used, 0);
    assert_true(isnan(got.slope.low));
    check_near(got.slope.estimate, 1, 1e-12);
}

static void ratios_and_drift(void **state)
{
    (void)state;
    const double a[] = {10, 20, 10};
    const double b[] = {11, 22, 11};
    il_ratio got;
    check_ok(il_ratio_paired(a, b, 3, 0.95, &got, NULL), NULL);
    check_near(got.ratio.estimate, 1.1, 1e-12);
    check_close(got.mde, 0, 1e-12);
    const double c[] = {10, 22, 12.1};
    check_ok(il_ratio_paired(a, c, 3, 0.95, &got, NULL), NULL);
    double t = 4.302652729696142;
    double half = t * log(1.1) / sqrt(3);
    check_near(got.ratio.estimate, 1.1, 1e-12);
    check_near(got.ratio.low, exp(log(1.1) - half), 1e-9);
    /* t(0.9996, 2) / t(0.975, 2) half-widths, far more than two */
    check_near(got.mde, 35.334122319369555 / t * got.half_width, 1e-9);
    const double bad[] = {10, -1, 3};
    assert_int_equal(il_ratio_paired(a, bad, 3, 0.95, &got, NULL), IL_E_INVALID);
    double time[10], value[10];
    for (int i = 0; i < 10; i++) {
        time[i] = 0.1 * i;
        value[i] = 5 * exp(0.03 * time[i]);
    }
    value[4] = 50; /* one outlier does not move it */
    il_interval drift;
    check_ok(il_drift_percent(time, value, 10, &drift, NULL), NULL);
    check_near(drift.estimate, 3, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distributions),
        cmocka_unit_test(ties_share_a_rank),
        cmocka_unit_test(spearman_edges),
        cmocka_unit_test(theil_sen_with_ties),
        cmocka_unit_test(dependent_columns_are_refused),
        cmocka_unit_test(scale_does_not_matter),
        cmocka_unit_test(a_lone_head_count_has_leverage_one),
        cmocka_unit_test(decisive_rule),
        cmocka_unit_test(clean_law_is_supported),
        cmocka_unit_test(overhead_known_answers),
        cmocka_unit_test(streams_are_keyed),
        cmocka_unit_test(degenerate_resamples_are_counted),
        cmocka_unit_test(ratios_and_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
