/* SPDX-License-Identifier: Apache-2.0
 *
 * One anonymous mapping carved into 64-byte aligned pieces: the weights of a model, or everything a
 * session works in. A layout function runs twice over the same calls: once on a measuring region to
 * learn the size, once on the mapped one, so that the bytes announced are the bytes taken.
 */
#ifndef IL_ENGINE_CORE_REGION_H
#define IL_ENGINE_CORE_REGION_H

#include "inferlaw/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il__region {
    unsigned char *base; /* NULL while measuring */
    size_t used_bytes, size_bytes;
    bool overflow; /* a size did not fit size_t while measuring */
} il__region;

/* A region is measuring when zeroed. Returns the piece, or NULL while measuring. count · size
 * bytes; zeroed by the kernel when mapped. */
void *il__region_take(il__region *region, size_t count, size_t size);
/* Maps what a measuring region counted and starts over: used_bytes is 0 again. Compares with the
 * memory this machine has available first: IL_E_NOMEM with both numbers. `purpose` is for the
 * message ("weights"). */
int il__region_map(il__region *region, il_engine_pages pages, const char *purpose, il_error *err);
/* Writes to every page, so that no fault falls into a timed call later. */
void il__region_touch(il__region *region);
void il__region_unmap(il__region *region);

/* MemAvailable of /proc/meminfo in bytes; 0 when unknown. */
uint64_t il__memory_available(void);
/* Major page faults of this process so far. */
uint64_t il__major_faults(void);

#endif
