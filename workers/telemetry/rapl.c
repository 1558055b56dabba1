/* SPDX-License-Identifier: Apache-2.0
 *
 * RAPL through the powercap interface: the domains of each package (package, core, uncore, dram),
 * each a meter of its own. They overlap, so nobody adds them up here. Format: the kernel's
 * Documentation/power/powercap/powercap.rst.
 */
#include "os/clock.h"
#include "workers/telemetry/telemetry.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BASE_BYTES = 1024, PATH_BYTES = 2048, MOST_DOMAINS = 32 };

typedef struct domain {
    char path[PATH_BYTES]; /* of its energy_uj */
    char name[IL__METER_NAME_BYTES];
    uint64_t most;
    il__unwrap unwrap;
} domain;

struct il__rapl {
    domain domains[MOST_DOMAINS];
    size_t n;
};

uint64_t il__unwrap_take(il__unwrap *u, uint64_t raw, uint64_t most, int64_t at_ns)
{
    if (!u->known) {
        *u = (il__unwrap){.known = true, .last = raw, .resolution_ms = NAN};
        return 0;
    }
    if (raw == u->last) {
        return u->total;
    }
    /* A counter that went down has wrapped once; one that cannot wrap was reset, and what it lost
     * is lost. */
    u->total += raw > u->last ? raw - u->last : most > u->last ? most - u->last + raw : 0;
    if (u->changed_ns > 0) {
        double ms = (double)(at_ns - u->changed_ns) * 1e-6;
        u->resolution_ms = isnan(u->resolution_ms) ? ms : fmin(u->resolution_ms, ms);
    }
    u->changed_ns = at_ns;
    u->last = raw;
    return u->total;
}

static bool read_text(const char *path, char *out, size_t out_bytes)
{
    FILE *file = fopen(path, "re");
    bool ok = file && fgets(out, (int)out_bytes, file);
    if (ok) {
        out[strcspn(out, "\n")] = '\0';
    }
    if (file) {
        (void)fclose(file);
    }
    return ok;
}

static bool read_u64(const char *path, uint64_t *out)
{
    char text[64], *end;
    if (!read_text(path, text, sizeof text) || text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

/* The name of a zone directory, "" when it has none. */
static void name_of(const char *base, const char *zone, char *out, size_t out_bytes)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s/name", base, zone);
    if (!read_text(path, out, out_bytes)) {
        out[0] = '\0';
    }
}

/* intel-rapl:0 is a package, intel-rapl:0:1 a part of it. */
static void add_zone(il__rapl *r, const char *base, const char *zone, bool *refused)
{
    char parent[256], own[24], above[24], path[PATH_BYTES];
    uint64_t energy;
    domain *d = &r->domains[r->n];
    const char *first = strchr(zone, ':');
    const char *second = first ? strchr(first + 1, ':') : NULL;
    if (!first || r->n == MOST_DOMAINS) {
        return;
    }
    int n = snprintf(d->path, sizeof d->path, "%s/%s/energy_uj", base, zone);
    if (n < 0 || (size_t)n >= sizeof d->path || !read_u64(d->path, &energy)) {
        *refused = *refused || errno == EACCES || errno == EPERM;
        return;
    }
    (void)snprintf(path, sizeof path, "%s/%s/max_energy_range_uj", base, zone);
    if (!read_u64(path, &d->most)) {
        d->most = 0;
    }
    name_of(base, zone, own, sizeof own);
    if (second) {
        (void)snprintf(parent, sizeof parent, "%.*s", (int)(second - zone), zone);
        name_of(base, parent, above, sizeof above);
        (void)snprintf(d->name, sizeof d->name, "rapl:%s/%s", above, own);
    } else {
        (void)snprintf(d->name, sizeof d->name, "rapl:%s", own);
    }
    d->unwrap = (il__unwrap){.known = false};
    r->n++;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const domain *)a)->name, ((const domain *)b)->name);
}

il__rapl *il__rapl_open(const char *root, char *why, size_t why_bytes)
{
    char base[BASE_BYTES];
    bool refused = false;
    il__rapl *r = calloc(1, sizeof *r);
    (void)snprintf(base, sizeof base, "%s/sys/class/powercap", root);
    DIR *dir = r ? opendir(base) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        bool rapl = strncmp(entry->d_name, "intel-rapl:", 11) == 0 ||
                    strncmp(entry->d_name, "amd-rapl:", 9) == 0;
        if (rapl) {
            add_zone(r, base, entry->d_name, &refused);
        }
    }
    (void)snprintf(why, why_bytes, "%s",
                   !dir      ? "RAPL: there is no /sys/class/powercap (a virtual machine, or no "
                               "driver)"
                   : refused ? "RAPL: energy_uj of /sys/class/powercap may be read by root alone"
                             : "RAPL: /sys/class/powercap has no domain with an energy counter");
    if (dir) {
        (void)closedir(dir);
    }
    if (r && r->n > 0) {
        why[0] = '\0';
        qsort(r->domains, r->n, sizeof r->domains[0], by_name);
    }
    return r;
}

size_t il__rapl_read(il__rapl *r, il__meter *out, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; r && i < r->n && n < most; i++) {
        domain *d = &r->domains[i];
        uint64_t raw;
        if (!read_u64(d->path, &raw)) {
            continue;
        }
        il__meter *m = &out[n++];
        *m = (il__meter){.kind = "counter", .at_ns = il_clock_ns()};
        (void)snprintf(m->name, sizeof m->name, "%s", d->name);
        m->energy_uj = il__unwrap_take(&d->unwrap, raw, d->most, m->at_ns);
        m->resolution_ms = d->unwrap.resolution_ms;
    }
    return n;
}

void il__rapl_close(il__rapl *rapl)
{
    free(rapl);
}
