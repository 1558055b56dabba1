/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/depth_line.h"

#include "stats/dist.h"

/* Unknown ceilings part nothing, nor does a tier that neither floor waits for. */
static bool tiers_differ(const il__law_model *a, const il__law_model *b)
{
    double factor = a->read_gbps / b->read_gbps;
    return fmax(a->floor_memory, b->floor_memory) >= 0.5 &&
           (factor > IL__ONE_TIER_FACTOR || factor < 1 / IL__ONE_TIER_FACTOR);
}

size_t il__depths_in_one_tier(const il__law_model *models, size_t n, size_t *from)
{
    size_t longest = 0;
    *from = 0;
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && !tiers_differ(&models[end - 1], &models[end]);) {
            end++;
        }
        if (end - first > longest) {
            longest = end - first;
            *from = first;
        }
    }
    return longest;
}

static bool say_tier(const il__law *line, il_buf *why)
{
    for (size_t i = 1; i < line->n; i++) {
        const il__law_model *a = line->models[i - 1];
        const il__law_model *b = line->models[i];
        if (tiers_differ(a, b)) {
            (void)il_buf_printf(why,
                                "between %g and %g layers it %s a cache: a step touches %.3g and "
                                "%.3g MB, which read at %.3g and %.3g GB/s at most",
                                a->x[IL__X_n_layer], b->x[IL__X_n_layer],
                                a->read_gbps > b->read_gbps ? "leaves" : "enters",
                                a->working_set_bytes / 1e6, b->working_set_bytes / 1e6,
                                a->read_gbps, b->read_gbps);
            return true;
        }
    }
    return false;
}

/* A power of depth against the line: one coefficient more, F with 1 and n − 3 degrees of freedom.
 */
static bool say_curve(const il__law *line, il_buf *why, il_error *err)
{
    il_form_fit curve;
    double rounding = 1e-12 * (double)line->n;
    if (line->n < 4 || line->loo.fit.sse < rounding ||
        il_form_fit_to(IL_FORM_AFFINE_POWER, line->x, line->ms, line->n, NULL, &curve, err) !=
            IL_OK ||
        curve.sse >= line->loo.fit.sse) {
        return false;
    }
    double dof = (double)line->n - 3;
    double f = (line->loo.fit.sse - curve.sse) * dof / fmax(curve.sse, rounding);
    double p = il_t_two_sided_p(sqrt(f), dof);
    if (p < IL__BEND_LEVEL) {
        (void)il_buf_printf(why,
                            "a fixed time and the power %.3g of layers fit better (F test, p = "
                            "%.2g)",
                            curve.coef[2], p);
    }
    return p < IL__BEND_LEVEL;
}

bool il__depths_bend(const il__law *line, il_buf *why, il_error *err)
{
    static const char lead[] = "the sweep is no straight line: ";
    il_buf_clear(why);
    (void)il_buf_puts(why, lead);
    if (!line->fitted || say_tier(line, why)) {
        return line->fitted;
    }
    if (line->terms[0].high < 0) {
        (void)il_buf_printf(why, "its intercept, %.3g (%.3g to %.3g) ms, is below 0",
                            line->loo.fit.coef[0], line->terms[0].low, line->terms[0].high);
        return true;
    }
    if (say_curve(line, why, err)) {
        return true;
    }
    il_buf_clear(why);
    return false;
}
