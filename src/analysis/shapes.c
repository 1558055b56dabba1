/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/shapes.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };

static double number_of(const json_t *object, const char *const *keys)
{
    for (; *keys; keys++) {
        const json_t *value = json_object_get(object, *keys);
        if (json_is_number(value)) {
            return json_number_value(value);
        }
    }
    return NAN;
}

/* The names the families give to the same numbers, in config.json and in our manifest. */
static bool read_object(const json_t *object, il_model_shape *out)
{
    static const char *const layers[] = {"n_layer", "num_hidden_layers", "num_layers", NULL};
    static const char *const width[] = {"d_model", "n_embd", "hidden_size", NULL};
    static const char *const heads[] = {"n_head", "num_attention_heads", NULL};
    static const char *const inner[] = {"d_ff", "n_inner", "intermediate_size", "ffn_dim", NULL};
    static const char *const vocab[] = {"vocab_size", NULL};
    static const char *const positions[] = {"n_positions", "max_position_embeddings", NULL};
    out->n_layer = number_of(object, layers);
    out->d_model = number_of(object, width);
    out->n_head = number_of(object, heads);
    out->d_ff = number_of(object, inner);
    out->vocab_size = number_of(object, vocab);
    out->n_positions = number_of(object, positions);
    return !isnan(out->n_layer);
}

static json_t *load(const char *path)
{
    if (!il_path_is_file(path)) {
        return NULL;
    }
    json_t *value = NULL;
    il_error err = {0};
    if (il_json_load(path, MOST_BYTES, &value, &err) != IL_OK) {
        il_log(IL_LOG_WARN, "%s: %s; its shapes are left out", path, err.what);
        return NULL;
    }
    return value;
}

static bool from_manifest(const json_t *manifest, const char *model, il_model_shape *out)
{
    const json_t *models = json_object_get(json_object_get(manifest, "resolved"), "models");
    size_t i;
    const json_t *item;
    json_array_foreach(models, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name && strcmp(name, model) == 0 && read_object(item, out)) {
            (void)snprintf(out->source, sizeof out->source, "manifest.json");
            return true;
        }
    }
    return false;
}

static bool from_config(const char *dir, const char *model, il_model_shape *out)
{
    int n = snprintf(out->source, sizeof out->source, "%s%s%s/config.json", dir, dir[0] ? "/" : "",
                     model);
    if (n < 0 || (size_t)n >= sizeof out->source || strstr(model, "..")) {
        return false;
    }
    json_t *config = load(out->source);
    bool found = config && read_object(config, out);
    if (config && !found) {
        /* Gemma 3 and others keep the language model's numbers one level down. */
        found = read_object(json_object_get(config, "text_config"), out);
    }
    json_decref(config);
    return found;
}

int il_shapes_find(const char *run_dir, const char *const *models, size_t n_models,
                   il_suite_lookup suites, il_shapes *out, il_error *err)
{
    *out = (il_shapes){0};
    out->items = calloc(n_models + 1, sizeof *out->items);
    if (!out->items) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu shapes", n_models);
    }
    char path[4096];
    json_t *manifest = NULL;
    if (il_path_join(path, sizeof path, run_dir, "manifest.json") == IL_OK) {
        manifest = load(path);
    }
    for (size_t i = 0; i < n_models; i++) {
        il_model_shape shape = {.n_layer = NAN};
        if (strlen(models[i]) >= sizeof shape.model) {
            continue;
        }
        if (from_manifest(manifest, models[i], &shape) || from_config(run_dir, models[i], &shape) ||
            from_config("", models[i], &shape) || (suites && suites(models[i], &shape))) {
            memcpy(shape.model, models[i], strlen(models[i]) + 1);
            out->items[out->n++] = shape;
        }
    }
    json_decref(manifest);
    return IL_OK;
}

const il_model_shape *il_shapes_of(const il_shapes *shapes, const char *model)
{
    for (size_t i = 0; i < shapes->n; i++) {
        if (strcmp(shapes->items[i].model, model) == 0) {
            return &shapes->items[i];
        }
    }
    return NULL;
}

void il_shapes_free(il_shapes *shapes)
{
    free(shapes->items);
    *shapes = (il_shapes){0};
}
