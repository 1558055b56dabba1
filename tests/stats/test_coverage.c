/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Intervals must cover what they say at the n they are used at. Fixed seeds; the tolerance of each
 * count is several times its own binomial noise.
 */
#include "check.h"

#include "stats/boot.h"
#include "stats/noise.h"
#include "stats/order.h"

/* Share of trials in which the exact interval holds the true median of an exponential. */
static double median_coverage(size_t n, int trials)
{
    il_stream stream = il_stream_open(7, "median", "coverage");
    int hit = 0;
    for (int t = 0; t < trials; t++) {
        double values[32];
        for (size_t i = 0; i < n; i++) {
            values[i] = -log(1 - il_stream_uniform(&stream));
        }
        il_interval got;
        check_ok(il_quantile_interval(values, n, 0.5, 0.95, &got, NULL, NULL), NULL);
        hit += got.low <= log(2) && log(2) <= got.high;
    }
    return (double)hit / trials;
}

static void exact_median_covers(void **state)
{
    (void)state;
    /* exactly 1 − 2/64 = 0.96875 and 1 − 22/1024 = 0.97852 */
    check_close(median_coverage(6, 40000), 0.96875, 0.004);
    check_close(median_coverage(10, 40000), 0.97852, 0.004);
}

static void t_on_log_blocks_covers(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(7, "logt", "coverage");
    const int trials = 20000;
    int hit = 0;
    for (int t = 0; t < trials; t++) {
        double values[10];
        for (int i = 0; i < 10; i++) {
            values[i] = 5 * exp(0.1 * il_stream_normal(&stream));
        }
        il_interval got;
        check_ok(il_log_mean_interval(values, 10, 0.95, &got, NULL), NULL);
        hit += got.low <= 5 && 5 <= got.high;
    }
    double coverage = (double)hit / trials;
    print_message("t on log block means, n = 10: %.4f\n", coverage);
    assert_true(coverage >= 0.93 && coverage <= 0.97);
}

/* Raw A/A error of one cell; and of a verdict, which also needs the effect to exceed twice the
 * largest half-width of the backend's three A/A cells. */
static void aa_errs_as_it_says(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(7, "aa", "coverage");
    const int trials = 20000;
    int raw = 0;
    int verdicts = 0;
    for (int t = 0; t < trials; t++) {
        il_ratio got[3];
        double mde = 0;
        for (int cell = 0; cell < 3; cell++) {
            double a[10], b[10];
            for (int i = 0; i < 10; i++) {
                double block = exp(0.2 * il_stream_normal(&stream)); /* shared by both arms */
                a[i] = block * exp(0.02 * il_stream_normal(&stream));
                b[i] = block * exp(0.02 * il_stream_normal(&stream));
            }
            check_ok(il_ratio_paired(a, b, 10, 0.95, &got[cell], NULL), NULL);
            mde = fmax(mde, got[cell].mde);
        }
        int errs = got[0].ratio.low > 1 || got[0].ratio.high < 1;
        raw += errs;
        verdicts += errs && fabs(got[0].ratio.estimate - 1) > mde;
    }
    print_message("A/A error raw %.4f, verdict %.5f\n", (double)raw / trials,
                  (double)verdicts / trials);
    assert_true((double)raw / trials >= 0.03 && (double)raw / trials <= 0.07);
    assert_true((double)verdicts / trials <= 0.001);
}

/* Share of trials in which each method holds the true slope of a law with scatter between models,
 * noise between blocks, and x as spread out as the study's. */
static void slope_coverage(size_t n, size_t blocks, int trials, double *pairs, double *nested)
{
    il_stream stream = il_stream_open(11, "slope", n == 7 ? "7" : "11");
    int hit_pairs = 0;
    int hit_nested = 0;
    for (int t = 0; t < trials; t++) {
        double x[16], y[16], values[16 * 10];
        size_t first[17] = {0};
        for (size_t m = 0; m < n; m++) {
            x[m] = 2.0 * (double)m / (double)(n - 1) + 0.3 * il_stream_normal(&stream);
            double truth = 1 + 0.5 * x[m] + 0.1 * il_stream_normal(&stream);
            for (size_t b = 0; b < blocks; b++) {
                values[m * blocks + b] = truth + 0.02 * il_stream_normal(&stream);
            }
            first[m + 1] = (m + 1) * blocks;
            y[m] = il_median(values + m * blocks, blocks);
        }
        il_stream resample = il_stream_open((uint64_t)t, "resample", "");
        il_boot_line got;
        check_ok(il_boot_line_pairs(x, y, n, 400, &resample, &got, NULL), NULL);
        hit_pairs += got.slope.low <= 0.5 && 0.5 <= got.slope.high;
        const il_nested data = {n, x, values, first, NULL};
        check_ok(il_boot_line_nested(&data, 800, &resample, &got, NULL), NULL);
        hit_nested += got.slope.low <= 0.5 && 0.5 <= got.slope.high;
    }
    *pairs = (double)hit_pairs / trials;
    *nested = (double)hit_nested / trials;
}

static void nested_slope_covers(void **state)
{
    (void)state;
    const size_t n[] = {7, 11};
    for (int i = 0; i < 2; i++) {
        double pairs, nested;
        slope_coverage(n[i], 10, 400, &pairs, &nested);
        print_message("slope at %zu models: pairs %.3f, nested %.3f\n", n[i], pairs, nested);
        assert_true(nested >= 0.93 && nested <= 0.97);
        assert_true(pairs < nested);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_median_covers),
        cmocka_unit_test(t_on_log_blocks_covers),
        cmocka_unit_test(aa_errs_as_it_says),
        cmocka_unit_test(nested_slope_covers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
