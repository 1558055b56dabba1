/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Cold starts: for every (backend, model) and state of the page cache, fresh starts whose stages
 * are told one by one, from the spawn of the process to calls that are as fast as they get. They
 * come at the end of a block, in random order, in processes of their own, so that no timed call
 * shares anything with them; the samples are spread over the blocks.
 */
#include "study/driver_parts.h"

#include "base/json.h"
#include "os/clock.h"
#include "os/page_cache.h"
#include "study/order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One start to be made. */
typedef struct start {
    uint32_t group, cell, sample;
    bool warm;
} start;

/* What was learned of it. */
typedef struct findings {
    const char *status, *reason;
    bool files_known;
    uint64_t file_bytes, resident_before, resident_after;
    il_load_result load;
    il_state loaded, prepared; /* of the process, after the load and after prepare */
    int64_t prepare_t0_ns, prepare_t1_ns;
    json_t *calls, *server;
} findings;

/* --- which starts, and when ------------------------------------------------------------------- */

static bool wants(const il_study *study, bool warm)
{
    const il_param_value *states = &study->cold_start.values[IL_P_PAGE_CACHE];
    for (size_t i = 0; i < states->n; i++) {
        if (strcmp(states->texts[i], warm ? "warm" : "cold") == 0) {
            return true;
        }
    }
    return false;
}

/* Samples are spread over the blocks that are planned from the beginning. */
static uint32_t block_of(const il__driver *d, uint32_t sample)
{
    const il_plan *p = d->plan;
    uint64_t blocks = p->sampling.adaptive ? p->sampling.least : p->blocks;
    return (uint32_t)(sample * blocks / d->history.cold_samples);
}

/* The cell whose calls follow the start: of those that can run, the smallest batch, the first in
 * the plan. UINT32_MAX: none can. */
static uint32_t cell_of(const il_plan *p, uint32_t group)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        if (c->group == group && c->skip.code == IL_OK &&
            strcmp(p->study->backends[c->backend].kind, "replay") != 0 &&
            (best == UINT32_MAX || c->batch < p->cells[best].batch)) {
            best = i;
        }
    }
    return best;
}

static bool pending(const il__driver *d, uint32_t group, bool warm, uint32_t sample, uint32_t block)
{
    return wants(d->plan->study, warm) && block_of(d, sample) == block &&
           !d->history.colds[il_history_cold_at(&d->history, group, warm, sample)];
}

/* Pending starts of the block into out (NULL counts). */
static uint32_t list_starts(const il__driver *d, uint32_t block, start *out)
{
    uint32_t n = 0;
    for (uint32_t group = 0; d->history.cold_samples > 0 && group < d->plan->n_groups; group++) {
        uint32_t cell = cell_of(d->plan, group);
        for (uint32_t k = 0; cell != UINT32_MAX && k < 2 * d->history.cold_samples; k++) {
            const start s = {group, cell, k / 2, k % 2 == 1};
            if (!pending(d, group, s.warm, s.sample, block)) {
                continue;
            }
            if (out) {
                out[n] = s;
            }
            n++;
        }
    }
    return n;
}

bool il__driver_colds_done(const il__driver *d, uint32_t block)
{
    return list_starts(d, block, NULL) == 0;
}

/* --- one start -------------------------------------------------------------------------------- */

static void flag(findings *f, const char *reason)
{
    f->status = "flagged";
    f->reason = reason;
}

/* Puts the page cache into the wanted state and tells how far that went. */
static int set_page_cache(const il_page_files *files, bool warm, findings *f, il_error *why)
{
    int rc = warm ? il_page_cache_fill(files, why) : il_page_cache_drop(files, why);
    rc = rc == IL_OK ? il_page_cache_resident(files, &f->resident_before, why) : rc;
    if (rc != IL_OK) {
        return rc;
    }
    f->files_known = true;
    f->file_bytes = files->bytes;
    double share = files->bytes > 0 ? (double)f->resident_before / (double)files->bytes : 0;
    if (warm && share < IL_PAGE_CACHE_WARM) {
        flag(f, "not_warm");
    } else if (!warm && share > IL_PAGE_CACHE_COLD) {
        flag(f, "not_cold");
    }
    return IL_OK;
}

