/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/doctor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABEL = 13, CELL_BYTES = 64 };

static const json_t *at(const json_t *obj, const char *key)
{
    return json_object_get(obj, key);
}

static const char *text(const json_t *obj, const char *key, const char *absent)
{
    const char *value = json_string_value(at(obj, key));
    return value ? value : absent;
}

static int64_t integer(const json_t *obj, const char *key)
{
    return json_integer_value(at(obj, key));
}

static double real(const json_t *obj, const char *key)
{
    const json_t *value = at(obj, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* "1.25 MiB"; "unknown" for null. */
static const char *bytes(const json_t *obj, const char *key, char out[CELL_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double x = real(obj, key);
    size_t unit = 0;
    if (isnan(x)) {
        return "unknown";
    }
    for (; x >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++) {
        x /= 1024;
    }
    (void)snprintf(out, CELL_BYTES, "%.*f %s", x == floor(x) ? 0 : 1, x, units[unit]);
    return out;
}

static void label(const char *name)
{
    (void)printf("  %-*s ", LABEL, name);
}

/* The kernel runs its words together. */
static const char *smt_words(const char *word)
{
    return strcmp(word, "notsupported") == 0     ? "not supported"
           : strcmp(word, "notimplemented") == 0 ? "not implemented"
           : strcmp(word, "forceoff") == 0       ? "off for good"
                                                 : word;
}

static void print_cpu(const json_t *cpu)
{
    label("processor");
    (void)printf("%s; %" PRId64 " CPUs on %" PRId64 " cores allowed", text(cpu, "model", "unknown"),
                 integer(cpu, "cpus_allowed"), integer(cpu, "cores_allowed"));
    if (json_is_string(at(cpu, "hypervisor"))) {
        (void)printf("; virtual machine (%s)", text(cpu, "hypervisor", ""));
    }
    (void)printf("\n");
    label("instructions");
    (void)printf("%s\n", text(cpu, "flags", "none beyond the baseline"));
    label("settings");
    const json_t *turbo = at(cpu, "turbo");
    (void)printf("governor %s, SMT %s, turbo %s\n", text(cpu, "governor", "unknown"),
                 smt_words(text(cpu, "smt", "unknown")),
                 json_is_null(turbo)   ? "unknown"
                 : json_is_true(turbo) ? "on"
                                       : "off");
    if (json_is_number(at(cpu, "quota_cpus"))) {
        label("CPU quota");
        (void)printf("%.2f CPUs' worth of time (control group)\n", real(cpu, "quota_cpus"));
    }
}

static void print_memory(const json_t *memory)
{
    char a[CELL_BYTES], b[CELL_BYTES];
    label("memory");
    (void)printf("%s, %s available, ", bytes(memory, "total_bytes", a),
                 bytes(memory, "available_bytes", b));
    if (integer(memory, "swap_bytes") > 0) {
        (void)printf("swap %s", bytes(memory, "swap_bytes", a));
        (void)printf(" (%s used)", bytes(memory, "swap_used_bytes", b));
    } else {
        (void)printf("no swap");
    }
    if (json_is_number(at(memory, "limit_bytes"))) {
        (void)printf(", limited to %s (control group)", bytes(memory, "limit_bytes", a));
    }
    (void)printf("\n");
    label("");
    (void)printf("%" PRId64 " NUMA node%s, balancing %s, transparent huge pages %s\n",
                 integer(memory, "numa_nodes"), integer(memory, "numa_nodes") == 1 ? "" : "s",
                 text(memory, "numa_balancing", "unknown"),
                 text(memory, "transparent_huge_pages", "unknown"));
}

static void print_machine(const json_t *m)
{
    char l1[CELL_BYTES], l2[CELL_BYTES], l3[CELL_BYTES];
    const json_t *caches = at(m, "caches");
    (void)printf("machine\n");
    label("system");
    (void)printf("%s: %s, kernel %s\n", text(m, "host", "unnamed"), text(m, "os", "unknown system"),
                 text(m, "kernel", "unknown"));
    print_cpu(at(m, "cpu"));
    label("caches");
    (void)printf("L1d %s, L2 %s a core; L3 %s", bytes(caches, "l1d_bytes", l1),
                 bytes(caches, "l2_bytes", l2), bytes(caches, "l3_bytes", l3));
    (void)printf(integer(caches, "l3_count") > 1 ? " × %" PRId64 "\n" : "\n",
                 integer(caches, "l3_count"));
    print_memory(at(m, "memory"));
    label("load");
    if (json_is_number(at(m, "load1"))) {
        (void)printf("%.2f over the last minute", real(m, "load1"));
    } else {
        (void)printf("unknown");
    }
    if (json_is_number(at(m, "steal_percent_since_boot"))) {
        (void)printf("; steal %.2f %% since boot", real(m, "steal_percent_since_boot"));
    }
    (void)printf("\n");
}

static void print_interval(const json_t *row, int digits)
{
    char cell[CELL_BYTES];
    if (json_is_number(at(row, "ci_low"))) {
        (void)snprintf(cell, sizeof cell, "%.*f [%.*f, %.*f]", digits, real(row, "median"), digits,
                       real(row, "ci_low"), digits, real(row, "ci_high"));
    } else {
        (void)snprintf(cell, sizeof cell, "%.*f [too few]", digits, real(row, "median"));
    }
    (void)printf("  %26s", cell);
}

/* One line a threads count and name, in the order measured. */
static void print_ceilings(const json_t *ceilings)
{
    char set[CELL_BYTES];
    size_t i;
    json_t *row;
    if (!json_is_object(ceilings)) {
        (void)printf("\nceilings\n  not measured (--quick)\n");
        return;
    }
    const json_t *read = at(ceilings, "read");
    (void)printf("\nceilings: median of %" PRId64 " samples [exact 95 %% interval]\n",
                 integer(json_array_get(read, 0), "n"));
    (void)printf("  %-12s %7s  %12s  %26s\n", "", "threads", "working set", "read, GB/s");
    json_array_foreach(read, i, row)
    {
        (void)printf("  %-12s %7" PRId64 "  %12s", text(row, "level", "?"), integer(row, "threads"),
                     bytes(row, "working_set_bytes", set));
        print_interval(row, 1);
        (void)printf("\n");
    }
    (void)printf("  %-12s %7s  %12s  %26s\n", "", "threads", "", "multiply-add, GFLOP/s");
    json_array_foreach(at(ceilings, "multiply_add"), i, row)
    {
        (void)printf("  %-12s %7" PRId64 "  %12s", text(row, "dtype", "?"), integer(row, "threads"),
                     "");
        print_interval(row, 1);
        (void)printf("\n");
    }
}

static void print_clock_and_disk(const json_t *clock, const json_t *disk)
{
    (void)printf("\nclock\n");
    label("monotonic");
    (void)printf("source %s, %.0f ns a reading, step %" PRId64 " ns, %s\n",
                 text(clock, "source", "unknown"), real(clock, "overhead_ns"),
                 integer(clock, "step_ns"),
                 integer(clock, "backwards") == 0 ? "never backwards" : "RAN BACKWARDS");
    (void)printf("\ndisk\n");
    label("journal line");
    if (json_is_string(at(disk, "unreadable"))) {
        (void)printf("cannot be written in %s: %s\n", text(disk, "directory", "?"),
                     text(disk, "unreadable", "?"));
        return;
    }
    (void)printf("%.3f ms", real(disk, "median"));
    if (json_is_number(at(disk, "ci_low"))) {
        (void)printf(" [%.3f, %.3f]", real(disk, "ci_low"), real(disk, "ci_high"));
    }
    (void)printf(" for write and fdatasync in %s (outside the timed window)\n",
                 text(disk, "directory", "?"));
}

/* "4.40.2; imports in 1.3 s; /usr/bin/python3": whatever of it is known. */
static void print_runtime(const json_t *row)
{
    static const char *const keys[] = {"version", "note", "where"};
    const char *between = "";
    (void)printf("  %-23s %-8s %-11s", text(row, "name", "?"),
                 json_is_true(at(row, "found")) ? "here" : "missing", text(row, "use", ""));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (json_is_string(at(row, keys[i]))) {
            (void)printf("%s %s", between, text(row, keys[i], ""));
            between = ";";
        }
    }
    (void)printf("\n");
    if (json_is_string(at(row, "install"))) {
        (void)printf("  %-23s install: %s\n", "", text(row, "install", ""));
    }
}

static void print_runtimes(const json_t *runtimes)
{
    size_t i;
    json_t *row;
    (void)printf("\nruntimes (driven: inferlaw measures it; helper: used on the way)\n");
    json_array_foreach(runtimes, i, row)
    {
        print_runtime(row);
    }
}

static void print_spoilers(const json_t *spoilers)
{
    size_t i;
    json_t *row;
    if (json_array_size(spoilers) == 0) {
        (void)printf("\nnothing found that would spoil a measurement\n");
        return;
    }
    (void)printf("\nwhat will spoil a measurement\n");
    json_array_foreach(spoilers, i, row)
    {
        (void)printf("  %-8s %s\n", json_is_true(at(row, "serious")) ? "serious" : "minor",
                     text(row, "what", "?"));
        (void)printf("  %-8s mend: %s\n", "", text(row, "fix", "?"));
    }
}

void il__doctor_print(const json_t *doc)
{
    (void)printf("inferlaw %s\n\n", text(doc, "version", "?"));
    print_machine(at(doc, "machine"));
    print_ceilings(at(doc, "ceilings"));
    print_clock_and_disk(at(doc, "clock"), at(doc, "disk"));
    print_runtimes(at(doc, "runtimes"));
    print_spoilers(at(doc, "spoilers"));
}
