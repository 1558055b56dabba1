/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/derive.h"
#include "cli/verb.h"

#include "base/log.h"
#include "report/report.h"

#include <string.h>

/* Whatever of the run's artifacts is missing or unreadable is damage to the caller (exit 4); only a
 * directory that is not there at all is a bad command line. */
static int run_report(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)n_words;
    const il_param_value *asked = &flags->values[IL_P_FORMAT];
    unsigned formats = 0; /* the parameter table lets no other words through */
    for (size_t i = 0; i < asked->n; i++) {
        formats |= strcmp(asked->texts[i], "html") == 0 ? IL_REPORT_HTML : IL_REPORT_MD;
    }
    bool json = il_param_flag(flags, IL_P_JSON);
    il_error err = {0};
    int rc = il_derive_report_as(words[0], true, formats, json ? NULL : stdout, &err);
    rc = rc == IL_OK && json ? il_derive_print_json(words[0], "analysis/medians.csv", &err) : rc;
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    return il_exit_from_code(rc);
}

const il_verb il_verb_report = {
    .name = "report",
    .arguments = "RUN",
    .summary = "report.md, report.html, plots and a summary from a run's artifacts",
    .details =
        "Reads manifest.json and the tables of analysis/ of the run directory RUN and writes\n"
        "report.md, report.html (one file that needs no network) and analysis/plots/ there. The\n"
        "summary goes to stdout.\n"
        "\"inferlaw analyze RUN\" makes the tables that are read here.",
    .scope = IL_SCOPE_REPORT,
    .least_words = 1,
    .most_words = 1,
    .run = run_report,
};
