/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Texts of calls in unlinked mapped files, each kept once as far as a small cache remembers: ten
 * million messages that all differ take room on disk and not on the heap.
 */
#ifndef IL_ANALYSIS_TEXTS_H
#define IL_ANALYSIS_TEXTS_H

#include "analysis/vector.h"

enum { IL__TEXT_CHUNKS = 36, IL__TEXT_SLOTS = 1 << 10 };

typedef struct il__texts {
    il_vector chunks[IL__TEXT_CHUNKS]; /* each twice the one before; none moves once it is there */
    size_t n_chunks;
    const char *recent[IL__TEXT_SLOTS]; /* by hash, the last one met */
} il__texts;

/* *out stays where it is until il__texts_free; "" for NULL. dir holds the files. */
int il__texts_keep(il__texts *texts, const char *dir, const char *text, const char **out,
                   il_error *err);
/* Also of a zeroed one. */
void il__texts_free(il__texts *texts);

#endif
