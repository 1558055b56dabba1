/* SPDX-License-Identifier: Apache-2.0
 *
 * A child process as the driver needs it: pipes on 0, 1 and 2, a process group of its own (a Ctrl-C
 * at the terminal does not reach it), killed by the kernel when the thread that spawned it ends,
 * first in line when memory runs out. "Could not be started" is an error of spawn; "died" is a
 * state; the two are never confused. Nothing here waits without a bound.
 *
 * Not thread-safe: one owner. Spawn from the thread that will outlive the child.
 */
#ifndef IL_OS_PROCESS_H
#define IL_OS_PROCESS_H

#include "inferlaw/error.h"
#include "os/memory_limit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct il_process il_process;

typedef struct il_process_options {
    const char *const *argv; /* ended by NULL; argv[0] without a slash is looked up in PATH */
    const char *const *env;  /* "NAME=value", ended by NULL: added or replaced; NULL for none */
    const char *cpus;        /* "0-3,8": the CPUs it may run on; NULL as the parent */
    int oom_score_adj;       /* raised to this (0 to 1000), never lowered */
    const il_memory_limit *memory_limit; /* it runs under, NULL for none */
} il_process_options;

typedef enum il_process_phase {
    IL_PROCESS_RUNNING,
    IL_PROCESS_EXITED,   /* by itself, with `status` */
    IL_PROCESS_SIGNALED, /* by signal number `status` */
} il_process_phase;

typedef struct il_process_state {
    il_process_phase phase;
    int status;
    bool by_us; /* a signal of il_process_stop came first */
} il_process_state;

/* Returns once the program runs. IL_E_NOT_FOUND, IL_E_ACCESS… when it cannot be executed (the error
 * names it), IL_E_INVALID for CPUs the machine does not have. */
int il_process_spawn(const il_process_options *options, il_process **out, il_error *err);
/* Stops it when it runs, reaps it, frees everything. NULL is fine. */
void il_process_free(il_process *process);

pid_t il_process_pid(const il_process *process);
int64_t il_process_spawn_ns(const il_process *process); /* CLOCK_MONOTONIC before fork */
int il_process_stdin(const il_process *process);        /* non-blocking; −1 once closed */
int il_process_stdout(const il_process *process);       /* non-blocking */
/* Readable as soon as the child has ended; −1 where the kernel has no such thing. */
int il_process_watch_fd(const il_process *process);
void il_process_close_stdin(il_process *process); /* the worker's sign to leave */

/* Looks without waiting. Once the child has ended, what is left of its group is killed, it is
 * reaped, and the state stays. */
il_process_state il_process_look(il_process *process);
/* Waits at most timeout_ms for the end; IL_E_TIMEOUT when it still runs. out may be NULL. */
int il_process_wait(il_process *process, uint32_t timeout_ms, il_process_state *out);
/* SIGTERM to the group, at most grace_ms of patience (0: none, and no SIGTERM), then SIGKILL.
 * IL_E_TIMEOUT when the kernel has not ended it 5 s later: it is left behind. */
int il_process_stop(il_process *process, uint32_t grace_ms, il_error *err);

/* "left with status 3", "was killed by signal 11 (Segmentation fault)", "is running". */
void il_process_describe(il_process_state state, char *out, size_t out_bytes);
/* Its standard error: the newest bytes, the last line (see os/tail.h), and how much there was. */
size_t il_process_stderr_text(il_process *process, char *out, size_t out_bytes);
void il_process_stderr_line(il_process *process, char *out, size_t out_bytes);
uint64_t il_process_stderr_bytes(il_process *process);

#endif
