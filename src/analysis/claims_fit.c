/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Claims about a law: exponents and coefficients of one or several sizes, and what one size
 * predicts. Every fit is over models, one point each.
 */
#include "analysis/claims_fit.h"

#include "stats/collinear.h"
#include "stats/dist.h"
#include "stats/fieller.h"
#include "stats/order.h"
#include "stats/rank.h"

#include <stdlib.h>
#include <string.h>

/* Gates of docs/claims.md. */
#define MOST_CONDITION 30.0
#define MOST_VIF       10.0
#define LEAST_RANGE    4.0
/* Beyond this many blocks leaving out one is no test. */
enum { MOST_BLOCKS_LEFT_OUT = 512 };

double il__claim_span(const il__claim_fit *fit)
{
    double low = INFINITY, high = 0;
    for (size_t i = 0; i < fit->n; i++) {
        low = fmin(low, fit->use[i]->x[fit->claim->x]);
        high = fmax(high, fit->use[i]->x[fit->claim->x]);
    }
    return log(high / low);
}

int il__claim_design_gates(const il__claim_fit *fit, size_t n_coefficients, il__effect *e,
                           il_error *err)
{
    const char *x = il_claim_x_names[fit->claim->x];
    char decide[IL__CLAIM_WORDS];
    if (fit->n == 0 && fit->points.n > 0) {
        il__effect_gate(e, "unknown_x", "a run whose models are known: their sizes are in its rows",
                        "of no model all these are known: %s%s", x,
                        fit->k > 1 ? " and the others" : "");
        return IL_OK;
    }
    if (fit->n < n_coefficients + 3) {
        (void)snprintf(decide, sizeof decide, "%zu models or more", n_coefficients + 3);
        il__effect_gate(e, "n", decide, "n: %zu coefficients need %zu models, there are %zu",
                        n_coefficients, n_coefficients + 3, fit->n);
        return IL_OK;
    }
    double span = il__claim_span(fit);
    if (span < log(LEAST_RANGE) * (1 - 1e-9)) {
        (void)snprintf(decide, sizeof decide, "models whose %s spans a factor of 4 or more", x);
        il__effect_gate(e, "range", decide, "%s spans a factor of %.3g, less than 4", x, exp(span));
        return IL_OK;
    }
    if (fit->k >= 2) {
        il_collinear c;
        int rc = il_collinear_of(fit->raw, fit->n, fit->k, &c, err);
        if (rc == IL_E_INVALID) {
            c = (il_collinear){.condition = INFINITY, .vif = INFINITY};
        } else if (rc != IL_OK) {
            return rc;
        }
        if (c.condition > MOST_CONDITION || c.vif > MOST_VIF) {
            il__effect_gate(e, c.vif > MOST_VIF ? "vif" : "condition",
                            "shapes that cross these sizes, as configs/depth_width.yaml",
                            "the sizes move together: condition number %.3g, VIF %.3g (limits 30, "
                            "10)",
                            c.condition, c.vif);
        }
    }
    if (!fit->rows->summary && fit->points.n_blocks < IL__LEAST_BLOCKS) {
        il__effect_gate(e, "blocks", "a run of ten blocks", "%zu blocks, fewer than %d",
                        fit->points.n_blocks, IL__LEAST_BLOCKS);
    }
    return IL_OK;
}

/* Whether the estimate is shown to be near its value: nothing there has a relative change. */
static bool is_inside(const il_claim *c, const il__effect *e)
{
    return e->state == IL__INSIDE || (e->state == IL__PREDICTED && c->direction == IL_CLAIM_equal);
}

