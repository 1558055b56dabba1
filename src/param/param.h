/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The one parameter table (param/param_table.h) and what is derived from it: parsing and validation
 * of command-line flags and study-file keys, help, the manifest's record, nearest-name suggestions.
 * A parameter that is not in the table does not exist.
 *
 * A parameter set holds one value per parameter with its origin. The study file's top level, every
 * backend, model, scenario and section, and the command line each have a set of their own.
 */
#ifndef IL_STUDY_PARAM_H
#define IL_STUDY_PARAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum il_param_type {
    IL_PARAM_FLAG,      /* true/false; on the command line present = true, --no-NAME = false */
    IL_PARAM_I64,       /* decimal integer within [min, max] */
    IL_PARAM_F64,       /* finite number within [min, max] */
    IL_PARAM_TEXT,      /* any text */
    IL_PARAM_CHOICE,    /* one of choices, "a|b|c" */
    IL_PARAM_I64_LIST,  /* [1, 8]; on the command line 1,8 */
    IL_PARAM_TEXT_LIST, /* [a, b]; on the command line a,b. Of a CHOICE when choices is set */
    IL_PARAM_NODE,      /* a mapping or list with a reader of its own; never on the command line */
} il_param_type;

/* Where a parameter may stand: sections of a study file … */
#define IL_SCOPE_STUDY      0x00000001u
#define IL_SCOPE_SCENARIO   0x00000002u
#define IL_SCOPE_BACKEND    0x00000004u
#define IL_SCOPE_MODEL      0x00000008u
#define IL_SCOPE_SCHEDULE   0x00000010u
#define IL_SCOPE_COLD_START 0x00000020u
#define IL_SCOPE_SLO        0x00000040u
#define IL_SCOPE_SHAPES     0x00000080u
#define IL_SCOPE_MEMORY     0x00000100u
#define IL_SCOPE_OPTIONS    0x00000200u /* a backend's free-form `options` mapping */
#define IL_SCOPE_CLAIM      0x00000400u /* one claim of a claims file … */
#define IL_SCOPE_CLAIM_SIDE 0x00000800u /* … the rows it speaks of, and those it compares with */
#define IL_SCOPE_CLAIM_FACT 0x40000000u /* … the numbers and shapes its own words name */
/* … and verbs' command lines. */
#define IL_SCOPE_RUN            0x00001000u
#define IL_SCOPE_SWEEP          0x00002000u
#define IL_SCOPE_ANALYZE        0x00004000u
#define IL_SCOPE_REPORT         0x00008000u
#define IL_SCOPE_BENCH          0x00010000u
#define IL_SCOPE_DOCTOR         0x00020000u
#define IL_SCOPE_MODEL_MAKE     0x00040000u
#define IL_SCOPE_MODEL_LIST     0x00080000u
#define IL_SCOPE_MODEL_INSPECT  0x00100000u
#define IL_SCOPE_MODEL_LOGITS   0x00200000u
#define IL_SCOPE_MODEL_TOKENIZE 0x00400000u
#define IL_SCOPE_COMPARE        0x00800000u
#define IL_SCOPE_VERIFY         0x01000000u
#define IL_SCOPE_IMPORT         0x02000000u
#define IL_SCOPE_CLAIMS         0x04000000u
#define IL_SCOPE_MODEL_CONVERT  0x08000000u
#define IL_SCOPE_RUNTIMES       0x10000000u
#define IL_SCOPE_INSTALL        0x20000000u
#define IL_SCOPE_ENERGY         0x100000000u /* the section `energy` */
#define IL_SCOPE_ANY_VERB       0x80000000u  /* --help, --quiet … */

typedef struct il_param {
    const char *name; /* study-file key; the flag is --name with '_' as '-' */
    char letter;      /* short option, 0 for none */
    il_param_type type;
    uint64_t scopes;        /* OR of IL_SCOPE_ */
    double min, max;        /* numbers and list elements; 0, 0 = no limits */
    const char *choices;    /* "a|b|c" or NULL */
    const char *fallback;   /* default as text, NULL = none (unset) */
    const char *value_name; /* "N", "DIR"; NULL for flags */
    const char *help;       /* one sentence, with the unit */
} il_param;

typedef enum il_param_id {
#define IL_PARAM_ENUM(id, ...) IL_P_##id,
#include "param/param_table.h"
#undef IL_PARAM_ENUM
    IL_P_COUNT
} il_param_id;

typedef enum il_origin {
    IL_ORIGIN_UNSET,
    IL_ORIGIN_DEFAULT,
    IL_ORIGIN_FILE,
    IL_ORIGIN_FLAG
} il_origin;

typedef struct il_param_value {
    il_origin origin;
    int line, column; /* in the study file, else 0 */
    bool flag;
    int64_t i64;
    double f64;
    const char *text; /* owned by the set's arena */
    size_t n;         /* elements of a list */
    int64_t *i64s;
    const char **texts;
} il_param_value;

typedef struct il_param_set {
    uint64_t scope;
    il_arena *arena; /* not owned */
    il_param_value values[IL_P_COUNT];
} il_param_set;

const il_param *il_param_row(il_param_id id);
/* The parameter called name (key or flag spelling) in any of the scopes, or IL_P_COUNT. */
il_param_id il_param_find(const char *name, uint64_t scopes);
/* The nearest name within the scopes, or NULL. */
const char *il_param_nearest(const char *name, uint64_t scopes);

/* Fills in the defaults of the scope's parameters. */
int il_param_set_init(il_param_set *set, uint64_t scope, il_arena *arena, il_error *err);
/* Parses and validates text for id. The complaint names the parameter, the value and what is legal;
 * the caller adds where. Lists split at commas. */
int il_param_set_text(il_param_set *set, il_param_id id, const char *text, il_origin origin,
                      il_error *err);
/* Appends one element to a list parameter (a YAML sequence arrives one element at a time); the
 * first append after a default replaces the default. */
int il_param_set_append(il_param_set *set, il_param_id id, const char *text, il_origin origin,
                        il_error *err);

bool il_param_is_set(const il_param_set *set, il_param_id id); /* by file or flag */
bool il_param_has(const il_param_set *set, il_param_id id);    /* or by default */
bool il_param_flag(const il_param_set *set, il_param_id id);
int64_t il_param_i64(const il_param_set *set, il_param_id id); /* asserts that it has a value */
double il_param_f64(const il_param_set *set, il_param_id id);
const char *il_param_text(const il_param_set *set, il_param_id id); /* NULL when unset */

/* Parses argv (without program and verb words) against the scope | IL_SCOPE_ANY_VERB: --name value,
 * --name=value, -x value, "--" ends flags, "-" is a word. Words go to words[0..*n_words). */
int il_param_parse_argv(il_param_set *set, int argc, char *const *argv, char **words,
                        unsigned most_words, unsigned *n_words, il_error *err);
/* The row's flag without the dashes: "out-dir", "no-plots" for what is on by default. */
void il_param_spell(const il_param *row, char *out, size_t out_bytes);
/* Appends the flags of the scope with values, ranges and defaults, aligned, for --help. */
int il_param_help(uint64_t scope, il_buf *out);
/* {"name": value, …} of all that has a value; the caller owns it. NULL when memory is out. */
json_t *il_param_set_json(const il_param_set *set);

#endif
