/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rungs of the memory ladder as the journal tells them. Bytes and ms; NaN: not measured.
 */
#ifndef IL_ANALYSIS_MEMORY_DATA_H
#define IL_ANALYSIS_MEMORY_DATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum il_rung_axis { IL_RUNG_SIZE, IL_RUNG_CONTEXT, IL_RUNG_BATCH } il_rung_axis;

typedef struct il_memory_rung {
    uint32_t cell;
    il_rung_axis axis;
    uint64_t at; /* place in the journal */
    double x, batch, context_tok;
    bool failed;
    double predicted, weights, kv_per_token; /* by the shape */
    double rss_load, rss_peak, pss, gpu_peak, limit;
    double prefill_ms, step_ms; /* of the last call; the median of its steps */
    double faults_per_pass;     /* major faults of that call over its passes */
    char reason[16], limit_by[16];
} il_memory_rung;

extern const char *const il_rung_axis_names[];

/* False when the line is no rung. */
bool il__memory_read(const json_t *line, uint64_t at, il_memory_rung *out);
/* By axis, cell and x, what was replaced later left out; returns how many stay. Rungs of size keep
 * the order of x over all cells. */
size_t il__memory_sort(il_memory_rung *rungs, size_t n);

/* A climb: rungs of one axis and cell, of size: of one backend (by_backend tells cells' ones). */
typedef struct il_memory_climb {
    const il_memory_rung *last_ok, *first_failed; /* NULL none */
    const il_memory_rung *paging, *before_paging; /* first rung that read pages back, and its
                                                     predecessor; NULL none */
    size_t n_ok, n_failed;
} il_memory_climb;

/* Takes one more rung of the climb, in order of x. */
void il__memory_climb_add(il_memory_climb *climb, const il_memory_rung *rung);

#endif
