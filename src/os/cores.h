/* SPDX-License-Identifier: Apache-2.0
 *
 * Physical cores, counted by the topology the kernel tells.
 */
#ifndef IL_OS_CORES_H
#define IL_OS_CORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cores met so far; ready when zeroed. SMT siblings are one core, a CPU whose topology cannot be
 * read is a core of its own. */
typedef struct il_cores {
    int64_t *seen;
    uint32_t n;
    size_t cap;
} il_cores;

/* True when this CPU is the first of its core. When memory is out it counts as one. */
bool il_cores_add(il_cores *cores, int cpu);
void il_cores_free(il_cores *cores);

/* Counts the physical cores in the affinity mask of the calling thread and stores the first allowed
 * CPU of up to `most` of them. At least 1; cpus may be NULL when most is 0. */
uint32_t il_cores_allowed(int *cpus, uint32_t most);

#endif
