/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Energy: windows of repeated calls between two readings of the machine's meters, which only a
 * worker of their own reads. Counters are renewed every millisecond at best, so a call says
 * nothing and a window of seconds does. A sample is an idle window with nothing loaded, one of
 * calls with a single decode step, and one of calls with all steps; what a token costs follows from
 * their differences, in the analysis.
 */
#include "study/driver_parts.h"

#include "base/json.h"
#include "os/clock.h"
#include "os/paths.h"
#include "os/process.h"
#include "study/order.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_CALLS = 1000000, ANSWER_S = 20 };

typedef struct meters {
    il_process *process;
    il_wire_channel channel;
    int64_t next_id;
} meters;

/* One window: its readings, how long it was, and what ran in it. */
typedef struct window {
    json_t *before, *after; /* arrays of meters */
    uint32_t calls, decode_steps;
    double seconds; /* by our clock */
} window;

/* --- the worker ------------------------------------------------------------------------------- */

static int64_t deadline(void)
{
    return il_clock_ns() + (int64_t)ANSWER_S * 1000000000;
}

static void meters_close(meters *m)
{
    if (m->process) {
        il_process_close_stdin(m->process);
        (void)il_process_wait(m->process, 1000, NULL);
        il_process_free(m->process);
        il_wire_channel_free(&m->channel);
        m->process = NULL;
    }
}

static int meters_open(const il__driver *d, meters *m, il_error *err)
{
    char path[4096];
    const char *own[] = {path, NULL};
    il_process_options options = {.argv = d->options->telemetry};
    json_t *hello = NULL;
    *m = (meters){.next_id = 1};
    if (!options.argv) {
        int rc = il_path_find_worker("inferlaw-worker-telemetry", path, sizeof path, err);
        if (rc != IL_OK) {
            return rc;
        }
        options.argv = own;
    }
    int rc = il_process_spawn(&options, &m->process, err);
    if (rc != IL_OK) {
        m->process = NULL;
        return rc;
    }
    il_wire_channel_init(&m->channel, il_process_stdout(m->process), il_process_stdin(m->process),
                         il_process_watch_fd(m->process), "the telemetry worker");
    rc = il_wire_receive(&m->channel, deadline(), &hello, err);
    json_decref(hello);
    if (rc != IL_OK) {
        meters_close(m);
    }
    return rc;
}

/* *list: its meters, a new reference. *why may be NULL, else what cannot be read, in words. */
static int meters_read(meters *m, json_t **list, json_t **why, il_error *err)
{
    json_t *reply = NULL;
    bool refused;
    int64_t id = m->next_id++;
    int rc =
        il_wire_send(&m->channel, il_wire_request_json(IL_WIRE_TELEMETRY, id), deadline(), err);
    rc = rc == IL_OK ? il_wire_receive(&m->channel, deadline(), &reply, err) : rc;
    rc = rc == IL_OK ? il_wire_reply_read(reply, IL_WIRE_TELEMETRY, id, &refused, err) : rc;
    *list = rc == IL_OK ? json_incref(json_object_get(reply, "meters")) : NULL;
    if (why) {
        *why = rc == IL_OK ? json_incref(json_object_get(reply, "unreadable")) : NULL;
    }
    json_decref(reply);
    return rc;
}

/* --- windows ---------------------------------------------------------------------------------- */

static void window_free(window *w)
{
    json_decref(w->before);
    json_decref(w->after);
    *w = (window){.before = NULL};
}

static int idle_window(il__driver *d, meters *m, double seconds, window *out, il_error *why)
{
    const struct timespec slice = {.tv_nsec = 20000000};
    int rc = meters_read(m, &out->before, NULL, why);
    int64_t from_ns = il_clock_ns();
    while (rc == IL_OK && (double)(il_clock_ns() - from_ns) * 1e-9 < seconds &&
           !il__driver_stopping(d)) {
        (void)nanosleep(&slice, NULL);
    }
    out->seconds = (double)(il_clock_ns() - from_ns) * 1e-9;
    return rc == IL_OK ? meters_read(m, &out->after, NULL, why) : rc;
}

/* Calls of so many steps for so many seconds, the first of them outside the window. */
static int call_window(il__driver *d, meters *m, uint32_t cell, uint32_t steps, double seconds,
                       window *out, il_error *why)
{
    const il_cell *c = &d->plan->cells[cell];
    const il_backend_ops *ops = d->plan->ops[c->backend];
    il_backend *b = d->plan->open[c->backend];
    il_call_request request;
    int64_t from_ns = 0;
    int rc = il__driver_prepare(d, cell, &request, why);
    if (rc == IL_OK && request.gen_tokens != steps) {
        request.gen_tokens = steps;
        rc = ops->prepare(b, &request, why);
    }
    for (uint32_t i = 0; rc == IL_OK && i < MOST_CALLS && !il__driver_stopping(d); i++) {
        il_call_result r = {.t_step_ns = d->stamps};
        if (i == 1) {
            rc = meters_read(m, &out->before, NULL, why);
            from_ns = il_clock_ns();
        }
        rc = rc == IL_OK ? ops->call(b, &request, &r, why) : rc;
        json_decref(r.server);
        json_decref(r.flags);
        out->calls += i > 0;
        out->decode_steps = r.n_steps;
        out->seconds = from_ns ? (double)(il_clock_ns() - from_ns) * 1e-9 : 0;
        if (out->seconds >= seconds) {
            break;
        }
    }
    if (rc == IL_OK && !out->before) {
        rc = il_fail(why, IL_E_INTERRUPTED, "stopped");
    }
    return rc == IL_OK ? meters_read(m, &out->after, NULL, why) : rc;
}

