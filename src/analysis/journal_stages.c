/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/journal_stages.h"

#include <stdio.h>
#include <string.h>

/* One element more behind n, of a vector that may not have begun. */
static int append(il_vector *v, size_t n, const void *element, size_t element_bytes,
                  const char *scratch_dir, il_error *err)
{
    if (v->element_bytes == 0) {
        il_vector_init(v, element_bytes);
    }
    int rc = il_vector_resize(v, scratch_dir, n + 1, err);
    if (rc == IL_OK) {
        memcpy((char *)v->data + n * element_bytes, element, element_bytes);
    }
    return rc;
}

int il__stage_cold(il_run_facts *f, const json_t *line, size_t n_cells, uint64_t at,
                   const char *scratch_dir, il_error *err)
{
    il_cold_start start;
    if (!il__cold_read(line, at, &start) || start.cell >= n_cells) {
        return IL_OK;
    }
    int rc = append(&f->cold_memory, f->n_colds, &start, sizeof start, scratch_dir, err);
    f->colds = f->cold_memory.data;
    f->n_colds += rc == IL_OK;
    return rc;
}

int il__stage_memory(il_run_facts *f, const json_t *line, size_t n_cells, uint64_t at,
                     const char *scratch_dir, il_error *err)
{
    il_memory_rung rung;
    if (!il__memory_read(line, at, &rung) || rung.cell >= n_cells) {
        return IL_OK;
    }
    int rc = append(&f->rung_memory, f->n_rungs, &rung, sizeof rung, scratch_dir, err);
    f->rungs = f->rung_memory.data;
    f->n_rungs += rc == IL_OK;
    return rc;
}

/* The reasons for which no meter can be read, as one text. */
static void join_reasons(const json_t *list, char *out, size_t out_bytes)
{
    size_t i, len = 0;
    const json_t *why;
    json_array_foreach(list, i, why)
    {
        const char *text = json_string_value(why);
        int n = snprintf(out + len, out_bytes - len, "%s%s", len ? "; " : "", text ? text : "");
        len += n > 0 ? (size_t)n : 0;
        len = len < out_bytes ? len : out_bytes - 1;
    }
}

int il__stage_energy(il_run_facts *f, const json_t *line, size_t n_cells, uint64_t at,
                     const char *scratch_dir, il_error *err)
{
    const char *status = json_string_value(json_object_get(line, "status"));
    int rc = IL_OK;
    if (status && strcmp(status, "not_readable") == 0) {
        join_reasons(json_object_get(line, "why"), f->energy_unreadable,
                     sizeof f->energy_unreadable);
    }
    for (size_t i = 0; rc == IL_OK && i < il__energy_meters(line); i++) {
        il_energy_sample sample;
        if (!il__energy_read(line, i, at, &sample) || sample.cell >= n_cells) {
            continue;
        }
        rc = append(&f->energy_memory, f->n_energies, &sample, sizeof sample, scratch_dir, err);
        f->energies = f->energy_memory.data;
        f->n_energies += rc == IL_OK;
    }
    return rc;
}

void il__stages_finish(il_run_facts *f)
{
    f->n_energies = il__energy_sort(f->energies, f->n_energies);
    f->n_rungs = il__memory_sort(f->rungs, f->n_rungs);
    f->n_colds = il__cold_sort(f->colds, f->n_colds);
}
