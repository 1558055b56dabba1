/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Adjusted p values against those of R's p.adjust, and equivalence against a t interval made by
 * hand.
 */
#include "stats/equivalence.h"
#include "stats/multiple.h"

#include "check.h"

#include <math.h>

/* p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm" and "BH"). */
static void test_adjusted(void **state)
{
    (void)state;
    const double p[] = {0.01, 0.04, NAN, 0.03, 0.005};
    double q[5];
    il_error err = {0};
    check_ok(il_holm_adjust(p, 5, q, &err), &err);
    check_near(q[0], 0.03, 1e-12);
    check_near(q[1], 0.06, 1e-12);
    assert_true(isnan(q[2]));
    check_near(q[3], 0.06, 1e-12);
    check_near(q[4], 0.02, 1e-12);
    check_ok(il_fdr_adjust(p, 5, q, &err), &err);
    check_near(q[0], 0.02, 1e-12);
    check_near(q[1], 0.04, 1e-12);
    check_near(q[3], 0.04, 1e-12);
    check_near(q[4], 0.02, 1e-12);
}

static void test_equivalence(void **state)
{
    (void)state;
    /* mean 0.004, sd 0.00570, se 0.00255; t(0.95, 4) = 2.1318 */
    const double effects[] = {0.01, -0.002, 0.0, 0.001, 0.011};
    il_equivalence e;
    il_error err = {0};
    check_ok(il_equivalence_test(effects, 5, 0.02, 0.05, &e, &err), &err);
    check_near(e.estimate, 0.004, 1e-12);
    check_near(e.high - e.low, 2 * 2.131846786 * 0.006041522987 / sqrt(5), 1e-8);
    assert_true(e.equivalent);
    assert_true(e.p > 0 && e.p < 0.05);
    check_ok(il_equivalence_test(effects, 5, 0.005, 0.05, &e, &err), &err);
    assert_false(e.equivalent);
    assert_int_equal(il_equivalence_test(effects, 1, 0.02, 0.05, &e, &err), IL_E_TOO_FEW);
    assert_int_equal(il_equivalence_test(effects, 5, 0, 0.05, &e, &err), IL_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adjusted),
        cmocka_unit_test(test_equivalence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
