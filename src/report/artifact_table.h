/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A table of the report from a table of the analysis: which columns, how each is shown, which rows.
 * Shared by the files of src/report only.
 */
#ifndef IL_REPORT_ARTIFACT_TABLE_H
#define IL_REPORT_ARTIFACT_TABLE_H

#include "report/document.h"
#include "report/facts.h"

typedef enum il__show {
    IL__SHOW_TEXT,
    IL__SHOW_WORDS,    /* a verdict: "not identifiable" */
    IL__SHOW_PROSE,    /* a sentence */
    IL__SHOW_MODEL,    /* the model's short name */
    IL__SHOW_X,        /* "total parameters" */
    IL__SHOW_NUMBER,   /* three significant digits */
    IL__SHOW_INTERVAL, /* with the columns low and high, "ci_low" and "ci_high" unless named */
    IL__SHOW_PERCENT,  /* a percentage */
    IL__SHOW_SHARE,    /* a share, shown as a percentage */
    IL__SHOW_SHARE_INTERVAL,
    IL__SHOW_YES, /* a flag: "yes" or "-" */
} il__show;

typedef struct il__shown {
    const char *title, *column;
    il__show how;
    const char *low, *high;
} il__shown;

/* Whether a row belongs into the table; context as given. */
typedef bool il__row_filter(const il_artifact *table, size_t row, const void *context);

/* Adds a table of the rows that the filter takes (NULL: all), in the order of the file. Adds
 * nothing and returns 0 when it takes none; else how many. */
size_t il__doc_artifact(il__doc *doc, const il_facts *facts, const il_artifact *table,
                        const char *caption, const il__shown *columns, size_t n_columns,
                        il__row_filter *filter, const void *context);

#endif
