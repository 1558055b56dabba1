/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the files of findings share.
 */
#ifndef IL_REPORT_FINDINGS_INTERNAL_H
#define IL_REPORT_FINDINGS_INTERNAL_H

#include "report/findings.h"

typedef struct il__making {
    il_facts *facts;
    il_findings *out;
    il_error *err;
    il_citation cites[IL_MOST_CITES]; /* of the finding that is added next */
    size_t n_cites;
} il__making;

/* The row holds numbers of the finding that is added next. */
void il__cite(il__making *m, const il_artifact *table, size_t row);
/* Adds to items, or to cannot. NULL texts mean that memory was out when they were made. */
int il__finding_add(il__making *m, bool cannot, const char *verdict, const char *sentence,
                    const char *evidence);
/* printf into the arena; NULL when memory is out. */
const char *il__say(il__making *m, const char *fmt, ...) IL_PRINTF(2, 3);
/* A name from the artifacts, clean and at most 40 characters. */
const char *il__name(il__making *m, const char *text);
const char *il__law_key(il__making *m, size_t row);
const char *il__mode_words(const char *mode);

/* A row of the law that was selected for a backend and mode: its slope, else its first term. batch
 * NaN takes the first batch size. SIZE_MAX when none was. */
size_t il__law_selected(const il_facts *facts, const char *backend, const char *mode, double batch);

/* The two sentences of the answer; backend may be NULL. */
const char *il__answer_range(il__making *m, const char *backend);
const char *il__answer_law(il__making *m, const char *backend);

int il__law_findings(il__making *m, const char *backend, const char *mode);
int il__inversion_finding(il__making *m, const char *backend, const char *mode);
int il__context_finding(il__making *m, const char *backend);
int il__prefill_finding(il__making *m, const char *backend);
int il__shape_findings(il__making *m, const char *backend);
int il__regime_findings(il__making *m, const char *backend);
/* "; that is an average over regimes, which change where …", or "" where none is supported. */
const char *il__regime_clause(il__making *m, const char *backend, const char *mode);
int il__claim_findings(il__making *m);
int il__crossover_findings(il__making *m);
int il__limit_findings(il__making *m);
int il__twin_findings(il__making *m);

/* What this run cannot tell. */
int il__cannot_tell(il__making *m);
/* The part of it that the tables of verdicts left open. */
int il__undecided(il__making *m);

#endif
