/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/findings.h"

#include "base/text.h"
#include "report/findings_internal.h"
#include "report/names.h"
#include "report/words.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Two coefficients and three models more: methods, how many models. */
enum { LEAST_MODELS = 5 };

const char *il_findings_x_words(const char *x)
{
    static const char *const words[][2] = {{"params_total", "total parameters"},
                                           {"params_non_embedding", "non-embedding parameters"},
                                           {"params_active", "active parameters"},
                                           {"bytes_read", "bytes read"},
                                           {"flops", "FLOPs"},
                                           {"n_layer", "layers"},
                                           {"d_model", "width"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i][0], x) == 0) {
            return words[i][1];
        }
    }
    return x;
}

bool il_findings_quotable(const char *ci_method)
{
    static const char *const methods[] = {"t", "exact", "order_statistic", "nested_bootstrap"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(methods[i], ci_method) == 0) {
            return true;
        }
    }
    return false;
}

const char *il__mode_words(const char *mode)
{
    return strcmp(mode, "kv_decode") == 0 ? "a decode step"
           : strcmp(mode, "prefill") == 0 ? "prefill"
           : strcmp(mode, "e2e_kv") == 0  ? "an end-to-end call"
                                          : mode;
}

int il__finding_add(il__making *m, bool cannot, const char *verdict, const char *sentence,
                    const char *evidence)
{
    il_findings *f = m->out;
    il_finding **items = cannot ? &f->cannot : &f->items;
    size_t *n = cannot ? &f->n_cannot : &f->n_items, *cap = cannot ? &f->cap_cannot : &f->cap_items;
    if (*n == *cap) {
        size_t grown = *cap ? *cap * 2 : 16;
        il_finding *moved = il_arena_array(&m->facts->arena, grown, sizeof *moved);
        if (!moved) {
            return il_fail(m->err, IL_E_NOMEM, "no memory for the findings");
        }
        if (*n > 0) {
            memcpy(moved, *items, *n * sizeof *moved);
        }
        *items = moved;
        *cap = grown;
    }
    if (!sentence || !evidence) {
        return il_fail(m->err, IL_E_NOMEM, "no memory for the findings");
    }
    (*items)[(*n)++] = (il_finding){.sentence = sentence, .evidence = evidence, .verdict = verdict};
    return IL_OK;
}

const char *il__say(il__making *m, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return il_arena_strdup(&m->facts->arena, text);
}

const char *il__name(il__making *m, const char *text)
{
    char clean[168];
    il_words_clean(clean, sizeof clean, text, 40);
    return il__say(m, "%s", clean);
}

const char *il__law_key(il__making *m, size_t row)
{
    const il_artifact *t = &m->facts->laws;
    return il__say(
        m, "analysis/laws.csv: backend=%s, batch_size=%s, mode=%s, x=%s, form=%s, term=slope",
        il__name(m, il_artifact_text(t, row, "backend")), il_artifact_text(t, row, "batch_size"),
        il_artifact_text(t, row, "mode"), il_artifact_text(t, row, "x"),
        il_artifact_text(t, row, "form"));
}

