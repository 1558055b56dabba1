/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "os/ceiling.h"

#include <time.h>

/* The best of three: a busy host only lowers samples. */
static double best3(const double *x)
{
    return fmax(x[0], fmax(x[1], x[2]));
}

/* A cache is never slower than half of memory, and no core reads 1 byte or 100 kB a nanosecond: the
 * unit is right. */
static void read_bandwidth_is_plausible(void **state)
{
    (void)state;
    il_error err = {0};
    double cache[3], memory[3];
    check_ok(il_ceiling_read_gbps(16 << 10, 1, 3, cache, &err), &err);
    check_ok(il_ceiling_read_gbps(96 << 20, 1, 3, memory, &err), &err);
    assert_true(best3(memory) > 0.2 && best3(cache) < 1e5);
    assert_true(best3(cache) > 0.5 * best3(memory));
}

/* Reads really happen: the time a sample reports agrees with the time it takes. */
static void reported_rate_agrees_with_time(void **state)
{
    (void)state;
    enum { BYTES = 256 << 20 };
    il_error err = {0};
    il_ceiling *c = NULL;
    check_ok(il_ceiling_open(BYTES, 2, &c, &err), &err);
    (void)il_ceiling_read_sample_gbps(c); /* calibrates, then one pass */
    struct timespec t0, t1;
    (void)clock_gettime(CLOCK_MONOTONIC, &t0);
    double gbps = il_ceiling_read_sample_gbps(c);
    (void)clock_gettime(CLOCK_MONOTONIC, &t1);
    double ns = (double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec);
    assert_true(gbps >= (double)BYTES / ns * 0.999); /* at least one pass, inside the outer time */
    il_ceiling_close(c);
}

static void multiply_add_peaks_are_plausible(void **state)
{
    (void)state;
    il_error err = {0};
    double f32[3], bf16[3];
    check_ok(il_ceiling_fma_gflops(IL_DTYPE_F32, 1, 3, f32, &err), &err);
    check_ok(il_ceiling_fma_gflops(IL_DTYPE_BF16, 1, 3, bf16, &err), &err);
    assert_true(best3(f32) > 0.1 && best3(f32) < 2e3);
    assert_true(best3(bf16) > 0.4 * best3(f32));
}

static void senseless_requests_are_refused(void **state)
{
    (void)state;
    il_error err = {0};
    il_ceiling *c = NULL;
    double sample;
    assert_int_equal(il_ceiling_open(0, 0, &c, &err), IL_E_RANGE);
    assert_int_equal(il_ceiling_open(UINT64_MAX, 1, &c, &err), IL_E_RANGE);
    assert_int_equal(il_ceiling_read_gbps(0, 1, 1, &sample, &err), IL_E_RANGE);
    assert_null(c);
    il_ceiling_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_bandwidth_is_plausible),
        cmocka_unit_test(reported_rate_agrees_with_time),
        cmocka_unit_test(multiply_add_peaks_are_plausible),
        cmocka_unit_test(senseless_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
