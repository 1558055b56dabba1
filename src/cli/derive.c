/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What follows a run: tables, plots, report and the summary on stdout, all from its artifacts.
 */
#include "cli/study_run.h"

#include "analysis/analysis.h"
#include "base/log.h"
#include "report/plots.h"
#include "report/report.h"
#include "report/summary.h"

#include <stdio.h>

enum { RESAMPLES = 1000, DEFAULT_SEED = 42 };

/* A gnuplot that fails costs the pictures, not the report. */
static int draw(int rc, il_error *err)
{
    if (rc == IL_E_CRASHED || rc == IL_E_TIMEOUT) {
        il_log_error(err);
        return IL_OK;
    }
    return rc;
}

static int print_json(const il_study_run *run)
{
    const il_driver_result *r = &run->result;
    json_t *out = json_pack("{s:s,s:{s:I,s:I,s:I,s:I,s:I}}", "run_dir", run->dir, "calls", "ok",
                            (json_int_t)r->ok, "error", (json_int_t)r->error, "skipped",
                            (json_int_t)r->skipped, "flagged", (json_int_t)r->flagged, "not_run",
                            (json_int_t)r->not_run);
    int failed = !out || json_dumpf(out, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF;
    json_decref(out);
    return failed ? IL_E_IO : IL_OK;
}

int il_study_run_derive(const il_study_run *run, const il_param_set *flags, bool print,
                        il_error *err)
{
    il_analysis_options options = {.n_resamples = RESAMPLES, .seed = DEFAULT_SEED};
    il_analysis_summary summary;
    if (il_param_is_set(flags, IL_P_SEED)) {
        options.seed = (uint64_t)il_param_i64(flags, IL_P_SEED);
    }
    int rc = IL_OK;
    if (!il_param_flag(flags, IL_P_NO_ANALYSIS)) {
        rc = il_analysis_run(run->dir, &options, &summary, err);
        if (rc == IL_OK && run->result.ok > 0 && il_param_flag(flags, IL_P_PLOTS)) {
            rc = draw(il_plots_write(run->dir, err), err);
        }
        if (rc == IL_OK && run->result.ok > 0) {
            rc = il_report_write(run->dir, err);
        }
    }
    if (rc == IL_OK && print && il_param_flag(flags, IL_P_JSON)) {
        rc = print_json(run);
    } else if (rc == IL_OK && print && run->result.ok > 0 &&
               !il_param_flag(flags, IL_P_NO_ANALYSIS)) {
        rc = il_summary_print(run->dir, stdout, err);
    }
    return rc;
}

int il_study_sweep_derive(const char *dir, const il_param_set *flags, il_error *err)
{
    if (il_param_flag(flags, IL_P_NO_ANALYSIS)) {
        return IL_OK;
    }
    int rc = il_analysis_combine_sweep(dir, err);
    if (rc == IL_OK && il_param_flag(flags, IL_P_PLOTS)) {
        rc = draw(il_plots_write_sweep(dir, err), err);
    }
    if (rc == IL_OK) {
        il_log(IL_LOG_INFO, "tables of the whole sweep: %s", dir);
    }
    return rc;
}
