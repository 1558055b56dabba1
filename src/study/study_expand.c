/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From the lists of the file to the lists of the run: flags, suites and shapes, batch sizes and
 * prompt lengths, kinds mapped, filters.
 */
#include "study/study_read.h"

#include "base/file.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static int no_memory(il_error *err)
{
    return il_fail(err, IL_E_NOMEM, "out of memory");
}

static void where_value(il_error *err, const char *origin, const il_param_set *set, il_param_id id)
{
    const il_param_value *v = &set->values[id];
    if (v->line > 0) {
        il_error_where(err, "%s:%d:%d", origin, v->line, v->column);
    }
}

static int apply_flags(il_study *s, const il_study_options *o, const char *origin, il_error *err)
{
    static const il_param_id top[] = {IL_P_GEN_TOKENS, IL_P_REPETITIONS, IL_P_WARMUP_REPETITIONS,
                                      IL_P_SEED};
    for (size_t i = 0; o->flags && i < sizeof top / sizeof top[0]; i++) {
        if (il_param_is_set(o->flags, top[i])) {
            s->top.values[top[i]] = o->flags->values[top[i]];
        }
    }
    if (o->flags && il_param_is_set(o->flags, IL_P_BLOCKS)) {
        s->schedule.values[IL_P_BLOCKS] = o->flags->values[IL_P_BLOCKS];
    }
    if (il_param_has(&s->top, IL_P_GEN_TOKENS_LIST) && !o->sweep) {
        int rc = il_fail(err, IL_E_USAGE, "gen_tokens_list is a sweep: one run per decode length");
        where_value(err, origin, &s->top, IL_P_GEN_TOKENS_LIST);
        il_error_hint(err, "inferlaw sweep %s", origin);
        return rc;
    }
    if (o->gen_tokens > 0) {
        char text[32];
        (void)snprintf(text, sizeof text, "%lld", (long long)o->gen_tokens);
        return il_param_set_text(&s->top, IL_P_GEN_TOKENS, text, IL_ORIGIN_FLAG, err);
    }
    return IL_OK;
}

/* --- batch sizes and prompt lengths ----------------------------------------------------------- */

static int backend_at_batch(il_study *s, const il_study_backend *from, int64_t batch, il_error *err)
{
    il_study_backend b = *from;
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)batch);
    const char *name = il_arena_printf(&s->arena, "%s_bs%s", from->name, text);
    if (!name) {
        return no_memory(err);
    }
    int rc = il_param_set_text(&b.set, IL_P_BATCH_SIZE, text, IL_ORIGIN_FILE, err);
    rc = rc == IL_OK ? il_param_set_text(&b.set, IL_P_NAME, name, IL_ORIGIN_FILE, err) : rc;
    b.name = name;
    json_incref(b.options);
    rc = rc == IL_OK ? il__study_add_backend(s, &b, err) : rc;
    if (rc != IL_OK) {
        json_decref(b.options);
    }
    return rc;
}

/* A model that is bound to a backend by `on:` meets all of its expansions: see meets() in plan.c,
 * which strips the suffix. */
static int expand_batches(il_study *s, const il_study_options *o, const char *origin, il_error *err)
{
    const il_param_value *list = &s->top.values[IL_P_BATCH_SIZES];
    if (list->n == 0) {
        return IL_OK;
    }
    il_study_backend *old = s->backends;
    size_t n_old = s->n_backends;
    int rc = IL_OK;
    s->backends = NULL;
    s->n_backends = 0;
    for (size_t i = 0; rc == IL_OK && i < n_old; i++) {
        for (size_t k = 0; rc == IL_OK && k < list->n; k++) {
            if (o->batch_size <= 0 || o->batch_size == list->i64s[k]) {
                rc = backend_at_batch(s, &old[i], list->i64s[k], err);
            }
        }
    }
    for (size_t i = 0; i < n_old; i++) {
        json_decref(old[i].options);
    }
    if (rc != IL_OK) {
        where_value(err, origin, &s->top, IL_P_BATCH_SIZES);
    }
    return rc;
}

static int expand_prompts(il_study *s, const il_study_options *o, const char *origin, il_error *err)
{
    const il_param_value *list = &s->top.values[IL_P_PROMPT_TOKENS_LIST];
    for (size_t k = 0; k < list->n; k++) {
        if (o->prompt_tokens > 0 && o->prompt_tokens != list->i64s[k]) {
            continue;
        }
        il_scenario c = {.prompt_tokens = (uint32_t)list->i64s[k], .source = "ids"};
        c.name = il_arena_printf(&s->arena, "p%lld", (long long)list->i64s[k]);
        int rc = c.name ? il__study_add_scenario(s, &c, err) : no_memory(err);
        if (rc != IL_OK) {
            where_value(err, origin, &s->top, IL_P_PROMPT_TOKENS_LIST);
            return rc;
        }
    }
    return IL_OK;
}

