/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a person sees while a study runs: on a terminal one line with a bar, the rest of the time
 * and what is running; elsewhere a plain line when a block begins. All of it on stderr.
 */
#ifndef IL_CLI_PROGRESS_H
#define IL_CLI_PROGRESS_H

#include "study/driver.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct il_progress {
    bool tty, quiet;
    int64_t shown_ns;
    uint32_t block; /* last one announced */
    char what[160];
} il_progress;

void il_progress_init(il_progress *p, bool quiet);
/* A driver's progress and say hooks; user is the il_progress. */
void il_progress_show(const il_driver_progress *now, void *user);
void il_progress_say(const char *text, void *user);
/* Removes the line. */
void il_progress_end(il_progress *p);
/* "42 s", "3 min 20 s", "2 h 5 min". */
void il_progress_time(double seconds, char *out, size_t out_bytes);

#endif