static json_t *count_json(uint64_t count)
{
    return count <= INT64_MAX ? json_integer((json_int_t)count) : json_null();
}

static json_t *stamp_json(int64_t t_ns)
{
    return t_ns > 0 ? json_integer(t_ns) : json_null();
}

static int add_call(findings *f, const il_call_result *r, json_t *state)
{
    uint64_t faults = r->major_faults;
    const json_t *told = json_object_get(state, "major_faults");
    if (json_is_integer(told)) {
        faults = (uint64_t)json_integer_value(told);
    }
    json_t *call = json_pack("{s:I,s:o,s:o,s:I,s:I,s:o}", "t0_ns", (json_int_t)r->t0_ns,
                             "t_first_ns", stamp_json(r->t_first_ns), "t_step1_ns",
                             stamp_json(r->n_stamps > 0 ? r->t_step_ns[0] : 0), "t_end_ns",
                             (json_int_t)r->t_end_ns, "decode_steps", (json_int_t)r->n_steps,
                             "major_faults", count_json(faults));
    return json_array_append_new(f->calls, call);
}

/* Prepare and the calls, back to back: nothing is written in between. */
static int run_calls(il__driver *d, const start *s, findings *f, il_error *why)
{
    const il_backend_ops *ops = d->plan->ops[d->plan->cells[s->cell].backend];
    il_backend *b = d->plan->open[d->plan->cells[s->cell].backend];
    il_call_request request;
    uint32_t n = (uint32_t)il_param_i64(&d->plan->study->cold_start, IL_P_COLD_CALLS);
    il_state_read(ops->pid(b), &f->loaded);
    f->prepare_t0_ns = il_clock_ns();
    int rc = il__driver_prepare(d, s->cell, &request, why);
    f->prepare_t1_ns = il_clock_ns();
    il_state_read(ops->pid(b), &f->prepared);
    for (uint32_t i = 0; rc == IL_OK && i < n && !il__driver_stopping(d); i++) {
        il_call_result r;
        json_t *state, *flags;
        rc = il__driver_call(d, s->cell, &request, &r, &state, &flags, why);
        if (rc == IL_OK && strcmp(r.status, "flagged") == 0) {
            rc = il_fail(why, IL_E_INVALID, "a call was flagged: %s", r.reason);
        }
        if (rc == IL_OK && add_call(f, &r, state) != 0) {
            rc = il_fail(why, IL_E_NOMEM, "out of memory");
        }
        if (i == 0 && r.server) {
            f->server = json_incref(r.server);
        }
        json_decref(state);
        json_decref(flags);
        json_decref(r.server);
        json_decref(r.flags);
    }
    if (rc == IL_OK && json_array_size(f->calls) < n) {
        rc = il_fail(why, IL_E_INTERRUPTED, "stopped");
    }
    return rc;
}

static json_t *line_of(const il__driver *d, const start *s, uint32_t block, const findings *f,
                       const il_error *why)
{
    bool failed = strcmp(f->status, "error") == 0;
    json_t *line = il__driver_load_json(d, s->group, block, &f->load);
    json_t *rest = json_pack(
        "{s:s,s:I,s:I,s:I,s:s,s:s?,s:s?,s:s?,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:O,s:o}", "page_cache",
        s->warm ? "warm" : "cold", "sample", (json_int_t)s->sample, "group", (json_int_t)s->group,
        "cell", (json_int_t)s->cell, "status", f->status, "reason", f->reason, "message",
        failed ? why->what : NULL, "renewed", f->load.replication, "file_bytes",
        f->files_known ? count_json(f->file_bytes) : json_null(), "resident_before",
        f->files_known ? count_json(f->resident_before) : json_null(), "resident_after",
        f->files_known ? count_json(f->resident_after) : json_null(), "faults_load",
        f->prepare_t0_ns ? count_json(f->loaded.major_faults) : json_null(), "faults_prepare",
        f->prepare_t0_ns ? count_json(f->prepared.major_faults) : json_null(), "prepare_t0_ns",
        stamp_json(f->prepare_t0_ns), "prepare_t1_ns", stamp_json(f->prepare_t1_ns), "calls",
        f->calls, "server", f->server ? json_incref(f->server) : json_null());
    if (line && rest) {
        (void)json_object_update(line, rest);
    }
    json_decref(rest);
    return line;
}

