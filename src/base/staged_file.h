/* SPDX-License-Identifier: Apache-2.0
 *
 * A large file written as a stream under another name, then synced and renamed: it appears whole
 * or not at all. Memory: one buffer.
 */
#ifndef IL_BASE_STAGED_FILE_H
#define IL_BASE_STAGED_FILE_H

#include "inferlaw/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct il_staged_file il_staged_file;

/* Opens "<path>.tmp-<pid>" and asks for room for n_bytes (IL_E_NO_SPACE; a file system that cannot
 * reserve is no failure). IL_E_ACCESS, IL_E_NOT_FOUND, IL_E_IO: the file cannot be created. */
int il_staged_file_open(const char *path, uint64_t n_bytes, il_staged_file **out, il_error *err);
/* Drops what was not committed. NULL is fine. */
void il_staged_file_close(il_staged_file *f);
/* Appends; bytes NULL appends zeros. */
int il_staged_file_append(il_staged_file *f, const void *bytes, uint64_t n_bytes, il_error *err);
/* Leaves room for n_bytes that il_staged_file_write_at fills in any order before the commit. */
int il_staged_file_skip(il_staged_file *f, uint64_t n_bytes, il_error *err);
/* Writes n_bytes at an offset within room that was skipped. */
int il_staged_file_write_at(il_staged_file *f, uint64_t offset, const void *bytes, size_t n_bytes,
                            il_error *err);
/* Bytes appended or skipped so far. */
uint64_t il_staged_file_bytes(const il_staged_file *f);
/* Writes what is buffered and syncs it; the file still has its other name. */
int il_staged_file_sync(il_staged_file *f, il_error *err);
/* Syncs, renames into place and syncs the directory. */
int il_staged_file_commit(il_staged_file *f, il_error *err);

#endif
