/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The verdict engine (docs/claims.md): selection of rows, the effect a claim speaks of with its
 * interval, the gates, the verdict. Shared among the claims_*.c files and their tests.
 */
#ifndef IL_ANALYSIS_CLAIMS_INTERNAL_H
#define IL_ANALYSIS_CLAIMS_INTERNAL_H

#include "analysis/replicates.h"
#include "analysis/vector.h"
#include "study/claims.h"

enum { IL__CLAIM_WORDS = 640, IL__LEAST_BLOCKS = 5, IL__LEAST_A_SIDE = 5 };

/* --- rows --------------------------------------------------------------------------------------
 */

typedef struct il__claim_value {
    double id, ln; /* replicate; natural log of its median, ms */
} il__claim_value;

typedef struct il__claim_cell {
    const il_cell *cell;
    size_t first, n; /* of its values, by id */
    double ln;       /* log of the median over its replicates */
    size_t group;    /* number of its model among the models of the rows */
} il__claim_cell;

/* The cells that a side selects, in the order of the run. */
typedef struct il__claim_rows {
    il__claim_cell *items;
    size_t n, n_models;
    il_vector values;
    bool summary; /* every cell holds one value: nothing was repeated, or it is not told */
    size_t n_calls, n_flagged;
} il__claim_rows;

int il__claim_rows_select(const il__run *run, const il_claim_side *side, il__claim_rows *out,
                          il_error *err);
void il__claim_rows_free(il__claim_rows *rows);
const il__claim_value *il__claim_values(const il__claim_rows *rows, const il__claim_cell *cell);
/* A size of the cell's model; parameters in millions. NaN unknown. */
double il__claim_x_of(const il__run *run, const il_cell *cell, il_claim_x x);

/* --- effects -----------------------------------------------------------------------------------
 */

/* Where the interval lies, seen from the claim. */
typedef enum il__claim_state {
    IL__UNDECIDED, /* none of the below */
    IL__PREDICTED, /* wholly beyond the margin in the predicted direction */
    IL__OPPOSITE,  /* wholly beyond it on the other side */
    IL__INSIDE,    /* wholly inside the margin where an effect is claimed (or the reverse) */
} il__claim_state;

typedef enum il__claim_scale {
    IL__SCALE_PLAIN,
    IL__SCALE_RATIO, /* the effect is a natural log */
    IL__SCALE_SHARE, /* the effect is a log of odds */
} il__claim_scale;

typedef struct il__effect {
    il__claim_scale scale;
    double estimate, low, high; /* 95 %; on the additive scale */
    double null, margin;        /* on the same scale */
    double se, dof;
    double p; /* two-sided p against the margin in the predicted direction; NaN: no test was made */
    il__claim_state state;
    size_t n_models, n_blocks; /* 0 models: not counted */
    char gate[32];             /* what keeps the data from deciding; "" nothing */
    char because[IL__CLAIM_WORDS];
    char decide[IL__CLAIM_WORDS]; /* the data that would decide it */
    char evidence[IL__CLAIM_WORDS];
    char fragile[128]; /* the block or model without which the effect does not stand; "" none */
} il__effect;

/* State, interval and p of an estimate with its standard error. Directions: greater and less hold
 * the 95 % interval against null ± margin, and its 90 % interval inside the margin is IL__INSIDE;
 * equal is IL__PREDICTED when the 90 % interval lies inside and IL__OPPOSITE when the 95 % one lies
 * wholly outside. se 0 is a point. */
void il__effect_judge(il__effect *e, il_claim_direction direction, double estimate, double se,
                      double dof);
/* An interval had in another way, with the one-sided p values against null ± margin. */
typedef struct il__bounds {
    double low, high, low90, high90;
    double p_above, p_below; /* that it is not beyond null + margin, null − margin */
    double p_inside_low,
        p_inside_high; /* that it is not above null − margin, below null + margin */
} il__bounds;
void il__effect_place(il__effect *e, il_claim_direction direction, const il__bounds *bounds);
/* Sets the gate unless one is set already: the first one met is the one told. */
void il__effect_gate(il__effect *e, const char *gate, const char *decide, const char *fmt, ...)
    IL_PRINTF(4, 5);

/* The effect of a claim: src/analysis/claims_ratio.c, claims_fit.c. IL_OK also when a gate shuts.
 */
int il__effect_ratio(const il__run *run, const il_claim *claim, il__effect *out, il_error *err);
int il__effect_fit(const il__run *run, const il_claim *claim, il__effect *out, il_error *err);

/* Gates that stand on the rows alone: blocks, flags, a roofline that was beaten. */
int il__effect_row_gates(const il__run *run, const il__claim_rows *rows, il__effect *e,
                         il_error *err);
/* Twice the A/A half-width over the backends and mode of the rows, as a fraction; NaN unknown. */
int il__claims_noise(const il__run *run, const il__claim_rows *rows, double *out, il_error *err);

/* --- verdicts ----------------------------------------------------------------------------------
 */

typedef enum il__verdict {
    IL__SUPPORTED,
    IL__CONTRADICTED,
    IL__NOT_IDENTIFIABLE,
    IL__ILL_POSED,
} il__verdict;

extern const char *const il__verdict_names[];

/* Whether the claim's own words contradict each other or compare unlike units; why in `because`. */
bool il__claim_ill_posed(const il_claim *claim, char *because, size_t because_bytes);
/* p_holm: e->p adjusted over the claims of the file. May fill e->gate, because and decide. */
il__verdict il__claim_verdict(const il_claim *claim, il__effect *e, double p_holm);

/* Calls each with the fields of the named columns ("" when the column is absent) of out_dir/name;
 * a file that is not there has no rows. */
typedef void (*il__row_fn)(const il_csv_field *fields, void *user);
int il__rows_each(const il__run *run, const char *name, const char *const *columns,
                  size_t n_columns, il__row_fn each, void *user, il_error *err);

#endif
