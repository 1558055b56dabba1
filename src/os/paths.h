/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the program's own files are, from any working directory: found relative to the executable,
 * in a build tree and in an installed or unpacked one.
 */
#ifndef IL_OS_PATHS_H
#define IL_OS_PATHS_H

#include "inferlaw/error.h"

#include <stddef.h>

/* The directory of the running executable. */
int il_path_self_dir(char *out, size_t out_bytes, il_error *err);
/* A data file or directory by its name in the source tree ("suites/tr121.json", "configs").
 * Looked for in $INFERLAW_DATA alone when that is set; else in <exe>/.., <exe>/../..,
 * <exe>/../share/inferlaw. IL_E_NOT_FOUND lists the places tried. */
int il_path_find_data(const char *name, char *out, size_t out_bytes, il_error *err);
/* A worker program ("inferlaw-worker-native"): next to the executable, one directory up (tests),
 * or in ../libexec/inferlaw. */
int il_path_find_worker(const char *name, char *out, size_t out_bytes, il_error *err);

#endif