void il__claim_loo_gates(const il__claim_fit *fit, const il_loo *loo, size_t term, il__effect *e)
{
    const il_law_judgement j = il_law_judge(loo, term);
    if (j.verdict == IL_LAW_LEVERAGE_ONE) {
        il__effect_gate(e, "leverage", "more models like it", "%s alone fixes it: leverage 1",
                        il__text(fit->run, fit->use[j.model]->cell->model));
    } else if (j.n_decisive > 0 && j.model < fit->n && !is_inside(fit->claim, e)) {
        const char *name = il__text(fit->run, fit->use[j.model]->cell->model);
        const il_loo_row *row = &loo->rows[j.model * loo->n_terms + term];
        char decide[IL__CLAIM_WORDS];
        (void)snprintf(decide, sizeof decide, "more models near %s, so that it decides nothing",
                       name);
        if (row->fitted) {
            il__effect_gate(e, "decisive", decide, "without %s it goes from %.3g to %.3g", name,
                            loo->fit.coef[term], row->estimate);
        } else {
            il__effect_gate(e, "decisive", decide, "without %s there is no fit at all", name);
        }
    }
}

/* --- one term ------------------------------------------------------------------------------------
 */

/* Where the verdict is that the estimate lies inside the margin, it must do so without each model.
 */
static void stress_inside(const il__claim_fit *fit, const il_loo *loo, size_t term, il__effect *e)
{
    for (size_t i = 0; i < fit->n && is_inside(fit->claim, e); i++) {
        const il_loo_row *row = &loo->rows[i * loo->n_terms + term];
        if (!row->fitted || fabs(row->estimate - e->null) > e->margin) {
            il__effect_gate(e, "decisive", "more models like it",
                            "without %s it goes from %.3g to %.3g, beyond the margin",
                            il__text(fit->run, fit->use[i]->cell->model), loo->fit.coef[term],
                            row->estimate);
            return;
        }
    }
}

/* Whether the effect of a term stands without each block. */
static int stress_blocks(const il__claim_fit *fit, size_t term, il__effect *e, il_error *err)
{
    if (e->state != IL__PREDICTED || fit->rows->summary ||
        fit->points.n_ids > MOST_BLOCKS_LEFT_OUT) {
        return IL_OK;
    }
    double *y = malloc((fit->n + 1) * sizeof *y);
    int rc = y ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a fit");
    for (size_t b = 0; rc == IL_OK && b < fit->points.n_ids && !e->fragile[0]; b++) {
        for (size_t i = 0; i < fit->n; i++) {
            double y_i = il__claim_y_without(fit, i, fit->points.ids[b]);
            y[i] = isnan(y_i) ? fit->y[i] : y_i;
        }
        il_ols ols;
        il__effect without = *e;
        rc = il_ols_fit(fit->x, y, fit->n, fit->k, &ols, NULL, NULL, err);
        if (rc == IL_OK) {
            il__effect_judge(&without, fit->claim->direction, ols.coef[term], ols.se[term],
                             ols.dof);
            if (without.state != IL__PREDICTED) {
                (void)snprintf(e->fragile, sizeof e->fragile, "block %g", fit->points.ids[b]);
            }
        }
    }
    free(y);
    return rc;
}

/* The least effect of a term that this run can tell apart: a ratio of `noise` over the range of x.
 */
static double term_floor(const il__claim_fit *fit)
{
    double low = INFINITY, high = 0, mean = 0;
    for (size_t i = 0; i < fit->n; i++) {
        low = fmin(low, fit->use[i]->x[fit->claim->x]);
        high = fmax(high, fit->use[i]->x[fit->claim->x]);
        mean += exp(fit->use[i]->y) / (double)fit->n;
    }
    return fit->claim->test == IL_CLAIM_coefficient ? fit->noise * mean / (high - low)
                                                    : log(1 + fit->noise) / log(high / low);
}

