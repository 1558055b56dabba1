/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From an effect with its interval to a verdict, and the claims that no data can decide.
 */
#include "analysis/claims_internal.h"

#include "stats/dist.h"

#include <stdarg.h>
#include <string.h>

/* A size in words counts as wrong beyond this factor: rounding and what embeddings add stay below.
 */
#define SIZE_TOLERANCE 1.5
enum { MOST_TIMES_ADVISED = 100 };

const char *const il__verdict_names[] = {"supported", "contradicted", "not_identifiable",
                                         "ill_posed"};

void il__effect_gate(il__effect *e, const char *gate, const char *decide, const char *fmt, ...)
{
    if (e->gate[0]) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(e->because, sizeof e->because, fmt, args);
    va_end(args);
    (void)snprintf(e->gate, sizeof e->gate, "%s", gate);
    (void)snprintf(e->decide, sizeof e->decide, "%s", decide);
}

/* P(T ≥ x / se) for an estimate that lies x beyond a bound. */
static double upper_p(double x, double se, double dof)
{
    if (!(se > 0)) {
        return x > 0 ? 0 : 1;
    }
    double two = il_t_two_sided_p(fabs(x) / se, dof);
    return x > 0 ? two / 2 : 1 - two / 2;
}

void il__effect_place(il__effect *e, il_claim_direction direction, const il__bounds *b)
{
    double above = e->null + e->margin, below = e->null - e->margin;
    bool inside = b->low90 > below && b->high90 < above;
    bool is_above = b->low > above, is_below = b->high < below;
    e->low = b->low;
    e->high = b->high;
    switch (direction) {
    case IL_CLAIM_greater:
        e->state = is_above ? IL__PREDICTED : is_below ? IL__OPPOSITE : IL__UNDECIDED;
        e->p = fmin(1, 2 * b->p_above);
        break;
    case IL_CLAIM_less:
        e->state = is_below ? IL__PREDICTED : is_above ? IL__OPPOSITE : IL__UNDECIDED;
        e->p = fmin(1, 2 * b->p_below);
        break;
    case IL_CLAIM_differs:
        e->state = is_above || is_below ? IL__PREDICTED : IL__UNDECIDED;
        e->p = fmin(1, 2 * fmin(b->p_above, b->p_below));
        break;
    case IL_CLAIM_equal:
        e->state = inside ? IL__PREDICTED : is_above || is_below ? IL__OPPOSITE : IL__UNDECIDED;
        e->p = fmax(b->p_inside_low, b->p_inside_high);
        return;
    }
    if (e->state == IL__UNDECIDED && inside) {
        e->state = IL__INSIDE;
    }
}

void il__effect_judge(il__effect *e, il_claim_direction direction, double estimate, double se,
                      double dof)
{
    double reach = se > 0 ? il_t_quantile(0.975, dof) * se : 0;
    double reach90 = se > 0 ? il_t_quantile(0.95, dof) * se : 0;
    double above = e->null + e->margin, below = e->null - e->margin;
    const il__bounds b = {.low = estimate - reach,
                          .high = estimate + reach,
                          .low90 = estimate - reach90,
                          .high90 = estimate + reach90,
                          .p_above = upper_p(estimate - above, se, dof),
                          .p_below = upper_p(below - estimate, se, dof),
                          .p_inside_low = upper_p(estimate - below, se, dof),
                          .p_inside_high = upper_p(above - estimate, se, dof)};
    e->estimate = estimate;
    e->se = se;
    e->dof = dof;
    il__effect_place(e, direction, &b);
}

/* --- ill posed ----------------------------------------------------------------------------------
 */

/* The layers of a transformer of the usual proportions hold 12·L·d² parameters (Kaplan et al. 2020,
 * table 1). A claim whose size differs from that by more than embeddings explain names no shape. */
static bool shapes_contradict(const il_claim *c, char *out, size_t bytes)
{
    size_t len = 0;
    bool wrong = false;
    for (size_t i = 0; i < c->n_shapes; i++) {
        const il_claim_shape *s = &c->shapes[i];
        double millions = 12 * s->n_layer * s->d_model * s->d_model / 1e6;
        if (millions > SIZE_TOLERANCE * s->params_millions && len < bytes) {
            wrong = true;
            len += (size_t)snprintf(out + len, bytes - len,
                                    "%s%g layers of width %g hold 12·L·d² = %.0fM parameters, "
                                    "not %gM",
                                    len ? "; " : "", s->n_layer, s->d_model, millions,
                                    s->params_millions);
        }
    }
    return wrong;
}

