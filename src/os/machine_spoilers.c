/* SPDX-License-Identifier: Apache-2.0 */
#include "os/machine.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Limits above which a reading is called a spoiler. */
#define STEAL_SERIOUS_PERCENT   1.0
#define BUSY_SERIOUS_PERCENT    5.0
#define LOAD_PER_CPU_NOTABLE    0.5
#define SWAP_USED_SERIOUS_BYTES (UINT64_C(64) << 20)
#define MEMORY_LOW_BYTES        (UINT64_C(1) << 30)

typedef struct list {
    il_spoiler *items;
    size_t n, most;
} list;

/* Appends one; NULL when the list is full. The caller writes what and fix. */
static il_spoiler *add(list *l, bool serious)
{
    if (l->n == l->most) {
        return NULL;
    }
    il_spoiler *s = &l->items[l->n++];
    memset(s, 0, sizeof *s);
    s->serious = serious;
    return s;
}

#define SAY(spoiler, what_fmt, ...)                                                                \
    ((spoiler) ? (void)snprintf((spoiler)->what, sizeof(spoiler)->what, what_fmt, __VA_ARGS__)     \
               : (void)0)
#define FIX(spoiler, fix_text)                                                                     \
    ((spoiler) ? (void)snprintf((spoiler)->fix, sizeof(spoiler)->fix, "%s", fix_text) : (void)0)

/* What others took of the machine while this process slept for watch_ms. */
static void watch(const il_machine *m, uint32_t watch_ms, list *l)
{
    il_state before, after;
    struct timespec pause = {.tv_sec = watch_ms / 1000,
                             .tv_nsec = (long)(watch_ms % 1000) * 1000000};
    if (watch_ms == 0) {
        return;
    }
    il_state_read(0, &before);
    (void)nanosleep(&pause, NULL);
    il_state_read(0, &after);
    double cpu_ms = (double)(after.at_ns - before.at_ns) * 1e-6 * m->n_cpus_allowed;
    double steal = 100.0 * (after.steal_ms - before.steal_ms) / cpu_ms;
    double busy = 100.0 * (after.busy_ms - before.busy_ms) / cpu_ms;
    if (steal > STEAL_SERIOUS_PERCENT) {
        il_spoiler *s = add(l, true);
        SAY(s, "the hypervisor took %.1f %% of the CPU time just now (steal)", steal);
        FIX(s, "move to a machine with dedicated CPUs, or measure at a quieter hour with more "
               "blocks (--blocks 20)");
    }
    if (busy > BUSY_SERIOUS_PERCENT) {
        il_spoiler *s = add(l, true);
        SAY(s, "other programs use %.0f %% of the allowed CPUs right now", busy);
        FIX(s, "top -o %CPU shows them: stop them or wait");
    }
}

static void look_cpu(const il_machine *m, list *l)
{
    il_spoiler *s;
    if (m->governor[0] && strcmp(m->governor, "performance") != 0) {
        s = add(l, true);
        SAY(s, "frequency governor \"%s\": the clock follows the load", m->governor);
        FIX(s, "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor");
    }
    if (m->cpu_quota > 0 && m->cpu_quota < m->n_cpus_allowed) {
        s = add(l, true);
        SAY(s, "the control group grants %.2f of %u CPUs: more threads than that are throttled",
            m->cpu_quota, m->n_cpus_allowed);
        FIX(s, "raise the container's CPU limit, or pass --threads below it");
    }
    if (strcmp(m->smt, "on") == 0 && m->n_cpus_allowed > m->n_cores_allowed) {
        s = add(l, false);
        SAY(s, "SMT is on: %u hardware threads share %u cores", m->n_cpus_allowed,
            m->n_cores_allowed);
        FIX(s, "echo off | sudo tee /sys/devices/system/cpu/smt/control, or leave --threads at one "
               "per core (the default)");
    }
    if (m->turbo_known && m->turbo_on) {
        s = add(l, false);
        SAY(s, "turbo is on: the clock depends on temperature and on how many cores work%s", "");
        FIX(s, "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo (or echo 0 | sudo "
               "tee /sys/devices/system/cpu/cpufreq/boost)");
    }
    if (m->hypervisor[0]) {
        s = add(l, false);
        SAY(s, "a virtual machine (%s): neighbours share caches, memory bandwidth and power",
            m->hypervisor);
        FIX(s, "a bare-metal machine, or blocks spread over hours (schedule: {blocks: 20})");
    }
}

