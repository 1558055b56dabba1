/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Huber, HC3, Deming and Fieller against the numbers of tools/stats_reference.py, and at their
 * edges.
 */
#include "check.h"

#include "stats/deming.h"
#include "stats/dist.h"
#include "stats/fieller.h"
#include "stats/robust.h"
#include "stats/stream.h"

/* Brownlee's stack loss data, 1965. */
static const double stack_x[21 * 3] = {
    80, 27, 89, 80, 27, 88, 75, 25, 90, 62, 24, 87, 62, 22, 87, 62, 23, 87, 62, 24, 93,
    62, 24, 93, 58, 23, 87, 58, 18, 80, 58, 18, 89, 58, 17, 88, 58, 18, 82, 58, 19, 93,
    50, 18, 89, 50, 18, 86, 50, 19, 72, 50, 19, 79, 50, 20, 80, 56, 20, 82, 70, 20, 91};
static const double stack_y[21] = {42, 37, 37, 28, 18, 18, 19, 20, 15, 14, 14,
                                   13, 11, 12, 8,  7,  8,  8,  9,  15, 15};

static void huber_on_stack_loss(void **state)
{
    (void)state;
    const double coef[] = {-41.18425691982264, 0.81193423500153, 1.005687853459981,
                           -0.132793494318984};
    const double se[] = {10.95286885419006, 0.12416647689609, 0.338846888016228, 0.143902875890603};
    il_robust got;
    double weights[21];
    il_error err = {0};
    check_ok(il_huber_fit(stack_x, stack_y, 21, 3, &got, weights, &err), &err);
    for (int t = 0; t < 4; t++) {
        check_near(got.coef[t], coef[t], 1e-8);
        check_near(got.se[t], se[t], 1e-8);
        check_near(got.cov[t][t], se[t] * se[t], 1e-8);
    }
    check_near(got.scale, 3.0123680151209715, 1e-8);
    assert_int_equal(got.n_down, 3);
    assert_true(weights[20] < 0.5 && weights[0] == 1);
    double low, high;
    il_robust_interval(&got, 1, 0.95, &low, &high);
    check_near(high - low, 2 * il_t_quantile(0.975, 17) * se[1], 1e-8);
}

static void hc3_on_stack_loss(void **state)
{
    (void)state;
    const double coef[] = {-39.919674420124025, 0.715640200485285, 1.295286124388572,
                           -0.152122519148653};
    const double se[] = {9.001105108949414, 0.213421198116515, 0.588753796732077,
                         0.120580229004302};
    il_robust got;
    il_error err = {0};
    check_ok(il_hc3_fit(stack_x, stack_y, 21, 3, &got, &err), &err);
    for (int t = 0; t < 4; t++) {
        check_near(got.coef[t], coef[t], 1e-9);
        check_near(got.se[t], se[t], 1e-9);
    }
    check_near(got.cov[1][2], -0.10969135664843624, 1e-9);
    check_near(got.cov[2][1], got.cov[1][2], 1e-12);
}

static void huber_holds_where_least_squares_breaks(void **state)
{
    (void)state;
    double x[11], y[11], weights[11];
    for (int i = 0; i < 11; i++) {
        x[i] = i;
        y[i] = 2 + 0.5 * i;
    }
    y[5] = 1e6; /* the other ten lie on a line exactly */
    il_robust got;
    check_ok(il_huber_fit(x, y, 11, 1, &got, weights, NULL), NULL);
    check_close(got.coef[1], 0.5, 1e-6);
    check_close(got.coef[0], 2, 1e-5);
    assert_true(weights[5] < 1e-6);
    assert_int_equal(got.n_down, 1);
    for (int i = 0; i < 11; i++) {
        y[i] = 7; /* constant */
    }
    check_ok(il_huber_fit(x, y, 11, 1, &got, weights, NULL), NULL);
    check_close(got.coef[1], 0, 1e-14);
    assert_true(got.scale == 0 && got.se[1] == 0 && got.n_down == 0);
}

static void units_do_not_matter(void **state)
{
    (void)state;
    const double units[] = {1e-60, 1e-9, 1, 1e9, 1e60};
    il_robust want, got;
    double x[21 * 3], y[21];
    check_ok(il_huber_fit(stack_x, stack_y, 21, 3, &want, NULL, NULL), NULL);
    for (int u = 0; u < 5; u++) {
        for (int i = 0; i < 63; i++) {
            x[i] = stack_x[i] * units[4 - u];
        }
        for (int i = 0; i < 21; i++) {
            y[i] = stack_y[i] * units[u];
        }
        check_ok(il_huber_fit(x, y, 21, 3, &got, NULL, NULL), NULL);
        check_near(got.coef[1] * units[4 - u] / units[u], want.coef[1], 1e-7);
        check_near(got.se[1] * units[4 - u] / units[u], want.se[1], 1e-7);
    }
}

