/* SPDX-License-Identifier: Apache-2.0
 *
 * What the control groups of this process allow, versions 1 and 2, alone or mixed. A limit may
 * stand at any level between the process's group and the top that is mounted here; the tightest
 * one counts.
 */
#ifndef IL_OS_MACHINE_CGROUP_H
#define IL_OS_MACHINE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il__cgroup_limits {
    uint64_t memory_bytes; /* 0 = none */
    double cpus;           /* CPU time per wall time, 0 = no quota */
} il__cgroup_limits;

void il__cgroup_read_limits(il__cgroup_limits *out);
/* Time the groups were throttled so far, summed over levels, ms; NaN when no level tells. Where the
 * groups are is looked up once per root: not for two threads at the same time. */
double il__cgroup_throttled_ms(void);
/* The directory of the memory controller's group of this process, below the root; false when none
 * is mounted. *v2: of the unified hierarchy. */
bool il__cgroup_memory_dir(char *out, size_t cap, bool *v2);

#endif
