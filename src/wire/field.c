/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/field.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>

il__fields il__fields_of(const json_t *message, const char *name, il_error *err)
{
    il__fields fields = {.message = message, .name = name, .err = err};
    if (!json_is_object(message)) {
        il__fields_fail(&fields, "the message is no object");
    }
    return fields;
}

static void place(il__fields *fields)
{
    fields->status = IL_E_PROTOCOL;
    if (fields->err) {
        fields->err->code = IL_E_PROTOCOL;
        il_error_where(fields->err, "%s message", fields->name);
    }
}

void il__fields_fail(il__fields *fields, const char *fmt, ...)
{
    if (fields->status != IL_OK) {
        return;
    }
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)il_fail(fields->err, IL_E_PROTOCOL, "%s", text);
    place(fields);
}

/* true when the getter's result may be used. */
static bool usable(il__fields *fields, int rc)
{
    if (rc != IL_OK) {
        place(fields);
    }
    return rc == IL_OK;
}

static int64_t get_i64(il__fields *fields, const char *key, bool required, int64_t min, int64_t max,
                       int64_t fallback)
{
    const json_t *node = json_object_get(fields->message, key);
    int64_t value = fallback;
    if (fields->status != IL_OK ||
        !usable(fields, il_json_get_i64(fields->message, key, required, &value, fields->err))) {
        return fallback;
    }
    if (node && !json_is_null(node) && (value < min || value > max)) {
        il__fields_fail(fields, "key \"%s\" is %lld, outside %lld to %lld", key, (long long)value,
                        (long long)min, (long long)max);
        return fallback;
    }
    return value;
}

int64_t il__need_i64(il__fields *fields, const char *key, int64_t min, int64_t max)
{
    return get_i64(fields, key, true, min, max, 0);
}

uint32_t il__need_u32(il__fields *fields, const char *key, uint32_t min, uint32_t max)
{
    return (uint32_t)get_i64(fields, key, true, min, max, 0);
}

int64_t il__want_i64(il__fields *fields, const char *key, int64_t min, int64_t max,
                     int64_t fallback)
{
    return get_i64(fields, key, false, min, max, fallback);
}

static bool get_bool(il__fields *fields, const char *key, bool required)
{
    bool value = false;
    return fields->status == IL_OK &&
           usable(fields, il_json_get_bool(fields->message, key, required, &value, fields->err)) &&
           value;
}

bool il__need_bool(il__fields *fields, const char *key)
{
    return get_bool(fields, key, true);
}

bool il__want_bool(il__fields *fields, const char *key)
{
    return get_bool(fields, key, false);
}

static const char *get_text(il__fields *fields, const char *key, bool required)
{
    const char *text = NULL;
    if (fields->status != IL_OK ||
        !usable(fields, il_json_get_text(fields->message, key, required, &text, fields->err))) {
        return NULL;
    }
    if (required && text[0] == '\0') {
        il__fields_fail(fields, "key \"%s\" is empty", key);
    }
    return text;
}

const char *il__need_text(il__fields *fields, const char *key)
{
    return get_text(fields, key, true);
}

const char *il__want_text(il__fields *fields, const char *key)
{
    return get_text(fields, key, false);
}

double il__want_f64(il__fields *fields, const char *key)
{
    double value = NAN;
    if (fields->status == IL_OK) {
        (void)usable(fields, il_json_get_f64(fields->message, key, false, &value, fields->err));
    }
    return value;
}

json_t *il__want_node(il__fields *fields, const char *key, json_type type)
{
    json_t *node = json_object_get(fields->message, key);
    if (!node || json_is_null(node) || fields->status != IL_OK) {
        return NULL;
    }
    if (json_typeof(node) != type) {
        il__fields_fail(fields, "key \"%s\" must be %s", key,
                        type == JSON_ARRAY ? "a list" : "an object");
        return NULL;
    }
    return node;
}

void il__read_ids(il__fields *fields, const char *key, const json_t *array, uint32_t n,
                  int32_t *out)
{
    for (uint32_t i = 0; i < n && fields->status == IL_OK; i++) {
        const json_t *item = json_array_get(array, i);
        json_int_t id = json_integer_value(item);
        if (!json_is_integer(item) || id < 0 || id > INT32_MAX) {
            il__fields_fail(fields, "key \"%s\" holds at place %u something that is no token id",
                            key, i);
            return;
        }
        out[i] = (int32_t)id;
    }
}
