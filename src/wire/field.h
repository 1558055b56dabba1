/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the keys of one message. The first complaint sticks and later reads do nothing, so that a
 * reader is a list of its keys with one check at the end. Complaints are IL_E_PROTOCOL and name the
 * message. Used by src/wire alone.
 */
#ifndef IL_WIRE_FIELD_H
#define IL_WIRE_FIELD_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct il__fields {
    const json_t *message;
    const char *name; /* "load reply" */
    int status;       /* IL_OK, or IL_E_PROTOCOL once something was wrong */
    il_error *err;
} il__fields;

/* A message that is no object is wrong from the start. */
il__fields il__fields_of(const json_t *message, const char *name, il_error *err);
/* Records a complaint unless there is one already. */
void il__fields_fail(il__fields *fields, const char *fmt, ...) IL_PRINTF(2, 3);

/* Required; an integer within [min, max]. */
int64_t il__need_i64(il__fields *fields, const char *key, int64_t min, int64_t max);
uint32_t il__need_u32(il__fields *fields, const char *key, uint32_t min, uint32_t max);
bool il__need_bool(il__fields *fields, const char *key);
const char *il__need_text(il__fields *fields, const char *key); /* not empty */
/* Absent or null: the fallback. */
int64_t il__want_i64(il__fields *fields, const char *key, int64_t min, int64_t max,
                     int64_t fallback);
bool il__want_bool(il__fields *fields, const char *key);        /* fallback: false */
const char *il__want_text(il__fields *fields, const char *key); /* fallback: NULL */
double il__want_f64(il__fields *fields, const char *key);       /* fallback: NaN */
/* Absent or null: NULL. JSON_ARRAY or JSON_OBJECT is the type it must have. */
json_t *il__want_node(il__fields *fields, const char *key, json_type type);

/* Reads n integers of an array into out, each within [min, max]. */
void il__read_ids(il__fields *fields, const char *key, const json_t *array, uint32_t n,
                  int32_t *out);

#endif
