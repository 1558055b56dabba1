/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/serve.h"

#include "backend/http.h"
#include "backend/serve_command.h"
#include "base/file.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/process.h"
#include "os/process_tree.h"
#include "os/runtimes_dir.h"
#include "os/tail.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    GRACE_MS = 10000, /* a server that holds a card needs seconds to let it go */
    PROBE_MS = 10,    /* between two health calls */
    ATTEMPTS = 3,     /* another program may take the port between our look and its bind */
    MOST_DESCENDANTS = 256,
    OOM_FIRST = 500,
};

static const double ANSWER_S = 2; /* longest wait for the answer to a health call */

struct il__server {
    il_process *process;
    char url[48];
    char dir[PATH_MAX]; /* private; removed in the end */
    char line[300];
};

/* The shell becomes the server. What it leaves behind reads a pipe from us: when we end, in
 * whatever way, the pipe closes and the whole group is killed, not the server alone. The server's
 * two outputs become one. */
static const char guard[] = "exec 3<&0\n"
                            "{ read -r _ <&3; kill -KILL 0; } &\n"
                            "exec \"$@\" </dev/null 3<&- >&2\n";

static int free_port(uint16_t *port, il_error *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0) {
        int rc = il_fail_errno(err, errno, "no free port on the loopback interface");
        if (fd >= 0) {
            (void)close(fd);
        }
        return rc;
    }
    (void)close(fd);
    *port = ntohs(at.sin_port);
    return IL_OK;
}

/* --- private directories ---------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int what, struct FTW *walk)
{
    (void)st, (void)what, (void)walk;
    (void)remove(path);
    return 0;
}

static void remove_tree(const char *dir)
{
    if (dir[0]) {
        (void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
}

/* "serve-PID-XXXXXX" of a process that is no more: it was killed and could not clean up. */
static void remove_stale(const char *parent)
{
    DIR *dir = opendir(parent);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        long pid = 0;
        char path[PATH_MAX];
        if (sscanf(e->d_name, "serve-%ld-", &pid) == 1 && pid > 0 && kill((pid_t)pid, 0) != 0 &&
            errno == ESRCH && il_path_join(path, sizeof path, parent, e->d_name) == IL_OK) {
            remove_tree(path);
        }
    }
    if (dir) {
        (void)closedir(dir);
    }
}

/* In the runtimes directory: a temporary one may lie in memory, and a server's copy of a model
 * would then count as used memory. */
static int make_dir(char *out, size_t out_bytes, il_error *err)
{
    char runtimes[PATH_MAX - 64], parent[PATH_MAX - 48];
    if (il_runtimes_dir(runtimes, sizeof runtimes, NULL) == IL_OK) {
        (void)snprintf(parent, sizeof parent, "%s/.serve", runtimes);
        int n = snprintf(out, out_bytes, "%s/serve-%ld-XXXXXX", parent, (long)getpid());
        if (il_dir_make(parent, NULL) == IL_OK && n > 0 && (size_t)n < out_bytes) {
            remove_stale(parent);
            if (mkdtemp(out)) {
                return IL_OK;
            }
        }
    }
    return il_dir_make_scratch("inferlaw-serve", out, out_bytes, err);
}

/* --- ready? ----------------------------------------------------------------------------------- */

/* The status of a GET, 0 when there is no answer. */
static int health_status(il__http *http, const char *path)
{
    int status = 0;
    json_t *reply = NULL;
    if (il__http_json(http, path, NULL, ANSWER_S, &reply, &status, NULL) != IL_OK) {
        return 0;
    }
    json_decref(reply);
    return status;
}

/* The first line that complains: nearest to the cause, where the last one may be the end of a
 * traceback. "" when none does or it is the last one. */
static void first_complaint(il__server *server, const char *last, char *out, size_t out_bytes)
{
    static char text[IL_TAIL_BYTES]; /* what it wrote, once, on the way to an error */
    out[0] = '\0';
    (void)il_process_stderr_text(server->process, text, sizeof text);
    char *rest = text;
    for (char *line; !out[0] && (line = strsep(&rest, "\n")) != NULL;) {
        if (strcasestr(line, "error") || strcasestr(line, "failed")) {
            (void)snprintf(out, out_bytes, "%s", line);
        }
    }
    if (strncmp(out, last, strlen(out)) == 0) {
        out[0] = '\0';
    }
}

static int explain_death(il__server *server, const char *program, il_process_state state,
                         il_error *err)
{
    char how[96], first[140];
    il_process_describe(state, how, sizeof how);
    const char *line = il__server_last_line(server);
    first_complaint(server, line, first, sizeof first);
    int rc =
        il_fail(err, IL_E_CRASHED, "the server %s before it was ready%s%.150s%s%s", how,
                line[0] ? ": " : " and said nothing", line, first[0] ? "; before: " : "", first);
    il_error_where(err, "%s", program);
    return rc;
}

