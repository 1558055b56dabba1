/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tails, regimes, crossovers, what fails first, rankings, shares of the floor, claims, and the
 * tables that only some runs have.
 */
#include "report/artifact_table.h"
#include "report/report_internal.h"

#include <math.h>
#include <string.h>

#define BACKEND                                                                                    \
    {                                                                                              \
        "backend", "backend", IL__SHOW_TEXT, NULL, NULL                                            \
    }
#define MODEL                                                                                      \
    {                                                                                              \
        "model", "model", IL__SHOW_MODEL, NULL, NULL                                               \
    }
#define SCENARIO                                                                                   \
    {                                                                                              \
        "scenario", "scenario", IL__SHOW_TEXT, NULL, NULL                                          \
    }
#define BATCH                                                                                      \
    {                                                                                              \
        "batch", "batch_size", IL__SHOW_NUMBER, NULL, NULL                                         \
    }
#define MODE                                                                                       \
    {                                                                                              \
        "mode", "mode", IL__SHOW_TEXT, NULL, NULL                                                  \
    }
#define VERDICT                                                                                    \
    {                                                                                              \
        "verdict", "verdict", IL__SHOW_WORDS, NULL, NULL                                           \
    }
#define BECAUSE                                                                                    \
    {                                                                                              \
        "because", "because", IL__SHOW_PROSE, NULL, NULL                                           \
    }
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool is_told_tail(const il_artifact *t, size_t row, const void *context)
{
    (void)context;
    return il_artifact_number(t, row, "quantile") > 0.5 &&
           isfinite(il_artifact_number(t, row, "estimate_ms")) &&
           isfinite(il_artifact_number(t, row, "ci_low"));
}

void il__report_tails(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {BACKEND,
                                        MODEL,
                                        SCENARIO,
                                        MODE,
                                        {"quantile", "quantile", IL__SHOW_NUMBER, NULL, NULL},
                                        {"calls", "n", IL__SHOW_NUMBER, NULL, NULL},
                                        {"ms", "estimate_ms", IL__SHOW_INTERVAL, NULL, NULL}};
    const il_artifact *t = &f->tails;
    il__doc_section(doc, "tails", "Tails");
    size_t n_known = 0, n_rows = 0;
    double n_calls = 0.0;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (il_artifact_number(t, i, "quantile") > 0.5) {
            n_rows++;
            n_known += is_told_tail(t, i, NULL);
            n_calls = fmax(n_calls, il_artifact_number(t, i, "n"));
        }
    }
    if (n_rows == 0) {
        il__doc_absent(doc, "No quantile beyond the median was judged", "tails.csv");
        return;
    }
    il__doc_say(doc,
                "A two-sided exact interval needs 36 calls for p90, 72 for p95, 368 for p99. Cells "
                "here have up to %.0f; %zu of %zu quantiles can be told.",
                n_calls, n_known, n_rows);
    (void)il__doc_artifact(doc, f, t, "", columns, COUNT_OF(columns), is_told_tail, NULL);
}

/* A section that is one sentence and one table, or a sentence that it is not there. */
static void put_simple(il__doc *doc, const il_facts *f, const il_artifact *t, const char *id,
                       const char *title, const char *says, const char *absent,
                       const il__shown *columns, size_t n_columns)
{
    il__doc_section(doc, id, title);
    if (t->n_rows == 0) {
        il__doc_absent(doc, absent, t->file ? t->file : "");
        return;
    }
    il__doc_say(doc, "%s", says);
    (void)il__doc_artifact(doc, f, t, "", columns, n_columns, NULL, NULL);
}

void il__report_regimes(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        BACKEND,
        MODE,
        {"x", "x", IL__SHOW_X, NULL, NULL},
        {"breaks", "n_breaks", IL__SHOW_NUMBER, NULL, NULL},
        {"break at (95 % interval)", "break_at", IL__SHOW_INTERVAL, NULL, NULL},
        {"Davies p", "davies_p", IL__SHOW_NUMBER, NULL, NULL},
        {"\xCE\x94"
         "AICc",
         "delta_aicc", IL__SHOW_NUMBER, NULL, NULL},
        {"exponent below", "slope_below", IL__SHOW_INTERVAL, "slope_below_low", "slope_below_high"},
        {"exponent above", "slope_above", IL__SHOW_INTERVAL, "slope_above_low", "slope_above_high"},
        VERDICT,
        BECAUSE};
    put_simple(doc, f, &f->regimes, "regimes", "Regimes",
               "A regime ends where the exponent of the law changes. It is claimed with at least "
               "five models on each side, a difference of AICc beyond 10, and a break known to "
               "within an octave.",
               "Not judged", columns, COUNT_OF(columns));
}

