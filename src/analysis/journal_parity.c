/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/journal_parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static il_parity_line *place_of(il__journal *j, il_run_facts *f, const char *backend,
                                const char *model)
{
    for (size_t i = 0; i < f->n_parity; i++) {
        if (strcmp(f->parity[i].backend, backend) == 0 && strcmp(f->parity[i].model, model) == 0) {
            return &f->parity[i];
        }
    }
    if (f->n_parity == j->cap_parity) {
        size_t more = j->cap_parity ? 2 * j->cap_parity : 64;
        il_parity_line *grown = realloc(f->parity, more * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        f->parity = grown;
        j->cap_parity = more;
    }
    il_parity_line *p = &f->parity[f->n_parity++];
    *p = (il_parity_line){.backend = strdup(backend), .model = strdup(model)};
    return p->backend && p->model ? p : NULL;
}

int il__journal_add_parity(il__journal *j, const json_t *line, il_run_facts *f, il_error *err)
{
    const char *backend = text_of(line, "backend"), *model = text_of(line, "model");
    const json_t *tolerance = json_object_get(line, "tolerance");
    const json_t *top1 = json_object_get(line, "top1_match");
    if (!backend[0] || !model[0] || !text_of(line, "verdict")[0]) {
        return IL_OK;
    }
    il_parity_line *p = place_of(j, f, backend, model);
    char *because = strdup(text_of(line, "because"));
    if (!p || !because) {
        free(because);
        return il_fail(err, IL_E_NOMEM, "no memory for the parity lines of the journal");
    }
    free(p->because);
    p->because = because;
    p->probe_tokens = number(line, "probe_tokens");
    p->steps = number(line, "steps");
    p->top1_checked = number(line, "top1_checked");
    p->max_rel_error = number(line, "max_rel_error");
    p->median_rel_error = number(line, "median_rel_error");
    p->rms_rel_error = number(line, "rms_rel_error");
    p->tolerance = number(tolerance, "value");
    p->noise_error = number(tolerance, "error");
    p->factor = number(tolerance, "factor");
    p->layers = number(tolerance, "layers");
    p->top1_match = json_is_boolean(top1) ? json_is_true(top1) : -1;
    (void)snprintf(p->judged_by, sizeof p->judged_by, "%s", text_of(line, "judged_by"));
    (void)snprintf(p->compared, sizeof p->compared, "%s", text_of(line, "compared"));
    (void)snprintf(p->reference, sizeof p->reference, "%s", text_of(line, "reference"));
    (void)snprintf(p->reference_isa, sizeof p->reference_isa, "%s", text_of(line, "reference_isa"));
    (void)snprintf(p->noise, sizeof p->noise, "%s", text_of(tolerance, "noise"));
    (void)snprintf(p->verdict, sizeof p->verdict, "%s", text_of(line, "verdict"));
    return IL_OK;
}
