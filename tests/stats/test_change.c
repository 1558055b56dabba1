/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The ratio of two sets of times and its verdict: published numbers, edge cases, and error rates in
 * simulation. The wide simulation is "inferlaw-bench compare".
 */
#include "check.h"

#include "stats/change.h"
#include "stats/noise.h"
#include "stats/stream.h"

#include <stdbool.h>

/* Student's sleep data (1908), as R ships them: extra hours of sleep under two drugs, ten patients.
 * R 4 gives: Welch t = -1.8608, df = 17.776, p = 0.07939, 95 % −3.3654832 … 0.2054832 for group 1
 * minus group 2; paired t = -4.0621, df = 9, p = 0.002833, −2.4598858 … −0.7001142. */
static const double drug1[10] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
static const double drug2[10] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};

static void published_tests(void **state)
{
    (void)state;
    double a[10], b[10];
    for (int i = 0; i < 10; i++) {
        a[i] = exp(drug2[i]);
        b[i] = exp(drug1[i]);
    }
    il_log_ratio r;
    check_ok(il_log_ratio_welch(a, 10, b, 10, &r, NULL), NULL);
    check_near(r.estimate, -1.58, 1e-12);
    check_close(r.dof, 17.776, 5e-4);
    check_close(r.estimate / r.se, -1.8608, 5e-5);
    check_close(il_log_ratio_p(&r), 0.07939, 5e-6);
    il_interval ci = il_log_ratio_interval(&r, 0.95);
    check_close(log(ci.low), -3.3654832, 5e-8);
    check_close(log(ci.high), 0.2054832, 5e-8);
    check_ok(il_log_ratio_paired(a, b, 10, &r, NULL), NULL);
    assert_true(r.dof == 9);
    check_close(r.estimate / r.se, -4.0621, 5e-5);
    check_close(il_log_ratio_p(&r), 0.002833, 5e-7);
    ci = il_log_ratio_interval(&r, 0.95);
    check_close(log(ci.low), -2.4598858, 5e-8);
    check_close(log(ci.high), -0.7001142, 5e-8);
    /* As a noise floor: (e^h − e^−h) / 2 of the half-width h on the log scale. */
    check_near(il_log_ratio_half_width(&r, 0.95), sinh((2.4598858 - 0.7001142) / 2), 1e-6);
}

static void what_cannot_be_compared(void **state)
{
    (void)state;
    const double one[] = {1.0}, two[] = {2.0, 2.0}, bad[] = {1.0, 0.0};
    il_log_ratio r;
    il_error err = {0};
    assert_int_equal(il_log_ratio_welch(one, 0, two, 2, &r, &err), IL_E_TOO_FEW);
    assert_int_equal(il_log_ratio_welch(bad, 2, two, 2, &r, &err), IL_E_INVALID);
    assert_int_equal(il_log_ratio_paired(two, bad, 2, &r, &err), IL_E_INVALID);
    /* One value a side: an estimate without an interval, and no verdict. */
    check_ok(il_log_ratio_welch(one, 1, two, 2, &r, &err), &err);
    check_near(exp(r.estimate), 2, 1e-12);
    assert_true(isnan(r.se) && isnan(il_log_ratio_p(&r)));
    assert_int_equal(il_change_judge(&r, 0.02, NAN, NULL), IL_CHANGE_AMBIGUOUS);
    /* No spread at all is no measured noise: a clock's tick must not be called a change. */
    const double tick[] = {2.2, 2.2, 2.2};
    check_ok(il_log_ratio_welch(tick, 3, two, 2, &r, &err), &err);
    assert_true(isnan(il_log_ratio_p(&r)));
    assert_int_equal(il_change_judge(&r, 0.02, NAN, NULL), IL_CHANGE_AMBIGUOUS);
    check_ok(il_log_ratio_welch(two, 2, two, 2, &r, &err), &err);
    assert_int_equal(il_change_judge(&r, 0.02, NAN, NULL), IL_CHANGE_SAME);
}

