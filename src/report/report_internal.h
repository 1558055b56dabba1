/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What report.c and report_sections.c share: the sections below the first screen, each from "##"
 * on.
 */
#ifndef IL_REPORT_REPORT_INTERNAL_H
#define IL_REPORT_REPORT_INTERNAL_H

#include "base/buf.h"
#include "report/facts.h"

void il__md_cell(il_buf *to, const char *text); /* " text |", escaped */
void il__md_number(il_buf *to, double value, double low, double high);
/* False when the interval of the row's drift takes in 0. */
bool il__drift_told(const il_artifact *noise, size_t row);

void il__report_noise(il_buf *to, const il_facts *facts);
void il__report_laws(il_buf *to, const il_facts *facts);
void il__report_tails(il_buf *to, const il_facts *facts);
void il__report_machine(il_buf *to, const il_facts *facts);
void il__report_method(il_buf *to, const il_facts *facts);
void il__report_reproduce(il_buf *to, const il_facts *facts);

#endif
