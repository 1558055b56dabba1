/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/study_read.h"

#include "base/file.h"
#include "base/json.h"
#include "os/paths.h"
#include "study/ladder.h"
#include "study/order.h"

#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void il_study_sha256(const void *bytes, size_t n_bytes, char out[65])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    (void)SHA256(bytes, n_bytes, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

/* "configs/quick.yaml" → "quick". */
static const char *name_from_path(il_arena *arena, const char *path)
{
    const char *base = il_path_base(path);
    const char *dot = strrchr(base, '.');
    size_t n = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    return il_arena_strndup(arena, base, n);
}

static int run_name_check(il_study *s, const char *origin, il_error *err)
{
    const char *name = il_param_text(&s->top, IL_P_RUN_NAME);
    if (!name) {
        s->run_name = name_from_path(&s->arena, origin);
        return s->run_name ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory");
    }
    size_t ok = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+");
    if (name[ok] != '\0' || name[0] == '.' || strlen(name) > 100) {
        const il_param_value *v = &s->top.values[IL_P_RUN_NAME];
        int rc = il_fail(err, IL_E_USAGE,
                         "run_name names a directory: letters, digits and . _ - + "
                         "only, at most 100");
        il_error_where(err, "%s:%d:%d", origin, v->line, v->column);
        return rc;
    }
    s->run_name = name;
    return IL_OK;
}

/* A section of the file into a set of its own; *has tells whether it stands there. */
static int read_part(il_study *s, const char *origin, const il_yaml *root, const char *key,
                     uint64_t scope, il_param_set *set, bool *has, il_error *err)
{
    int rc = il_param_set_init(set, scope, &s->arena, err);
    const il_yaml *node = il_yaml_get(root, key);
    *has = node != NULL;
    return rc == IL_OK && node ? il__section_read(origin, node, set, err) : rc;
}

static int read_parts(il_study *s, const char *origin, const il_yaml *root, il_error *err)
{
    bool has_schedule;
    int rc =
        read_part(s, origin, root, "schedule", IL_SCOPE_SCHEDULE, &s->schedule, &has_schedule, err);
    if (rc == IL_OK) {
        rc = read_part(s, origin, root, "cold_start", IL_SCOPE_COLD_START, &s->cold_start,
                       &s->has_cold_start, err);
    }
    if (rc == IL_OK) {
        rc = read_part(s, origin, root, "slo", IL_SCOPE_SLO, &s->slo, &s->has_slo, err);
    }
    if (rc == IL_OK) {
        rc = read_part(s, origin, root, "memory_wall", IL_SCOPE_MEMORY, &s->memory, &s->has_memory,
                       err);
    }
    if (rc == IL_OK) {
        rc = read_part(s, origin, root, "energy", IL_SCOPE_ENERGY, &s->energy, &s->has_energy, err);
    }
    const il_yaml *wall = rc == IL_OK ? il_yaml_get(root, "memory_wall") : NULL;
    const il_yaml *ladder = wall ? il_yaml_get(wall, "ladder") : NULL;
    if (ladder) {
        s->ladder = il_yaml_json(ladder);
        rc = s->ladder ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory");
        il_ladder read;
        rc = rc == IL_OK ? il_ladder_read(s->ladder, &s->arena, &read, err) : rc;
        if (rc != IL_OK) {
            il_yaml_where(err, origin, ladder);
        }
    }
    return rc;
}

static int parse_all(il_study *s, const char *text, size_t n_bytes, const char *origin,
                     const il_study_options *options, il_error *err)
{
    il_yaml *root = NULL;
    int rc = il_yaml_parse(text, n_bytes, origin, &s->arena, &root, err);
    rc = rc == IL_OK ? il_param_set_init(&s->top, IL_SCOPE_STUDY, &s->arena, err) : rc;
    rc = rc == IL_OK ? il__section_read(origin, root, &s->top, err) : rc;
    rc = rc == IL_OK ? run_name_check(s, origin, err) : rc;
    rc = rc == IL_OK ? read_parts(s, origin, root, err) : rc;
    rc = rc == IL_OK ? il__study_read_lists(s, origin, root, err) : rc;
    return rc == IL_OK ? il__study_expand(s, options, origin, root, err) : rc;
}

