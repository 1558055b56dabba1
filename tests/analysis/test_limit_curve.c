/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where a family first exceeds a threshold: by hand, and coverage of the interval in simulation.
 */
#include "check.h"

#include "analysis/limit_curve.h"

#include <stdlib.h>
#include <time.h>

static double at(const double *x, const double *y, size_t n, double threshold)
{
    const il__curve curve = {x, y, n};
    return il__first_crossing(&curve, threshold).at;
}

static void crossings_by_hand(void **state)
{
    (void)state;
    const double x[] = {0, 1, 1, 3};
    const double y[] = {0, 1, 3, 4}; /* two models of one size: 2 */
    check_near(at(x, y, 4, 1), 0.5, 1e-12);
    check_near(at(x, y, 4, 3), 2, 1e-12);
    const il__curve curve = {x, y, 4};
    assert_false(il__first_crossing(&curve, 3).extrapolated);
    /* The least-squares slope is 1.2632: half an octave is within reach, two are not. */
    double slope = 24.0 / 19.0;
    check_near(at(x, y, 4, 4 + 0.34 * slope), 3.34, 1e-12);
    assert_true(il__first_crossing(&curve, 4.4).extrapolated);
    assert_true(at(x, y, 4, 4 + 0.7 * slope) == INFINITY);
    check_near(at(x, y, 4, -0.5 * slope), -0.5, 1e-12);
    assert_true(at(x, y, 4, -0.7 * slope) == -INFINITY);
}

static void the_first_of_several_counts(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3};
    const double y[] = {0, 2, 0, 2};
    const il__curve curve = {x, y, 4};
    il__crossing got = il__first_crossing(&curve, 1);
    check_near(got.at, 0.5, 1e-12);
    assert_true(got.back);
    /* One model knows no slope. */
    assert_true(at(x, y, 1, 1) == INFINITY);
    assert_true(at(x, y + 1, 1, 1) == -INFINITY);
    /* Nor is one that falls with size followed. */
    const double falling[] = {3, 2, 1, 0};
    assert_true(at(x, falling, 4, 3.1) == INFINITY);
}

/* Lognormal blocks: a shock common to all models and one of each model's own. */
static double covered(size_t n_blocks, int n_runs, il_stream *stream)
{
    enum { MODELS = 5 };
    static double logs[MODELS * 64];
    const double x[MODELS] = {0, 1, 2, 3, 4};
    const double truth = 2.3; /* y = 0.8 x: threshold 1.84 */
    const il__block_table table = {MODELS, n_blocks, logs, true};
    int hits = 0;
    il_error err = {0};
    for (int run = 0; run < n_runs; run++) {
        for (size_t b = 0; b < n_blocks; b++) {
            double common = 0.03 * il_stream_normal(stream);
            for (size_t m = 0; m < MODELS; m++) {
                logs[m * n_blocks + b] = 0.8 * x[m] + common + 0.03 * il_stream_normal(stream);
            }
        }
        il_interval got;
        check_ok(il__crossing_interval(&table, x, 0.8 * truth, 400, stream, &got, &err), &err);
        hits += got.low <= truth && truth <= got.high;
    }
    return (double)hits / n_runs;
}

static void intervals_cover(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    il_stream stream = il_stream_open(seed, "test", "coverage");
    static const size_t sizes[] = {6, 10, 20, 40};
    /* IL_TEST_LONG=1: so many runs that the band is narrow. */
    const char *wanted = getenv("IL_TEST_LONG");
    bool many = wanted && wanted[0] == '1';
    double low = many ? 0.925 : 0.90, high = many ? 0.975 : 0.992;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double share = covered(sizes[i], many ? 6000 : 300, &stream);
        print_message("seed %llu, %zu blocks: covered %.3f\n", (unsigned long long)seed, sizes[i],
                      share);
        assert_true(share > low && share < high);
    }
}

static void too_few_blocks_give_none(void **state)
{
    (void)state;
    double logs[10] = {0};
    const double x[] = {0, 1};
    const il__block_table table = {2, 5, logs, true};
    il_stream stream = il_stream_open(1, "test", "few");
    il_interval got;
    assert_int_equal(il__crossing_interval(&table, x, 1, 400, &stream, &got, NULL), IL_E_TOO_FEW);
    assert_true(isnan(got.low) && isnan(got.high));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crossings_by_hand),
        cmocka_unit_test(the_first_of_several_counts),
        cmocka_unit_test(intervals_cover),
        cmocka_unit_test(too_few_blocks_give_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
