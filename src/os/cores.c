/* SPDX-License-Identifier: Apache-2.0 */
#include "os/cores.h"

#include "os/machine_files.h"

#include <sched.h>
#include <stdlib.h>

enum { MOST_CPUS = 8192 };

static int64_t read_topology(int cpu, const char *what, int64_t otherwise)
{
    uint64_t value;
    return il__sys_u64(&value, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what) &&
                   value <= INT32_MAX
               ? (int64_t)value
               : otherwise;
}

bool il_cores_add(il_cores *cores, int cpu)
{
    int64_t package = read_topology(cpu, "physical_package_id", 0);
    int64_t core = read_topology(cpu, "core_id", INT32_MAX + (int64_t)cpu + 1);
    int64_t key = package * ((int64_t)1 << 33) + core;
    for (uint32_t i = 0; i < cores->n && cores->seen; i++) {
        if (cores->seen[i] == key) {
            return false;
        }
    }
    if (cores->n == cores->cap) {
        size_t cap = cores->cap ? 2 * cores->cap : 64;
        int64_t *grown = realloc(cores->seen, cap * sizeof *grown);
        if (!grown) {
            return true;
        }
        cores->seen = grown;
        cores->cap = cap;
    }
    cores->seen[cores->n++] = key;
    return true;
}

void il_cores_free(il_cores *cores)
{
    free(cores->seen);
    *cores = (il_cores){0};
}

uint32_t il_cores_allowed(int *cpus, uint32_t most)
{
    cpu_set_t *set = CPU_ALLOC((size_t)MOST_CPUS);
    size_t set_bytes = CPU_ALLOC_SIZE((size_t)MOST_CPUS);
    il_cores cores = {0};
    uint32_t n = 0;
    bool known = set != NULL && sched_getaffinity(0, set_bytes, set) == 0;
    for (int cpu = 0; known && cpu < MOST_CPUS; cpu++) {
        if (CPU_ISSET_S((size_t)cpu, set_bytes, set) && il_cores_add(&cores, cpu)) {
            if (n < most) {
                cpus[n] = cpu;
            }
            n++;
        }
    }
    il_cores_free(&cores);
    if (set != NULL) {
        CPU_FREE(set);
    }
    if (n == 0 && most > 0) {
        cpus[0] = 0;
    }
    return n == 0 ? 1 : n;
}
