/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rows and facts from journal.jsonl (docs/journal.md), and the files derived from it.
 */
#ifndef IL_ANALYSIS_ROWS_JOURNAL_H
#define IL_ANALYSIS_ROWS_JOURNAL_H

#include "analysis/facts.h"
#include "analysis/rows.h"

/* Reads RUN/journal.jsonl, makes three rows a planned call in plan order, adds them to rows and
 * writes metrics.csv, runs.jsonl, resolved_model_params.csv and load_ms.csv into out_dir (mostly
 * RUN itself), which also holds what memory cannot. A torn last line is dropped with a warning;
 * damage anywhere else is IL_E_DAMAGED with the line. */
int il_rows_from_journal(il_rows *rows, const char *run_dir, const char *out_dir,
                         il_run_facts *facts, il_error *err);

/* Only the derived files, without any analysis. */
int il_journal_export(const char *run_dir, il_error *err);

#endif
