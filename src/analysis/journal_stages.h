/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a journal holds of the stages beside the blocks: staged cold starts, rungs of the memory
 * ladder, samples of the energy meters.
 */
#ifndef IL_ANALYSIS_JOURNAL_STAGES_H
#define IL_ANALYSIS_JOURNAL_STAGES_H

#include "analysis/facts.h"

#include <jansson.h>

/* Each takes a line of its kind into the facts; lines that name no cell of the plan are passed
 * over. at: place in the journal. */
int il__stage_cold(il_run_facts *f, const json_t *line, size_t n_cells, uint64_t at,
                   const char *scratch_dir, il_error *err);
int il__stage_memory(il_run_facts *f, const json_t *line, size_t n_cells, uint64_t at,
                     const char *scratch_dir, il_error *err);
int il__stage_energy(il_run_facts *f, const json_t *line, size_t n_cells, uint64_t at,
                     const char *scratch_dir, il_error *err);
/* Sorts all three, and drops what was replaced later. */
void il__stages_finish(il_run_facts *f);

#endif
