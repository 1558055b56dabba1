/* SPDX-License-Identifier: Apache-2.0 */
#include "os/machine.h"

#include "base/json.h"

#include <math.h>
#include <unistd.h>

const il_gates il_gates_default = {
    .steal_percent = 1.0,
    .busy_other_percent = 5.0,
    .major_faults = 0,
    .throttled_ms = 0,
    .drift_percent = 5.0,
};

/* A counter that went backwards is as good as unreadable. */
static double grown_ms(double before, double after)
{
    double delta = after - before;
    return delta >= 0 ? delta : NAN;
}

static uint64_t grown(uint64_t before, uint64_t after)
{
    return before == UINT64_MAX || after == UINT64_MAX || after < before ? UINT64_MAX
                                                                         : after - before;
}

/* CPU time of everything but the process. Both clocks are coarse, so a small deficit is none. */
static double busy_other_ms(const il_state *before, const il_state *after)
{
    double all = grown_ms(before->busy_ms, after->busy_ms);
    double own = grown_ms(before->process_cpu_ms, after->process_cpu_ms);
    double other = all - own;
    return other < 0 ? 0 : other;
}

static json_t *count_or_null(uint64_t n)
{
    return n <= INT64_MAX ? json_integer((json_int_t)n) : json_null();
}

json_t *il_state_json(const il_state *before, const il_state *after)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "steal_ms",
        il_json_real(grown_ms(before->steal_ms, after->steal_ms)), "busy_other_ms",
        il_json_real(busy_other_ms(before, after)), "ctx_involuntary",
        count_or_null(grown(before->ctx_involuntary, after->ctx_involuntary)), "ctx_voluntary",
        count_or_null(grown(before->ctx_voluntary, after->ctx_voluntary)), "minor_faults",
        count_or_null(grown(before->minor_faults, after->minor_faults)), "major_faults",
        count_or_null(grown(before->major_faults, after->major_faults)), "mhz",
        il_json_real(after->mhz), "psi_cpu_ms",
        il_json_real(grown_ms(before->psi_cpu_ms, after->psi_cpu_ms)), "psi_io_ms",
        il_json_real(grown_ms(before->psi_io_ms, after->psi_io_ms)), "psi_memory_ms",
        il_json_real(grown_ms(before->psi_memory_ms, after->psi_memory_ms)), "load1",
        il_json_real(after->load1), "throttled_ms",
        il_json_real(grown_ms(before->throttled_ms, after->throttled_ms)), "rss_bytes",
        count_or_null(after->rss_bytes));
}

json_t *il_gates_json(const il_gates *gates)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o}", "steal_percent", il_json_real(gates->steal_percent),
        "busy_other_percent", il_json_real(gates->busy_other_percent), "major_faults",
        count_or_null(gates->major_faults), "throttled_ms", il_json_real(gates->throttled_ms),
        "drift_percent", il_json_real(gates->drift_percent));
}

int il_gates_apply(const il_gates *gates, const il_state *before, const il_state *after,
                   uint32_t n_cpus, json_t *flags)
{
    double wall_ms = (double)(after->at_ns - before->at_ns) * 1e-6;
    double cpu_ms = wall_ms * n_cpus;
    long hz = sysconf(_SC_CLK_TCK);
    double tick_ms = 1000.0 / (double)(hz > 0 ? hz : 100);
    uint64_t major = grown(before->major_faults, after->major_faults);
    /* The machine's busy time is counted in ticks, a tick at a time on every CPU: up to that much
     * of the process's own work can look like another's. Comparisons with NaN are false. */
    const struct {
        const char *word;
        bool raised;
    } rules[] = {
        {"steal",
         grown_ms(before->steal_ms, after->steal_ms) > gates->steal_percent / 100.0 * cpu_ms},
        {"contended", busy_other_ms(before, after) >
                          gates->busy_other_percent / 100.0 * cpu_ms + tick_ms * n_cpus},
        {"major_faults", major != UINT64_MAX && major > gates->major_faults},
        {"throttled", grown_ms(before->throttled_ms, after->throttled_ms) > gates->throttled_ms},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].raised && json_array_append_new(flags, json_string(rules[i].word)) != 0) {
            return IL_E_NOMEM;
        }
    }
    return IL_OK;
}
