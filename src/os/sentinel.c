/* SPDX-License-Identifier: Apache-2.0 */
#include "os/sentinel.h"

#include "os/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REPETITIONS = 3, LANES = 4, CHAINS = 8, CACHE_LINE = 64 };

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef uint32_t word_vec __attribute__((vector_size(LANES * sizeof(uint32_t))));

/* Chains contract to the fixed point 1, so values stay normal whatever the number of steps. */
static float multiply_add(uint32_t n_steps)
{
    const vec a = {0.5f, 0.25f, 0.75f, 0.125f};
    const vec b = {0.5f, 0.75f, 0.25f, 0.875f};
    vec x0 = b, x1 = a, x2 = b, x3 = a, x4 = b, x5 = a, x6 = b, x7 = a;
    for (uint32_t i = 0; i < n_steps; i++) {
        x0 = x0 * a + b;
        x1 = x1 * a + b;
        x2 = x2 * a + b;
        x3 = x3 * a + b;
        x4 = x4 * a + b;
        x5 = x5 * a + b;
        x6 = x6 * a + b;
        x7 = x7 * a + b;
        /* Keeps the compiler from folding the loop: each step's values are real. */
        __asm__ volatile("" : "+x"(x0), "+x"(x1), "+x"(x2), "+x"(x3));
        __asm__ volatile("" : "+x"(x4), "+x"(x5), "+x"(x6), "+x"(x7));
    }
    vec sum = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7;
    return sum[0] + sum[1] + sum[2] + sum[3];
}

static uint32_t read_block(const uint32_t *block)
{
    const word_vec *p = (const word_vec *)(const void *)block;
    const word_vec *end = p + IL_SENTINEL_READ_BYTES / sizeof *p;
    word_vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    for (; p < end; p += 4) {
        s0 += p[0];
        s1 += p[1];
        s2 += p[2];
        s3 += p[3];
    }
    word_vec s = s0 + s1 + s2 + s3;
    return s[0] + s[1] + s[2] + s[3];
}

static double median_of_3(const double x[REPETITIONS])
{
    return fmax(fmin(x[0], x[1]), fmin(fmax(x[0], x[1]), x[2]));
}

int il_sentinel_open(il_sentinel *s, il_error *err)
{
    memset(s, 0, sizeof *s);
    s->gemm_ms = s->read_ms = NAN;
    s->block = aligned_alloc(CACHE_LINE, IL_SENTINEL_READ_BYTES);
    if (!s->block) {
        int rc = il_fail(err, IL_E_NOMEM, "no memory for the sentinel's %llu MiB",
                         (unsigned long long)(IL_SENTINEL_READ_BYTES >> 20));
        il_error_hint(err, "switch it off in the study file: schedule: {sentinel: false}");
        return rc;
    }
    uint32_t word = 1;
    for (size_t i = 0; i < IL_SENTINEL_READ_BYTES / sizeof(uint32_t); i++) {
        word = word * 1664525u + 1013904223u;
        s->block[i] = word;
        s->check += word;
    }
    return IL_OK;
}

int il_sentinel_run(il_sentinel *s, il_error *err)
{
    double gemm_ms[REPETITIONS], read_ms[REPETITIONS];
    for (int i = 0; i < REPETITIONS; i++) {
        int64_t t0 = il_clock_ns();
        float fixed_point = multiply_add(IL_SENTINEL_FMA_STEPS);
        int64_t t1 = il_clock_ns();
        uint32_t sum = read_block(s->block);
        int64_t t2 = il_clock_ns();
        if (fabsf(fixed_point - LANES * CHAINS) > 1e-3f || sum != s->check) {
            return il_fail(err, IL_E_INTERNAL,
                           "the sentinel computed %g and %08x instead of %d and %08x: this machine "
                           "or this build miscomputes",
                           (double)fixed_point, sum, LANES * CHAINS, s->check);
        }
        gemm_ms[i] = (double)(t1 - t0) * 1e-6;
        read_ms[i] = (double)(t2 - t1) * 1e-6;
    }
    s->gemm_ms = median_of_3(gemm_ms);
    s->read_ms = median_of_3(read_ms);
    return IL_OK;
}

void il_sentinel_close(il_sentinel *s)
{
    free(s->block);
    s->block = NULL;
}
