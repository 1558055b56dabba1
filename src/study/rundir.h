/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The run directory: made, checked and locked before anything is measured. One writer at a time.
 */
#ifndef IL_STUDY_RUNDIR_H
#define IL_STUDY_RUNDIR_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IL_PATH_BYTES = 4096 };

typedef struct il_rundir {
    char path[IL_PATH_BYTES];
    char journal[IL_PATH_BYTES + 16], manifest[IL_PATH_BYTES + 16];
    int fd; /* of the directory, holds the lock; −1 when closed */
} il_rundir;

/* "runs/NAME-20260131T120000Z" in the working directory, with -2, -3… when that is taken. */
int il_rundir_default(const char *run_name, char *out, size_t out_bytes, il_error *err);
/* Makes path unless it is there, locks it, and checks that it may be written and has need_bytes
 * free. A directory that is not empty is refused (IL_E_EXISTS) without resume; with resume it must
 * hold a journal (IL_E_NOT_FOUND). IL_E_BUSY when another process writes into it. */
int il_rundir_open(const char *path, bool resume, uint64_t need_bytes, il_rundir *out,
                   il_error *err);
void il_rundir_close(il_rundir *dir);

#endif