/* --- kinds and compat ------------------------------------------------------------------------- */

static int apply_map(il_study *s, const char *rule, il_error *err)
{
    const char *equal = strchr(rule, '=');
    char from[64], to[64];
    size_t n = equal ? (size_t)(equal - rule) : 0;
    if (n == 0 || n >= sizeof from || strlen(equal + 1) >= sizeof to) {
        int rc = il_fail(err, IL_E_USAGE, "--map needs KIND=KIND, not \"%s\"", rule);
        il_error_hint(err, "--map hf=native");
        return rc;
    }
    memcpy(from, rule, n);
    from[n] = '\0';
    (void)snprintf(to, sizeof to, "%s", equal + 1);
    bool used = false;
    for (size_t i = 0; i < s->n_backends; i++) {
        il_study_backend *b = &s->backends[i];
        if (strcmp(b->kind_asked, from) != 0) {
            continue;
        }
        int rc = il_param_set_text(&b->set, IL_P_KIND, to, IL_ORIGIN_FLAG, err);
        if (rc != IL_OK) {
            il_error_where(err, "--map %s", rule);
            return rc;
        }
        b->kind = il_param_text(&b->set, IL_P_KIND);
        used = true;
    }
    if (!used) {
        int rc = il_fail(err, IL_E_USAGE, "--map %s: no backend of this study is of kind \"%s\"",
                         rule, from);
        return rc;
    }
    return IL_OK;
}