static int wait_ready(il__server *server, const char *program, il__http *http, const char *health,
                      double ready_s, int64_t *t_ready_ns, il_error *err)
{
    int64_t deadline_ns = il_process_spawn_ns(server->process) + (int64_t)(ready_s * 1e9);
    int status = 0;
    do {
        il_process_state state;
        if (il_process_wait(server->process, PROBE_MS, &state) == IL_OK) {
            return explain_death(server, program, state, err);
        }
        status = health_status(http, health);
        *t_ready_ns = il_clock_ns();
        if (status == 200 && il__server_alive(server)) {
            return IL_OK;
        }
    } while (*t_ready_ns < deadline_ns);
    const char *line = il__server_last_line(server);
    char answer[48] = "nothing answers";
    if (status) {
        (void)snprintf(answer, sizeof answer, "it answers %d", status);
    }
    int rc = il_fail(err, IL_E_TIMEOUT, "the server is not ready after %.0f s, %s%s%.200s", ready_s,
                     answer, line[0] ? "; its last line: " : "", line);
    il_error_where(err, "%s", program);
    il_error_hint(err, "a larger deadline_s in its backend entry gives it longer");
    return rc;
}

/* --- start and stop --------------------------------------------------------------------------- */

static int spawn(const il__serve_request *request, const char *program, uint16_t port,
                 il__server *server, const char **health, il_arena *arena, il_error *err)
{
    il__serve_command command = {.arena = arena};
    const char *argv[IL__SERVE_WORDS + 4] = {"/bin/sh", "-c", guard, "inferlaw-serve"};
    int rc = il__serve_command_make(request, program, port, server->dir, &command, err);
    if (rc != IL_OK) {
        return rc;
    }
    memcpy(argv + 4, command.argv, command.n_argv * sizeof *argv);
    *health = command.health;
    il_process_options options = {
        .argv = argv, .env = command.env, .cpus = request->affinity, .oom_score_adj = OOM_FIRST};
    return il_process_spawn(&options, &server->process, err);
}

static int start_once(const il__serve_request *request, const char *program, il__server **out,
                      int64_t *t_spawn_ns, int64_t *t_ready_ns, bool *port_taken, il_error *err)
{
    uint16_t port = 0;
    const char *health = "/";
    il_arena arena = {0};
    il__http *http = NULL;
    il__server *server = calloc(1, sizeof *server);
    if (!server) {
        return il_fail(err, IL_E_NOMEM, "out of memory for a server");
    }
    int rc = make_dir(server->dir, sizeof server->dir, err);
    if (rc != IL_OK) {
        server->dir[0] = '\0';
        goto out;
    }
    rc = free_port(&port, err);
    if (rc == IL_OK) {
        rc = spawn(request, program, port, server, &health, &arena, err);
    }
    if (rc != IL_OK) {
        goto out;
    }
    (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", port);
    *t_spawn_ns = il_process_spawn_ns(server->process);
    rc = il__http_open(server->url, NULL, &http, err);
    if (rc == IL_OK) {
        rc = wait_ready(server, program, http, health, request->ready_s, t_ready_ns, err);
    }
    if (rc == IL_E_CRASHED) {
        static char text[IL_TAIL_BYTES];
        (void)il_process_stderr_text(server->process, text, sizeof text);
        *port_taken =
            strcasestr(text, "address already in use") || strcasestr(text, "couldn't bind");
    }
out:
    il__http_close(http);
    il_arena_free(&arena);
    if (rc != IL_OK) {
        il__server_stop(server);
        return rc;
    }
    *out = server;
    return IL_OK;
}

int il__server_start(const il__serve_request *request, il__server **out, int64_t *t_spawn_ns,
                     int64_t *t_ready_ns, il_error *err)
{
    char program[PATH_MAX];
    int rc = il__serve_find(request->kind, program, sizeof program, err);
    bool port_taken = rc == IL_OK;
    for (int i = 0; port_taken && i < ATTEMPTS; i++) {
        port_taken = false;
        rc = start_once(request, program, out, t_spawn_ns, t_ready_ns, &port_taken, err);
    }
    return rc;
}

const char *il__server_url(const il__server *server)
{
    return server->url;
}

pid_t il__server_pid(const il__server *server)
{
    return il_process_pid(server->process);
}

bool il__server_alive(il__server *server)
{
    return il_process_look(server->process).phase == IL_PROCESS_RUNNING;
}

const char *il__server_last_line(il__server *server)
{
    il_process_stderr_line(server->process, server->line, sizeof server->line);
    return server->line;
}

void il__server_stop(il__server *server)
{
    if (!server) {
        return;
    }
    if (server->process) {
        il_process_id below[MOST_DESCENDANTS];
        size_t n = il_process_descendants(il__server_pid(server), below, MOST_DESCENDANTS);
        (void)il_process_stop(server->process, GRACE_MS, NULL);
        il_process_kill_all(below, n);
        il_process_free(server->process);
    }
    remove_tree(server->dir);
    free(server);
}
