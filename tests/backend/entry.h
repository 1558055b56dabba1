/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A backend entry of a study, made by a test.
 */
#ifndef IL_TESTS_BACKEND_ENTRY_H
#define IL_TESTS_BACKEND_ENTRY_H

#include "check.h"

#include "backend/backend.h"

typedef struct test_entry {
    il_arena arena;
    il_param_set set;
} test_entry;

static inline void entry_open(test_entry *entry)
{
    il_error err = {0};
    entry->arena = (il_arena){0};
    check_ok(il_param_set_init(&entry->set, IL_SCOPE_BACKEND, &entry->arena, &err), &err);
}

static inline void entry_set(test_entry *entry, il_param_id id, const char *text)
{
    il_error err = {0};
    check_ok(il_param_set_text(&entry->set, id, text, IL_ORIGIN_FILE, &err), &err);
}

static inline void entry_add(test_entry *entry, il_param_id id, const char *text)
{
    il_error err = {0};
    check_ok(il_param_set_append(&entry->set, id, text, IL_ORIGIN_FILE, &err), &err);
}

static inline void entry_close(test_entry *entry)
{
    il_arena_free(&entry->arena);
}

static inline il_backend *entry_backend(test_entry *entry, const char *kind)
{
    il_backend *b = NULL;
    il_error err = {0};
    const il_backend_ops *ops = il_backend_find(kind);
    assert_non_null(ops);
    check_ok(ops->open(&entry->set, &b, &err), &err);
    assert_ptr_equal(b->ops, ops);
    return b;
}

#endif
