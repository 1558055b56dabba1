/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal's cache_probe lines (docs/journal.md).
 */
#ifndef IL_ANALYSIS_JOURNAL_PROBE_H
#define IL_ANALYSIS_JOURNAL_PROBE_H

#include "analysis/journal_calls.h"

/* Keeps the line, in the place of an earlier one of the same cell and block. Lines of cells outside
 * the plan are left out. NOMEM. */
int il__journal_add_probe(il__journal *journal, const json_t *line, il_run_facts *facts,
                          il_error *err);

#endif
