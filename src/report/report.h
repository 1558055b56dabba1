/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report.md of a run directory: a first screen that answers, then the tables behind it. Reads only
 * artifacts; writes analysis/medians.csv and report.md.
 */
#ifndef IL_REPORT_REPORT_H
#define IL_REPORT_REPORT_H

#include "inferlaw/error.h"

/* Call after il_plots_write, so that the pictures it shows exist. DAMAGED and NOT_FOUND as
 * il_facts_load; IO, ACCESS, NO_SPACE when the report cannot be written. */
int il_report_write(const char *run_dir, il_error *err);

#endif