void il__report_crossovers(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"kind", "kind", IL__SHOW_WORDS, NULL, NULL},
        MODE,
        {"a", "a", IL__SHOW_TEXT, NULL, NULL},
        {"b", "b", IL__SHOW_TEXT, NULL, NULL},
        {"x", "x", IL__SHOW_X, NULL, NULL},
        {"equal at (95 % interval)", "estimate", IL__SHOW_INTERVAL, NULL, NULL},
        {"P(inside the range)", "p_inside", IL__SHOW_NUMBER, NULL, NULL},
        VERDICT};
    put_simple(doc, f, &f->crossovers, "crossovers", "Crossovers",
               "Where two times are equal, from block-paired resampling. It is named when at least "
               "95 % of the resamples have it inside the range that was run; none in range is an "
               "answer.",
               "Not judged", columns, COUNT_OF(columns));
}

void il__report_limits(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        BACKEND,
        {"family", "family", IL__SHOW_TEXT, NULL, NULL},
        {"order", "order", IL__SHOW_NUMBER, NULL, NULL},
        {"limit", "limit", IL__SHOW_TEXT, NULL, NULL},
        {"threshold", "threshold", IL__SHOW_NUMBER, NULL, NULL},
        {"parameters at the limit, M", "size_at_limit", IL__SHOW_INTERVAL, NULL, NULL}};
    put_simple(doc, f, &f->first_limit, "limits", "What fails first",
               "The size along a family at which each limit gives way, the first to do so first.",
               "Not judged: the study names no limit (slo: {itl_ms: 50, ttft_ms: 500})", columns,
               COUNT_OF(columns));
}

void il__report_rankings(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        MODE,
        {"size", "size_bin", IL__SHOW_TEXT, NULL, NULL},
        {"rank", "rank", IL__SHOW_NUMBER, NULL, NULL},
        BACKEND,
        {"P(best)", "p_best", IL__SHOW_NUMBER, NULL, NULL},
        {"time over the best's", "ratio_to_best", IL__SHOW_INTERVAL, NULL, NULL}};
    put_simple(doc, f, &f->rankings, "rankings", "Rankings",
               "Backends by size of model, with the probability of being the fastest.",
               "Not judged: a ranking needs two backends on the same models", columns,
               COUNT_OF(columns));
}

static bool has_share(const il_artifact *t, size_t row, const void *context)
{
    (void)context;
    return isfinite(il_artifact_number(t, row, "share_of_floor"));
}

void il__report_efficiency(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        BACKEND,
        MODEL,
        SCENARIO,
        BATCH,
        MODE,
        {"ms", "latency_ms", IL__SHOW_NUMBER, NULL, NULL},
        {"floor, ms", "floor_ms", IL__SHOW_NUMBER, NULL, NULL},
        {"share of the floor", "share_of_floor", IL__SHOW_SHARE_INTERVAL, NULL, NULL},
        {"bound by", "bound_by", IL__SHOW_TEXT, NULL, NULL},
        {"MBU", "mbu", IL__SHOW_SHARE, NULL, NULL},
        {"MFU", "mfu", IL__SHOW_SHARE, NULL, NULL},
        {"launches, ms", "launch_ms", IL__SHOW_NUMBER, NULL, NULL}};
    il__doc_section(doc, "efficiency", "Share of the floor");
    il__doc_say(doc,
                "The floor is the least time that the bytes and FLOPs of a cell take at the "
                "ceilings measured in the same blocks. The share, in percent, is the floor over "
                "the time; bound by names what sets the floor.");
    if (il__doc_artifact(doc, f, &f->efficiency, "", columns, COUNT_OF(columns), has_share, NULL) ==
        0) {
        il__doc_absent(doc, "Not judged: ceilings or shapes are not known", "efficiency.csv");
    }
}

