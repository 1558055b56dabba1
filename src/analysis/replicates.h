/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Our own tables stand on replicates: the block median of a cell, or each repetition where a run
 * has no blocks. Warm-up rows and rows that stopped early stay out.
 */
#ifndef IL_ANALYSIS_REPLICATES_H
#define IL_ANALYSIS_REPLICATES_H

#include "analysis/tables.h"

typedef struct il__replicate {
    double id;         /* block or repetition */
    double median;     /* of its latencies, ms */
    double inside_var; /* variance of log10 of that median from inside the block; 0 for one call */
} il__replicate;

/* Replicates of a cell, by id. out must hold cell->n_measured of them. without_flagged leaves out
 * rows with flag words. Returns how many; 0 also when memory is out (then err is set). */
int il__replicates_of(const il__run *run, const il_cell *cell, bool without_flagged,
                      il__replicate *out, size_t *n, il_error *err);
/* The same of another quantity than the latency. */
int il__replicates_by(const il__run *run, const il_cell *cell, il_quantity quantity,
                      bool without_flagged, il__replicate *out, size_t *n, il_error *err);
/* What a replicate renewed: the column, "block" where blocks do not say, "call" without blocks. */
const char *il__replication(const il__run *run, const il_cell *cell);

/* More replicates than this are taken together in order, so many to a batch, each batch its median,
 * for what resamples or sorts them again and again: its time and memory do not grow with the rows.
 */
enum { IL__MOST_REPLICATES = 256 };
/* In place; ids become numbers of batches when any are formed. Returns how many are left. */
size_t il__replicates_pool(il__replicate *replicates, size_t n);

#endif
