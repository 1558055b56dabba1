/* SPDX-License-Identifier: Apache-2.0
 *
 * The telemetry worker: energy meters of this machine behind the protocol of docs/wire.md. It loads
 * vendor libraries, which is why it is a process of its own, and computes nothing else. Every meter
 * is told as energy that only grows, in microjoules.
 */
#ifndef IL_TELEMETRY_TELEMETRY_H
#define IL_TELEMETRY_TELEMETRY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IL__METER_NAME_BYTES = 64, IL__MOST_METERS = 64 };

/* One reading of one meter. */
typedef struct il__meter {
    char name[IL__METER_NAME_BYTES]; /* "rapl:package-0", "rapl:package-0/dram", "nvml:0" */
    const char *kind;                /* "counter", or "power": integrated from samples here */
    int64_t at_ns;                   /* CLOCK_MONOTONIC, right after the reading */
    uint64_t energy_uj;              /* since this process first read it */
    double resolution_ms;            /* shortest time seen between two changes; NaN: none seen */
} il__meter;

/* A meter's energy that wraps, unwrapped: what was read, and the most the counter can hold (0: it
 * does not wrap). Also notes how often it changes. */
typedef struct il__unwrap {
    bool known;
    uint64_t last, total;
    int64_t changed_ns;
    double resolution_ms;
} il__unwrap;

/* Takes a raw reading; returns the energy since the first one. */
uint64_t il__unwrap_take(il__unwrap *u, uint64_t raw, uint64_t most, int64_t at_ns);

/* --- rapl.c: /sys/class/powercap below `root` ("" is the machine) ---------------------------- */

typedef struct il__rapl il__rapl;
/* Never fails: without a readable domain `why` (at least 160 bytes) says why, and n is 0. */
il__rapl *il__rapl_open(const char *root, char *why, size_t why_bytes);
size_t il__rapl_read(il__rapl *rapl, il__meter *out, size_t most);
void il__rapl_close(il__rapl *rapl); /* NULL is fine */

/* --- nvml.c: libnvidia-ml.so.1, or the file named ------------------------------------------- */

typedef struct il__nvml il__nvml;
/* As above. Devices without an energy counter get a thread that samples their power. */
il__nvml *il__nvml_open(const char *library, char *why, size_t why_bytes);
size_t il__nvml_read(il__nvml *nvml, il__meter *out, size_t most);
void il__nvml_close(il__nvml *nvml); /* NULL is fine */

#endif
