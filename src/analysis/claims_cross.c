/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Claims about places: where a law bends, where two backends take the same time.
 */
#include "analysis/claims_fit.h"

#include "stats/dist.h"
#include "stats/fieller.h"
#include "stats/order.h"

#include <stdlib.h>

enum { N_PLACES = 64 };

/* --- a bend --------------------------------------------------------------------------------------
 */

/* ln ms = a + s·ln x + Δ·max(0, ln x − at). Column pairs in `columns`. */
static int fit_bend(const il__claim_fit *fit, double at, double *columns, il_ols *out)
{
    for (size_t i = 0; i < fit->n; i++) {
        columns[2 * i] = fit->x[i];
        columns[2 * i + 1] = fmax(0, fit->x[i] - at);
    }
    return il_ols_fit(columns, fit->y, fit->n, 2, out, NULL, NULL, NULL);
}

static double squares(const il_ols *o)
{
    return o->sigma * o->sigma * o->dof;
}

/* Profile likelihood of the place: `elsewhere` when every bend within half an octave of the claimed
 * place fits worse than an F test at 99 % allows beside the best one. */
static void profile(const il__claim_fit *fit, double at, double *columns, double *best,
                    bool *elsewhere)
{
    il_ols o;
    double low = INFINITY, high = -INFINITY, least = INFINITY, near = INFINITY;
    for (size_t i = 0; i < fit->n; i++) {
        low = fmin(low, fit->x[i]);
        high = fmax(high, fit->x[i]);
    }
    *best = NAN;
    for (int k = 1; k < N_PLACES; k++) {
        double place = low + (high - low) * k / N_PLACES;
        double here = fit_bend(fit, place, columns, &o) == IL_OK ? squares(&o) : INFINITY;
        *best = here < least ? place : *best;
        least = fmin(least, here);
        near = fabs(place - at) <= log(2) / 2 ? fmin(near, here) : near;
    }
    if (fit_bend(fit, at, columns, &o) == IL_OK) {
        near = fmin(near, squares(&o));
    }
    double dof = (double)fit->n - 4;
    double t = il_t_quantile(0.995, dof);
    *elsewhere = near > least * (1 + t * t / dof) + 1e-20;
}

int il__claim_bend(il__claim_fit *fit, il__effect *e, il_error *err)
{
    const il_claim *c = fit->claim;
    double at = log(c->at);
    size_t below = 0;
    for (size_t i = 0; i < fit->n; i++) {
        below += fit->x[i] < at;
    }
    e->null = isnan(c->than) ? 0 : c->than;
    e->margin = fmax(2 * log(1 + fit->noise) / il__claim_span(fit), c->margin);
    if (below < IL__LEAST_A_SIDE || fit->n - below < IL__LEAST_A_SIDE) {
        il__effect_gate(e, "n", "five models or more on each side, as configs/regimes.yaml",
                        "n: %zu models below %g and %zu above, a regime takes %d a side", below,
                        c->at, fit->n - below, IL__LEAST_A_SIDE);
        return IL_OK;
    }
    il_loo loo = {0};
    double *columns = malloc(2 * (fit->n + 1) * sizeof *columns);
    il_ols o;
    int rc =
        columns ? fit_bend(fit, at, columns, &o) : il_fail(err, IL_E_NOMEM, "no memory for a bend");
    rc = rc ? rc : il_loo_fit(columns, fit->y, fit->n, 2, &loo, err);
    if (rc == IL_E_INVALID || rc == IL_E_TOO_FEW) {
        il__effect_gate(e, "n", "models of other sizes", "no fit exists: the sizes do not vary");
        rc = IL_OK;
    } else if (rc == IL_OK) {
        double best;
        bool elsewhere;
        il__effect_judge(e, c->direction, o.coef[2], o.se[2], o.dof);
        il__claim_loo_gates(fit, &loo, 2, e);
        profile(fit, at, columns, &best, &elsewhere);
        if (e->state == IL__PREDICTED && elsewhere) {
            e->state = IL__OPPOSITE;
            (void)snprintf(
                e->because, sizeof e->because,
                "the law bends, but not there: %s = %.3g fits best, %g and half an octave "
                "about it are outside its 99 %% set",
                il_claim_x_names[c->x], exp(best), c->at);
        }
    }
    il_loo_free(&loo);
    free(columns);
    return rc;
}

/* --- a crossover ---------------------------------------------------------------------------------
 */

/* One-sided p that the difference at ln x = place is above 0. */
static int p_above_at(const il__claim_fit *fit, double place, double *shifted, double *p,
                      il_error *err)
{
    il_ols o;
    for (size_t i = 0; i < fit->n; i++) {
        shifted[i] = fit->x[i] - place;
    }
    int rc = il_ols_fit(shifted, fit->y, fit->n, 1, &o, NULL, NULL, err);
    if (rc == IL_OK) {
        double two = o.se[0] > 0 ? il_t_two_sided_p(fabs(o.coef[0]) / o.se[0], o.dof) : 0;
        *p = o.coef[0] > 0 ? two / 2 : 1 - two / 2;
    }
    return rc;
}

