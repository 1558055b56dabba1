/* SPDX-License-Identifier: Apache-2.0 */
#include "os/machine_cgroup.h"

#include "os/machine_files.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 1024, MOUNTS_BYTES = 262144, GROUPS_BYTES = 16384 };

/* One mounted hierarchy and the process's group in it: mount + group is a directory. */
typedef struct hierarchy {
    bool known;
    char mount[PATH_BYTES], group[PATH_BYTES]; /* group: "" or "/a/b" */
} hierarchy;

typedef struct groups {
    unsigned generation;
    bool looked;
    hierarchy unified, v1_memory, v1_cpu;
} groups;

/* `list` is a comma-separated list that holds `word`. */
static bool list_has(const char *list, size_t n, const char *word)
{
    size_t w = strlen(word);
    for (const char *p = list, *end = list + n; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t len = comma ? (size_t)(comma - p) : (size_t)(end - p);
        if (len == w && memcmp(p, word, w) == 0) {
            return true;
        }
        p += len + 1;
    }
    return false;
}

/* The group of a controller in /proc/self/cgroup ("4:memory:/a/b"); "" names version 2 ("0::/a").
 */
static bool find_group(const char *text, const char *controller, char out[PATH_BYTES])
{
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *list = strchr(line, ':');
        const char *end = strchr(line, '\n');
        const char *path = list ? strchr(list + 1, ':') : NULL;
        if (!path || (end && path > end)) {
            continue;
        }
        size_t n = (size_t)(path - list - 1);
        if (controller[0] ? list_has(list + 1, n, controller)
                          : n == 0 && strncmp(line, "0:", 2) == 0) {
            il__copy_line(out, PATH_BYTES, path + 1);
            return out[0] == '/';
        }
    }
    return false;
}

/* Field number `index` (from 0) of a blank-separated line; its length in *n. */
static const char *field(const char *line, unsigned index, size_t *n)
{
    for (;; index--) {
        line += strspn(line, " ");
        *n = strcspn(line, " \n");
        if (*n == 0 || index == 0) {
            return line;
        }
        line += *n;
    }
}

/* Copies a field, with the kernel's \040 escapes undone. */
static void copy_field(char out[PATH_BYTES], const char *from, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k + 1 < PATH_BYTES; i++) {
        if (from[i] == '\\' && i + 3 < n && from[i + 1] == '0') {
            out[k++] = (char)((from[i + 2] - '0') * 8 + (from[i + 3] - '0'));
            i += 3;
        } else {
            out[k++] = from[i];
        }
    }
    out[k] = '\0';
}

/* Fills the hierarchy from /proc/self/mountinfo: "36 35 98:0 ROOT MOUNT opts … - TYPE source
 * super". A container often mounts only its own part: ROOT is then cut from the front of the group.
 */
static void find_mount(const char *mounts, const char *type, const char *controller, hierarchy *h)
{
    for (const char *line = mounts; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *dash = strstr(line, " - ");
        const char *end = strchr(line, '\n');
        if (!dash || (end && dash > end)) {
            continue;
        }
        size_t n_type, n_super, n_root, n_mount;
        const char *is_type = field(dash + 3, 0, &n_type);
        const char *super = field(dash + 3, 2, &n_super);
        if (n_type != strlen(type) || memcmp(is_type, type, n_type) != 0 ||
            (controller[0] && !list_has(super, n_super, controller))) {
            continue;
        }
        char root[PATH_BYTES];
        const char *at_root = field(line, 3, &n_root);
        const char *at_mount = field(line, 4, &n_mount);
        copy_field(root, at_root, n_root);
        copy_field(h->mount, at_mount, n_mount);
        size_t cut = strcmp(root, "/") == 0 ? 0 : strlen(root);
        if (cut > 0 && strncmp(h->group, root, cut) == 0 &&
            (h->group[cut] == '/' || h->group[cut] == '\0')) {
            memmove(h->group, h->group + cut, strlen(h->group + cut) + 1);
        }
        if (strcmp(h->group, "/") == 0) {
            h->group[0] = '\0';
        }
        h->known = true;
        return;
    }
}

static const groups *find_groups(void)
{
    static groups found;
    if (found.looked && found.generation == il__sys_root_generation()) {
        return &found;
    }
    static char mounts[MOUNTS_BYTES];
    char text[GROUPS_BYTES];
    memset(&found, 0, sizeof found);
    found.looked = true;
    found.generation = il__sys_root_generation();
    if (!il__sys_read("/proc/self/cgroup", text, sizeof text) ||
        !il__sys_read("/proc/self/mountinfo", mounts, sizeof mounts)) {
        return &found;
    }
    if (find_group(text, "", found.unified.group)) {
        find_mount(mounts, "cgroup2", "", &found.unified);
    }
    if (find_group(text, "memory", found.v1_memory.group)) {
        find_mount(mounts, "cgroup", "memory", &found.v1_memory);
    }
    if (find_group(text, "cpu", found.v1_cpu.group)) {
        find_mount(mounts, "cgroup", "cpu", &found.v1_cpu);
    }
    return &found;
}

