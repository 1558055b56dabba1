/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx_proto.h"

#include <string.h>

enum { WIRE_VARINT = 0, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static void put_varint(il_buf *to, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    (void)il_buf_append(to, bytes, n);
}

static void put_tag(il_buf *to, unsigned field, unsigned wire)
{
    put_varint(to, (uint64_t)field << 3 | wire);
}

void il__pb_int(il_buf *to, unsigned field, int64_t value)
{
    put_tag(to, field, WIRE_VARINT);
    put_varint(to, (uint64_t)value);
}

void il__pb_float(il_buf *to, unsigned field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint8_t bytes[] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                       (uint8_t)(bits >> 24)};
    put_tag(to, field, WIRE_FIXED32);
    (void)il_buf_append(to, bytes, sizeof bytes);
}

void il__pb_head(il_buf *to, unsigned field, uint64_t n_bytes)
{
    put_tag(to, field, WIRE_BYTES);
    put_varint(to, n_bytes);
}

void il__pb_bytes(il_buf *to, unsigned field, const void *bytes, size_t n_bytes)
{
    il__pb_head(to, field, n_bytes);
    (void)il_buf_append(to, bytes, n_bytes);
}

void il__pb_text(il_buf *to, unsigned field, const char *text)
{
    il__pb_bytes(to, field, text, strlen(text));
}

void il__pb_message(il_buf *to, unsigned field, il_buf *message)
{
    if (message->status != IL_OK && to->status == IL_OK) {
        to->status = message->status;
    }
    il__pb_bytes(to, field, message->data ? message->data : "", message->len);
    il_buf_free(message);
}
