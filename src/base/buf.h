/* SPDX-License-Identifier: Apache-2.0
 *
 * A growable byte buffer with a hard maximum given at birth. Errors stick: after the first failure
 * every append is a no-op and il_buf_status tells why, so that a chain of appends needs one check.
 * The bytes are always followed by a NUL that len does not count.
 */
#ifndef IL_BASE_BUF_H
#define IL_BASE_BUF_H

#include "inferlaw/error.h"

#include <stddef.h>

typedef struct il_buf {
    char *data; /* NULL until the first append */
    size_t len, cap, max;
    int status; /* IL_OK, IL_E_NOMEM or IL_E_RANGE (over max) */
} il_buf;

void il_buf_init(il_buf *buf, size_t max_bytes);
void il_buf_free(il_buf *buf);  /* back to the state after init */
void il_buf_clear(il_buf *buf); /* len 0, status kept */
int il_buf_append(il_buf *buf, const void *bytes, size_t n_bytes);
int il_buf_puts(il_buf *buf, const char *text);
int il_buf_printf(il_buf *buf, const char *fmt, ...) IL_PRINTF(2, 3);
/* Drops the first n_bytes (n_bytes ≤ len). */
void il_buf_consume(il_buf *buf, size_t n_bytes);
/* "" when nothing was appended. */
const char *il_buf_text(const il_buf *buf);

#endif
