/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole files: read under a limit, write so that a reader sees the old content or the new, never a
 * half. Paths are joined here so that no caller counts slashes.
 */
#ifndef IL_BASE_FILE_H
#define IL_BASE_FILE_H

#include "base/buf.h"
#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends the file to buf; a file larger than what buf may still hold is IL_E_RANGE. Only regular
 * files: a FIFO or device is refused, not waited for. */
int il_file_read(const char *path, il_buf *buf, il_error *err);
/* Writes to "<path>.tmp-<pid>", fsyncs, renames over path, fsyncs the directory. On failure the
 * temporary is removed and path is untouched. */
int il_file_write_atomic(const char *path, const void *bytes, size_t n_bytes, il_error *err);
/* Syncs the directory that path lies in: a rename is durable only then. */
int il_path_sync_parent(const char *path, il_error *err);
/* Creates dir and its missing parents (mode 0777 & ~umask). An existing directory is fine. */
int il_dir_make(const char *path, il_error *err);
/* Makes a fresh directory PURPOSE-XXXXXX, of mode 0700, below $TMPDIR, else /tmp, and puts its path
 * into out. out is "" after a failure: RANGE, ACCESS, NO_SPACE, IO. The caller removes it. */
int il_dir_make_scratch(const char *purpose, char *out, size_t out_bytes, il_error *err);
bool il_path_is_file(const char *path); /* a regular file, links followed */
bool il_path_is_dir(const char *path);
/* dir + "/" + name into out; IL_E_RANGE when it does not fit. An absolute name stands alone. */
int il_path_join(char *out, size_t out_bytes, const char *dir, const char *name);
/* The part after the last slash. */
const char *il_path_base(const char *path);
/* write(2) until done, retrying on EINTR and short counts. */
int il_fd_write_all(int fd, const void *bytes, size_t n_bytes, il_error *err);

#endif
