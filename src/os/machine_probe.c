/* SPDX-License-Identifier: Apache-2.0 */
#include "os/machine.h"

#include "os/machine_cgroup.h"
#include "os/cpulist.h"
#include "os/machine_files.h"
#include "os/machine_topology.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* The instruction sets that kernels may choose from, as /proc/cpuinfo spells them. */
static const char *const isa_flags[] = {
    "sse4_2",   "avx",      "avx2",     "fma",         "f16c",        "avx512f",     "avx512bw",
    "avx512dq", "avx512vl", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile",
    "amx_bf16", "amx_int8", "asimd",    "asimddp",     "sve",         "bf16",
};

/* `words` is a blank-separated line that holds `word`. */
static bool line_has(const char *words, const char *word)
{
    size_t n = strlen(word);
    while (*words && *words != '\n') {
        words += strspn(words, " \t:");
        size_t len = strcspn(words, " \t\n");
        if (len == n && memcmp(words, word, n) == 0) {
            return true;
        }
        words += len;
    }
    return false;
}

static void append_word(char *out, size_t cap, const char *word)
{
    size_t used = strlen(out);
    if (used + strlen(word) + 2 <= cap) {
        (void)snprintf(out + used, cap - used, "%s%s", used ? " " : "", word);
    }
}

/* Who runs the virtual machine, as the processor says. Only of the real machine. */
static void hypervisor_from_cpu(char *out, size_t cap)
{
#if defined(__x86_64__)
    static const struct {
        const char *signature, *name;
    } known[] = {
        {"KVMKVMKVM", "KVM"},          {"Microsoft Hv", "Hyper-V"}, {"VMwareVMware", "VMware"},
        {"XenVMMXenVMM", "Xen"},       {"bhyve bhyve ", "bhyve"},   {"TCGTCGTCGTCG", "QEMU"},
        {"prl hyperv  ", "Parallels"},
    };
    unsigned eax, signature[3] = {0};
    char text[13] = "";
    __cpuid(0x40000000u, eax, signature[0], signature[1], signature[2]);
    memcpy(text, signature, sizeof signature);
    text[12] = '\0';
    (void)snprintf(out, cap, "%s", "unknown");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(text, known[i].signature) == 0) {
            (void)snprintf(out, cap, "%s", known[i].name);
        }
    }
#else
    (void)snprintf(out, cap, "%s", "unknown");
#endif
}

static void read_hypervisor(const char *flags, char *out, size_t cap)
{
    if (il__sys_line(out, cap, "/sys/hypervisor/type") && out[0]) {
        return;
    }
    out[0] = '\0';
    if (!flags || !line_has(flags, "hypervisor")) {
        return;
    }
    if (!il__sys_root()[0]) {
        hypervisor_from_cpu(out, cap);
    } else if (!il__sys_line(out, cap, "/sys/class/dmi/id/sys_vendor") || !out[0]) {
        (void)snprintf(out, cap, "%s", "unknown");
    }
}

/* The processor's name and flags; false when there is no cpuinfo at all. */
static bool read_cpu(il_machine *m)
{
    char text[16384]; /* the first processor is enough */
    if (!il__sys_read("/proc/cpuinfo", text, sizeof text)) {
        return false;
    }
    const char *model = il__line_of(text, "model name");
    if (model && (model = strchr(model, ':')) != NULL) {
        il__copy_line(m->cpu_model, sizeof m->cpu_model, model + 1);
    }
    const char *flags = il__line_of(text, "flags");
    if (!flags) {
        flags = il__line_of(text, "Features"); /* ARM's word */
    }
    for (size_t i = 0; flags && i < sizeof isa_flags / sizeof isa_flags[0]; i++) {
        if (line_has(flags, isa_flags[i])) {
            append_word(m->cpu_flags, sizeof m->cpu_flags, isa_flags[i]);
        }
    }
    read_hypervisor(flags, m->hypervisor, sizeof m->hypervisor);
    return true;
}

static uint64_t kib(const char *text, const char *key)
{
    uint64_t value;
    return il__line_u64(text, key, &value) && value <= UINT64_MAX / 1024 ? value * 1024 : 0;
}

static bool read_memory(il_machine *m)
{
    char text[8192];
    if (!il__sys_read("/proc/meminfo", text, sizeof text)) {
        return false;
    }
    m->memory_bytes = kib(text, "MemTotal:");
    m->available_bytes = kib(text, "MemAvailable:");
    m->swap_bytes = kib(text, "SwapTotal:");
    uint64_t free_bytes = kib(text, "SwapFree:");
    m->swap_used_bytes = free_bytes < m->swap_bytes ? m->swap_bytes - free_bytes : 0;
    return true;
}

