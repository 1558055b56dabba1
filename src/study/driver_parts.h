/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shared among the driver's files: the state of a run under way.
 */
#ifndef IL_STUDY_DRIVER_PARTS_H
#define IL_STUDY_DRIVER_PARTS_H

#include "base/buf.h"
#include "os/ceiling.h"
#include "os/machine.h"
#include "os/sentinel.h"
#include "study/driver.h"
#include "study/history.h"
#include "study/journal.h"
#include "study/parity.h"

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

    uint32_t loaded;                    /* group whose model is loaded, or IL__NO_GROUP */
    double load_ms;                     /* of that load until a call line carried it, else NaN */
    int64_t *stamps;                    /* storage for t_step_ns */
    uint32_t *stamp_tok;                /* storage for stamp_tok */
    int32_t *ids;                       /* storage for prompts */
    il_buf text;                        /* storage for the text of one */
    struct il__server_prompts *prompts; /* of the server at hand, NULL until one is called */
    int64_t salt;                       /* of the last server call's prompt, −1 = none */
    uint32_t *order;                    /* storage for the items of a block */
    uint32_t *cells;                    /* storage for the cells of a group */
    json_t *runtimes;                   /* facts by backend */

    bool parity_on;
    char parity_dir[512]; /* scratch of the parity gate, "" while there is none */

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

/* driver_parity.c */
/* Asks the group's backend the probe, unless its verdict is known or it is not the moment: a server
 * is asked when it is loaded, everything else before. The code is about the journal alone. */
int il__driver_parity(il__driver *d, uint32_t group, uint32_t block, il_error *err);
/* What the verdict says of a call that went well. */
void il__driver_parity_mark(const il__driver *d, uint32_t group, il_call_result *result,
                            json_t *flags);
void il__driver_parity_close(il__driver *d);

/* driver_reference.c */
/* Whether the fp32 reference can read and hold the model: path is what it reads. */
int il__reference_supports(il__driver *d, const il_backend_model *model, il_error *err);
/* Its logits, [n_ids][*columns], malloc'd; from the scratch directory where they are there. */
int il__reference_rows(il__driver *d, const il_backend_model *model, const char *isa,
                       const int32_t *ids, uint32_t n_ids, float **rows, uint32_t *columns,
                       il_error *err);
/* A file of float32 rows, malloc'd. */
int il__logits_read(const char *path, uint32_t n_rows, float **rows, uint32_t *columns,
                    il_error *err);
/* The path of a file in the gate's scratch directory. */
int il__parity_scratch(il__driver *d, const char *name, char *out, size_t out_bytes, il_error *err);

/* driver_call.c */
uint32_t il__driver_group_backend(const il__driver *d, uint32_t group, uint32_t *model);
/* Tells a signal handler which process to end. */
void il__driver_note_pid(il__driver *d, pid_t pid);
pid_t il__driver_loaded_pid(const il__driver *d); /* 0: none */
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

int il__driver_write_call(il__driver *d, const il__slot *slot, const il_call_request *request,
                          const il_call_result *r, double started_unix, json_t *state,
                          json_t *flags, il_error *err);

/* driver_server.c */
typedef struct il__server_prompts il__server_prompts;
bool il__driver_is_server(const il__driver *d, uint32_t cell);
void il__server_prompts_free(il__server_prompts *prompts); /* NULL is fine */
/* A prompt that no call had before, into ids (batch × seq_len) and text; a text scenario's stays as
 * it is. Sets d->salt. */
/* The parity probe of a server: ids that text keeps apart, that text, and the id that a runtime may
 * put before any text (-1: none). Without a vocabulary at hand ids are left as they are and the
 * text is empty. attempt: another probe for each. */
int il__server_probe_ids(il__driver *d, uint32_t group, uint32_t attempt, uint32_t n, int32_t *ids,
                         il_buf *text, int32_t *leading, il_error *err);
int il__server_salt(il__driver *d, uint32_t cell, il_call_request *request, int32_t *ids,
                    il_buf *text, il_error *err);
int il__server_probe(il__driver *d, uint32_t cell, uint32_t block, il_call_request request,
                     il_error *err);
/* The entry asks for concurrency or arrivals, and the backend can. */
bool il__server_wants_many(const il__driver *d, uint32_t cell);
/* The pending ones of calls first … end − 1 of the block, all at once. */
int il__server_run_many(il__driver *d, uint32_t cell, uint32_t block, uint32_t first, uint32_t end,
                        const il_call_request *request, il_error *err);
void il__server_gates(const il__driver *d, pid_t pid, const il_state *before, const il_state *after,
                      json_t *flags);

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

/* driver_energy.c */
/* Windows between readings of the energy meters, where the study wants them and there are any. */
int il__driver_energy(il__driver *d, il_error *err);

/* driver_machine.c */
int il__driver_block_facts(il__driver *d, uint32_t block, il_error *err);
/* The smallest effect the run may call, by the spread of some samples of fixed work; NaN = unknown.
 */
double il__driver_pilot_percent(il__driver *d);

/* manifest.c */
int il__manifest_write(const il__driver *d, bool finished, il_error *err);

#endif