/* --- one sample ------------------------------------------------------------------------------- */

static json_t *window_json(const window *w)
{
    return json_pack("{s:O?,s:O?,s:I,s:I,s:f}", "before", w->before, "after", w->after, "calls",
                     (json_int_t)w->calls, "decode_steps", (json_int_t)w->decode_steps, "seconds",
                     w->seconds);
}

static int run_sample(il__driver *d, meters *m, uint32_t group, uint32_t cell, uint32_t sample,
                      il_error *err)
{
    const il_param_set *set = &d->plan->study->energy;
    const il_cell *c = &d->plan->cells[cell];
    window idle = {0}, prefill = {0}, all = {0};
    il_load_result load = {0};
    il_error why = {0};
    char what[512];
    (void)snprintf(what, sizeof what, "energy  %s  %s", d->plan->study->backends[c->backend].name,
                   d->plan->study->models[c->model].name);
    il__driver_tick(d, d->plan->sampling.rounds - 1, what, 0);
    il__driver_unload(d);
    double seconds = il_param_f64(set, IL_P_WINDOW_S);
    int code = idle_window(d, m, il_param_f64(set, IL_P_IDLE_S), &idle, &why);
    if (code == IL_OK) {
        il__driver_start(d, group, &load, &why);
        code = why.code;
    }
    code = code == IL_OK ? call_window(d, m, cell, 1, seconds, &prefill, &why) : code;
    code = code == IL_OK ? call_window(d, m, cell, c->gen_tokens, seconds, &all, &why) : code;
    il__driver_unload(d);
    d->load_ms = (double)NAN;
    int rc = IL_OK;
    if (!d->stopped) {
        json_t *line = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:s,s:s?,s:s?,s:o,s:o,s:o}",
                                 "backend", d->plan->study->backends[c->backend].name, "model",
                                 d->plan->study->models[c->model].name, "group", (json_int_t)group,
                                 "cell", (json_int_t)cell, "sample", (json_int_t)sample, "batch",
                                 (json_int_t)c->batch, "prompt_tokens", (json_int_t)c->seq_len,
                                 "status", code == IL_OK ? "ok" : "error", "reason",
                                 code == IL_OK ? NULL : il_code_name(code), "message",
                                 code == IL_OK ? NULL : why.what, "idle", window_json(&idle),
                                 "short", window_json(&prefill), "long", window_json(&all));
        rc = il_journal_write(d->journal, "energy", line, err);
    }
    window_free(&idle);
    window_free(&prefill);
    window_free(&all);
    json_decref(load.stages);
    json_decref(load.facts);
    return rc;
}

static uint32_t cell_of(const il_plan *p, uint32_t group)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        if (c->group == group && c->skip.code == IL_OK && c->gen_tokens > 1 &&
            (best == UINT32_MAX || c->batch < p->cells[best].batch)) {
            best = i;
        }
    }
    return best;
}

static int run_samples(il__driver *d, meters *m, uint32_t *order, il_error *err)
{
    uint32_t n = (uint32_t)il_param_i64(&d->plan->study->energy, IL_P_ENERGY_SAMPLES);
    int rc = IL_OK;
    for (uint32_t sample = 0; sample < n; sample++) {
        il_seeded stream =
            il_seeded_of((uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED), "energy", sample);
        for (uint32_t g = 0; g < d->plan->n_groups; g++) {
            order[g] = g;
        }
        il_seeded_shuffle(&stream, order, d->plan->n_groups);
        for (uint32_t i = 0; i < d->plan->n_groups; i++) {
            uint32_t cell = cell_of(d->plan, order[i]);
            if (cell == UINT32_MAX || il_history_energy(&d->history, order[i], sample)) {
                continue;
            }
            if (rc != IL_OK || il__driver_stopping(d)) {
                return rc;
            }
            rc = run_sample(d, m, order[i], cell, sample, err);
        }
    }
    return rc;
}

/* Nothing to read is an answer, written once. */
static int write_unreadable(il__driver *d, json_t *why, const il_error *failure, il_error *err)
{
    if (d->history.energy_unreadable) {
        json_decref(why);
        return IL_OK;
    }
    if (failure->code != IL_OK) {
        json_decref(why);
        why = json_pack("[s]", failure->what);
    }
    d->history.energy_unreadable = true;
    return il_journal_write(
        d->journal, "energy",
        json_pack("{s:s,s:o}", "status", "not_readable", "why", why ? why : json_array()), err);
}

int il__driver_energy(il__driver *d, il_error *err)
{
    meters m;
    il_error why = {0};
    json_t *list = NULL, *reasons = NULL;
    if (!d->plan->study->has_energy || il__driver_stopping(d)) {
        return IL_OK;
    }
    int code = meters_open(d, &m, &why);
    if (code == IL_OK) {
        code = meters_read(&m, &list, &reasons, &why);
    }
    size_t n = json_array_size(list);
    json_decref(list);
    if (code != IL_OK || n == 0) {
        meters_close(&m);
        return write_unreadable(d, reasons, &why, err);
    }
    json_decref(reasons);
    uint32_t *order = calloc(d->plan->n_groups + 1, sizeof *order);
    int rc = order ? run_samples(d, &m, order, err) : il_fail(err, IL_E_NOMEM, "out of memory");
    free(order);
    meters_close(&m);
    return rc;
}
