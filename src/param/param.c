/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "param/param.h"

#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const il_param rows[IL_P_COUNT] = {
#define IL_PARAM_ROW(id, pname, pletter, ptype, pscopes, pmin, pmax, pchoices, pfallback, pvalue,  \
                     phelp)                                                                        \
    [IL_P_##id] = {.name = pname,                                                                  \
                   .letter = pletter,                                                              \
                   .type = IL_PARAM_##ptype,                                                       \
                   .scopes = pscopes,                                                              \
                   .min = pmin,                                                                    \
                   .max = pmax,                                                                    \
                   .choices = pchoices,                                                            \
                   .fallback = pfallback,                                                          \
                   .value_name = pvalue,                                                           \
                   .help = phelp},
#include "param/param_table.h"
#undef IL_PARAM_ROW
};

const il_param *il_param_row(il_param_id id)
{
    assert((unsigned)id < IL_P_COUNT);
    return &rows[id];
}

static bool name_equal(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a == '-' ? '_' : *a, y = *b == '-' ? '_' : *b;
        if (x != y) {
            return false;
        }
    }
    return *a == *b;
}

il_param_id il_param_find(const char *name, uint64_t scopes)
{
    for (int i = 0; i < IL_P_COUNT; i++) {
        if ((rows[i].scopes & scopes) && name_equal(rows[i].name, name)) {
            return (il_param_id)i;
        }
    }
    return IL_P_COUNT;
}

const char *il_param_nearest(const char *name, uint64_t scopes)
{
    const char *names[IL_P_COUNT];
    size_t n = 0;
    for (int i = 0; i < IL_P_COUNT; i++) {
        if (rows[i].scopes & scopes) {
            names[n++] = rows[i].name;
        }
    }
    return il_text_nearest(name, names, n);
}

static bool choice_allowed(const char *choices, const char *text)
{
    size_t n = strcspn(text, "|");
    n = text[n] == '\0' ? n : 0; /* "a|b" is no choice */
    for (const char *p = choices; n > 0 && p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == '\0')) {
            return true;
        }
    }
    return false;
}

static int range_check(const il_param *row, const char *text, double value, il_error *err)
{
    if ((row->min == 0 && row->max == 0) || (value >= row->min && value <= row->max)) {
        return IL_OK;
    }
    return il_fail(err, IL_E_USAGE, "%s is %s, outside %.15g to %.15g", row->name, text, row->min,
                   row->max);
}

static int i64_parse(const il_param *row, const char *text, int64_t *out, il_error *err)
{
    if (il_text_to_i64(text, out) != IL_OK) {
        return il_fail(err, IL_E_USAGE, "%s must be a whole number, not \"%s\"", row->name, text);
    }
    return range_check(row, text, (double)*out, err);
}

static int f64_parse(const il_param *row, const char *text, double *out, il_error *err)
{
    if (il_text_to_f64(text, out) != IL_OK) {
        return il_fail(err, IL_E_USAGE, "%s must be a number, not \"%s\"", row->name, text);
    }
    return range_check(row, text, *out, err);
}

static int choice_check(const il_param *row, const char *text, il_error *err)
{
    if (!row->choices || choice_allowed(row->choices, text)) {
        return IL_OK;
    }
    return il_fail(err, IL_E_USAGE, "%s must be one of %s, not \"%s\"", row->name, row->choices,
                   text);
}

static int no_memory(il_error *err)
{
    return il_fail(err, IL_E_NOMEM, "out of memory");
}

int il_param_set_append(il_param_set *set, il_param_id id, const char *text, il_origin origin,
                        il_error *err)
{
    const il_param *row = il_param_row(id);
    il_param_value *value = &set->values[id];
    assert(row->type == IL_PARAM_I64_LIST || row->type == IL_PARAM_TEXT_LIST);
    if (value->origin == IL_ORIGIN_DEFAULT && origin != IL_ORIGIN_DEFAULT) {
        value->n = 0;
    }
    if (row->type == IL_PARAM_I64_LIST) {
        int64_t element;
        int rc = i64_parse(row, text, &element, err);
        if (rc != IL_OK) {
            return rc;
        }
        int64_t *grown = il_arena_array(set->arena, value->n + 1, sizeof *grown);
        if (!grown) {
            return no_memory(err);
        }
        if (value->n > 0) {
            memcpy(grown, value->i64s, value->n * sizeof *grown);
        }
        grown[value->n] = element;
        value->i64s = grown;
    } else {
        int rc = choice_check(row, text, err);
        if (rc != IL_OK) {
            return rc;
        }
        const char **grown = il_arena_array(set->arena, value->n + 1, sizeof *grown);
        const char *copy = il_arena_strdup(set->arena, text);
        if (!grown || !copy) {
            return no_memory(err);
        }
        if (value->n > 0) {
            memcpy(grown, value->texts, value->n * sizeof *grown);
        }
        grown[value->n] = copy;
        value->texts = grown;
    }
    value->n++;
    value->origin = origin;
    return IL_OK;
}

