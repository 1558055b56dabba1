/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The backends of a plan and what tells them apart.
 */
#ifndef IL_ANALYSIS_JOURNAL_BACKENDS_H
#define IL_ANALYSIS_JOURNAL_BACKENDS_H

#include "analysis/facts.h"

#include <jansson.h>

/* NOMEM; what was read is freed with the facts. */
int il__backends_read(const json_t *plan, il_run_facts *facts, il_error *err);

#endif
