/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/study_run.h"

#include "base/file.h"
#include "base/log.h"
#include "cli/claims_file.h"
#include "cli/progress.h"
#include "cli/study_sampler.h"
#include "model/make.h"
#include "os/clock.h"
#include "os/machine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile sig_atomic_t il_stop_requested;
volatile sig_atomic_t il_stop_worker_pid;

static void on_signal(int number)
{
    (void)number;
    if (il_stop_requested) {
        pid_t pid = (pid_t)il_stop_worker_pid;
        if (pid > 0) {
            (void)kill(pid, SIGKILL);
        }
        static const char text[] = "\nleft at once; the journal is intact: --resume goes on\n";
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        _exit(IL_EXIT_CALLS_FAILED);
    }
    il_stop_requested = 1;
    static const char text[] = "\nfinishing this call (once more to leave at once)\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
}

void il_stop_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    /* A full quota or a closed pipe is an error to report, not a reason to die. */
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
}

int il_study_argv(il_arena *arena, int *argc, char ***argv)
{
    il_buf text;
    il_buf_init(&text, 4 << 20);
    *argc = 0;
    *argv = NULL;
    int rc = il_file_read("/proc/self/cmdline", &text, NULL);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        n += text.data[i] == '\0';
    }
    char *copy = rc == IL_OK ? il_arena_alloc(arena, text.len + 1) : NULL;
    *argv = copy ? il_arena_array(arena, n + 1, sizeof **argv) : NULL;
    if (*argv) {
        memcpy(copy, text.data, text.len);
        for (char *p = copy; (size_t)*argc < n; p += strlen(p) + 1) {
            (*argv)[(*argc)++] = p;
        }
    }
    il_buf_free(&text);
    return *argv ? IL_OK : IL_E_IO;
}

/* --- before ----------------------------------------------------------------------------------- */

static void say_spoilers(void)
{
    il_machine machine;
    il_spoiler list[16];
    if (il_machine_probe(&machine, NULL) != IL_OK) {
        return;
    }
    size_t n = il_machine_spoilers(&machine, 250, list, sizeof list / sizeof list[0]);
    for (size_t i = 0; i < n; i++) {
        if (list[i].serious) {
            il_log(IL_LOG_WARN, "this will spoil the numbers: %s%s%s", list[i].what,
                   list[i].fix[0] ? "; " : "", list[i].fix);
        }
    }
}

typedef struct making {
    const char *name;
} making;

static void show_making(const char *name, uint64_t done, uint64_t total, void *user)
{
    making *m = user;
    if (m->name != name) {
        m->name = name;
        il_log(IL_LOG_INFO, "making %s (%.3g MB)", name, (double)total / 1e6);
    }
    (void)done;
}

static int make_models(il_study *study, il_error *err)
{
    making m = {0};
    il_make_options options = {.progress = show_making, .user = &m, .stop = &il_stop_requested};
    return il_study_make_models(study, &options, err);
}

static int make_files(il_plan *plan, il_error *err)
{
    making m = {0};
    il_make_options options = {.progress = show_making, .user = &m, .stop = &il_stop_requested};
    return il_plan_make_files(plan, &options, err);
}

static void say_plan(const il_plan *plan)
{
    uint32_t skipped = 0;
    for (uint32_t i = 0; i < plan->n_cells; i++) {
        skipped += plan->cells[i].skip.code != IL_OK;
    }
    char time[32], more[64] = "";
    il_progress_time(il_plan_estimate_s(plan), time, sizeof time);
    if (skipped) {
        (void)snprintf(more, sizeof more, ", %u of them skipped", skipped);
    }
    char blocks[48];
    il_plan_blocks_text(plan, blocks, sizeof blocks);
    il_log(IL_LOG_INFO, "%s: %u cells%s, %s, %llu calls%s, guessed at %s", plan->study->run_name,
           plan->n_cells, more, blocks, (unsigned long long)il_plan_planned_calls(plan),
           plan->sampling.adaptive ? " at least" : "", time);
    il_buf text;
    il_buf_init(&text, 16 << 20);
    for (uint32_t i = 0; i < plan->n_cells; i++) {
        il_buf_clear(&text);
        if (il_plan_skip_group(plan, i, &text)) {
            il_log(IL_LOG_WARN, "skipped: %s", il_buf_text(&text));
        }
    }
    il_buf_free(&text);
}

/* --- the run ---------------------------------------------------------------------------------- */

