/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * manifest.json: who measured what where (docs/journal.md). Written at the start without results
 * and replaced at the end, each time whole.
 */
#include "study/ceilings.h"
#include "study/driver_parts.h"

#include "base/file.h"
#include "base/json.h"
#include "base/version.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static json_t *argv_json(const il_driver_options *o)
{
    json_t *list = json_array();
    for (int i = 0; list && i < o->argc; i++) {
        json_t *word = json_string(o->argv[i]);
        (void)json_array_append_new(list, word ? word : json_string("(not UTF-8)"));
    }
    return list;
}

/* A small text file without its newline; false when it is not there. */
static bool read_word(const char *path, char *out, size_t out_bytes)
{
    il_buf text;
    il_buf_init(&text, 65536);
    bool ok = il_file_read(path, &text, NULL) == IL_OK;
    if (ok) {
        (void)snprintf(out, out_bytes, "%.*s", (int)strcspn(il_buf_text(&text), "\n"),
                       il_buf_text(&text));
    }
    il_buf_free(&text);
    return ok;
}

/* The commit of the git tree the program was started in, without running git. */
static json_t *git_head(void)
{
    char dir[64] = ".git", head[256], path[512];
    for (int up = 0; up < 6; up++) {
        (void)snprintf(path, sizeof path, "%s/HEAD", dir);
        if (read_word(path, head, sizeof head)) {
            if (strncmp(head, "ref: ", 5) != 0) {
                return json_string(head);
            }
            (void)snprintf(path, sizeof path, "%s/%s", dir, head + 5);
            char commit[128];
            return read_word(path, commit, sizeof commit) ? json_string(commit) : json_null();
        }
        memmove(dir + 3, dir, strlen(dir) + 1);
        memcpy(dir, "../", 3);
    }
    return json_null();
}

static json_t *platform_json(void)
{
    struct utsname u;
    char text[512];
    if (uname(&u) != 0) {
        return json_null();
    }
    (void)snprintf(text, sizeof text, "%s-%s-%s", u.sysname, u.release, u.machine);
    return json_string(text);
}

static json_t *clock_json(void)
{
    il_clock_facts f;
    il_clock_calibrate(&f);
    return json_pack("{s:s,s:f,s:I,s:I,s:s}", "name", "CLOCK_MONOTONIC", "overhead_ns",
                     f.overhead_ns, "step_ns", (json_int_t)f.step_ns, "backwards",
                     (json_int_t)f.backwards, "source", f.source);
}

static json_t *results_json(const il_driver_result *r)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "ok", (json_int_t)r->ok * 3, "error",
                     (json_int_t)r->error * 3, "skipped", (json_int_t)r->skipped * 3, "flagged",
                     (json_int_t)r->flagged * 3, "not_run", (json_int_t)r->not_run * 3);
}

/* The lists of the plan line, with the filters. */
static json_t *resolved_json(const il__driver *d)
{
    json_t *plan = il_plan_json(d->plan, d->history.run_id);
    json_t *out = plan ? json_object() : NULL;
    static const char *const keys[] = {"scenarios", "models", "backends"};
    for (size_t i = 0; out && i < sizeof keys / sizeof keys[0]; i++) {
        (void)json_object_set(out, keys[i], json_object_get(plan, keys[i]));
    }
    if (out) {
        (void)json_object_set(out, "filters", d->plan->study->filters);
    }
    json_decref(plan);
    return out;
}

static json_t *measured_params_json(const il_study *s)
{
    json_t *out = json_object();
    for (size_t i = 0; out && i < s->n_models; i++) {
        if (s->models[i].has_shape) {
            (void)json_object_set_new(out, s->models[i].name,
                                      json_real((double)s->models[i].counts.total / 1e6));
        }
    }
    return out;
}

static json_t *ceilings_json(const il__driver *d, bool finished)
{
    json_t *out = NULL;
    if (finished && d->plan->sentinel) {
        (void)il_ceilings_of(d->dir.journal, &out, NULL);
    }
    return out ? out : json_object();
}

static int set_run_keys(const il__driver *d, json_t *m, bool finished)
{
    const il_study *s = d->plan->study;
    const il_plan *p = d->plan;
    json_t *keys = json_pack(
        "{s:i,s:s,s:s,s:o,s:s?,s:s,s:s,s:o,s:s,s:s,s:o,s:f,s:o,s:I,s:I,s:I,s:I,s:I}", "format", 1,
        "run_id", d->history.run_id, "run_name", s->run_name, "argv", argv_json(d->options),
        "config_path", s->path[0] ? s->path : NULL, "config_sha256", s->config_sha256,
        "study_sha256", p->study_sha256, "git_head", git_head(), "source_hash", il_source_hash(),
        "version", il_version_text(), "platform", platform_json(), "started_at_unix",
        d->history.started_at_unix, "finished_at_unix",
        finished ? json_real(il_clock_unix_s()) : json_null(), "seed",
        (json_int_t)il_param_i64(&s->top, IL_P_SEED), "repetitions", (json_int_t)p->repetitions,
        "warmup_repetitions", (json_int_t)p->warmups, "blocks", (json_int_t)p->sampling.rounds,
        "gen_tokens", (json_int_t)il_study_gen_tokens(s));
    int failed = !keys || json_object_update(m, keys) != 0;
    json_decref(keys);
    return failed;
}

int il__manifest_write(const il__driver *d, bool finished, il_error *err)
{
    const il_plan *p = d->plan;
    json_t *m = json_object();
    int failed = !m || set_run_keys(d, m, finished);
    json_t *rest =
        failed ? NULL
               : json_pack("{s:o,s:o,s:I,s:[s,s,s],s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:O,s:b}",
                           "resolved", resolved_json(d), "study", il_study_json(p->study),
                           "task_count", (json_int_t)p->n_cells, "modes", "prefill", "kv_decode",
                           "e2e_kv", "records_expected", (json_int_t)(3 * il_plan_planned_calls(p)),
                           "results", finished ? results_json(d->result) : json_null(),
                           "measured_params", measured_params_json(p->study), "machine",
                           il_machine_json(&d->machine), "clock", clock_json(), "ceilings",
                           ceilings_json(d, finished), "gates", il_gates_json(&il_gates_default),
                           "runtimes", d->runtimes, "interrupted", d->result->interrupted);
    if (rest && p->sampling.adaptive) {
        (void)json_object_set_new(rest, "sampling", il_plan_sampling_json(p));
    }
    char *text = rest && json_object_update(m, rest) == 0 ? il_json_dump_pretty(m) : NULL;
    json_decref(rest);
    json_decref(m);
    if (!text) {
        return il_fail(err, IL_E_NOMEM, "cannot format the manifest");
    }
    int rc = il_file_write_atomic(d->dir.manifest, text, strlen(text), err);
    free(text);
    return rc;
}
