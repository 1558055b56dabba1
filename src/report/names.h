/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a model is called in plots and tables: the last part of its path where that is unique.
 */
#ifndef IL_REPORT_NAMES_H
#define IL_REPORT_NAMES_H

#include "report/facts.h"

/* Clean, at most 30 characters; belongs to the facts. The same text for the same model. */
const char *il_facts_model_name(const il_facts *facts, const char *model);

#endif