static void read_names(il_machine *m)
{
    char text[4096];
    (void)il__sys_line(m->host, sizeof m->host, "/proc/sys/kernel/hostname");
    (void)il__sys_line(m->kernel, sizeof m->kernel, "/proc/sys/kernel/osrelease");
    if (il__sys_read("/etc/os-release", text, sizeof text)) {
        const char *name = il__line_of(text, "PRETTY_NAME=");
        if (name) {
            il__copy_line(m->os, sizeof m->os, name + (*name == '"'));
            m->os[strcspn(m->os, "\"")] = '\0';
        }
    }
}

typedef struct governor_scan {
    il_machine *machine;
    bool any;
} governor_scan;

/* One word for all allowed CPUs, "mixed" when they differ. */
static void see_governor(void *context, uint32_t cpu)
{
    governor_scan *scan = context;
    char *seen = scan->machine->governor, word[sizeof scan->machine->governor];
    if (!il__sys_line(word, sizeof word, "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor",
                      cpu) ||
        !word[0]) {
        return;
    }
    (void)snprintf(seen, sizeof word, "%s", scan->any && strcmp(seen, word) != 0 ? "mixed" : word);
    scan->any = true;
}

static void read_turbo(il_machine *m)
{
    uint64_t value;
    if (il__sys_u64(&value, "/sys/devices/system/cpu/intel_pstate/no_turbo") && value <= 1) {
        m->turbo_known = true;
        m->turbo_on = value == 0;
    } else if (il__sys_u64(&value, "/sys/devices/system/cpu/cpufreq/boost") && value <= 1) {
        m->turbo_known = true;
        m->turbo_on = value == 1;
    }
}

static void read_settings(const char *allowed, il_machine *m)
{
    char text[128];
    uint64_t value;
    governor_scan scan = {.machine = m};
    (void)il_cpulist_visit(allowed, see_governor, &scan);
    if (il__sys_u64(&value, "/sys/devices/system/cpu/smt/active") && value == 1) {
        (void)snprintf(m->smt, sizeof m->smt, "on");
    } else if (il__sys_line(m->smt, sizeof m->smt, "/sys/devices/system/cpu/smt/control") &&
               strcmp(m->smt, "on") == 0) {
        /* Allowed, but no core has two threads online. */
        (void)snprintf(m->smt, sizeof m->smt, "off");
    }
    /* "always [madvise] never": the chosen one stands in brackets. */
    if (il__sys_line(text, sizeof text, "/sys/kernel/mm/transparent_hugepage/enabled")) {
        const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;
        if (close && (size_t)(close - open) <= sizeof m->thp) {
            memcpy(m->thp, open + 1, (size_t)(close - open - 1));
        }
    }
    if (il__sys_u64(&value, "/proc/sys/kernel/numa_balancing")) {
        (void)snprintf(m->numa_balancing, sizeof m->numa_balancing, "%s", value ? "on" : "off");
    }
    read_turbo(m);
}

static void read_load(il_machine *m)
{
    char text[1024];
    const char *at = text;
    m->load1 = m->steal_percent_since_boot = NAN;
    if (il__sys_line(text, sizeof text, "/proc/loadavg")) {
        (void)il__scan_f64(&at, &m->load1);
    }
    if (!il__sys_read("/proc/stat", text, sizeof text)) {
        return;
    }
    double total = 0, steal = NAN;
    uint64_t ticks;
    at = il__line_of(text, "cpu ");
    for (int i = 0; at && i < 8 && il__scan_u64(&at, &ticks); i++) { /* guest time is in user */
        total += (double)ticks;
        steal = i == 7 ? (double)ticks : steal;
    }
    if (total > 0) {
        m->steal_percent_since_boot = 100.0 * steal / total;
    }
}

int il_machine_probe(il_machine *out, il_error *err)
{
    char text[8192], allowed[1024] = "";
    memset(out, 0, sizeof *out);
    bool cpu = read_cpu(out), memory = read_memory(out);
    if (!cpu && !memory) {
        int rc = il_fail(err, IL_E_NOT_FOUND, "neither cpuinfo nor meminfo can be read");
        il_error_where(err, "%s/proc", il__sys_root());
        il_error_hint(err, "mount the proc file system");
        return rc;
    }
    if (il__sys_read("/proc/self/status", text, sizeof text)) {
        const char *list = il__line_of(text, "Cpus_allowed_list:");
        if (list) {
            il__copy_line(allowed, sizeof allowed, list);
        }
    }
    read_names(out);
    il__topology_read(allowed, out);
    read_settings(allowed, out);
    read_load(out);
    il__cgroup_limits limits;
    il__cgroup_read_limits(&limits);
    out->cpu_quota = limits.cpus;
    if (limits.memory_bytes < out->memory_bytes || out->memory_bytes == 0) {
        out->memory_limit_bytes = limits.memory_bytes;
    }
    return IL_OK;
}
