/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"
#include "cli/derive.h"
#include "cli/study_run.h"
#include "cli/verbs.h"

#include <stdio.h>

static int show_plan(il_study *study, bool json, il_error *err)
{
    il_plan plan = {0};
    int rc = il_plan_make(study, il_backend_find, &plan, err);
    if (rc == IL_OK) {
        rc = il_plan_show(&plan, json);
    }
    if (plan.study) {
        il_plan_free(&plan);
    }
    return rc;
}

static int run_study(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)n_words;
    il_study study;
    il_error err = {0};
    il_study_options options = {.flags = flags};
    il_study_run run = {.out_dir = il_param_text(flags, IL_P_OUT_DIR),
                        .resume = il_param_flag(flags, IL_P_RESUME),
                        .quiet = il_param_flag(flags, IL_P_QUIET)};
    int exit_code;
    il_stop_install();
    int rc = il_study_load(words[0], &options, &study, &err);
    if (rc == IL_OK && il_param_flag(flags, IL_P_PLAN)) {
        rc = show_plan(&study, il_param_flag(flags, IL_P_JSON), &err);
        exit_code = IL_EXIT_DONE;
        goto out;
    }
    rc = rc == IL_OK ? il_study_run_all(&study, &run, &err) : rc;
    exit_code = rc == IL_OK ? il_study_run_verdict(&run) : IL_EXIT_USAGE;
    if (rc == IL_OK && run.result.interrupted) {
        il_analysis_summary summary;
        rc = il_derive_tables(run.dir, flags, &summary, &err);
    } else if (rc == IL_OK) {
        rc = il_derive_run(run.dir, flags, &err);
    }
out:
    if (rc != IL_OK) {
        il_log_error(&err);
        exit_code = il_exit_from_code(rc);
    }
    il_study_free(&study);
    return exit_code;
}

const il_verb il_verb_run = {
    .name = "run",
    .arguments = "STUDY",
    .summary = "measure a study and report",
    .details =
        "Measures every cell of the study file in blocks of fresh worker processes and writes "
        "a run\ndirectory: manifest.json, journal.jsonl, tables and report. Ctrl-C finishes "
        "the call and leaves\na valid run; --resume --out-dir DIR goes on. --plan shows what "
        "would run and writes nothing.",
    .scope = IL_SCOPE_RUN,
    .least_words = 1,
    .most_words = 1,
    .run = run_study,
};
