/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw runtimes list: what can be installed, and what is. inferlaw runtimes path: where.
 */
#include "base/log.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "os/runtimes_dir.h"

#include <limits.h>
#include <stdio.h>

static const il_column columns[] = {
    {"runtime", "name"}, {"installed", "version"}, {"what", "what"},
    {"costs", "cost"},   {"install", "install"},
};

static int list(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)words;
    (void)n_words;
    il_error err = {0};
    il_table table;
    il_table_init(&table, columns, sizeof columns / sizeof *columns);
    for (const il_runtime_kind *k = il_runtime_kinds; k->name; k++) {
        char version[128], command[96];
        bool there = il_runtime_version(k->name, version, sizeof version);
        (void)snprintf(command, sizeof command, "inferlaw runtimes install %s", k->name);
        il_table_text(&table, k->name);
        il_table_text(&table, there ? version : NULL);
        il_table_text(&table, k->what);
        il_table_text(&table, k->cost);
        il_table_text(&table, there ? NULL : command);
    }
    int rc = il_table_print(&table, il_param_flag(flags, IL_P_JSON), stdout, &err);
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    il_table_free(&table);
    return il_exit_from_code(rc);
}

const il_verb il_verb_runtimes_list = {
    .name = "runtimes list",
    .arguments = "",
    .summary = "the runtimes that can be installed, and the versions of those that are",
    .details = "Of the runtimes directory alone; inferlaw doctor also looks in PATH.",
    .scope = IL_SCOPE_RUNTIMES,
    .run = list,
};

static int path(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)flags;
    il_error err = {0};
    char text[PATH_MAX];
    int rc;
    const il_runtime_kind *kind = n_words ? il_runtime_kind_find(words[0]) : NULL;
    if (n_words == 0) {
        rc = il_runtimes_dir(text, sizeof text, &err);
    } else if (!kind || !kind->program) {
        rc = il_fail(&err, IL_E_USAGE, "no runtime with a program is called \"%.40s\"", words[0]);
        il_error_hint(&err, "inferlaw runtimes list");
    } else {
        rc = il_runtime_program(kind->name, kind->program, text, sizeof text, &err);
    }
    if (rc == IL_OK && (puts(text) < 0 || fflush(stdout) != 0)) {
        rc = il_fail(&err, IL_E_IO, "cannot write to standard output");
    }
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    return il_exit_from_code(rc);
}

const il_verb il_verb_runtimes_path = {
    .name = "runtimes path",
    .arguments = "[NAME]",
    .summary = "the runtimes directory, or the program of a runtime that is installed",
    .details = "The directory is $INFERLAW_RUNTIMES, else $XDG_DATA_HOME/inferlaw/runtimes, else\n"
               "~/.local/share/inferlaw/runtimes.",
    .scope = IL_SCOPE_ANY_VERB,
    .most_words = 1,
    .run = path,
};
