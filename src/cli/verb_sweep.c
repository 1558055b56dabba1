/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One run per decode length, batch size or prompt length: DIR/gen_N/<run_name>/ and so on, then
 * what can be said of all of them together.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/derive.h"
#include "cli/study_run.h"
#include "cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct axis {
    const char *name; /* "gen" */
    const int64_t *values;
    size_t n;
} axis;

static int find_axis(const il_study *s, const char *path, axis *out, il_error *err)
{
    static const struct {
        il_param_id id;
        const char *name;
    } axes[] = {{IL_P_GEN_TOKENS_LIST, "gen"},
                {IL_P_BATCH_SIZES, "batch"},
                {IL_P_PROMPT_TOKENS_LIST, "prompt"}};
    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++) {
        const il_param_value *v = &s->top.values[axes[i].id];
        if (v->n > 0) {
            *out = (axis){axes[i].name, v->i64s, v->n};
            return IL_OK;
        }
    }
    int rc = il_fail(err, IL_E_USAGE,
                     "nothing to sweep: the study has no gen_tokens_list, "
                     "batch_sizes or prompt_tokens_list");
    il_error_where(err, "%s", path);
    il_error_hint(err, "inferlaw run %s measures it once", path);
    return rc;
}

static il_study_options options_of(const axis *a, size_t i, const il_param_set *flags)
{
    il_study_options o = {.flags = flags, .sweep = true};
    int64_t value = a->values[i];
    o.gen_tokens = strcmp(a->name, "gen") == 0 ? value : 0;
    o.batch_size = strcmp(a->name, "batch") == 0 ? value : 0;
    o.prompt_tokens = strcmp(a->name, "prompt") == 0 ? value : 0;
    return o;
}

static int show_one(il_study *study, bool json, il_error *err)
{
    il_plan plan = {0};
    int rc = il_plan_make(study, il_backend_find, &plan, err);
    rc = rc == IL_OK ? il_plan_show(&plan, json) : rc;
    if (plan.study) {
        il_plan_free(&plan);
    }
    return rc;
}

/* The plan of one step; all of them together are one JSON array. */
static int show_step(const axis *a, size_t i, il_study *study, bool json, il_error *err)
{
    if (json) {
        (void)puts(i == 0 ? "[" : ",");
    } else {
        (void)printf("%s%s %lld\n", i == 0 ? "" : "\n", a->name, (long long)a->values[i]);
    }
    int rc = show_one(study, json, err);
    if (json && i + 1 == a->n) {
        (void)puts("]");
    }
    return rc;
}

/* The medians of one run, for the one JSON document of a sweep that has no combined tables. */
static int add_rows(json_t *rows, const char *dir, il_error *err)
{
    char path[IL_PATH_BYTES + 64];
    json_t *more = NULL;
    (void)snprintf(path, sizeof path, "%s/analysis/summary_by_model_backend_mode.csv", dir);
    int rc = il_derive_csv_json(path, &more, err);
    if (rc == IL_OK && json_array_extend(rows, more) != 0) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for the table");
    }
    json_decref(more);
    return rc;
}

/* rows: NULL in a sweep over decode lengths, whose combined tables stand for its runs on stdout.
 * A resumed sweep goes on in the run that was interrupted and begins those that were not. */
static int run_one(il_study *study, const char *top, const char *dir, const il_param_set *flags,
                   json_t *rows, int *exit_code, bool *interrupted, il_error *err)
{
    char journal[IL_PATH_BYTES + 32];
    (void)snprintf(journal, sizeof journal, "%s/journal.jsonl", dir);
    il_study_run run = {
        .out_dir = dir, .resume_dir = top, .quiet = il_param_flag(flags, IL_P_QUIET)};
    run.resume = il_param_flag(flags, IL_P_RESUME) && il_path_is_file(journal);
    int rc = il_study_run_all(study, &run, err);
    if (rc != IL_OK) {
        return rc;
    }
    int code = il_study_run_verdict(&run);
    *exit_code = code > *exit_code ? code : *exit_code;
    *interrupted = run.result.interrupted;
    if (run.result.interrupted) {
        il_analysis_summary summary;
        return il_derive_tables(dir, flags, &summary, err);
    }
    if (!rows) {
        return il_derive_one(dir, flags, err);
    }
    bool json = il_param_flag(flags, IL_P_JSON);
    rc = json ? il_derive_one(dir, flags, err) : il_derive_run(dir, flags, err);
    return rc == IL_OK && json ? add_rows(rows, dir, err) : rc;
}

