/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One (backend, model) group in one block: load, warm-ups, measured calls, closure, and a journal
 * line for each before the next begins.
 */
#include "study/driver_parts.h"

#include "base/json.h"
#include "os/clock.h"
#include "os/process_tree.h"
#include "study/order.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const il_backend_ops *ops_of(const il__driver *d, uint32_t backend)
{
    return d->plan->ops[backend];
}

uint32_t il__driver_group_backend(const il__driver *d, uint32_t group, uint32_t *model)
{
    for (uint32_t i = 0;; i++) {
        if (d->plan->cells[i].group == group) {
            *model = d->plan->cells[i].model;
            return d->plan->cells[i].backend;
        }
    }
}

void il__driver_note_pid(il__driver *d, pid_t pid)
{
    if (d->options->worker_pid) {
        *d->options->worker_pid = (sig_atomic_t)pid;
    }
}

pid_t il__driver_loaded_pid(const il__driver *d)
{
    uint32_t model;
    if (d->loaded == IL__NO_GROUP) {
        return 0;
    }
    uint32_t backend = il__driver_group_backend(d, d->loaded, &model);
    return ops_of(d, backend)->pid(d->plan->open[backend]);
}

/* --- loading ---------------------------------------------------------------------------------- */

void il__driver_unload(il__driver *d)
{
    if (d->loaded == IL__NO_GROUP) {
        return;
    }
    uint32_t model, backend = il__driver_group_backend(d, d->loaded, &model);
    (void)ops_of(d, backend)->unload(d->plan->open[backend], NULL);
    d->loaded = IL__NO_GROUP;
    il__driver_note_pid(d, 0);
}

json_t *il__driver_load_json(const il__driver *d, uint32_t group, uint32_t block,
                             const il_load_result *load)
{
    uint32_t model, backend = il__driver_group_backend(d, group, &model);
    return json_pack("{s:s,s:s,s:I,s:o,s:o,s:I,s:I,s:o,s:o,s:n}", "backend",
                     d->plan->study->backends[backend].name, "model",
                     d->plan->study->models[model].name, "block", (json_int_t)block, "t_spawn_ns",
                     load->t_spawn_ns ? json_integer(load->t_spawn_ns) : json_null(), "t_hello_ns",
                     load->t_hello_ns ? json_integer(load->t_hello_ns) : json_null(), "t0_ns",
                     (json_int_t)load->t0_ns, "t1_ns", (json_int_t)load->t1_ns, "stages",
                     load->stages ? json_incref(load->stages) : json_null(), "facts",
                     load->facts ? json_incref(load->facts) : json_null(), "page_cache");
}

void il__driver_start(il__driver *d, uint32_t group, il_load_result *load, il_error *load_error)
{
    uint32_t model, backend = il__driver_group_backend(d, group, &model);
    const il_backend_ops *ops = ops_of(d, backend);
    il_backend *b = d->plan->open[backend];
    il_backend_model m;
    *load = (il_load_result){0};
    il__driver_unload(d);
    il_plan_group_model(d->plan, group, &m);
    *load_error = (il_error){0};
    if (ops->load(b, &m, load, load_error) != IL_OK) {
        (void)ops->unload(b, NULL); /* a worker whose load failed must not live on */
        return;
    }
    d->loaded = group;
    d->load_ms = (double)(load->t1_ns - load->t0_ns) * 1e-6;
    il__driver_note_pid(d, ops->pid(b));
    if (load->facts) {
        (void)json_object_set(d->runtimes, d->plan->study->backends[backend].name, load->facts);
    }
}

/* *load_error: why the model cannot be loaded; the return value is about the journal alone. */
int il__driver_load(il__driver *d, uint32_t group, uint32_t block, il_error *load_error,
                    il_error *err)
{
    il_load_result load;
    int rc = IL_OK;
    il__driver_start(d, group, &load, load_error);
    if (load_error->code == IL_OK) {
        rc =
            il_journal_write(d->journal, "cold", il__driver_load_json(d, group, block, &load), err);
    }
    json_decref(load.stages);
    json_decref(load.facts);
    return rc;
}