static bool numbers_contradict(const il_claim *c, char *out, size_t bytes)
{
    for (size_t i = 0; i < c->n_same; i++) {
        for (size_t k = 0; k < i; k++) {
            const il_claim_number *a = &c->same[k];
            const il_claim_number *b = &c->same[i];
            double gap = fabs(a->value - b->value);
            double scale = fmin(fabs(a->value), fabs(b->value));
            if (strcmp(a->unit, b->unit) != 0) {
                (void)snprintf(out, bytes, "it compares unlike units: %s in %s, %s in %s", a->what,
                               a->unit, b->what, b->unit);
                return true;
            }
            if (gap > c->same_within * scale) {
                (void)snprintf(out, bytes,
                               "its own numbers contradict each other: %s is %g, %s is %g", a->what,
                               a->value, b->what, b->value);
                return true;
            }
        }
    }
    return false;
}

bool il__claim_ill_posed(const il_claim *claim, char *because, size_t because_bytes)
{
    if (shapes_contradict(claim, because, because_bytes) ||
        numbers_contradict(claim, because, because_bytes)) {
        return true;
    }
    if (claim->ill_posed) {
        (void)snprintf(because, because_bytes, "%s", claim->ill_posed);
        return true;
    }
    return false;
}

/* --- verdicts -----------------------------------------------------------------------------------
 */

/* How much more data would take the interval off the margin, if the estimate stays where it is. */
static void advise(il__effect *e, bool equal)
{
    double above = fabs(e->estimate - e->null - e->margin);
    double below = fabs(e->estimate - e->null + e->margin);
    double gap = fmin(above, below);
    size_t n = e->n_blocks ? e->n_blocks : e->n_models;
    const char *what = e->n_blocks ? "blocks" : "models";
    double needed = e->se > 0 && gap > 0 && n > 1
                        ? ceil((double)n * pow(2 * e->se / gap, 2)) + (equal ? 2 : 1)
                        : INFINITY;
    needed = fmax(needed, (double)n + 1);
    if (needed <= MOST_TIMES_ADVISED * (double)n) {
        (void)snprintf(e->decide, sizeof e->decide,
                       "about %.0f %s in place of %zu, if the estimate stays", needed, what, n);
    } else {
        (void)snprintf(e->decide, sizeof e->decide,
                       "no amount of the same: the estimate lies on the edge of the margin");
    }
}

static void say_interval(const il_claim *c, il__effect *e)
{
    if (e->gate[0]) {
        return;
    }
    advise(e, c->direction == IL_CLAIM_equal);
    (void)snprintf(e->gate, sizeof e->gate, "interval");
    (void)snprintf(e->because, sizeof e->because,
                   "the interval lies neither wholly beyond the margin nor wholly inside it");
}

static const char *state_words(const il_claim *c, const il__effect *e)
{
    bool equal = c->direction == IL_CLAIM_equal;
    switch (e->state) {
    case IL__PREDICTED:
        return equal ? "the 90 % interval lies wholly inside the margin"
                     : "the interval lies wholly beyond the margin, as claimed";
    case IL__OPPOSITE:
        return equal ? "the interval lies wholly outside the margin"
                     : "the interval lies wholly beyond the margin on the other side";
    case IL__INSIDE:
        return "the 90 % interval lies wholly inside the margin: there is no such effect";
    default:
        return "";
    }
}

il__verdict il__claim_verdict(const il_claim *claim, il__effect *e, double p_holm)
{
    if (e->gate[0]) {
        return IL__NOT_IDENTIFIABLE;
    }
    if (e->state == IL__PREDICTED) {
        if (e->fragile[0]) {
            il__effect_gate(e, "fragile", "more blocks, or more models like it",
                            "without %s the interval takes in the margin", e->fragile);
        } else if (p_holm > 0.05) {
            il__effect_gate(e, "holm", "more blocks or models, or a list of fewer claims",
                            "p %.3g becomes %.3g over the claims of the file (Holm)", e->p, p_holm);
        }
    }
    if (e->state == IL__UNDECIDED) {
        say_interval(claim, e);
    }
    if (e->gate[0]) {
        return IL__NOT_IDENTIFIABLE;
    }
    if (!e->because[0]) {
        (void)snprintf(e->because, sizeof e->because, "%s", state_words(claim, e));
    }
    return e->state == IL__PREDICTED ? IL__SUPPORTED : IL__CONTRADICTED;
}