int il_study_parse(const char *text, size_t n_bytes, const char *origin,
                   const il_study_options *options, il_study *out, il_error *err)
{
    static const il_study_options none = {0};
    *out = (il_study){.path = "", .dir = "."};
    const char *cache = getenv("INFERLAW_MODELS");
    out->cache = cache && cache[0] ? cache : "models";
    il_study_sha256(text, n_bytes, out->config_sha256);
    return parse_all(out, text, n_bytes, origin, options ? options : &none, err);
}

/* The directory part of a path, "." when it has none. */
static const char *directory_of(il_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return ".";
    }
    return il_arena_strndup(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

/* A study file that is not below the working directory may be one of the program's own: found under
 * its name ("configs/quick.yaml") or its bare one ("quick"). */
static const char *locate(il_arena *arena, const char *path)
{
    char found[4096], own[4096];
    if (path[0] == '/' || il_path_is_file(path) ||
        strlen(path) + sizeof "configs/.yaml" > sizeof own) {
        return il_arena_strdup(arena, path);
    }
    (void)snprintf(own, sizeof own, "configs/%s.yaml", path);
    bool known = il_path_find_data(path, found, sizeof found, NULL) == IL_OK ||
                 il_path_find_data(own, found, sizeof found, NULL) == IL_OK;
    return il_arena_strdup(arena, known && il_path_is_file(found) ? found : path);
}

int il_study_load(const char *path, const il_study_options *options, il_study *out, il_error *err)
{
    static const il_study_options none = {0};
    il_buf text;
    il_buf_init(&text, IL_YAML_MAX_BYTES);
    *out = (il_study){0};
    const char *cache = getenv("INFERLAW_MODELS");
    out->cache = cache && cache[0] ? cache : "models";
    out->path = locate(&out->arena, path);
    path = out->path ? out->path : path;
    out->dir = directory_of(&out->arena, path);
    int rc = out->path && out->dir ? il_file_read(path, &text, err)
                                   : il_fail(err, IL_E_NOMEM, "out of memory");
    if (rc == IL_E_NOT_FOUND) {
        (void)il_fail(err, rc, "there is no study file of this name");
        il_error_where(err, "%s", path);
        il_error_hint(err, "configs/quick.yaml is a small study to begin with");
    }
    if (rc == IL_OK) {
        il_study_sha256(il_buf_text(&text), text.len, out->config_sha256);
        rc = parse_all(out, il_buf_text(&text), text.len, path, options ? options : &none, err);
    }
    il_buf_free(&text);
    return rc;
}

void il_study_free(il_study *s)
{
    for (size_t i = 0; i < s->n_backends; i++) {
        json_decref(s->backends[i].options);
    }
    json_decref(s->ladder);
    json_decref(s->filters);
    il_arena_free(&s->arena);
    *s = (il_study){0};
}

uint32_t il_study_blocks(const il_study *s)
{
    return (uint32_t)il_param_i64(&s->schedule, IL_P_BLOCKS);
}

uint32_t il_study_gen_tokens(const il_study *s)
{
    return (uint32_t)il_param_i64(&s->top, IL_P_GEN_TOKENS);
}

bool il_study_flag(const il_study *s, il_param_id id)
{
    return il_param_has(&s->schedule, id) ? il_param_flag(&s->schedule, id)
                                          : il_study_blocks(s) >= 2;
}

/* --- the manifest's record -------------------------------------------------------------------- */

static json_t *backends_json(const il_study *s)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < s->n_backends; i++) {
        const il_study_backend *b = &s->backends[i];
        json_t *item = il_param_set_json(&b->set);
        if (item) {
            (void)json_object_set_new(item, "kind", json_string(b->kind));
            (void)json_object_set_new(item, "kind_asked", json_string(b->kind_asked));
            if (b->options) {
                (void)json_object_set(item, "options", b->options);
            }
        }
        (void)json_array_append_new(list, item);
    }
    return list;
}

