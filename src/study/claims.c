/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/claims.h"

#include "base/file.h"
#include "study/study_read.h"

#include <math.h>
#include <string.h>

#define NAME(name) #name,
const char *const il_claim_test_names[] = {IL_CLAIM_TEST_MAP(NAME)};
const char *const il_claim_direction_names[] = {IL_CLAIM_DIRECTION_MAP(NAME)};
const char *const il_claim_x_names[] = {IL_CLAIM_X_MAP(NAME) "mean"};
static const char *const over_names[] = {IL_CLAIM_OVER_MAP(NAME)};
#undef NAME

typedef struct reader {
    const char *origin;
    il_claims *claims;
    il_arena *arena;
} reader;

/* Choices are checked by the parameter table: one of the names is the text. */
static int choice_of(const char *const *names, const char *text)
{
    int i = 0;
    while (strcmp(names[i], text) != 0) {
        i++;
    }
    return i;
}

static double number_of(const il_param_set *set, il_param_id id)
{
    if (!il_param_has(set, id)) {
        return NAN;
    }
    return il_param_row(id)->type == IL_PARAM_I64 ? (double)il_param_i64(set, id)
                                                  : il_param_f64(set, id);
}

static il_claim_x x_of(const il_param_set *set, il_param_id id)
{
    const char *text = il_param_text(set, id);
    return text ? (il_claim_x)choice_of(il_claim_x_names, text) : IL_CLAIM_X_COUNT;
}

static bool take_globs(const il_param_set *set, il_param_id id, il_claim_globs *out)
{
    if (!il_param_is_set(set, id)) {
        return false;
    }
    *out = (il_claim_globs){set->values[id].texts, set->values[id].n};
    return true;
}

static bool take_number(const il_param_set *set, il_param_id id, double *out)
{
    if (!il_param_is_set(set, id)) {
        return false;
    }
    *out = number_of(set, id);
    return true;
}

/* Puts what the set names into the side, and says which of it a pair may differ in. */
static il_claim_differs take_side(const il_param_set *set, il_claim_side *side)
{
    il_claim_differs d = {0};
    d.backend = take_globs(set, IL_P_CLAIM_BACKEND, &side->backend);
    d.scenario = take_globs(set, IL_P_CLAIM_SCENARIO, &side->scenario);
    d.model = take_globs(set, IL_P_CLAIM_MODEL, &side->model);
    d.batch_size = take_number(set, IL_P_CLAIM_BATCH, &side->batch_size);
    d.model |= take_number(set, IL_P_CLAIM_LAYERS, &side->n_layer);
    d.model |= take_number(set, IL_P_CLAIM_WIDTH, &side->d_model);
    d.model |= take_number(set, IL_P_CLAIM_LEAST_M, &side->params_from);
    d.model |= take_number(set, IL_P_CLAIM_MOST_M, &side->params_to);
    if (il_param_is_set(set, IL_P_CLAIM_MODE)) {
        side->mode = il_param_text(set, IL_P_CLAIM_MODE);
        d.mode = true;
    }
    if (il_param_is_set(set, IL_P_CLAIM_ROWS)) {
        side->warmup = strcmp(il_param_text(set, IL_P_CLAIM_ROWS), "warmup") == 0;
        d.rows = true;
    }
    return d;
}

static int set_new(const reader *r, uint64_t scope, il_param_set **out, il_error *err)
{
    *out = il_arena_alloc(r->arena, sizeof **out);
    return *out ? il_param_set_init(*out, scope, r->arena, err)
                : il_fail(err, IL_E_NOMEM, "no memory for a claim");
}

static int read_shapes(const reader *r, const il_yaml *list, il_claim *c, il_error *err)
{
    c->shapes = il_arena_array(r->arena, list->n, sizeof *c->shapes);
    for (const il_yaml *e = list->first; e; e = e->next) {
        il_param_set *set;
        int rc = set_new(r, IL_SCOPE_CLAIM_FACT, &set, err);
        rc = rc ? rc : il__section_read(r->origin, e, set, err);
        if (rc != IL_OK || !c->shapes) {
            return rc ? rc : il_fail(err, IL_E_NOMEM, "no memory for a claim");
        }
        il_claim_shape *shape = &c->shapes[c->n_shapes++];
        *shape =
            (il_claim_shape){number_of(set, IL_P_CLAIM_LAYERS), number_of(set, IL_P_CLAIM_WIDTH),
                             number_of(set, IL_P_CLAIM_FACT_M)};
        if (isnan(shape->n_layer) || isnan(shape->d_model) || isnan(shape->params_millions)) {
            rc = il_fail(err, IL_E_USAGE,
                         "a claimed shape needs n_layer, d_model and "
                         "params_millions");
            il_yaml_where(err, r->origin, e);
            return rc;
        }
    }
    return IL_OK;
}

