/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rows from a metrics.csv in the columns of the TR121 study, ours or another program's.
 */
#ifndef IL_ANALYSIS_ROWS_CSV_H
#define IL_ANALYSIS_ROWS_CSV_H

#include "analysis/rows.h"

/* Required columns: backend, model, mode, status, latency_ms; any other may be missing and is blank
 * then; unknown ones are passed over. IL_E_DAMAGED: a required column is missing, two columns have
 * one name, a record of another width than the header, a field that is not of its column's type
 * ("nan" and "" are blank); the message names the column and the line. */
int il_rows_from_csv(il_rows *rows, const char *path, il_error *err);

#endif
