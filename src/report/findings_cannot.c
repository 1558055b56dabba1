/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a run cannot tell. Each rule names the limit and what would lift it; a limit that does not
 * apply is not printed.
 */
#include "base/text.h"
#include "report/findings_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *clean(il__making *m, const char *text, size_t most)
{
    char out[2048];
    il_words_clean(out, sizeof out, text, most);
    return il__say(m, "%s", out);
}

/* Laws that are not identifiable, one sentence a backend and mode, against total parameters (the
 * question people ask); the findings hold the decode and prefill ones with their reason already. */
static int laws_cannot(il__making *m)
{
    const il_artifact *t = &m->facts->laws;
    size_t n_weak = 0, n_slopes = 0, first = SIZE_MAX;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(il_artifact_text(t, i, "term"), "slope") != 0) {
            continue;
        }
        n_slopes++;
        if (strcmp(il_artifact_text(t, i, "verdict"), "supported") != 0) {
            n_weak++;
            first = first == SIZE_MAX ? i : first;
        }
    }
    if (!t->present) {
        return il__finding_add(m, true, "not_measured",
                               "Whether any law holds: the run has no judged laws.",
                               "analysis/laws.csv: absent");
    }
    if (n_weak == 0) {
        return IL_OK;
    }
    il__cite(m, t, first);
    return il__finding_add(
        m, true, "not_identifiable",
        il__say(
            m,
            "%zu of %zu laws are not identifiable, so no prediction follows from them; the first: "
            "%s of %s against %s: %s. Models of other sizes and shapes would decide.",
            n_weak, n_slopes, il_artifact_text(t, first, "mode"),
            il__name(m, il_artifact_text(t, first, "backend")),
            il__name(m, il_findings_x_words(il_artifact_text(t, first, "x"))),
            clean(m, il_artifact_text(t, first, "because"), 160)),
        il__law_key(m, first));
}

static int tails_cannot(il__making *m)
{
    const il_artifact *t = &m->facts->tails;
    double least = INFINITY, n_most = 0.0;
    size_t row = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        double q = il_artifact_number(t, i, "quantile");
        if (isfinite(q) && q > 0.5 && !isfinite(il_artifact_number(t, i, "estimate_ms"))) {
            row = q < least ? i : row;
            least = fmin(least, q);
            n_most = fmax(n_most, il_artifact_number(t, i, "n"));
        }
    }
    if (!isfinite(least)) {
        return t->present ? IL_OK
                          : il__finding_add(m, true, "not_measured",
                                            "Tails: no quantile beyond the median was judged.",
                                            "analysis/tails.csv: absent");
    }
    char percent[32];
    il_words_plain(percent, sizeof percent, least * 100.0);
    il__cite(m, t, row);
    return il__finding_add(
        m, true, "not_measured",
        il__say(m,
                "Tails from p%g on: %.0f measured calls a cell are too few for an exact interval "
                "(%s).",
                least * 100.0, n_most, clean(m, il_artifact_text(t, row, "note"), 80)),
        il__say(m, "analysis/tails.csv: quantile=%s", il_artifact_text(t, row, "quantile")));
}

