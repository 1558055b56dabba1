/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * baselines.csv: what the chosen law has to beat. Each baseline predicts every model of the choice
 * from the others; one that the law does not beat says as much with less.
 */
#include "analysis/law_fit.h"

#include <stdlib.h>
#include <string.h>

const char *const il__law_baseline_columns[] = {"backend",  "batch_size",   "mode",     "baseline",
                                                "x",        "n_models",     "loo_mape", "law_x",
                                                "law_form", "law_loo_mape", "skill",    "best"};

typedef enum baseline {
    GUESS_MEAN,     /* geometric mean of the other models: no x at all */
    PARAMS_POWER,   /* a power of total parameters */
    ONE_CONSTANT,   /* a constant times bytes (decode) or FLOPs */
    MEASURED_FLOOR, /* the floor itself, nothing fitted */
    NEAREST,        /* the time of the model nearest in parameters */
    N_BASELINES
} baseline;

static const char *const names[N_BASELINES] = {"mean", "params_power", "one_constant",
                                               "measured_floor", "nearest_neighbour"};

typedef struct contest {
    const il__law *any; /* its models are those of the choice */
    il__law_x work;     /* what one_constant multiplies */
} contest;

/* Work of a row: bytes_read is of one step, FLOPs are of the row. */
static double work_of(const contest *c, size_t i)
{
    const il__law_model *model = c->any->models[i];
    return model->x[c->work] * (c->work == IL__X_bytes_read ? model->passes : 1);
}

/* Mean of ln(T/divisor) over the models but one; divisor NULL is 1. */
static double mean_without(const contest *c, size_t left_out, bool per_work)
{
    double sum = 0;
    for (size_t i = 0; i < c->any->n; i++) {
        if (i != left_out) {
            sum += log(c->any->ms[i] / (per_work ? work_of(c, i) : 1));
        }
    }
    return sum / (double)(c->any->n - 1);
}

static double nearest_ms(const contest *c, size_t left_out)
{
    double least = INFINITY;
    double ms = NAN;
    double own = c->any->models[left_out]->x[IL__X_params_total];
    for (size_t i = 0; i < c->any->n; i++) {
        double gap = fabs(log(c->any->models[i]->x[IL__X_params_total] / own));
        if (i != left_out && gap < least) {
            least = gap;
            ms = c->any->ms[i];
        }
    }
    return ms;
}

static double predict(const contest *c, baseline which, size_t i)
{
    switch (which) {
    case GUESS_MEAN:
        return exp(mean_without(c, i, false));
    case ONE_CONSTANT:
        return exp(mean_without(c, i, true)) * work_of(c, i);
    case MEASURED_FLOOR:
        return c->any->models[i]->floor_ms;
    default:
        return nearest_ms(c, i);
    }
}

static bool is_params_power(const il__law *l)
{
    return l->form == IL_FORM_POWER && strcmp(l->x_name, il__law_x_names[IL__X_params_total]) == 0;
}

/* Mean of |predicted/observed − 1|; NaN when a model cannot be predicted. */
static double error_of(const il__laws *laws, const contest *c, baseline which)
{
    if (which == PARAMS_POWER) {
        for (size_t k = 0; k < laws->n_candidates; k++) {
            const il__law *l = &laws->items[laws->candidates[k]];
            if (is_params_power(l)) {
                return l->mape;
            }
        }
        return NAN;
    }
    double sum = 0;
    for (size_t i = 0; i < c->any->n; i++) {
        double ms = predict(c, which, i);
        sum += ms > 0 ? fabs(ms / c->any->ms[i] - 1) : NAN;
    }
    return sum / (double)c->any->n;
}

static const char *x_of(const contest *c, baseline which)
{
    switch (which) {
    case GUESS_MEAN:
        return "";
    case ONE_CONSTANT:
        return il__law_x_names[c->work];
    case MEASURED_FLOOR:
        return "floor";
    default:
        return il__law_x_names[IL__X_params_total];
    }
}

void il__law_write_baselines(const il__run *run, const il__law_data *data, const il__laws *laws,
                             il_csv_writer *out)
{
    if (laws->n_candidates == 0 || laws->items[laws->candidates[0]].n < 3) {
        return;
    }
    const char *mode = il__text(run, data->key->mode);
    const contest c = {&laws->items[laws->candidates[0]],
                       strcmp(mode, "kv_decode") == 0 ? IL__X_bytes_read : IL__X_flops};
    bool chosen = laws->choice.chosen < laws->n_candidates;
    const il__law *law = chosen ? &laws->items[laws->candidates[laws->choice.chosen]] : NULL;
    double errors[N_BASELINES];
    double least = INFINITY;
    for (int k = 0; k < N_BASELINES; k++) {
        errors[k] = error_of(laws, &c, (baseline)k);
        least = errors[k] < least ? errors[k] : least;
    }
    for (int k = 0; k < N_BASELINES; k++) {
        if (isnan(errors[k])) {
            continue;
        }
        il_csv_text(out, il__text(run, data->key->backend));
        il_csv_f64(out, data->key->batch_size);
        il_csv_text(out, mode);
        il_csv_text(out, names[k]);
        il_csv_text(out, x_of(&c, (baseline)k));
        il_csv_i64(out, (int64_t)c.any->n);
        il_csv_f64(out, errors[k]);
        il_csv_text(out, law ? law->x_name : "");
        il_csv_text(out, law ? il_form_name(law->form) : "");
        il_csv_f64(out, law ? laws->choice.mape : NAN);
        /* A law is no better or worse than itself: its nested error against its own says nothing.
         */
        bool other = law && !(k == PARAMS_POWER && is_params_power(law));
        il_csv_f64(out,
                   other && isfinite(laws->choice.mape) ? 1 - laws->choice.mape / errors[k] : NAN);
        il_csv_bool(out, errors[k] == least);
        il_csv_end_row(out);
    }
}
