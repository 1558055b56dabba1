/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whether two runs may be compared at all: the same machine and the same study, by their
 * manifests.
 */
#ifndef IL_ANALYSIS_COMPARE_SAME_H
#define IL_ANALYSIS_COMPARE_SAME_H

#include "analysis/compare.h"

/* IL_E_USAGE with the difference unless force; with force the difference becomes a note of
 * *out. out NULL: no notes. */
int il__compare_same(const char *run_a, const char *run_b, bool force, il_comparison *out,
                     il_error *err);
/* Appends a note; too many are dropped. */
void il__compare_note(il_comparison *out, const char *fmt, ...) IL_PRINTF(2, 3);

#endif
