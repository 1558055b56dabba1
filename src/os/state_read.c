/* SPDX-License-Identifier: Apache-2.0 */
#include "os/machine.h"

#include "os/clock.h"
#include "os/machine_cgroup.h"
#include "os/machine_files.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CPUINFO_BYTES = 65536, MOST_THREADS = 1024 };

static double ticks_to_ms(uint64_t ticks)
{
    long hz = sysconf(_SC_CLK_TCK);
    return (double)ticks * 1000.0 / (double)(hz > 0 ? hz : 100);
}

/* "cpu  user nice system idle iowait irq softirq steal …", guest time counted in user. */
static void read_stat(il_state *s)
{
    char text[512];
    uint64_t t[8];
    if (!il__sys_read("/proc/stat", text, sizeof text)) {
        return;
    }
    const char *at = il__line_of(text, "cpu ");
    for (int i = 0; i < 8; i++) {
        if (!at || !il__scan_u64(&at, &t[i])) {
            return;
        }
    }
    s->busy_ms = ticks_to_ms(t[0]) + ticks_to_ms(t[1]) + ticks_to_ms(t[2]) + ticks_to_ms(t[5]) +
                 ticks_to_ms(t[6]);
    s->steal_ms = ticks_to_ms(t[7]);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=11669773": total in microseconds. */
static double read_pressure(const char *path)
{
    char text[256];
    uint64_t total_us;
    if (!il__sys_read(path, text, sizeof text)) {
        return NAN;
    }
    const char *some = il__line_of(text, "some ");
    const char *at = some ? strstr(some, "total=") : NULL;
    if (!at || (at += strlen("total="), !il__scan_u64(&at, &total_us))) {
        return NAN;
    }
    return (double)total_us * 1e-3;
}

/* Mean clock of the CPUs that fit the buffer: some forty, enough for a mean. */
static double read_mhz(void)
{
    char text[CPUINFO_BYTES];
    double sum = 0, mhz;
    unsigned n = 0;
    if (!il__sys_read("/proc/cpuinfo", text, sizeof text)) {
        return NAN;
    }
    for (const char *at = text; (at = il__line_of(at, "cpu MHz")) != NULL;) {
        at += strspn(at, " \t:");
        if (il__scan_f64(&at, &mhz)) {
            sum += mhz;
            n++;
        }
    }
    return n > 0 ? sum / n : NAN;
}

/* /proc/PID/stat: the name in parentheses may hold anything; count fields from its last ')'. */
static void read_process(pid_t pid, il_state *s)
{
    char path[64], text[1024];
    uint64_t field[25] = {0};
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if (!il__sys_read(path, text, sizeof text)) {
        return;
    }
    const char *at = strrchr(text, ')');
    if (!at || at[1] != ' ' || at[2] == '\0') {
        return;
    }
    at += 3; /* behind the state letter, field 3 */
    for (int i = 4; i <= 24; i++) {
        at += strspn(at, " ");
        const char *digits = at + (*at == '-'); /* tpgid and priority may be negative */
        if (!il__scan_u64(&digits, &field[i])) {
            return;
        }
        at = digits;
    }
    s->minor_faults = field[10];
    s->major_faults = field[12];
    s->process_cpu_ms = ticks_to_ms(field[14]) + ticks_to_ms(field[15]);
    uint64_t rss_bytes;
    if (!__builtin_mul_overflow(field[24], (uint64_t)sysconf(_SC_PAGESIZE), &rss_bytes)) {
        s->rss_bytes = rss_bytes;
    }
}

/* The process's CPU clock counts nanoseconds, /proc/PID/stat only ticks. */
static void read_process_clock(pid_t pid, il_state *s)
{
    clockid_t clock;
    struct timespec t;
    if (!il__sys_root()[0] && clock_getcpuclockid(pid, &clock) == 0 &&
        clock_gettime(clock, &t) == 0) {
        s->process_cpu_ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
    }
}

/* Context switches are counted per thread: the sum over the threads alive. */
static void read_switches(pid_t pid, il_state *s)
{
    char path[4200], text[4096];
    uint64_t voluntary = 0, involuntary = 0, v, i;
    unsigned n_read = 0, n_seen = 0;
    int len = snprintf(path, sizeof path, "%s/proc/%ld/task", il__sys_root(), (long)pid);
    DIR *dir = len > 0 && (size_t)len < sizeof path ? opendir(path) : NULL;
    if (!dir) {
        return;
    }
    for (struct dirent *e; n_seen < MOST_THREADS && (e = readdir(dir)) != NULL;) {
        const char *name = e->d_name;
        uint64_t tid;
        if (!il__scan_u64(&name, &tid) || *name != '\0') {
            continue;
        }
        n_seen++;
        (void)snprintf(path, sizeof path, "/proc/%ld/task/%s/status", (long)pid, e->d_name);
        if (il__sys_read(path, text, sizeof text) &&
            il__line_u64(text, "voluntary_ctxt_switches:", &v) &&
            il__line_u64(text, "nonvoluntary_ctxt_switches:", &i) &&
            !__builtin_add_overflow(voluntary, v, &voluntary) &&
            !__builtin_add_overflow(involuntary, i, &involuntary)) {
            n_read++;
        }
    }
    (void)closedir(dir);
    if (n_read > 0) {
        s->ctx_voluntary = voluntary;
        s->ctx_involuntary = involuntary;
    }
}

void il_state_read(pid_t pid, il_state *out)
{
    *out = (il_state){
        .at_ns = il_clock_ns(),
        .steal_ms = NAN,
        .busy_ms = NAN,
        .load1 = NAN,
        .process_cpu_ms = NAN,
        .ctx_involuntary = UINT64_MAX,
        .ctx_voluntary = UINT64_MAX,
        .minor_faults = UINT64_MAX,
        .major_faults = UINT64_MAX,
        .rss_bytes = UINT64_MAX,
    };
    char text[64];
    const char *at = text;
    read_stat(out);
    out->psi_cpu_ms = read_pressure("/proc/pressure/cpu");
    out->psi_io_ms = read_pressure("/proc/pressure/io");
    out->psi_memory_ms = read_pressure("/proc/pressure/memory");
    out->throttled_ms = il__cgroup_throttled_ms();
    out->mhz = read_mhz();
    if (il__sys_line(text, sizeof text, "/proc/loadavg")) {
        (void)il__scan_f64(&at, &out->load1);
    }
    if (pid > 0) {
        read_process(pid, out);
        read_process_clock(pid, out);
        read_switches(pid, out);
    }
}
