/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Models, cells and limits of a journal's plan line (docs/journal.md).
 */
#ifndef IL_ANALYSIS_JOURNAL_PLAN_H
#define IL_ANALYSIS_JOURNAL_PLAN_H

#include "analysis/facts.h"

#include <jansson.h>

/* Fills models, cells, limits. NOMEM. */
int il__journal_plan_facts(const json_t *plan, il_run_facts *facts, il_error *err);

#endif
