/* SPDX-License-Identifier: Apache-2.0
 *
 * Which inference runtimes and helpers are on this machine, and for those that are not, the command
 * that installs them. The runtimes directory (os/runtimes_dir.h) comes first, then PATH and its
 * python3. One row a runtime, always all rows in the same order.
 */
#ifndef IL_OS_RUNTIMES_H
#define IL_OS_RUNTIMES_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct il_runtime {
    const char *name;
    const char *use;     /* "driven": this version measures it; "helper" */
    const char *install; /* command, when it is not there; NULL: nothing to install here */
    bool found;
    char version[96]; /* "" when unknown */
    char where[256];  /* path or address; "" when unknown */
    char note[200];   /* "" or one thing to know: no server answers, import fails … */
} il_runtime;

enum { IL_RUNTIMES = 9 };

/* exe_dir: the directory of this executable, where the native worker lives. quick: Python packages
 * are looked up, not imported. Every program asked has a deadline; quick needs some 0.3 s, else up
 * to 15 s when imports are slow. Never fails: what does not answer says so in its note. */
void il_runtimes_find(const char *exe_dir, bool quick, il_runtime out[IL_RUNTIMES]);
/* The array; NULL when memory is out. */
json_t *il_runtimes_json(const il_runtime rows[IL_RUNTIMES]);

/* The directory of the running executable; IL_E_IO when the system does not tell. */
int il_exe_dir(char *out, size_t cap, il_error *err);

#endif
