/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Findings about laws: the one that held-out error chose, and the exponent in total parameters that
 * people ask for.
 */
#include "report/findings_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Two coefficients and three models more: methods, how many models. */
enum { LEAST_MODELS = 5 };

const char *il__law_key(il__making *m, size_t row)
{
    const il_artifact *t = &m->facts->laws;
    return il__say(
        m, "analysis/laws.csv: backend=%s, batch_size=%s, mode=%s, x=%s, form=%s, term=%s",
        il__name(m, il_artifact_text(t, row, "backend")), il_artifact_text(t, row, "batch_size"),
        il_artifact_text(t, row, "mode"), il_artifact_text(t, row, "x"),
        il_artifact_text(t, row, "form"), il_artifact_text(t, row, "term"));
}

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

/* A law may stand, no model overturning its exponent, and still be too coarse to predict with. */
static const char *coarse_text(const il_artifact *t, size_t row)
{
    return il_artifact_number(t, row, "loo_mape") > 0.5 ? ", too much to predict with" : "";
}

static int law_finding(il__making *m, size_t row)
{
    const il_artifact *t = &m->facts->laws;
    const char *backend = il__name(m, il_artifact_text(t, row, "backend"));
    const char *what = il__mode_words(il_artifact_text(t, row, "mode"));
    const char *x = il__name(m, il_findings_x_words(il_artifact_text(t, row, "x")));
    il__cite(m, t, row);
    if (!law_supported(t, row)) {
        return il__finding_add(
            m, false, "not_identifiable",
            il__say(m, "On %s no exponent can be named for the time of %s against %s: %s.", backend,
                    what, x, because_text(m, row)),
            il__law_key(m, row));
    }
    double error = 100.0 * il_artifact_number(t, row, "loo_mape");
    bool chosen = il_artifact_flag(t, row, "selected");
    const char *unsure = takes_in_zero(t, row) ? ", but the interval takes in 0" : "";
    char predicted[128] = "";
    if (isfinite(error)) {
        (void)snprintf(predicted, sizeof predicted, ", and %s is missed by %.*f %% on average",
                       chosen ? "a model left out of both fit and choice"
                              : "the time of a model left out",
                       error < 10.0 ? 1 : 0, error);
    }
    return il__finding_add(
        m, false, "supported",
        il__say(m,
                "On %s the time of %s grows as a power of %s with exponent %s over "
                "%s models; no model left out overturns it%s%s%s.",
                backend, what, x, slope_text(m, row), il_artifact_text(t, row, "n_models"), unsure,
                predicted, predicted[0] ? coarse_text(t, row) : ""),
        il__law_key(m, row));
}

/* ---- what a law has to beat ---- */

/* The best baseline that fits no form, when it foretells models left out no worse than the chosen
 * law of the same backend, batch size and mode; SIZE_MAX when the law beats them all. */
static size_t beaten_by(const il_facts *f, size_t law)
{
    const il_artifact *t = &f->laws, *b = &f->baselines;
    double own = il_artifact_number(t, law, "loo_mape"), least = INFINITY;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < b->n_rows; i++) {
        double its = il_artifact_number(b, i, "loo_mape");
        bool same =
            strcmp(il_artifact_text(t, law, "backend"), il_artifact_text(b, i, "backend")) == 0 &&
            strcmp(il_artifact_text(t, law, "mode"), il_artifact_text(b, i, "mode")) == 0 &&
            il_artifact_number(t, law, "batch_size") == il_artifact_number(b, i, "batch_size");
        if (same && strcmp(il_artifact_text(b, i, "baseline"), "params_power") != 0 &&
            its < least) {
            least = its;
            best = i;
        }
    }
    /* A law that cannot foretell some model at all (a blank error) is beaten too. */
    return best != SIZE_MAX && !(own < least) ? best : SIZE_MAX;
}

