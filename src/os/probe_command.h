/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks another program a short question: runs it, keeps the beginning of what it prints, never
 * waits past the deadline. For "--version" and the like, not for workers.
 */
#ifndef IL_OS_PROBE_COMMAND_H
#define IL_OS_PROBE_COMMAND_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_probe_output {
    char text[8192]; /* the beginning, NUL-terminated; the rest is read and dropped */
    size_t len;      /* of text */
    int exit_status; /* of the program, −1 when it did not exit by itself */
    double wall_ms;
} il_probe_output;

/* argv[0] is looked up in PATH unless it has a slash. Standard input is empty; standard error joins
 * the output when with_stderr, else is dropped. The program runs in a process group of its own,
 * which is killed at the end whatever happens, so that nothing it started stays.
 * IL_OK: it exited, with any status. IL_E_NOT_FOUND, IL_E_ACCESS: it cannot be started.
 * IL_E_TIMEOUT: killed at the deadline. IL_E_CRASHED: it died of a signal. */
int il_probe_command(const char *const *argv, uint32_t deadline_ms, bool with_stderr,
                     il_probe_output *out, il_error *err);

/* Where PATH has the executable `name`; false when nowhere. */
bool il_probe_find(const char *name, char *out, size_t cap);

/* Whether something accepts TCP connections at 127.0.0.1:port within deadline_ms. Nothing is sent.
 */
bool il_probe_port(uint16_t port, uint32_t deadline_ms);

#endif
