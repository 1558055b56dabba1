/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What run, sweep and bench share: from a study to a finished run directory, with the talk around
 * it.
 */
#ifndef IL_CLI_STUDY_RUN_H
#define IL_CLI_STUDY_RUN_H

#include "cli/verb.h"
#include "base/buf.h"
#include "study/driver.h"

/* Process-wide, because a signal handler reads it: counts SIGINT and SIGTERM. The first lets the
 * call in progress finish, the second kills the worker and leaves. */
void il_stop_install(void);
extern volatile sig_atomic_t il_stop_requested;
extern volatile sig_atomic_t il_stop_worker_pid;

typedef struct il_study_run {
    const char *out_dir; /* NULL: runs/NAME-UTC */
    bool resume, quiet;
    bool brief;              /* bench: no talk of spoilers' mending and of how to go on */
    const char *resume_dir;  /* what --resume takes to go on; NULL: dir */
    char dir[IL_PATH_BYTES]; /* out: the run directory */
    il_driver_result result; /* out */
} il_study_run;

/* Makes missing models of suites, plans, warns, runs. The study is not freed. */
int il_study_run_all(il_study *study, il_study_run *run, il_error *err);
/* Says how it ended and returns the exit code of the design: 0, 2 (calls failed or the run was
 * interrupted) or 3 (no ok row). */
int il_study_run_verdict(const il_study_run *run);
/* The argv of the program for the manifest, from /proc/self/cmdline. */
int il_study_argv(il_arena *arena, int *argc, char ***argv);

/* Cells that are skipped for one reason are told together: when cell i is the first of such a
 * group, appends "N cells (backend: models): what; hint" and returns true. */
bool il_plan_skip_group(const il_plan *plan, uint32_t i, il_buf *to);

/* "10 blocks", or "8 to 40 blocks" with a target. */
void il_plan_blocks_text(const il_plan *plan, char *out, size_t out_bytes);

/* Prints the plan: cells, skipped ones with reasons, memory, time. */
int il_plan_show(const il_plan *plan, bool json);

#endif
