/* SPDX-License-Identifier: Apache-2.0 */
#include "os/clock.h"

#include "base/buf.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t il_clock_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double il_clock_unix_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const char *clock_source(void)
{
    static char name[32];
    il_buf text;
    il_buf_init(&text, 65536); /* files of /sys claim a page, whatever they hold */
    if (il_file_read("/sys/devices/system/clocksource/clocksource0/current_clocksource", &text,
                     NULL) == IL_OK) {
        (void)snprintf(name, sizeof name, "%s", il_buf_text(&text));
        name[strcspn(name, "\n")] = '\0';
    }
    il_buf_free(&text);
    return name;
}

void il_clock_calibrate(il_clock_facts *out)
{
    enum { ROUNDS = 31, CALLS = 1000 };
    double cost_ns[ROUNDS];
    *out = (il_clock_facts){.step_ns = INT64_MAX};
    int64_t last = il_clock_ns();
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = il_clock_ns();
        for (int i = 0; i < CALLS; i++) {
            int64_t now = il_clock_ns();
            int64_t step = now - last;
            out->backwards += step < 0;
            if (step > 0 && step < out->step_ns) {
                out->step_ns = step;
            }
            last = now;
        }
        cost_ns[round] = (double)(last - start) / CALLS;
    }
    qsort(cost_ns, ROUNDS, sizeof cost_ns[0], compare_double);
    out->overhead_ns = cost_ns[ROUNDS / 2];
    out->source = clock_source();
}
