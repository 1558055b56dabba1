/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Findings about single models: which takes how long, and a larger one that is faster.
 */
#include "report/findings_internal.h"
#include "report/names.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *median_key(il__making *m, const il_cell_median *a)
{
    return il__say(m, "backend=%s, model=%s, scenario=%s, mode=%s", il__name(m, a->backend),
                   il__name(m, a->model), il__name(m, a->scenario), a->mode);
}

/* The rows of medians.csv stand in the order of the file. */
static void cite_median(il__making *m, const il_cell_median *row)
{
    il__cite(m, &m->facts->median_rows, (size_t)(row - m->facts->medians.rows));
}

/* Milliseconds of a row: per step for decode, of the whole call else. */
static void row_ms(const il_cell_median *row, double out[3])
{
    if (strcmp(row->mode, "kv_decode") == 0) {
        il_median_per_step(row, out);
        return;
    }
    out[0] = row->median_ms;
    out[1] = row->low_ms;
    out[2] = row->high_ms;
}

static const char *ms_text(il__making *m, const double ms[3])
{
    char text[96];
    il_words_interval(text, sizeof text, ms[0], ms[1], ms[2]);
    return il__say(m, "%s", text);
}

static const char *millions(il__making *m, double params)
{
    char text[32];
    il_words_plain(text, sizeof text, params);
    return il__say(m, "%s M", text);
}

/* The smallest and the largest model of a backend with known size; false when there are not two. */
static bool ends_find(const il_facts *f, const char *backend, const char *mode,
                      const il_cell_median **small, const il_cell_median **large)
{
    *small = *large = NULL;
    for (size_t i = 0; i < f->medians.n_rows; i++) {
        const il_cell_median *m = &f->medians.rows[i];
        double ms[3];
        row_ms(m, ms);
        if (strcmp(m->scenario, IL_ALL_SCENARIOS) != 0 || strcmp(m->mode, mode) != 0 ||
            strcmp(m->backend, backend) != 0 || !(m->params_millions > 0.0) || !isfinite(ms[0])) {
            continue;
        }
        *small = !*small || m->params_millions < (*small)->params_millions ? m : *small;
        *large = !*large || m->params_millions > (*large)->params_millions ? m : *large;
    }
    return *small && (*small)->params_millions < (*large)->params_millions;
}

/* ---- a larger model that is faster ---- */

/* Whether a (smaller) is slower than b (larger) by more than this run can mistake: disjoint exact
 * intervals and a gap beyond the smallest effect. */
static double inversion_gap(const il_cell_median *a, const il_cell_median *b, double mde)
{
    double x[3], y[3];
    row_ms(a, x);
    row_ms(b, y);
    bool clear = a->params_millions < b->params_millions && x[1] > y[2] && x[0] / y[0] - 1.0 > mde;
    return clear ? x[0] / y[0] : 0.0;
}

int il__inversion_finding(il__making *m, const char *backend, const char *mode)
{
    const il_medians *all = &m->facts->medians;
    size_t noise_row = 0;
    double mde = il_facts_mde(m->facts, backend, mode, &noise_row), widest = 0.0;
    const il_cell_median *a = NULL, *b = NULL;
    if (!isfinite(mde)) {
        return IL_OK; /* without a noise floor nothing is called */
    }
    for (size_t i = 0; i < all->n_rows; i++) {
        const il_cell_median *p = &all->rows[i];
        if (strcmp(p->backend, backend) != 0 || strcmp(p->mode, mode) != 0 ||
            strcmp(p->scenario, IL_ALL_SCENARIOS) != 0) {
            continue;
        }
        for (size_t j = i + 1; j < all->n_rows; j++) {
            const il_cell_median *q = &all->rows[j];
            if (strcmp(q->backend, backend) == 0 && strcmp(q->mode, mode) == 0 &&
                q->scenario_set == p->scenario_set && strcmp(q->scenario, IL_ALL_SCENARIOS) == 0 &&
                q->batch_size == p->batch_size && q->gen_tokens == p->gen_tokens &&
                inversion_gap(p, q, mde) > widest) {
                widest = inversion_gap(p, q, mde);
                a = p;
                b = q;
            }
        }
    }
    if (!a) {
        return IL_OK;
    }
    double x[3], y[3];
    row_ms(a, x);
    row_ms(b, y);
    cite_median(m, a);
    cite_median(m, b);
    return il__finding_add(
        m, false, "supported",
        il__say(m,
                "On %s a larger model can be faster: %s takes %s ms on %s (%s parameters) and "
                "%s ms on %s (%s), so parameters alone do not order latency here.",
                il__name(m, backend), il__mode_words(mode), ms_text(m, x),
                il_facts_model_name(m->facts, a->model), millions(m, a->params_millions),
                ms_text(m, y), il_facts_model_name(m->facts, b->model),
                millions(m, b->params_millions)),
        il__say(m, "analysis/medians.csv: %s; and model=%s", median_key(m, a),
                il__name(m, b->model)));
}

