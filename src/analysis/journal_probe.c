/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/journal_probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static bool index_of(const json_t *line, const char *key, size_t limit, uint32_t *out)
{
    const json_t *value = json_object_get(line, key);
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    *out = (uint32_t)number;
    return number >= 0 && (uint64_t)number < limit;
}

/* A resumed block probes again; what it repeats is near the end. */
static il_cache_probe *place_of(il__journal *j, il_run_facts *f, uint32_t cell, uint32_t block)
{
    for (size_t i = f->n_probes; i > 0; i--) {
        if (f->probes[i - 1].cell == cell && f->probes[i - 1].block == block) {
            return &f->probes[i - 1];
        }
        if (f->probes[i - 1].block != block) {
            break; /* blocks follow each other */
        }
    }
    if (f->n_probes == j->cap_probes) {
        size_t more = j->cap_probes ? 2 * j->cap_probes : 64;
        il_cache_probe *grown = realloc(f->probes, more * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        f->probes = grown;
        j->cap_probes = more;
    }
    return &f->probes[f->n_probes++];
}

int il__journal_add_probe(il__journal *j, const json_t *line, il_run_facts *f, il_error *err)
{
    const json_t *fresh = json_object_get(line, "fresh_ttft_ms");
    const char *status = json_string_value(json_object_get(line, "status"));
    size_t n_cells = json_array_size(json_object_get(j->plan, "cells"));
    uint32_t cell, block;
    if (!index_of(line, "cell", n_cells, &cell) ||
        !index_of(line, "block", (size_t)j->blocks, &block)) {
        return IL_OK;
    }
    il_cache_probe *p = place_of(j, f, cell, block);
    if (!p) {
        return il_fail(err, IL_E_NOMEM, "no memory for the cache probes of the journal");
    }
    *p = (il_cache_probe){
        .cell = cell,
        .block = block,
        .ok = status && strcmp(status, "ok") == 0,
        .fresh_ms = {number(json_array_get(fresh, 0)), number(json_array_get(fresh, 1))},
        .repeat_ms = number(json_object_get(line, "repeat_ttft_ms")),
        .repeat_cached_tok = number(json_object_get(line, "repeat_cached_tok"))};
    return IL_OK;
}