static void refusals(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3, NAN};
    const double y[] = {1, 2, 4, 5};
    const double flat[] = {3, 3, 3, 3};
    il_robust got;
    assert_int_equal(il_huber_fit(x, y, 4, 1, &got, NULL, NULL), IL_E_INVALID);
    assert_int_equal(il_hc3_fit(x, y, 4, 1, &got, NULL), IL_E_INVALID);
    assert_int_equal(il_huber_fit(flat, y, 4, 1, &got, NULL, NULL), IL_E_INVALID);
    assert_int_equal(il_huber_fit(x, y, 1, 1, &got, NULL, NULL), IL_E_TOO_FEW);
    check_ok(il_huber_fit(x, y, 2, 1, &got, NULL, NULL), NULL); /* the line, no error known */
    check_near(got.coef[1], 1, 1e-12);
    assert_true(isnan(got.se[1]));
    check_ok(il_hc3_fit(x, y, 2, 1, &got, NULL), NULL);
    assert_true(isnan(got.se[1]));
}

/* Pearson's points of 1901; by scipy.odr −0.54556121. */
static void deming_on_pearson(void **state)
{
    (void)state;
    const double x[] = {0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4};
    const double y[] = {5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5};
    const double want[2][4] = {
        {-0.545561197520965, 5.784043774530085, 0.036800416152935, 0.163091552801877},
        {-0.541367977627967, 5.768025674538835, 0.038083064151549, 0.169757024466232}};
    il_deming got;
    for (int i = 0; i < 2; i++) {
        check_ok(il_deming_fit(x, y, 10, i == 0 ? 1 : 4, &got, NULL), NULL);
        check_near(got.slope.estimate, want[i][0], 1e-12);
        check_near(got.intercept.estimate, want[i][1], 1e-12);
        check_near(got.slope_se, want[i][2], 1e-9);
        check_near(got.intercept_se, want[i][3], 1e-9);
        check_near(got.slope.high - got.slope.low, 2 * 2.306004135204166 * want[i][2], 1e-9);
    }
    /* Exchanging the axes and δ gives the inverse line: no side is the measured one. */
    check_ok(il_deming_fit(y, x, 10, 0.25, &got, NULL), NULL);
    check_near(got.slope.estimate, 1 / want[1][0], 1e-12);
}

static void deming_edges(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3, 4};
    const double flat[] = {5, 5, 5, 5};
    const double cross_x[] = {-1, 1, 0, 0};
    const double cross_y[] = {0, 0, -1, 1};
    il_deming got;
    check_ok(il_deming_fit(x, flat, 4, 1, &got, NULL), NULL);
    check_close(got.slope.estimate, 0, 0);
    check_close(got.slope.high, 0, 0);
    check_ok(il_deming_fit(x, x, 2, 1, &got, NULL), NULL);
    check_near(got.slope.estimate, 1, 1e-12);
    assert_true(isnan(got.slope.low));
    assert_int_equal(il_deming_fit(flat, x, 4, 1, &got, NULL), IL_E_TOO_FEW);
    assert_int_equal(il_deming_fit(cross_x, cross_y, 4, 1, &got, NULL), IL_E_INVALID);
    assert_int_equal(il_deming_fit(cross_x, cross_y, 4, 0.5, &got, NULL), IL_E_INVALID);
    check_ok(il_deming_fit(cross_x, cross_y, 4, 2, &got, NULL), NULL); /* flat is the best */
    check_close(got.slope.estimate, 0, 0);
    assert_int_equal(il_deming_fit(x, x, 4, 0, &got, NULL), IL_E_INVALID);
    assert_int_equal(il_deming_fit(x, x, 4, INFINITY, &got, NULL), IL_E_INVALID);
}

/* How far a − ρb is from 0, in its own standard errors squared. */
static double distance2(double a, double b, double va, double vb, double cov, double rho)
{
    double d = a - rho * b;
    return d * d / (va - 2 * rho * cov + rho * rho * vb);
}

