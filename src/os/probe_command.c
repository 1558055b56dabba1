/* SPDX-License-Identifier: Apache-2.0 */
#include "os/probe_command.h"

#include "os/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* How often a program that still runs is looked at while it prints nothing. */
enum { LOOK_MS = 10 };

/* Starts argv with output on fd; 0 or an errno value. */
static int start(const char *const *argv, int fd, bool with_stderr, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, defaults;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return rc;
    }
    rc = posix_spawnattr_init(&attr);
    if (rc != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return rc;
    }
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGINT);
    (void)sigaddset(&defaults, SIGTERM);
    if ((rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
        (rc = posix_spawn_file_actions_adddup2(&actions, fd, 1)) == 0 &&
        (rc = with_stderr
                  ? posix_spawn_file_actions_adddup2(&actions, fd, 2)
                  : posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)) == 0 &&
        (rc = posix_spawnattr_setsigmask(&attr, &none)) == 0 &&
        (rc = posix_spawnattr_setsigdefault(&attr, &defaults)) == 0 &&
        (rc = posix_spawnattr_setpgroup(&attr, 0)) == 0 &&
        (rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                  POSIX_SPAWN_SETSIGDEF)) == 0) {
        /* posix_spawn does not write to argv; its type predates const. */
        rc = posix_spawnp(pid, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv, environ);
    }
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* Takes what can be read now. True while more may come. */
static bool drain(int fd, il_probe_output *out)
{
    char block[4096];
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 && errno == EAGAIN;
        }
        size_t room = sizeof out->text - 1 - out->len;
        size_t keep = (size_t)n < room ? (size_t)n : room;
        memcpy(out->text + out->len, block, keep);
        out->len += keep;
    }
}

static void pause_ms(long ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Reads until the child has ended or the deadline is over. The end of the output alone is not
 * enough, nor is a pipe that stays open: a grandchild may hold it. */
static bool follow(pid_t pid, int fd, int64_t until_ns, il_probe_output *out, int *status)
{
    bool open = true;
    for (;;) {
        if (open) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            (void)poll(&p, 1, LOOK_MS);
            open = drain(fd, out);
        }
        pid_t got = waitpid(pid, status, WNOHANG);
        if (got == pid) {
            (void)drain(fd, out);
            return true;
        }
        if ((got < 0 && errno != EINTR) || il_clock_ns() >= until_ns) {
            return false;
        }
        if (!open) {
            pause_ms(1);
        }
    }
}

int il_probe_command(const char *const *argv, uint32_t deadline_ms, bool with_stderr,
                     il_probe_output *out, il_error *err)
{
    int fds[2] = {-1, -1}, status = 0, rc = IL_OK;
    pid_t pid = -1;
    int64_t t0 = il_clock_ns();
    memset(out, 0, sizeof *out);
    out->exit_status = -1;
    if (pipe2(fds, O_CLOEXEC) != 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
        rc = il_fail_errno(err, errno, "cannot make a pipe");
        goto out;
    }
    int started = start(argv, fds[1], with_stderr, &pid);
    (void)close(fds[1]);
    fds[1] = -1;
    if (started != 0) {
        rc = il_fail_errno(err, started, "cannot run %s", argv[0]);
        goto out;
    }
    bool ended = follow(pid, fds[0], t0 + (int64_t)deadline_ms * 1000000, out, &status);
    (void)kill(-pid, SIGKILL);
    if (!ended) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        rc = il_fail(err, IL_E_TIMEOUT, "%s did not answer within %u ms", argv[0], deadline_ms);
    } else if (WIFSIGNALED(status)) {
        rc = il_fail(err, IL_E_CRASHED, "%s died of signal %d (%s)", argv[0], WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
    } else if (WIFEXITED(status)) {
        out->exit_status = WEXITSTATUS(status);
    }
out:
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    out->wall_ms = (double)(il_clock_ns() - t0) * 1e-6;
    return rc;
}

bool il_probe_find(const char *name, char *out, size_t cap)
{
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t n = strcspn(path, ":");
        int len = n > 0 && n < cap ? snprintf(out, cap, "%.*s/%s", (int)n, path, name) : -1;
        struct stat st;
        if (len > 0 && (size_t)len < cap && stat(out, &st) == 0 && S_ISREG(st.st_mode) &&
            access(out, X_OK) == 0) {
            return true;
        }
        path += n + (path[n] == ':');
    }
    out[0] = '\0';
    return false;
}

bool il_probe_port(uint16_t port, uint32_t deadline_ms)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool answers = connect(fd, (const struct sockaddr *)&at, sizeof at) == 0;
    if (!answers && errno == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int failed = 1;
        socklen_t n = sizeof failed;
        answers = poll(&p, 1, (int)deadline_ms) == 1 &&
                  getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n) == 0 && failed == 0;
    }
    (void)close(fd);
    return answers;
}
