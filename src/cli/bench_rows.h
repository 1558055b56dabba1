/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of `inferlaw bench`, read from the journal of its run.
 */
#ifndef IL_CLI_BENCH_ROWS_H
#define IL_CLI_BENCH_ROWS_H

#include "stats/order.h"
#include "study/plan.h"

typedef struct il_bench_row {
    const il_cell *cell;
    bool decode;       /* one decode step; else the prefill */
    size_t n;          /* blocks that worked */
    il_interval ms;    /* median and exact 95 % interval over blocks; ends NaN when too few */
    il_interval share; /* of the floor, within blocks; NaN where no ceiling is known */
} il_bench_row;

/* Two rows a cell that ran, in plan order; rows live in the arena. */
int il_bench_rows(const il_plan *plan, const char *journal, il_arena *arena, il_bench_row **rows,
                  size_t *n_rows, il_error *err);

#endif