/* Files of the model as its runtime reads them; none known is no failure. */
static void find_files(const il__driver *d, uint32_t group, il_page_files *files)
{
    il_backend_model m;
    il_plan_group_model(d->plan, group, &m);
    const char *path = m.file ? m.file : m.path;
    *files = (il_page_files){0};
    if (path && il_page_files_find(path, files, NULL) != IL_OK) {
        il_page_files_free(files);
    }
}

static void say_what(il__driver *d, const start *s, uint32_t block)
{
    const il_cell *c = &d->plan->cells[s->cell];
    char what[512];
    (void)snprintf(what, sizeof what, "%s start  %s  %s", s->warm ? "warm" : "cold",
                   d->plan->study->backends[c->backend].name,
                   d->plan->study->models[c->model].name);
    il__driver_tick(d, block, what, 0);
}

static int run_start(il__driver *d, const start *s, uint32_t block, il_error *err)
{
    findings f = {.status = "ok", .calls = json_array()};
    il_page_files files;
    il_error why = {0};
    int rc = IL_OK;
    say_what(d, s, block);
    il__driver_unload(d); /* a process that maps the files keeps them in memory */
    find_files(d, s->group, &files);
    int code = IL_OK;
    if (files.n == 0) {
        flag(&f, "page_cache_unknown");
    } else {
        code = set_page_cache(&files, s->warm, &f, &why);
    }
    if (code == IL_OK) {
        il__driver_start(d, s->group, &f.load, &why);
        code = why.code;
    }
    code = code == IL_OK ? run_calls(d, s, &f, &why) : code;
    if (files.n > 0 && f.files_known) {
        (void)il_page_cache_resident(&files, &f.resident_after, NULL);
    }
    il__driver_unload(d);
    d->load_ms = (double)NAN; /* no call line carries it */
    if (code != IL_OK) {
        f.status = "error";
        f.reason = il_code_name(code);
    }
    if (code != IL_E_INTERRUPTED) {
        rc = il_journal_write(d->journal, "cold", line_of(d, s, block, &f, &why), err);
        d->history.colds[il_history_cold_at(&d->history, s->group, s->warm, s->sample)] = true;
    }
    il_page_files_free(&files);
    json_decref(f.load.stages);
    json_decref(f.load.facts);
    json_decref(f.calls);
    json_decref(f.server);
    return rc;
}

int il__driver_colds(il__driver *d, uint32_t block, il_error *err)
{
    uint32_t n = list_starts(d, block, NULL);
    if (n == 0 || il__driver_stopping(d)) {
        return IL_OK;
    }
    start *starts = calloc(n, sizeof *starts);
    uint32_t *order = calloc(n, sizeof *order);
    int rc = starts && order ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory");
    if (rc == IL_OK) {
        (void)list_starts(d, block, starts);
        for (uint32_t i = 0; i < n; i++) {
            order[i] = i;
        }
        il_seeded stream =
            il_seeded_of((uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED), "cold", block);
        il_seeded_shuffle(&stream, order, n);
    }
    for (uint32_t i = 0; rc == IL_OK && i < n && !il__driver_stopping(d); i++) {
        rc = run_start(d, &starts[order[i]], block, err);
    }
    free(starts);
    free(order);
    return rc;
}
