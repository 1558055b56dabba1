/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One mapping of a study file, read by the parameter table: unknown keys, types, ranges.
 */
#include "study/study_read.h"

#include <stdio.h>
#include <string.h>

static int unknown_key(const char *origin, const il_yaml *entry, uint64_t scope, il_error *err)
{
    int rc = il_fail(err, IL_E_USAGE, "unknown key \"%s\"", entry->key);
    il_error_where(err, "%s:%d:%d", origin, entry->key_line, entry->key_column);
    const char *nearest = il_param_nearest(entry->key, scope);
    if (nearest) {
        il_error_hint(err, "did you mean \"%s\"?", nearest);
        return rc;
    }
    char known[300] = "";
    size_t used = 0;
    for (int i = 0; i < IL_P_COUNT; i++) {
        const il_param *row = il_param_row((il_param_id)i);
        if ((row->scopes & scope) && used + strlen(row->name) + 3 < sizeof known) {
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                     row->name);
        }
    }
    il_error_hint(err, "known here: %s", known);
    return rc;
}

/* What the scalar of a parameter may look like: numbers and truth values stand without quotes. */
static int scalar_check(const il_param *row, const il_yaml *node, il_error *err)
{
    if (node->type != IL_YAML_SCALAR) {
        return il_fail(err, IL_E_USAGE, "%s must be a single value, not a %s", row->name,
                       node->type == IL_YAML_MAP ? "mapping" : "list");
    }
    if (il_yaml_is_null(node)) {
        return il_fail(err, IL_E_USAGE, "%s has no value", row->name);
    }
    bool text = row->type == IL_PARAM_TEXT || row->type == IL_PARAM_CHOICE ||
                row->type == IL_PARAM_TEXT_LIST;
    if (!text && !node->plain) {
        return il_fail(err, IL_E_USAGE, "%s is quoted text where a %s is needed: \"%s\"", row->name,
                       row->type == IL_PARAM_FLAG ? "true or false" : "number", node->text);
    }
    if (text && node->text[0] == '\0') {
        return il_fail(err, IL_E_USAGE, "%s is empty", row->name);
    }
    return IL_OK;
}

static int value_read(const il_param *row, il_param_id id, const char *origin, const il_yaml *entry,
                      il_param_set *set, il_error *err)
{
    const il_yaml *at = entry;
    int rc;
    if (row->type == IL_PARAM_I64_LIST || row->type == IL_PARAM_TEXT_LIST) {
        rc =
            entry->type == IL_YAML_LIST && entry->n > 0
                ? IL_OK
                : il_fail(err, IL_E_USAGE, "%s must be a list with elements, as [a, b]", row->name);
        for (const il_yaml *e = entry->first; rc == IL_OK && e; e = e->next) {
            at = e;
            rc = scalar_check(row, e, err);
            if (rc == IL_OK) {
                rc = il_param_set_append(set, id, e->text, IL_ORIGIN_FILE, err);
            }
        }
    } else {
        rc = scalar_check(row, entry, err);
        if (rc == IL_OK) {
            rc = il_param_set_text(set, id, entry->text, IL_ORIGIN_FILE, err);
        }
    }
    if (rc != IL_OK) {
        il_yaml_where(err, origin, at);
    }
    set->values[id].line = entry->line;
    set->values[id].column = entry->column;
    return rc;
}

int il__section_read(const char *origin, const il_yaml *map, il_param_set *set, il_error *err)
{
    if (map->type != IL_YAML_MAP) {
        int rc = map->key
                     ? il_fail(err, IL_E_USAGE, "%s must be a mapping, as {key: value}", map->key)
                     : il_fail(err, IL_E_USAGE, "a mapping is needed here, as {key: value}");
        il_yaml_where(err, origin, map);
        return rc;
    }
    for (const il_yaml *e = map->first; e; e = e->next) {
        il_param_id id = il_param_find(e->key, set->scope);
        if (id == IL_P_COUNT || strcmp(il_param_row(id)->name, e->key) != 0) {
            return unknown_key(origin, e, set->scope, err);
        }
        const il_param *row = il_param_row(id);
        if (row->type == IL_PARAM_NODE) {
            continue;
        }
        int rc = value_read(row, id, origin, e, set, err);
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}
