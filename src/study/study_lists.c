/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The lists of a study file: scenarios, backends and models, as mappings or as names that another
 * file, the base, defines.
 */
#include "study/study_read.h"

#include "base/file.h"
#include "base/text.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(il_error *err)
{
    return il_fail(err, IL_E_NOMEM, "out of memory");
}

/* items grown by one element of `size` bytes; NULL when memory is out. Doubles at powers of two. */
static void *grow(il_arena *arena, void *items, size_t n, size_t size)
{
    if (n != 0 && (n & (n - 1)) != 0) {
        return items;
    }
    void *grown = il_arena_array(arena, n ? n * 2 : 1, size);
    if (grown && n > 0) {
        memcpy(grown, items, n * size);
    }
    return grown;
}

/* Names end up in file names, tables and terminals. */
static int name_check(const char *what, const char *name, il_error *err)
{
    size_t n = strlen(name);
    if (n == 0 || n > 200) {
        return il_fail(err, IL_E_USAGE, "the name of a %s must have 1 to 200 bytes", what);
    }
    for (const char *p = name; *p; p++) {
        if (iscntrl((unsigned char)*p)) {
            return il_fail(err, IL_E_USAGE, "the name of a %s holds a control character", what);
        }
    }
    return IL_OK;
}

static int twice(const char *what, const char *name, int line, il_error *err)
{
    int rc = line > 0 ? il_fail(err, IL_E_USAGE, "two %ss are called \"%s\", the first on line %d",
                                what, name, line)
                      : il_fail(err, IL_E_USAGE, "two %ss are called \"%s\"", what, name);
    il_error_hint(err, "every %s needs a name of its own", what);
    return rc;
}

int il__study_add_scenario(il_study *s, const il_scenario *scenario, il_error *err)
{
    int rc = name_check("scenario", scenario->name, err);
    for (size_t i = 0; rc == IL_OK && i < s->n_scenarios; i++) {
        if (strcmp(s->scenarios[i].name, scenario->name) == 0) {
            rc = twice("scenario", scenario->name, s->scenarios[i].line, err);
        }
    }
    if (rc != IL_OK) {
        return rc;
    }
    s->scenarios = grow(&s->arena, s->scenarios, s->n_scenarios, sizeof *s->scenarios);
    if (!s->scenarios) {
        s->n_scenarios = 0;
        return no_memory(err);
    }
    s->scenarios[s->n_scenarios++] = *scenario;
    return IL_OK;
}

int il__study_add_model(il_study *s, const il_study_model *model, il_error *err)
{
    int rc = name_check("model", model->name, err);
    for (size_t i = 0; rc == IL_OK && i < s->n_models; i++) {
        if (strcmp(s->models[i].name, model->name) == 0) {
            rc = twice("model", model->name, s->models[i].line, err);
        }
    }
    if (rc != IL_OK) {
        return rc;
    }
    s->models = grow(&s->arena, s->models, s->n_models, sizeof *s->models);
    if (!s->models) {
        s->n_models = 0;
        return no_memory(err);
    }
    s->models[s->n_models++] = *model;
    return IL_OK;
}

int il__study_add_backend(il_study *s, const il_study_backend *backend, il_error *err)
{
    int rc = name_check("backend", backend->name, err);
    for (size_t i = 0; rc == IL_OK && i < s->n_backends; i++) {
        if (strcmp(s->backends[i].name, backend->name) == 0) {
            rc = twice("backend", backend->name, s->backends[i].line, err);
        }
    }
    if (rc != IL_OK) {
        return rc;
    }
    s->backends = grow(&s->arena, s->backends, s->n_backends, sizeof *s->backends);
    if (!s->backends) {
        s->n_backends = 0;
        return no_memory(err);
    }
    s->backends[s->n_backends++] = *backend;
    return IL_OK;
}

int il__study_note(il_study *s, il_error *err, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    s->notes = grow(&s->arena, s->notes, s->n_notes, sizeof *s->notes);
    const char *copy = s->notes ? il_arena_strdup(&s->arena, text) : NULL;
    if (!copy) {
        return no_memory(err);
    }
    s->notes[s->n_notes++] = copy;
    return IL_OK;
}

/* --- one entry -------------------------------------------------------------------------------- */

/* GPT-2 token counts of the prompts of the TR121 study (tr121 in configs/). */
static const struct {
    const char *prompt;
    uint32_t n_tok;
} known_counts[] = {
    {"Hello", 1},
    {"Summarize RLHF in one sentence.", 9},
    {"Explain how backpressure works in an inference service and when to enable queueing.", 17},
};