/* --- one call --------------------------------------------------------------------------------- */

int il__driver_prepare(il__driver *d, uint32_t cell, il_call_request *request, il_error *err)
{
    const il_cell *c = &d->plan->cells[cell];
    const il_study *s = d->plan->study;
    const il_scenario *scenario = &s->scenarios[c->scenario];
    const il_study_model *m = &s->models[c->model];
    bool takes_ids = (ops_of(d, c->backend)->caps & IL_CAP_TOKEN_IDS) != 0;
    uint32_t vocab = m->has_shape ? m->shape.vocab_size : 50257;
    *request = (il_call_request){.batch = c->batch,
                                 .gen_tokens = c->gen_tokens,
                                 .depth_tok = scenario->depth_tok,
                                 .split = true,
                                 .deadline_s =
                                     il_param_f64(&s->backends[c->backend].set, IL_P_DEADLINE_S)};
    request->prompt = takes_ids ? NULL : scenario->prompt;
    if (il__driver_is_server(d, cell)) {
        int rc = il__server_salt(d, cell, request, d->ids, &d->text, err);
        if (rc != IL_OK) {
            return rc;
        }
    } else if (takes_ids) {
        request->n_ids = c->seq_len;
        request->ids = d->ids;
        for (uint32_t row = 0; row < c->batch; row++) {
            il_study_prompt_ids((uint64_t)il_param_i64(&s->top, IL_P_SEED), scenario->name, row,
                                vocab, c->seq_len, d->ids + (size_t)row * c->seq_len);
        }
    }
    return ops_of(d, c->backend)->prepare(d->plan->open[c->backend], request, err);
}

int il__driver_call(il__driver *d, uint32_t cell, const il_call_request *request,
                    il_call_result *result, json_t **state, json_t **flags, il_error *call_error)
{
    const il_cell *c = &d->plan->cells[cell];
    const il_backend_ops *ops = ops_of(d, c->backend);
    il_backend *b = d->plan->open[c->backend];
    il_state before, after;
    *call_error = (il_error){0};
    *result = (il_call_result){.t_step_ns = d->stamps,
                               .stamp_tok = d->stamp_tok,
                               .cached_tok = -1,
                               .prefill_event_ms = (double)NAN,
                               .decode_event_ms = (double)NAN,
                               .gpu_peak_mb = (double)NAN};
    pid_t pid = ops->pid(b);
    il_call_request own = *request;
    bool server = il__driver_is_server(d, cell);
    int rc = server ? il__server_salt(d, cell, &own, d->ids, &d->text, call_error) : IL_OK;
    il_state_read(pid, &before);
    rc = rc == IL_OK ? ops->call(b, &own, result, call_error) : rc;
    il_state_read(pid, &after);
    *state = il_state_json(&before, &after);
    *flags = json_array();
    if (rc == IL_OK && *flags && server) {
        il__server_gates(d, pid, &before, &after, *flags);
    } else if (rc == IL_OK && *flags) {
        (void)il_gates_apply(&il_gates_default, &before, &after, d->machine.n_cpus_allowed, *flags);
    }
    if (rc == IL_OK && *flags) {
        il__driver_parity_mark(d, c->group, result, *flags);
    }
    bool gone = rc == IL_E_CRASHED || rc == IL_E_TIMEOUT || rc == IL_E_PROTOCOL;
    if (server ? rc != IL_OK && il_process_has_ended(pid) : gone) {
        il__driver_unload(d); /* a server outlives a call that it broke off */
    }
    return rc;
}

/* --- lines ------------------------------------------------------------------------------------ */

static json_t *int_or_null(bool known, int64_t value)
{
    return known ? json_integer(value) : json_null();
}