int il__claim_term(il__claim_fit *fit, il__effect *e, il_error *err)
{
    const il_claim *c = fit->claim;
    il_loo loo = {0};
    e->null = isnan(c->than) ? 0 : c->than;
    e->margin = fmax(term_floor(fit), c->margin);
    int rc = il_loo_fit(fit->x, fit->y, fit->n, fit->k, &loo, err);
    if (rc == IL_E_INVALID || rc == IL_E_TOO_FEW) {
        il__effect_gate(e, "n", "models of other sizes", "no fit exists: the sizes do not vary");
        return IL_OK;
    }
    if (rc == IL_OK) {
        il__effect_judge(e, c->direction, loo.fit.coef[1], loo.fit.se[1], loo.fit.dof);
        il__claim_loo_gates(fit, &loo, 1, e);
        stress_inside(fit, &loo, 1, e);
        rc = stress_blocks(fit, 1, e, err);
    }
    il_loo_free(&loo);
    return rc;
}

/* --- the ratio of two terms ----------------------------------------------------------------------
 */

typedef struct two_terms {
    double b1, b2, v11, v12, v22, dof;
} two_terms;

/* Two coefficients with their covariance: that of β₁ − β₂ comes from the same fit with x₂ + x₁ in
 * the place of x₂, whose first coefficient it is. */
static int fit_two(const il__claim_fit *fit, two_terms *out, il_error *err)
{
    il_ols plain, turned;
    double *x = malloc((fit->n * fit->k + 1) * sizeof *x);
    int rc = x ? il_ols_fit(fit->raw, fit->y, fit->n, fit->k, &plain, NULL, NULL, err)
               : il_fail(err, IL_E_NOMEM, "no memory for a fit");
    for (size_t i = 0; rc == IL_OK && i < fit->n; i++) {
        memcpy(x + i * fit->k, fit->raw + i * fit->k, fit->k * sizeof *x);
        x[i * fit->k + 1] += x[i * fit->k];
    }
    rc = rc ? rc : il_ols_fit(x, fit->y, fit->n, fit->k, &turned, NULL, NULL, err);
    free(x);
    if (rc == IL_OK) {
        double v11 = plain.se[1] * plain.se[1], v22 = plain.se[2] * plain.se[2];
        double difference = turned.se[1] * turned.se[1];
        *out = (two_terms){plain.coef[1], plain.coef[2], v11, (v11 + v22 - difference) / 2,
                           v22,           plain.dof};
    }
    return rc;
}

/* False when the set of ratios is not an interval: b2 itself may be 0. */
static bool limits(const two_terms *t, double confidence, double *low, double *high)
{
    il_fieller f;
    if (il_fieller_ratio(t->b1, t->b2, t->v11, t->v22, t->v12, t->dof, confidence, &f, NULL) !=
            IL_OK ||
        f.kind != IL_FIELLER_BOUNDED) {
        return false;
    }
    *low = f.low;
    *high = f.high;
    return true;
}

/* One-sided p that b1 − ρ·b2 is above 0, for b2 > 0. */
static double p_above(const two_terms *t, double ratio)
{
    double estimate = t->b1 - ratio * t->b2;
    double var = t->v11 - 2 * ratio * t->v12 + ratio * ratio * t->v22;
    double two = il_t_two_sided_p(fabs(estimate) / sqrt(var), t->dof);
    return estimate > 0 ? two / 2 : 1 - two / 2;
}

