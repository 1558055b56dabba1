/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How each server program is called: arguments, environment, the request that tells that it is
 * ready. Used by src/backend/serve.c alone.
 */
#ifndef IL_BACKEND_SERVE_COMMAND_H
#define IL_BACKEND_SERVE_COMMAND_H

#include "backend/serve.h"
#include "base/arena.h"

#include <stddef.h>

enum { IL__SERVE_WORDS = 64 };

typedef struct il__serve_command {
    il_arena *arena;                   /* texts live here */
    const char *argv[IL__SERVE_WORDS]; /* ended by NULL */
    const char *env[IL__SERVE_WORDS];  /* "NAME=value", ended by NULL */
    size_t n_argv, n_env;
    const char *health; /* path whose GET answers 200 once it is ready */
} il__serve_command;

/* dir: a private directory for what the server writes. command->arena is set by the caller.
 * IL_E_USAGE for a kind that is none or a model that is missing, IL_E_NOMEM. */
int il__serve_command_make(const il__serve_request *request, const char *program, uint16_t port,
                           const char *dir, il__serve_command *command, il_error *err);

#endif
