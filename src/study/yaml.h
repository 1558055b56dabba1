/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * YAML as a study file may use it: block and flow mappings, lists and scalars of one document, read
 * from libyaml's events into nodes that remember their line and column. What would make a file mean
 * something else than it shows is refused: anchors, aliases, tags, merge keys, duplicate keys, a
 * second document.
 */
#ifndef IL_STUDY_YAML_H
#define IL_STUDY_YAML_H

#include "base/arena.h"
#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    IL_YAML_MAX_BYTES = 1024 * 1024,
    IL_YAML_MAX_DEPTH = 16,
    IL_YAML_MAX_NODES = 100000,
};

typedef enum il_yaml_type { IL_YAML_SCALAR, IL_YAML_LIST, IL_YAML_MAP } il_yaml_type;

typedef struct il_yaml {
    il_yaml_type type;
    int line, column; /* from 1 */
    const char *key;  /* of a mapping's entry, else NULL */
    int key_line, key_column;
    const char *text;      /* of a scalar */
    bool plain;            /* a scalar without quotes, not a block literal */
    struct il_yaml *first; /* elements or entries */
    struct il_yaml *next;  /* sibling */
    size_t n;              /* elements or entries */
} il_yaml;

/* Parses n_bytes; `origin` names the file in errors, which carry origin:line:column. Nodes live in
 * the arena. An empty document is IL_E_PARSE. */
int il_yaml_parse(const char *text, size_t n_bytes, const char *origin, il_arena *arena,
                  il_yaml **out, il_error *err);
/* The entry of a mapping called key, or NULL. */
const il_yaml *il_yaml_get(const il_yaml *map, const char *key);
/* A plain scalar with nothing in it, "null" or "~". */
bool il_yaml_is_null(const il_yaml *node);
/* The node as JSON: plain integers, numbers and true/false as such, all else as text. NULL when
 * memory is out. */
json_t *il_yaml_json(const il_yaml *node);
/* Adds origin:line:column of the node to an error. */
void il_yaml_where(il_error *err, const char *origin, const il_yaml *node);

#endif