static void verdicts(void **state)
{
    (void)state;
    const struct {
        double ratio, se, margin, q;
        il_change verdict;
    } cases[] = {
        {1.10, 0.010, 0.05, 1e-6, IL_CHANGE_SLOWER},
        {0.90, 0.010, 0.05, 1e-6, IL_CHANGE_FASTER},
        {1.10, 0.010, 0.05, 0.06, IL_CHANGE_AMBIGUOUS}, /* the table as a whole forbids it */
        {1.10, 0.035, 0.05, 0.01, IL_CHANGE_AMBIGUOUS}, /* p about 0.013 */
        {1.04, 0.001, 0.05, 1e-9, IL_CHANGE_SAME},      /* sure, and too small to matter */
        {1.04, 0.010, 0.05, 1e-3, IL_CHANGE_AMBIGUOUS}, /* neither shown */
        {1.00, 0.010, 0.05, 1.0, IL_CHANGE_SAME},
        {1.00, 0.040, 0.05, 1.0, IL_CHANGE_AMBIGUOUS},
        {1.00, 0.010, 0.11, 1.0, IL_CHANGE_AMBIGUOUS}, /* no SAME inside so wide a margin */
        {1.50, 0.010, 0.11, 1e-9, IL_CHANGE_SLOWER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const il_log_ratio r = {log(cases[i].ratio), cases[i].se, 18, 10, 10};
        const char *why = NULL;
        il_change got = il_change_judge(&r, cases[i].margin, cases[i].q, &why);
        if (got != cases[i].verdict) {
            print_error("case %zu: %s (%s)\n", i, il_change_name(got), why);
        }
        assert_int_equal(got, cases[i].verdict);
        assert_non_null(why);
    }
}

static void sittings_widen(void **state)
{
    (void)state;
    il_log_ratio r = {0.1, 0.01, 18, 10, 10};
    il_log_ratio_widen(&r, 0.005, 4); /* √2 · 0.005 is less than what it has */
    check_near(r.se, 0.01, 1e-12);
    assert_true(r.dof == 18);
    il_log_ratio_widen(&r, NAN, -1);
    check_near(r.se, 0.01, 1e-12);
    il_log_ratio_widen(&r, 0.03, 4);
    check_near(r.se, sqrt(2) * 0.03, 1e-12);
    assert_true(r.dof == 4);
}

typedef struct rates {
    double covered, raw, wrong, same, power, margin;
} rates;

/* A/A and a true effect of twice the mean margin, with A/A arms beside. */
static rates simulate(size_t n, bool paired, bool bimodal, int trials)
{
    rates out = {0};
    il_stream s = il_stream_open(5, paired ? "paired" : "welch", bimodal ? "bimodal" : "normal");
    for (int pass = 0; pass < 2; pass++) {
        int covered = 0, raw = 0, wrong = 0, same = 0, power = 0;
        double margins = 0, effect = pass ? log1p(2 * out.margin) : 0;
        for (int t = 0; t < trials; t++) {
            double v[4][20];
            for (size_t i = 0; i < n; i++) {
                double block = paired ? 0.2 * il_stream_normal(&s) : 0; /* drift that pairs share */
                for (int k = 0; k < 4; k++) {
                    double z = 0.01 * il_stream_normal(&s);
                    z += bimodal && il_stream_uniform(&s) < 0.3 ? 0.04 : 0;
                    v[k][i] = exp(block + z + (k == 1 ? effect : 0));
                }
            }
            il_log_ratio r;
            il_ratio arms;
            check_ok(paired ? il_log_ratio_paired(v[0], v[1], n, &r, NULL)
                            : il_log_ratio_welch(v[0], n, v[1], n, &r, NULL),
                     NULL);
            check_ok(il_ratio_paired(v[2], v[3], n, 0.95, &arms, NULL), NULL);
            double floor = fmax(il_log_ratio_half_width(&r, 0.95), arms.half_width);
            double margin = fmax(0.02, 2 * floor), p = il_log_ratio_p(&r);
            il_change verdict = il_change_judge(&r, margin, p, NULL);
            il_interval ci = il_log_ratio_interval(&r, 0.95);
            margins += margin / trials;
            covered += log(ci.low) <= effect && effect <= log(ci.high);
            raw += p <= 0.05;
            same += verdict == IL_CHANGE_SAME;
            power += verdict == IL_CHANGE_SLOWER;
            wrong += verdict == IL_CHANGE_FASTER || verdict == IL_CHANGE_SLOWER;
        }
        if (pass == 0) {
            out = (rates){(double)covered / trials,
                          (double)raw / trials,
                          (double)wrong / trials,
                          (double)same / trials,
                          0,
                          margins};
        } else {
            out.power = (double)power / trials;
        }
    }
    print_message("%s n = %zu%s: covered %.4f, raw A/A %.4f, verdicts %.5f, SAME %.3f, "
                  "power at 2 MDE %.3f\n",
                  paired ? "paired" : "Welch", n, bimodal ? ", bimodal" : "", out.covered, out.raw,
                  out.wrong, out.same, out.power);
    return out;
}

static void errs_as_it_says(void **state)
{
    (void)state;
    const size_t sizes[] = {6, 10, 20};
    for (int i = 0; i < 12; i++) {
        rates r = simulate(sizes[i % 3], i / 3 % 2, i / 6, 5000);
        assert_true(r.covered >= 0.93 && r.covered <= 0.97);
        assert_true(r.raw >= 0.03 && r.raw <= 0.07);
        assert_true(r.wrong <= 0.001);
        assert_true(r.power >= 0.90);
        assert_true(r.same >= 0.5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_tests), cmocka_unit_test(what_cannot_be_compared),
        cmocka_unit_test(verdicts),        cmocka_unit_test(sittings_widen),
        cmocka_unit_test(errs_as_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
