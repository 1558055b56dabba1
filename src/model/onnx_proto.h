/* SPDX-License-Identifier: Apache-2.0
 *
 * The few pieces of the Protocol Buffers wire format that an ONNX file is made of. A message is a
 * buffer of fields; a message inside another is one field of bytes. Failures stick in the buffer.
 */
#ifndef IL_MODEL_ONNX_PROTO_H
#define IL_MODEL_ONNX_PROTO_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

void il__pb_int(il_buf *to, unsigned field, int64_t value); /* a varint */
void il__pb_float(il_buf *to, unsigned field, float value);
void il__pb_bytes(il_buf *to, unsigned field, const void *bytes, size_t n_bytes);
void il__pb_text(il_buf *to, unsigned field, const char *text);
/* A finished message as a field; frees it and takes over its failure. */
void il__pb_message(il_buf *to, unsigned field, il_buf *message);
/* The head of a field whose n_bytes follow from elsewhere. */
void il__pb_head(il_buf *to, unsigned field, uint64_t n_bytes);

#endif
