/* SPDX-License-Identifier: Apache-2.0 */
#include "os/process_memory.h"

#include "os/machine_files.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PROCESSES = 4096, STATUS_BYTES = 8192, PATH_BYTES = 1200 };

typedef struct pair {
    pid_t pid, parent;
    bool in_tree;
} pair;

static bool read_status(pid_t pid, char *text)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    return il__sys_read(path, text, STATUS_BYTES);
}

/* Every process with its parent; those that end meanwhile are left out. */
static size_t list_processes(pair *out)
{
    char dir[PATH_BYTES], text[STATUS_BYTES];
    (void)snprintf(dir, sizeof dir, "%s/proc", il__sys_root());
    DIR *open = opendir(dir);
    struct dirent *entry;
    size_t n = 0;
    while (open && n < MOST_PROCESSES && (entry = readdir(open)) != NULL) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        uint64_t parent;
        if (pid > 0 && *end == '\0' && read_status((pid_t)pid, text) &&
            il__line_u64(text, "PPid:", &parent)) {
            out[n++] = (pair){(pid_t)pid, (pid_t)parent, false};
        }
    }
    if (open) {
        (void)closedir(open);
    }
    return n;
}

/* Marks the descendants of pid, generation by generation. */
static void mark_tree(pair *list, size_t n, pid_t pid)
{
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        found = found || list[i].pid == pid;
        list[i].in_tree = list[i].pid == pid;
    }
    for (bool more = found; more;) {
        more = false;
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < n && !list[i].in_tree; k++) {
                if (list[k].in_tree && list[k].pid == list[i].parent) {
                    list[i].in_tree = more = true;
                }
            }
        }
    }
}

/* Adds kB of a line; a sum that misses a part is not known. */
static void add_kib(const char *text, const char *key, int64_t *sum)
{
    uint64_t kib;
    if (*sum >= 0) {
        *sum = il__line_u64(text, key, &kib) && kib < (UINT64_C(1) << 50)
                   ? *sum + (int64_t)kib * 1024
                   : -1;
    }
}

void il_process_memory_read(pid_t pid, il_process_memory *out)
{
    char text[STATUS_BYTES];
    pair *list = calloc(MOST_PROCESSES, sizeof *list);
    size_t n = list ? list_processes(list) : 0;
    *out = (il_process_memory){0};
    mark_tree(list, n, pid);
    for (size_t i = 0; i < n; i++) {
        if (!list[i].in_tree || !read_status(list[i].pid, text)) {
            continue;
        }
        out->n_processes++;
        add_kib(text, "VmRSS:", &out->rss_bytes);
        add_kib(text, "VmHWM:", &out->rss_peak_bytes);
        add_kib(text, "VmSwap:", &out->swap_bytes);
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)list[i].pid);
        (void)il__sys_read(path, text, sizeof text);
        add_kib(text, "Pss:", &out->pss_bytes);
    }
    if (out->n_processes == 0) {
        out->rss_bytes = out->rss_peak_bytes = out->pss_bytes = out->swap_bytes = -1;
    }
    free(list);
}
