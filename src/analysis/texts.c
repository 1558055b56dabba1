/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/texts.h"

#include "base/text.h"

#include <string.h>

enum { FIRST_CHUNK = 1 << 16 };

/* Room behind the texts of the last chunk, or a new chunk. A chunk gets its size at once: growing
 * would move texts that calls point to. */
static int take_room(il__texts *t, const char *dir, size_t bytes, char **out, il_error *err)
{
    il_vector *last = t->n_chunks ? &t->chunks[t->n_chunks - 1] : NULL;
    if (!last || last->cap - last->count < bytes) {
        size_t size = (size_t)FIRST_CHUNK << t->n_chunks;
        if (t->n_chunks == IL__TEXT_CHUNKS) {
            return il_fail(err, IL_E_RANGE, "the journal has too many texts");
        }
        last = &t->chunks[t->n_chunks];
        il_vector_init(last, 1);
        int rc = il_vector_resize(last, dir, size > bytes ? size : bytes, err);
        if (rc != IL_OK) {
            il_vector_free(last);
            return rc;
        }
        t->n_chunks++;
        last->count = 0;
    }
    *out = (char *)last->data + last->count;
    last->count += bytes;
    return IL_OK;
}

int il__texts_keep(il__texts *t, const char *dir, const char *text, const char **out, il_error *err)
{
    if (!text || text[0] == '\0') {
        *out = "";
        return IL_OK;
    }
    size_t len = strlen(text);
    const char **slot = &t->recent[il_fnv1a64(text, len) % IL__TEXT_SLOTS];
    if (!*slot || strcmp(*slot, text) != 0) {
        char *copy = NULL;
        int rc = take_room(t, dir, len + 1, &copy, err);
        if (rc != IL_OK) {
            return rc;
        }
        memcpy(copy, text, len + 1);
        *slot = copy;
    }
    *out = *slot;
    return IL_OK;
}

void il__texts_free(il__texts *t)
{
    for (size_t i = 0; i < t->n_chunks; i++) {
        il_vector_free(&t->chunks[i]);
    }
    *t = (il__texts){.n_chunks = 0};
}