/* Calls visit with the directory of the group and of every group above it up to the mount. */
static void each_level(const hierarchy *h, void (*visit)(const char *dir, void *out), void *out)
{
    char group[PATH_BYTES], dir[2 * PATH_BYTES];
    if (!h->known) {
        return;
    }
    memcpy(group, h->group, sizeof group);
    for (;;) {
        (void)snprintf(dir, sizeof dir, "%s%s", h->mount, group);
        visit(dir, out);
        char *slash = strrchr(group, '/');
        if (!slash) {
            return;
        }
        *slash = '\0';
    }
}

static void lower_memory(il__cgroup_limits *limits, uint64_t bytes)
{
    if (limits->memory_bytes == 0 || bytes < limits->memory_bytes) {
        limits->memory_bytes = bytes;
    }
}

static void lower_cpus(il__cgroup_limits *limits, uint64_t quota, uint64_t period)
{
    double cpus = period > 0 ? (double)quota / (double)period : 0;
    if (cpus > 0 && (limits->cpus <= 0 || cpus < limits->cpus)) {
        limits->cpus = cpus;
    }
}

static void limits_v2(const char *dir, void *out)
{
    il__cgroup_limits *limits = out;
    uint64_t bytes, quota, period;
    if (il__sys_u64(&bytes, "%s/memory.max", dir)) { /* "max" is no number: no limit */
        lower_memory(limits, bytes);
    }
    char text[64];
    const char *at = text;
    if (il__sys_line(text, sizeof text, "%s/cpu.max", dir) && il__scan_u64(&at, &quota) &&
        il__scan_u64(&at, &period)) {
        lower_cpus(limits, quota, period);
    }
}

static void memory_v1(const char *dir, void *out)
{
    uint64_t bytes;
    if (il__sys_u64(&bytes, "%s/memory.limit_in_bytes", dir)) {
        lower_memory(out, bytes);
    }
}

static void cpu_v1(const char *dir, void *out)
{
    uint64_t quota, period; /* a quota of -1 is no non-negative number: none */
    if (il__sys_u64(&quota, "%s/cpu.cfs_quota_us", dir) &&
        il__sys_u64(&period, "%s/cpu.cfs_period_us", dir)) {
        lower_cpus(out, quota, period);
    }
}

void il__cgroup_read_limits(il__cgroup_limits *out)
{
    const groups *g = find_groups();
    *out = (il__cgroup_limits){0};
    each_level(&g->unified, limits_v2, out);
    each_level(&g->v1_memory, memory_v1, out);
    each_level(&g->v1_cpu, cpu_v1, out);
    /* Version 1 writes "none" as the largest multiple of a page. */
    if (out->memory_bytes >= (UINT64_C(1) << 62)) {
        out->memory_bytes = 0;
    }
}

typedef struct throttling {
    bool seen;
    double ms;
} throttling;

static void add_throttled(const char *dir, void *out)
{
    throttling *sum = out;
    char path[2 * PATH_BYTES + 16], text[1024];
    uint64_t value;
    (void)snprintf(path, sizeof path, "%s/cpu.stat", dir);
    if (!il__sys_read(path, text, sizeof text)) {
        return;
    }
    if (il__line_u64(text, "throttled_usec ", &value)) {
        sum->ms += (double)value * 1e-3;
    } else if (il__line_u64(text, "throttled_time ", &value)) {
        sum->ms += (double)value * 1e-6;
    } else {
        return;
    }
    sum->seen = true;
}

double il__cgroup_throttled_ms(void)
{
    const groups *g = find_groups();
    throttling sum = {0};
    each_level(&g->unified, add_throttled, &sum);
    each_level(&g->v1_cpu, add_throttled, &sum);
    return sum.seen ? sum.ms : NAN;
}

bool il__cgroup_memory_dir(char *out, size_t cap, bool *v2)
{
    const groups *g = find_groups();
    const hierarchy *h = g->v1_memory.known ? &g->v1_memory : &g->unified;
    *v2 = h == &g->unified;
    return h->known && snprintf(out, cap, "%s%s%s", il__sys_root(), h->mount, h->group) < (int)cap;
}