int il__claim_terms_ratio(il__claim_fit *fit, il__effect *e, il_error *err)
{
    const il_claim *c = fit->claim;
    two_terms t;
    il__bounds b;
    e->null = isnan(c->than) ? 1 : c->than;
    e->margin = e->null * fmax(fit->noise, c->margin);
    int rc = fit_two(fit, &t, err);
    if (rc == IL_E_INVALID || rc == IL_E_TOO_FEW) {
        il__effect_gate(e, "n", "models of other sizes", "no fit exists: the sizes do not vary");
        return IL_OK;
    }
    if (rc != IL_OK) {
        return rc;
    }
    e->estimate = t.b1 / t.b2;
    e->dof = t.dof;
    if (!(t.b2 > 0) || !limits(&t, 0.95, &b.low, &b.high) ||
        !limits(&t, 0.9, &b.low90, &b.high90)) {
        il__effect_gate(e, "fieller", "more shapes that vary the divisor",
                        "the interval of the divisor, %.3g ± %.2g, takes in 0: the ratio has none",
                        t.b2, sqrt(t.v22));
        return IL_OK;
    }
    double above = e->null + e->margin, below = e->null - e->margin;
    b.p_above = p_above(&t, above);
    b.p_below = 1 - p_above(&t, below);
    b.p_inside_low = p_above(&t, below);
    b.p_inside_high = 1 - p_above(&t, above);
    e->se = (b.high90 - b.low90) / (2 * il_t_quantile(0.95, t.dof));
    il__effect_place(e, c->direction, &b);
    il_loo loo = {0};
    rc = il_loo_fit(fit->raw, fit->y, fit->n, fit->k, &loo, err);
    if (rc == IL_OK) {
        il__claim_loo_gates(fit, &loo, 1, e);
        il__claim_loo_gates(fit, &loo, 2, e);
    }
    il_loo_free(&loo);
    return rc;
}

/* --- ranks ---------------------------------------------------------------------------------------
 */

enum { LEAST_FOR_RANKS = 5 };

/* Spearman's ρ with the interval of Bonett & Wright 2000: tanh(atanh ρ ± z·√((1 + ρ²/2)/(n − 3))).
 */
static int rank_bounds(const double *x, const double *y, size_t n, const il__effect *e, double *rho,
                       double *se, il__bounds *b, il_error *err)
{
    il_spearman s;
    int rc = il_spearman_fit(x, y, n, &s, err);
    if (rc != IL_OK) {
        return rc;
    }
    *rho = s.rho;
    /* A perfect order of n is no proof of ρ = 1: half a swap of neighbours below it. */
    double most = 1 - 3.0 / ((double)n * ((double)n * (double)n - 1));
    double r = fmax(-most, fmin(most, s.rho));
    double z = atanh(r);
    double sd = sqrt((1 + r * r / 2) / ((double)n - 3));
    double wide = il_normal_quantile(0.975) * sd, wide90 = il_normal_quantile(0.95) * sd;
    double za = atanh(fmax(-0.999999, fmin(0.999999, e->null + e->margin)));
    double zb = atanh(fmax(-0.999999, fmin(0.999999, e->null - e->margin)));
    double above = il_t_two_sided_p(fabs(z - za) / sd, 1e6) / 2;
    double below = il_t_two_sided_p(fabs(z - zb) / sd, 1e6) / 2;
    *se = sd * (1 - r * r);
    b->low = fmin(tanh(z - wide), s.rho); /* the interval holds its estimate, also a perfect one */
    b->high = fmax(tanh(z + wide), s.rho);
    b->low90 = tanh(z - wide90);
    b->high90 = tanh(z + wide90);
    b->p_above = z > za ? above : 1 - above;
    b->p_below = z < zb ? below : 1 - below;
    b->p_inside_low = z > zb ? below : 1 - below;
    b->p_inside_high = z < za ? above : 1 - above;
    return IL_OK;
}

