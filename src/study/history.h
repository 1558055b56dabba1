/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the journal already holds of a plan: which calls, closures, arms and block facts are done,
 * so that a resumed run does the rest and nothing twice.
 */
#ifndef IL_STUDY_HISTORY_H
#define IL_STUDY_HISTORY_H

#include "study/journal.h"
#include "study/parity.h"
#include "study/plan.h"

typedef enum il_call_state {
    IL_CALL_MISSING,
    IL_CALL_OK,
    IL_CALL_FLAGGED,
    IL_CALL_SKIPPED,
    IL_CALL_ERROR, /* repeated by a resume */
} il_call_state;

/* A rung of the memory ladder that was climbed. */
typedef struct il_rung {
    uint32_t group;
    uint8_t axis; /* il_axis */
    bool failed;
    uint64_t x;
} il_rung;

/* Told of every measured call of the journal that is ok. */
typedef void (*il_history_observer)(void *user, uint32_t cell, uint32_t block, uint32_t rep,
                                    double prefill_ms, double decode_ms);

typedef struct il_history {
    il_plan *plan;
    il_arena arena;
    uint8_t *calls;  /* [n_calls] il_call_state */
    uint8_t *parity; /* [n_groups] il_parity_verdict */
    bool *closures;  /* [cell · blocks + block] */
    uint32_t *arms;  /* [(block · n_pairs + pair) · 2 + arm] calls of its last attempt */
    bool *sentinels, *ceilings; /* [blocks] */
    bool *colds;                /* [(group · 2 + warm) · cold_samples + sample] cold starts */
    uint32_t cold_samples;      /* of each state of the page cache, 0 = none wanted */
    bool *energies;             /* [group · energy_samples + sample] */
    uint32_t energy_samples;
    bool energy_unreadable; /* said before that there is no meter */
    il_rung *rungs;         /* of the memory ladder, as journalled */
    size_t n_rungs, cap_rungs;
    double *first_e2e_ms;   /* [cell · repetitions + rep] of block 0, NaN where there is none */
    uint32_t *pair_cell;    /* [n_pairs] as journalled, UINT32_MAX where not */
    uint32_t n_pairs;       /* the most a block can have */
    json_t *plan_line;      /* as written or read last, NULL in a new run */
    double started_at_unix; /* of the run: when it was begun, or of its first line on a resume */
    char run_id[64];
    il_journal_info info;
    il_history_observer observer;
    void *user;
} il_history;

/* Empty, for a new run. */
int il_history_init(il_history *h, il_plan *plan, uint32_t n_pairs, il_error *err);
/* Reads the journal and gives the plan the blocks it was extended by. observer may be NULL.
 * IL_E_USAGE when it is of another study. */
int il_history_read(il_history *h, const char *journal, il_history_observer observer, void *user,
                    il_error *err);
void il_history_free(il_history *h);
/* Counts of planned calls by their state. */
void il_history_count(const il_history *h, uint64_t counts[IL_CALL_ERROR + 1]);
/* Whether all calls of an arm are there. `at` as above. */
bool il_history_arm_done(const il_history *h, size_t at);
/* Whether a sample of the energy meters is in the journal. */
bool il_history_energy(const il_history *h, uint32_t group, uint32_t sample);
/* Whether a rung is in the journal, and how it ended. */
bool il_history_rung(const il_history *h, uint32_t group, uint8_t axis, uint64_t x, bool *failed);
/* Where a cold start stands in colds. */
size_t il_history_cold_at(const il_history *h, uint32_t group, bool warm, uint32_t sample);
/* True when call i of the cell and block still has to run. */
bool il_history_pending(const il_history *h, uint32_t cell, uint32_t block, uint32_t i);

#endif
