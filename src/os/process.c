/* SPDX-License-Identifier: Apache-2.0 */
#include "os/process.h"

#include "os/clock.h"
#include "os/cpulist.h"
#include "os/tail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILL_WAIT_MS = 5000 };

struct il_process {
    pid_t pid;
    int64_t spawn_ns;
    int stdin_fd, stdout_fd, watch_fd;
    il_tail *tail;
    bool reaped, signalled_by_us;
    il_process_state state;
};

/* What the child reports through the close-on-exec pipe when it cannot become the program. */
typedef struct start_failure {
    enum { AT_SETUP, AT_CPUS, AT_EXEC } at;
    int os_errno;
} start_failure;

/* Everything the child needs between fork and exec, made before fork: nothing may allocate there.
 */
typedef struct child_plan {
    const il_process_options *options;
    char **env;
    pid_t parent;
    bool has_cpus;
    cpu_set_t cpus;
    char oom_text[16];
    int in_fd, out_fd, err_fd, report_fd;
} child_plan;

typedef struct pipe_pair {
    int read_fd, write_fd;
} pipe_pair;

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* Both ends close-on-exec and above 2, so that wiring 0, 1 and 2 in the child overwrites none. */
static int pipe_open(pipe_pair *pair)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return errno;
    }
    for (int i = 0; i < 2; i++) {
        if (fds[i] <= STDERR_FILENO) {
            int moved = fcntl(fds[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
            int os_errno = errno;
            (void)close(fds[i]);
            if (moved < 0) {
                (void)close(fds[1 - i]);
                return os_errno;
            }
            fds[i] = moved;
        }
    }
    pair->read_fd = fds[0];
    pair->write_fd = fds[1];
    return 0;
}

extern char **environ;

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* The environment with the additions in place of what they replace; texts are borrowed. */
static char **merge_env(const char *const *added)
{
    size_t n = 0, n_added = 0;
    while (environ && environ[n]) {
        n++;
    }
    while (added && added[n_added]) {
        n_added++;
    }
    char **env = calloc(n + n_added + 1, sizeof *env);
    if (!env) {
        return NULL;
    }
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        bool replaced = false;
        for (size_t j = 0; j < n_added && !replaced; j++) {
            replaced = same_name(added[j], environ[i]);
        }
        if (!replaced) {
            env[used++] = environ[i];
        }
    }
    for (size_t j = 0; j < n_added; j++) {
        env[used++] = (char *)(uintptr_t)added[j];
    }
    return env;
}

static int current_oom_score_adj(void)
{
    int value = 0;
    FILE *file = fopen("/proc/self/oom_score_adj", "re");
    if (file) {
        if (fscanf(file, "%d", &value) != 1) {
            value = 0;
        }
        (void)fclose(file);
    }
    return value;
}

/* --- in the child: only async-signal-safe calls ----------------------------------------------- */

static _Noreturn void child_fail(const child_plan *plan, int at)
{
    start_failure failure = {.at = at, .os_errno = errno};
    ssize_t n = write(plan->report_fd, &failure, sizeof failure);
    (void)n; /* nobody is left to tell */
    _exit(127);
}

