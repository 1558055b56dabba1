/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An analysis that is right reproduces the digits TR121 printed from the values it printed. The
 * digits beyond those come from tools/stats_reference.py (SciPy).
 */
#include "check.h"
#include "published.h"

#include "stats/boot.h"
#include "stats/loo.h"
#include "stats/overhead.h"
#include "stats/rank.h"

static double lx[N_PUBLISHED], ly[N_PUBLISHED];

static void logs(const double *x, const double *y)
{
    for (size_t i = 0; i < N_PUBLISHED; i++) {
        lx[i] = log10(x[i]);
        ly[i] = log10(y[i]);
    }
}

static void power_laws(void **state)
{
    (void)state;
    const double slope[] = {0.281, 0.291, 0.291};
    const double r2[] = {0.873, 0.848, 0.848};
    const double exact[] = {0.2810300266389319, 0.291199326734696, 0.29119331378986435};
    const double intercept[] = {0.8928240593652534, 2.5791375804215315, 2.5879768949143247};
    for (int m = 0; m < 3; m++) {
        logs(published_params, published_ms[m]);
        il_line line;
        assert_int_equal(il_line_fit(lx, ly, N_PUBLISHED, &line), IL_OK);
        check_close(line.slope, slope[m], 0.0005);
        check_close(line.r2, r2[m], 0.0005);
        check_near(line.slope, exact[m], 1e-12);
        check_near(line.intercept, intercept[m], 1e-12);
        il_ols full;
        check_ok(il_ols_fit(lx, ly, N_PUBLISHED, 1, &full, NULL, NULL, NULL), NULL);
        check_near(full.coef[1], line.slope, 1e-12);
        check_near(full.coef[0], line.intercept, 1e-12);
        check_near(full.r2, line.r2, 1e-12);
    }
}

static void bootstrap_of_the_prefill_slope(void **state)
{
    (void)state;
    logs(published_params, published_ms[PREFILL]);
    il_boot_line got;
    il_stream stream = il_stream_open(42, "scaling_fits", "published");
    check_ok(il_boot_line_pairs(lx, ly, N_PUBLISHED, 1000, &stream, &got, NULL), NULL);
    check_close(got.slope.low, 0.0186, 0.05);
    check_close(got.slope.high, 0.510, 0.05);
    assert_int_equal(got.n_used, 1000);
    il_boot_line again;
    stream = il_stream_open(42, "scaling_fits", "published");
    check_ok(il_boot_line_pairs(lx, ly, N_PUBLISHED, 1000, &stream, &again, NULL), NULL);
    assert_memory_equal(&again, &got, sizeof got);
}

static void rank_correlations(void **state)
{
    (void)state;
    const double *const x[] = {published_params, published_layers, published_width};
    const double rho[] = {0.857, 0.523, 0.855};
    const double p[] = {0.0137, 0.229, 0.0143};
    const double p_digit[] = {0.00005, 0.0005, 0.00005};
    for (int i = 0; i < 3; i++) {
        il_spearman got;
        check_ok(il_spearman_fit(x[i], published_ms[E2E_KV], N_PUBLISHED, &got, NULL), NULL);
        check_close(got.rho, rho[i], 0.0005);
        check_close(got.p, p[i], p_digit[i]);
    }
}

static void theil_sen_lines(void **state)
{
    (void)state;
    const double want[3][4] = {
        {0.27436087944355353, 0.8621513348406507, 0.08697742056678537, 0.5303188172621117},
        {0.3088093233454777, 2.507014961790381, 0.03451907206308774, 0.6665237979459151},
        {0.308765213820226, 2.5157621324695043, 0.03973364752022018, 0.6620934514063596}};
    for (int m = 0; m < 3; m++) {
        logs(published_params, published_ms[m]);
        il_theil_sen got;
        check_ok(il_theil_sen_fit(lx, ly, N_PUBLISHED, &got, NULL), NULL);
        check_near(got.slope, want[m][0], 1e-12);
        check_near(got.intercept, want[m][1], 1e-12);
        check_near(got.slope_low, want[m][2], 1e-12);
        check_near(got.slope_high, want[m][3], 1e-12);
        assert_int_equal(got.n_slopes, 21);
    }
}