static json_t *models_json(const il_study *s)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < s->n_models; i++) {
        const il_study_model *m = &s->models[i];
        json_t *item = json_pack("{s:s,s:s,s:s?,s:o}", "name", m->name, "kind", m->kind, "path",
                                 m->path, "params_millions", il_json_real(m->params_millions));
        if (item && m->on) {
            json_t *on = json_array();
            for (size_t k = 0; k < m->n_on; k++) {
                (void)json_array_append_new(on, json_string(m->on[k]));
            }
            (void)json_object_set_new(item, "on", on);
        }
        (void)json_array_append_new(list, item);
    }
    return list;
}

static json_t *scenarios_json(const il_study *s)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < s->n_scenarios; i++) {
        const il_scenario *c = &s->scenarios[i];
        json_t *item =
            json_pack("{s:s,s:s?,s:o,s:s}", "name", c->name, "prompt", c->prompt, "prompt_tokens",
                      c->prompt_tokens ? json_integer(c->prompt_tokens) : json_null(),
                      "prompt_source", c->source);
        if (item && c->depth_tok) {
            (void)json_object_set_new(item, "depth_tok", json_integer(c->depth_tok));
        }
        (void)json_array_append_new(list, item);
    }
    return list;
}

json_t *il_study_json(const il_study *s)
{
    json_t *out = il_param_set_json(&s->top);
    if (!out) {
        return NULL;
    }
    (void)json_object_set_new(out, "run_name", json_string(s->run_name));
    (void)json_object_set_new(out, "schedule", il_param_set_json(&s->schedule));
    if (s->has_cold_start) {
        (void)json_object_set_new(out, "cold_start", il_param_set_json(&s->cold_start));
    }
    if (s->has_slo) {
        (void)json_object_set_new(out, "slo", il_param_set_json(&s->slo));
    }
    if (s->has_memory) {
        json_t *wall = il_param_set_json(&s->memory);
        if (wall && s->ladder) {
            (void)json_object_set(wall, "ladder", s->ladder);
        }
        (void)json_object_set_new(out, "memory_wall", wall);
    }
    if (s->has_energy) {
        (void)json_object_set_new(out, "energy", il_param_set_json(&s->energy));
    }
    (void)json_object_set_new(out, "scenarios", scenarios_json(s));
    (void)json_object_set_new(out, "backends", backends_json(s));
    (void)json_object_set_new(out, "models", models_json(s));
    return out;
}

int il_study_hash(const json_t *study, char out[65])
{
    json_t *copy = json_deep_copy(study);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(copy, "models"), i, item)
    {
        (void)json_object_del(item, "path");
    }
    char *text = copy ? json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (text) {
        il_study_sha256(text, strlen(text), out);
    }
    free(text);
    json_decref(copy);
    return text ? IL_OK : IL_E_NOMEM;
}

/* --- prompts ---------------------------------------------------------------------------------- */

void il_study_prompt_ids(uint64_t seed, const char *scenario, uint32_t row, uint32_t vocab_size,
                         uint32_t n_ids, int32_t *ids)
{
    il_seeded shared = il_seeded_of(seed, scenario, 0);
    il_seeded own = il_seeded_of(seed, scenario, (uint64_t)row + 1);
    for (uint32_t i = 0; i < n_ids; i++) {
        /* The first ids of the rows run on from one another, so that no two rows are the same. */
        uint64_t id = i == 0 ? (il_seeded_below(&shared, vocab_size) + row) % vocab_size
                             : il_seeded_below(&own, vocab_size);
        ids[i] = (int32_t)id;
    }
}
