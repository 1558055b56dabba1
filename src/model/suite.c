/* SPDX-License-Identifier: Apache-2.0 */
#include "model/suite.h"

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "os/paths.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SUITES = 256, MOST_SUITE_BYTES = 16 << 20, MOST_LIMITS = 4 };

static int out_of_memory(il_error *err)
{
    return il_fail(err, IL_E_NOMEM, "no memory for a suite");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int il_suite_list(il_arena *arena, const char ***names, size_t *n_names, il_error *err)
{
    char path[PATH_MAX];
    DIR *dir = NULL;
    size_t n = 0;
    int rc = il_path_find_data("suites", path, sizeof path, err);
    if (rc != IL_OK) {
        return rc;
    }
    const char **list = il_arena_array(arena, MOST_SUITES, sizeof *list);
    if (!list) {
        return out_of_memory(err);
    }
    dir = opendir(path);
    if (!dir) {
        rc = il_fail_errno(err, errno, "cannot list the suites");
        il_error_where(err, "%s", path);
        return rc;
    }
    const struct dirent *entry;
    while (n < MOST_SUITES && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || !il_text_ends(entry->d_name, ".json")) {
            continue;
        }
        list[n] = il_arena_strndup(arena, entry->d_name, len - strlen(".json"));
        if (!list[n++]) {
            rc = out_of_memory(err);
            break;
        }
    }
    (void)closedir(dir);
    if (rc == IL_OK) {
        qsort(list, n, sizeof *list, by_text);
        *names = list;
        *n_names = n;
    }
    return rc;
}

static int unknown_suite(const char *name, il_arena *arena, il_error *err)
{
    const char **names = NULL;
    size_t n = 0;
    int rc = il_fail(err, IL_E_NOT_FOUND, "no suite \"%.80s\"", name);
    if (il_suite_list(arena, &names, &n, NULL) == IL_OK) {
        const char *nearest = il_text_nearest(name, names, n);
        if (nearest) {
            il_error_hint(err, "did you mean \"%s\"?", nearest);
        }
    }
    il_error_hint(err, "inferlaw model list shows the suites");
    return rc;
}

static int read_model(const json_t *model, const char *origin, il_shape *out, il_error *err)
{
    const char *name = NULL;
    int rc = il_json_get_text(model, "name", true, &name, err);
    if (rc == IL_OK && (strlen(name) >= sizeof out->name || strchr(name, '/') || !name[0])) {
        rc = il_fail(err, IL_E_INVALID, "\"%.80s\" cannot name a model", name);
    }
    char where[PATH_MAX + 128];
    (void)snprintf(where, sizeof where, "%s, model %.90s", origin, name ? name : "?");
    if (rc == IL_OK) {
        rc = il_shape_from_hf_config(json_object_get(model, "config"), where, out, err);
    }
    if (rc == IL_OK) {
        (void)snprintf(out->name, sizeof out->name, "%s", name);
    } else {
        il_error_where(err, "%s", where);
    }
    return rc;
}

static int read_suite(const json_t *root, const char *path, il_arena *arena, il_suite *out,
                      il_error *err)
{
    const char *name = NULL, *source = "";
    const json_t *models = json_object_get(root, "models");
    int rc = il_json_get_text(root, "name", true, &name, err);
    if (rc == IL_OK) {
        rc = il_json_get_text(root, "source", false, &source, err);
    }
    if (rc == IL_OK && json_array_size(models) == 0) {
        rc = il_fail(err, IL_E_INVALID, "the suite has no \"models\"");
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
        return rc;
    }
    il_suite suite = {.name = il_arena_strdup(arena, name),
                      .source = il_arena_strdup(arena, source),
                      .shapes =
                          il_arena_array(arena, json_array_size(models), sizeof *suite.shapes)};
    if (!suite.name || !suite.source || !suite.shapes) {
        return out_of_memory(err);
    }
    for (size_t i = 0; i < json_array_size(models); i++) {
        rc = read_model(json_array_get(models, i), path, &suite.shapes[i], err);
        for (size_t j = 0; rc == IL_OK && j < i; j++) {
            if (strcmp(suite.shapes[i].name, suite.shapes[j].name) == 0) {
                rc = il_fail(err, IL_E_INVALID, "two models are called \"%s\"",
                             suite.shapes[i].name);
                il_error_where(err, "%s", path);
            }
        }
        if (rc != IL_OK) {
            return rc;
        }
    }
    suite.n_shapes = json_array_size(models);
    *out = suite;
    return IL_OK;
}

int il_suite_load(const char *name, il_arena *arena, il_suite *out, il_error *err)
{
    char file[PATH_MAX], path[PATH_MAX];
    json_t *root = NULL;
    int n = snprintf(file, sizeof file, "suites/%s.json", name);
    if (n < 0 || (size_t)n >= sizeof file || strchr(name, '/') || name[0] == '.' || !name[0]) {
        return unknown_suite(name, arena, err);
    }
    int rc = il_path_find_data(file, path, sizeof path, NULL);
    if (rc == IL_E_NOT_FOUND) {
        /* No suites at all is another complaint than no such suite. */
        rc = il_path_find_data("suites", path, sizeof path, err);
        return rc == IL_OK ? unknown_suite(name, arena, err) : rc;
    }
    if (rc == IL_OK) {
        rc = il_json_load(path, MOST_SUITE_BYTES, &root, err);
    }
    if (rc == IL_OK) {
        rc = read_suite(root, path, arena, out, err);
    }
    json_decref(root);
    return rc;
}

