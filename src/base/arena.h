/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory by lifetime: a bump allocator whose pieces are freed together. Pieces are zeroed and
 * aligned to 16 bytes. Not thread-safe: one owner.
 */
#ifndef IL_BASE_ARENA_H
#define IL_BASE_ARENA_H

#include "inferlaw/error.h"

#include <stddef.h>

typedef struct il_arena_chunk il_arena_chunk;

typedef struct il_arena {
    il_arena_chunk *head;
    size_t used_bytes; /* of all pieces handed out, for tests and reports */
} il_arena;

/* An arena is ready when zeroed: `il_arena arena = {0};` */

/* n_bytes of zeroed memory, or NULL when memory is out. n_bytes 0 yields a valid, unique pointer.
 */
void *il_arena_alloc(il_arena *arena, size_t n_bytes);
/* count × size with the product checked; NULL on overflow too. */
void *il_arena_array(il_arena *arena, size_t count, size_t size);
char *il_arena_strdup(il_arena *arena, const char *text);
char *il_arena_strndup(il_arena *arena, const char *text, size_t n_bytes);
char *il_arena_printf(il_arena *arena, const char *fmt, ...) IL_PRINTF(2, 3);
/* Frees every piece and leaves the arena ready for use. */
void il_arena_free(il_arena *arena);

#endif