/* The keys that calls and failures share. */
static json_t *slot_json(const il__driver *d, const il__slot *slot, const char *status,
                         const char *reason)
{
    const il_plan *p = d->plan;
    bool warm = slot->i < p->warmups;
    int64_t rep = (int64_t)slot->block * p->repetitions + slot->i - p->warmups;
    return json_pack("{s:I,s:I,s:I,s:b,s:o,s:o,s:s,s:s?}", "call_idx",
                     (json_int_t)il_plan_call_idx(p, slot->cell, slot->block, slot->i), "cell",
                     (json_int_t)slot->cell, "block", (json_int_t)slot->block, "is_warmup", warm,
                     "warmup_idx", int_or_null(warm, slot->i), "rep", int_or_null(!warm, rep),
                     "status", status, "reason", reason);
}

static void mark(il__driver *d, const il__slot *slot, il_call_state state)
{
    d->history.calls[il_plan_call_idx(d->plan, slot->cell, slot->block, slot->i)] = (uint8_t)state;
}

int il__driver_write_failure(il__driver *d, const il__slot *slot, const char *status,
                             const il_error *why, json_t *state, il_error *err)
{
    json_t *line = slot_json(d, slot, status, il_code_name(why->code));
    bool skipped = strcmp(status, "skipped") == 0;
    if (line) {
        char message[800];
        (void)snprintf(message, sizeof message, "%s%s%s%s", why->what, why->where[0] ? " (" : "",
                       why->where, why->where[0] ? ")" : "");
        (void)json_object_set_new(line, "message", json_string(message));
        (void)json_object_set_new(line, "hint",
                                  why->hint[0] ? json_string(why->hint) : json_null());
        (void)json_object_set_new(line, "flags", json_array());
        (void)json_object_set_new(line, "started_at_unix",
                                  skipped ? json_null() : json_real(il_clock_unix_s()));
        (void)json_object_set_new(line, "state", state ? state : json_null());
    } else {
        json_decref(state);
    }
    mark(d, slot, skipped ? IL_CALL_SKIPPED : IL_CALL_ERROR);
    return il_journal_write(d->journal, "failure", line, err);
}

static json_t *stamps_json(const int64_t *stamps, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < n; i++) {
        (void)json_array_append_new(list, json_integer(stamps[i]));
    }
    return list;
}

static json_t *counts_json(const uint32_t *counts, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < n; i++) {
        (void)json_array_append_new(list, json_integer(counts[i]));
    }
    return list;
}

/* What only servers tell. */
static void add_server_keys(const il__driver *d, const il_call_result *r, json_t *line)
{
    int64_t due = r->t_scheduled_ns ? r->t_scheduled_ns : r->t0_ns;
    bool chunked = r->stamp_tok && r->n_stamps < r->n_steps;
    json_t *more = json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:I,s:o,s:o,s:o}", "t_scheduled_ns",
        int_or_null(r->t_scheduled_ns != 0, r->t_scheduled_ns), "t_first_byte_ns",
        int_or_null(r->t_first_byte_ns != 0, r->t_first_byte_ns), "t_first_visible_ns",
        int_or_null(r->t_first_visible_ns != 0, r->t_first_visible_ns), "ttft_ms",
        il_json_real(r->t_first_ns ? (double)(r->t_first_ns - due) / 1e6 : (double)NAN),
        "cached_tok", int_or_null(r->cached_tok >= 0, r->cached_tok), "n_stamps",
        (json_int_t)r->n_stamps, "stamp_tok",
        chunked ? counts_json(r->stamp_tok, r->n_stamps) : json_null(), "salt",
        int_or_null(d->salt >= 0, d->salt), "prefill_source",
        json_string(json_is_number(json_object_get(r->server, "prefill_ms")) ? "server"
                                                                             : "client_ttft"));
    if (more) {
        (void)json_object_update(line, more);
    }
    json_decref(more);
}

