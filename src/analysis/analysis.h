/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a run directory to its tables. Reads RUN/journal.jsonl where there is one, else a foreign
 * RUN/metrics.csv; writes the tables of RUN/analysis, replacing the directory in one rename, and
 * for a journal the derived RUN/metrics.csv, runs.jsonl, resolved_model_params.csv and load_ms.csv.
 * analysis/analysis.json says by which program and options the tables were made, so that
 * "inferlaw verify" can make them again.
 */
#ifndef IL_ANALYSIS_ANALYSIS_H
#define IL_ANALYSIS_ANALYSIS_H

#include "analysis/shapes.h"
#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_analysis_options {
    bool include_warmup; /* in the tables of the original study */
    size_t n_resamples;  /* of those tables; 1,000 in the original */
    uint64_t seed;
    il_suite_lookup suites; /* NULL: no suites */
    /* Where all that is written goes, and what memory cannot hold; NULL: the run directory. */
    const char *out_dir;
} il_analysis_options;

typedef struct il_analysis_summary {
    bool foreign; /* no journal: a metrics.csv alone */
    size_t n_rows, n_ok, n_cells;
} il_analysis_summary;

/* IL_E_NOT_FOUND, with the next step, when run_dir is no directory. */
int il_analysis_check_dir(const char *run_dir, il_error *err);
/* IL_E_NOT_FOUND: neither journal nor metrics.csv. IL_E_DAMAGED: one that cannot be trusted, with
 * the place. On failure analysis/ is as it was. */
int il_analysis_run(const char *run_dir, const il_analysis_options *options,
                    il_analysis_summary *out, il_error *err);

/* The rows and facts of a run, without any table; what is derived goes to out_dir. *foreign: there
 * is a metrics.csv alone. Errors as il_analysis_run. */
struct il_rows;
struct il_run_facts;
int il_analysis_load(const char *run_dir, const char *out_dir, struct il_rows *rows,
                     struct il_run_facts *facts, bool *foreign, il_error *err);

/* Removes a directory with all that is in it; what is not there is fine. */
void il_analysis_remove_tree(const char *path);

/* The combined tables of a sweep directory from gen_N/<run>/analysis: decode_sweep_summary.csv,
 * decode_fraction_by_model.csv, decode_fraction_summary.csv. A run without tables is passed over
 * with a warning; none at all is IL_E_NOT_FOUND. */
int il_analysis_combine_sweep(const char *sweep_dir, il_error *err);

#endif
