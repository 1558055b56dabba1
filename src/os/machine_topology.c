/* SPDX-License-Identifier: Apache-2.0 */
#include "os/machine_topology.h"

#include "os/cores.h"
#include "os/cpulist.h"
#include "os/machine_files.h"

#include <hwloc.h>
#include <stdlib.h>

static void add_cpu(void *context, uint32_t cpu)
{
    (void)hwloc_bitmap_set(context, cpu);
}

/* hwloc takes another root only from its environment; it then trusts no instruction of this CPU. */
static void pass_root(void)
{
    const char *root = il__sys_root();
    if (root[0]) {
        (void)setenv("HWLOC_FSROOT", root, 1);
    } else {
        (void)unsetenv("HWLOC_FSROOT");
    }
}

static uint32_t count_allowed(hwloc_topology_t topology, hwloc_obj_type_t type,
                              hwloc_const_bitmap_t allowed)
{
    uint32_t n = 0;
    hwloc_obj_t obj = NULL;
    while ((obj = hwloc_get_next_obj_by_type(topology, type, obj)) != NULL) {
        n += obj->cpuset != NULL && hwloc_bitmap_intersects(obj->cpuset, allowed);
    }
    return n;
}

/* Size of the first instance that serves an allowed CPU. */
static uint64_t cache_bytes(hwloc_topology_t topology, hwloc_obj_type_t type,
                            hwloc_const_bitmap_t allowed)
{
    hwloc_obj_t obj = NULL;
    while ((obj = hwloc_get_next_obj_by_type(topology, type, obj)) != NULL) {
        if (obj->cpuset && hwloc_bitmap_intersects(obj->cpuset, allowed)) {
            return obj->attr->cache.size;
        }
    }
    return 0;
}

static void read_topology(hwloc_topology_t topology, hwloc_bitmap_t allowed, il_machine *out)
{
    if (hwloc_bitmap_iszero(allowed)) {
        (void)hwloc_bitmap_copy(allowed, hwloc_topology_get_topology_cpuset(topology));
    }
    out->n_numa = (uint32_t)hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
    out->l1d_bytes = cache_bytes(topology, HWLOC_OBJ_L1CACHE, allowed);
    out->l2_bytes = cache_bytes(topology, HWLOC_OBJ_L2CACHE, allowed);
    out->l3_bytes = cache_bytes(topology, HWLOC_OBJ_L3CACHE, allowed);
    out->n_l3 = count_allowed(topology, HWLOC_OBJ_L3CACHE, allowed);
}

void il__topology_read(const char *list, il_machine *out)
{
    hwloc_topology_t topology = NULL;
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    if (!allowed) {
        goto out;
    }
    if (il_cpulist_visit(list, add_cpu, allowed) != IL_OK) {
        hwloc_bitmap_zero(allowed);
    }
    pass_root();
    if (hwloc_topology_init(&topology) != 0) {
        topology = NULL;
        goto out;
    }
    /* All CPUs, whatever a control group hides: the affinity mask decides what counts. */
    (void)hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    if (hwloc_topology_load(topology) == 0) {
        read_topology(topology, allowed, out);
    }
    int cpu;
    il_cores seen = {0};
    hwloc_bitmap_foreach_begin(cpu, allowed)
    {
        (void)il_cores_add(&seen, cpu);
    }
    hwloc_bitmap_foreach_end();
    out->n_cores_allowed = seen.n;
    il_cores_free(&seen);
    int n = hwloc_bitmap_weight(allowed);
    out->n_cpus_allowed = n > 0 ? (uint32_t)n : 0;
out:
    if (out->n_cpus_allowed == 0) {
        out->n_cpus_allowed = 1;
    }
    if (out->n_cores_allowed == 0 || out->n_cores_allowed > out->n_cpus_allowed) {
        out->n_cores_allowed = out->n_cpus_allowed;
    }
    if (out->n_numa == 0) {
        out->n_numa = 1;
    }
    if (topology) {
        hwloc_topology_destroy(topology);
    }
    hwloc_bitmap_free(allowed);
}
