/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a run found, and what it cannot tell: sentences with their evidence and verdict. The one
 * place where numbers become claims; report.md and the terminal print the same ones.
 *
 * Rules that hold for every finding: only intervals that are exact, of Student's t, or shown to
 * cover (the nested bootstrap of laws.csv) are quoted, never the percentile bootstrap of the
 * original tables; no comparison below the smallest effect of the noise floor; a law with a
 * decisive model is not identifiable; decode is per step, prefill and end-to-end stand apart; every
 * number is in the artifact that the evidence names.
 */
#ifndef IL_REPORT_FINDINGS_H
#define IL_REPORT_FINDINGS_H

#include "report/facts.h"

/* A row that holds the numbers of a sentence. */
typedef struct il_citation {
    const il_artifact *table; /* of the facts */
    size_t row;
} il_citation;

enum { IL_MOST_CITES = 4 };

typedef struct il_finding {
    const char *sentence; /* plain text: may hold names from the study, escape before printing */
    const char *evidence; /* file and the keys of the row */
    const char *verdict;  /* supported, contradicted, not_identifiable, ill_posed, not_measured */
    il_citation cites[IL_MOST_CITES]; /* the rows that evidence names, where it names rows */
    size_t n_cites;
} il_finding;

typedef struct il_findings {
    const char *question, *answer; /* the answer has two sentences */
    il_finding *items;
    size_t n_items, cap_items;
    il_finding *cannot; /* what this run cannot tell */
    size_t n_cannot, cap_cannot;
} il_findings;

/* Memory from the facts' arena. */
int il_findings_make(il_facts *facts, il_findings *out, il_error *err);

/* The backend that the answer speaks of: most models with a decode time, the first of equals. NULL
 * when none has any. */
const char *il_findings_backend(const il_facts *facts);

/* Whether an interval made by this ci_method of laws.csv may stand in a sentence. */
bool il_findings_quotable(const char *ci_method);

/* Words for an x of laws.csv: "total parameters". */
const char *il_findings_x_words(const char *x);

#endif
