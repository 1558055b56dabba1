/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where the next block goes (docs/sampling.md): keeps the block medians of every cell and decides
 * by the statistics of stats/sampling.h. The driver asks it while a run goes on, sampling.csv by
 * the calls of a journal.
 */
#ifndef IL_ANALYSIS_SAMPLER_H
#define IL_ANALYSIS_SAMPLER_H

#include "study/sampler.h"

#include <stddef.h>

typedef struct il_sampler_cell {
    uint32_t group; /* cells that share a process */
    bool runs;      /* false: skipped, asks for nothing */
    char *name;     /* "native_fp32 gpt2-25m p128", for people; not owned */
} il_sampler_cell;

typedef struct il_sampler_group {
    uint32_t backend;  /* groups of one backend entry make a law */
    double size;       /* parameters in total; NaN or 0: in no law */
    double overhead_s; /* of one block besides its calls, expected */
    double calls;      /* of a cell in one block, for its time: warm-ups, measured, unsplit */
} il_sampler_group;

typedef struct il_sampler_setup {
    const char *question; /* "cells" or "laws" */
    double target;
    uint32_t n_cells, n_groups, n_backends;
    uint32_t blocks, repetitions; /* at most */
    double block_s;               /* of every block, whatever it holds, expected */
    const il_sampler_cell *cells;
    const il_sampler_group *groups;
    const char *const *backends; /* names */
} il_sampler_setup;

/* The lists of the setup must live as long as the sampler. IL_E_USAGE when the question is laws and
 * no backend has three models of different known sizes. */
int il_sampler_open(const il_sampler_setup *setup, il_sampler **out, il_error *err);

/* Half-width of the widest interval of the question by what was observed, and whether every one is
 * met; what next() decides by. */
int il_sampler_judge(il_sampler *sampler, uint32_t blocks, il_sampler_step *out, bool *met,
                     il_error *err);

#endif