static void child_signals(void)
{
    struct sigaction plain;
    memset(&plain, 0, sizeof plain);
    plain.sa_handler = SIG_DFL;
    for (int s = 1; s < NSIG; s++) {
        (void)sigaction(s, &plain, NULL); /* fails for KILL and STOP, which need nothing */
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child_run(const child_plan *plan)
{
    child_signals();
    if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        child_fail(plan, AT_SETUP);
    }
    if (getppid() != plan->parent) {
        _exit(127); /* the parent died before the line above */
    }
    int oom_fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (oom_fd >= 0) {
        ssize_t n = write(oom_fd, plan->oom_text, strlen(plan->oom_text));
        (void)n; /* a precaution: where it is not allowed the child runs all the same */
        (void)close(oom_fd);
    }
    if (plan->options->memory_limit) {
        errno = il_memory_limit_enter(plan->options->memory_limit);
        if (errno != 0) {
            child_fail(plan, AT_SETUP);
        }
    }
    if (plan->has_cpus && sched_setaffinity(0, sizeof plan->cpus, &plan->cpus) != 0) {
        child_fail(plan, AT_CPUS);
    }
    if (dup2(plan->in_fd, STDIN_FILENO) < 0 || dup2(plan->out_fd, STDOUT_FILENO) < 0 ||
        dup2(plan->err_fd, STDERR_FILENO) < 0) {
        child_fail(plan, AT_SETUP);
    }
#ifdef SYS_close_range
    /* Descriptors that some library of ours opened without close-on-exec stay ours; an old kernel
     * says ENOSYS and they leak, as they would anywhere. */
    (void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
#endif
    (void)execvpe(plan->options->argv[0], (char *const *)(uintptr_t)plan->options->argv, plan->env);
    child_fail(plan, AT_EXEC);
}

/* --- in the parent -----------------------------------------------------------------------------
 */

static int explain_start(const start_failure *failure, const il_process_options *options,
                         il_error *err)
{
    int rc;
    switch (failure->at) {
    case AT_CPUS:
        rc = il_fail(err, IL_E_INVALID, "none of the CPUs %s may be used: %s", options->cpus,
                     strerror(failure->os_errno));
        il_error_hint(err, "`taskset -p $$` shows the CPUs this shell may use");
        break;
    case AT_EXEC:
        rc = il_fail_errno(err, failure->os_errno, "cannot start the program");
        break;
    default:
        rc = il_fail_errno(err, failure->os_errno, "cannot set up the child process");
        break;
    }
    il_error_where(err, "%s", options->argv[0]);
    return rc;
}

/* End of file on the pipe means that exec took place. */
static int await_exec(pid_t pid, int report_fd, const il_process_options *options, il_error *err)
{
    start_failure failure;
    size_t got = 0;
    while (got < sizeof failure) {
        ssize_t n = read(report_fd, (char *)&failure + got, sizeof failure - got);
        if (n == 0) {
            return IL_OK; /* a child that died in between is seen by the first look */
        }
        if (n < 0 && errno != EINTR) {
            failure = (start_failure){.at = AT_SETUP, .os_errno = errno};
            (void)kill(pid, SIGKILL);
            break;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return explain_start(&failure, options, err);
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int plan_child(const il_process_options *options, child_plan *plan, il_error *err)
{
    plan->options = options;
    plan->parent = getpid();
    if (options->cpus) {
        int rc = il_cpulist_parse(options->cpus, &plan->cpus, err);
        if (rc != IL_OK) {
            return rc;
        }
        plan->has_cpus = true;
    }
    int adj = current_oom_score_adj();
    adj = options->oom_score_adj > adj ? options->oom_score_adj : adj;
    (void)snprintf(plan->oom_text, sizeof plan->oom_text, "%d", adj);
    plan->env = merge_env(options->env);
    return plan->env ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory for the environment");
}

int il_process_spawn(const il_process_options *options, il_process **out, il_error *err)
{
    assert(options->argv && options->argv[0]);
    assert(options->oom_score_adj >= 0 && options->oom_score_adj <= 1000);
    int rc;
    child_plan plan = {.in_fd = -1, .out_fd = -1, .err_fd = -1, .report_fd = -1};
    pipe_pair in = {-1, -1}, outp = {-1, -1}, errp = {-1, -1}, report = {-1, -1};
    il_process *process = calloc(1, sizeof *process);
    if (!process) {
        return il_fail(err, IL_E_NOMEM, "out of memory for a process");
    }
    process->stdin_fd = process->stdout_fd = process->watch_fd = -1;
    process->reaped = true; /* until there is a child */
    rc = plan_child(options, &plan, err);
    if (rc != IL_OK) {
        goto out;
    }
    int os_errno = pipe_open(&in);
    os_errno = os_errno ? os_errno : pipe_open(&outp);
    os_errno = os_errno ? os_errno : pipe_open(&errp);
    os_errno = os_errno ? os_errno : pipe_open(&report);
    if (os_errno) {
        rc = il_fail_errno(err, os_errno, "cannot create the pipes of a child process");
        goto out;
    }
    plan.in_fd = in.read_fd;
    plan.out_fd = outp.write_fd;
    plan.err_fd = errp.write_fd;
    plan.report_fd = report.write_fd;
    process->spawn_ns = il_clock_ns();
    pid_t pid = fork();
    if (pid == 0) {
        child_run(&plan);
    }
    if (pid < 0) {
        rc = il_fail_errno(err, errno, "cannot fork");
        goto out;
    }
    close_fd(&in.read_fd);
    close_fd(&outp.write_fd);
    close_fd(&errp.write_fd);
    close_fd(&report.write_fd);
    rc = await_exec(pid, report.read_fd, options, err);
    if (rc != IL_OK) {
        goto out;
    }
    process->pid = pid;
    process->reaped = false;
    process->stdin_fd = in.write_fd;
    process->stdout_fd = outp.read_fd;
    in.write_fd = outp.read_fd = -1;
#ifdef SYS_pidfd_open
    process->watch_fd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
    if (set_nonblocking(process->stdin_fd) != 0 || set_nonblocking(process->stdout_fd) != 0) {
        rc = il_fail_errno(err, errno, "cannot set up the pipes of a child process");
        goto out;
    }
    rc = il_tail_open(errp.read_fd, &process->tail, err);
    errp.read_fd = -1;
out:
    close_fd(&in.read_fd);
    close_fd(&in.write_fd);
    close_fd(&outp.read_fd);
    close_fd(&outp.write_fd);
    close_fd(&errp.read_fd);
    close_fd(&errp.write_fd);
    close_fd(&report.read_fd);
    close_fd(&report.write_fd);
    free(plan.env);
    if (rc != IL_OK) {
        il_process_free(process);
        return rc;
    }
    *out = process;
    return IL_OK;
}

void il_process_free(il_process *process)
{
    if (!process) {
        return;
    }
    (void)il_process_stop(process, 0, NULL);
    il_tail_free(process->tail);
    close_fd(&process->stdin_fd);
    close_fd(&process->stdout_fd);
    close_fd(&process->watch_fd);
    free(process);
}

pid_t il_process_pid(const il_process *process)
{
    return process->pid;
}

int64_t il_process_spawn_ns(const il_process *process)
{
    return process->spawn_ns;
}

int il_process_stdin(const il_process *process)
{
    return process->stdin_fd;
}

int il_process_stdout(const il_process *process)
{
    return process->stdout_fd;
}

int il_process_watch_fd(const il_process *process)
{
    return process->watch_fd;
}

void il_process_close_stdin(il_process *process)
{
    close_fd(&process->stdin_fd);
}

il_process_state il_process_look(il_process *process)
{
    if (process->reaped) {
        return process->state;
    }
    siginfo_t info;
    memset(&info, 0, sizeof info);
    int rc = waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    if (rc != 0 && errno == ECHILD) {
        /* Whoever started us ignores SIGCHLD: the kernel reaped it and its status is lost. */
        info.si_pid = process->pid;
        info.si_code = CLD_EXITED;
        info.si_status = -1;
    } else if (rc != 0 || info.si_pid == 0) {
        return (il_process_state){.phase = IL_PROCESS_RUNNING};
    }
    /* While the zombie keeps its number, the group's number cannot be anybody else's. */
    (void)kill(-process->pid, SIGKILL);
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    process->reaped = true;
    process->state = (il_process_state){
        .phase = info.si_code == CLD_EXITED ? IL_PROCESS_EXITED : IL_PROCESS_SIGNALED,
        .status = info.si_status,
        .by_us = process->signalled_by_us,
    };
    if (process->tail) {
        il_tail_finish(process->tail);
    }
    return process->state;
}

int il_process_wait(il_process *process, uint32_t timeout_ms, il_process_state *out)
{
    int64_t deadline_ns = il_clock_ns() + (int64_t)timeout_ms * 1000000;
    for (;;) {
        il_process_state state = il_process_look(process);
        int64_t left_ns = deadline_ns - il_clock_ns();
        if (state.phase != IL_PROCESS_RUNNING || left_ns <= 0) {
            if (out) {
                *out = state;
            }
            return state.phase == IL_PROCESS_RUNNING ? IL_E_TIMEOUT : IL_OK;
        }
        int left_ms = (int)(left_ns / 1000000 + 1);
        struct pollfd watch = {.fd = process->watch_fd, .events = POLLIN};
        /* Without a watch descriptor: look again every 5 ms. */
        (void)poll(&watch, 1, watch.fd >= 0 || left_ms < 5 ? left_ms : 5);
    }
}

int il_process_stop(il_process *process, uint32_t grace_ms, il_error *err)
{
    if (il_process_look(process).phase != IL_PROCESS_RUNNING || process->reaped) {
        return IL_OK;
    }
    process->signalled_by_us = true;
    if (grace_ms > 0) {
        (void)kill(-process->pid, SIGTERM);
        if (il_process_wait(process, grace_ms, NULL) == IL_OK) {
            return IL_OK;
        }
    }
    (void)kill(-process->pid, SIGKILL);
    if (il_process_wait(process, KILL_WAIT_MS, NULL) != IL_OK) {
        return il_fail(err, IL_E_TIMEOUT, "process %ld does not end %d s after SIGKILL",
                       (long)process->pid, KILL_WAIT_MS / 1000);
    }
    return IL_OK;
}

void il_process_describe(il_process_state state, char *out, size_t out_bytes)
{
    switch (state.phase) {
    case IL_PROCESS_RUNNING:
        (void)snprintf(out, out_bytes, "is running");
        break;
    case IL_PROCESS_EXITED:
        (void)snprintf(out, out_bytes, "left with status %d", state.status);
        break;
    case IL_PROCESS_SIGNALED:
        (void)snprintf(out, out_bytes, "was killed by signal %d (%s)", state.status,
                       strsignal(state.status));
        break;
    }
}

size_t il_process_stderr_text(il_process *process, char *out, size_t out_bytes)
{
    return il_tail_text(process->tail, out, out_bytes);
}

void il_process_stderr_line(il_process *process, char *out, size_t out_bytes)
{
    il_tail_last_line(process->tail, out, out_bytes);
}

uint64_t il_process_stderr_bytes(il_process *process)
{
    return il_tail_total_bytes(process->tail);
}
