/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The driver: runs a plan block by block and writes the journal. It knows backends by their seam
 * and nothing of statistics; what it learned is in the run directory when it returns.
 *
 * A block: sentinel and ceilings, then the (backend, model) groups in random order, each in a fresh
 * process, its cells in random order, each with warm-ups, measured calls and one closure call; the
 * A/A arms, processes of their own, stand among the groups (in the first block after them).
 */
#ifndef IL_STUDY_DRIVER_H
#define IL_STUDY_DRIVER_H

#include "study/plan.h"
#include "study/rundir.h"
#include "study/sampler.h"

#include <signal.h>

typedef struct il_driver_progress {
    double done; /* 0 to 1, by expected time */
    double elapsed_s, left_s;
    uint32_t block, blocks; /* from 1 */
    const char *what;       /* "native_fp32 models/gpt2-25m", "A/A arm" … */
} il_driver_progress;

typedef struct il_driver_options {
    const char *dir; /* the run directory */
    bool resume;
    int argc; /* of the program, for the manifest */
    char *const *argv;
    const volatile sig_atomic_t *stop;      /* non-zero: finish the call, leave a valid run */
    volatile sig_atomic_t *worker_pid;      /* kept up to date for a signal handler; may be NULL */
    il_sampler *sampler;                    /* needed by a plan with a target; not owned */
    const struct il_backend_ops *reference; /* of the parity gate; NULL: kind native */
    const char *const *telemetry;           /* argv of the worker that reads meters, NULL: ours */
    void (*say)(const char *text, void *user); /* one line for people */
    void (*progress)(const il_driver_progress *progress, void *user);
    void *user;
} il_driver_options;

typedef struct il_driver_result {
    uint64_t ok, error, skipped, flagged, not_run; /* planned calls */
    bool interrupted, out_of_time;
    il_sampler_reason stop; /* of a plan with a target, MORE = not decided */
    uint32_t blocks;        /* planned, at the end */
    double elapsed_s;
} il_driver_result;

/* Runs what is missing. IL_OK also when calls failed or the run was interrupted: the result tells.
 * Failures are those of the run itself: directory, disk (IL_E_NO_SPACE: the journal stays valid),
 * a journal of another study (IL_E_USAGE) or a damaged one. The plan grows where it has a target.
 */
int il_driver_run(il_plan *plan, const il_driver_options *options, il_driver_result *out,
                  il_error *err);

#endif
