/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A recorded journal (docs/journal.md) as answers: the calls of each cell, in call_idx order, the
 * last line of a call_idx standing for it. Used by the replay backend alone.
 */
#ifndef IL_BACKEND_RECORDING_H
#define IL_BACKEND_RECORDING_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il__recorded_cell {
    const char *backend, *model, *prompt; /* prompt NULL for prompts of ids */
    uint32_t batch, gen_tokens, seq_len;
    const json_t *skip;         /* object or NULL */
    json_t **calls, **closures; /* lines of kind call or failure; of kind closure */
    size_t n_calls, n_closures;
    size_t next_call, next_closure;
} il__recorded_cell;

typedef struct il__recording {
    json_t *plan;  /* the last plan line; the cells' texts belong to it */
    json_t *lines; /* array of every line that a cell points to */
    il__recorded_cell *cells;
    size_t n_cells;
} il__recording;

/* Reads the journal. A torn last line is left out; any other damage is IL_E_DAMAGED with the line's
 * number. */
int il__recording_open(const char *path, il__recording *out, il_error *err);
void il__recording_free(il__recording *recording); /* fine on a zeroed one */

#endif
