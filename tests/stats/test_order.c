/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "stats/dist.h"
#include "stats/order.h"

static void quantiles_are_type_7(void **state)
{
    (void)state;
    const double values[] = {9, 1, 4, 16};
    check_near(il_quantile(values, 4, 0), 1, 0);
    check_near(il_quantile(values, 4, 1), 16, 0);
    check_near(il_median(values, 4), 6.5, 0);
    check_near(il_quantile(values, 4, 0.25), 3.25, 1e-15);
    check_near(il_quantile(values, 4, 0.95), 14.95, 1e-14);
    check_near(il_quantile(values, 1, 0.99), 9, 0);
    assert_true(isnan(il_quantile(values, 0, 0.5)));
    assert_true(isnan(il_quantile(values, 4, 1.5)));
    check_near(values[0], 9, 0); /* the input keeps its order */
}

static void long_inputs_sort_too(void **state)
{
    (void)state;
    double values[1001];
    for (int i = 0; i <= 1000; i++) {
        values[(i * 617) % 1001] = i;
    }
    check_near(il_quantile(values, 1001, 0.95), 950, 0);
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Selection against sorting, with many ties and every length up to 200. */
static void selection_agrees_with_sorting(void **state)
{
    (void)state;
    unsigned long long seed = 12345;
    for (size_t n = 1; n <= 200; n++) {
        double values[200], sorted[200];
        for (size_t i = 0; i < n; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            values[i] = (double)((seed >> 33) % (n % 3 ? 1000 : 5));
        }
        memcpy(sorted, values, sizeof sorted);
        qsort(sorted, n, sizeof sorted[0], by_number);
        const double q[] = {0, 0.25, 0.5, 0.95, 0.99, 1};
        for (int i = 0; i < 6; i++) {
            check_near(il_quantile(values, n, q[i]), il_quantile_sorted(sorted, n, q[i]), 1e-15);
        }
    }
}

static void means(void **state)
{
    (void)state;
    const double values[] = {1, 10, 100, 0, -5};
    check_near(il_mean(values, 3), 37, 1e-15);
    check_near(il_geomean(values, 5), 10, 1e-14); /* values ≤ 0 are left out */
    assert_true(isnan(il_geomean(values + 3, 2)));
    check_near(il_sd(values, 2), 9 / sqrt(2), 1e-15);
    assert_true(isnan(il_sd(values, 1)));
}

static void ranks_of_the_median(void **state)
{
    (void)state;
    const size_t want[][3] = {{6, 1, 6}, {10, 2, 9}, {20, 6, 15}, {30, 10, 21}};
    for (size_t i = 0; i < 4; i++) {
        size_t low, high, need;
        assert_int_equal(il_order_ranks(want[i][0], 0.5, 0.95, &low, &high, &need), IL_OK);
        assert_int_equal(low, want[i][1]);
        assert_int_equal(high, want[i][2]);
        assert_int_equal(need, 6);
    }
}

static void tails_say_how_many_they_need(void **state)
{
    (void)state;
    const double q[] = {0.5, 0.9, 0.95, 0.99, 0.1};
    const size_t needed[] = {6, 36, 72, 368, 36};
    for (size_t i = 0; i < 5; i++) {
        size_t low, high, need;
        assert_int_equal(il_order_ranks(needed[i] - 1, q[i], 0.95, &low, &high, &need),
                         IL_E_TOO_FEW);
        assert_int_equal(need, needed[i]);
        assert_int_equal(low, 0);
        assert_int_equal(il_order_ranks(needed[i], q[i], 0.95, &low, &high, &need), IL_OK);
        assert_true(low >= 1 && high <= needed[i]);
    }
}

/* The definition, checked at every n: as tight as the binomial allows and no tighter. */
static void ranks_hold_their_confidence(void **state)
{
    (void)state;
    for (uint32_t n = 6; n < 120; n++) {
        size_t low, high;
        assert_int_equal(il_order_ranks(n, 0.5, 0.95, &low, &high, NULL), IL_OK);
        assert_true(il_binomial_cdf((int64_t)low - 1, n, 0.5) <= 0.025);
        assert_true(il_binomial_cdf((int64_t)low, n, 0.5) > 0.025);
        assert_int_equal(low + high, n + 1); /* symmetric */
    }
}

static void quantile_interval_too_few(void **state)
{
    (void)state;
    const double values[] = {5, 3, 4};
    il_interval got;
    size_t need = 0;
    il_error err = {0};
    assert_int_equal(il_quantile_interval(values, 3, 0.5, 0.95, &got, &need, &err), IL_E_TOO_FEW);
    check_near(got.estimate, 4, 0);
    assert_true(isnan(got.low) && isnan(got.high));
    assert_int_equal(need, 6);
    assert_non_null(strstr(err.what, "6 would"));
    assert_int_equal(il_quantile_interval(values, 0, 0.99, 0.95, &got, &need, &err), IL_E_TOO_FEW);
    assert_int_equal(need, 368);
}

static void t_intervals(void **state)
{
    (void)state;
    /* mean 3, sd √2.5, t(0.975, 4) = 2.7764451051977934 */
    const double values[] = {1, 2, 3, 4, 5};
    il_interval got;
    assert_int_equal(il_mean_interval(values, 5, 0.95, &got, NULL), IL_OK);
    check_near(got.low, 3 - 2.7764451051977934 * sqrt(0.5), 1e-10);
    check_near(got.high, 3 + 2.7764451051977934 * sqrt(0.5), 1e-10);
    const double powers[] = {10, 100, 1000, 10000, 100000};
    assert_int_equal(il_log_mean_interval(powers, 5, 0.95, &got, NULL), IL_OK);
    check_near(got.estimate, 1000, 1e-12);
    check_near(log10(got.high), 3 + 2.7764451051977934 * sqrt(0.5), 1e-10);
    check_near(got.low * got.high, 1e6, 1e-10);
    const double bad[] = {1, 0};
    assert_int_equal(il_log_mean_interval(bad, 2, 0.95, &got, NULL), IL_E_INVALID);
    assert_int_equal(il_mean_interval(values, 1, 0.95, &got, NULL), IL_E_TOO_FEW);
    check_near(got.estimate, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_type_7),
        cmocka_unit_test(long_inputs_sort_too),
        cmocka_unit_test(means),
        cmocka_unit_test(selection_agrees_with_sorting),
        cmocka_unit_test(ranks_of_the_median),
        cmocka_unit_test(tails_say_how_many_they_need),
        cmocka_unit_test(ranks_hold_their_confidence),
        cmocka_unit_test(quantile_interval_too_few),
        cmocka_unit_test(t_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