static int read_same(const reader *r, const il_yaml *list, il_claim *c, il_error *err)
{
    c->same = il_arena_array(r->arena, list->n, sizeof *c->same);
    for (const il_yaml *e = list->first; e; e = e->next) {
        il_param_set *set;
        int rc = set_new(r, IL_SCOPE_CLAIM_FACT, &set, err);
        rc = rc ? rc : il__section_read(r->origin, e, set, err);
        if (rc != IL_OK || !c->same) {
            return rc ? rc : il_fail(err, IL_E_NOMEM, "no memory for a claim");
        }
        il_claim_number *number = &c->same[c->n_same++];
        const char *unit = il_param_text(set, IL_P_CLAIM_FACT_UNIT);
        *number = (il_claim_number){il_param_text(set, IL_P_CLAIM_FACT_WHAT), unit ? unit : "",
                                    number_of(set, IL_P_CLAIM_FACT_VALUE)};
        if (!number->what || isnan(number->value)) {
            rc = il_fail(err, IL_E_USAGE, "a claimed number needs what and value");
            il_yaml_where(err, r->origin, e);
            return rc;
        }
    }
    return IL_OK;
}

/* The terms of the fit: x first, minus second, then whatever else `terms` names. */
static void take_terms(const il_param_set *set, il_claim *c)
{
    const il_param_value *list = &set->values[IL_P_CLAIM_TERMS];
    if (c->x != IL_CLAIM_X_COUNT) {
        c->terms[c->n_terms++] = c->x;
    }
    if (c->minus != IL_CLAIM_X_COUNT && c->minus != c->x) {
        c->terms[c->n_terms++] = c->minus;
    }
    for (size_t i = 0; i < list->n; i++) {
        il_claim_x term = (il_claim_x)choice_of(il_claim_x_names, list->texts[i]);
        bool known = false;
        for (size_t k = 0; k < c->n_terms; k++) {
            known |= c->terms[k] == term;
        }
        if (!known) {
            c->terms[c->n_terms++] = term;
        }
    }
}

/* What the test cannot do without; NULL when all is there. */
static const char *lacking(const il_claim *c)
{
    bool needs_x = c->test >= IL_CLAIM_exponent;
    if (!c->a.mode) {
        return "mode";
    }
    if (needs_x && c->x == IL_CLAIM_X_COUNT) {
        return "x";
    }
    if ((c->test == IL_CLAIM_share || c->test == IL_CLAIM_crossover) && !c->has_versus) {
        return "versus";
    }
    if ((c->test == IL_CLAIM_share || (c->test == IL_CLAIM_ratio && !c->has_versus)) &&
        isnan(c->than)) {
        return "than";
    }
    if (c->test == IL_CLAIM_coefficient_ratio && c->minus == IL_CLAIM_X_COUNT) {
        return "minus";
    }
    if (c->test == IL_CLAIM_bend && isnan(c->at)) {
        return "at";
    }
    if (c->test == IL_CLAIM_crossover && !(c->from < c->to)) {
        return "from and to, the first below the second";
    }
    return NULL;
}

static const char *impossible(const il_claim *c)
{
    if (c->test == IL_CLAIM_share && !(c->than > 0 && c->than < 1)) {
        return "than of a share lies between 0 and 1, both excluded";
    }
    if ((c->test == IL_CLAIM_ratio || c->test == IL_CLAIM_coefficient_ratio) && c->than <= 0) {
        return "than of a ratio is above 0";
    }
    if (c->over != IL_CLAIM_mean && c->test != IL_CLAIM_ratio && c->test != IL_CLAIM_share) {
        return "over: every and over: any are for ratio and share";
    }
    if (c->test == IL_CLAIM_crossover && !c->differs.backend && !c->differs.mode) {
        return "a crossover is of two backends or two modes: versus names the other";
    }
    if (c->has_versus && c->test >= IL_CLAIM_exponent && c->differs.model) {
        return "the two sides of a fit hold the same models";
    }
    if (c->over == IL_CLAIM_any && c->direction == IL_CLAIM_equal) {
        return "over: any says nothing with direction: equal";
    }
    return NULL;
}