static const char *median_key(il__making *m, const il_cell_median *a)
{
    return il__say(m, "backend=%s, model=%s, scenario=%s, mode=%s", il__name(m, a->backend),
                   il__name(m, a->model), il__name(m, a->scenario), a->mode);
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

const char *il_findings_backend(const il_facts *facts)
{
    const char *best = NULL;
    size_t best_n = 0, n = 0;
    const il_medians *all = &facts->medians;
    for (size_t i = 0; i < all->n_rows; i++) {
        const il_cell_median *m = &all->rows[i];
        if (strcmp(m->scenario, IL_ALL_SCENARIOS) != 0 || strcmp(m->mode, "kv_decode") != 0) {
            continue;
        }
        bool same = i > 0 && strcmp(all->rows[i - 1].backend, m->backend) == 0 &&
                    strcmp(all->rows[i - 1].mode, m->mode) == 0;
        n = same ? n + 1 : 1;
        if (n > best_n) {
            best_n = n;
            best = m->backend;
        }
    }
    return best;
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

/* ---- laws ---- */

static bool is_slope_of_power(const il_artifact *t, size_t row)
{
    return strcmp(il_artifact_text(t, row, "term"), "slope") == 0 &&
           strcmp(il_artifact_text(t, row, "form"), "power") == 0;
}

/* x in the order in which it is spoken of: total parameters, which is what people ask about, then
 * what physics names first: decode reads bytes, prefill counts multiplications, depth is launches
 * and barriers. The order is fixed beforehand: choosing by fit would need its own hold-out. */
static int x_rank(const char *x)
{
    static const char *const order[] = {
        "params_total",  "bytes_read", "flops",  "params_non_embedding",
        "params_active", "n_layer",    "d_model"};
    int n = (int)(sizeof order / sizeof *order);
    for (int i = 0; i < n; i++) {
        if (strcmp(order[i], x) == 0) {
            return n - i;
        }
    }
    return 0;
}

static bool law_supported(const il_artifact *t, size_t row)
{
    return strcmp(il_artifact_text(t, row, "verdict"), "supported") == 0;
}

/* The first law in that order for a backend, batch and mode, supported or not. others: only laws
 * that are supported and not of total parameters. SIZE_MAX when there is none. */
static size_t law_choose(const il_facts *f, const char *backend, const char *mode, double batch,
                         bool others)
{
    const il_artifact *t = &f->laws;
    size_t best = SIZE_MAX;
    int best_rank = -1;
    for (size_t i = 0; i < t->n_rows; i++) {
        int rank = x_rank(il_artifact_text(t, i, "x"));
        if (!is_slope_of_power(t, i) || strcmp(il_artifact_text(t, i, "backend"), backend) != 0 ||
            strcmp(il_artifact_text(t, i, "mode"), mode) != 0 || rank <= best_rank ||
            (isfinite(batch) && il_artifact_number(t, i, "batch_size") != batch) ||
            (others &&
             (!law_supported(t, i) || strcmp(il_artifact_text(t, i, "x"), "params_total") == 0))) {
            continue;
        }
        best_rank = rank;
        best = i;
    }
    return best;
}

/* No model overturns such a law, yet the exponent may be 0: a reader must be told. */
static bool takes_in_zero(const il_artifact *t, size_t row)
{
    return il_artifact_number(t, row, "ci_low") <= 0.0 &&
           il_artifact_number(t, row, "ci_high") >= 0.0;
}

/* "0.291 (95 % interval 0.149 to 0.433)". */
static const char *slope_text(il__making *m, size_t row)
{
    const il_artifact *t = &m->facts->laws;
    char text[96];
    double estimate = il_artifact_number(t, row, "estimate");
    double low = il_artifact_number(t, row, "ci_low"), high = il_artifact_number(t, row, "ci_high");
    bool quotable = il_findings_quotable(il_artifact_text(t, row, "ci_method"));
    if (!quotable || !isfinite(low) || !isfinite(high)) {
        il_words_number(text, sizeof text, estimate, NAN, NAN);
        return il__say(m, "%s", text);
    }
    il_words_interval(text, sizeof text, estimate, low, high);
    char *open = strchr(text, '(');
    return open ? il__say(m, "%.*s(95 %% interval %s", (int)(open - text), text, open + 1)
                : il__say(m, "%s", text);
}

static const char *because_text(il__making *m, size_t row)
{
    char clean[1024];
    il_words_clean(clean, sizeof clean, il_artifact_text(&m->facts->laws, row, "because"), 240);
    /* The first clause is the reason; what follows qualifies it and stands in the table of laws. */
    char *rest = strstr(clean, "; ");
    if (rest) {
        *rest = '\0';
    }
    size_t n = strlen(clean);
    while (n > 0 && (clean[n - 1] == '.' || clean[n - 1] == ' ')) {
        clean[--n] = '\0';
    }
    return il__say(m, "%s", n ? clean : "no reason was recorded");
}

static int law_finding(il__making *m, size_t row)
{
    const il_artifact *t = &m->facts->laws;
    const char *backend = il__name(m, il_artifact_text(t, row, "backend"));
    const char *what = il__mode_words(il_artifact_text(t, row, "mode"));
    const char *x = il__name(m, il_findings_x_words(il_artifact_text(t, row, "x")));
    if (!law_supported(t, row)) {
        return il__finding_add(
            m, false, "not_identifiable",
            il__say(m, "On %s no exponent can be named for the time of %s against %s: %s.", backend,
                    what, x, because_text(m, row)),
            il__law_key(m, row));
    }
    double error = 100.0 * il_artifact_number(t, row, "loo_mape");
    const char *unsure = takes_in_zero(t, row) ? ", but the interval takes in 0" : "";
    char predicted[128] = "";
    if (isfinite(error)) {
        (void)snprintf(predicted, sizeof predicted,
                       ", and the time of a model left out is missed by %.*f %% on average",
                       error < 10.0 ? 1 : 0, error);
    }
    return il__finding_add(
        m, false, "supported",
        il__say(m,
                "On %s the time of %s grows as a power of %s with exponent %s over "
                "%s models; no model left out overturns it%s%s.",
                backend, what, x, slope_text(m, row), il_artifact_text(t, row, "n_models"), unsure,
                predicted),
        il__law_key(m, row));
}

/* A batch size's law against the first x and, where that one does not stand, the first that does. A
 * law with too few models for its form is no finding: it stands among what the run cannot tell. */
static int law_findings(il__making *m, const char *backend, const char *mode)
{
    const il_artifact *t = &m->facts->laws;
    for (size_t i = 0; i < t->n_rows; i++) {
        double batch = il_artifact_number(t, i, "batch_size");
        if (!is_slope_of_power(t, i) || strcmp(il_artifact_text(t, i, "mode"), mode) != 0 ||
            strcmp(il_artifact_text(t, i, "backend"), backend) != 0 ||
            !(il_artifact_number(t, i, "n_models") >= LEAST_MODELS) ||
            law_choose(m->facts, backend, mode, batch, false) != i) {
            continue;
        }
        size_t other =
            law_supported(t, i) ? SIZE_MAX : law_choose(m->facts, backend, mode, batch, true);
        int rc = law_finding(m, i);
        rc = rc == IL_OK && other != SIZE_MAX ? law_finding(m, other) : rc;
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
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

static int inversion_finding(il__making *m, const char *backend, const char *mode)
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
static int context_finding(il__making *m, const char *backend)
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
static int prefill_finding(il__making *m, const char *backend)
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

static int findings_of(il__making *m, const char *backend)
{
    static const char *const modes[] = {"kv_decode", "prefill"};
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < 2; i++) {
        rc = law_findings(m, backend, modes[i]);
        rc = rc == IL_OK ? inversion_finding(m, backend, modes[i]) : rc;
    }
    rc = rc == IL_OK ? context_finding(m, backend) : rc;
    return rc == IL_OK ? prefill_finding(m, backend) : rc;
}

/* The backend of the answer first, then the others in the order of the tables. */
static int backend_findings(il__making *m, const char *first)
{
    const il_medians *all = &m->facts->medians;
    int rc = first ? findings_of(m, first) : IL_OK;
    for (size_t i = 0; rc == IL_OK && i < all->n_rows; i++) {
        const char *backend = all->rows[i].backend;
        bool seen = i > 0 && strcmp(backend, all->rows[i - 1].backend) == 0;
        if (!seen && (!first || strcmp(backend, first) != 0)) {
            rc = findings_of(m, backend);
        }
    }
    return rc;
}

/* ---- the answer ---- */

static const char *answer_range(il__making *m, const char *backend)
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

static const char *answer_law(il__making *m, const char *backend)
{
    const il_artifact *t = &m->facts->laws;
    size_t row = backend ? law_choose(m->facts, backend, "kv_decode", NAN, false) : SIZE_MAX;
    if (row == SIZE_MAX) {
        return il__say(m, "No law was judged, so nothing is said about sizes in between.");
    }
    const char *x = il__name(m, il_findings_x_words(il_artifact_text(t, row, "x")));
    if (law_supported(t, row)) {
        return il__say(
            m,
            "In between, the time grows as a power of %s with exponent %s, whichever "
            "model is left out%s.",
            x, slope_text(m, row),
            takes_in_zero(t, row) ? "; the interval takes in 0, so it may not grow at all" : "");
    }
    size_t other = law_choose(m->facts, backend, "kv_decode", NAN, true);
    if (other == SIZE_MAX) {
        return il__say(m, "No exponent in %s describes what lies between them: %s.", x,
                       because_text(m, row));
    }
    return il__say(
        m, "No exponent in %s describes what lies between them (%s); one in %s does, %s.", x,
        because_text(m, row), il__name(m, il_findings_x_words(il_artifact_text(t, other, "x"))),
        slope_text(m, other));
}

int il_findings_make(il_facts *facts, il_findings *out, il_error *err)
{
    *out = (il_findings){0};
    il__making m = {.facts = facts, .out = out, .err = err};
    const char *backend = il_findings_backend(facts);
    const char *range = answer_range(&m, backend), *law = answer_law(&m, backend);
    out->question = "As a model grows, how does the time of one more token grow, and how far can "
                    "that be trusted?";
    out->answer = range && law ? il__say(&m, "%s %s", range, law) : NULL;
    if (!out->answer) {
        return il_fail(err, IL_E_NOMEM, "no memory for the findings");
    }
    int rc = backend_findings(&m, backend);
    return rc == IL_OK ? il__cannot_tell(&m) : rc;
}
