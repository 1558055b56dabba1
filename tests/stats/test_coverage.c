/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Intervals must cover what they say at the n they are used at. Fixed seeds; the tolerance of each
 * count is several times its own binomial noise. inferlaw-bench coverage runs the same cases long.
 */
#include "check.h"

#include "stats/simulate.h"

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

/* Every case of simulate.h that the tool relies on, with few trials: a share must not lie further
 * outside what is asked than four of its own standard errors. */
static void within_what_is_asked(const char *method)
{
    size_t n_checked = 0;
    for (size_t i = 0; i < sizeof sim_cases / sizeof sim_cases[0]; i++) {
        const sim_case *c = &sim_cases[i];
        if (c->ask == SIM_SHOWN || strcmp(c->method, method) != 0) {
            continue;
        }
        double got = sim_run(c, c->fast_trials, 7);
        double least = sim_asked[c->ask].least;
        double most = sim_asked[c->ask].most;
        double slack_low = 4 * sqrt(least * (100 - least) / c->fast_trials);
        double slack_high = 4 * sqrt(most * (100 - most) / c->fast_trials);
        if (!(got >= least - slack_low && got <= most + slack_high)) {
            print_error("%s of the %s, %s noise, %zu models, %zu blocks: %.2f %%, asked %g to %g\n",
                        c->method, c->quantity, sim_noise_names[c->noise], c->n_models, c->n_blocks,
                        got, least, most);
            fail();
        }
        n_checked++;
    }
    assert_true(n_checked > 0);
}

static void one_cell(void **state)
{
    (void)state;
    within_what_is_asked("order statistics");
    within_what_is_asked("order statistics, series");
    within_what_is_asked("t, series");
    within_what_is_asked("t, trend");
    within_what_is_asked("t, trend of a series");
}

static void two_arms(void **state)
{
    (void)state;
    within_what_is_asked("t, paired");
    within_what_is_asked("il_ratio.mde");
    within_what_is_asked("TOST");
    within_what_is_asked("Fieller");
}

static void laws(void **state)
{
    (void)state;
    within_what_is_asked("t");
    within_what_is_asked("HC3");
    within_what_is_asked("Huber");
    within_what_is_asked("jackknife");
    within_what_is_asked("exact");
}

static void resampled(void **state)
{
    (void)state;
    within_what_is_asked("nested bootstrap");
    within_what_is_asked("BCa");
    within_what_is_asked("block bootstrap");
}

/* Why a verdict needs t's tail too: twice the half-width of six blocks is passed by chance 3.6
 * times in a thousand. */
static void twice_the_half_width_is_not_enough(void **state)
{
    (void)state;
    check_near(il_mde_factor(6, 0.95), il_t_quantile(0.9996, 5) / il_t_quantile(0.975, 5), 1e-12);
    check_near(il_mde_factor(1000, 0.95), 2, 1e-12);
    assert_true(isnan(il_mde_factor(1, 0.95)));
    check_near(il_t_two_sided_p(2 * il_t_quantile(0.975, 5), 5), 0.0036, 0.02);
    const double ratios[] = {1.01, 1.02, 1.015, 1.018, 1.022, 1.011};
    il_ratio got;
    check_ok(il_ratio_of(ratios, 6, 0.95, &got, NULL), NULL);
    assert_true(il_ratio_is_effect(&got, 0.95));
    const double weak[] = {1.01, 1.02, 0.995, 1.018, 1.022, 1.011};
    check_ok(il_ratio_of(weak, 6, 0.95, &got, NULL), NULL);
    assert_true(got.ratio.low > 1 && !il_ratio_is_effect(&got, 0.95));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_median_covers),
        cmocka_unit_test(one_cell),
        cmocka_unit_test(two_arms),
        cmocka_unit_test(laws),
        cmocka_unit_test(resampled),
        cmocka_unit_test(twice_the_half_width_is_not_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
