/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What medians.c and medians_read.c share: the calls of each cell and mode.
 */
#ifndef IL_REPORT_MEDIANS_INTERNAL_H
#define IL_REPORT_MEDIANS_INTERNAL_H

#include "report/medians.h"

typedef struct il__call {
    int64_t replicate;
    double ms;
} il__call;

typedef struct il__cell {
    const char *backend, *backend_kind, *model, *scenario, *mode;
    int64_t batch_size, gen_tokens;
    double params_millions, prompt_tok, decode_steps; /* decode_steps −1: calls differ */
    il__call *calls;
    size_t n_calls, cap;
    int64_t *ids; /* filled by il__medians_from_cells: one per replicate */
    double *medians;
    size_t n_replicates;
} il__cell;

typedef struct il__cells {
    il__cell *items;
    size_t n, cap;
    size_t *slots; /* open addressing over items; SIZE_MAX empty */
    size_t n_slots;
} il__cells;

int il__medians_from_cells(il__cells *cells, il_arena *arena, il_medians *out);

#endif