/* "one constant times bytes read misses a model left out by 35 % on average". */
static const char *baseline_text(il__making *m, size_t row)
{
    const il_artifact *b = &m->facts->baselines;
    const char *which = il_artifact_text(b, row, "baseline");
    const char *x = il__name(m, il_findings_x_words(il_artifact_text(b, row, "x")));
    double error = 100.0 * il_artifact_number(b, row, "loo_mape");
    const char *what = strcmp(which, "one_constant") == 0 ? il__say(m, "one constant times %s", x)
                       : strcmp(which, "measured_floor") == 0 ? "the floor of the machine itself"
                       : strcmp(which, "nearest_neighbour") == 0
                           ? "the time of the model nearest in size"
                           : "the mean of the others";
    return il__say(m, "%s misses a model left out by %.*f %% on average", what,
                   error < 10.0 ? 1 : 0, error);
}

/* ---- the law that was chosen ---- */

static const char *form_words(il__making *m, const char *form, const char *x)
{
    x = il__name(m, il_findings_x_words(x));
    if (strcmp(form, "affine") == 0) {
        return il__say(m, "a fixed time plus a share of %s", x);
    }
    if (strcmp(form, "affine_power") == 0) {
        return il__say(m, "a fixed time plus a power of %s", x);
    }
    return strcmp(form, "linear_shape") == 0  ? "a sum over layers, width and heads"
           : strcmp(form, "depth_width") == 0 ? "a product of powers of layers, width and heads"
           : strcmp(form, "physics") == 0
               ? "a time per step, a time per layer and a multiple of the physical floor"
               : il__say(m, "a power of %s", x);
}

size_t il__law_selected(const il_facts *f, const char *backend, const char *mode, double batch)
{
    const il_artifact *t = &f->laws;
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (!il_artifact_flag(t, i, "selected") ||
            strcmp(il_artifact_text(t, i, "backend"), backend) != 0 ||
            strcmp(il_artifact_text(t, i, "mode"), mode) != 0 ||
            (isfinite(batch) && il_artifact_number(t, i, "batch_size") != batch)) {
            continue;
        }
        if (strcmp(il_artifact_text(t, i, "term"), "slope") == 0) {
            return i;
        }
        first = first == SIZE_MAX ? i : first;
    }
    return first;
}

/* ", a model left out of fit and choice is missed by 2.7 % on average", or "". */
static const char *nested_text(il__making *m, size_t row, const char *lead)
{
    double error = 100.0 * il_artifact_number(&m->facts->laws, row, "loo_mape");
    return !isfinite(error) ? ""
                            : il__say(m,
                                      "%sa model left out of both fit and choice is missed by "
                                      "%.*f %% on average",
                                      lead, error < 10.0 ? 1 : 0, error);
}

/* The part that does not grow with size, of the forms that have one: ", of which 1.2 (1.1 to 1.3)
 * ms do not depend on size". */
static const char *fixed_text(il__making *m, size_t row)
{
    const il_artifact *t = &m->facts->laws;
    const char *term = il_artifact_text(t, row, "term");
    if (strcmp(term, "a") != 0 && strcmp(term, "t_step_ms") != 0) {
        return "";
    }
    bool quotable = il_findings_quotable(il_artifact_text(t, row, "ci_method"));
    char text[96];
    il_words_interval(text, sizeof text, il_artifact_number(t, row, "estimate"),
                      quotable ? il_artifact_number(t, row, "ci_low") : NAN,
                      quotable ? il_artifact_number(t, row, "ci_high") : NAN);
    bool decode = strcmp(il_artifact_text(t, row, "mode"), "kv_decode") == 0;
    return il__say(m, "; %s ms of %s do not depend on size", text,
                   strcmp(term, "t_step_ms") == 0 ? "each step"
                   : decode                       ? "the whole decode"
                                                  : "it");
}

