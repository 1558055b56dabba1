/* SPDX-License-Identifier: Apache-2.0 */
#include "os/cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static int read_topology(int cpu, const char *what, int otherwise)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
    FILE *f = fopen(path, "re");
    int value = otherwise;
    if (f != NULL) {
        if (fscanf(f, "%d", &value) != 1) {
            value = otherwise;
        }
        (void)fclose(f);
    }
    return value;
}

uint32_t il_cores_allowed(int *cpus, uint32_t most)
{
    static const int most_cpus = 8192;
    cpu_set_t *set = CPU_ALLOC((size_t)most_cpus);
    int64_t *seen = calloc((size_t)most_cpus, sizeof *seen);
    size_t set_bytes = CPU_ALLOC_SIZE((size_t)most_cpus);
    uint32_t n = 0;
    if (set == NULL || seen == NULL || sched_getaffinity(0, set_bytes, set) != 0) {
        goto out;
    }
    for (int cpu = 0; cpu < most_cpus; cpu++) {
        if (!CPU_ISSET_S((size_t)cpu, set_bytes, set)) {
            continue;
        }
        int64_t package = read_topology(cpu, "physical_package_id", 0);
        int64_t core = read_topology(cpu, "core_id", most_cpus + cpu);
        int64_t key = package * 4 * most_cpus + core;
        uint32_t i = 0;
        while (i < n && seen[i] != key) {
            i++;
        }
        if (i == n) {
            if (n < most) {
                cpus[n] = cpu;
            }
            seen[n++] = key;
        }
    }
out:
    free(seen);
    if (set != NULL) {
        CPU_FREE(set);
    }
    if (n == 0 && most > 0) {
        cpus[0] = 0;
    }
    return n == 0 ? 1 : n;
}
