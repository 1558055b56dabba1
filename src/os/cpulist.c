/* SPDX-License-Identifier: Apache-2.0 */
#include "os/cpulist.h"

#include <stdbool.h>
#include <string.h>

enum { MOST_CPUS = 65536 };

/* One number at *at, moving behind it. Too large a one is cut to MOST_CPUS. */
static bool scan_number(const char **at, uint32_t *out)
{
    const char *p = *at;
    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9')) {
        return false;
    }
    for (*out = 0; *p >= '0' && *p <= '9'; p++) {
        *out = *out * 10 + (uint32_t)(*p - '0');
        *out = *out < MOST_CPUS ? *out : MOST_CPUS;
    }
    *at = p;
    return true;
}

int il_cpulist_visit(const char *text, void (*visit)(void *context, uint32_t cpu), void *context)
{
    for (const char *at = text;; at++) {
        uint32_t first, last;
        if (!scan_number(&at, &first)) {
            return IL_E_PARSE;
        }
        last = first;
        if (*at == '-') {
            at++;
            if (!scan_number(&at, &last)) {
                return IL_E_PARSE;
            }
        }
        if (last < first || last >= MOST_CPUS) {
            return IL_E_RANGE;
        }
        for (uint32_t cpu = first; cpu <= last; cpu++) {
            visit(context, cpu);
        }
        if (*at != ',') {
            return *at == '\0' || *at == '\n' ? IL_OK : IL_E_PARSE;
        }
    }
}

typedef struct set {
    cpu_set_t *cpus;
    bool too_high;
} set;

static void add_cpu(void *context, uint32_t cpu)
{
    set *s = context;
    if (cpu < CPU_SETSIZE) {
        CPU_SET((size_t)cpu, s->cpus);
    } else {
        s->too_high = true;
    }
}

int il_cpulist_parse(const char *text, cpu_set_t *out, il_error *err)
{
    set s = {.cpus = out};
    CPU_ZERO(out);
    int rc = strchr(text, '\n') ? IL_E_PARSE : il_cpulist_visit(text, add_cpu, &s);
    if (rc == IL_E_RANGE || s.too_high) {
        return il_fail(err, IL_E_RANGE, "the list of CPUs \"%s\" has a range outside 0 to %d", text,
                       CPU_SETSIZE - 1);
    }
    if (rc != IL_OK) {
        rc = il_fail(err, rc, "\"%s\" is not a list of CPUs", text);
        il_error_hint(err, "write numbers and ranges, as 0-3,8");
    }
    return rc;
}
