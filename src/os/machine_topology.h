/* SPDX-License-Identifier: Apache-2.0
 *
 * Cores, caches and memory nodes, read through hwloc.
 */
#ifndef IL_OS_MACHINE_TOPOLOGY_H
#define IL_OS_MACHINE_TOPOLOGY_H

#include "os/machine.h"

/* Fills n_cpus_allowed, n_cores_allowed, n_numa and the caches. allowed is a CPU list such as
 * "0-3,8" ("" = all CPUs). What cannot be read stays 0; at least one CPU and core are there. */
void il__topology_read(const char *allowed, il_machine *out);

#endif
