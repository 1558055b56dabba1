/* SPDX-License-Identifier: Apache-2.0
 *
 * The one clock. Every stamp in every artifact is an absolute CLOCK_MONOTONIC nanosecond count, so
 * stamps of driver and workers on one machine compare.
 */
#ifndef IL_OS_CLOCK_H
#define IL_OS_CLOCK_H

#include <stdint.h>

int64_t il_clock_ns(void);    /* CLOCK_MONOTONIC */
double il_clock_unix_s(void); /* CLOCK_REALTIME, seconds since 1970, for labels only */

typedef struct il_clock_facts {
    double overhead_ns; /* median cost of one il_clock_ns call */
    int64_t step_ns;    /* least non-zero difference of two calls seen */
    uint64_t backwards; /* times a later call returned less: any is a broken clock */
    const char *source; /* kernel clock source, "tsc"; "" when unreadable */
} il_clock_facts;

/* Some milliseconds of calls. */
void il_clock_calibrate(il_clock_facts *out);

#endif