static int read_scenario(il_study *s, const char *origin, const il_yaml *node, il_error *err)
{
    il_param_set set;
    il_scenario out = {.line = node->line, .source = "text"};
    int rc = il_param_set_init(&set, IL_SCOPE_SCENARIO, &s->arena, err);
    rc = rc == IL_OK ? il__section_read(origin, node, &set, err) : rc;
    if (rc != IL_OK) {
        return rc;
    }
    out.name = il_param_text(&set, IL_P_NAME);
    out.prompt = il_param_text(&set, IL_P_PROMPT);
    out.depth_tok = (uint32_t)il_param_i64(&set, IL_P_DEPTH_TOK);
    if (!out.name) {
        rc = il_fail(err, IL_E_USAGE, "a scenario needs a name");
    } else if (!out.prompt && !il_param_has(&set, IL_P_PROMPT_TOKENS)) {
        rc = il_fail(err, IL_E_USAGE, "scenario \"%s\" needs prompt or prompt_tokens", out.name);
    }
    if (rc == IL_OK && il_param_has(&set, IL_P_PROMPT_TOKENS)) {
        out.prompt_tokens = (uint32_t)il_param_i64(&set, IL_P_PROMPT_TOKENS);
        out.source = out.prompt ? "count" : "ids";
    } else if (rc == IL_OK) {
        for (size_t i = 0; i < sizeof known_counts / sizeof known_counts[0]; i++) {
            if (strcmp(out.prompt, known_counts[i].prompt) == 0) {
                out.prompt_tokens = known_counts[i].n_tok;
                out.source = "count";
            }
        }
    }
    rc = rc == IL_OK ? il__study_add_scenario(s, &out, err) : rc;
    if (rc != IL_OK) {
        il_yaml_where(err, origin, node);
    }
    return rc;
}

static int read_model(il_study *s, const char *origin, const il_yaml *node, il_error *err)
{
    il_param_set set;
    il_study_model out = {.line = node->line, .params_millions = (double)NAN};
    int rc = il_param_set_init(&set, IL_SCOPE_MODEL, &s->arena, err);
    rc = rc == IL_OK ? il__section_read(origin, node, &set, err) : rc;
    if (rc != IL_OK) {
        return rc;
    }
    out.name = il_param_text(&set, IL_P_NAME);
    out.kind = il_param_text(&set, IL_P_KIND) ? il_param_text(&set, IL_P_KIND) : "hf";
    if (il_param_has(&set, IL_P_PARAMS_MILLIONS)) {
        out.params_millions = il_param_f64(&set, IL_P_PARAMS_MILLIONS);
    }
    out.twin_of = il_param_text(&set, IL_P_TWIN_OF);
    out.on = (const char *const *)set.values[IL_P_ON].texts;
    out.n_on = set.values[IL_P_ON].n;
    rc = out.name ? il__study_add_model(s, &out, err)
                  : il_fail(err, IL_E_USAGE, "a model needs a name");
    if (rc != IL_OK) {
        il_yaml_where(err, origin, node);
    }
    return rc;
}

/* The options mapping goes to the runtime as it stands: kept as JSON, and as JSON text in the set
 * for the backend. */
static int read_options(il_study *s, const char *origin, const il_yaml *node, il_study_backend *out,
                        il_error *err)
{
    const il_yaml *options = il_yaml_get(node, "options");
    if (!options) {
        return IL_OK;
    }
    if (options->type != IL_YAML_MAP) {
        int rc = il_fail(err, IL_E_USAGE, "options must be a mapping, as {temperature: 0}");
        il_yaml_where(err, origin, options);
        return rc;
    }
    out->options = il_yaml_json(options);
    char *text = out->options ? json_dumps(out->options, JSON_COMPACT) : NULL;
    il_param_value *value = &out->set.values[IL_P_OPTIONS];
    value->text = text ? il_arena_strdup(&s->arena, text) : NULL;
    value->origin = IL_ORIGIN_FILE;
    free(text);
    return value->text ? IL_OK : no_memory(err);
}