static int list_set(il_param_set *set, il_param_id id, const char *text, il_origin origin,
                    il_error *err)
{
    set->values[id].n = 0;
    for (const char *p = text;;) {
        size_t n = strcspn(p, ",");
        char *piece = il_arena_strndup(set->arena, p, n);
        if (!piece) {
            return no_memory(err);
        }
        if (n == 0) {
            return il_fail(err, IL_E_USAGE, "%s has an empty element in \"%s\"", rows[id].name,
                           text);
        }
        int rc = il_param_set_append(set, id, piece, origin, err);
        if (rc != IL_OK) {
            return rc;
        }
        if (p[n] == '\0') {
            return IL_OK;
        }
        p += n + 1;
    }
}

int il_param_set_text(il_param_set *set, il_param_id id, const char *text, il_origin origin,
                      il_error *err)
{
    const il_param *row = il_param_row(id);
    il_param_value *value = &set->values[id];
    int rc = IL_OK;
    switch (row->type) {
    case IL_PARAM_FLAG:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
            return il_fail(err, IL_E_USAGE, "%s must be true or false, not \"%s\"", row->name,
                           text);
        }
        value->flag = text[0] == 't';
        break;
    case IL_PARAM_I64:
        rc = i64_parse(row, text, &value->i64, err);
        break;
    case IL_PARAM_F64:
        rc = f64_parse(row, text, &value->f64, err);
        break;
    case IL_PARAM_TEXT:
    case IL_PARAM_CHOICE:
        rc = row->type == IL_PARAM_CHOICE ? choice_check(row, text, err) : IL_OK;
        if (rc == IL_OK) {
            value->text = il_arena_strdup(set->arena, text);
            rc = value->text ? IL_OK : no_memory(err);
        }
        break;
    case IL_PARAM_I64_LIST:
    case IL_PARAM_TEXT_LIST:
        rc = list_set(set, id, text, origin, err);
        break;
    case IL_PARAM_NODE:
        return il_fail(err, IL_E_USAGE, "%s must be a mapping or a list", row->name);
    }
    if (rc == IL_OK) {
        value->origin = origin;
    }
    return rc;
}

int il_param_set_init(il_param_set *set, uint64_t scope, il_arena *arena, il_error *err)
{
    memset(set, 0, sizeof *set);
    set->scope = scope;
    set->arena = arena;
    for (int i = 0; i < IL_P_COUNT; i++) {
        if ((rows[i].scopes & scope) && rows[i].fallback) {
            int rc =
                il_param_set_text(set, (il_param_id)i, rows[i].fallback, IL_ORIGIN_DEFAULT, err);
            if (rc != IL_OK) {
                return rc;
            }
        }
    }
    return IL_OK;
}

bool il_param_is_set(const il_param_set *set, il_param_id id)
{
    return set->values[id].origin >= IL_ORIGIN_FILE;
}

bool il_param_has(const il_param_set *set, il_param_id id)
{
    return set->values[id].origin != IL_ORIGIN_UNSET;
}

bool il_param_flag(const il_param_set *set, il_param_id id)
{
    assert(rows[id].type == IL_PARAM_FLAG);
    return set->values[id].flag;
}

int64_t il_param_i64(const il_param_set *set, il_param_id id)
{
    assert(rows[id].type == IL_PARAM_I64 && il_param_has(set, id));
    return set->values[id].i64;
}

double il_param_f64(const il_param_set *set, il_param_id id)
{
    assert(rows[id].type == IL_PARAM_F64 && il_param_has(set, id));
    return set->values[id].f64;
}

const char *il_param_text(const il_param_set *set, il_param_id id)
{
    assert(rows[id].type == IL_PARAM_TEXT || rows[id].type == IL_PARAM_CHOICE);
    return set->values[id].text;
}

json_t *il_param_set_json(const il_param_set *set)
{
    json_t *obj = json_object();
    for (int i = 0; obj && i < IL_P_COUNT; i++) {
        const il_param_value *value = &set->values[i];
        if (value->origin == IL_ORIGIN_UNSET) {
            continue;
        }
        json_t *item = NULL;
        switch (rows[i].type) {
        case IL_PARAM_FLAG:
            item = json_boolean(value->flag);
            break;
        case IL_PARAM_I64:
            item = json_integer(value->i64);
            break;
        case IL_PARAM_F64:
            item = json_real(value->f64);
            break;
        case IL_PARAM_TEXT:
        case IL_PARAM_CHOICE:
            item = json_string(value->text);
            break;
        case IL_PARAM_I64_LIST:
        case IL_PARAM_TEXT_LIST:
            item = json_array();
            for (size_t k = 0; item && k < value->n; k++) {
                (void)json_array_append_new(item, rows[i].type == IL_PARAM_I64_LIST
                                                      ? json_integer(value->i64s[k])
                                                      : json_string(value->texts[k]));
            }
            break;
        case IL_PARAM_NODE:
            continue;
        }
        if (!item || json_object_set_new(obj, rows[i].name, item) != 0) {
            json_decref(obj);
            return NULL;
        }
    }
    return obj;
}
