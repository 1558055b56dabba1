/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "os/clock.h"
#include "os/sentinel.h"

#include <time.h>
#include <unistd.h>

static void clock_is_monotonic_and_cheap(void **state)
{
    (void)state;
    il_clock_facts facts;
    il_clock_calibrate(&facts);
    assert_true(facts.backwards == 0);
    assert_in_range(facts.step_ns, 1, 100000);
    assert_true(facts.overhead_ns > 0 && facts.overhead_ns < 100000);
    assert_non_null(facts.source);
    if (access("/sys/devices/system/clocksource/clocksource0/current_clocksource", R_OK) == 0) {
        assert_true(facts.source[0] != '\0');
        assert_null(strchr(facts.source, '\n'));
    }
}

static void clock_counts_nanoseconds(void **state)
{
    (void)state;
    struct timespec ask = {.tv_nsec = 20000000}, left;
    int64_t t0 = il_clock_ns();
    assert_int_equal(nanosleep(&ask, &left), 0);
    int64_t slept_ns = il_clock_ns() - t0;
    assert_in_range(slept_ns, 20000000, 2000000000);
    check_close(il_clock_unix_s(), (double)time(NULL), 2.0);
}

/* The least of several runs repeats, whatever else the machine does. */
static void sentinel_repeats(void **state)
{
    (void)state;
    il_sentinel s;
    il_error err = {0};
    double best[2] = {INFINITY, INFINITY};
    check_ok(il_sentinel_open(&s, &err), &err);
    assert_true(isnan(s.gemm_ms) && isnan(s.read_ms)); /* nothing measured yet */
    for (int i = 0; i < 6; i++) {
        check_ok(il_sentinel_run(&s, &err), &err);
        assert_true(s.gemm_ms > 0 && s.read_ms > 0);
        best[i % 2] = fmin(best[i % 2], s.gemm_ms);
    }
    check_near(best[0], best[1], 0.5);
    /* 64 MiB in less than 64 MiB / (1 TB/s) would mean that the read was optimised away; so would
     * 2^27 multiply-adds on one core in under a millisecond. */
    assert_true(s.read_ms > 0.067);
    assert_true(s.gemm_ms > 1.0);
    il_sentinel_close(&s);
    il_sentinel_close(&s); /* twice is fine */
}

static void sentinel_reads_every_byte(void **state)
{
    (void)state;
    il_sentinel s;
    il_error err = {0};
    check_ok(il_sentinel_open(&s, &err), &err);
    s.block[IL_SENTINEL_READ_BYTES / sizeof s.block[0] - 1] ^= 1u;
    assert_int_equal(il_sentinel_run(&s, &err), IL_E_INTERNAL);
    il_sentinel_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_is_monotonic_and_cheap),
        cmocka_unit_test(clock_counts_nanoseconds),
        cmocka_unit_test(sentinel_repeats),
        cmocka_unit_test(sentinel_reads_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
