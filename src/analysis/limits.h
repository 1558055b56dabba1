/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The limits of the models of one backend at one batch size: where each first gives way.
 */
#ifndef IL_ANALYSIS_LIMITS_H
#define IL_ANALYSIS_LIMITS_H

#include "analysis/floor.h"
#include "analysis/limit_curve.h"

#include "base/file.h"

enum { IL__MOST_LIMITS = 4 };

typedef struct il__family {
    const il_cell *const *cells; /* measured ones, of all modes and scenarios */
    size_t n;
    double memory_bytes; /* the threshold of memory; NaN unknown */
} il__family;

typedef struct il__limit {
    const char *name;     /* itl, ttft, tail, memory */
    double threshold;     /* ms; bytes */
    double at, low, high; /* ln of millions of parameters; INFINITY above all in reach; NaN: not
                             known */
    size_t n_models, n_blocks, order;
    const char *scenario;
    char note[256];
} il__limit;

/* Limits with a threshold and at least one model. out holds IL__MOST_LIMITS. */
int il__limits_find(const il__run *run, const il__family *family, il__limit *out, size_t *n,
                    il_error *err);
/* By backend, then batch size; cells of a family keep their order. */
void il__sort_families(const il_cell **cells, size_t n);
/* Parameters in millions; NaN unknown. */
double il__cell_millions(const il_cell *cell);
/* Steps that a decode's time divides by; NaN unknown. */
double il__cell_steps(const il__run *run, const il_cell *cell);

#endif
