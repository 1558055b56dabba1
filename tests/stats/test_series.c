/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Resampling of any statistic, series and exact ranks: against tools/stats_reference.py, against
 * enumeration, and at the edges.
 */
#include "check.h"

#include "stats/autocorr.h"
#include "stats/bca.h"
#include "stats/boot.h"
#include "stats/rank.h"

static double mean_of(void *context, const size_t *pick, size_t n)
{
    const double *values = context;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[pick[i]];
    }
    return sum / (double)n;
}

static double skew[20] = {0.144, 1.88,  1.443, 0.294, 0.684, 0.597, 1.054, 1.555, 0.099, 0.029,
                          1.806, 0.567, 1.437, 0.002, 0.589, 1.278, 0.26,  2.905, 2.317, 0.031};

static void bca_of_a_skewed_mean(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(1, "bca", "");
    il_interval got;
    size_t used;
    il_error err = {0};
    check_ok(il_bca_interval(20, mean_of, skew, 0.95, 40000, &stream, &got, &used, &err), &err);
    assert_int_equal(used, 40000);
    /* tools/stats_reference.py, from a million resamples */
    check_close(got.low, 0.5967, 0.008);
    check_close(got.high, 1.3958, 0.012);
    assert_int_equal(il_bca_interval(14, mean_of, skew, 0.95, 100, &stream, &got, &used, &err),
                     IL_E_TOO_FEW);
    assert_true(!isnan(got.estimate) && isnan(got.low));
    double flat[20];
    for (int i = 0; i < 20; i++) {
        flat[i] = 3;
    }
    check_ok(il_bca_interval(20, mean_of, flat, 0.95, 100, &stream, &got, NULL, &err), &err);
    check_near(got.low, 3, 0);
    check_near(got.high, 3, 0);
    flat[3] = NAN;
    assert_int_equal(il_bca_interval(20, mean_of, flat, 0.95, 100, &stream, &got, NULL, &err),
                     IL_E_INVALID);
    for (int i = 0; i < 20; i++) {
        flat[i] = skew[i] * 1e200; /* cubes leave the range, the interval must not */
    }
    check_ok(il_bca_interval(20, mean_of, flat, 0.95, 4000, &stream, &got, NULL, &err), &err);
    assert_true(got.low > 0.55e200 && got.high < 1.5e200);
}

static void block_lengths(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(1, "blocks", "");
    enum { N = 2000 };
    double *v = calloc(N, sizeof *v);
    assert_non_null(v);
    for (int i = 0; i < N; i++) {
        v[i] = il_stream_normal(&stream);
    }
    double white = il_block_length(v, N, IL_BLOCK_STATIONARY);
    for (int i = 1; i < N; i++) {
        v[i] += 0.8 * v[i - 1];
    }
    double tied = il_block_length(v, N, IL_BLOCK_STATIONARY);
    print_message("block lengths: independent %.1f, AR(0.8) %.1f\n", white, tied);
    assert_true(white >= 1 && white < 6);
    /* (2·G²/D·n)^(1/3) with G/g = 2φ/(1 − φ²) = 4.44 and D = 2g²: 34 */
    assert_true(tied > 18 && tied < 60);
    assert_true(il_block_length(v, N, IL_BLOCK_MOVING) > tied);
    assert_true(isnan(il_block_length(v, 3, IL_BLOCK_MOVING)));
    for (int i = 0; i < 10; i++) {
        v[i] = 4;
    }
    check_near(il_block_length(v, 10, IL_BLOCK_MOVING), 1, 0);
    free(v);
}

static void block_intervals_widen_with_dependence(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(2, "blocks", "");
    double v[300] = {0};
    for (int i = 1; i < 300; i++) {
        v[i] = 0.7 * v[i - 1] + il_stream_normal(&stream);
    }
    il_interval alone, moving, stationary;
    il_error err = {0};
    check_ok(il_block_interval(300, mean_of, v, IL_BLOCK_MOVING, 1, 0.95, 2000, &stream, &alone,
                               NULL, &err),
             &err);
    check_ok(il_block_interval(300, mean_of, v, IL_BLOCK_MOVING, 15, 0.95, 2000, &stream, &moving,
                               NULL, &err),
             &err);
    check_ok(il_block_interval(300, mean_of, v, IL_BLOCK_STATIONARY, 15, 0.95, 2000, &stream,
                               &stationary, NULL, &err),
             &err);
    double plain = alone.high - alone.low;
    assert_true(moving.high - moving.low > 1.5 * plain);
    assert_true(stationary.high - stationary.low > 1.5 * plain);
    assert_int_equal(il_block_interval(300, mean_of, v, IL_BLOCK_MOVING, 21, 0.95, 10, &stream,
                                       &moving, NULL, &err),
                     IL_E_TOO_FEW);
    assert_int_equal(il_block_interval(300, mean_of, v, IL_BLOCK_MOVING, 0.5, 0.95, 10, &stream,
                                       &moving, NULL, &err),
                     IL_E_INVALID);
}

