/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/yaml.h"

#include "base/text.h"

#include <string.h>
#include <yaml.h>

typedef struct parse {
    yaml_parser_t parser;
    const char *origin;
    il_arena *arena;
    size_t n_nodes;
} parse;

static int fail_at(const parse *p, const yaml_mark_t *mark, il_error *err, const char *what)
{
    int rc = il_fail(err, IL_E_PARSE, "%s", what);
    il_error_where(err, "%s:%zu:%zu", p->origin, mark->line + 1, mark->column + 1);
    return rc;
}

static int no_memory(il_error *err)
{
    return il_fail(err, IL_E_NOMEM, "out of memory");
}

static int parser_failed(const parse *p, il_error *err)
{
    const yaml_parser_t *y = &p->parser;
    if (y->error == YAML_MEMORY_ERROR) {
        return no_memory(err);
    }
    const char *problem = y->problem ? y->problem : "not YAML";
    if (y->error == YAML_READER_ERROR) {
        int rc = il_fail(err, IL_E_PARSE, "not UTF-8 text: %s", problem);
        il_error_where(err, "%s: byte %zu", p->origin, y->problem_offset);
        return rc;
    }
    int rc = il_fail(err, IL_E_PARSE, "broken YAML: %s%s%s", problem, y->context ? ", " : "",
                     y->context ? y->context : "");
    il_error_where(err, "%s:%zu:%zu", p->origin, y->problem_mark.line + 1,
                   y->problem_mark.column + 1);
    if (strstr(problem, "did not find expected")) {
        il_error_hint(err, "look for an open bracket or quote, or a changed indent, there or "
                           "in the lines above");
    }
    if (strstr(problem, "cannot start any token") || strstr(problem, "tab character")) {
        il_error_hint(err,
                      "a tab, or one of @ ` %% outside quotes? indent with spaces, quote text");
    }
    return rc;
}

static int next_event(parse *p, yaml_event_t *event, il_error *err)
{
    if (!yaml_parser_parse(&p->parser, event)) {
        return parser_failed(p, err);
    }
    return IL_OK;
}

/* Anchors and tags of a starting node. */
static int refuse_extras(const parse *p, const yaml_event_t *event, const yaml_char_t *anchor,
                         const yaml_char_t *tag, il_error *err)
{
    if (anchor) {
        return fail_at(p, &event->start_mark, err,
                       "anchors (&) are not read in study files: write the value out");
    }
    if (tag) {
        return fail_at(p, &event->start_mark, err,
                       "tags (!) are not read in study files: write the plain value");
    }
    return IL_OK;
}

static int node_new(parse *p, const yaml_event_t *event, il_yaml_type type, il_yaml **out,
                    il_error *err)
{
    if (++p->n_nodes > IL_YAML_MAX_NODES) {
        return fail_at(p, &event->start_mark, err, "more than 100000 values in one file");
    }
    il_yaml *node = il_arena_alloc(p->arena, sizeof *node);
    if (!node) {
        return no_memory(err);
    }
    node->type = type;
    node->line = (int)event->start_mark.line + 1;
    node->column = (int)event->start_mark.column + 1;
    *out = node;
    return IL_OK;
}

static int read_node(parse *p, yaml_event_t *event, unsigned depth, il_yaml **out, il_error *err);

static int read_scalar(parse *p, const yaml_event_t *event, il_yaml **out, il_error *err)
{
    int rc = refuse_extras(p, event, event->data.scalar.anchor, event->data.scalar.tag, err);
    if (rc == IL_OK) {
        rc = node_new(p, event, IL_YAML_SCALAR, out, err);
    }
    if (rc != IL_OK) {
        return rc;
    }
    const char *text = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;
    if (memchr(text, '\0', n)) {
        return fail_at(p, &event->start_mark, err, "a NUL character in a value");
    }
    (*out)->text = il_arena_strndup(p->arena, text, n);
    (*out)->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return (*out)->text ? IL_OK : no_memory(err);
}

