/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * When something else becomes necessary: for every base and limit what bounds its times where it
 * gives way, then what each remedy does about it, in sentences; no order among runtimes.
 */
#include "report/artifact_table.h"
#include "report/report_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *text(const il_artifact *t, size_t row, const char *column)
{
    return il_artifact_text(t, row, column);
}

static double number(const il_artifact *t, size_t row, const char *column)
{
    return il_artifact_number(t, row, column);
}

static bool is(const il_artifact *t, size_t row, const char *column, const char *value)
{
    return strcmp(text(t, row, column), value) == 0;
}

static bool same(const il_artifact *t, size_t a, size_t b, const char *column)
{
    return strcmp(text(t, a, column), text(t, b, column)) == 0;
}

/* "34 (28 to 41)". */
static const char *interval(const il_artifact *t, size_t row, const char *value, const char *low,
                            const char *high, char out[64])
{
    il_words_interval(out, 64, number(t, row, value), number(t, row, low), number(t, row, high));
    return out;
}

static void say_threshold(il__doc *doc, const il_artifact *t, size_t row)
{
    double threshold = number(t, row, "threshold");
    if (is(t, row, "limit", "itl")) {
        il__doc_text(doc, "%.4g ms a token", threshold);
    } else if (is(t, row, "limit", "ttft")) {
        il__doc_text(doc, "%.4g ms to the first token", threshold);
    } else if (is(t, row, "limit", "tail")) {
        il__doc_text(doc, "%.4g ms for the tail of a whole call", threshold);
    } else {
        il__doc_text(doc, "%.3g GB of memory", threshold / 1e9);
    }
}

/* What bounds the base's times, and up to which size. */
static void say_regime(il__doc *doc, const il_artifact *t, size_t row)
{
    char buffer[64];
    double share = number(t, row, "share_of_floor");
    const char *bound = text(t, row, "bound_by");
    if (isfinite(number(t, row, "overhead_until"))) {
        il__doc_text(doc,
                     "Up to %s M parameters more than half of its time is overhead, and beyond "
                     "that %s. ",
                     interval(t, row, "overhead_until", "overhead_low", "overhead_high", buffer),
                     strcmp(bound, "compute") == 0 ? "arithmetic rules"
                                                   : "the bytes it reads rule");
    }
    if (bound[0] && isfinite(share)) {
        il__doc_text(doc,
                     "At %.3g M it is bound by %s: the floor of this machine is %.2g %% of its "
                     "time. ",
                     number(t, row, "gain_at"), bound, 100 * share);
    }
}

static void say_base(il__doc *doc, const il_artifact *t, size_t row)
{
    char buffer[64];
    il__doc_open(doc, IL__BLOCK_PARAGRAPH);
    il__doc_strong(doc, "%s", text(t, row, "base"));
    il__doc_text(doc, "%s, ",
                 il_artifact_flag(t, row, "reference") ? " (our reference engine)" : "");
    say_threshold(doc, t, row);
    il__doc_text(doc, ": ");
    double size = number(t, row, "base_size"), low = number(t, row, "base_low");
    if (isfinite(size)) {
        il__doc_text(doc, "it keeps the limit up to %s M parameters. ",
                     interval(t, row, "base_size", "base_low", "base_high", buffer));
    } else if (isfinite(low)) {
        il__doc_text(doc, "it keeps the limit up to %.3g M parameters at least. ", low);
    } else if (isfinite(number(t, row, "base_high"))) {
        il__doc_text(doc, "it exceeds the limit at %.3g M parameters already. ",
                     number(t, row, "base_high"));
    } else {
        il__doc_text(doc, "where it gives way is not known. ");
    }
    for (size_t i = row; i < t->n_rows; i++) { /* a batch is judged elsewhere: at its own limit */
        if (same(t, i, row, "base") && same(t, i, row, "limit") &&
            !is(t, i, "remedy_kind", "batching") && text(t, i, "bound_by")[0]) {
            say_regime(doc, t, i);
            break;
        }
    }
}

/* Where a faster way is faster, when that changes with size. */
static void say_where(il__doc *doc, const il_artifact *t, size_t row)
{
    char buffer[64];
    bool below = is(t, row, "helps", "below");
    if (below || is(t, row, "helps", "above")) {
        il__doc_text(doc, " It is the faster of the two %s %s M.", below ? "up to" : "from",
                     interval(t, row, "equal_at", "equal_low", "equal_high", buffer));
    }
}

