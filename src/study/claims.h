/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A claims file: what somebody says of measured times, so that data can judge it (docs/claims.md).
 * YAML with one key, `claims`, a list of mappings read by the parameter table. Nothing here knows a
 * measurement.
 */
#ifndef IL_STUDY_CLAIMS_H
#define IL_STUDY_CLAIMS_H

#include "base/arena.h"
#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>

#define IL_CLAIM_TEST_MAP(X)                                                                       \
    X(ratio)                                                                                       \
    X(share)                                                                                       \
    X(exponent) X(coefficient) X(coefficient_ratio) X(rank) X(predicts) X(bend) X(crossover)
#define IL_CLAIM_DIRECTION_MAP(X) X(greater) X(less) X(equal) X(differs)
#define IL_CLAIM_OVER_MAP(X)      X(mean) X(every) X(any)
#define IL_CLAIM_X_MAP(X)                                                                          \
    X(params_total)                                                                                \
    X(params_non_embedding) X(params_active) X(bytes_read) X(flops) X(n_layer) X(d_model) X(n_head)

#define IL_CLAIM_ENUM(name)   IL_CLAIM_##name,
#define IL_CLAIM_X_ENUM(name) IL_CLAIM_X_##name,
typedef enum il_claim_test { IL_CLAIM_TEST_MAP(IL_CLAIM_ENUM) } il_claim_test;
typedef enum il_claim_direction { IL_CLAIM_DIRECTION_MAP(IL_CLAIM_ENUM) } il_claim_direction;
typedef enum il_claim_over { IL_CLAIM_OVER_MAP(IL_CLAIM_ENUM) } il_claim_over;
typedef enum il_claim_x {
    IL_CLAIM_X_MAP(IL_CLAIM_X_ENUM) IL_CLAIM_X_COUNT /* also: none */
} il_claim_x;
#undef IL_CLAIM_ENUM
#undef IL_CLAIM_X_ENUM

extern const char *const il_claim_test_names[];
extern const char *const il_claim_direction_names[];
extern const char *const il_claim_x_names[];

/* Patterns as of a shell (fnmatch); n 0 takes everything. */
typedef struct il_claim_globs {
    const char **texts;
    size_t n;
} il_claim_globs;

/* Rows by name and size; NULL, NaN and n 0 take everything. */
typedef struct il_claim_side {
    il_claim_globs backend, scenario, model;
    const char *mode;
    double batch_size, n_layer, d_model;
    double params_from, params_to; /* millions */
    bool warmup;                   /* the warm-up rows in place of the measured ones */
} il_claim_side;

/* What a claim's `versus` says differently; pairs agree in all the rest. */
typedef struct il_claim_differs {
    bool backend, scenario, model, mode, batch_size, rows;
} il_claim_differs;

/* A shape and the size that the claim's words give it. */
typedef struct il_claim_shape {
    double n_layer, d_model, params_millions;
} il_claim_shape;

typedef struct il_claim_number {
    const char *what, *unit; /* unit "" when not given */
    double value;
} il_claim_number;

typedef struct il_claim {
    const char *id, *statement;
    int line;
    bool has_test; /* false: only its words are checked */
    il_claim_test test;
    il_claim_direction direction;
    il_claim_over over;
    double than, margin; /* NaN: not given */
    il_claim_x x, minus, against;
    bool against_mean;
    double weight;
    il_claim_x terms[IL_CLAIM_X_COUNT];
    size_t n_terms; /* x, then minus where there is one, then the others */
    double at, from, to;
    const char *twin, *ill_posed, *decided_by; /* NULL: none */
    il_claim_side a, b;                        /* b: the whole side, what versus leaves filled in */
    bool has_versus;
    il_claim_differs differs;
    il_claim_shape *shapes;
    size_t n_shapes;
    il_claim_number *same;
    size_t n_same;
    double same_within;
} il_claim;

typedef struct il_claims {
    il_arena arena;
    il_claim *items; /* in the order of the file */
    size_t n;
} il_claims;

/* Errors carry file, line and column: PARSE of libyaml, USAGE for keys, values, claims that lack
 * what their test needs, doubled ids and twins that are not in the file. Free also after one. */
int il_claims_load(const char *path, il_claims *out, il_error *err);
int il_claims_parse(const char *text, size_t n_bytes, const char *origin, il_claims *out,
                    il_error *err);
void il_claims_free(il_claims *claims);

#endif