static int check(const reader *r, const il_yaml *at, const il_claim *c, il_error *err)
{
    int rc = IL_OK;
    const char *wrong;
    if (c->ill_posed || c->n_shapes > 0 || c->n_same > 0) {
        rc = c->twin
                 ? IL_OK
                 : il_fail(err, IL_E_USAGE, "claim %s is marked ill posed and has no twin", c->id);
        il_error_hint(err, "twin: the id of a claim that data can decide");
    }
    if (rc == IL_OK && c->has_test && (wrong = lacking(c)) != NULL) {
        rc = il_fail(err, IL_E_USAGE, "claim %s, test %s, needs %s", c->id,
                     il_claim_test_names[c->test], wrong);
    } else if (rc == IL_OK && c->has_test && (wrong = impossible(c)) != NULL) {
        rc = il_fail(err, IL_E_USAGE, "claim %s: %s", c->id, wrong);
    }
    for (size_t i = 0; rc == IL_OK && i < r->claims->n; i++) {
        if (strcmp(r->claims->items[i].id, c->id) == 0) {
            rc = il_fail(err, IL_E_USAGE, "two claims are called \"%s\", the first on line %d",
                         c->id, r->claims->items[i].line);
        }
    }
    if (rc != IL_OK) {
        il_yaml_where(err, r->origin, at);
    }
    return rc;
}

static int read_versus(const reader *r, const il_yaml *versus, il_claim *c, il_error *err)
{
    il_param_set *set;
    int rc = set_new(r, IL_SCOPE_CLAIM_SIDE, &set, err);
    rc = rc ? rc : il__section_read(r->origin, versus, set, err);
    if (rc == IL_OK) {
        c->has_versus = true;
        c->differs = take_side(set, &c->b);
    }
    return rc;
}

static int read_facts(const reader *r, const il_yaml *map, il_claim *c, il_error *err)
{
    const il_yaml *shapes = il_yaml_get(map, "claimed_shapes");
    const il_yaml *same = il_yaml_get(map, "claimed_same");
    const il_yaml *not_list = shapes && shapes->type != IL_YAML_LIST ? shapes
                              : same && same->type != IL_YAML_LIST   ? same
                                                                     : NULL;
    if (not_list) {
        int rc = il_fail(err, IL_E_USAGE, "%s must be a list of mappings", not_list->key);
        il_yaml_where(err, r->origin, not_list);
        return rc;
    }
    int rc = shapes ? read_shapes(r, shapes, c, err) : IL_OK;
    return rc == IL_OK && same ? read_same(r, same, c, err) : rc;
}

