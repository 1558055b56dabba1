/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What findings.c and findings_cannot.c share.
 */
#ifndef IL_REPORT_FINDINGS_INTERNAL_H
#define IL_REPORT_FINDINGS_INTERNAL_H

#include "report/findings.h"

typedef struct il__making {
    il_facts *facts;
    il_findings *out;
    il_error *err;
} il__making;

/* Adds to items, or to cannot. NULL texts mean that memory was out when they were made. */
int il__finding_add(il__making *m, bool cannot, const char *verdict, const char *sentence,
                    const char *evidence);
/* printf into the arena; NULL when memory is out. */
const char *il__say(il__making *m, const char *fmt, ...) IL_PRINTF(2, 3);
/* A name from the artifacts, clean and at most 40 characters. */
const char *il__name(il__making *m, const char *text);
const char *il__law_key(il__making *m, size_t row);
const char *il__mode_words(const char *mode);

/* What this run cannot tell. */
int il__cannot_tell(il__making *m);

#endif