/* Takes state and flags, and the result's flags besides. */
int il__driver_write_call(il__driver *d, const il__slot *slot, const il_call_request *request,
                          const il_call_result *r, double started_unix, json_t *state,
                          json_t *flags, il_error *err)
{
    const il_cell *c = &d->plan->cells[slot->cell];
    pid_t pid = ops_of(d, c->backend)->pid(d->plan->open[c->backend]);
    bool flagged = strcmp(r->status, "flagged") == 0;
    json_t *line =
        slot_json(d, slot, flagged ? "flagged" : "ok", flagged && r->reason[0] ? r->reason : NULL);
    uint32_t seq = r->prompt_tok ? r->prompt_tok : request->n_ids;
    uint32_t n_stamps = il__driver_is_server(d, slot->cell) ? r->n_stamps : r->n_steps;
    if (flags && r->flags) {
        (void)json_array_extend(flags, r->flags);
    }
    json_t *events =
        json_pack("{s:o,s:o,s:o}", "prefill_ms", il_json_real(r->prefill_event_ms), "kv_decode_ms",
                  il_json_real(r->decode_event_ms), "gpu_peak_mb", il_json_real(r->gpu_peak_mb));
    json_t *rest = json_pack(
        "{s:n,s:o,s:f,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "message", "flags",
        flags, "started_at_unix", started_unix, "batch_size", (json_int_t)c->batch, "seq_len",
        (json_int_t)seq, "prompt_tokens", (json_int_t)seq * c->batch, "prompt_tokens_raw",
        (json_int_t)seq * c->batch, "gen_tokens_raw", (json_int_t)r->n_steps * c->batch,
        "decode_steps", (json_int_t)r->n_steps, "t0_ns", (json_int_t)r->t0_ns, "t_first_ns",
        (json_int_t)r->t_first_ns, "t_step_ns", stamps_json(r->t_step_ns, n_stamps), "load_ms",
        il_json_real(d->load_ms), "pid", int_or_null(pid > 0, pid), "state",
        state ? state : json_null(), "events", events, "server",
        r->server ? json_incref(r->server) : json_null());
    if (line && rest) {
        (void)json_object_update(line, rest);
    }
    json_decref(rest);
    if (line && il__driver_is_server(d, slot->cell)) {
        add_server_keys(d, r, line);
    }
    d->load_ms = (double)NAN;
    mark(d, slot, flagged ? IL_CALL_FLAGGED : IL_CALL_OK);
    if (slot->block == 0 && slot->i >= d->plan->warmups) {
        d->history
            .first_e2e_ms[(size_t)slot->cell * d->plan->repetitions + slot->i - d->plan->warmups] =
            (double)(r->t_end_ns - r->t0_ns) * 1e-6;
    }
    if (!flagged && slot->i >= d->plan->warmups && n_stamps > 0) {
        il__driver_observe(d, slot->cell, slot->block, slot->i - d->plan->warmups,
                           (double)(r->t_first_ns - r->t0_ns) * 1e-6,
                           (double)(r->t_step_ns[n_stamps - 1] - r->t_first_ns) * 1e-6);
    }
    return il_journal_write(d->journal, "call", line, err);
}

/* --- one cell --------------------------------------------------------------------------------- */

static bool any_pending(const il__driver *d, uint32_t cell, uint32_t block, uint32_t from)
{
    for (uint32_t i = from; i < il_plan_calls_per_block(d->plan); i++) {
        if (il_history_pending(&d->history, cell, block, i)) {
            return true;
        }
    }
    return false;
}

static bool closure_pending(const il__driver *d, uint32_t cell, uint32_t block)
{
    const il_cell *c = &d->plan->cells[cell];
    return d->plan->closure && il_plan_has(d->plan, cell, block) &&
           (ops_of(d, c->backend)->caps & IL_CAP_UNSPLIT) &&
           !d->history.closures[(size_t)cell * d->plan->blocks + block];
}

