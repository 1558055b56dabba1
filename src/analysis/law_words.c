/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Why a law stands or does not, in words.
 */
#include "analysis/law_fit.h"

#include <string.h>

/* Exponents to three places, milliseconds to four digits. */
static const char *number_format(il_form form)
{
    return form == IL_FORM_POWER || form == IL_FORM_DEPTH_WIDTH ? "%.3f" : "%.4g";
}

static void put_number(const il__law *l, double value, il_buf *out)
{
    char text[64];
    (void)snprintf(text, sizeof text, number_format(l->form), value);
    (void)il_buf_puts(out, text);
}

static const char *term_name(const il__law *l, size_t term)
{
    return il_form_term_name(l->form, term);
}

static bool is_of_law(const il__law *l)
{
    return l->about >= il_form_n_terms(l->form);
}

static size_t told_term(const il__law *l)
{
    return is_of_law(l) ? il__law_main_term(l->form) : l->about;
}

static void say_decisive(const il__law *l, il_buf *out)
{
    size_t term = l->judgement.term;
    const il_loo_row *row = &l->loo.loo.rows[l->judgement.model * l->loo.fit.n_terms + term];
    const char *name = l->models[l->judgement.model]->name;
    if (!row->fitted) {
        (void)il_buf_printf(out, "without %s there is no %s at all", name, term_name(l, term));
        return;
    }
    (void)il_buf_printf(out, "without %s the %s goes from ", name, term_name(l, term));
    put_number(l, l->loo.fit.coef[term], out);
    (void)il_buf_puts(out, " to ");
    put_number(l, row->estimate, out);
    if (l->judgement.n_decisive > 1) {
        (void)il_buf_printf(out, "; %zu models are decisive", l->judgement.n_decisive);
    }
}

static void say_range(const il__law *l, size_t term, il_buf *out)
{
    double low = INFINITY;
    double high = -INFINITY;
    for (size_t i = 0; i < l->n; i++) {
        double its = l->loo.loo.rows[i * l->loo.fit.n_terms + term].estimate;
        low = fmin(low, its);
        high = fmax(high, its);
    }
    (void)il_buf_printf(out, "the %s ", term_name(l, term));
    put_number(l, l->loo.fit.coef[term], out);
    (void)il_buf_puts(out, " stays between ");
    put_number(l, low, out);
    (void)il_buf_puts(out, " and ");
    put_number(l, high, out);
}

static void say_supported(const il__law *l, il_buf *out)
{
    (void)il_buf_puts(out, "no model is decisive: ");
    bool first = true;
    bool of_law = is_of_law(l);
    for (size_t t = 0; t < l->loo.fit.n_terms; t++) {
        if (of_law ? il_form_term_judged(l->form, t) : t == l->about) {
            (void)il_buf_puts(out, first ? "" : ", ");
            say_range(l, t, out);
            first = false;
        }
    }
    (void)il_buf_printf(out, " whichever of the %zu models is left out", l->n);
    const il_interval *told = &l->terms[told_term(l)];
    if (told->low <= 0 && told->high >= 0) {
        (void)il_buf_puts(out, "; its interval takes in 0");
    }
}

static const char *column_name(il_form form, size_t column)
{
    static const char *const shape[] = {"n_layer", "d_model", "n_head"};
    static const char *const physics[] = {"n_layer", "the floor"};
    return form == IL_FORM_PHYSICS ? physics[column] : shape[column];
}

static void say_confounded(const il__law *l, il_buf *out)
{
    const il_form_columns *c = &l->loo.columns;
    size_t worst = 0;
    for (size_t j = 0; j < c->n_columns; j++) {
        worst = c->vif[j] > c->vif[worst] ? j : worst;
    }
    for (size_t j = 0; j < c->n_columns; j++) {
        (void)il_buf_printf(out, "%s%s",
                            j == 0                  ? ""
                            : j + 1 == c->n_columns ? " and "
                                                    : ", ",
                            column_name(l->form, j));
    }
    if (isinf(c->condition)) {
        (void)il_buf_puts(out, " cannot be told apart in these models: one of them does not vary, "
                               "or follows from the others");
        return;
    }
    (void)il_buf_printf(out,
                        " move together in these models: condition number %.1f (at most %.0f), "
                        "variance inflation of %s %.1f (at most %.0f)",
                        c->condition, IL_FORM_MOST_CONDITION, column_name(l->form, worst),
                        c->vif[worst], IL_FORM_MOST_VIF);
}