static int drive(il_plan *plan, il_study_run *run, il_error *err)
{
    il_arena arena = {0};
    il_progress progress;
    il_sampler *sampler;
    char **argv = NULL;
    int argc = 0;
    (void)il_study_argv(&arena, &argc, &argv);
    int rc = il_study_sampler(plan, &arena, &sampler, err);
    if (rc != IL_OK) {
        il_arena_free(&arena);
        return rc;
    }
    il_progress_init(&progress, run->quiet);
    il_driver_options options = {.dir = run->dir,
                                 .resume = run->resume,
                                 .argc = argc,
                                 .argv = argv,
                                 .stop = &il_stop_requested,
                                 .worker_pid = &il_stop_worker_pid,
                                 .sampler = sampler,
                                 .say = il_progress_say,
                                 .progress = il_progress_show,
                                 .user = &progress};
    rc = il_driver_run(plan, &options, &run->result, err);
    il_progress_end(&progress);
    if (sampler) {
        sampler->ops->close(sampler);
    }
    il_arena_free(&arena);
    return rc;
}

int il_study_run_all(il_study *study, il_study_run *run, il_error *err)
{
    il_plan plan = {0};
    char claims[4096];
    int rc;
    for (size_t i = 0; i < study->n_notes; i++) {
        il_log(IL_LOG_WARN, "%s", study->notes[i]);
    }
    if (run->out_dir) {
        rc = strlen(run->out_dir) < sizeof run->dir ? IL_OK
                                                    : il_fail(err, IL_E_RANGE, "path too long");
        (void)snprintf(run->dir, sizeof run->dir, "%s", run->out_dir);
    } else {
        rc = il_rundir_default(study->run_name, run->dir, sizeof run->dir, err);
    }
    if (rc == IL_OK && run->resume && !run->out_dir) {
        rc = il_fail(err, IL_E_USAGE, "--resume needs --out-dir: which run should go on?");
    }
    rc = rc == IL_OK ? il_claims_of_study(study, claims, sizeof claims, err) : rc;
    rc = rc == IL_OK ? make_models(study, err) : rc;
    rc = rc == IL_OK ? il_plan_make(study, il_backend_find, &plan, err) : rc;
    rc = rc == IL_OK ? make_files(&plan, err) : rc;
    if (rc == IL_OK) {
        say_plan(&plan);
        if (plan.sentinel) {
            say_spoilers();
        }
        rc = drive(&plan, run, err);
        rc = rc == IL_OK && claims[0] ? il_claims_keep(claims, run->dir, err) : rc;
    }
    if (plan.study) {
        il_plan_free(&plan);
    }
    return rc;
}

static void put_quoted(il_buf *to, const char *word)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_@%+=:,./-";
    if (word[0] && strspn(word, plain) == strlen(word)) {
        (void)il_buf_puts(to, word);
        return;
    }
    (void)il_buf_puts(to, "'");
    for (const char *p = word; *p; p++) {
        (void)il_buf_printf(to, *p == '\'' ? "'\\''" : "%c", *p);
    }
    (void)il_buf_puts(to, "'");
}

/* The command of this run again, to be pasted: its words but for the run directory, then how to go
 * on. */
static void put_resume(il_buf *to, const char *dir)
{
    il_arena arena = {0};
    char **argv = NULL;
    int argc = 0;
    (void)il_study_argv(&arena, &argc, &argv);
    for (int i = 0; i < argc; i++) {
        bool alone = strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--out-dir") == 0;
        if (alone || strcmp(argv[i], "--resume") == 0 || strncmp(argv[i], "--out-dir=", 10) == 0) {
            i += alone;
            continue;
        }
        put_quoted(to, argv[i]);
        (void)il_buf_puts(to, " ");
    }
    (void)il_buf_puts(to, "--resume --out-dir ");
    put_quoted(to, dir);
    il_arena_free(&arena);
}

static void say_how_to_go_on(const il_study_run *run)
{
    il_buf command;
    il_buf_init(&command, 1 << 20);
    put_resume(&command, run->resume_dir ? run->resume_dir : run->dir);
    il_log(IL_LOG_WARN, "%s; to go on:\n  %s",
           run->result.interrupted ? "interrupted"
                                   : "time_budget_s is used up, the rest are "
                                     "not_run rows",
           il_buf_text(&command));
    il_buf_free(&command);
}

int il_study_run_verdict(const il_study_run *run)
{
    const il_driver_result *r = &run->result;
    char time[32];
    il_progress_time(r->elapsed_s, time, sizeof time);
    if (run->brief && r->ok > 0 && r->error == 0 && !r->interrupted) {
        return IL_EXIT_DONE;
    }
    il_log(IL_LOG_INFO,
           "%llu calls ok, %llu failed, %llu skipped, %llu flagged, %llu not run, in %s: %s",
           (unsigned long long)r->ok, (unsigned long long)r->error, (unsigned long long)r->skipped,
           (unsigned long long)r->flagged, (unsigned long long)r->not_run, time, run->dir);
    if (r->interrupted || r->out_of_time) {
        say_how_to_go_on(run);
    }
    if (r->ok == 0 && !r->interrupted) {
        return IL_EXIT_NO_OK_ROW;
    }
    return r->error > 0 || r->interrupted ? IL_EXIT_CALLS_FAILED : IL_EXIT_DONE;
}
