/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw doctor: what this machine is, what it can do at most, which runtimes are here, what will
 * spoil a measurement.
 */
#include "cli/doctor.h"

#include "base/json.h"
#include "base/log.h"
#include "base/version.h"
#include "cli/verb.h"
#include "os/clock.h"
#include "os/runtimes.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    DISK_SAMPLES = 30,
    DISK_SAMPLES_QUICK = 8,
    WATCH_MS = 1000, /* steal and load are counted in ticks of 10 ms: 0.5 % of this on two CPUs */
    WATCH_QUICK_MS = 250,
    MOST_SPOILERS = 24,
};

static json_t *clock_json(void)
{
    il_clock_facts facts;
    il_clock_calibrate(&facts);
    return json_pack("{s:s, s:I, s:o, s:I}", "source", facts.source, "step_ns",
                     (json_int_t)facts.step_ns, "overhead_ns", il_json_real(facts.overhead_ns),
                     "backwards", (json_int_t)facts.backwards);
}

static json_t *spoilers_json(const il_machine *machine, uint32_t watch_ms)
{
    il_spoiler found[MOST_SPOILERS];
    size_t n = il_machine_spoilers(machine, watch_ms, found, MOST_SPOILERS);
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < n; i++) {
        json_t *row = json_pack("{s:s, s:b, s:s}", "what", found[i].what, "serious",
                                (int)found[i].serious, "fix", found[i].fix);
        if (!row || json_array_append_new(rows, row) != 0) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

static json_t *runtimes_json(bool quick)
{
    char exe_dir[4096] = ".";
    il_runtime rows[IL_RUNTIMES];
    (void)il_exe_dir(exe_dir, sizeof exe_dir, NULL);
    il_runtimes_find(exe_dir, quick, rows);
    return il_runtimes_json(rows);
}

/* Spoilers come first in time: nothing of ours has run then. */
static int collect(const il_param_set *flags, json_t **out, il_error *err)
{
    il_machine machine;
    json_t *ceilings = NULL;
    bool quick = il_param_flag(flags, IL_P_QUICK);
    int rc = il_machine_probe(&machine, err);
    if (rc != IL_OK) {
        return rc;
    }
    uint32_t threads = (uint32_t)il_param_i64(flags, IL_P_THREADS);
    if (threads > machine.n_cpus_allowed) {
        il_log(IL_LOG_WARN, "%u threads asked for, %u CPUs allowed: measuring up to %u", threads,
               machine.n_cpus_allowed, machine.n_cpus_allowed);
        threads = machine.n_cpus_allowed;
    } else if (threads == 0) {
        threads = machine.n_cores_allowed;
    }
    json_t *spoilers = spoilers_json(&machine, quick ? WATCH_QUICK_MS : WATCH_MS);
    json_t *clock = clock_json();
    json_t *disk = il__doctor_disk(quick ? DISK_SAMPLES_QUICK : DISK_SAMPLES);
    if (!quick) {
        il_log(IL_LOG_INFO, "measuring ceilings on up to %u thread%s …", threads,
               threads == 1 ? "" : "s");
        rc = il__doctor_ceilings(&machine, threads, &ceilings, err);
    }
    if (rc != IL_OK) {
        json_decref(spoilers);
        json_decref(clock);
        json_decref(disk);
        return rc;
    }
    *out = json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "format", 1, "version",
                     il_version_text(), "source_hash", il_source_hash(), "machine",
                     il_machine_json(&machine), "clock", clock, "ceilings",
                     ceilings ? ceilings : json_null(), "disk", disk, "runtimes",
                     runtimes_json(quick), "spoilers", spoilers);
    return *out ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory");
}

static int run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)words;
    (void)n_words;
    il_error err = {0};
    json_t *doc = NULL;
    int rc = collect(flags, &doc, &err);
    if (rc == IL_OK && il_param_flag(flags, IL_P_JSON)) {
        char *text = il_json_dump_pretty(doc);
        if (!text) {
            rc = il_fail(&err, IL_E_NOMEM, "out of memory");
        } else if (puts(text) < 0) {
            rc = il_fail(&err, IL_E_IO, "cannot write to standard output");
        }
        free(text);
    } else if (rc == IL_OK) {
        il__doctor_print(doc);
    }
    if (rc == IL_OK && fflush(stdout) != 0) {
        rc = il_fail(&err, IL_E_IO, "cannot write to standard output");
    }
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    json_decref(doc);
    return il_exit_from_code(rc);
}

const il_verb il_verb_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary =
        "what this machine is, its measured ceilings, its runtimes, what spoils a measurement",
    .details = "Ceilings are medians with exact 95 % intervals: read bandwidth by working set and "
               "multiply-add\npeak by dtype, for 1, 2, 4 … threads. --quick leaves them out and "
               "imports no Python package.",
    .scope = IL_SCOPE_DOCTOR,
    .run = run,
};
