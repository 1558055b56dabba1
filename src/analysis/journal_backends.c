/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/journal_backends.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const keys[] = {
#define KEY(name) #name,
    IL_ASPECT_MAP(KEY)
#undef KEY
};

/* False when memory is out. A null stands for nothing chosen, an absent key for nothing known. */
static bool read_aspect(const json_t *backend, const char *key, char **out)
{
    const json_t *value = json_object_get(backend, key);
    char number[32];
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        (void)snprintf(number, sizeof number, "%" PRId64, (int64_t)json_integer_value(value));
        text = number;
    } else if (json_is_null(value)) {
        text = "";
    }
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

int il__backends_read(const json_t *plan, il_run_facts *f, il_error *err)
{
    const json_t *list = json_object_get(plan, "backends");
    size_t i;
    const json_t *item;
    f->backends = calloc(json_array_size(list) + 1, sizeof *f->backends);
    bool held = f->backends != NULL;
    json_array_foreach(list, i, item)
    {
        if (!held) {
            break;
        }
        il_plan_backend *b = &f->backends[f->n_backends++];
        const char *name = json_string_value(json_object_get(item, "name"));
        const json_t *batch = json_object_get(item, "batch_size");
        b->name = strdup(name ? name : "");
        b->batch_size = json_is_number(batch) ? json_number_value(batch) : NAN;
        b->reference = json_is_true(json_object_get(item, "reference"));
        held = b->name != NULL;
        for (size_t k = 0; k < IL_ASPECT_COUNT && held; k++) {
            held = read_aspect(item, keys[k], &b->aspect[k]);
        }
    }
    return held ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the plan");
}
