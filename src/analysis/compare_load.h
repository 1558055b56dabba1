/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One side of a comparison as loaded: its cells by key, their replicates, its A/A arms.
 */
#ifndef IL_ANALYSIS_COMPARE_LOAD_H
#define IL_ANALYSIS_COMPARE_LOAD_H

#include "analysis/compare.h"
#include "analysis/replicates.h"

/* A cell of a side under the name that it is compared by. */
typedef struct il__compare_cell {
    const char *backend; /* without the side's suffix */
    const char *name;    /* of the entry in the run */
    const char *model, *scenario, *mode;
    double batch_size, params;
    size_t cell;
} il__compare_cell;

typedef struct il__compare_run {
    char scratch[512]; /* "" when there is none */
    il_rows *rows;
    il_run_facts facts;
    il__run run;
    bool foreign;
} il__compare_run;

typedef struct il__compare_side {
    il__compare_run *run;
    il__compare_cell *cells; /* sorted by key */
    size_t n;
} il__compare_side;

int il__compare_open(const char *run_dir, il__compare_run *out, il_error *err);
void il__compare_close(il__compare_run *run);

/* The cells whose backend ends in suffix ("" all), sorted. */
int il__compare_cells(il__compare_run *run, const char *suffix, il_arena *arena,
                      il__compare_side *out, il_error *err);
/* Order of keys: backend, model, scenario, mode, batch size. */
int il__compare_key(const il__compare_cell *a, const il__compare_cell *b);

/* Replicates of n cells of one key, by id, in out->data; the caller frees *out. */
int il__compare_replicates(const il__compare_side *side, const il__compare_cell *cells, size_t n,
                           il_scratch *out, size_t *n_out, il_error *err);

/* Half-width of the A/A ratio of the cell's own arms, a fraction; NaN without arms. */
int il__compare_arms(const il__compare_side *side, const il__compare_cell *cell, double *out,
                     il_error *err);
/* How far the sentinel moved from run a to run b, a fraction; 0 when not beyond its own noise or
 * not measured. */
int il__compare_sentinel(const il__compare_run *a, const il__compare_run *b, double *out,
                         il_error *err);

#endif
