/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void il_buf_init(il_buf *buf, size_t max_bytes)
{
    *buf = (il_buf){.max = max_bytes};
}

void il_buf_free(il_buf *buf)
{
    free(buf->data);
    il_buf_init(buf, buf->max);
}

void il_buf_clear(il_buf *buf)
{
    buf->len = 0;
    if (buf->data) {
        buf->data[0] = '\0';
    }
}

static int buf_reserve(il_buf *buf, size_t extra)
{
    if (buf->status != IL_OK) {
        return buf->status;
    }
    if (extra > buf->max - buf->len) {
        return buf->status = IL_E_RANGE;
    }
    size_t need = buf->len + extra + 1;
    if (need <= buf->cap) {
        return IL_OK;
    }
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap < need) {
        cap = cap > buf->max / 2 ? buf->max + 1 : cap * 2;
    }
    char *data = realloc(buf->data, cap);
    if (!data) {
        return buf->status = IL_E_NOMEM;
    }
    buf->data = data;
    buf->cap = cap;
    return IL_OK;
}

int il_buf_append(il_buf *buf, const void *bytes, size_t n_bytes)
{
    int rc = buf_reserve(buf, n_bytes);
    if (rc == IL_OK) {
        if (n_bytes > 0) {
            memcpy(buf->data + buf->len, bytes, n_bytes);
        }
        buf->len += n_bytes;
        buf->data[buf->len] = '\0';
    }
    return rc;
}

int il_buf_puts(il_buf *buf, const char *text)
{
    return il_buf_append(buf, text, strlen(text));
}

int il_buf_printf(il_buf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    int rc = n < 0 ? (buf->status = IL_E_INVALID) : buf_reserve(buf, (size_t)n);
    if (rc == IL_OK) {
        (void)vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
    return rc;
}

void il_buf_consume(il_buf *buf, size_t n_bytes)
{
    assert(n_bytes <= buf->len);
    if (n_bytes > 0) {
        memmove(buf->data, buf->data + n_bytes, buf->len - n_bytes + 1);
        buf->len -= n_bytes;
    }
}

const char *il_buf_text(const il_buf *buf)
{
    return buf->data ? buf->data : "";
}