static int losses_cannot(il__making *m)
{
    const il_medians *all = &m->facts->medians;
    for (size_t i = 0; i < all->n_losses && i < 12; i++) {
        const il_loss *l = &all->losses[i];
        bool not_run = strcmp(l->status, "not_run") == 0;
        const char *message = l->message[0]  ? l->message
                              : l->reason[0] ? l->reason
                              : not_run      ? "the run ended before them"
                                             : "no reason was recorded";
        const char *hint = l->hint[0] ? il__say(m, " To mend it: %s.", clean(m, l->hint, 120)) : "";
        int rc = il__finding_add(
            m, true, "not_measured",
            il__say(m, "%s: %zu rows of %zu model%s are %s: %s.%s", il__name(m, l->backend),
                    l->n_rows, l->n_models, l->n_models == 1 ? "" : "s",
                    not_run ? "not run" : il__name(m, l->status), clean(m, message, 160),
                    hint ? hint : ""),
            il__say(m, "analysis/outcomes.csv: section=lost, backend=%s, status=%s, reason=%s",
                    il__name(m, l->backend), il__name(m, l->status), il__name(m, l->reason)));
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

static int range_cannot(il__making *m)
{
    const il_medians *all = &m->facts->medians;
    int64_t batch_least = INT64_MAX, batch_most = 0;
    for (size_t i = 0; i < all->n_rows; i++) {
        int64_t b = all->rows[i].batch_size;
        batch_least = b < batch_least ? b : batch_least;
        batch_most = b > batch_most ? b : batch_most;
    }
    int rc = IL_OK;
    if (isfinite(all->prompt_tok_most) &&
        all->prompt_tok_most < 4.0 * all->prompt_tok_least + 64.0) {
        const char *range =
            all->prompt_tok_least == all->prompt_tok_most
                ? il__say(m, "%.0f tokens", all->prompt_tok_most)
                : il__say(m, "%.0f to %.0f tokens", all->prompt_tok_least, all->prompt_tok_most);
        rc = il__finding_add(m, true, "not_measured",
                             il__say(m,
                                     "Long prompts: prompts had %s, so how prefill and memory grow "
                                     "with prompt length stays open (prompt_tokens_list).",
                                     range ? range : ""),
                             "analysis/outcomes.csv: section=prompt_tokens");
    }
    if (rc == IL_OK && batch_most == batch_least && batch_most > 0) {
        rc = il__finding_add(m, true, "not_measured",
                             il__say(m,
                                     "Other batch sizes: only batch %lld was run, one caller at a "
                                     "time.",
                                     (long long)batch_most),
                             "analysis/medians.csv: batch_size");
    }
    return rc;
}

static int sitting_cannot(il__making *m)
{
    const il_facts *f = m->facts;
    int rc = IL_OK;
    if (!f->manifest) {
        rc =
            il__finding_add(m, true, "not_measured",
                            "Where and how this was measured: the run has no manifest, so machine, "
                            "seed and source are unknown.",
                            "manifest.json: absent");
    } else {
        rc = il__finding_add(
            m, true, "not_measured",
            "Other days and other machines: one sitting on one machine; what changes "
            "between sittings is in no interval here.",
            "manifest.json: started_at_unix, finished_at_unix");
    }
    if (rc == IL_OK && !f->medians.by_block) {
        rc = il__finding_add(
            m, true, "not_measured",
            "What a fresh process changes: all repetitions ran in one block, so the "
            "calls are the replicates (schedule: {blocks: 10}).",
            "analysis/medians.csv: replicate=call");
    }
    if (rc == IL_OK && f->medians.by_block && f->medians.n_blocks < 6) {
        rc =
            il__finding_add(m, true, "not_measured",
                            il__say(m,
                                    "Intervals of medians: %zu blocks are too few, 6 are the least "
                                    "for 95 %%.",
                                    f->medians.n_blocks),
                            "analysis/medians.csv: n_replicates");
    }
    return rc;
}

/* Whether any model of the manifest says that its weights are synthetic. */
static bool weights_are_random(const il_facts *f)
{
    const json_t *models = json_object_get(json_object_get(f->manifest, "resolved"), "models");
    size_t i;
    json_t *model;
    json_array_foreach(models, i, model)
    {
        if (json_is_true(json_object_get(model, "synthetic"))) {
            return true;
        }
    }
    return false;
}

static int noise_cannot(il__making *m)
{
    const il_artifact *t = &m->facts->noise;
    bool any = false;
    for (size_t i = 0; i < t->n_rows; i++) {
        double low = il_artifact_number(t, i, "ci_low"), high = il_artifact_number(t, i, "ci_high");
        any = any || isfinite(il_artifact_number(t, i, "mde_percent"));
        double aa = il_artifact_number(t, i, "aa_ratio");
        /* One raw 95 % interval in twenty leaves out 1 by chance, and a run has many: as for every
         * verdict the effect must exceed mde_percent too. */
        if ((low > 1.0 || high < 1.0) &&
            100.0 * fabs(aa - 1.0) > il_artifact_number(t, i, "mde_percent")) {
            char ratio[96];
            il_words_interval(ratio, sizeof ratio, aa, low, high);
            il__cite(m, t, i);
            int rc = il__finding_add(
                m, true, "contradicted",
                il__say(m,
                        "Small differences on %s, %s: two arms of the same cell differ, A/A ratio "
                        "%s, so something other than the model moved the times.",
                        il__name(m, il_artifact_text(t, i, "backend")),
                        il_artifact_text(t, i, "mode"), ratio),
                il__say(m, "analysis/noise_floor.csv: backend=%s, mode=%s, cell=%s",
                        il__name(m, il_artifact_text(t, i, "backend")),
                        il_artifact_text(t, i, "mode"),
                        il__name(m, il_artifact_text(t, i, "cell"))));
            if (rc != IL_OK) {
                return rc;
            }
        }
    }
    return any ? IL_OK
               : il__finding_add(
                     m, true, "not_measured",
                     "Differences between models: without A/A arms there is no noise floor, "
                     "and no model is called faster than another.",
                     t->present ? "analysis/noise_floor.csv: mde_percent empty"
                                : "analysis/noise_floor.csv: absent");
}

int il__cannot_tell(il__making *m)
{
    int rc = laws_cannot(m);
    rc = rc == IL_OK ? noise_cannot(m) : rc;
    rc = rc == IL_OK ? il__undecided(m) : rc;
    rc = rc == IL_OK ? tails_cannot(m) : rc;
    rc = rc == IL_OK ? losses_cannot(m) : rc;
    rc = rc == IL_OK ? range_cannot(m) : rc;
    rc = rc == IL_OK ? sitting_cannot(m) : rc;
    if (rc == IL_OK && weights_are_random(m->facts)) {
        rc = il__finding_add(m, true, "not_measured",
                             "Trained weights: these are random weights of the same shapes; speed "
                             "should not differ, and no text they write means anything.",
                             "manifest.json: resolved.models");
    }
    if (rc == IL_OK && m->facts->medians.mapped) {
        rc = il__finding_add(
            m, true, "not_measured",
            il__say(m,
                    "The runtime that was asked for: cells of kind %s, as every row "
                    "says.",
                    il__name(m, m->facts->medians.mapped)),
            "analysis/outcomes.csv: section=mapped");
    }
    return rc;
}