static void look_memory(const il_machine *m, list *l)
{
    il_spoiler *s;
    uint64_t mib = UINT64_C(1) << 20;
    uint64_t low =
        m->memory_bytes / 10 > MEMORY_LOW_BYTES ? m->memory_bytes / 10 : MEMORY_LOW_BYTES;
    if (m->swap_used_bytes > SWAP_USED_SERIOUS_BYTES) {
        s = add(l, true);
        SAY(s, "%llu MiB are swapped out", (unsigned long long)(m->swap_used_bytes / mib));
        FIX(s, "sudo swapoff -a (and sudo swapon -a afterwards), when memory allows it");
    } else if (m->swap_bytes > 0) {
        s = add(l, false);
        SAY(s, "swap is on (%llu MiB): weights may be paged out between calls",
            (unsigned long long)(m->swap_bytes / mib));
        FIX(s, "sudo swapoff -a (and sudo swapon -a afterwards)");
    }
    if (m->available_bytes > 0 && m->available_bytes < low) {
        s = add(l, true);
        SAY(s, "only %llu MiB of memory are available",
            (unsigned long long)(m->available_bytes / mib));
        FIX(s, "ps aux --sort=-rss shows who holds it: stop it, or measure smaller models");
    }
    if (m->memory_limit_bytes > 0) {
        s = add(l, false);
        SAY(s, "the control group limits memory to %llu MiB",
            (unsigned long long)(m->memory_limit_bytes / mib));
        FIX(s, "raise the container's memory limit for larger models");
    }
    if (strcmp(m->thp, "always") == 0) {
        s = add(l, false);
        SAY(s, "transparent huge pages \"%s\": the kernel merges pages while programs run", m->thp);
        FIX(s, "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
    }
    if (m->n_numa > 1 && strcmp(m->numa_balancing, "on") == 0) {
        s = add(l, false);
        SAY(s, "NUMA balancing moves pages between %u nodes during calls", m->n_numa);
        FIX(s, "echo 0 | sudo tee /proc/sys/kernel/numa_balancing");
    }
}

static void look_load(const il_machine *m, list *l)
{
    if (m->steal_percent_since_boot > STEAL_SERIOUS_PERCENT) {
        il_spoiler *s = add(l, false);
        SAY(s, "the hypervisor took %.1f %% of the CPU time since boot (steal)",
            m->steal_percent_since_boot);
        FIX(s, "a machine with dedicated CPUs; flagged calls show when it happens");
    }
    if (m->load1 > LOAD_PER_CPU_NOTABLE * m->n_cpus_allowed) {
        il_spoiler *s = add(l, false);
        SAY(s, "load of the last minute is %.2f on %u CPUs", m->load1, m->n_cpus_allowed);
        FIX(s, "wait for what runs to end; uptime shows the load");
    }
}

size_t il_machine_spoilers(const il_machine *machine, uint32_t watch_ms, il_spoiler *out,
                           size_t most)
{
    enum { MOST = 32 };
    il_spoiler found[MOST];
    list l = {.items = found, .most = MOST};
    size_t n = 0;
    watch(machine, watch_ms, &l);
    look_cpu(machine, &l);
    look_memory(machine, &l);
    look_load(machine, &l);
    for (int serious = 1; serious >= 0; serious--) {
        for (size_t i = 0; i < l.n && n < most; i++) {
            if (found[i].serious == (serious == 1)) {
                out[n++] = found[i];
            }
        }
    }
    return n;
}
