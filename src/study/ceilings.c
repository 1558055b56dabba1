/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/ceilings.h"

#include "study/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int take_ceiling(json_t *line, uint64_t number, void *user, il_error *err)
{
    (void)number;
    (void)err;
    json_t *out = user;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const char *what = json_string_value(json_object_get(line, "what"));
    const json_t *samples = json_object_get(line, "samples");
    size_t n = json_array_size(samples);
    double x[64];
    if (!kind || strcmp(kind, "ceiling") != 0 || !what || n == 0 || n > 64) {
        return IL_OK;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = json_number_value(json_array_get(samples, i));
    }
    qsort(x, n, sizeof x[0], compare_double);
    json_t *set = json_object_get(line, "working_set_bytes");
    const char *dtype = json_string_value(json_object_get(line, "dtype"));
    char name[96];
    (void)snprintf(name, sizeof name, "%s_%s%lld_%lldt", what, dtype ? dtype : "",
                   (long long)json_integer_value(set),
                   (long long)json_integer_value(json_object_get(line, "threads")));
    json_t *list = json_object_get(out, name);
    if (!list) {
        list = json_array();
        (void)json_object_set_new(out, name, list);
    }
    (void)json_array_append_new(list, json_real(x[n / 2]));
    return IL_OK;
}

int il_ceilings_of(const char *journal, json_t **out, il_error *err)
{
    *out = json_object();
    return *out ? il_journal_read(journal, take_ceiling, *out, NULL, err)
                : il_fail(err, IL_E_NOMEM, "no memory for the ceilings");
}
