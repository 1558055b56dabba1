/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The points of a law: one model each, latency over the scenarios that every model ran, with its
 * replicates.
 */
#ifndef IL_ANALYSIS_LAW_DATA_H
#define IL_ANALYSIS_LAW_DATA_H

#include "analysis/replicates.h"

/* Parameters in millions; bytes_read of one step for kv_decode; flops of the row's mode. */
#define IL__LAW_X_MAP(X)                                                                           \
    X(params_total)                                                                                \
    X(params_non_embedding) X(n_layer) X(bytes_read) X(params_active) X(flops) X(d_model)

typedef enum il__law_x {
#define IL__LAW_X_ENUM(name) IL__X_##name,
    IL__LAW_X_MAP(IL__LAW_X_ENUM)
#undef IL__LAW_X_ENUM
        IL__X_COUNT
} il__law_x;

extern const char *const il__law_x_names[IL__X_COUNT];

typedef struct il__law_model {
    const char *name;
    double x[IL__X_COUNT]; /* NaN unknown */
    double n_head;         /* NaN unknown */
    double passes; /* forward passes of a row: 1, decode steps, or both; 1 where not known */
    bool passes_known;
    double floor_ms;     /* geometric mean over scenarios; NaN unknown */
    double floor_memory; /* share of it in operations that memory bounds, mean over scenarios */
    double read_gbps;    /* of the tier that its floor reads from, geometric mean; NaN unknown */
    double working_set_bytes; /* of a decode step, the same */
    double y;               /* log10 of the geometric mean over scenarios of median latencies, ms */
    double y_unflagged;     /* the same without rows that carry flags; NaN when none is left */
    size_t first, n_blocks; /* of its values */
    double inside_var;
} il__law_model;

typedef struct il__law_data {
    const il__aggregate *key; /* backend, batch size and mode are common to all */
    il__law_model *models;
    size_t n_models;
    double *values; /* log10 block values, shifted so that their median is y */
    size_t n_values;
    const char *replication;
    size_t n_flagged;
    char missing[512]; /* "model a lacks scenario s; …", empty when every model ran them all */
} il__law_data;

/* From `count` aggregates of one backend, batch size and mode. Models that lack a scenario of the
 * others are left out and named in missing. */
int il__law_data_build(const il__run *run, const il__aggregates *all, size_t from, size_t count,
                       il__law_data *out, il_error *err);
void il__law_data_free(il__law_data *data);

#endif
