/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Cold starts as the journal tells them: the stages of each sample, and what follows from its own
 * calls. Times in ms; NaN: not measured.
 */
#ifndef IL_ANALYSIS_COLD_DATA_H
#define IL_ANALYSIS_COLD_DATA_H

#include "analysis/vector.h"
#include "stats/order.h"

#include <jansson.h>

enum { IL_COLD_MOST_STAGES = 32, IL_COLD_NAME_BYTES = 24 };

typedef struct il_cold_stage {
    char name[IL_COLD_NAME_BYTES];
    double ms, major_faults;
} il_cold_stage;

typedef enum il_cold_status { IL_COLD_OK, IL_COLD_FLAGGED, IL_COLD_ERROR } il_cold_status;

typedef struct il_cold_start {
    uint32_t cell, sample; /* of the plan */
    bool warm;             /* the page cache held the files */
    il_cold_status status;
    uint64_t at; /* place in the journal */
    double file_bytes, resident_before;
    uint32_t n_stages, n_calls;
    il_cold_stage stages[IL_COLD_MOST_STAGES]; /* in the order they happen */
    /* By the sample's own later half of calls: what a call and its prefill take when all is warm.
     */
    double steady_ms, steady_prefill_ms;
    double first_token_ms;  /* from the start of the process (or the load) to the first token */
    double total_ms;        /* to the end of the first call */
    double cost_ms;         /* total less a steady call: what the cold start adds to a request */
    double calls_to_steady; /* the first call within 5 % of steady; infinite: none is */
} il_cold_start;

/* Stages that come after those the worker told, in this order. */
#define IL_COLD_LOAD        "load"
#define IL_COLD_FIRST_TOKEN "to_first_token"
#define IL_COLD_TOTAL       "total"
#define IL_COLD_COST        "cold_cost"
#define IL_COLD_STEADY      "steady_call"

/* Reads one staged line of kind cold; false when it is an ordinary load. */
bool il__cold_read(const json_t *line, uint64_t at, il_cold_start *out);

/* Samples of one cell and state of the page cache. */
typedef struct il_cold_group {
    const il_cold_start *starts; /* sorted by sample */
    size_t n;
    size_t n_ok, n_flagged, n_failed;
} il_cold_group;

/* Sorts by cell, state and sample, and drops what a later line of the same sample replaced;
 * returns how many stay. */
size_t il__cold_sort(il_cold_start *starts, size_t n);
/* The group that begins at `from`; go on at from + group.n. */
il_cold_group il__cold_group_at(const il_cold_start *starts, size_t n, size_t from);

/* A number of a sample, NaN: not measured. */
typedef double il_cold_number(const il_cold_start *start, const void *context);
double il__cold_stage_ms(const il_cold_start *start, const void *name);
double il__cold_cost(const il_cold_start *start, const void *unused);
/* cost / (5 % of steady): requests over which the cold start is 5 % of the time. */
double il__cold_requests(const il_cold_start *start, const void *unused);

/* Median over the ok samples with its exact 95 % interval (ends NaN below six); *n how many have
 * the number. */
il_interval il__cold_interval(const il_cold_group *group, il_cold_number *number,
                              const void *context, size_t *n);

#define IL_COLD_SHARE 0.05 /* a cold start is made good when it is at most this share */

#endif
