/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Samples of the energy meters as the journal tells them: one record a sample and meter. NaN: not
 * measured.
 */
#ifndef IL_ANALYSIS_ENERGY_DATA_H
#define IL_ANALYSIS_ENERGY_DATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IL_ENERGY_NAME_BYTES = 64 };

typedef struct il_energy_sample {
    uint32_t cell, sample;
    uint64_t at; /* place in the journal */
    char meter[IL_ENERGY_NAME_BYTES], kind[12];
    double resolution_ms;
    double idle_w, short_w, long_w; /* mean power of the windows */
    double window_s;                /* of the shorter window of calls */
    /* Joules per token, gross and above what the machine takes idle. */
    double prefill_j, prefill_net_j, decode_j, decode_net_j;
} il_energy_sample;

/* How many meters an ok line has; 0 for any other. */
size_t il__energy_meters(const json_t *line);
/* The record of meter number `index`. */
bool il__energy_read(const json_t *line, size_t index, uint64_t at, il_energy_sample *out);
/* By cell, meter and sample, what was replaced later left out; returns how many stay. */
size_t il__energy_sort(il_energy_sample *samples, size_t n);

#endif
