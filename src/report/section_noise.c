/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The noise floor, the blocks with their sentinels, and what adaptive sampling did.
 */
#include "report/artifact_table.h"
#include "report/report_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>

static void put_arms(il__doc *doc, const il_facts *f)
{
    static const il__heading headings[] = {
        {"backend", IL__CELL_TEXT},       {"mode", IL__CELL_TEXT},
        {"cell", IL__CELL_TEXT},          {"blocks", IL__CELL_NUMBER},
        {"A/A ratio", IL__CELL_INTERVAL}, {"smallest effect", IL__CELL_NUMBER},
        {"closure", IL__CELL_INTERVAL},   {"drift per hour", IL__CELL_NUMBER},
        {"flagged rows", IL__CELL_NUMBER}};
    const il_artifact *t = &f->noise;
    il__doc_say(doc,
                "Two arms of the same cell, in separate fresh processes, should give a ratio of "
                "1. Twice the half-width of that ratio's interval is the smallest effect this "
                "run calls. Closure is an unsplit call over prefill + decode: what the stamps "
                "cost.");
    il__doc_table(doc, IL__BLOCK_TABLE, "", headings, 9, "noise_floor.csv");
    for (size_t k = 0; k < 2 * t->n_rows; k++) { /* cells with a second arm first */
        size_t i = k % t->n_rows;
        bool arms = isfinite(il_artifact_number(t, i, "aa_ratio"));
        if (arms != (k < t->n_rows) || !il__doc_row(doc, NULL)) {
            continue;
        }
        il__doc_cell(doc, il_artifact_text(t, i, "backend"));
        il__doc_cell(doc, il_artifact_text(t, i, "mode"));
        il__doc_cell(doc, il_artifact_text(t, i, "cell"));
        il__doc_cell_number(doc, il_artifact_number(t, i, "n_blocks"), "%.0f");
        il__doc_cell_interval(doc, il_artifact_number(t, i, "aa_ratio"),
                              il_artifact_number(t, i, "ci_low"),
                              il_artifact_number(t, i, "ci_high"));
        il__doc_cell_percent(doc, il_artifact_number(t, i, "mde_percent"));
        double closure = il_artifact_number(t, i, "closure");
        double low = il_artifact_number(t, i, "closure_ci_low");
        if (isfinite(closure) && isfinite(low)) {
            il__doc_cell_interval(doc, closure, low, il_artifact_number(t, i, "closure_ci_high"));
        } else {
            il__doc_cell_number(doc, closure, "%.3f");
        }
        double drift = il_artifact_number(t, i, "drift_percent_per_hour");
        il__doc_cell_percent(doc, il__drift_told(t, i) ? drift : NAN);
        il__doc_cell_number(doc, il_artifact_number(t, i, "flagged_rows"), "%.0f");
    }
}

static void put_blocks(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"block", "block", IL__SHOW_NUMBER, NULL, NULL},
        {"sentinel GEMM, ms", "sentinel_gemm_ms", IL__SHOW_NUMBER, NULL, NULL},
        {"sentinel read, ms", "sentinel_read_ms", IL__SHOW_NUMBER, NULL, NULL},
        {"drift", "drift_percent", IL__SHOW_PERCENT, NULL, NULL},
        {"read, GB/s", "read_gbps", IL__SHOW_NUMBER, NULL, NULL},
        {"FMA, GFLOP/s", "fma_gflops", IL__SHOW_NUMBER, NULL, NULL},
        {"flagged", "flagged", IL__SHOW_YES, NULL, NULL},
        {"because", "because", IL__SHOW_PROSE, NULL, NULL}};
    if (f->blocks.n_rows == 0) {
        return;
    }
    il__doc_subsection(doc, "Blocks");
    il__doc_say(doc,
                "Each block measures a sentinel, a fixed multiplication and a fixed read of "
                "memory, and the ceilings again. Drift is the sentinel against its median over "
                "the run; it flags a block and corrects nothing.");
    (void)il__doc_artifact(doc, f, &f->blocks, "", columns, 8, NULL, NULL);
}

static void put_sampling(il__doc *doc, const il_facts *f)
{
    static const il__shown columns[] = {
        {"question", "question", IL__SHOW_TEXT, NULL, NULL},
        {"target", "target", IL__SHOW_TEXT, NULL, NULL},
        {"reached", "reached", IL__SHOW_TEXT, NULL, NULL},
        {"half-width", "half_width_percent", IL__SHOW_PERCENT, NULL, NULL},
        {"stopped because", "stop_reason", IL__SHOW_WORDS, NULL, NULL},
        {"blocks, least", "blocks_least", IL__SHOW_NUMBER, NULL, NULL},
        {"blocks, most", "blocks_most", IL__SHOW_NUMBER, NULL, NULL},
        {"calls", "calls_made", IL__SHOW_NUMBER, NULL, NULL},
        {"calls of a fixed design", "calls_fixed_design", IL__SHOW_NUMBER, NULL, NULL},
        {"saved", "saved_percent", IL__SHOW_PERCENT, NULL, NULL}};
    if (f->sampling.n_rows == 0) {
        return;
    }
    il__doc_subsection(doc, "Sampling");
    il__doc_say(doc, "Blocks went where they shrank the widest interval of the question. A fixed "
                     "design would have given every cell as many blocks as the one that got most.");
    (void)il__doc_artifact(doc, f, &f->sampling, "", columns, 10, NULL, NULL);
}

void il__report_noise(il__doc *doc, const il_facts *f)
{
    il__doc_section(doc, "noise", "Noise floor");
    if (f->noise.n_rows == 0) {
        il__doc_absent(doc, "Not measured: no A/A arms ran, so no difference gets a verdict",
                       "noise_floor.csv");
    } else {
        put_arms(doc, f);
    }
    put_blocks(doc, f);
    put_sampling(doc, f);
}