static int print_rows(const json_t *rows, il_error *err)
{
    char *text = il_json_dump_pretty(rows);
    int rc = text && puts(text) != EOF ? IL_OK : il_fail(err, IL_E_IO, "cannot print the table");
    free(text);
    return rc;
}

static int sweep_all(const axis *a, const char *path, const char *top, const il_param_set *flags,
                     int *exit_code, il_error *err)
{
    bool plan_only = il_param_flag(flags, IL_P_PLAN), interrupted = false;
    bool lengths = strcmp(a->name, "gen") == 0; /* the combined tables are about these */
    json_t *rows = lengths || plan_only ? NULL : json_array();
    int rc = IL_OK;
    unsigned n_ok = 0;
    for (size_t i = 0; rc == IL_OK && i < a->n && !interrupted; i++) {
        il_study study;
        char dir[IL_PATH_BYTES];
        il_study_options o = options_of(a, i, flags);
        int code = IL_EXIT_DONE;
        rc = il_study_load(path, &o, &study, err);
        int n = rc == IL_OK ? snprintf(dir, sizeof dir, "%s/%s_%lld/%s", top, a->name,
                                       (long long)a->values[i], study.run_name)
                            : 0;
        if (rc == IL_OK && plan_only) {
            rc = show_step(a, i, &study, il_param_flag(flags, IL_P_JSON), err);
        } else if (rc == IL_OK && (n < 0 || (size_t)n >= sizeof dir)) {
            rc = il_fail(err, IL_E_RANGE, "path too long");
        } else if (rc == IL_OK) {
            il_log(IL_LOG_INFO, "run %zu of %zu: %s %lld", i + 1, a->n, a->name,
                   (long long)a->values[i]);
            rc = run_one(&study, top, dir, flags, rows, &code, &interrupted, err);
            n_ok += code != IL_EXIT_NO_OK_ROW;
            *exit_code = code == IL_EXIT_CALLS_FAILED ? code : *exit_code;
        }
        il_study_free(&study);
    }
    if (rc == IL_OK && !plan_only && !interrupted) {
        *exit_code = n_ok == 0 ? IL_EXIT_NO_OK_ROW : *exit_code;
        if (n_ok > 0 && lengths) {
            rc = il_derive_sweep(top, flags, err);
        } else if (!lengths && il_param_flag(flags, IL_P_JSON)) {
            rc = print_rows(rows, err);
        }
    }
    json_decref(rows);
    return rc;
}

static int run_sweep(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)n_words;
    il_study study;
    il_error err = {0};
    il_study_options options = {.flags = flags, .sweep = true};
    axis a = {0};
    char top[IL_PATH_BYTES - 256];
    int exit_code = IL_EXIT_DONE;
    const char *out_dir = il_param_text(flags, IL_P_OUT_DIR);
    il_stop_install();
    int rc = il_study_load(words[0], &options, &study, &err);
    rc = rc == IL_OK ? find_axis(&study, words[0], &a, &err) : rc;
    if (rc == IL_OK && il_param_flag(flags, IL_P_RESUME) && !out_dir) {
        rc = il_fail(&err, IL_E_USAGE, "--resume needs --out-dir: which sweep should go on?");
    }
    if (rc == IL_OK && out_dir) {
        rc = strlen(out_dir) < sizeof top ? IL_OK : il_fail(&err, IL_E_RANGE, "path too long");
        (void)snprintf(top, sizeof top, "%s", out_dir);
    } else if (rc == IL_OK) {
        rc = il_rundir_default(study.run_name, top, sizeof top, &err);
    }
    rc = rc == IL_OK ? sweep_all(&a, words[0], top, flags, &exit_code, &err) : rc;
    if (rc != IL_OK) {
        il_log_error(&err);
        exit_code = il_exit_from_code(rc);
    }
    il_study_free(&study);
    return exit_code;
}

const il_verb il_verb_sweep = {
    .name = "sweep",
    .arguments = "STUDY",
    .summary = "one run per decode length, batch size or prompt length",
    .details = "Runs the study once per value of gen_tokens_list (or batch_sizes, or "
               "prompt_tokens_list) into\nDIR/gen_N/<run_name>/, then makes the combined tables "
               "of the sweep.",
    .scope = IL_SCOPE_SWEEP,
    .least_words = 1,
    .most_words = 1,
    .run = run_sweep,
};