static void say_needed(il__doc *doc, const il_artifact *t, size_t row)
{
    char from[64], to[64], ratio[64];
    double high = number(t, row, "range_high");
    interval(t, row, "base_size", "base_low", "base_high", from);
    interval(t, row, "remedy_size", "remedy_low", "remedy_high", to);
    if (isfinite(number(t, row, "base_size"))) {
        il__doc_text(doc, "becomes necessary from %s M on", from);
    } else {
        il__doc_text(doc, "is necessary at the smallest size that was run");
    }
    if (isfinite(number(t, row, "remedy_size"))) {
        il__doc_text(doc, " and carries the limit to %s M", to);
    } else {
        il__doc_text(doc, " and carries the limit beyond %.3g M, the largest that was run", high);
    }
    if (isfinite(number(t, row, "size_ratio"))) {
        il__doc_text(doc, ", %s times the size",
                     interval(t, row, "size_ratio", "ratio_low", "ratio_high", ratio));
    }
    il__doc_text(doc, ".");
}

static void say_remedy(il__doc *doc, const il_artifact *t, size_t row)
{
    char gain[64];
    const char *kind = text(t, row, "remedy_kind");
    il__doc_open(doc, IL__BLOCK_ITEM);
    il__doc_strong(doc, "%s",
                   strcmp(kind, "runtime") == 0        ? "Another runtime"
                   : strcmp(kind, "quantisation") == 0 ? "Quantisation"
                   : strcmp(kind, "compilation") == 0  ? "Compilation"
                   : strcmp(kind, "batching") == 0     ? "Batching"
                                                       : "A narrower dtype");
    il__doc_text(doc, " (%s) ", text(t, row, "remedy"));
    if (is(t, row, "verdict", "needed")) {
        say_needed(doc, t, row);
    } else if (is(t, row, "verdict", "not_needed")) {
        il__doc_text(doc, "is not needed in the range that was run (up to %.3g M).",
                     number(t, row, "range_high"));
    } else if (is(t, row, "verdict", "affordable")) {
        il__doc_text(doc, "is affordable: %s.", text(t, row, "because"));
    } else {
        il__doc_text(doc, "%s: %s.",
                     is(t, row, "verdict", "undecided") ? "is undecided" : "does not help",
                     text(t, row, "because"));
    }
    if (is(t, row, "verdict", "needed") && isfinite(number(t, row, "gain"))) {
        il__doc_text(doc, " At %.3g M it is %s times as fast.", number(t, row, "gain_at"),
                     interval(t, row, "gain", "gain_low", "gain_high", gain));
    }
    if (!is(t, row, "remedy_kind", "batching")) {
        say_where(doc, t, row);
    }
}

static bool is_first(const il_artifact *t, size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (same(t, i, row, "base") && same(t, i, row, "limit")) {
            return false;
        }
    }
    return true;
}

void il__report_policy(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"limit", "limit", IL__SHOW_TEXT, NULL, NULL},
        {"base", "base", IL__SHOW_TEXT, NULL, NULL},
        {"remedy", "remedy_kind", IL__SHOW_TEXT, NULL, NULL},
        {"with", "remedy", IL__SHOW_TEXT, NULL, NULL},
        {"base holds to, M", "base_size", IL__SHOW_INTERVAL, "base_low", "base_high"},
        {"remedy holds to, M", "remedy_size", IL__SHOW_INTERVAL, "remedy_low", "remedy_high"},
        {"ratio of sizes", "size_ratio", IL__SHOW_INTERVAL, "ratio_low", "ratio_high"},
        {"gain", "gain", IL__SHOW_INTERVAL, "gain_low", "gain_high"},
        {"bound by", "bound_by", IL__SHOW_TEXT, NULL, NULL},
        {"verdict", "verdict", IL__SHOW_WORDS, NULL, NULL},
        {"because", "because", IL__SHOW_PROSE, NULL, NULL}};
    const il_artifact *t = &f->policy;
    if (t->n_rows == 0) {
        return;
    }
    il__doc_section(doc, "policy", "When something else becomes necessary");
    il__doc_say(doc, "Under the study's limits, as models grow: two entries of the study that "
                     "differ in one aspect are held against each other over the models both ran. "
                     "Sizes are millions of parameters with 95 %% intervals; a gain is said where "
                     "the base meets its limit, of a batch in tokens per second where the batch "
                     "meets it. This is about what a size and a limit ask for: it puts no runtime "
                     "above another, and our own engine is the reference.");
    for (size_t i = 0; i < t->n_rows; i++) {
        if (!text(t, i, "remedy")[0]) {
            il__doc_say(doc, "%s: %s.", text(t, i, "base"), text(t, i, "because"));
        } else if (is_first(t, i)) {
            say_base(doc, t, i);
            for (size_t k = i; k < t->n_rows; k++) {
                if (same(t, k, i, "base") && same(t, k, i, "limit")) {
                    say_remedy(doc, t, k);
                }
            }
        }
    }
    (void)il__doc_artifact(doc, f, t, "", columns, COUNT_OF(columns), NULL, NULL);
}
