/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report.md of a run directory: a first screen that answers, then the tables behind it. Reads only
 * artifacts; writes report.md.
 */
#ifndef IL_REPORT_REPORT_H
#define IL_REPORT_REPORT_H

#include "report/facts.h"

/* Call after il_plots_write, so that the pictures it shows exist. IO, ACCESS, NO_SPACE when
 * the report cannot be written. */
int il_report_write(il_facts *facts, il_error *err);

#endif
