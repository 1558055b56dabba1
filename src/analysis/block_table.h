/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Cells side by side, block by block: what resampling over whole blocks needs. A block that lacks
 * one of the cells is left out, so that all cells of a draw saw the same moments of the machine.
 */
#ifndef IL_ANALYSIS_BLOCK_TABLE_H
#define IL_ANALYSIS_BLOCK_TABLE_H

#include "analysis/replicates.h"
#include "stats/stream.h"

/* More replicates than these are taken together in order, so many to a batch, each batch its
 * median: time and memory of resampling do not grow with the rows. */
enum { IL__MOST_BATCHES = 100, IL__LEAST_BLOCKS = 6 };

typedef struct il__block_table {
    size_t n_series, n_blocks;
    double *logs;  /* [series][block], natural logarithm of the quantity over its divisor */
    bool by_block; /* replicates are blocks; else calls, which pair nothing */
} il__block_table;

typedef struct il__series {
    const il_cell *cell;
    il_quantity quantity;
    double divisor; /* steps of a decode; 1 */
} il__series;

/* Ready for il__block_table_free in every case. Series without a common block: n_blocks 0. */
int il__block_table_build(const il__run *run, const il__series *series, size_t n,
                          il__block_table *out, il_error *err);
void il__block_table_free(il__block_table *table);

/* Median over blocks of each series, into out[n_series]. With a stream: over as many blocks drawn
 * with replacement, the same for all series. scratch holds 2·n_blocks. */
void il__block_medians(const il__block_table *table, il_stream *stream, double *scratch,
                       double *out);

/* How many of the sorted results of n_resamples lie beyond each end of a 95 % interval. Resampled
 * blocks scatter by √((n − 1)/n) too little, so the ends are taken at Φ(−1.96·√(n/(n − 1)))
 * (Hesterberg 2015, section 3.2). */
size_t il__resample_tail(size_t n_resamples, size_t n_blocks);

#endif
