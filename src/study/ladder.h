/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The ladder of memory_wall: along which axes it climbs, and by which steps.
 *
 *   ladder: [size, context, {batch: [1, 8, 64]}]
 *
 * size climbs the models of the study by the bytes they need; context and batch climb a model's
 * first cell, by the values given or by doubling.
 */
#ifndef IL_STUDY_LADDER_H
#define IL_STUDY_LADDER_H

#include "base/arena.h"
#include "inferlaw/error.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

typedef enum il_axis { IL_AXIS_SIZE, IL_AXIS_CONTEXT, IL_AXIS_BATCH, IL_AXIS_COUNT } il_axis;

typedef struct il_ladder_axis {
    il_axis axis;
    uint32_t *values; /* ascending; of context: tokens of a sequence; n 0: by doubling */
    size_t n;
} il_ladder_axis;

typedef struct il_ladder {
    il_ladder_axis axes[IL_AXIS_COUNT]; /* each at most once */
    size_t n;
} il_ladder;

const char *il_axis_name(il_axis axis); /* "size", "context", "batch" */
/* NULL is the ladder [size]. IL_E_USAGE says which element is wrong and what is legal. */
int il_ladder_read(const json_t *ladder, il_arena *arena, il_ladder *out, il_error *err);

#endif
