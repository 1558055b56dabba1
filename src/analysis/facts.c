/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/facts.h"

#include <stdlib.h>

void il_run_facts_free(il_run_facts *facts)
{
    for (size_t i = 0; i < facts->n_cells; i++) {
        free(facts->cells[i].backend);
        free(facts->cells[i].model);
        free(facts->cells[i].scenario);
    }
    for (size_t i = 0; i < facts->n_models; i++) {
        free(facts->models[i].name);
        free(facts->models[i].twin_of);
    }
    for (size_t i = 0; i < facts->n_parity; i++) {
        free(facts->parity[i].backend);
        free(facts->parity[i].model);
        free(facts->parity[i].because);
    }
    for (size_t i = 0; i < facts->n_backends; i++) {
        free(facts->backends[i].name);
        for (size_t k = 0; k < IL_ASPECT_COUNT; k++) {
            free(facts->backends[i].aspect[k]);
        }
    }
    free(facts->backends);
    free(facts->parity);
    free(facts->models);
    free(facts->cells);
    if (facts->closures) {
        il_vector_free(&facts->closure_memory);
    }
    if (facts->aa_memory.element_bytes > 0) {
        il_vector_free(&facts->aa_memory);
    }
    if (facts->cold_memory.element_bytes > 0) {
        il_vector_free(&facts->cold_memory);
    }
    if (facts->rung_memory.element_bytes > 0) {
        il_vector_free(&facts->rung_memory);
    }
    if (facts->energy_memory.element_bytes > 0) {
        il_vector_free(&facts->energy_memory);
    }
    free(facts->sentinels);
    free(facts->ceilings);
    free(facts->counters);
    free(facts->probes);
    if (facts->calls) {
        il_vector_free(&facts->call_memory);
    }
    if (facts->step_ms.element_bytes > 0) {
        il_vector_free(&facts->step_ms);
    }
    if (facts->step_calls.element_bytes > 0) {
        il_vector_free(&facts->step_calls);
    }
    *facts = (il_run_facts){0};
}