static int selected_finding(il__making *m, size_t row)
{
    const il_artifact *t = &m->facts->laws;
    const char *form = il_artifact_text(t, row, "form"), *x = il_artifact_text(t, row, "x");
    const char *backend = il__name(m, il_artifact_text(t, row, "backend"));
    const char *what = il__mode_words(il_artifact_text(t, row, "mode"));
    size_t better = beaten_by(m->facts, row);
    if (better != SIZE_MAX && law_supported(t, row)) {
        const char *nested = nested_text(m, row, ": ");
        il__cite(m, t, row);
        il__cite(m, &m->facts->baselines, better);
        return il__finding_add(
            m, false, "not_identifiable",
            il__say(m,
                    "On %s no law predicts the time of %s: the one that was chosen over %s models, "
                    "%s, is no better than a baseline%s, and %s.",
                    backend, what, il_artifact_text(t, row, "n_models"), form_words(m, form, x),
                    nested, baseline_text(m, better)),
            il__law_key(m, row));
    }
    if (strcmp(form, "power") == 0) {
        return law_finding(m, row);
    }
    il__cite(m, t, row);
    if (!law_supported(t, row)) {
        return il__finding_add(m, false, "not_identifiable",
                               il__say(m,
                                       "On %s the law that predicts %s best, %s, does not stand: "
                                       "%s.",
                                       backend, what, form_words(m, form, x), because_text(m, row)),
                               il__law_key(m, row));
    }
    return il__finding_add(
        m, false, "supported",
        il__say(m, "On %s the time of %s over %s models is best predicted as %s%s%s%s.", backend,
                what, il_artifact_text(t, row, "n_models"), form_words(m, form, x),
                fixed_text(m, row), nested_text(m, row, "; "), coarse_text(t, row)),
        il__law_key(m, row));
}

/* A batch size's law against the first x and, where that one does not stand, the first that does. A
 * law with too few models for its form is no finding: it stands among what the run cannot tell. */
int il__law_findings(il__making *m, const char *backend, const char *mode)
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
        size_t chosen = il__law_selected(m->facts, backend, mode, batch);
        size_t other = law_supported(t, i) || chosen != SIZE_MAX
                           ? SIZE_MAX
                           : law_choose(m->facts, backend, mode, batch, true);
        int rc = chosen != SIZE_MAX ? selected_finding(m, chosen) : IL_OK;
        rc = rc == IL_OK && chosen != i ? law_finding(m, i) : rc;
        rc = rc == IL_OK && other != SIZE_MAX ? law_finding(m, other) : rc;
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

/* ---- the answer ---- */

/* The chosen law in words, and what became of the exponent that people ask for. */
static const char *answer_selected(il__making *m, size_t chosen, size_t asked)
{
    const il_artifact *t = &m->facts->laws;
    const char *form = il_artifact_text(t, chosen, "form");
    bool power = strcmp(form, "power") == 0;
    const char *no_exponent = "";
    if (asked != chosen && !law_supported(t, asked)) {
        no_exponent = il__say(m, "; no exponent in %s describes it (%s)",
                              il__name(m, il_findings_x_words(il_artifact_text(t, asked, "x"))),
                              because_text(m, asked));
    }
    return il__say(
        m, "In between, the time is best predicted as %s%s%s%s%s%s%s%s.",
        form_words(m, form, il_artifact_text(t, chosen, "x")), power ? ", exponent " : "",
        power ? slope_text(m, chosen) : "",
        power && takes_in_zero(t, chosen) ? "; the interval takes in 0, so it may not grow at all"
                                          : "",
        power ? il__regime_clause(m, il_artifact_text(t, chosen, "backend"), "kv_decode") : "",
        nested_text(m, chosen, "; "), coarse_text(t, chosen), no_exponent ? no_exponent : "");
}

const char *il__answer_law(il__making *m, const char *backend)
{
    const il_artifact *t = &m->facts->laws;
    size_t row = backend ? law_choose(m->facts, backend, "kv_decode", NAN, false) : SIZE_MAX;
    if (row == SIZE_MAX) {
        return il__say(m, "No law was judged, so nothing is said about sizes in between.");
    }
    const char *x = il__name(m, il_findings_x_words(il_artifact_text(t, row, "x")));
    size_t chosen = il__law_selected(m->facts, backend, "kv_decode", NAN);
    size_t better = chosen != SIZE_MAX ? beaten_by(m->facts, chosen) : SIZE_MAX;
    if (better != SIZE_MAX) {
        return il__say(m, "In between no law predicts better than a baseline: %s%s.",
                       baseline_text(m, better),
                       nested_text(m, chosen, "; by the law that was chosen, "));
    }
    if (chosen != SIZE_MAX && law_supported(t, chosen)) {
        return answer_selected(m, chosen, row);
    }
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
