/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Depth and width of the models of a run, for the tables that need them: from the manifest, else
 * RUN/<model>/config.json, else <model>/config.json below the working directory, else a suite.
 */
#ifndef IL_ANALYSIS_SHAPES_H
#define IL_ANALYSIS_SHAPES_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Numbers that are not known are NaN. */
typedef struct il_model_shape {
    char model[512];
    char source[1024]; /* a path, "manifest.json", or "suite NAME" */
    double n_layer, d_model, n_head, d_ff, vocab_size, n_positions;
} il_model_shape;

/* Looks a model up in the suites this program knows; false when none has it. */
typedef bool (*il_suite_lookup)(const char *model, il_model_shape *out);

typedef struct il_shapes {
    il_model_shape *items;
    size_t n;
} il_shapes;

/* Fills shapes for the n models named; those of unknown shape are left out. A manifest or
 * config.json that cannot be parsed is passed over with a warning: the tables go without. */
int il_shapes_find(const char *run_dir, const char *const *models, size_t n_models,
                   il_suite_lookup suites, il_shapes *out, il_error *err);
const il_model_shape *il_shapes_of(const il_shapes *shapes, const char *model);
void il_shapes_free(il_shapes *shapes);

#endif
