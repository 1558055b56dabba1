/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The end of a run on the terminal: a short table, the findings, what the run cannot tell, where
 * the report is and what to try next.
 */
#ifndef IL_REPORT_SUMMARY_H
#define IL_REPORT_SUMMARY_H

#include "report/facts.h"

#include <stdio.h>

/* At most 100 columns; bold headings only when `to` is a terminal and NO_COLOR is unset. IO when
 * writing fails. */
int il_summary_print(il_facts *facts, FILE *to, il_error *err);

#endif
