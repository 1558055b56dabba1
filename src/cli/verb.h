/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One file a verb. A verb declares its command line as rows of the parameter table
 * (param/param.h), so that help, validation and shell completion come from the same place.
 */
#ifndef IL_CLI_VERB_H
#define IL_CLI_VERB_H

#include "param/param.h"

/* Exit codes of the program (design, section 8). */
enum il_exit {
    IL_EXIT_DONE = 0,          /* also with skipped cells beside ok rows */
    IL_EXIT_USAGE = 1,         /* bad command line, unreadable or invalid study file */
    IL_EXIT_CALLS_FAILED = 2,  /* the study ran but calls failed */
    IL_EXIT_NO_OK_ROW = 3,     /* no ok row, all skipped too */
    IL_EXIT_DAMAGED = 4,       /* artifacts damaged */
    IL_EXIT_CONDITION_MET = 5, /* --fail-on met */
};

typedef struct il_verb {
    const char *name;                 /* "run"; a verb of two words is "model make" */
    const char *arguments;            /* "STUDY", "RUN", "" */
    const char *summary;              /* one line for the verb list */
    const char *details;              /* paragraphs for --help; NULL for none */
    uint64_t scope;                   /* the IL_SCOPE_ bit of its flags in the parameter table */
    unsigned least_words, most_words; /* positional arguments */
    /* flags: parsed and validated; words: the n_words positional arguments. Returns an il_exit. */
    int (*run)(const il_param_set *flags, char *const *words, unsigned n_words);
} il_verb;

/* Maps a failed call's code to an exit code: what the caller asked for cannot be done as asked
 * (USAGE, PARSE, INVALID, NOT_FOUND, RANGE, EXISTS, ACCESS, UNSUPPORTED, BUSY) → 1, DAMAGED → 4,
 * everything else → 2. Prints nothing. */
int il_exit_from_code(int code);

#endif
