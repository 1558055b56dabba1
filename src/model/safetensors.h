/* SPDX-License-Identifier: Apache-2.0
 *
 * One safetensors file: 8 bytes of little-endian header length, a JSON header, data. The header is
 * validated whole before anything is mapped: known dtypes, byte counts that follow from the dims,
 * offsets that cover the data without hole or overlap and end where the file ends.
 */
#ifndef IL_MODEL_SAFETENSORS_H
#define IL_MODEL_SAFETENSORS_H

#include "base/arena.h"
#include "inferlaw/dtype.h"
#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IL__ST_MOST_DIMS = 8, IL__ST_MOST_HEADER_BYTES = 100000000 };

typedef struct il__st_entry {
    const char *name;
    const char *dtype_text; /* as in the file */
    il_dtype dtype;         /* IL_DTYPE_COUNT: a format known to be skipped, as BOOL or I64 */
    uint32_t n_dims;
    uint64_t dims[IL__ST_MOST_DIMS];
    uint64_t begin, end; /* within the data */
} il__st_entry;

typedef struct il__st_file {
    const char *path;
    il__st_entry *entries; /* in data order */
    size_t n_entries;
    uint64_t data_at; /* offset of the data in the file */
    uint64_t file_bytes;
    const uint8_t *map; /* of the whole file, read-only */
} il__st_file;

/* Opens, validates and maps; strings and entries live in the arena. IL_E_DAMAGED names the file,
 * the tensor and what contradicts what. */
int il__st_open(const char *path, il_arena *arena, il__st_file *out, il_error *err);
void il__st_close(il__st_file *file);

#endif
