/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/ladder.h"

#include <string.h>

enum { MOST_STEPS = 64, MOST_VALUE = 1 << 24 };

const char *il_axis_name(il_axis axis)
{
    static const char *const names[IL_AXIS_COUNT] = {"size", "context", "batch"};
    return names[axis];
}

static int wrong(il_error *err, const char *what)
{
    int rc = il_fail(err, IL_E_USAGE, "memory_wall: %s", what);
    il_error_hint(err, "ladder: [size, context, {batch: [1, 8, 64]}]");
    return rc;
}

static int read_values(const json_t *list, il_arena *arena, il_ladder_axis *out, il_error *err)
{
    size_t i, n = json_array_size(list);
    const json_t *value;
    if (n == 0 || n > MOST_STEPS) {
        return wrong(err, "an axis has from 1 to 64 steps, as {context: [512, 1024]}");
    }
    out->values = il_arena_array(arena, n, sizeof *out->values);
    if (!out->values) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    json_array_foreach(list, i, value)
    {
        json_int_t step = json_is_integer(value) ? json_integer_value(value) : 0;
        if (step < 1 || step > MOST_VALUE || (i > 0 && (uint32_t)step <= out->values[i - 1])) {
            return wrong(err, "the steps of an axis are whole numbers that rise");
        }
        out->values[out->n++] = (uint32_t)step;
    }
    return IL_OK;
}

static int add_axis(const char *name, const json_t *values, il_arena *arena, il_ladder *out,
                    il_error *err)
{
    il_axis axis = IL_AXIS_SIZE;
    while (axis < IL_AXIS_COUNT && strcmp(name, il_axis_name(axis)) != 0) {
        axis++;
    }
    if (axis == IL_AXIS_COUNT) {
        return wrong(err, "a ladder climbs size, context or batch");
    }
    for (size_t i = 0; i < out->n; i++) {
        if (out->axes[i].axis == axis) {
            return wrong(err, "an axis stands twice in the ladder");
        }
    }
    if (values && axis == IL_AXIS_SIZE) {
        return wrong(err, "the steps of size are the models of the study");
    }
    il_ladder_axis *a = &out->axes[out->n++];
    *a = (il_ladder_axis){.axis = axis};
    return values ? read_values(values, arena, a, err) : IL_OK;
}

int il_ladder_read(const json_t *ladder, il_arena *arena, il_ladder *out, il_error *err)
{
    size_t i;
    const json_t *element;
    *out = (il_ladder){0};
    if (!ladder) {
        return add_axis("size", NULL, arena, out, err);
    }
    if (!json_is_array(ladder) || json_array_size(ladder) == 0) {
        return wrong(err, "the ladder is a list");
    }
    json_array_foreach(ladder, i, element)
    {
        const char *key = NULL;
        const json_t *values = NULL;
        if (json_is_object(element) && json_object_size(element) == 1) {
            void *at = json_object_iter((json_t *)(uintptr_t)element);
            key = json_object_iter_key(at);
            values = json_object_iter_value(at);
        } else if (json_is_string(element)) {
            key = json_string_value(element);
        }
        int rc = key ? add_axis(key, values, arena, out, err)
                     : wrong(err, "a ladder climbs size, context or batch");
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}
