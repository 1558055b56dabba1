/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/checked.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_CHUNK_BYTES = 64 * 1024 };

struct il_arena_chunk {
    il_arena_chunk *next;
    size_t size, used; /* of the bytes after this header */
};

_Static_assert(sizeof(il_arena_chunk) % 8 == 0, "chunk header keeps pieces aligned");

static char *chunk_bytes(il_arena_chunk *chunk)
{
    size_t header = (sizeof *chunk + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    return (char *)chunk + header;
}

static il_arena_chunk *chunk_new(size_t n_bytes)
{
    size_t size = n_bytes > ARENA_CHUNK_BYTES ? n_bytes : ARENA_CHUNK_BYTES;
    size_t total;
    if (!il_add_size(size, sizeof(il_arena_chunk) + ARENA_ALIGN, &total)) {
        return NULL;
    }
    il_arena_chunk *chunk = calloc(1, total);
    if (chunk) {
        chunk->size = size;
    }
    return chunk;
}

void *il_arena_alloc(il_arena *arena, size_t n_bytes)
{
    assert(arena);
    size_t padded;
    if (!il_add_size(n_bytes ? n_bytes : 1, ARENA_ALIGN - 1, &padded)) {
        return NULL;
    }
    padded = padded / ARENA_ALIGN * ARENA_ALIGN;
    il_arena_chunk *chunk = arena->head;
    if (!chunk || chunk->size - chunk->used < padded) {
        il_arena_chunk *fresh = chunk_new(padded);
        if (!fresh) {
            return NULL;
        }
        if (chunk && padded > ARENA_CHUNK_BYTES / 4) {
            fresh->next = chunk->next; /* a large piece must not waste the rest of the head */
            chunk->next = fresh;
        } else {
            fresh->next = chunk;
            arena->head = fresh;
        }
        chunk = fresh;
    }
    char *piece = chunk_bytes(chunk) + chunk->used;
    chunk->used += padded;
    arena->used_bytes += padded;
    assert(chunk->used <= chunk->size);
    return piece;
}

void *il_arena_array(il_arena *arena, size_t count, size_t size)
{
    size_t n_bytes;
    return il_mul_size(count, size, &n_bytes) ? il_arena_alloc(arena, n_bytes) : NULL;
}

char *il_arena_strndup(il_arena *arena, const char *text, size_t n_bytes)
{
    char *copy = il_arena_alloc(arena, n_bytes + 1);
    if (copy) {
        memcpy(copy, text, n_bytes);
        copy[n_bytes] = '\0';
    }
    return copy;
}

char *il_arena_strdup(il_arena *arena, const char *text)
{
    return il_arena_strndup(arena, text, strlen(text));
}

char *il_arena_printf(il_arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *text = n < 0 ? NULL : il_arena_alloc(arena, (size_t)n + 1);
    if (text) {
        (void)vsnprintf(text, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    va_end(args);
    return text;
}

void il_arena_free(il_arena *arena)
{
    il_arena_chunk *chunk = arena->head;
    while (chunk) {
        il_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    *arena = (il_arena){0};
}
