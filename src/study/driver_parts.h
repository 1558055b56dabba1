/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shared among the driver's files: the state of a run under way.
 */
#ifndef IL_STUDY_DRIVER_PARTS_H
#define IL_STUDY_DRIVER_PARTS_H

#include "os/ceiling.h"
#include "os/machine.h"
#include "os/sentinel.h"
#include "study/driver.h"
#include "study/history.h"
#include "study/journal.h"

enum { IL__NO_GROUP = UINT32_MAX, IL__PICKS_PER_BACKEND = 3 };

/* What a planned call's line says before its results. */
typedef struct il__slot {
    uint32_t cell, block, i; /* i-th call of the cell in the block */
} il__slot;

typedef struct il__driver {
    il_plan *plan;
    const il_driver_options *options;
    il_arena arena;
    il_rundir dir;
    il_journal *journal;
    il_history history;
    il_machine machine;
    il_sentinel sentinel;
    bool sentinel_open;

    uint32_t loaded;  /* group whose model is loaded, or IL__NO_GROUP */
    double load_ms;   /* of that load until a call line carried it, else NaN */
    int64_t *stamps;  /* storage for t_step_ns */
    int32_t *ids;     /* storage for prompts */
    uint32_t *order;  /* storage for the items of a block */
    uint32_t *cells;  /* storage for the cells of a group */
    json_t *runtimes; /* facts by backend */

    uint32_t n_pairs; /* A/A pairs of a block */
    uint32_t *pair_cell;

    int64_t started_ns;
    double started_at_unix;
    int64_t measuring_ns;    /* the pilot is over */
    double budget_s;         /* 0 = none */
    int64_t block_ns;        /* the block in progress began */
    uint32_t blocks_run;     /* by this process */
    double work_ms, done_ms; /* estimated work of the run, and how much of it is done */
    bool stopped;            /* by a signal or the budget */
    il_driver_result *result;
} il__driver;

/* True when no further call may begin. */
bool il__driver_stopping(il__driver *d);
void il__driver_tick(il__driver *d, uint32_t block, const char *what, double done_ms);
void il__driver_say(const il__driver *d, const char *fmt, ...) IL_PRINTF(2, 3);

/* driver_pairs.c */
/* Moves the other side of each pair of groups behind the side that comes first. order holds groups
 * and arms in random order. */
void il__driver_pair_up(const il_plan *plan, uint32_t *order, uint32_t n);

/* driver_sampling.c */
/* Tells the sampler of a measured call; does nothing without one. */
void il__driver_observe(il__driver *d, uint32_t cell, uint32_t block, uint32_t rep,
                        double prefill_ms, double decode_ms);
/* After `block` blocks: plans and journals another one, or why there is none. *more says which. */
int il__driver_extend(il__driver *d, uint32_t block, bool *more, il_error *err);
/* The plan line, when it differs from the last one. */
int il__driver_write_plan(il__driver *d, il_error *err);

/* driver_call.c */
int il__driver_load(il__driver *d, uint32_t group, uint32_t block, il_error *load_error,
                    il_error *err);
/* The same without its journal line, which is the caller's affair: *load is filled when *load_error
 * is IL_OK, and its references are the caller's. */
void il__driver_start(il__driver *d, uint32_t group, il_load_result *load, il_error *load_error);
/* The line's keys of a load. NULL when memory is out. */
json_t *il__driver_load_json(const il__driver *d, uint32_t group, uint32_t block,
                             const il_load_result *load);
void il__driver_unload(il__driver *d);
int il__driver_prepare(il__driver *d, uint32_t cell, il_call_request *request, il_error *err);
/* Runs one call between two readings of the machine's state. Returns the call's code. */
int il__driver_call(il__driver *d, uint32_t cell, const il_call_request *request,
                    il_call_result *result, json_t **state, json_t **flags, il_error *call_error);
int il__driver_write_failure(il__driver *d, const il__slot *slot, const char *status,
                             const il_error *why, json_t *state, il_error *err);
int il__driver_group(il__driver *d, uint32_t group, uint32_t block, il_error *err);

/* driver_aa.c */
int il__driver_pick_pairs(il__driver *d, il_error *err);
int il__driver_arm(il__driver *d, uint32_t block, uint32_t pair, uint32_t arm, il_error *err);

/* driver_cold.c */
/* The cold starts of this block that are not in the journal yet. */
int il__driver_colds(il__driver *d, uint32_t block, il_error *err);
bool il__driver_colds_done(const il__driver *d, uint32_t block);

/* driver_memory.c */
/* The ladder of memory_wall, where the study wants one: the rungs that are not in the journal. */
int il__driver_memory(il__driver *d, il_error *err);

/* driver_machine.c */
int il__driver_block_facts(il__driver *d, uint32_t block, il_error *err);
/* The smallest effect the run may call, by the spread of some samples of fixed work; NaN = unknown.
 */
double il__driver_pilot_percent(il__driver *d);

/* manifest.c */
int il__manifest_write(const il__driver *d, bool finished, il_error *err);

#endif
