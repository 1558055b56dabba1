/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Memory of a process tree from a /proc that stands in, this process from the real one, and limits:
 * a group where the tree has one, address space where it has none.
 */
#include "check.h"

#include "base/file.h"
#include "os/machine.h"
#include "os/memory_limit.h"
#include "os/process_memory.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[512];

static void put(const char *name, const char *text)
{
    char path[1200];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    *strrchr(path, '/') = '\0';
    check_ok(il_dir_make(path, &err), &err);
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    check_ok(il_file_write_atomic(path, text, strlen(text), &err), &err);
}

static void put_process(int pid, int parent, int rss, int peak, int pss)
{
    char name[64], text[300];
    (void)snprintf(name, sizeof name, "proc/%d/status", pid);
    (void)snprintf(text, sizeof text,
                   "Name:\tx\nPPid:\t%d\nVmHWM:\t%8d kB\nVmRSS:\t%8d kB\nVmSwap:\t%8d kB\n", parent,
                   peak, rss, 1);
    put(name, text);
    (void)snprintf(name, sizeof name, "proc/%d/smaps_rollup", pid);
    (void)snprintf(text, sizeof text, "0-1 ---p 0 00:00 0 [rollup]\nRss: 5 kB\nPss: %8d kB\n", pss);
    put(name, text);
}

static void a_tree(void **state)
{
    (void)state;
    il_process_memory m;
    (void)snprintf(root, sizeof root, "%s", check_scratch_dir("proc"));
    put_process(100, 1, 1000, 1500, 900);
    put_process(101, 100, 200, 250, 100);
    put_process(102, 101, 30, 40, 20); /* a grandchild */
    put_process(200, 1, 99999, 99999, 99999);
    put("proc/self-like/status", "PPid:\t100\n");
    il_machine_set_root(root);
    il_process_memory_read(100, &m);
    assert_int_equal(m.n_processes, 3);
    assert_int_equal(m.rss_bytes, 1230 * 1024);
    assert_int_equal(m.rss_peak_bytes, 1790 * 1024);
    assert_int_equal(m.pss_bytes, 1020 * 1024);
    assert_int_equal(m.swap_bytes, 3 * 1024);
    /* A part that cannot be read leaves the sum unknown, not smaller. */
    put("proc/101/smaps_rollup", "");
    il_process_memory_read(100, &m);
    assert_int_equal(m.pss_bytes, -1);
    assert_int_equal(m.rss_bytes, 1230 * 1024);
    il_process_memory_read(12345, &m);
    assert_int_equal(m.n_processes, 0);
    assert_int_equal(m.rss_bytes, -1);
    il_machine_set_root("");
}

static void this_process(void **state)
{
    (void)state;
    il_process_memory before, after;
    enum { BYTES = 30 << 20 };
    il_process_memory_read(getpid(), &before);
    assert_true(before.n_processes >= 1);
    char *block = malloc(BYTES);
    assert_non_null(block);
    memset(block, 1, BYTES);
    il_process_memory_read(getpid(), &after);
    assert_true(after.rss_bytes - before.rss_bytes > BYTES / 2 + block[5]);
    assert_true(after.rss_peak_bytes >= after.rss_bytes);
    free(block);
}

static bool file_is(const char *name, const char *text)
{
    char path[2400], got[64] = "";
    (void)snprintf(path, sizeof path, "%s", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(got, sizeof got, file));
    (void)fclose(file);
    return strcmp(got, text) == 0;
}

/* A tree with a version 1 memory controller; the kernel's files of the new group stand there
 * already. */
static void a_group(void **state)
{
    (void)state;
    il_memory_limit limit;
    char name[300], path[2400];
    (void)snprintf(root, sizeof root, "%s", check_scratch_dir("cgroup"));
    put("proc/self/cgroup", "4:memory:/mine\n0::/\n");
    put("proc/self/mountinfo", "36 35 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    (void)snprintf(name, sizeof name, "sys/fs/cgroup/memory/mine/inferlaw-%ld/%%s", (long)getpid());
    for (int i = 0; i < 2; i++) {
        char file[400];
        (void)snprintf(file, sizeof file, name, i == 0 ? "memory.limit_in_bytes" : "cgroup.procs");
        put(file, "");
    }
    il_machine_set_root(root);
    il_memory_limit_open(200000000, 1, &limit);
    assert_string_equal(il_limit_by_name(limit.by), "cgroup_v1");
    (void)snprintf(path, sizeof path, "%.2100s/memory.limit_in_bytes", limit.group);
    assert_true(file_is(path, "200000000"));
    assert_int_equal(il_memory_limit_enter(&limit), 0);
    (void)snprintf(path, sizeof path, "%.2100s/cgroup.procs", limit.group);
    assert_true(file_is(path, "0"));
    il_memory_limit_close(&limit);
    /* Where no group can be made, address space is the limit. */
    put("proc/self/cgroup", "4:memory:/other\n");
    il_machine_set_root(root);
    il_memory_limit_open(200000000, 1, &limit);
    assert_string_equal(il_limit_by_name(limit.by), "rlimit_as");
    assert_string_equal(limit.group, "");
    il_machine_set_root("");
    pid_t child = fork();
    if (child == 0) {
        struct rlimit as;
        bool ok = il_memory_limit_enter(&limit) == 0 && getrlimit(RLIMIT_AS, &as) == 0 &&
                  as.rlim_cur == 200000000 && as.rlim_max == 200000000;
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree),
        cmocka_unit_test(this_process),
        cmocka_unit_test(a_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