static const double series[12] = {5.2, 4.9, 5.5, 5.9, 5.4, 4.8, 4.5, 4.9, 5.1, 5.6, 5.8, 5.3};

static void series_reference(void **state)
{
    (void)state;
    check_near(il_autocorrelation(series, 12, 1), 0.47817040485258827, 1e-12);
    check_near(il_autocorrelation(series, 12, 3), -0.5790308929327126, 1e-12);
    check_near(il_effective_size(series, 12), 6.133900566030935, 1e-12);
    il_interval got;
    check_ok(il_mean_interval_series(series, 12, 0.95, &got, NULL), NULL);
    check_near(got.low, 4.68116012415539, 1e-10);
    check_near(got.high, 5.802173209177942, 1e-10);
    assert_int_equal(il_mean_interval_series(series, 2, 0.95, &got, NULL), IL_E_TOO_FEW);
    check_ok(il_log_mean_interval_series(series, 12, 0.95, &got, NULL), NULL);
    assert_true(got.low > 4.5 && got.low < got.estimate && got.high < 6);
    const double zero[] = {1, 0, 1};
    assert_int_equal(il_log_mean_interval_series(zero, 3, 0.95, &got, NULL), IL_E_INVALID);
}

static void effective_sizes(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(5, "ess", "");
    enum { N = 20000 };
    double *v = calloc(N, sizeof *v);
    assert_non_null(v);
    for (int i = 0; i < N; i++) {
        v[i] = il_stream_normal(&stream);
    }
    assert_true(il_effective_size(v, N) > 0.93 * N);
    for (int i = 1; i < N; i++) {
        v[i] += 0.5 * v[i - 1]; /* τ = 3 */
    }
    check_near(il_effective_size(v, N), N / 3.0, 0.1);
    for (int i = 0; i < 40; i++) {
        v[i] = i % 2; /* alternating: no credit */
    }
    check_near(il_effective_size(v, 40), 40, 0);
    for (int i = 0; i < 40; i++) {
        v[i] = i; /* a trend is worth few */
    }
    assert_true(il_effective_size(v, 40) < 5);
    for (int i = 0; i < 40; i++) {
        v[i] = 0.1;
    }
    check_near(il_effective_size(v, 40), 40, 0);
    assert_true(isnan(il_autocorrelation(v, 40, 1)));
    free(v);
}

static void warm_up_ends(void **state)
{
    (void)state;
    double v[60];
    for (int i = 0; i < 60; i++) {
        v[i] = i < 15 ? 9 - 0.4 * i : 3 + 0.3 * sin(1.7 * i);
    }
    int steady = 0;
    assert_int_equal(il_mser5(v, 60, &steady), 15);
    assert_true(steady);
    for (int i = 0; i < 60; i++) {
        v[i] = 60 - i; /* it never ends */
    }
    (void)il_mser5(v, 60, &steady);
    assert_false(steady);
    for (int i = 0; i < 60; i++) {
        v[i] = 4;
    }
    assert_int_equal(il_mser5(v, 60, &steady), 0);
    assert_true(steady);
    assert_int_equal(il_mser5(v, 19, &steady), 0);
    assert_false(steady);
}

/* Every sequence of 12 sides of a chain, with its probability. */
static double coverage_by_enumeration(size_t n, double stay, size_t low)
{
    double covered = 0;
    for (uint32_t bits = 0; bits < (1U << n); bits++) {
        double p = 0.5;
        size_t ones = bits & 1;
        for (size_t i = 1; i < n; i++) {
            p *= ((bits >> i) & 1) == ((bits >> (i - 1)) & 1) ? stay : 1 - stay;
            ones += (bits >> i) & 1;
        }
        covered += ones >= low && ones <= n - low ? p : 0;
    }
    return covered;
}

