/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Growable arrays, beyond 64 KiB in unlinked files, mapped: the kernel keeps what fits in memory
 * and pages out the rest, so that a table larger than memory is slow and not impossible.
 */
#ifndef IL_ANALYSIS_VECTOR_H
#define IL_ANALYSIS_VECTOR_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_vector {
    int fd; /* −1: nothing stored yet */
    size_t element_bytes;
    size_t count, cap; /* elements */
    void *data;
    bool mapped; /* else of the heap */
} il_vector;

void il_vector_init(il_vector *v, size_t element_bytes);
/* Makes room for count elements; those beyond the old count are zero. dir holds the file for the
 * moment between creation and unlinking. */
int il_vector_resize(il_vector *v, const char *dir, size_t count, il_error *err);
void il_vector_free(il_vector *v);

/* Room for a known number of elements while one table is made: from the heap when small, else a
 * vector, so that no table's memory grows with the rows. Content is indeterminate. */
typedef struct il_scratch {
    il_vector file;
    void *data;
} il_scratch;

int il_scratch_take(il_scratch *s, const char *dir, size_t count, size_t element_bytes,
                    il_error *err);
void il_scratch_free(il_scratch *s); /* also of a zeroed one, and of one whose take failed */

#endif
