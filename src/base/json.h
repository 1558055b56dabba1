/* SPDX-License-Identifier: Apache-2.0
 *
 * Glue over jansson: files with limits, typed getters whose complaints name the key and the file.
 * Integers beyond 64 bits are read as reals (Hugging Face files hold 1e30 written out). Duplicate
 * keys are refused. Numbers are written with 17 significant digits, so that doubles survive.
 */
#ifndef IL_BASE_JSON_H
#define IL_BASE_JSON_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parses text of n_bytes; `origin` names it in errors. The caller owns *out (json_decref). */
int il_json_parse(const char *text, size_t n_bytes, const char *origin, json_t **out,
                  il_error *err);
/* Reads and parses a whole file of at most max_bytes. */
int il_json_load(const char *path, size_t max_bytes, json_t **out, il_error *err);

/* Getters: *out is set only when the key is there and not null. An absent or null key is IL_OK with
 * *out untouched (preset it with the default) unless `required`; a wrong type is IL_E_INVALID. */
int il_json_get_i64(const json_t *obj, const char *key, bool required, int64_t *out, il_error *err);
int il_json_get_u32(const json_t *obj, const char *key, bool required, uint32_t *out,
                    il_error *err);
int il_json_get_f64(const json_t *obj, const char *key, bool required, double *out, il_error *err);
int il_json_get_bool(const json_t *obj, const char *key, bool required, bool *out, il_error *err);
/* The text belongs to obj. */
int il_json_get_text(const json_t *obj, const char *key, bool required, const char **out,
                     il_error *err);

/* Compact text, keys in insertion order; malloc'd, the caller frees. NULL when memory is out. */
char *il_json_dump(const json_t *value);
/* Two-space indented text for files people read. */
char *il_json_dump_pretty(const json_t *value);
/* A real, or null when x is not finite ("not measured" is null, never 0). */
json_t *il_json_real(double x);

#endif