static void ranks_of_dependent_series(void **state)
{
    (void)state;
    size_t low, high, need;
    for (size_t n = 6; n <= 60; n++) { /* independent: as the plain ranks */
        size_t l, h;
        check_ok(il_order_ranks(n, 0.5, 0.95, &l, &h, NULL), NULL);
        assert_int_equal(il_order_ranks_series(n, 0.5, 0.95, &low, &high, &need), IL_OK);
        assert_int_equal(low, l);
        assert_int_equal(high, h);
        assert_int_equal(need, 6);
    }
    const double stays[] = {0.55, 0.6, 2.0 / 3, 0.75};
    for (int s = 0; s < 4; s++) {
        for (size_t n = 5; n <= 16; n++) {
            int rc = il_order_ranks_series(n, stays[s], 0.95, &low, &high, &need);
            assert_true((rc == IL_OK) == (n >= need));
            if (rc == IL_OK) {
                assert_int_equal(low + high, n + 1);
                assert_true(coverage_by_enumeration(n, stays[s], low) >= 0.95 - 1e-12);
                assert_true(coverage_by_enumeration(n, stays[s], low + 1) < 0.95);
            } else {
                assert_true(coverage_by_enumeration(n, stays[s], 1) < 0.95);
            }
        }
    }
    assert_int_equal(il_order_ranks_series(10, 0.4, 0.95, &low, &high, NULL), IL_E_INVALID);
}