/* --- selectors ----------------------------------------------------------------------------------
 */

/* "1b", "1.4b", "350m", "60k", "1000000" at text; *end after it. 0 when there is none. */
static double parse_size(const char *text, const char **end)
{
    char digits[24];
    size_t n = 0;
    while ((isdigit((unsigned char)text[n]) || text[n] == '.') && n < sizeof digits - 1) {
        digits[n] = text[n];
        n++;
    }
    digits[n] = '\0';
    double value = 0;
    *end = text + n;
    if (n == 0 || il_text_to_f64(digits, &value) != IL_OK) {
        return 0;
    }
    static const char units[] = "kmbt";
    const char *unit = text[n] ? strchr(units, tolower((unsigned char)text[n])) : NULL;
    if (unit) {
        for (const char *u = units; u <= unit; u++) {
            value *= 1e3;
        }
        (*end)++;
    }
    return value;
}

double il_suite_size(const il_shape *shape)
{
    double size = 0;
    for (const char *part = shape->name; part && *part;) {
        const char *end;
        double value = parse_size(part, &end);
        bool has_unit = end > part && isalpha((unsigned char)end[-1]);
        if (value > size && has_unit && (*end == '\0' || *end == '-')) {
            size = value;
        }
        part = strchr(part, '-');
        part = part ? part + 1 : NULL;
    }
    il_param_counts counts;
    if (size == 0 && il_shape_count(shape, &counts, NULL) == IL_OK) {
        size = (double)counts.total;
    }
    return size;
}

typedef struct limit {
    bool below, strict;
    double size;
} limit;

static bool within(const limit *limits, size_t n, double size)
{
    for (size_t i = 0; i < n; i++) {
        const limit *l = &limits[i];
        double gap = l->below ? l->size - size : size - l->size;
        if (gap < 0 || (l->strict && gap == 0)) {
            return false;
        }
    }
    return true;
}

static int parse_limits(const char *text, limit *limits, size_t *n, il_error *err)
{
    const char *p = text;
    while (*p) {
        if (*n == MOST_LIMITS) {
            return il_fail(err, IL_E_INVALID, "more than %d limits in \"%.80s\"", MOST_LIMITS,
                           text);
        }
        limit *l = &limits[*n];
        bool good = *p == '<' || *p == '>';
        l->below = *p == '<';
        p += good;
        l->strict = *p != '=';
        p += !l->strict;
        const char *end = p;
        l->size = good ? parse_size(p, &end) : 0;
        if (!(l->size > 0)) {
            int rc = il_fail(err, IL_E_INVALID, "\"%.80s\" is no limit of size", text);
            il_error_hint(err, "limits read <=1b, <500m, >=60k");
            return rc;
        }
        p = end;
        (*n)++;
    }
    return IL_OK;
}

static int select_one(il_suite *suite, const char *model, il_arena *arena, il_error *err)
{
    const char **names = il_arena_array(arena, suite->n_shapes, sizeof *names);
    if (!names) {
        return out_of_memory(err);
    }
    for (size_t i = 0; i < suite->n_shapes; i++) {
        names[i] = suite->shapes[i].name;
        if (strcmp(names[i], model) == 0) {
            suite->shapes += i;
            suite->n_shapes = 1;
            return IL_OK;
        }
    }
    int rc = il_fail(err, IL_E_NOT_FOUND, "suite %s has no model \"%.80s\"", suite->name, model);
    const char *nearest = il_text_nearest(model, names, suite->n_shapes);
    if (nearest) {
        il_error_hint(err, "did you mean \"%s/%s\"?", suite->name, nearest);
    }
    il_error_hint(err, "inferlaw model list --suite %s shows its models", suite->name);
    return rc;
}

int il_suite_select(const char *selector, il_arena *arena, il_suite *out, il_error *err)
{
    limit limits[MOST_LIMITS];
    size_t n_limits = 0, n_name = strcspn(selector, "/<>=");
    char *name = il_arena_strndup(arena, selector, n_name);
    if (!name) {
        return out_of_memory(err);
    }
    const char *rest = selector + n_name;
    il_suite suite;
    int rc = IL_OK;
    if (*rest != '/') {
        rc = parse_limits(rest, limits, &n_limits, err);
    }
    if (rc == IL_OK) {
        rc = il_suite_load(name, arena, &suite, err);
    }
    if (rc == IL_OK && *rest == '/') {
        rc = select_one(&suite, rest + 1, arena, err);
    } else if (rc == IL_OK) {
        size_t kept = 0;
        for (size_t i = 0; i < suite.n_shapes; i++) {
            if (within(limits, n_limits, il_suite_size(&suite.shapes[i]))) {
                suite.shapes[kept++] = suite.shapes[i];
            }
        }
        suite.n_shapes = kept;
        if (kept == 0) {
            rc = il_fail(err, IL_E_NOT_FOUND, "no model of suite %s fits \"%.80s\"", suite.name,
                         rest);
            il_error_hint(err, "inferlaw model list --suite %s shows the sizes", suite.name);
        }
    }
    if (rc != IL_OK) {
        il_error_where(err, "selector \"%.120s\"", selector);
        return rc;
    }
    *out = suite;
    return IL_OK;
}
