/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw verify RUN: does every number of the run follow from its journal?
 */
#include "base/json.h"
#include "base/log.h"
#include "cli/verbs.h"
#include "cli/verify.h"

#include <stdio.h>
#include <stdlib.h>

static int print(const il_verify *v, bool json, il_error *err)
{
    char *all = json ? il_json_dump_pretty(v->findings) : NULL;
    if (json) {
        int rc = all ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the JSON");
        (void)(all ? puts(all) : 0);
        free(all);
        return rc;
    }
    size_t i;
    const json_t *finding;
    json_array_foreach(v->findings, i, finding)
    {
        char *line = il_verify_line(finding);
        if (!line) {
            return il_fail(err, IL_E_NOMEM, "no memory for a line");
        }
        (void)puts(line);
        free(line);
    }
    return IL_OK;
}

static int verify(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)n_words;
    il_error err = {0};
    il_verify v;
    int rc = il_verify_run(words[0], &v, &err);
    rc = rc ? rc : print(&v, il_param_flag(flags, IL_P_COMPARE_JSON), &err);
    if (rc != IL_OK) {
        il_log_error(&err);
    } else if (v.n_differ > 0) {
        il_log(IL_LOG_WARN,
               "%s does not follow from its journal: see the lines that say differs; where the "
               "journal is whole, inferlaw analyze and inferlaw report make the rest again from it",
               words[0]);
    } else {
        il_log(IL_LOG_INFO, "%zu artifacts follow from the journal, number by number", v.n_ok);
    }
    int exit_code = rc != IL_OK      ? il_exit_from_code(rc)
                    : v.n_differ > 0 ? IL_EXIT_DAMAGED
                                     : IL_EXIT_DONE;
    il_verify_free(&v);
    return exit_code;
}

const il_verb il_verb_verify = {
    .name = "verify",
    .arguments = "RUN",
    .summary = "whether every number of a run's tables and report follows from its journal",
    .details =
        "Makes metrics.csv, the tables of analysis/ and the report again in a scratch directory,\n"
        "with the options that analysis/analysis.json names, and compares number by number.\n"
        "One line an artifact: ok, or what differs where. Writes nothing into RUN.\n"
        "Exit code 0 when all follows, 4 when something differs.",
    .scope = IL_SCOPE_VERIFY,
    .least_words = 1,
    .most_words = 1,
    .run = verify,
};