static void pooled_correlation(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(5, "pooled", "");
    enum { SERIES = 4000, N = 10 };
    const double phis[] = {0, 0.3, 0.6};
    double *v = calloc(SERIES * N, sizeof *v);
    size_t *first = calloc(SERIES + 1, sizeof *first);
    assert_true(v && first);
    for (int k = 0; k < 3; k++) {
        double phi = phis[k];
        for (size_t s = 0; s < SERIES; s++) {
            first[s + 1] = (s + 1) * N;
            double level = il_stream_normal(&stream) / sqrt(1 - phi * phi);
            double size = exp(3 * il_stream_uniform(&stream)); /* cells of any latency */
            for (size_t i = 0; i < N; i++) {
                v[s * N + i] = size * (20 + level);
                level = phi * level + il_stream_normal(&stream);
            }
        }
        double se;
        double got = il_pooled_lag1(v, first, SERIES, &se);
        print_message("lag 1 of %g: %.3f\n", phi, got);
        check_close(got, phi, 0.04);
        check_close(se, 1 / (1 - 4.0 / N) / sqrt(SERIES * (N - 1.0)), 1e-12);
    }
    assert_true(isnan(il_pooled_lag1(v, (const size_t[]){0, 5}, 1, NULL)));

    /* What the ranks of a median are told: nothing below the least or without clear evidence. */
    il_lag1_pool pool = {0};
    assert_true(il_lag1_stay(&pool) == 0.5);
    for (int s = 0; s < 40; s++) {
        il_lag1_add(&pool, (const double[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 10);
    }
    double lag1 = il_lag1_of(&pool, NULL);
    assert_true(lag1 > 0.9);
    check_near(il_lag1_stay(&pool), fmin(0.5 + asin(lag1) / acos(-1.0), 0.999), 1e-12);
    pool = (il_lag1_pool){0};
    for (int s = 0; s < 40; s++) {
        il_lag1_add(&pool, (const double[]){1, 9, 2, 8, 3, 7, 4, 6, 5, 10}, 10);
    }
    assert_true(il_lag1_stay(&pool) == 0.5);
    free(v);
    free(first);
}

static void exact_spearman(void **state)
{
    (void)state;
    const double plain[] = {0, 1, 2, 3, 4, 5, 6};
    const double tied[] = {1, 2, 2, 4, 5, 6, 7};
    const double y[4][7] = {
        {1, 2, 3, 5, 4, 7, 6}, {2, 1, 4, 3, 7, 5, 6}, {1, 1, 2, 3, 3, 3, 5}, {3, 1, 4, 1, 5, 9, 2}};
    const int want[4][2] = {{28, 34}, {268, 172}, {36, 24}, {2838, 2392}};
    double p;
    for (int i = 0; i < 4; i++) {
        check_ok(il_spearman_exact_p(tied, y[i], 7, &p, NULL), NULL);
        check_near(p, want[i][0] / 5040.0, 1e-12);
        check_ok(il_spearman_exact_p(plain, y[i], 7, &p, NULL), NULL);
        check_near(p, want[i][1] / 5040.0, 1e-12);
    }
    const double down[] = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
    const double up[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    check_ok(il_spearman_exact_p(up, down, 10, &p, NULL), NULL);
    check_near(p, 2 / 3628800.0, 1e-12);
    check_ok(il_spearman_exact_p(up, down, 3, &p, NULL), NULL);
    check_near(p, 1.0 / 3, 1e-12);
    const double flat[] = {1, 1, 1, 1};
    check_ok(il_spearman_exact_p(up, flat, 4, &p, NULL), NULL);
    assert_true(isnan(p));
    assert_int_equal(il_spearman_exact_p(up, down, 2, &p, NULL), IL_E_TOO_FEW);
    assert_int_equal(il_spearman_exact_p(up, down, 11, &p, NULL), IL_E_RANGE);
}

/* A law of two x's through the callback, on data without noise: every resample that fixes the law
 * gives it back, the others are skipped. And the inside variance widens. */
typedef struct plane {
    const double *x; /* [n][2] */
    double rows[16 * 2];
} plane;

static int fit_plane(void *context, const size_t *pick, const double *y, size_t n, double *terms)
{
    plane *p = context;
    for (size_t i = 0; i < n; i++) {
        p->rows[2 * i] = p->x[2 * pick[i]];
        p->rows[2 * i + 1] = p->x[2 * pick[i] + 1];
    }
    il_ols fit;
    int rc = il_ols_fit(p->rows, y, n, 2, &fit, NULL, NULL, NULL);
    for (int t = 0; t < 3; t++) {
        terms[t] = rc == IL_OK ? fit.coef[t] : NAN;
    }
    return rc;
}

static void nested_bootstrap_of_a_plane(void **state)
{
    (void)state;
    plane p = {0};
    double x[16], values[8 * 6], inside[8];
    size_t first[9] = {0};
    p.x = x;
    for (size_t m = 0; m < 8; m++) {
        x[2 * m] = (double)m;
        x[2 * m + 1] = (double)(m * m % 5);
        for (size_t b = 0; b < 6; b++) {
            values[6 * m + b] = 1 + 2 * x[2 * m] - 3 * x[2 * m + 1];
        }
        first[m + 1] = 6 * (m + 1);
        inside[m] = 0.06;
    }
    il_nested data = {8, NULL, values, first, NULL};
    il_stream stream = il_stream_open(1, "plane", "");
    il_interval got[3];
    size_t used;
    il_error err = {0};
    check_ok(il_boot_nested(&data, 3, 3, fit_plane, &p, 500, &stream, got, &used, &err), &err);
    assert_true(used > 400 && used <= 500);
    check_close(got[1].low, 2, 1e-9);
    check_close(got[2].high, -3, 1e-9);
    data.inside_var = inside;
    check_ok(il_boot_nested(&data, 3, 3, fit_plane, &p, 500, &stream, got, &used, &err), &err);
    assert_true(got[1].high - got[1].low > 0.02);
    il_nested_sampler sampler;
    check_ok(il_nested_open(&data, &sampler, &err), &err);
    double squares = 0;
    for (int i = 0; i < 20000; i++) {
        double d = il_nested_draw_model(&sampler, 3, &stream) - sampler.medians[3];
        squares += d * d;
    }
    check_near(squares / 20000, 0.01, 0.05); /* inside_var over six blocks */
    il_nested_close(&sampler);
    data.n_models = 3;
    assert_int_equal(il_nested_open(&data, &sampler, &err), IL_E_TOO_FEW);
    check_near(il_nested_tail(1000000, 2, 0.95), 0.025, 1e-5);
    assert_true(isnan(il_nested_tail(3, 3, 0.95)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bca_of_a_skewed_mean),
        cmocka_unit_test(block_lengths),
        cmocka_unit_test(block_intervals_widen_with_dependence),
        cmocka_unit_test(series_reference),
        cmocka_unit_test(effective_sizes),
        cmocka_unit_test(warm_up_ends),
        cmocka_unit_test(ranks_of_dependent_series),
        cmocka_unit_test(pooled_correlation),
        cmocka_unit_test(exact_spearman),
        cmocka_unit_test(nested_bootstrap_of_a_plane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