static void two_factors(void **state)
{
    (void)state;
    double x[2 * N_PUBLISHED];
    double y[N_PUBLISHED];
    double leverage[N_PUBLISHED];
    double cooks[N_PUBLISHED];
    for (size_t i = 0; i < N_PUBLISHED; i++) {
        x[2 * i] = log(published_params[i]);
        x[2 * i + 1] = log(published_layers[i]);
        y[i] = log(published_ms[E2E_KV][i]);
    }
    il_ols got;
    check_ok(il_ols_fit(x, y, N_PUBLISHED, 2, &got, leverage, cooks, NULL), NULL);
    check_close(got.coef[1], 0.231, 0.0005);
    check_close(got.coef[2], 0.422, 0.0005);
    check_close(got.r2, 0.929, 0.0005);
    const double se[] = {0.29742057, 0.0506513, 0.19784703};
    const double lev[] = {0.91201883, 0.75252033, 0.42405075, 0.17708992,
                          0.21383221, 0.2722184,  0.24826955};
    const double cook[] = {1.14977182, 1.23112813, 0.03033882, 0.1615178,
                           0.00249308, 0.2693928,  0.02224565};
    for (int t = 0; t < 3; t++) {
        check_near(got.se[t], se[t], 1e-6);
    }
    for (int i = 0; i < N_PUBLISHED; i++) {
        check_near(leverage[i], lev[i], 1e-6);
        check_near(cooks[i], cook[i], 1e-5);
    }
    check_near(got.max_leverage, lev[0], 1e-6);
    il_boot_ols boot;
    il_stream stream = il_stream_open(42, "hf_multivariate_fits", "published");
    check_ok(il_boot_ols_pairs(x, y, N_PUBLISHED, 2, 200, &stream, &boot, NULL), NULL);
    assert_true(boot.n_used > 190 && boot.n_used <= 200);
    assert_true(boot.coef[1].low < 0.231 && boot.coef[1].high > 0.231);
    assert_true(boot.r2.low > 0.1 && boot.r2.low < 0.929 && boot.r2.high <= 1);
}

static void without_tiny_gpt2(void **state)
{
    (void)state;
    logs(published_params, published_ms[E2E_KV]);
    il_loo loo;
    check_ok(il_loo_fit(lx, ly, N_PUBLISHED, 1, &loo, NULL), NULL);
    check_close(loo.rows[2 * TINY + 1].estimate, 0.123, 0.0005);
    il_line line;
    assert_int_equal(il_line_fit(lx + 1, ly + 1, N_PUBLISHED - 1, &line), IL_OK);
    check_close(line.r2, 0.20, 0.005);
    il_law_judgement got = il_law_judge(&loo, 1);
    assert_int_equal(got.verdict, IL_LAW_DECISIVE);
    assert_int_equal(got.model, TINY);
    assert_true(loo.leverage[TINY] > 0.8);
    double mape, p95;
    il_loo_error_log10(&loo, ly, &mape, &p95);
    assert_true(mape > 0.3 && p95 > mape);
    il_loo_free(&loo);

    logs(published_layers, published_ms[KV_DECODE]);
    check_ok(il_loo_fit(lx, ly, N_PUBLISHED, 1, &loo, NULL), NULL);
    check_close(loo.fit.coef[1], 0.92, 0.005);
    /* Printed as 0.21, from unrounded values: the rounded ones give 0.2049. */
    check_close(loo.rows[2 * TINY + 1].estimate, 0.2049351452, 1e-9);
    got = il_law_judge(&loo, 1);
    assert_int_equal(got.verdict, IL_LAW_DECISIVE);
    assert_int_equal(got.model, TINY);
    il_loo_free(&loo);
}

static void overhead_fits(void **state)
{
    (void)state;
    il_overhead_fit got;
    check_ok(il_overhead_affine(published_params, published_ms[E2E_KV], N_PUBLISHED, &got, NULL),
             NULL);
    check_near(got.a, 569.5960145537892, 1e-12);
    check_near(got.b, 10.718328534991318, 1e-12);
    check_near(got.r2, 0.611853593823768, 1e-12);
    check_near(il_overhead_fraction(&got, 0.103), 569.5960145537892 / 570.70000239289, 1e-9);
    check_ok(il_overhead_power(published_params, published_ms[E2E_KV], N_PUBLISHED, &got, NULL),
             NULL);
    check_near(got.a, 0, 0);
    check_close(got.s, 0.2329, 0.0001);
    check_near(got.b, 488.6, 1e-3);
    check_close(got.r2, 0.7005080715, 1e-8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_laws),        cmocka_unit_test(bootstrap_of_the_prefill_slope),
        cmocka_unit_test(rank_correlations), cmocka_unit_test(theil_sen_lines),
        cmocka_unit_test(two_factors),       cmocka_unit_test(without_tiny_gpt2),
        cmocka_unit_test(overhead_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
