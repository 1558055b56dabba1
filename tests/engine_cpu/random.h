/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Fresh random inputs with a printed seed, for the kernel tests.
 */
#ifndef IL_TESTS_ENGINE_CPU_RANDOM_H
#define IL_TESTS_ENGINE_CPU_RANDOM_H

#include "check.h"

#include <time.h>

static uint64_t random_state;

/* Seeds from the clock, or from IL_TEST_SEED to repeat a failure; prints what it took. */
static inline void random_seed(void)
{
    const char *given = getenv("IL_TEST_SEED");
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    random_state = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec;
    print_message("IL_TEST_SEED=%llu\n", (unsigned long long)random_state);
}

/* splitmix64 */
static inline uint64_t random_u64(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* In [low, high]. */
static inline uint32_t random_between(uint32_t low, uint32_t high)
{
    return low + (uint32_t)(random_u64() % (high - low + 1u));
}

/* In (−1, 1). */
static inline float random_float(void)
{
    return (float)((double)(int64_t)random_u64() * 0x1p-63);
}

static inline void random_fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = random_float();
    }
}

/* 64-byte aligned, at least one line. */
static inline void *aligned_bytes(size_t n)
{
    void *p = aligned_alloc(64, (n + 64) / 64 * 64);
    assert_non_null(p);
    return p;
}

#endif
