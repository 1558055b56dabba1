/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a model is called in plots and tables: the last part of its path where that is unique,
 * without what all models share at their end.
 */
#ifndef IL_REPORT_NAMES_H
#define IL_REPORT_NAMES_H

#include "report/facts.h"

/* What the names of all models end in and none is told apart by: whole pieces "-LETTER DIGITS" as
 * generated shapes have them ("-v1024-p256"); "" for one model or none such. */
const char *il_facts_shared_tail(const il_facts *facts);

/* Without the shared tail; clean, at most 30 characters; belongs to the facts. The same text for
 * the same model. */
const char *il_facts_model_name(const il_facts *facts, const char *model);

#endif
