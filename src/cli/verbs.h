/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The list of verbs. main.c, help and tests read it; a new verb is a file and a row here.
 */
#ifndef IL_CLI_VERBS_H
#define IL_CLI_VERBS_H

#include "cli/verb.h"

/* A row per verb, in the order of the help text. */
#define IL_VERB_MAP(X)                                                                             \
    X(il_verb_doctor)                                                                              \
    X(il_verb_bench)                                                                               \
    X(il_verb_run)                                                                                 \
    X(il_verb_sweep)                                                                               \
    X(il_verb_analyze)                                                                             \
    X(il_verb_report)                                                                              \
    X(il_verb_verify)                                                                              \
    X(il_verb_claims)                                                                              \
    X(il_verb_compare)                                                                             \
    X(il_verb_import_llama_bench)                                                                  \
    X(il_verb_model_make)                                                                          \
    X(il_verb_model_list)                                                                          \
    X(il_verb_model_inspect)                                                                       \
    X(il_verb_model_logits)                                                                        \
    X(il_verb_model_convert)                                                                       \
    X(il_verb_model_tokenize)                                                                      \
    X(il_verb_runtimes_list)                                                                       \
    X(il_verb_runtimes_install)                                                                    \
    X(il_verb_runtimes_path)                                                                       \
    X(il_verb_completion)                                                                          \
    X(il_verb_man)

#define IL_VERB_DECLARE(symbol) extern const il_verb symbol;
IL_VERB_MAP(IL_VERB_DECLARE)
#undef IL_VERB_DECLARE

/* The rows above as pointers, for an array that ends with NULL. */
#define IL_VERB_POINTER(symbol) &symbol,

#endif