/* Every pending call of the cell in this block, from the given one on, fails for the same reason.
 */
static int fail_rest(il__driver *d, uint32_t cell, uint32_t block, uint32_t from,
                     const il_error *why, il_error *err)
{
    int rc = IL_OK;
    for (uint32_t i = from; rc == IL_OK && i < il_plan_calls_per_block(d->plan); i++) {
        if (il_history_pending(&d->history, cell, block, i)) {
            il__slot slot = {cell, block, i};
            rc = il__driver_write_failure(d, &slot, "error", why, NULL, err);
        }
    }
    return rc;
}

/* Calls first … end − 1. Whether the worker is still there decides if the next one can run. */
static int run_calls(il__driver *d, uint32_t cell, uint32_t block, uint32_t first, uint32_t end,
                     const il_call_request *request, il_error *err)
{
    int rc = IL_OK;
    for (uint32_t i = first;
         rc == IL_OK && i < end && d->loaded != IL__NO_GROUP && !il__driver_stopping(d); i++) {
        bool record = il_history_pending(&d->history, cell, block, i);
        bool again = i < d->plan->warmups &&
                     (any_pending(d, cell, block, i + 1) || closure_pending(d, cell, block));
        if (!record && !again) {
            continue; /* done before; a warm-up is done again before calls that are not */
        }
        il_call_result result;
        il_error why;
        json_t *state, *flags;
        il__slot slot = {cell, block, i};
        double started = il_clock_unix_s();
        int code = il__driver_call(d, cell, request, &result, &state, &flags, &why);
        if (code == IL_OK && record) {
            rc = il__driver_write_call(d, &slot, request, &result, started, state, flags, err);
        } else {
            json_decref(flags);
            if (code != IL_OK && record) {
                rc = il__driver_write_failure(d, &slot, "error", &why, state, err);
            } else {
                json_decref(state);
            }
        }
        json_decref(result.server);
        json_decref(result.flags);
        if (rc == IL_OK && code != IL_OK && d->loaded == IL__NO_GROUP) {
            rc = fail_rest(d, cell, block, i + 1, &why, err);
            break;
        }
        il__driver_tick(d, block, NULL, d->plan->cells[cell].estimate_ms);
    }
    return rc;
}

/* An unsplit call that always came last would be the warmest of its block: a coin decides whether
 * it goes before or after the measured calls. */
static bool closure_first(const il__driver *d, uint32_t cell, uint32_t block)
{
    il_seeded stream = il_seeded_of((uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED),
                                    "closure", (uint64_t)block * d->plan->n_cells + cell);
    return il_seeded_below(&stream, 2) == 0;
}

/* Runs it where it is pending and can run. */
static int run_closure(il__driver *d, uint32_t cell, uint32_t block, il_call_request request,
                       il_error *err)
{
    il_call_result r;
    il_error why;
    json_t *state, *flags;
    if (!closure_pending(d, cell, block) || d->loaded == IL__NO_GROUP || il__driver_stopping(d)) {
        return IL_OK;
    }
    request.split = false;
    int code = il__driver_call(d, cell, &request, &r, &state, &flags, &why);
    json_decref(flags);
    json_t *line =
        json_pack("{s:I,s:I,s:s,s:s?,s:o,s:o,s:o,s:o}", "cell", (json_int_t)cell, "block",
                  (json_int_t)block, "status", code == IL_OK ? r.status : "error", "reason",
                  code != IL_OK ? il_code_name(code)
                  : r.reason[0] ? r.reason
                                : NULL,
                  "t0_ns", int_or_null(code == IL_OK, r.t0_ns), "t_end_ns",
                  int_or_null(code == IL_OK, r.t_end_ns), "decode_steps",
                  int_or_null(code == IL_OK, r.n_steps), "state", state ? state : json_null());
    json_decref(r.server);
    json_decref(r.flags);
    d->history.closures[(size_t)cell * d->plan->blocks + block] = true;
    il__driver_tick(d, block, NULL, d->plan->cells[cell].estimate_ms);
    return il_journal_write(d->journal, "closure", line, err);
}