void il__report_claims(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"claim", "id", IL__SHOW_TEXT, NULL, NULL},
        {"statement", "statement", IL__SHOW_PROSE, NULL, NULL},
        VERDICT,
        {"measured (95 % interval)", "estimate", IL__SHOW_INTERVAL, NULL, NULL},
        {"margin", "margin", IL__SHOW_NUMBER, NULL, NULL},
        {"evidence", "evidence", IL__SHOW_PROSE, NULL, NULL},
        {"would decide", "would_decide", IL__SHOW_PROSE, NULL, NULL}};
    put_simple(doc, f, &f->claims, "claims", "Claims",
               "Each claim was written down before it was judged, with its direction, margin and "
               "test. Ill posed: its own numbers contradict each other or compare unlike things; a "
               "well-posed twin stands beside it.",
               "None were judged: the study names no claims file (claims: FILE)", columns,
               COUNT_OF(columns));
}

static void put_prefix_cache(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        BACKEND,
        MODEL,
        SCENARIO,
        {"probes", "n", IL__SHOW_NUMBER, NULL, NULL},
        {"new over repeated", "ratio", IL__SHOW_INTERVAL, NULL, NULL},
        VERDICT,
        BECAUSE};
    const il_artifact *t = &f->prefix_cache;
    size_t n[3] = {0};
    static const char *const verdicts[] = {"on", "off", "unknown"};
    if (t->n_rows == 0) {
        return;
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t k = 0; k < COUNT_OF(verdicts); k++) {
            n[k] += strcmp(il_artifact_text(t, i, "verdict"), verdicts[k]) == 0;
        }
    }
    il__doc_section(doc, "prefix-cache", "Prompt caches of servers");
    il__doc_say(
        doc,
        "One prompt was sent twice between two new ones, in every block: a cache of prompts "
        "was at work in %zu of %zu cells, was not in %zu, and cannot be told in %zu. Prompts "
        "made of ids were new in every call, so a cache that is on does not shorten their "
        "times; a prompt given as text is the same each time, and it may.",
        n[0], t->n_rows, n[1], n[2]);
    (void)il__doc_artifact(doc, f, t, "", columns, COUNT_OF(columns), NULL, NULL);
}

void il__report_optional(il__doc *doc, const il_facts *f)
{
    static const il__shown parity[] = {
        BACKEND,
        MODEL,
        {"tokens probed", "probe_tokens", IL__SHOW_NUMBER, NULL, NULL},
        {"largest relative error", "max_rel_error", IL__SHOW_NUMBER, NULL, NULL},
        {"tolerance", "tolerance", IL__SHOW_NUMBER, NULL, NULL},
        {"same top token", "top1_match", IL__SHOW_TEXT, NULL, NULL},
        VERDICT,
        BECAUSE};
    static const il__shown twins[] = {BACKEND,
                                      {"first", "model_a", IL__SHOW_MODEL, NULL, NULL},
                                      {"second", "model_b", IL__SHOW_MODEL, NULL, NULL},
                                      SCENARIO,
                                      BATCH,
                                      MODE,
                                      {"ratio", "ratio", IL__SHOW_INTERVAL, NULL, NULL},
                                      {"margin", "margin", IL__SHOW_NUMBER, NULL, NULL},
                                      {"blocks", "n_blocks", IL__SHOW_NUMBER, NULL, NULL},
                                      VERDICT,
                                      BECAUSE};
    if (f->parity.n_rows > 0) {
        il__doc_section(doc, "parity", "Parity");
        (void)il__doc_artifact(doc, f, &f->parity, "", parity, COUNT_OF(parity), NULL, NULL);
    }
    put_prefix_cache(doc, f);
    if (f->equivalence.n_rows > 0) {
        il__doc_section(doc, "equivalence", "Models of one shape");
        il__doc_open(doc, IL__BLOCK_PARAGRAPH);
        il__doc_text(doc, "The second model's time over the first's, with the 90 %% interval that "
                          "decides: equivalent when it lies inside the margin, different when it "
                          "lies outside.");
        (void)il__doc_artifact(doc, f, &f->equivalence, "", twins, COUNT_OF(twins), NULL, NULL);
    }
}
