/* SPDX-License-Identifier: Apache-2.0
 *
 * The physical cores the calling thread may run on.
 */
#ifndef IL_OS_CORES_H
#define IL_OS_CORES_H

#include <stdint.h>

/* Counts the physical cores in the affinity mask (SMT siblings count once; a CPU whose topology
 * cannot be read is a core of its own) and stores the first allowed CPU of up to `most` of them.
 * At least 1; cpus may be NULL when most is 0. */
uint32_t il_cores_allowed(int *cpus, uint32_t most);

#endif