/* The ends are where the test of ρ is just at its level, and the kind says which side passes. */
static void fieller_ends_are_where_the_test_turns(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(3, "fieller", "");
    double t2 = pow(il_t_quantile(0.975, 8), 2);
    int seen[3] = {0, 0, 0};
    for (int i = 0; i < 3000; i++) {
        double a = il_stream_normal(&stream) * 3;
        double b = il_stream_normal(&stream) * 3;
        double va = 0.1 + il_stream_uniform(&stream);
        double vb = 0.1 + il_stream_uniform(&stream);
        double cov = (2 * il_stream_uniform(&stream) - 1) * 0.95 * sqrt(va * vb);
        il_fieller got;
        check_ok(il_fieller_ratio(a, b, va, vb, cov, 8, 0.95, &got, NULL), NULL);
        seen[got.kind]++;
        check_near(got.ratio, a / b, 1e-14);
        assert_true((got.g < 1) == (got.kind == IL_FIELLER_BOUNDED));
        double probe = 0.5 * (got.low + got.high);
        switch (got.kind) {
        case IL_FIELLER_BOUNDED:
            assert_true(got.low <= got.ratio && got.ratio <= got.high);
            break;
        case IL_FIELLER_EXCLUSIVE:
            assert_true(got.ratio <= got.low || got.ratio >= got.high);
            assert_true(distance2(a, b, va, vb, cov, probe) > t2);
            break;
        case IL_FIELLER_UNBOUNDED:
            for (double rho = -50; rho < 50; rho += 0.37) {
                assert_true(distance2(a, b, va, vb, cov, rho) <= t2 * (1 + 1e-9));
            }
            continue;
        }
        check_near(distance2(a, b, va, vb, cov, got.low), t2, 1e-6);
        check_near(distance2(a, b, va, vb, cov, got.high), t2, 1e-6);
    }
    assert_true(seen[0] > 500 && seen[1] > 100 && seen[2] > 100);
}

static void fieller_edges(void **state)
{
    (void)state;
    il_fieller got;
    /* b known exactly: a's own interval over b. */
    check_ok(il_fieller_ratio(6, 2, 0.25, 0, 0, INFINITY, 0.95, &got, NULL), NULL);
    check_near(got.low, (6 - 1.959963984540054 * 0.5) / 2, 1e-12);
    check_near(got.high, (6 + 1.959963984540054 * 0.5) / 2, 1e-12);
    assert_string_equal(il_fieller_kind_name(got.kind), "bounded");
    check_ok(il_fieller_ratio(0, 2, 0, 0.01, 0, 5, 0.95, &got, NULL), NULL);
    check_close(got.low, 0, 0);
    check_close(got.high, 0, 0);
    il_fieller huge;
    assert_int_equal(il_fieller_ratio(1, 1, INFINITY, 1, 0, 5, 0.95, &huge, NULL), IL_E_INVALID);
    check_ok(il_fieller_ratio(3e150, 2e-150, 1e298, 1e-302, 0, 5, 0.95, &huge, NULL), NULL);
    check_ok(il_fieller_ratio(3, 2, 0.01, 0.01, 0, 5, 0.95, &got, NULL), NULL);
    check_near(huge.low / 1e300, got.low, 1e-12);
    check_near(huge.high / 1e300, got.high, 1e-12);
    assert_int_equal(il_fieller_ratio(1, 0, 1, 1, 0, 5, 0.95, &got, NULL), IL_E_INVALID);
    assert_int_equal(il_fieller_ratio(1, 1, -1, 1, 0, 5, 0.95, &got, NULL), IL_E_INVALID);
    assert_int_equal(il_fieller_ratio(1, 1, 1, 1, 1.1, 5, 0.95, &got, NULL), IL_E_INVALID);
    assert_int_equal(il_fieller_ratio(1, 1, 1, 1, 0, 0, 0.95, &got, NULL), IL_E_INVALID);
    assert_int_equal(il_fieller_ratio(NAN, 1, 1, 1, 0, 5, 0.95, &got, NULL), IL_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(huber_on_stack_loss),
        cmocka_unit_test(hc3_on_stack_loss),
        cmocka_unit_test(huber_holds_where_least_squares_breaks),
        cmocka_unit_test(units_do_not_matter),
        cmocka_unit_test(refusals),
        cmocka_unit_test(deming_on_pearson),
        cmocka_unit_test(deming_edges),
        cmocka_unit_test(fieller_ends_are_where_the_test_turns),
        cmocka_unit_test(fieller_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