/* The original study's loop computes the head at every prompt position. */
static int apply_compat(il_study *s, il_error *err)
{
    for (size_t i = 0; i < s->n_backends; i++) {
        il_param_set *set = &s->backends[i].set;
        int rc = IL_OK;
        if (il_param_is_set(&s->top, IL_P_COMPAT) && !il_param_is_set(set, IL_P_COMPAT)) {
            rc = il_param_set_text(set, IL_P_COMPAT, il_param_text(&s->top, IL_P_COMPAT),
                                   IL_ORIGIN_FILE, err);
        }
        if (rc == IL_OK && strcmp(il_param_text(set, IL_P_COMPAT), "tr121") == 0 &&
            !il_param_is_set(set, IL_P_LOGITS)) {
            rc = il_param_set_text(set, IL_P_LOGITS, "all", IL_ORIGIN_DEFAULT, err);
        }
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

/* --- filters ---------------------------------------------------------------------------------- */

/* A model may be called by the last part of its path. */
static bool wanted(const char *name, const char *filter)
{
    return strcmp(name, filter) == 0 || strcmp(il_path_base(name), filter) == 0;
}

static bool any_wanted(const char *name, const il_param_value *filter)
{
    for (size_t i = 0; i < filter->n; i++) {
        if (wanted(name, filter->texts[i])) {
            return true;
        }
    }
    return false;
}

/* By whole names, then by their last parts. */
static const char *nearest_name(const char *text, const char *const *names, size_t n)
{
    const char *nearest = il_text_nearest(text, names, n);
    unsigned least = nearest ? 0 : 3;
    for (size_t i = 0; i < n; i++) {
        unsigned d = il_text_distance(text, il_path_base(names[i]));
        if (d < least) {
            least = d;
            nearest = names[i];
        }
    }
    return nearest;
}

/* Every filter must name something: a typing error must not silently measure less. */
static int check_filter(const char *flag, const il_param_value *filter, const char *const *names,
                        size_t n_names, il_error *err)
{
    for (size_t i = 0; i < filter->n; i++) {
        bool found = false;
        for (size_t k = 0; k < n_names; k++) {
            found = found || wanted(names[k], filter->texts[i]);
        }
        if (!found) {
            int rc =
                il_fail(err, IL_E_USAGE, "--%s: the study has no \"%s\"", flag, filter->texts[i]);
            const char *nearest = nearest_name(filter->texts[i], names, n_names);
            if (nearest) {
                il_error_hint(err, "did you mean \"%s\"?", nearest);
            } else if (n_names > 0) {
                il_error_hint(err, "it has \"%s\"%s", names[0], n_names > 1 ? " and others" : "");
            }
            return rc;
        }
    }
    return IL_OK;
}

static json_t *filter_json(const il_param_value *filter)
{
    json_t *list = json_array();
    for (size_t i = 0; i < filter->n; i++) {
        (void)json_array_append_new(list, json_string(filter->texts[i]));
    }
    return list;
}

/* Keeps the elements of an array of structs whose first member is the name. */
static int filter_list(il_study *s, const il_param_set *flags, il_param_id id, void *items,
                       size_t size, size_t *n, il_error *err)
{
    const il_param_value *filter = &flags->values[id];
    if (!il_param_is_set(flags, id)) {
        return IL_OK;
    }
    const char **names = il_arena_array(&s->arena, *n + 1, sizeof *names);
    if (!names) {
        return no_memory(err);
    }
    char *bytes = items;
    for (size_t i = 0; i < *n; i++) {
        memcpy(&names[i], bytes + i * size, sizeof names[i]);
    }
    int rc = check_filter(il_param_row(id)->name, filter, names, *n, err);
    size_t kept = 0;
    for (size_t i = 0; rc == IL_OK && i < *n; i++) {
        if (any_wanted(names[i], filter)) {
            if (kept != i) {
                memcpy(bytes + kept * size, bytes + i * size, size);
            }
            kept++;
        }
    }
    if (rc == IL_OK) {
        *n = kept;
        (void)json_object_set_new(s->filters, il_param_row(id)->name, filter_json(filter));
    }
    return rc;
}

/* Backends own their options, so that leaving one out means giving those back. */
static void drop_options(il_study *s, const il_param_set *flags)
{
    const il_param_value *filter = &flags->values[IL_P_ONLY_BACKENDS];
    for (size_t i = 0; i < s->n_backends && filter->n > 0; i++) {
        if (!any_wanted(s->backends[i].name, filter)) {
            json_decref(s->backends[i].options);
            s->backends[i].options = NULL;
        }
    }
}

/* A twin is compared with a model of the same study. */
static int check_twins(const il_study *s, const char *origin, il_error *err)
{
    for (size_t i = 0; i < s->n_models; i++) {
        const char *wanted_name = s->models[i].twin_of;
        bool found = !wanted_name;
        for (size_t k = 0; k < s->n_models && !found; k++) {
            found = k != i && strcmp(s->models[k].name, wanted_name) == 0;
        }
        if (!found) {
            int rc = il_fail(err, IL_E_USAGE, "model %s: twin_of names no other model of the study",
                             s->models[i].name);
            il_error_where(err, "%s:%d", origin, s->models[i].line);
            il_error_hint(err, "give the name of the model it is to be compared with");
            return rc;
        }
    }
    return IL_OK;
}

static int apply_filters(il_study *s, const il_param_set *flags, il_error *err)
{
    s->filters = json_object();
    if (!s->filters) {
        return no_memory(err);
    }
    if (!flags) {
        return IL_OK;
    }
    int rc = filter_list(s, flags, IL_P_ONLY_SCENARIOS, s->scenarios, sizeof *s->scenarios,
                         &s->n_scenarios, err);
    if (rc == IL_OK) {
        rc = filter_list(s, flags, IL_P_ONLY_MODELS, s->models, sizeof *s->models, &s->n_models,
                         err);
    }
    if (rc == IL_OK) {
        drop_options(s, flags);
        rc = filter_list(s, flags, IL_P_ONLY_BACKENDS, s->backends, sizeof *s->backends,
                         &s->n_backends, err);
    }
    return rc;
}

/* --- what is there, what is not acted on ------------------------------------------------------ */

static int check_lists(const il_study *s, const char *origin, il_error *err)
{
    const char *missing = s->n_backends == 0    ? "backends"
                          : s->n_models == 0    ? "models (or suites, or shapes)"
                          : s->n_scenarios == 0 ? "scenarios (or prompt_tokens_list)"
                                                : NULL;
    if (!missing) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_USAGE, "the study names no %s", missing);
    il_error_where(err, "%s", origin);
    il_error_hint(err, "configs/quick.yaml shows all three lists");
    return rc;
}

int il__study_expand(il_study *s, const il_study_options *o, const char *origin,
                     const il_yaml *root, il_error *err)
{
    int rc = apply_flags(s, o, origin, err);
    rc = rc == IL_OK ? il__study_add_suites(s, err) : rc;
    rc = rc == IL_OK ? il__study_add_shapes(s, origin, root, err) : rc;
    rc = rc == IL_OK ? expand_batches(s, o, origin, err) : rc;
    rc = rc == IL_OK ? expand_prompts(s, o, origin, err) : rc;
    const il_param_value *map = o->flags ? &o->flags->values[IL_P_MAP] : NULL;
    for (size_t i = 0; rc == IL_OK && map && i < map->n; i++) {
        rc = apply_map(s, map->texts[i], err);
    }
    rc = rc == IL_OK ? apply_compat(s, err) : rc;
    rc = rc == IL_OK ? check_lists(s, origin, err) : rc;
    rc = rc == IL_OK ? check_twins(s, origin, err) : rc;
    rc = rc == IL_OK ? apply_filters(s, o->flags, err) : rc;
    return rc == IL_OK ? il__study_resolve_models(s, err) : rc;
}
