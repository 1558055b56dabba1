/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal's parity lines (docs/journal.md).
 */
#ifndef IL_ANALYSIS_JOURNAL_PARITY_H
#define IL_ANALYSIS_JOURNAL_PARITY_H

#include "analysis/journal_calls.h"

/* Keeps the line, in the place of an earlier one of the same backend and model. Lines without names
 * or verdict are left out. NOMEM. */
int il__journal_add_parity(il__journal *journal, const json_t *line, il_run_facts *facts,
                           il_error *err);

#endif
