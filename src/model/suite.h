/* SPDX-License-Identifier: Apache-2.0
 *
 * Suites: named lists of shapes, one JSON file each below suites/:
 *   {"name": S, "source": text, "models": [{"name": N, "config": a Hugging Face config.json}]}
 *
 * A selector picks from one:
 *   pythia            all of it
 *   pythia<=1b        sizes within a limit: <=, <, >=, >, several of them if need be
 *   tr121/gpt2-25m    one model
 * The size compared is the one in the model's name where it has one (pythia-1b is 1b, olmoe-1b-7b
 * 7b), else the counted parameters; limits take k, m, b, t.
 */
#ifndef IL_MODEL_SUITE_H
#define IL_MODEL_SUITE_H

#include "base/arena.h"
#include "inferlaw/error.h"
#include "model/shape.h"

#include <stddef.h>

typedef struct il_suite {
    const char *name;
    const char *source;
    il_shape *shapes; /* each with its name; in the file's order */
    size_t n_shapes;
} il_suite;

/* Names of all suites, sorted. Everything returned here lives in the arena. */
int il_suite_list(il_arena *arena, const char ***names, size_t *n_names, il_error *err);
/* IL_E_NOT_FOUND with the nearest name; IL_E_INVALID for a file that is no suite. */
int il_suite_load(const char *name, il_arena *arena, il_suite *out, il_error *err);
/* The part of a suite a selector names, never empty: a selector that fits no model is
 * IL_E_NOT_FOUND. */
int il_suite_select(const char *selector, il_arena *arena, il_suite *out, il_error *err);
/* The size people mean: from the name, else counted parameters. */
double il_suite_size(const il_shape *shape);

#endif
