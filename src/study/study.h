/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A study: what to measure, as read from a study file, with flags applied, names resolved and lists
 * expanded. It knows no worker and no result; plan.h makes cells of it.
 *
 *   study file ─► sections (param table) ─► names from base ─► flags ─► expansions ─► filters
 */
#ifndef IL_STUDY_STUDY_H
#define IL_STUDY_STUDY_H

#include "base/arena.h"
#include "inferlaw/error.h"
#include "model/make.h"
#include "model/gguf_weights.h"
#include "model/shape.h"
#include "param/param.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_scenario {
    const char *name;
    const char *prompt;     /* NULL when the prompt is seeded ids */
    uint32_t prompt_tokens; /* of one sequence; 0 = unknown until somebody tokenises */
    uint32_t depth_tok;     /* in the cache before the prompt */
    const char *source;     /* "ids", "count" (a text whose count is known) or "text" */
    int line;
} il_scenario;

typedef struct il_study_model {
    const char *name;
    const char *kind;       /* "hf" is a checkpoint directory */
    const char *path;       /* directory or GGUF file, NULL when there is none (yet) */
    double params_millions; /* as configured, NaN when not */
    const char *twin_of;    /* the model whose times it should have, NULL = none */
    const char *const *on;  /* backends it meets, NULL = by kind */
    size_t n_on;
    bool has_shape; /* shape and counts are known */
    bool synthetic; /* made from a seed, by this program */
    bool to_make;   /* of a suite or grid: made in the cache when absent */
    il_shape shape;
    il_param_counts counts;
    bool is_gguf;
    il_gguf_step step; /* of a GGUF file */
    il_error problem;  /* code IL_OK, or why its cells cannot run */
    int line;
} il_study_model;

typedef struct il_study_backend {
    const char *name;
    const char *kind;       /* what runs it, after --map */
    const char *kind_asked; /* what the file says */
    il_param_set set;
    json_t *options; /* the options mapping, NULL when there is none */
    int line;
} il_study_backend;

typedef struct il_study {
    il_arena arena;
    const char *path; /* of the file, "" when built in memory */
    const char *dir;  /* its directory */
    const char *run_name;
    char config_sha256[65]; /* of the file's bytes */
    il_param_set top, schedule, cold_start, slo, memory, energy;
    bool has_cold_start, has_slo, has_memory, has_energy;
    json_t *ladder; /* of memory_wall, as written */
    il_scenario *scenarios;
    il_study_model *models;
    il_study_backend *backends;
    size_t n_scenarios, n_models, n_backends;
    bool paired;        /* backends 2i and 2i + 1 are the sides of a pair, run next to each other */
    const char **notes; /* said before the run: what is recorded but not acted on */
    size_t n_notes;
    const char *cache; /* directory of made models */
    json_t *filters;   /* {"models":[…]…} as given by flags, {} when none */
} il_study;

typedef struct il_study_options {
    const il_param_set *flags; /* of run or sweep, NULL for none */
    bool sweep;                /* gen_tokens_list is legal */
    /* One run of a sweep: > 0 takes the place of gen_tokens, batch_sizes, prompt_tokens_list. */
    int64_t gen_tokens, batch_size, prompt_tokens;
} il_study_options;

/* Reads, resolves and expands. Every complaint carries file:line:column where it has one. *out is
 * ready for il_study_free in every case. */
int il_study_load(const char *path, const il_study_options *options, il_study *out, il_error *err);
/* The same from text; relative paths are taken from the working directory. */
int il_study_parse(const char *text, size_t n_bytes, const char *origin,
                   const il_study_options *options, il_study *out, il_error *err);
void il_study_free(il_study *study);

/* Makes the to_make models that are absent and sets their paths. A model that cannot be made gets
 * its problem and the others go on, except for IL_E_NO_SPACE and IL_E_INTERRUPTED, which stop. */
int il_study_make_models(il_study *study, const il_make_options *options, il_error *err);

/* Numbers of the resolved study. */
uint32_t il_study_blocks(const il_study *study);
uint32_t il_study_gen_tokens(const il_study *study);
/* A flag of the schedule that is on by default from two blocks up. */
bool il_study_flag(const il_study *study, il_param_id id);
/* The parameter sets as resolved: the manifest's "study". NULL when memory is out. */
json_t *il_study_json(const il_study *study);

/* Hash of what a resolved study measures (il_study_json), without what was found (paths): the
 * study_sha256 of plan, journal and manifest. NOMEM. */
int il_study_hash(const json_t *study, char out[65]);

/* Lower-case hex SHA-256. */
void il_study_sha256(const void *bytes, size_t n_bytes, char out[65]);

/* Seeded ids of row `row` of the scenario's batch, below vocab_size: a function of seed, scenario
 * name, row and position alone; no two rows below vocab_size begin alike. */
void il_study_prompt_ids(uint64_t seed, const char *scenario, uint32_t row, uint32_t vocab_size,
                         uint32_t n_ids, int32_t *ids);

#endif