/* Where the line of the difference is 0, with Fieller's limits: about the mean of ln x the
 * intercept and the slope are independent. Ends NaN where the set is not an interval. */
static int root_of(const il__claim_fit *fit, double *shifted, double *root, double *low,
                   double *high, il_error *err)
{
    il_ols o;
    double mean = il_mean(fit->x, fit->n);
    for (size_t i = 0; i < fit->n; i++) {
        shifted[i] = fit->x[i] - mean;
    }
    int rc = il_ols_fit(shifted, fit->y, fit->n, 1, &o, NULL, NULL, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_fieller f;
    rc = il_fieller_ratio(-o.coef[0], o.coef[1], o.se[0] * o.se[0], o.se[1] * o.se[1], 0, o.dof,
                          0.95, &f, NULL);
    bool bounded = rc == IL_OK && f.kind == IL_FIELLER_BOUNDED;
    *root = mean - o.coef[0] / o.coef[1];
    *low = bounded ? mean + f.low : NAN;
    *high = bounded ? mean + f.high : NAN;
    return IL_OK;
}

/* The place must not be a guess beyond the models: an octave at most. */
static bool reaches(const il__claim_fit *fit, double low, double high)
{
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < fit->n; i++) {
        least = fmin(least, fit->x[i]);
        most = fmax(most, fit->x[i]);
    }
    return low >= least - log(2) && high <= most + log(2);
}

static int judge_crossover(const il__claim_fit *fit, double *shifted, il__effect *e, il_error *err)
{
    double margin = e->margin;
    double from = log(fit->claim->from) - margin, to = log(fit->claim->to) + margin;
    double root, low, high, p_from = NAN, p_to = NAN;
    int rc = root_of(fit, shifted, &root, &low, &high, err);
    rc = rc ? rc : p_above_at(fit, from, shifted, &p_from, err);
    rc = rc ? rc : p_above_at(fit, to, shifted, &p_to, err);
    if (rc != IL_OK) {
        return rc;
    }
    /* Opposite signs at the two ends, whichever way. */
    e->p = fmin(1, 2 * fmin(fmax(p_from, 1 - p_to), fmax(1 - p_from, p_to)));
    e->estimate = root;
    e->low = low;
    e->high = high;
    e->se = (high - low) / 4;
    e->dof = (double)fit->n - 2;
    bool above = p_from < 0.025 && p_to < 0.025;
    bool below = 1 - p_from < 0.025 && 1 - p_to < 0.025;
    if (!isnan(low) && low > from && high < to) {
        e->state = IL__PREDICTED;
    } else if (above || below) {
        e->state = IL__OPPOSITE;
        (void)snprintf(e->because, sizeof e->because,
                       "no crossover in the range: the first is %s on all of it",
                       above ? "slower" : "faster");
        if (isnan(low)) {
            e->estimate = NAN;
        }
    } else {
        e->state = IL__UNDECIDED;
    }
    return IL_OK;
}

int il__claim_crossover(il__claim_fit *fit, il__effect *e, il_error *err)
{
    const il_claim *c = fit->claim;
    e->scale = IL__SCALE_RATIO;
    e->null = (log(c->from) + log(c->to)) / 2;
    e->margin = log(1 + fmax(fit->noise, c->margin));
    if (!reaches(fit, log(c->from), log(c->to))) {
        il__effect_gate(e, "extrapolates", "models of the sizes in between, on both backends",
                        "the models do not reach from %g to %g within an octave", c->from, c->to);
        return IL_OK;
    }
    double *shifted = malloc(3 * (fit->n + 1) * sizeof *shifted);
    if (!shifted) {
        return il_fail(err, IL_E_NOMEM, "no memory for a crossover");
    }
    int rc = judge_crossover(fit, shifted, e, err);
    for (size_t i = 0; i < fit->n && rc == IL_OK && e->state == IL__PREDICTED && !e->fragile[0];
         i++) {
        double *x = shifted + fit->n, *y = x + fit->n;
        il__claim_fit less = *fit;
        il__effect without = *e;
        less.n = 0;
        less.x = x;
        less.y = y;
        for (size_t k = 0; k < fit->n; k++) {
            if (k != i) {
                x[less.n] = fit->x[k];
                y[less.n++] = fit->y[k];
            }
        }
        rc = judge_crossover(&less, shifted, &without, err);
        if (rc == IL_OK && without.state != IL__PREDICTED) {
            (void)snprintf(e->fragile, sizeof e->fragile, "%s",
                           il__text(fit->run, fit->use[i]->cell->model));
        }
    }
    free(shifted);
    if (rc == IL_E_INVALID || rc == IL_E_TOO_FEW) {
        il__effect_gate(e, "n", "models of other sizes", "no fit exists: the sizes do not vary");
        rc = IL_OK;
    }
    return rc;
}
