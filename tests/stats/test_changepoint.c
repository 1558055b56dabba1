/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Change-points with spikes, drift of the clock's ticks and correlated noise around them; what kind
 * of series a run of calls was; the weighted median line.
 */
#include "check.h"

#include "stats/changepoint.h"
#include "stats/ols.h"
#include "stats/rankline.h"
#include "stats/stream.h"

enum { MOST = 400 };

static void shifts_are_dated_and_spikes_are_not(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(1, "changes", "dated");
    double v[120];
    for (size_t i = 0; i < 120; i++) {
        double level = i < 36 ? 0 : i < 90 ? 0.12 : 0.05;
        v[i] = level + 0.01 * il_stream_normal(&stream) + (i % 17 == 9 ? 0.8 : 0);
    }
    il_changes c;
    il_error err = {0};
    check_ok(il_changes_find(v, 120, 0.01, &c, &err), &err);
    assert_int_equal(c.n, 2);
    assert_int_equal(c.at[0], 36);
    assert_int_equal(c.at[1], 90);
    check_close(c.level[0], 0, 0.01);
    check_close(c.level[1], 0.12, 0.01);
    check_close(c.level[2], 0.05, 0.01);
    check_ok(il_changes_drop(&c, v, 120, 0, &err), &err);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.at[0], 90);
    check_close(c.level[0], 0.12, 0.02); /* 54 of its 90 values */
    check_close(c.level[1], 0.05, 0.01);
    check_ok(il_changes_drop(&c, v, 120, 0, &err), &err);
    assert_int_equal(c.n, 0);
    il_changes_free(&c);
    /* the same shifts are nobody's concern when only larger ones are asked for */
    check_ok(il_changes_find(v, 120, 0.2, &c, &err), &err);
    assert_int_equal(c.n, 0);
    il_changes_free(&c);
    assert_int_equal(il_changes_find(v, 7, 0.01, &c, NULL), IL_E_TOO_FEW);
}

/* PELT gives what trying every cut gives: one shift, all places. */
static void exact_series_are_cut_exactly(void **state)
{
    (void)state;
    for (size_t cut = 2; cut <= 18; cut++) {
        double v[20];
        for (size_t i = 0; i < 20; i++) {
            v[i] = i < cut ? 1 : 1.5;
        }
        il_changes c;
        check_ok(il_changes_find(v, 20, 0.01, &c, NULL), NULL);
        /* at the very ends four of seven neighbours are on the other side */
        if (cut >= 4 && cut <= 16) {
            assert_int_equal(c.n, 1);
            assert_int_equal(c.at[0], cut);
        } else {
            assert_true(c.n <= 1);
        }
        il_changes_free(&c);
    }
}

static double false_alarms(size_t n, double rho, int trials)
{
    il_stream stream = il_stream_open(2, "changes false", rho > 0 ? "ar" : "white");
    int alarms = 0;
    for (int t = 0; t < trials; t++) {
        double v[MOST];
        double noise = il_stream_normal(&stream);
        for (size_t i = 0; i < n; i++) {
            noise = rho * noise + sqrt(1 - rho * rho) * il_stream_normal(&stream);
            v[i] = 0.05 * noise + (il_stream_below(&stream, 25) == 0 ? 1 : 0);
        }
        il_changes c;
        check_ok(il_changes_find(v, n, 0.01, &c, NULL), NULL);
        alarms += c.n > 0;
        il_changes_free(&c);
    }
    return (double)alarms / trials;
}

static void flat_series_stay_flat(void **state)
{
    (void)state;
    const size_t sizes[] = {8, 10, 30, 100, 256};
    for (size_t k = 0; k < 5; k++) {
        double white = false_alarms(sizes[k], 0, 1000);
        double correlated = false_alarms(sizes[k], 0.4, 1000);
        print_message("flat, n = %zu: a change in %.3f, with correlation 0.4 in %.3f\n", sizes[k],
                      white, correlated);
        assert_true(white < 0.06 && correlated < 0.08);
    }
    double ticks[64];
    for (size_t i = 0; i < 64; i++) {
        ticks[i] = i % 9 == 0 ? 0.001 : 0; /* two values of a coarse clock */
    }
    il_changes c;
    check_ok(il_changes_find(ticks, 64, 0.01, &c, NULL), NULL);
    assert_int_equal(c.n, 0);
    il_changes_free(&c);
}

static il_steadiness kind_of(const double *v, size_t n, size_t *at)
{
    il_steadiness kind;
    il_error err = {0};
    check_ok(il_steadiness_of(v, n, 0.02, &kind, at, &err), &err);
    return kind;
}

