/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report.md and report.html of a run directory: a first screen that answers, then the tables behind
 * it. Reads only artifacts. Both are made from one document (document.h) and hold the same words
 * and numbers; the same artifacts give the same bytes, wherever the directory lies.
 */
#ifndef IL_REPORT_REPORT_H
#define IL_REPORT_REPORT_H

#include "report/facts.h"

enum {
    IL_REPORT_MD = 1,   /* report.md, its plots as analysis/plots/report_*.svg */
    IL_REPORT_HTML = 2, /* report.html, one file, plots inside */
    IL_REPORT_ALL = 3,
};

/* IO, ACCESS, NO_SPACE when a report cannot be written. */
int il_report_write_as(il_facts *facts, unsigned formats, il_error *err);
/* All formats. */
int il_report_write(il_facts *facts, il_error *err);

#endif
