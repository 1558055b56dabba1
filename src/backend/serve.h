/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Servers that inferlaw starts itself (`serve: auto`): a child process on a free loopback port, in
 * a directory of its own, its output kept for error messages, ended with all its children when it
 * is stopped or inferlaw dies. Which programs: those that `inferlaw runtimes install` puts into the
 * runtimes directory, else what is on PATH.
 */
#ifndef IL_BACKEND_SERVE_H
#define IL_BACKEND_SERVE_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct il__server il__server;

typedef struct il__serve_request {
    const char *kind;  /* "ollama", "llama.cpp", "vllm" */
    const char *model; /* the GGUF file (llama.cpp) or directory (vllm); NULL: ollama loads later */
    const char *served_name; /* name the server gives the model; NULL: by itself */
    const char *dtype;       /* vllm: "fp32", "bf16", "fp16" */
    const char *device;      /* "cpu" or "cuda" */
    uint32_t threads;        /* 0 = one per physical core allowed */
    const char *affinity;    /* CPUs, NULL = all */
    uint32_t n_ctx;          /* context of one sequence, 0 = the server's own */
    uint32_t parallel;       /* sequences at once, at least 1 */
    double ready_s;          /* longest wait until it answers */
} il__serve_request;

/* Is the program there? Cheap. IL_E_NOT_FOUND with the command that installs it. */
int il__serve_find(const char *kind, char *program, uint32_t program_bytes, il_error *err);
/* Starts it and waits until its health call answers. *t_spawn_ns, *t_ready_ns: stamps of the cold
 * start. IL_E_CRASHED with its last line, IL_E_TIMEOUT. */
int il__server_start(const il__serve_request *request, il__server **out, int64_t *t_spawn_ns,
                     int64_t *t_ready_ns, il_error *err);
const char *il__server_url(const il__server *server); /* "http://127.0.0.1:PORT" */
pid_t il__server_pid(const il__server *server);
bool il__server_alive(il__server *server);
/* The last line it wrote, "" for none. */
const char *il__server_last_line(il__server *server);
void il__server_stop(il__server *server); /* NULL is fine */

#endif