static void series_are_named(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(3, "steady", "");
    double warm[60], slow[60], never[60], flat[60];
    static double longest[5000];
    for (size_t i = 0; i < 60; i++) {
        double e = 0.01 * il_stream_normal(&stream);
        flat[i] = e;
        warm[i] = e + (i < 12 ? 0.3 : 0);
        slow[i] = e + (i < 20 ? 0 : 0.2);
        never[i] = e + (i < 52 ? 0 : -0.3);
    }
    for (size_t i = 0; i < 5000; i++) {
        longest[i] = 0.05 * il_stream_normal(&stream) + (i < 1000 ? 0.2 : 0);
    }
    size_t at;
    assert_int_equal(kind_of(flat, 60, &at), IL_STEADY_FLAT);
    assert_int_equal(at, 0);
    assert_int_equal(kind_of(warm, 60, &at), IL_STEADY_WARMUP);
    assert_int_equal(at, 12);
    assert_int_equal(kind_of(slow, 60, &at), IL_STEADY_SLOWDOWN);
    assert_int_equal(at, 20);
    assert_int_equal(kind_of(never, 60, &at), IL_STEADY_NEVER);
    assert_int_equal(kind_of(flat, 7, &at), IL_STEADY_TOO_FEW);
    assert_int_equal(kind_of(longest, 5000, &at), IL_STEADY_WARMUP);
    assert_true(at >= 990 && at <= 1010);
    assert_string_equal(il_steadiness_names[IL_STEADY_NEVER], "no_steady_state");
}

static void the_rank_line_is_robust_and_efficient(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3, 10};
    const double y[] = {1, 3, 5, 7, 21};
    il_rankline line;
    il_error err = {0};
    check_ok(il_rankline_fit(x, y, NULL, 5, &line, &err), &err);
    check_close(line.slope, 2, 1e-12);
    check_close(line.intercept, 1, 1e-12);
    const double levels[] = {1, 3, 105, 107, 121};
    const int group[] = {0, 0, 1, 1, 1};
    check_ok(il_rankline_fit(x, levels, group, 5, &line, &err), &err);
    check_close(line.slope, 2, 1e-12);
    il_stream stream = il_stream_open(4, "rankline", "");
    double rank2 = 0, ols2 = 0, spiked = 0;
    for (int t = 0; t < 300; t++) {
        double px[60], py[60], z[60];
        for (int i = 0; i < 60; i++) {
            px[i] = (i / 20) * 100 + i % 20; /* three clusters */
            py[i] = 3 + 0.5 * px[i] + il_stream_normal(&stream);
            z[i] = py[i] + (i % 10 == 7 ? 500 : 0);
        }
        il_line ols;
        check_ok(il_line_fit(px, py, 60, &ols), NULL);
        check_ok(il_rankline_fit(px, py, NULL, 60, &line, &err), &err);
        rank2 += (line.slope - 0.5) * (line.slope - 0.5);
        ols2 += (ols.slope - 0.5) * (ols.slope - 0.5);
        check_ok(il_rankline_fit(px, z, NULL, 60, &line, &err), &err);
        spiked = fmax(spiked, fabs(line.slope - 0.5));
    }
    print_message("rank line: efficiency %.3f, worst slope with spikes off by %.4f\n", ols2 / rank2,
                  spiked);
    assert_true(ols2 / rank2 > 0.85);
    assert_true(spiked < 0.02);
    assert_int_equal(il_rankline_fit(x, y, NULL, 1, &line, NULL), IL_E_TOO_FEW);
}

static void outliers_go_by_the_modified_z(void **state)
{
    (void)state;
    double v[] = {10, 11, 9, 10, 12, 8, 40};
    double middle;
    double mad = il_mad(v, 7, &middle);
    check_close(middle, 10, 0);
    check_close(mad, 1, 0);
    check_close(il_modified_z(40, 10, 1, 0.1), 30, 0);
    check_close(il_modified_z(40, 10, 1, 2), 15, 0);
    assert_true(isinf(il_modified_z(2, 1, 0, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shifts_are_dated_and_spikes_are_not),
        cmocka_unit_test(exact_series_are_cut_exactly),
        cmocka_unit_test(flat_series_stay_flat),
        cmocka_unit_test(series_are_named),
        cmocka_unit_test(the_rank_line_is_robust_and_efficient),
        cmocka_unit_test(outliers_go_by_the_modified_z),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
