/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Intervals cover what they say although the data decided when to stop. Fixed seeds; bounds are
 * three standard errors of the count below the claim.
 */
#include "check.h"

#include "tests/stats/sampling_noise.h"

static double share(size_t part, size_t whole)
{
    return (double)part / (double)whole;
}

static noise_count count_cells(noise_kind kind, double target, int trials)
{
    il_stream stream = il_stream_open(11, "sampling", noise_names[kind]);
    noise_count c = {0};
    for (int i = 0; i < trials; i++) {
        noise_trial(kind, &stream, 40, target, &c);
    }
    print_message("%-12s target %.1f %%: covers %.3f, fixed %.3f, peeking %.3f; met %.2f, "
                  "stuck %.2f, %.1f of 40 blocks\n",
                  noise_names[kind], 100 * target, share(c.covered, c.trials),
                  share(c.covered_fixed, c.trials), share(c.covered_peeking, c.trials),
                  share(c.met, c.trials), share(c.stuck, c.trials), share(c.blocks, c.trials));
    return c;
}

static void exact_intervals_cover_after_stopping(void **state)
{
    (void)state;
    static const noise_kind independent[] = {NOISE_LOGNORMAL, NOISE_BIMODAL, NOISE_SKEWED,
                                             NOISE_DRIFT};
    const int trials = 3000;
    double bound = 0.95 - 3 * sqrt(0.95 * 0.05 / trials);
    for (size_t k = 0; k < sizeof independent / sizeof independent[0]; k++) {
        noise_count c = count_cells(independent[k], 0.012, trials);
        assert_true(share(c.covered, c.trials) >= bound);
        assert_true(c.met > 0);
    }
}

/* What the wider deciding interval and the second look are for. */
static void peeking_would_not_cover(void **state)
{
    (void)state;
    noise_count c = count_cells(NOISE_LOGNORMAL, 0.01, 4000);
    assert_true(share(c.covered_peeking, c.trials) < 0.945);
    assert_true(share(c.covered, c.trials) > share(c.covered_peeking, c.trials) + 0.01);
    /* and it is worth it: most cells stop before the last block */
    assert_true(share(c.blocks, c.trials) < 36);
}

/* Neighbouring blocks alike: exact intervals cover less at any design; stopping takes away no more
 * than two points of it. */
static void stopping_costs_little_under_correlation(void **state)
{
    (void)state;
    noise_count c = count_cells(NOISE_AR1, 0.012, 3000);
    assert_true(share(c.covered, c.trials) >= share(c.covered_fixed, c.trials) - 0.03);
}

static void noise_that_does_not_fall_is_seen(void **state)
{
    (void)state;
    noise_count walk = count_cells(NOISE_WALK, 0.005, 400);
    noise_count still = count_cells(NOISE_LOGNORMAL, 0.005, 400);
    assert_true(share(walk.stuck, walk.trials) > 0.6);
    assert_true(share(still.stuck, still.trials) < 0.15);
}

static void exponents_cover_after_stopping(void **state)
{
    (void)state;
    static const noise_kind kinds[] = {NOISE_LOGNORMAL, NOISE_BIMODAL, NOISE_SKEWED};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        il_stream stream = il_stream_open(11, "sampling law", noise_names[kinds[k]]);
        noise_count c = {0};
        for (int i = 0; i < 800; i++) {
            noise_law_trial(kinds[k], &stream, 40, 0.01, &c);
        }
        print_message("exponent, %-10s covers %.3f, met %.2f, stuck %.2f, %.1f of 280 blocks\n",
                      noise_names[kinds[k]], share(c.covered, c.trials), share(c.met, c.trials),
                      share(c.stuck, c.trials), share(c.blocks, c.trials));
        assert_true(share(c.covered, c.trials) >= 0.95 - 3 * sqrt(0.95 * 0.05 / 800));
    }
}

static void small_and_odd_input(void **state)
{
    (void)state;
    il_sampling_view v;
    const double same[9] = {2, 2, 2, 2, 2, 2, 2, 2, 2};
    check_ok(il_sampling_median(same, 0, 0.1, &v, NULL), NULL);
    assert_true(isnan(v.half_width) && !v.met && !v.stuck);
    check_ok(il_sampling_median(same, 6, 0.1, &v, NULL), NULL);
    assert_true(isnan(v.half_width) && !v.met);
    check_ok(il_sampling_median(same, 7, 0.1, &v, NULL), NULL);
    assert_false(v.met); /* narrow enough once, not twice */
    check_ok(il_sampling_median(same, 8, 0.1, &v, NULL), NULL);
    assert_true(v.met && v.half_width == 0);
    /* ranks 1 and 8 of 8 at 98 %: (1.7 − 1) / 2 over 1.35 */
    const double steps[8] = {1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7};
    check_ok(il_sampling_median(steps, 8, 0.1, &v, NULL), NULL);
    check_near(v.half_width, 0.35 / 1.35, 1e-12);
    /* Two groups, two blocks each: w = ∓1, part = (π/2)(0.02)/2 each, 2 degrees of freedom. */
    const double x[2] = {0, 1}, logs[4] = {0, 0.2, 1, 1.2};
    const size_t first[3] = {0, 2, 4}, last[2] = {1, 1};
    double gain[2];
    const il_sampling_line line = {2, x, logs, first};
    check_ok(il_sampling_slope(&line, last, last, 0.1, gain, &v, NULL), NULL);
    check_near(v.half_width, 6.964556734 * sqrt(1.5707963267948966 * 0.02), 1e-6);
    check_near(gain[0], 1.5707963267948966 * 0.02 / 2 / 3, 1e-12);
    assert_false(v.met);
    const double flat_x[2] = {1, 1};
    const il_sampling_line flat = {2, flat_x, logs, first};
    check_ok(il_sampling_slope(&flat, last, last, 0.1, NULL, &v, NULL), NULL);
    assert_true(isnan(v.half_width) && !v.met);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_intervals_cover_after_stopping),
        cmocka_unit_test(peeking_would_not_cover),
        cmocka_unit_test(stopping_costs_little_under_correlation),
        cmocka_unit_test(noise_that_does_not_fall_is_seen),
        cmocka_unit_test(exponents_cover_after_stopping),
        cmocka_unit_test(small_and_odd_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