static int read_backend(il_study *s, const char *origin, const il_yaml *node, il_error *err)
{
    il_study_backend out = {.line = node->line};
    int rc = il_param_set_init(&out.set, IL_SCOPE_BACKEND, &s->arena, err);
    rc = rc == IL_OK ? il__section_read(origin, node, &out.set, err) : rc;
    if (rc != IL_OK) {
        return rc;
    }
    out.kind = out.kind_asked = il_param_text(&out.set, IL_P_KIND);
    out.name = il_param_text(&out.set, IL_P_NAME);
    if (!out.kind) {
        rc = il_fail(err, IL_E_USAGE, "a backend needs a kind");
        il_error_hint(err, "kind is one of %s", il_param_row(IL_P_KIND)->choices);
    } else if (!out.name) {
        rc = il_param_set_text(&out.set, IL_P_NAME, out.kind, IL_ORIGIN_DEFAULT, err);
        out.name = il_param_text(&out.set, IL_P_NAME);
    }
    rc = rc == IL_OK ? read_options(s, origin, node, &out, err) : rc;
    rc = rc == IL_OK ? il__study_add_backend(s, &out, err) : rc;
    if (rc != IL_OK) {
        json_decref(out.options);
        il_yaml_where(err, origin, node);
    }
    return rc;
}

/* --- lists ------------------------------------------------------------------------------------ */

typedef int (*entry_reader)(il_study *s, const char *origin, const il_yaml *node, il_error *err);

typedef struct base_file {
    const char *origin;
    il_yaml *root; /* NULL until it is needed */
} base_file;

static int base_load(il_study *s, base_file *base, il_error *err)
{
    char path[4096];
    const char *name = il_param_text(&s->top, IL_P_BASE);
    if (il_path_join(path, sizeof path, s->dir, name) != IL_OK) {
        return il_fail(err, IL_E_RANGE, "path too long");
    }
    base->origin = il_arena_strdup(&s->arena, path);
    il_buf text;
    il_buf_init(&text, IL_YAML_MAX_BYTES);
    int rc = base->origin ? il_file_read(path, &text, err) : no_memory(err);
    if (rc == IL_OK) {
        rc = il_yaml_parse(il_buf_text(&text), text.len, base->origin, &s->arena, &base->root, err);
    } else {
        il_error_hint(err, "names without a definition are looked up in the file that base: gives "
                           "(default scaling.yaml beside the study)");
    }
    il_buf_free(&text);
    return rc;
}

static int find_in_base(il_study *s, base_file *base, const char *list, const char *origin,
                        const il_yaml *word, const il_yaml **out, il_error *err)
{
    int rc = base->root ? IL_OK : base_load(s, base, err);
    if (rc != IL_OK) {
        return rc;
    }
    const char *names[256];
    size_t n = 0;
    const il_yaml *items = base->root->type == IL_YAML_MAP ? il_yaml_get(base->root, list) : NULL;
    for (const il_yaml *e = items ? items->first : NULL; e; e = e->next) {
        const il_yaml *name = e->type == IL_YAML_MAP ? il_yaml_get(e, "name") : NULL;
        if (!name || name->type != IL_YAML_SCALAR) {
            continue;
        }
        if (strcmp(name->text, word->text) == 0) {
            *out = e;
            return IL_OK;
        }
        if (n < sizeof names / sizeof names[0]) {
            names[n++] = name->text;
        }
    }
    rc =
        il_fail(err, IL_E_USAGE, "%s has no entry \"%s\" under %s", base->origin, word->text, list);
    il_yaml_where(err, origin, word);
    const char *nearest = il_text_nearest(word->text, names, n);
    if (nearest) {
        il_error_hint(err, "did you mean \"%s\"?", nearest);
    }
    return rc;
}

static int read_list(il_study *s, base_file *base, const char *list, entry_reader read,
                     const char *origin, const il_yaml *root, il_error *err)
{
    const il_yaml *items = il_yaml_get(root, list);
    if (!items) {
        return IL_OK;
    }
    if (items->type != IL_YAML_LIST || items->n == 0) {
        int rc = il_fail(err, IL_E_USAGE, "%s must be a list with at least one entry", list);
        il_yaml_where(err, origin, items);
        return rc;
    }
    for (const il_yaml *e = items->first; e; e = e->next) {
        int rc;
        if (e->type == IL_YAML_SCALAR && !il_yaml_is_null(e)) {
            const il_yaml *found = NULL;
            rc = find_in_base(s, base, list, origin, e, &found, err);
            rc = rc == IL_OK ? read(s, base->origin, found, err) : rc;
        } else {
            rc = read(s, origin, e, err);
        }
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

int il__study_read_lists(il_study *s, const char *origin, const il_yaml *root, il_error *err)
{
    base_file base = {0};
    int rc = read_list(s, &base, "scenarios", read_scenario, origin, root, err);
    rc = rc == IL_OK ? read_list(s, &base, "backends", read_backend, origin, root, err) : rc;
    return rc == IL_OK ? read_list(s, &base, "models", read_model, origin, root, err) : rc;
}
