/* SPDX-License-Identifier: Apache-2.0
 *
 * What this machine is, what state it is in, and what of it will spoil a measurement. All readings
 * come from /proc, /sys and hwloc below a root that tests can replace (il_machine_set_root).
 */
#ifndef IL_OS_MACHINE_H
#define IL_OS_MACHINE_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* "" is the real machine; a directory holding copies of proc/ and sys/ stands in for it in tests.
 */
void il_machine_set_root(const char *root);

typedef struct il_machine {
    char host[128], os[128], kernel[128], cpu_model[128], cpu_flags[256]; /* flags: the ISA ones */
    char hypervisor[64];                                                  /* "" on bare metal */
    uint32_t n_cpus_allowed;                                              /* in the affinity mask */
    uint32_t n_cores_allowed; /* physical cores among them */
    uint32_t n_numa;
    uint64_t l1d_bytes, l2_bytes, l3_bytes; /* of one instance each, 0 = unknown */
    uint32_t n_l3;
    uint64_t memory_bytes, available_bytes, swap_bytes, swap_used_bytes;
    uint64_t memory_limit_bytes; /* of the cgroup, 0 = none */
    double cpu_quota;            /* of the cgroup: CPUs' worth of time per wall time, 0 = none */
    char governor[32], smt[16], thp[32], numa_balancing[8]; /* "" = unreadable */
    bool turbo_known, turbo_on;
    double load1, steal_percent_since_boot; /* NaN = unreadable */
} il_machine;

int il_machine_probe(il_machine *out, il_error *err);
json_t *il_machine_json(const il_machine *machine);

/* Counters around a call. NaN or UINT64_MAX fields: unreadable. */
typedef struct il_state {
    int64_t at_ns;
    double steal_ms, busy_ms;                    /* machine, since boot */
    double psi_cpu_ms, psi_io_ms, psi_memory_ms; /* "some" totals */
    double throttled_ms;                         /* cgroup */
    double mhz, load1;
    double process_cpu_ms; /* of pid, user + system */
    uint64_t ctx_involuntary, ctx_voluntary, minor_faults, major_faults, rss_bytes; /* of pid */
} il_state;

/* pid 0: machine fields only. Never fails: what cannot be read is marked. About 100 us; outside any
 * timed window. */
void il_state_read(pid_t pid, il_state *out);
/* The journal's `state` object: deltas and final values (docs/journal.md). NULL when memory is out.
 */
json_t *il_state_json(const il_state *before, const il_state *after);

/* Gate rules fixed beforehand; flags of one call. */
typedef struct il_gates {
    double steal_percent;      /* of the call's CPU-seconds: above it the flag "steal" */
    double busy_other_percent; /* CPU time of others / (wall × CPUs): "contended" */
    uint64_t major_faults;     /* more than: "major_faults" */
    double throttled_ms;       /* more than: "throttled" */
    double drift_percent; /* a block whose sentinel is farther from the run's median: judged by the
                             analysis, when the median is known */
} il_gates;

extern const il_gates il_gates_default;
json_t *il_gates_json(const il_gates *gates);
/* Appends flag words (JSON strings) that the gates raise for a call of wall_ms on n_cpus. */
int il_gates_apply(const il_gates *gates, const il_state *before, const il_state *after,
                   uint32_t n_cpus, json_t *flags);

/* One thing that will spoil a measurement: what, how bad, how to mend it. */
typedef struct il_spoiler {
    char what[160], fix[200];
    bool serious; /* said before measuring; the others only in doctor */
} il_spoiler;

/* Looks for at most `most` spoilers (governor, steal over a `watch_ms` window, load, SMT, swap,
 * turbo, THP, NUMA balancing, low memory, hypervisor); returns how many. */
size_t il_machine_spoilers(const il_machine *machine, uint32_t watch_ms, il_spoiler *out,
                           size_t most);

#endif