static int run_cell(il__driver *d, uint32_t cell, uint32_t block, il_error *err)
{
    il_call_request request;
    il_error why = {0};
    if (il__driver_prepare(d, cell, &request, &why) != IL_OK) {
        if (why.code == IL_E_CRASHED || why.code == IL_E_TIMEOUT || why.code == IL_E_PROTOCOL) {
            il__driver_unload(d);
        }
        return fail_rest(d, cell, block, 0, &why, err);
    }
    uint32_t n_warm = d->plan->warmups, n = il_plan_calls_per_block(d->plan);
    int rc = run_calls(d, cell, block, 0, n_warm, &request, err);
    if (rc == IL_OK && n_warm > 0 && closure_first(d, cell, block)) {
        bool here = d->loaded != IL__NO_GROUP;
        rc = run_closure(d, cell, block, request, err);
        if (rc == IL_OK && here && d->loaded == IL__NO_GROUP) {
            (void)il_fail(&why, IL_E_CRASHED, "the worker ended during the unsplit call before it");
            return fail_rest(d, cell, block, n_warm, &why, err);
        }
    }
    if (rc == IL_OK && il__server_wants_many(d, cell)) {
        rc = il__server_run_many(d, cell, block, n_warm, n, &request, err);
    } else {
        rc = rc == IL_OK ? run_calls(d, cell, block, n_warm, n, &request, err) : rc;
    }
    rc = rc == IL_OK ? run_closure(d, cell, block, request, err) : rc;
    return rc == IL_OK ? il__server_probe(d, cell, block, request, err) : rc;
}

/* --- one group -------------------------------------------------------------------------------- */

int il__driver_group(il__driver *d, uint32_t group, uint32_t block, il_error *err)
{
    const il_plan *p = d->plan;
    uint32_t *cells = d->cells;
    uint32_t n = 0;
    int rc = IL_OK;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        if (p->cells[i].group == group && p->cells[i].skip.code == IL_OK &&
            (any_pending(d, i, block, 0) || closure_pending(d, i, block))) {
            cells[n++] = i;
        }
    }
    if (n == 0) {
        return IL_OK;
    }
    uint32_t model, backend = il__driver_group_backend(d, group, &model);
    bool keep = il_plan_keeps_process(p, backend);
    char what[512];
    (void)snprintf(what, sizeof what, "%s  %s", p->study->backends[backend].name,
                   p->study->models[model].name);
    il__driver_tick(d, block, what, 0);
    il_seeded stream = il_seeded_of((uint64_t)il_param_i64(&p->study->top, IL_P_SEED), "cells",
                                    (uint64_t)block * p->n_groups + group);
    il_seeded_shuffle(&stream, cells, n);
    if (d->loaded != IL__NO_GROUP && (!keep || d->loaded != group)) {
        il__driver_unload(d);
    }
    rc = il__driver_parity(d, group, block, err);
    for (uint32_t k = 0; rc == IL_OK && k < n && !il__driver_stopping(d); k++) {
        il_error why = {0};
        if (d->loaded != group) {
            rc = il__driver_load(d, group, block, &why, err);
            rc = rc == IL_OK && why.code == IL_OK ? il__driver_parity(d, group, block, err) : rc;
            il__driver_tick(d, block, what, il_plan_load_estimate_ms(p, group));
        }
        if (rc == IL_OK && why.code != IL_OK) {
            rc = fail_rest(d, cells[k], block, 0, &why, err);
        } else if (rc == IL_OK) {
            rc = run_cell(d, cells[k], block, err);
        }
    }
    if (!keep) {
        il__driver_unload(d);
    }
    return rc;
}