static int read_claim(const reader *r, const il_yaml *map, il_error *err)
{
    static const il_claim_side everything = {
        .batch_size = NAN, .n_layer = NAN, .d_model = NAN, .params_from = NAN, .params_to = NAN};
    il_param_set *set;
    il_claim *c = &r->claims->items[r->claims->n];
    *c = (il_claim){.a = everything, .line = map->line};
    int rc = set_new(r, IL_SCOPE_CLAIM, &set, err);
    rc = rc ? rc : il__section_read(r->origin, map, set, err);
    if (rc != IL_OK) {
        return rc;
    }
    c->id = il_param_text(set, IL_P_CLAIM_ID);
    c->statement = il_param_text(set, IL_P_CLAIM_STATEMENT);
    c->twin = il_param_text(set, IL_P_CLAIM_TWIN);
    c->ill_posed = il_param_text(set, IL_P_CLAIM_ILL_POSED);
    const char *test = il_param_text(set, IL_P_CLAIM_TEST);
    bool posed =
        !c->ill_posed && !il_yaml_get(map, "claimed_shapes") && !il_yaml_get(map, "claimed_same");
    if (!c->id || !c->statement || (!test && posed)) {
        rc = il_fail(err, IL_E_USAGE, "a claim needs %s",
                     !c->id          ? "id"
                     : !c->statement ? "statement"
                                     : "test");
        il_yaml_where(err, r->origin, map);
        return rc;
    }
    c->has_test = test != NULL;
    c->test = test ? (il_claim_test)choice_of(il_claim_test_names, test) : IL_CLAIM_ratio;
    c->direction = (il_claim_direction)choice_of(il_claim_direction_names,
                                                 il_param_text(set, IL_P_CLAIM_DIRECTION));
    c->over = (il_claim_over)choice_of(over_names, il_param_text(set, IL_P_CLAIM_OVER));
    c->than = number_of(set, IL_P_CLAIM_THAN);
    c->margin = number_of(set, IL_P_CLAIM_MARGIN);
    c->x = x_of(set, IL_P_CLAIM_X);
    c->minus = x_of(set, IL_P_CLAIM_MINUS);
    c->against = x_of(set, IL_P_CLAIM_AGAINST);
    c->against_mean = c->against == IL_CLAIM_X_COUNT;
    c->weight = number_of(set, IL_P_CLAIM_WEIGHT);
    c->at = number_of(set, IL_P_CLAIM_AT);
    c->from = number_of(set, IL_P_CLAIM_FROM);
    c->to = number_of(set, IL_P_CLAIM_TO);
    c->same_within = number_of(set, IL_P_CLAIM_SAME_WITHIN);
    c->decided_by = il_param_text(set, IL_P_CLAIM_DECIDED_BY);
    (void)take_side(set, &c->a);
    take_terms(set, c);
    c->b = c->a;
    const il_yaml *versus = il_yaml_get(map, "versus");
    rc = versus ? read_versus(r, versus, c, err) : IL_OK;
    rc = rc ? rc : read_facts(r, map, c, err);
    rc = rc ? rc : check(r, map, c, err);
    r->claims->n += rc == IL_OK;
    return rc;
}

static int check_twins(const reader *r, const il_yaml *list, il_error *err)
{
    const il_yaml *at = list->first;
    for (size_t i = 0; i < r->claims->n; i++, at = at->next) {
        const il_claim *c = &r->claims->items[i];
        const il_claim *twin = NULL;
        for (size_t k = 0; c->twin && k < r->claims->n; k++) {
            twin = strcmp(r->claims->items[k].id, c->twin) == 0 ? &r->claims->items[k] : twin;
        }
        if (c->twin && (!twin || twin == c || twin->ill_posed)) {
            int rc = il_fail(err, IL_E_USAGE, "the twin \"%s\" of claim %s %s", c->twin, c->id,
                             !twin       ? "is not in this file"
                             : twin == c ? "is the claim itself"
                                         : "is ill posed too");
            il_yaml_where(err, r->origin, at);
            return rc;
        }
    }
    return IL_OK;
}

int il_claims_parse(const char *text, size_t n_bytes, const char *origin, il_claims *out,
                    il_error *err)
{
    il_yaml *root;
    *out = (il_claims){0};
    const reader r = {origin, out, &out->arena};
    int rc = il_yaml_parse(text, n_bytes, origin, r.arena, &root, err);
    if (rc != IL_OK) {
        return rc;
    }
    const il_yaml *list = root->type == IL_YAML_MAP ? il_yaml_get(root, "claims") : NULL;
    if (!list || list->type != IL_YAML_LIST || list->n == 0 || root->n != 1) {
        rc = il_fail(err, IL_E_USAGE, "a claims file has one key, claims, with a list of mappings");
        il_yaml_where(err, origin, root);
        return rc;
    }
    out->items = il_arena_array(r.arena, list->n, sizeof *out->items);
    rc = out->items ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for %zu claims", list->n);
    for (const il_yaml *e = list->first; rc == IL_OK && e; e = e->next) {
        rc = read_claim(&r, e, err);
    }
    return rc ? rc : check_twins(&r, list, err);
}

int il_claims_load(const char *path, il_claims *out, il_error *err)
{
    il_buf text;
    *out = (il_claims){0};
    il_buf_init(&text, IL_YAML_MAX_BYTES);
    int rc = il_file_read(path, &text, err);
    rc = rc ? rc : il_claims_parse(il_buf_text(&text), text.len, path, out, err);
    il_buf_free(&text);
    return rc;
}

void il_claims_free(il_claims *claims)
{
    il_arena_free(&claims->arena);
    *claims = (il_claims){0};
}
