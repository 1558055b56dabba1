/* SPDX-License-Identifier: Apache-2.0 */
#include "os/machine.h"

#include "base/json.h"

#include <string.h>

/* Unreadable text and unknown sizes are null. What is no UTF-8 loses its foreign bytes. */
static json_t *text_or_null(const char *text)
{
    json_t *value = text[0] ? json_string(text) : json_null();
    char plain[512];
    if (!value && strlen(text) < sizeof plain) {
        size_t n = 0;
        for (; text[n]; n++) {
            plain[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
        }
        plain[n] = '\0';
        value = json_string(plain);
    }
    return value;
}

static json_t *count_or_null(uint64_t n)
{
    return n > 0 && n <= INT64_MAX ? json_integer((json_int_t)n) : json_null();
}

static json_t *bytes(uint64_t n)
{
    return n <= INT64_MAX ? json_integer((json_int_t)n) : json_null();
}

json_t *il_machine_json(const il_machine *m)
{
    json_t *turbo = m->turbo_known ? json_boolean(m->turbo_on) : json_null();
    json_t *cpu = json_pack(
        "{s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o}", "model", text_or_null(m->cpu_model),
        "flags", text_or_null(m->cpu_flags), "hypervisor", text_or_null(m->hypervisor),
        "cpus_allowed", (int)m->n_cpus_allowed, "cores_allowed", (int)m->n_cores_allowed,
        "governor", text_or_null(m->governor), "smt", text_or_null(m->smt), "turbo", turbo,
        "quota_cpus", m->cpu_quota > 0 ? json_real(m->cpu_quota) : json_null());
    json_t *caches = json_pack("{s:o, s:o, s:o, s:o}", "l1d_bytes", count_or_null(m->l1d_bytes),
                               "l2_bytes", count_or_null(m->l2_bytes), "l3_bytes",
                               count_or_null(m->l3_bytes), "l3_count", count_or_null(m->n_l3));
    json_t *memory = json_pack("{s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "total_bytes",
                               count_or_null(m->memory_bytes), "available_bytes",
                               count_or_null(m->available_bytes), "swap_bytes",
                               bytes(m->swap_bytes), "swap_used_bytes", bytes(m->swap_used_bytes),
                               "limit_bytes", count_or_null(m->memory_limit_bytes), "numa_nodes",
                               (int)m->n_numa, "transparent_huge_pages", text_or_null(m->thp),
                               "numa_balancing", text_or_null(m->numa_balancing));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "host", text_or_null(m->host),
                     "os", text_or_null(m->os), "kernel", text_or_null(m->kernel), "cpu", cpu,
                     "caches", caches, "memory", memory, "load1", il_json_real(m->load1),
                     "steal_percent_since_boot", il_json_real(m->steal_percent_since_boot));
}
