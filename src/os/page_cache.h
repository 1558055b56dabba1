/* SPDX-License-Identifier: Apache-2.0
 *
 * The page cache of a model's files: how much of them is in memory, told by mincore, and putting
 * it there or away. Pages that another process maps, or of a file system that lives in memory,
 * cannot be dropped; mincore then says so, which is why residency is read again after a drop.
 *
 * mincore tells the truth about files that the caller owns or may write; of others Linux answers
 * "resident" for every page, so that such a file never passes for cold.
 */
#ifndef IL_OS_PAGE_CACHE_H
#define IL_OS_PAGE_CACHE_H

#include "inferlaw/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct il_page_files {
    char **paths; /* owned */
    size_t n;
    uint64_t bytes; /* of all files */
} il_page_files;

/* The files that a runtime reads of a model. A file: it, and those beside it whose names begin
 * with its name (external data). A directory: its regular files, links followed; where it holds
 * safetensors, copies of the weights in other formats (.gguf, .onnx and their data) are left out.
 * Sorted by name. IL_E_NOT_FOUND when there is none. il_page_files_free also after a failure. */
int il_page_files_find(const char *path, il_page_files *out, il_error *err);
void il_page_files_free(il_page_files *files);

/* Bytes of them in memory, by whole pages, not more than files->bytes. */
int il_page_cache_resident(const il_page_files *files, uint64_t *bytes, il_error *err);
/* fsync and POSIX_FADV_DONTNEED on each. Success does not mean that they are gone. */
int il_page_cache_drop(const il_page_files *files, il_error *err);
/* Reads each once, from begin to end. */
int il_page_cache_fill(const il_page_files *files, il_error *err);

/* What stands behind the three calls above; tests put their own there and NULL back. */
typedef struct il_page_cache_ops {
    int (*resident)(const il_page_files *files, uint64_t *bytes, il_error *err);
    int (*drop)(const il_page_files *files, il_error *err);
    int (*fill)(const il_page_files *files, il_error *err);
} il_page_cache_ops;

void il_page_cache_use(const il_page_cache_ops *ops);

/* A share of resident bytes up to which files count as cold, and from which as warm. */
#define IL_PAGE_CACHE_COLD 0.01
#define IL_PAGE_CACHE_WARM 0.99

#endif
