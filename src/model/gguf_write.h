/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a GGUF file, version 3, little endian: metadata and tensor descriptions first, then the
 * tensors' bytes as a stream, in the order they were described. Memory: the header and one buffer.
 * The file appears under its name whole and synced, or not at all.
 */
#ifndef IL_MODEL_GGUF_WRITE_H
#define IL_MODEL_GGUF_WRITE_H

#include "inferlaw/error.h"
#include "model/gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_gguf_writer il_gguf_writer;

/* Touches no file yet; from il_gguf_writer_begin on "<path>.tmp-<pid>" is written until
 * il_gguf_writer_end. */
int il_gguf_writer_open(const char *path, il_gguf_writer **out, il_error *err);
/* Drops what was not ended. NULL is fine. */
void il_gguf_writer_close(il_gguf_writer *w);

/* Metadata, each key once. A failure (memory) sticks and comes back from il_gguf_writer_begin. */
void il_gguf_put_u32(il_gguf_writer *w, const char *key, uint32_t value);
void il_gguf_put_u64(il_gguf_writer *w, const char *key, uint64_t value);
void il_gguf_put_f32(il_gguf_writer *w, const char *key, float value);
void il_gguf_put_bool(il_gguf_writer *w, const char *key, bool value);
void il_gguf_put_text(il_gguf_writer *w, const char *key, const char *value);
/* An array of n strings, or of n 32-bit integers: the head here, then the elements one by one. */
void il_gguf_put_texts(il_gguf_writer *w, const char *key, uint64_t n);
void il_gguf_put_next_text(il_gguf_writer *w, const char *value, size_t len);
void il_gguf_put_i32s(il_gguf_writer *w, const char *key, uint64_t n);
void il_gguf_put_next_i32(il_gguf_writer *w, int32_t value);

/* Describes the next tensor: dims fastest first, the first a multiple of the type's block. */
void il_gguf_add_tensor(il_gguf_writer *w, const char *name, uint32_t n_dims, const uint64_t *dims,
                        il_ggml_type type);
/* Bytes the file will have. */
uint64_t il_gguf_writer_bytes(const il_gguf_writer *w);
/* Opens the file, asks for room and writes the header; after it come only the tensors' bytes. */
int il_gguf_writer_begin(il_gguf_writer *w, il_error *err);
/* The next bytes of the tensors; never beyond the end of the one being written. Gaps between
 * tensors are filled here. */
int il_gguf_writer_append(il_gguf_writer *w, const void *bytes, size_t n_bytes, il_error *err);
/* All tensors are there (else IL_E_INTERNAL): syncs and renames into place. */
int il_gguf_writer_end(il_gguf_writer *w, il_error *err);

#endif