static int read_list(parse *p, const yaml_event_t *start, unsigned depth, il_yaml **out,
                     il_error *err)
{
    int rc = refuse_extras(p, start, start->data.sequence_start.anchor,
                           start->data.sequence_start.tag, err);
    if (rc == IL_OK) {
        rc = node_new(p, start, IL_YAML_LIST, out, err);
    }
    il_yaml **tail = rc == IL_OK ? &(*out)->first : NULL;
    while (rc == IL_OK) {
        yaml_event_t event;
        rc = next_event(p, &event, err);
        if (rc != IL_OK) {
            break;
        }
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        if (!end) {
            rc = read_node(p, &event, depth + 1, tail, err);
        }
        yaml_event_delete(&event);
        if (end) {
            break;
        }
        if (rc == IL_OK) {
            tail = &(*tail)->next;
            (*out)->n++;
        }
    }
    return rc;
}

static int check_key(const parse *p, const yaml_event_t *event, const il_yaml *map, il_error *err)
{
    if (event->type != YAML_SCALAR_EVENT) {
        return fail_at(p, &event->start_mark, err, "a key must be a plain word");
    }
    int rc = refuse_extras(p, event, event->data.scalar.anchor, event->data.scalar.tag, err);
    if (rc != IL_OK) {
        return rc;
    }
    const char *key = (const char *)event->data.scalar.value;
    if (strcmp(key, "<<") == 0) {
        return fail_at(p, &event->start_mark, err, "merge keys (<<) are not read in study files");
    }
    const il_yaml *twin = il_yaml_get(map, key);
    if (twin) {
        rc = il_fail(err, IL_E_PARSE, "key \"%s\" stands twice, first on line %d", key,
                     twin->key_line);
        il_error_where(err, "%s:%zu:%zu", p->origin, event->start_mark.line + 1,
                       event->start_mark.column + 1);
        return rc;
    }
    return IL_OK;
}

/* One "key: value" whose key event is given; *tail gets the value. */
static int read_entry(parse *p, const yaml_event_t *key, unsigned depth, il_yaml **tail,
                      il_error *err)
{
    const char *text = il_arena_strdup(p->arena, (const char *)key->data.scalar.value);
    if (!text) {
        return no_memory(err);
    }
    yaml_event_t value;
    int rc = next_event(p, &value, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_yaml *node = NULL;
    rc = read_node(p, &value, depth + 1, &node, err);
    yaml_event_delete(&value);
    if (rc == IL_OK) {
        node->key = text;
        node->key_line = (int)key->start_mark.line + 1;
        node->key_column = (int)key->start_mark.column + 1;
        *tail = node;
    }
    return rc;
}

static int read_map(parse *p, const yaml_event_t *start, unsigned depth, il_yaml **out,
                    il_error *err)
{
    int rc = refuse_extras(p, start, start->data.mapping_start.anchor,
                           start->data.mapping_start.tag, err);
    if (rc == IL_OK) {
        rc = node_new(p, start, IL_YAML_MAP, out, err);
    }
    il_yaml **tail = rc == IL_OK ? &(*out)->first : NULL;
    while (rc == IL_OK) {
        yaml_event_t event;
        rc = next_event(p, &event, err);
        if (rc != IL_OK) {
            break;
        }
        bool end = event.type == YAML_MAPPING_END_EVENT;
        if (!end) {
            rc = check_key(p, &event, *out, err);
            rc = rc == IL_OK ? read_entry(p, &event, depth, tail, err) : rc;
        }
        yaml_event_delete(&event);
        if (end) {
            break;
        }
        if (rc == IL_OK) {
            tail = &(*tail)->next;
            (*out)->n++;
        }
    }
    return rc;
}

static int read_node(parse *p, yaml_event_t *event, unsigned depth, il_yaml **out, il_error *err)
{
    if (depth > IL_YAML_MAX_DEPTH) {
        return fail_at(p, &event->start_mark, err, "nested deeper than 16 levels");
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(p, event, out, err);
    case YAML_SEQUENCE_START_EVENT:
        return read_list(p, event, depth, out, err);
    case YAML_MAPPING_START_EVENT:
        return read_map(p, event, depth, out, err);
    case YAML_ALIAS_EVENT:
        return fail_at(p, &event->start_mark, err,
                       "aliases (*) are not read in study files: write the value out");
    default:
        return fail_at(p, &event->start_mark, err, "not a value");
    }
}

static int read_document(parse *p, il_yaml **out, il_error *err)
{
    bool ended = false, seen = false;
    int rc = IL_OK;
    while (rc == IL_OK && !ended) {
        yaml_event_t event;
        rc = next_event(p, &event, err);
        if (rc != IL_OK) {
            return rc;
        }
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (seen) {
                rc = fail_at(p, &event.start_mark, err, "a second document in one study file");
                il_error_hint(err, "one study a file: split it at the \"---\"");
            }
            break;
        case YAML_STREAM_END_EVENT:
            ended = true;
            break;
        default:
            rc = read_node(p, &event, 0, out, err);
            seen = true;
        }
        yaml_event_delete(&event);
    }
    if (rc == IL_OK && (!seen || il_yaml_is_null(*out))) {
        rc = il_fail(err, IL_E_PARSE, "the file is empty");
        il_error_where(err, "%s:1:1", p->origin);
        il_error_hint(err, "configs/quick.yaml is a small study to begin with");
    }
    return rc;
}

