/* SPDX-License-Identifier: Apache-2.0 */
#include "os/memory_limit.h"

#include "os/machine_cgroup.h"
#include "os/machine_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

const char *il_limit_by_name(il_limit_by by)
{
    static const char *const names[] = {"cgroup_v1", "cgroup_v2", "rlimit_as"};
    return names[by];
}

static bool write_file(const char *dir, const char *name, const char *text)
{
    char path[2400];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

/* A group of our own with the limit in force; no swap beyond it, where that can be said. */
static bool make_group(il_memory_limit *limit)
{
    char parent[2100], text[32];
    bool v2;
    if (!il__cgroup_memory_dir(parent, sizeof parent, &v2)) {
        return false;
    }
    (void)snprintf(limit->group, sizeof limit->group, "%s/inferlaw-%ld", parent, (long)getpid());
    if (mkdir(limit->group, 0755) != 0 && errno != EEXIST) {
        return false;
    }
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)limit->bytes);
    limit->by = v2 ? IL_LIMIT_CGROUP_V2 : IL_LIMIT_CGROUP_V1;
    bool ok = v2 ? write_file(limit->group, "memory.max", text)
                 : write_file(limit->group, "memory.limit_in_bytes", text);
    if (!ok) {
        (void)rmdir(limit->group);
        return false;
    }
    (void)(v2 ? write_file(limit->group, "memory.swap.max", "0")
              : write_file(limit->group, "memory.memsw.limit_in_bytes", text));
    return true;
}

void il_memory_limit_open(uint64_t bytes, int use_cgroup, il_memory_limit *out)
{
    *out = (il_memory_limit){.bytes = bytes, .by = IL_LIMIT_RLIMIT_AS};
    if (!use_cgroup || !make_group(out)) {
        out->by = IL_LIMIT_RLIMIT_AS;
        out->group[0] = '\0';
    }
}

void il_memory_limit_close(il_memory_limit *limit)
{
    if (limit->group[0] != '\0') {
        (void)rmdir(limit->group);
        limit->group[0] = '\0';
    }
}

int il_memory_limit_enter(const il_memory_limit *limit)
{
    if (limit->group[0] == '\0') {
        const struct rlimit as = {limit->bytes, limit->bytes};
        return setrlimit(RLIMIT_AS, &as) == 0 ? 0 : errno;
    }
    return write_file(limit->group, "cgroup.procs", "0") ? 0 : (errno ? errno : EIO);
}
