/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>

int il_json_parse(const char *text, size_t n_bytes, const char *origin, json_t **out, il_error *err)
{
    json_error_t detail;
    json_t *value = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &detail);
    if (!value && json_error_code(&detail) == json_error_numeric_overflow) {
        /* jansson then reads every integer as a real; the getters take integral reals back. */
        value =
            json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &detail);
    }
    if (!value) {
        int rc = il_fail(err, IL_E_PARSE, "not valid JSON: %s", detail.text);
        il_error_where(err, "%s:%d:%d", origin, detail.line, detail.column);
        return rc;
    }
    *out = value;
    return IL_OK;
}

int il_json_load(const char *path, size_t max_bytes, json_t **out, il_error *err)
{
    il_buf text;
    il_buf_init(&text, max_bytes);
    int rc = il_file_read(path, &text, err);
    if (rc == IL_OK) {
        rc = il_json_parse(il_buf_text(&text), text.len, path, out, err);
    }
    il_buf_free(&text);
    return rc;
}

/* IL_OK with *value NULL when absent and not required. */
static int get(const json_t *obj, const char *key, bool required, json_t **value, il_error *err)
{
    *value = json_object_get(obj, key);
    if (json_is_null(*value)) {
        *value = NULL;
    }
    if (!*value && required) {
        return il_fail(err, IL_E_INVALID, "key \"%s\" is missing", key);
    }
    return IL_OK;
}

static int wrong_type(const char *key, const char *wanted, il_error *err)
{
    return il_fail(err, IL_E_INVALID, "key \"%s\" must be %s", key, wanted);
}

int il_json_get_i64(const json_t *obj, const char *key, bool required, int64_t *out, il_error *err)
{
    json_t *value;
    int rc = get(obj, key, required, &value, err);
    if (rc != IL_OK || !value) {
        return rc;
    }
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return IL_OK;
    }
    double x = json_number_value(value);
    if (!json_is_real(value) || x != floor(x) || fabs(x) > 0x1p53) {
        return wrong_type(key, "an integer", err);
    }
    *out = (int64_t)x;
    return IL_OK;
}

int il_json_get_u32(const json_t *obj, const char *key, bool required, uint32_t *out, il_error *err)
{
    int64_t wide = *out;
    int rc = il_json_get_i64(obj, key, required, &wide, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (wide < 0 || wide > INT32_MAX) {
        return il_fail(err, IL_E_RANGE, "key \"%s\" is %lld, outside 0 to %d", key, (long long)wide,
                       INT32_MAX);
    }
    *out = (uint32_t)wide;
    return IL_OK;
}

int il_json_get_f64(const json_t *obj, const char *key, bool required, double *out, il_error *err)
{
    json_t *value;
    int rc = get(obj, key, required, &value, err);
    if (rc != IL_OK || !value) {
        return rc;
    }
    if (!json_is_number(value)) {
        return wrong_type(key, "a number", err);
    }
    *out = json_number_value(value);
    return IL_OK;
}

int il_json_get_bool(const json_t *obj, const char *key, bool required, bool *out, il_error *err)
{
    json_t *value;
    int rc = get(obj, key, required, &value, err);
    if (rc != IL_OK || !value) {
        return rc;
    }
    if (!json_is_boolean(value)) {
        return wrong_type(key, "true or false", err);
    }
    *out = json_is_true(value);
    return IL_OK;
}

int il_json_get_text(const json_t *obj, const char *key, bool required, const char **out,
                     il_error *err)
{
    json_t *value;
    int rc = get(obj, key, required, &value, err);
    if (rc != IL_OK || !value) {
        return rc;
    }
    if (!json_is_string(value)) {
        return wrong_type(key, "a string", err);
    }
    *out = json_string_value(value);
    return IL_OK;
}

char *il_json_dump(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
}

char *il_json_dump_pretty(const json_t *value)
{
    return json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
}

json_t *il_json_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}
