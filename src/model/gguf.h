/* SPDX-License-Identifier: Apache-2.0
 *
 * A GGUF file as its parts: metadata and tensors, read in place from a mapping. Versions 2 and 3,
 * little endian. Source of the layout: the format's published specification (ggml, docs/gguf.md).
 *
 * Nothing of a file is believed: every count, length and offset is checked against the file's size
 * before it is used, so that a cut or altered file is IL_E_DAMAGED with its place.
 */
#ifndef IL_MODEL_GGUF_H
#define IL_MODEL_GGUF_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum il_gguf_type {
    IL_GGUF_U8,
    IL_GGUF_I8,
    IL_GGUF_U16,
    IL_GGUF_I16,
    IL_GGUF_U32,
    IL_GGUF_I32,
    IL_GGUF_F32,
    IL_GGUF_BOOL,
    IL_GGUF_STRING,
    IL_GGUF_ARRAY,
    IL_GGUF_U64,
    IL_GGUF_I64,
    IL_GGUF_F64,
    IL_GGUF_TYPE_COUNT
} il_gguf_type;

/* id, number in the file, values a block, bytes a block */
#define IL_GGML_MAP(X)                                                                             \
    X(F32, 0, 1, 4)                                                                                \
    X(F16, 1, 1, 2)                                                                                \
    X(Q4_0, 2, 32, 18)                                                                             \
    X(Q4_1, 3, 32, 20)                                                                             \
    X(Q5_0, 6, 32, 22)                                                                             \
    X(Q5_1, 7, 32, 24)                                                                             \
    X(Q8_0, 8, 32, 34)                                                                             \
    X(Q2_K, 10, 256, 84)                                                                           \
    X(Q3_K, 11, 256, 110)                                                                          \
    X(Q4_K, 12, 256, 144)                                                                          \
    X(Q5_K, 13, 256, 176)                                                                          \
    X(Q6_K, 14, 256, 210)                                                                          \
    X(BF16, 30, 1, 2)

typedef enum il_ggml_type {
#define IL_GGML_ENUM(id, number, block, bytes) IL_GGML_##id = (number),
    IL_GGML_MAP(IL_GGML_ENUM)
#undef IL_GGML_ENUM
} il_ggml_type;

typedef struct il_ggml_layout {
    il_ggml_type type;
    const char *name; /* "Q4_K" */
    uint32_t block_values, block_bytes;
} il_ggml_layout;

/* NULL for a type this program does not know. */
const il_ggml_layout *il_ggml_layout_of(uint32_t number);

/* A metadata value; bytes belong to the mapping and are not aligned. Of an array: `element` and
 * `count`; its data are the elements one after the other. */
typedef struct il_gguf_value {
    il_gguf_type type, element;
    uint64_t count;      /* of an array */
    const uint8_t *data; /* a string's starts with its eight bytes of length */
    size_t n_bytes;
} il_gguf_value;

typedef struct il_gguf_tensor {
    const char *name;
    uint32_t n_dims;
    uint64_t dims[4]; /* fastest first: a matrix of out rows and in columns is {in, out} */
    uint64_t n_values;
    const il_ggml_layout *layout;
    const uint8_t *data; /* aligned as the file says */
    uint64_t n_bytes;
} il_gguf_tensor;

typedef struct il_gguf il_gguf;

/* Maps the file and checks all of it but the tensors' values. DAMAGED: cut, inconsistent, or of an
 * unknown tensor type (named). UNSUPPORTED: another version, or big endian. */
int il_gguf_open(const char *path, il_gguf **out, il_error *err);
void il_gguf_close(il_gguf *file); /* NULL is fine */

/* NULL when there is none of that name. */
const il_gguf_value *il_gguf_find(const il_gguf *file, const char *key);
const il_gguf_tensor *il_gguf_tensor_find(const il_gguf *file, const char *name);
size_t il_gguf_tensor_count(const il_gguf *file);
const il_gguf_tensor *il_gguf_tensor_at(const il_gguf *file, size_t index);

/* Typed reads. Absent is IL_OK with *out untouched (preset it) unless required (DAMAGED); another
 * type is DAMAGED. An integer of any width and sign is an i64 when it fits. */
int il_gguf_get_i64(const il_gguf *file, const char *key, bool required, int64_t *out,
                    il_error *err);
int il_gguf_get_f64(const il_gguf *file, const char *key, bool required, double *out,
                    il_error *err);
int il_gguf_get_bool(const il_gguf *file, const char *key, bool *out, il_error *err);
/* Not NUL-terminated. */
int il_gguf_get_text(const il_gguf *file, const char *key, bool required, const char **text,
                     size_t *len, il_error *err);
/* Visits the strings of an array in order. Absent or of another type: DAMAGED. A non-zero return
 * of visit stops and is returned. */
int il_gguf_each_text(const il_gguf *file, const char *key,
                      int (*visit)(uint64_t index, const char *text, size_t len, void *user,
                                   il_error *err),
                      void *user, il_error *err);
/* An element of an integer array, as an i64. */
int64_t il_gguf_array_i64(const il_gguf_value *array, uint64_t index);

#endif