static void say_unfitted(const il__law *l, il_buf *out)
{
    size_t k = il_form_n_terms(l->form);
    if (il_form_n_x(l->form) == 1 && (l->form != IL_FORM_AFFINE_POWER || l->n >= k)) {
        (void)il_buf_printf(out, "%zu model%s without two different values of %s", l->n,
                            l->n == 1 ? "" : "s", l->x_name);
    } else if (l->n < k) {
        (void)il_buf_printf(out, "n: the form %s needs %zu models, there %s %zu",
                            il_form_name(l->form), k + 3, l->n == 1 ? "is" : "are", l->n);
    } else {
        say_confounded(l, out);
    }
}

static void say_leverage(const il__law *l, il_buf *out)
{
    const char *name = l->models[l->judgement.model]->name;
    const il_form_columns *c = &l->loo.columns;
    if (c->n_columns < 2) {
        (void)il_buf_printf(out, "%s alone fixes the %s: leverage 1", name,
                            term_name(l, il__law_main_term(l->form)));
        return;
    }
    (void)il_buf_printf(out, "%s alone fixes one of the coefficients: leverage 1", name);
    for (size_t j = 0; j < c->n_columns; j++) {
        (void)il_buf_printf(out, "%s %.1f of %s", j == 0 ? " (variance inflation" : ",", c->vif[j],
                            column_name(l->form, j));
    }
    (void)il_buf_printf(out, ", condition number %.1f)", c->condition);
}

static void say_undetermined(const il__law *l, il_buf *out)
{
    if (l->form == IL_FORM_AFFINE_POWER && l->loo.fit.on_bound[2] && l->loo.fit.coef[1] > 0) {
        (void)il_buf_printf(out, "s is %.4g, where the search ends: no exponent of this form fits",
                            l->loo.fit.coef[2]);
        return;
    }
    (void)il_buf_printf(out,
                        "the coefficients of %s are not determined: the time does not follow %s, "
                        "or too few different values are there",
                        il_form_name(l->form), l->x_name);
}

static void say_verdict(const il__law *l, il_buf *out)
{
    const il_form_judgement *j = &l->judgement;
    switch (j->verdict) {
    case IL_FORM_NO_FIT:
        break; /* without a fit there is no judgement */
    case IL_FORM_TOO_FEW_MODELS:
        if (l->form == IL_FORM_POWER) {
            (void)il_buf_printf(out, "n: a line needs %zu models, there are %zu", j->n_needed,
                                l->n);
        } else {
            (void)il_buf_printf(out, "n: the form %s needs %zu models, there are %zu",
                                il_form_name(l->form), j->n_needed, l->n);
        }
        break;
    case IL_FORM_CONFOUNDED:
        say_confounded(l, out);
        break;
    case IL_FORM_LEVERAGE_ONE:
        say_leverage(l, out);
        return;
    case IL_FORM_UNDETERMINED:
        say_undetermined(l, out);
        return;
    case IL_FORM_DECISIVE:
        say_decisive(l, out);
        return;
    case IL_FORM_SUPPORTED:
        say_supported(l, out);
        return;
    }
    if (j->n_decisive > 0) {
        (void)il_buf_puts(out, "; ");
        say_decisive(l, out);
    }
}

static void say_below_zero(const il__law *l, il_buf *out)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->loo.loo.predicted[i] == -INFINITY) {
            (void)il_buf_printf(out, "; fitted without %s it predicts a time below 0 there",
                                l->models[i]->name);
            return;
        }
    }
}

void il__law_say_why(const il__law *l, il_buf *out)
{
    if (l->fitted) {
        say_verdict(l, out);
        if (is_of_law(l)) {
            say_below_zero(l, out);
        }
    } else {
        say_unfitted(l, out);
    }
    if (l->data->n_flagged > 0 && isnan(l->unflagged[told_term(l)])) {
        (void)il_buf_printf(out, "; %zu rows carry flags, and too few models are left without them",
                            l->data->n_flagged);
    } else if (l->data->n_flagged > 0) {
        (void)il_buf_printf(out, "; without the %zu flagged rows the %s is ", l->data->n_flagged,
                            term_name(l, told_term(l)));
        put_number(l, l->unflagged[told_term(l)], out);
    }
    if (l->n_unknown > 0) {
        (void)il_buf_printf(out, "; %zu models without known %s are left out", l->n_unknown,
                            l->x_name);
    }
    if (l->data->missing[0]) {
        (void)il_buf_printf(out, "; %s", l->data->missing);
    }
}

const char *il__law_verdict(const il__law *l)
{
    return l->fitted && l->judgement.verdict == IL_FORM_SUPPORTED ? "supported"
                                                                  : "not_identifiable";
}

void il__law_write_key(const il__run *run, const il__law *l, il_csv_writer *out)
{
    il_csv_text(out, il__text(run, l->data->key->backend));
    il_csv_f64(out, l->data->key->batch_size);
    il_csv_text(out, il__text(run, l->data->key->mode));
    il_csv_text(out, l->x_name);
    il_csv_text(out, il_form_name(l->form));
}
