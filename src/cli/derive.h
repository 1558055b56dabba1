/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a run directory's journal to its tables, plots and report: the steps that run, sweep,
 * analyze and report share.
 */
#ifndef IL_CLI_DERIVE_H
#define IL_CLI_DERIVE_H

#include "analysis/analysis.h"
#include "param/param.h"

#include <stdio.h>

/* metrics.csv and analysis/ of the run directory, by the flags that are set (include_warmup,
 * bootstrap, seed). Errors as il_analysis_run. */
int il_derive_tables(const char *run_dir, const il_param_set *flags, il_analysis_summary *out,
                     il_error *err);

/* A model's shape by its name in a suite: il_suite_lookup of the analysis. */
bool il_derive_suites(const char *model, il_model_shape *out);

/* Plots where gnuplot is here. A gnuplot that fails costs the pictures, not the run: the error is
 * logged and IL_OK returned. */
int il_derive_plots(const char *run_dir, il_error *err);

/* Plots (as above) where asked for, report.md and report.html, and the summary on `to` unless NULL.
 */
int il_derive_report(const char *run_dir, bool plots, FILE *to, il_error *err);
/* The same in these formats alone (IL_REPORT_MD, IL_REPORT_HTML). */
int il_derive_report_as(const char *run_dir, bool plots, unsigned formats, FILE *to, il_error *err);

/* Everything after the journal: tables, then (ok rows and flags permitting) plots, report and the
 * summary on stdout; with --json the summary by model is stdout's one JSON document instead. */
int il_derive_run(const char *run_dir, const il_param_set *flags, il_error *err);

/* As il_derive_run, but for one run of several: stdout is left alone. */
int il_derive_one(const char *run_dir, const il_param_set *flags, il_error *err);

/* The combined tables and plot of a sweep directory; on stdout the share of decode by length. */
int il_derive_sweep(const char *sweep_dir, const il_param_set *flags, il_error *err);

/* RUN/name on stdout as JSON. */
int il_derive_print_json(const char *run_dir, const char *name, il_error *err);

/* A CSV file as a JSON array of objects, numbers as numbers, empty fields as null. The caller owns
 * *out, also after a failure. */
int il_derive_csv_json(const char *path, json_t **out, il_error *err);

#endif
