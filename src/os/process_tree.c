/* SPDX-License-Identifier: Apache-2.0 */
#include "os/process_tree.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

typedef struct row {
    il_process_id id;
    pid_t parent;
    bool below;
} row;

/* "PID (name) state PPID …", start time 22nd; the name may hold spaces and brackets. */
static bool read_row(const char *pid_text, row *out)
{
    char path[64], text[1024];
    int64_t pid;
    if (il_text_to_i64(pid_text, &pid) != IL_OK || pid <= 0) {
        return false;
    }
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file) {
        return false;
    }
    size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    const char *after = strrchr(text, ')');
    int parent;
    unsigned long long start;
    char state;
    if (!after || sscanf(after + 1,
                         " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                         "%*d %llu",
                         &state, &parent, &start) != 3) {
        return false;
    }
    *out = (row){.id = {.pid = (pid_t)pid, .start_ticks = start}, .parent = parent};
    return state != 'Z' && state != 'X';
}

static row *read_all(size_t *n_rows)
{
    row *rows = NULL;
    size_t n = 0, cap = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        if (n == cap) {
            cap = cap ? 2 * cap : 256;
            row *more = realloc(rows, cap * sizeof *rows);
            if (!more) {
                break;
            }
            rows = more;
        }
        n += read_row(e->d_name, &rows[n]) ? 1 : 0;
    }
    if (dir) {
        (void)closedir(dir);
    }
    *n_rows = n;
    return rows;
}

size_t il_process_descendants(pid_t root, il_process_id *out, size_t cap)
{
    size_t n_rows, n = 0, next = 0;
    row *rows = read_all(&n_rows);
    for (pid_t parent = root;; parent = out[next++].pid) {
        for (size_t i = 0; i < n_rows && n < cap; i++) {
            if (rows[i].parent == parent && !rows[i].below && rows[i].id.pid != root) {
                rows[i].below = true;
                out[n++] = rows[i].id;
            }
        }
        if (next == n) {
            break;
        }
    }
    free(rows);
    return n;
}

bool il_process_has_ended(pid_t pid)
{
    siginfo_t how = {0};
    if (pid <= 0) {
        return false;
    }
    if (waitid(P_PID, (id_t)pid, &how, WEXITED | WNOHANG | WNOWAIT) == 0) {
        return how.si_pid == pid;
    }
    return kill(pid, 0) != 0 && errno == ESRCH;
}

void il_process_kill_all(const il_process_id *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[24];
        row now;
        (void)snprintf(text, sizeof text, "%ld", (long)list[i].pid);
        if (read_row(text, &now) && now.id.start_ticks == list[i].start_ticks) {
            (void)kill(list[i].pid, SIGKILL);
        }
    }
}