/* ---- context ---- */

/* How a step grows with the context behind it, on the largest model. Called only where the growth
 * over the steps that were run exceeds the noise floor. */
int il__context_finding(il__making *m, const char *backend)
{
    const il_artifact *t = &m->facts->steps;
    const il_cell_median *small, *large;
    double mde = il_facts_mde(m->facts, backend, "kv_decode", NULL);
    if (!isfinite(mde) || !ends_find(m->facts, backend, "kv_decode", &small, &large)) {
        return IL_OK;
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        double b = il_artifact_number(t, i, "b_us_per_context_token");
        double low = il_artifact_number(t, i, "ci_low"), high = il_artifact_number(t, i, "ci_high");
        double grown = b * 1e-3 * il_artifact_number(t, i, "n_steps");
        if (strcmp(il_artifact_text(t, i, "backend"), backend) != 0 ||
            strcmp(il_artifact_text(t, i, "model"), large->model) != 0 || !(low > 0.0) ||
            !(b >= low && b <= high) || !(grown / il_artifact_number(t, i, "a_ms") > mde)) {
            continue;
        }
        char text[96];
        il_words_interval(text, sizeof text, b, low, high);
        il__cite(m, t, i);
        return il__finding_add(
            m, false, "supported",
            il__say(m, "On %s each token of context adds %s µs to a decode step of %s.",
                    il__name(m, backend), text, il_facts_model_name(m->facts, large->model)),
            il__say(m, "analysis/steps.csv: backend=%s, model=%s, batch_size=%s",
                    il__name(m, backend), il__name(m, large->model),
                    il_artifact_text(t, i, "batch_size")));
    }
    return IL_OK;
}

/* ---- prefill beside decode ---- */

/* With short prompts prefill costs about a step or two, and the decode share of a call is counting,
 * not a property of the machine. Said with the numbers of the largest model. */
int il__prefill_finding(il__making *m, const char *backend)
{
    const il_medians *all = &m->facts->medians;
    const il_cell_median *small, *large, *longest = NULL;
    if (!(all->prompt_tok_most <= 64.0) ||
        !ends_find(m->facts, backend, "kv_decode", &small, &large)) {
        return IL_OK;
    }
    for (size_t i = 0; i < all->n_rows; i++) {
        const il_cell_median *p = &all->rows[i];
        if (strcmp(p->backend, backend) == 0 && strcmp(p->mode, "prefill") == 0 &&
            strcmp(p->model, large->model) == 0 && p->prompt_tok > 0.0 &&
            strcmp(p->scenario, IL_ALL_SCENARIOS) != 0 && p->batch_size == large->batch_size &&
            (!longest || p->prompt_tok > longest->prompt_tok)) {
            longest = p;
        }
    }
    const il_cell_median *decode =
        longest ? il_medians_find(all, backend, large->model, longest->scenario, "kv_decode",
                                  longest->batch_size)
                : NULL;
    double prefill[3], step[3];
    il_median_per_step(decode, step);
    if (!decode || !isfinite(step[1]) || !isfinite(longest->low_ms)) {
        return IL_OK;
    }
    row_ms(longest, prefill);
    cite_median(m, longest);
    cite_median(m, decode);
    return il__finding_add(
        m, false, "supported",
        il__say(
            m,
            "On %s a prompt of %.0f tokens costs %s %s ms of prefill, one decode step %s ms: with "
            "prompts this short the decode share of a call only counts its steps.",
            il__name(m, backend), longest->prompt_tok, il_facts_model_name(m->facts, large->model),
            ms_text(m, prefill), ms_text(m, step)),
        il__say(m, "analysis/medians.csv: %s; and mode=kv_decode", median_key(m, longest)));
}

/* ---- the answer ---- */

const char *il__answer_range(il__making *m, const char *backend)
{
    const il_cell_median *small, *large;
    if (!backend || !ends_find(m->facts, backend, "kv_decode", &small, &large)) {
        return il__say(m, "No backend measured two models of different size.");
    }
    double a[3], b[3];
    row_ms(small, a);
    row_ms(large, b);
    return il__say(
        m, "On %s one decode step takes %s ms on %s (%s parameters) and %s ms on %s (%s).",
        il__name(m, backend), ms_text(m, a), il_facts_model_name(m->facts, small->model),
        millions(m, small->params_millions), ms_text(m, b),
        il_facts_model_name(m->facts, large->model), millions(m, large->params_millions));
}