int il_yaml_parse(const char *text, size_t n_bytes, const char *origin, il_arena *arena,
                  il_yaml **out, il_error *err)
{
    parse p = {.origin = origin, .arena = arena};
    if (n_bytes > IL_YAML_MAX_BYTES) {
        int rc = il_fail(err, IL_E_RANGE, "the file has %zu bytes, more than 1 MiB", n_bytes);
        il_error_where(err, "%s", origin);
        return rc;
    }
    if (!yaml_parser_initialize(&p.parser)) {
        return no_memory(err);
    }
    size_t mark = n_bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    yaml_parser_set_encoding(&p.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p.parser, (const unsigned char *)text + mark, n_bytes - mark);
    int rc = read_document(&p, out, err);
    yaml_parser_delete(&p.parser);
    return rc;
}

const il_yaml *il_yaml_get(const il_yaml *map, const char *key)
{
    for (const il_yaml *e = map->first; e; e = e->next) {
        if (strcmp(e->key, key) == 0) {
            return e;
        }
    }
    return NULL;
}

bool il_yaml_is_null(const il_yaml *node)
{
    return node->type == IL_YAML_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "null") == 0 ||
            strcmp(node->text, "~") == 0);
}

static json_t *scalar_json(const il_yaml *node)
{
    int64_t integer;
    double real;
    if (!node->plain) {
        return json_string(node->text);
    }
    if (il_yaml_is_null(node)) {
        return json_null();
    }
    if (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0) {
        return json_boolean(node->text[0] == 't');
    }
    if (il_text_to_i64(node->text, &integer) == IL_OK) {
        return json_integer(integer);
    }
    if (il_text_to_f64(node->text, &real) == IL_OK) {
        return json_real(real);
    }
    return json_string(node->text);
}

json_t *il_yaml_json(const il_yaml *node)
{
    if (node->type == IL_YAML_SCALAR) {
        return scalar_json(node);
    }
    bool list = node->type == IL_YAML_LIST;
    json_t *value = list ? json_array() : json_object();
    for (const il_yaml *e = node->first; value && e; e = e->next) {
        json_t *item = il_yaml_json(e);
        int failed =
            list ? json_array_append_new(value, item) : json_object_set_new(value, e->key, item);
        if (failed) {
            json_decref(value);
            return NULL;
        }
    }
    return value;
}

void il_yaml_where(il_error *err, const char *origin, const il_yaml *node)
{
    il_error_where(err, "%s:%d:%d", origin, node->line, node->column);
}