int il__claim_rank(il__claim_fit *fit, il__effect *e, il_error *err)
{
    const il_claim *c = fit->claim;
    il__bounds b;
    double rho, se;
    e->null = isnan(c->than) ? 0 : c->than;
    e->margin = fmax(0, isnan(c->margin) ? 0 : c->margin);
    if (fit->n < LEAST_FOR_RANKS) {
        il__effect_gate(e, "n", "five models or more", "n: ranks need %d models, there are %zu",
                        LEAST_FOR_RANKS, fit->n);
        return IL_OK;
    }
    double *spare = malloc(2 * fit->n * sizeof *spare);
    int rc = spare ? rank_bounds(fit->x, fit->y, fit->n, e, &rho, &se, &b, err)
                   : il_fail(err, IL_E_NOMEM, "no memory for ranks");
    if (rc == IL_OK) {
        e->estimate = rho;
        e->se = se;
        e->dof = (double)fit->n - 2;
        il__effect_place(e, c->direction, &b);
    }
    for (size_t i = 0; rc == IL_OK && e->state == IL__PREDICTED && i < fit->n; i++) {
        il__effect without = *e;
        size_t m = 0;
        for (size_t k = 0; k < fit->n; k++) {
            if (k != i) {
                spare[m] = fit->x[k];
                spare[fit->n + m++] = fit->y[k];
            }
        }
        rc = rank_bounds(spare, spare + fit->n, m, e, &rho, &se, &b, err);
        if (rc == IL_OK) {
            il__effect_place(&without, c->direction, &b);
            if (without.state != IL__PREDICTED && !e->fragile[0]) {
                (void)snprintf(e->fragile, sizeof e->fragile, "%s",
                               il__text(fit->run, fit->use[i]->cell->model));
            }
        }
    }
    free(spare);
    return rc;
}

/* --- what a size predicts ------------------------------------------------------------------------
 */

/* |log error| about each left-out model from the mean of the others. */
static void mean_errors(const double *y, size_t n, double *out)
{
    double mean = il_mean(y, n);
    for (size_t i = 0; i < n; i++) {
        out[i] = fabs(y[i] - mean) * (double)n / (double)(n - 1);
    }
}

static int size_errors(const double *x, const double *y, size_t n, double *out, il_error *err)
{
    il_loo loo = {0};
    int rc = il_loo_fit(x, y, n, 1, &loo, err);
    for (size_t i = 0; rc == IL_OK && i < n; i++) {
        out[i] = fabs(loo.predicted[i] - y[i]);
    }
    il_loo_free(&loo);
    return rc;
}

/* How much smaller the errors about left-out models are with x than with what it is held against,
 * in natural logs of the latency: about the fraction of the latency. */
int il__claim_predicts(il__claim_fit *fit, il__effect *e, il_error *err)
{
    const il_claim *c = fit->claim;
    size_t n = fit->n;
    double *gain = malloc(4 * (n + 1) * sizeof *gain);
    if (!gain) {
        return il_fail(err, IL_E_NOMEM, "no memory for errors");
    }
    double *own = gain + n, *other_x = own + n;
    e->null = isnan(c->than) ? 0 : c->than;
    e->margin = fmax(log(1 + fit->noise), c->margin);
    int rc = size_errors(fit->x, fit->y, n, own, err);
    mean_errors(fit->y, n, gain);
    if (rc == IL_OK && !c->against_mean) {
        for (size_t i = 0; i < n; i++) {
            other_x[i] = log(fit->use[i]->x[c->against]);
        }
        rc = size_errors(other_x, fit->y, n, gain, err);
    }
    if (rc == IL_OK) {
        for (size_t i = 0; i < n; i++) {
            gain[i] -= own[i];
        }
        double se = il_sd(gain, n) / sqrt((double)n);
        il__effect_judge(e, c->direction, il_mean(gain, n), se, (double)(n - 1));
    } else if (rc == IL_E_INVALID || rc == IL_E_TOO_FEW) {
        il__effect_gate(e, "n", "models of other sizes", "no fit exists: the sizes do not vary");
        rc = IL_OK;
    }
    for (size_t i = 0; i < n && rc == IL_OK && e->state == IL__PREDICTED && !e->fragile[0]; i++) {
        il__effect without = *e;
        size_t m = 0;
        for (size_t k = 0; k < n; k++) {
            if (k != i) {
                own[m++] = gain[k];
            }
        }
        il__effect_judge(&without, c->direction, il_mean(own, m), il_sd(own, m) / sqrt((double)m),
                         (double)(m - 1));
        if (without.state != IL__PREDICTED) {
            (void)snprintf(e->fragile, sizeof e->fragile, "%s",
                           il__text(fit->run, fit->use[i]->cell->model));
        }
    }
    free(gain);
    return rc;
}
