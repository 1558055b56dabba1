/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The models of a study: suites expanded into shapes, paths resolved, sizes counted.
 */
#include "study/study_read.h"

#include "base/file.h"
#include "model/make.h"
#include "model/suite.h"
#include "os/paths.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int no_memory(il_error *err)
{
    return il_fail(err, IL_E_NOMEM, "out of memory");
}

static uint64_t seed_of(const il_study *s)
{
    return (uint64_t)il_param_i64(&s->top, IL_P_SEED);
}

/* A model made from a seed: its path is where il_model_ensure will put it. */
int il__study_add_shape(il_study *s, const il_shape *shape, const char *name, int line,
                        il_error *err)
{
    il_study_model m = {.kind = "hf",
                        .params_millions = (double)NAN,
                        .has_shape = true,
                        .synthetic = true,
                        .to_make = true,
                        .shape = *shape,
                        .line = line};
    m.name = il_arena_strdup(&s->arena, name);
    if (!m.name) {
        return no_memory(err);
    }
    int rc = il_shape_count(shape, &m.counts, err);
    return rc == IL_OK ? il__study_add_model(s, &m, err) : rc;
}

int il__study_add_suites(il_study *s, il_error *err)
{
    const il_param_value *list = &s->top.values[IL_P_SUITES];
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < list->n; i++) {
        il_suite suite;
        rc = il_suite_select(list->texts[i], &s->arena, &suite, err);
        for (size_t k = 0; rc == IL_OK && k < suite.n_shapes; k++) {
            rc = il__study_add_shape(s, &suite.shapes[k], suite.shapes[k].name, list->line, err);
        }
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s:%d:%d", s->path[0] ? s->path : "study", list->line, list->column);
    }
    return rc;
}

/* --- where models are ------------------------------------------------------------------------- */

/* The first directory with a config.json, or the first GGUF file: beside the study file, in the
 * working directory, in the model cache under the whole name or its last part, beside the program's
 * own data. */
static const char *find_checkpoint(il_study *s, const char *name)
{
    char data[4096];
    if (il_path_find_data(".", data, sizeof data, NULL) != IL_OK) {
        (void)snprintf(data, sizeof data, "%s", s->dir);
    }
    const char *dirs[] = {s->dir, ".", s->cache, s->cache, data};
    const char *names[] = {name, name, name, il_path_base(name), name};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        char path[4096], config[4200];
        if (il_path_join(path, sizeof path, dirs[i], names[i]) != IL_OK) {
            continue;
        }
        (void)snprintf(config, sizeof config, "%s/config.json", path);
        if (il_path_is_file(config) || il_path_is_gguf(path)) {
            char *real = realpath(path, NULL);
            const char *copy = il_arena_strdup(&s->arena, real ? real : path);
            free(real);
            return copy;
        }
    }
    return NULL;
}

/* Which suite has a model of this name, for the hint; NULL when none. */
static const char *suite_of(il_study *s, const char *base)
{
    const char **names = NULL;
    size_t n = 0;
    if (il_suite_list(&s->arena, &names, &n, NULL) != IL_OK) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        il_suite suite;
        if (il_suite_load(names[i], &s->arena, &suite, NULL) != IL_OK) {
            continue;
        }
        for (size_t k = 0; k < suite.n_shapes; k++) {
            if (strcmp(suite.shapes[k].name, base) == 0) {
                return names[i];
            }
        }
    }
    return NULL;
}

/* A directory of this name without a config.json, where a checkpoint was looked for. */
static bool is_there(const il_study *s, const char *name)
{
    const char *dirs[] = {s->dir, ".", s->cache};
    struct stat st;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        char path[4096];
        if (il_path_join(path, sizeof path, dirs[i], name) == IL_OK && stat(path, &st) == 0) {
            return true;
        }
    }
    return false;
}

static void missing(il_study *s, il_study_model *m)
{
    (void)il_fail(&m->problem, IL_E_NOT_FOUND,
                  is_there(s, m->name) ? "no checkpoint: there is no config.json in it"
                                       : "no checkpoint directory of this name");
    il_error_where(&m->problem, "%s", m->name);
    const char *suite = suite_of(s, il_path_base(m->name));
    if (suite) {
        il_error_hint(&m->problem, "inferlaw model make --suite %s --out models", suite);
    } else {
        il_error_hint(
            &m->problem,
            "put config.json and model.safetensors there, or make one with inferlaw model "
            "make (looked beside the study file, here, and in %s)",
            s->cache);
    }
}

static int read_shape(il_study_model *m)
{
    il_gguf_weights *file = NULL;
    m->is_gguf = il_path_is_gguf(m->path);
    if (!m->is_gguf) {
        return il_shape_from_dir(m->path, &m->shape, &m->problem);
    }
    int rc = il_gguf_weights_open(m->path, &file, &m->problem);
    if (rc == IL_OK) {
        m->shape = *il_gguf_weights_shape(file);
        m->step = il_gguf_weights_step(file);
    }
    il_gguf_weights_close(file);
    return rc;
}

static int resolve_one(il_study *s, il_study_model *m, il_error *err)
{
    char text[4200];
    if (m->to_make) {
        char hash[65];
        int rc = il_model_content_hash(&m->shape, seed_of(s), IL_DTYPE_F32, hash, err);
        if (rc != IL_OK) {
            return rc;
        }
        m->path = il_arena_printf(&s->arena, "%s/%s-%.12s", s->cache, m->shape.name, hash);
        return m->path ? IL_OK : no_memory(err);
    }
    if (strcmp(m->kind, "hf") != 0 && strcmp(m->kind, "native") != 0) {
        return IL_OK; /* a server's model has no directory here */
    }
    m->path = find_checkpoint(s, m->name);
    if (!m->path) {
        missing(s, m);
        return IL_OK;
    }
    if (read_shape(m) != IL_OK || il_shape_count(&m->shape, &m->counts, &m->problem) != IL_OK) {
        return IL_OK;
    }
    m->has_shape = true;
    (void)snprintf(text, sizeof text, "%s/inferlaw.json", m->path);
    m->synthetic = il_path_is_file(text);
    return IL_OK;
}

int il__study_resolve_models(il_study *s, il_error *err)
{
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < s->n_models; i++) {
        rc = resolve_one(s, &s->models[i], err);
    }
    return rc;
}

int il_study_make_models(il_study *s, const il_make_options *options, il_error *err)
{
    il_make_options o = *options;
    o.seed = seed_of(s);
    o.dtype = IL_DTYPE_F32;
    for (size_t i = 0; i < s->n_models; i++) {
        il_study_model *m = &s->models[i];
        char dir[4096];
        if (!m->to_make) {
            continue;
        }
        int rc = il_model_ensure(&m->shape, s->cache, &o, dir, sizeof dir, &m->problem);
        if (rc == IL_E_NO_SPACE || rc == IL_E_INTERRUPTED) {
            *err = m->problem;
            return rc;
        }
        if (rc != IL_OK) {
            continue;
        }
        char *real = realpath(dir, NULL);
        m->path = il_arena_strdup(&s->arena, real ? real : dir);
        free(real);
        if (!m->path) {
            return no_memory(err);
        }
    }
    return IL_OK;
}
