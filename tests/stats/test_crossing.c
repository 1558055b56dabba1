/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Crossings of measured curves: known places, coverage, and the answers that are not a number.
 */
#include "check.h"

#include "stats/crossing.h"

enum { POINTS = 6, MOST_BLOCKS = 20 };

typedef struct curve {
    double x[POINTS], d[POINTS * MOST_BLOCKS];
    size_t first[POINTS + 1];
} curve;

/* d = slope·(x − at) at x = 0, 0.5, …, 2.5 with noise in each block. */
static il_curve_gap draw(curve *c, size_t blocks, double slope, double at, double noise,
                         il_stream *stream)
{
    c->first[0] = 0;
    for (size_t i = 0; i < POINTS; i++) {
        c->x[i] = 0.5 * (double)i;
        for (size_t b = 0; b < blocks; b++) {
            c->d[c->first[i] + b] = slope * (c->x[i] - at) + noise * il_stream_normal(stream);
        }
        c->first[i + 1] = c->first[i] + blocks;
    }
    return (il_curve_gap){POINTS, c->x, c->d, c->first};
}

static il_crossing find(const il_curve_gap *gap, uint64_t seed, size_t n)
{
    il_stream stream = il_stream_open(seed, "crossing", "test");
    il_crossing c;
    il_error err = {0};
    check_ok(il_crossing_find(gap, n, &stream, &c, &err), &err);
    return c;
}

static void known_crossings_are_found(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(1, "crossing", "known");
    curve c;
    il_curve_gap gap = draw(&c, 10, -0.7, 1.3, 0, &stream);
    il_crossing got = find(&gap, 1, 200);
    check_close(got.estimate, 1.3, 1e-12);
    check_close(got.low, 1.3, 1e-12);
    check_close(got.high, 1.3, 1e-12);
    check_close(got.p_inside, 1, 0);
    assert_int_equal(got.direction, -1);
    assert_int_equal(got.n_crossings, 1);
    assert_int_equal(got.n_blocks, 10);
}

static void intervals_cover(void **state)
{
    (void)state;
    const size_t blocks[] = {5, 10, 20};
    const int trials = 1000;
    for (size_t k = 0; k < 3; k++) {
        il_stream stream = il_stream_open(2, "crossing cover", k ? "more" : "five");
        int hit = 0;
        for (int t = 0; t < trials; t++) {
            curve c;
            il_curve_gap gap = draw(&c, blocks[k], 0.3, 1.2, 0.04, &stream);
            il_crossing got = find(&gap, (uint64_t)t, 1000);
            assert_true(got.p_inside >= 0.95);
            hit += got.low <= 1.2 && 1.2 <= got.high;
        }
        print_message("crossing, %zu blocks: covered %.3f\n", blocks[k], (double)hit / trials);
        assert_true((double)hit / trials > 0.92 && (double)hit / trials < 0.98);
    }
}

static void outside_is_said(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(3, "crossing", "outside");
    curve c;
    il_curve_gap gap = draw(&c, 10, 0.3, 4, 0.02, &stream);
    il_crossing got = find(&gap, 1, 1000);
    check_close(got.p_inside, 0, 0);
    check_close(got.p_all_below, 1, 0);
    assert_true(isnan(got.estimate) && isnan(got.low) && isnan(got.high));
    gap = draw(&c, 10, 0.3, -4, 0.02, &stream);
    check_close(find(&gap, 1, 1000).p_all_above, 1, 0);
    /* beside the last point: a bound below, none above */
    gap = draw(&c, 10, 0.3, 2.5, 0.02, &stream);
    for (size_t b = c.first[POINTS - 1]; b < c.first[POINTS]; b++) {
        c.d[b] = b % 2 ? 0.05 : -0.06;
    }
    got = find(&gap, 1, 2000);
    assert_true(got.p_inside > 0.05 && got.p_inside < 0.95);
    assert_true(got.one_low > 1.5 && got.one_low < 2.5);
    assert_true(isnan(got.one_high));
}

static void three_crossings_are_counted(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3};
    const double d[] = {-1, 1, -1, 1};
    const size_t first[] = {0, 1, 2, 3, 4};
    const il_curve_gap gap = {4, x, d, first};
    il_crossing got = find(&gap, 1, 10);
    assert_int_equal(got.n_crossings, 3);
    check_close(got.estimate, 1.5, 1e-12); /* the middle one */
    assert_true(isnan(got.low));           /* one block has no interval */
    const il_curve_gap point = {1, x, d, first};
    il_stream stream = il_stream_open(1, "", "");
    assert_int_equal(il_crossing_find(&point, 10, &stream, &got, NULL), IL_E_TOO_FEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_crossings_are_found),
        cmocka_unit_test(intervals_cover),
        cmocka_unit_test(outside_is_said),
        cmocka_unit_test(three_crossings_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
