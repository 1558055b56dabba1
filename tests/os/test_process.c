/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Children that misbehave. The child is this program itself, run again with the name of a part to
 * play.
 */
#include "check.h"

#include "base/text.h"
#include "os/clock.h"
#include "os/cpulist.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the parts
 * ------------------------------------------------------------------------------------ */

static int play_exit7(void)
{
    return 7;
}

static int play_abort(void)
{
    (void)signal(SIGABRT, SIG_DFL);
    (void)raise(SIGABRT);
    return 0;
}

static int play_hang(void)
{
    while (pause() != 0) { /* it only ever returns −1 */
    }
    return 0;
}

static int play_stubborn(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)!write(STDOUT_FILENO, "r", 1); /* ready: the signal is ignored from here on */
    return play_hang();
}

static int play_cat(void)
{
    char block[4096];
    ssize_t n;
    while ((n = read(STDIN_FILENO, block, sizeof block)) > 0) {
        if (write(STDOUT_FILENO, block, (size_t)n) != n) {
            return 1;
        }
    }
    return 0;
}

/* 10 MB, then a last line: a parent that does not read would block this for ever. */
static int play_shout(void)
{
    char line[1000];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 10000; i++) {
        for (size_t done = 0; done < sizeof line;) {
            ssize_t n = write(STDERR_FILENO, line + done, sizeof line - done);
            if (n < 0) {
                return 1;
            }
            done += (size_t)n;
        }
    }
    (void)!write(STDERR_FILENO, "the \001last line\n\n", 16);
    return 0;
}

static int play_grandchild(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        return play_hang();
    }
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)pid);
    (void)!write(STDOUT_FILENO, text, (size_t)n);
    return 0;
}

/* What the child sees of itself: group, death signal, oom score, CPUs, environment, signals. */
static int play_self(void)
{
    int death = 0, oom = -1;
    (void)prctl(PR_GET_PDEATHSIG, &death);
    FILE *file = fopen("/proc/self/oom_score_adj", "re");
    if (file) {
        (void)!fscanf(file, "%d", &oom);
        (void)fclose(file);
    }
    cpu_set_t cpus;
    (void)sched_getaffinity(0, sizeof cpus, &cpus);
    sigset_t mask;
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    const char *added = getenv("IL_TEST_ADDED"), *home = getenv("IL_TEST_KEPT");
    printf("%d %d %d %d %d %s %s", getpgrp() == getpid(), death, oom, CPU_COUNT(&cpus),
           sigismember(&mask, SIGUSR1), added ? added : "-", home ? home : "-");
    return 0;
}

/* Spawns a child that hangs, tells its pid, and is then killed: the child must go too. */
static int play_parent(void)
{
    const char *argv[] = {"/proc/self/exe", "hang", NULL};
    il_process *process = NULL;
    il_process_options options = {.argv = argv};
    if (il_process_spawn(&options, &process, NULL) != IL_OK) {
        return 1;
    }
    printf("%ld\n", (long)il_process_pid(process));
    (void)fflush(stdout);
    return play_hang();
}

static const struct {
    const char *name;
    int (*play)(void);
} parts[] = {
    {"exit7", play_exit7}, {"abort", play_abort},           {"hang", play_hang},
    {"cat", play_cat},     {"stubborn", play_stubborn},     {"shout", play_shout},
    {"self", play_self},   {"grandchild", play_grandchild}, {"parent", play_parent},
};

/* --- the tests
 * ------------------------------------------------------------------------------------ */

static il_process *spawn(const char *part)
{
    const char *argv[] = {"/proc/self/exe", part, NULL};
    il_process *process = NULL;
    il_error err = {0};
    il_process_options options = {.argv = argv};
    check_ok(il_process_spawn(&options, &process, &err), &err);
    return process;
}

/* Reads the child's stdout to its end, or to n_want bytes, with patience of 5 s. */
static void read_stdout(il_process *process, char *out, size_t out_bytes, size_t n_want)
{
    size_t n = 0;
    while (n < out_bytes - 1 && n < n_want) {
        struct pollfd fd = {.fd = il_process_stdout(process), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, 5000), 1);
        ssize_t got = read(fd.fd, out + n, out_bytes - 1 - n);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    out[n] = '\0';
}

/* Gone, or dead and waiting for init to reap it. */
static bool is_gone(pid_t pid)
{
    for (int i = 0; i < 200; i++) {
        char path[64], text[256] = "";
        (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        if (fd >= 0) {
            (void)close(fd);
        }
        const char *after = n > 0 ? strrchr(text, ')') : NULL;
        if (!after || after[2] == 'Z' || after[2] == 'X') {
            return true;
        }
        (void)usleep(10000);
    }
    return false;
}

static void assert_no_children(void)
{
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void could_not_start_is_an_error_of_spawn(void **state)
{
    (void)state;
    const struct {
        const char *program, *cpus;
        int code;
    } cases[] = {
        {"/nonexistent/worker", NULL, IL_E_NOT_FOUND},
        {"no-such-program-in-the-path", NULL, IL_E_NOT_FOUND},
        {"/etc/passwd", NULL, IL_E_ACCESS},
        {"/proc/self/exe", "1000", IL_E_INVALID},
        {"/proc/self/exe", "0-", IL_E_PARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *argv[] = {cases[i].program, "exit7", NULL};
        il_process_options options = {.argv = argv, .cpus = cases[i].cpus};
        il_process *process = NULL;
        il_error err = {0};
        assert_int_equal(il_process_spawn(&options, &process, &err), cases[i].code);
        assert_null(process);
        assert_true(err.what[0] != '\0');
        if (!cases[i].cpus) {
            assert_string_equal(err.where, cases[i].program);
        }
    }
    assert_no_children();
}

static void status_and_signal_are_kept(void **state)
{
    (void)state;
    il_process *process = spawn("exit7");
    il_process_state s;
    assert_int_equal(il_process_wait(process, 5000, &s), IL_OK);
    assert_int_equal(s.phase, IL_PROCESS_EXITED);
    assert_int_equal(s.status, 7);
    assert_int_equal(il_process_look(process).status, 7); /* and stays */
    il_process_free(process);

    process = spawn("abort");
    assert_int_equal(il_process_wait(process, 5000, &s), IL_OK);
    assert_int_equal(s.phase, IL_PROCESS_SIGNALED);
    assert_int_equal(s.status, SIGABRT);
    assert_false(s.by_us);
    char text[80];
    il_process_describe(s, text, sizeof text);
    assert_string_equal(text, "was killed by signal 6 (Aborted)");
    il_process_free(process);
    assert_no_children();
}

static void waiting_and_stopping_are_bounded(void **state)
{
    (void)state;
    il_process *process = spawn("hang");
    int64_t t0 = il_clock_ns();
    assert_int_equal(il_process_wait(process, 50, NULL), IL_E_TIMEOUT);
    assert_in_range((il_clock_ns() - t0) / 1000000, 50, 1000);
    check_ok(il_process_stop(process, 2000, NULL), NULL);
    il_process_state s = il_process_look(process);
    assert_int_equal(s.phase, IL_PROCESS_SIGNALED);
    assert_int_equal(s.status, SIGTERM); /* patience was not needed */
    assert_true(s.by_us);
    il_process_free(process);

    char ready[2];
    process = spawn("stubborn");
    read_stdout(process, ready, sizeof ready, 1);
    t0 = il_clock_ns();
    check_ok(il_process_stop(process, 100, NULL), NULL);
    assert_in_range((il_clock_ns() - t0) / 1000000, 100, 2000);
    assert_int_equal(il_process_look(process).status, SIGKILL);
    il_process_free(process);

    il_process_free(spawn("hang")); /* free alone ends it too */
    assert_no_children();
}

static void a_loud_child_never_waits_for_us(void **state)
{
    (void)state;
    il_process *process = spawn("shout");
    il_process_state s;
    assert_int_equal(il_process_wait(process, 20000, &s), IL_OK);
    assert_int_equal(s.phase, IL_PROCESS_EXITED);
    assert_int_equal(s.status, 0);
    assert_int_equal(il_process_stderr_bytes(process), 10000016);
    char line[64], cut[5];
    il_process_stderr_line(process, line, sizeof line);
    assert_string_equal(line, "the ?last line");
    il_process_stderr_line(process, cut, sizeof cut);
    assert_string_equal(cut, "the ");
    char *text = malloc(100000);
    assert_int_equal(il_process_stderr_text(process, text, 100000), 65536);
    assert_true(il_text_ends(text, "x\nthe ?last line\n\n"));
    free(text);
    il_process_free(process);
}

static void pipes_carry_both_ways(void **state)
{
    (void)state;
    il_process *process = spawn("cat");
    char back[16];
    assert_int_equal(write(il_process_stdin(process), "\xff\x00garbage", 9), 9);
    read_stdout(process, back, sizeof back, 9);
    assert_memory_equal(back, "\xff\x00garbage", 9);
    assert_int_equal(il_process_look(process).phase, IL_PROCESS_RUNNING);
    il_process_close_stdin(process);
    assert_int_equal(il_process_stdin(process), -1);
    assert_int_equal(il_process_wait(process, 5000, NULL), IL_OK);
    il_process_free(process);
}

static void the_child_is_set_up(void **state)
{
    (void)state;
    const char *argv[] = {"/proc/self/exe", "self", NULL};
    const char *env[] = {"IL_TEST_ADDED=new", NULL};
    cpu_set_t cpus;
    char one[16], text[128], want[128];
    assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    unsigned first = 0;
    while (!CPU_ISSET(first, &cpus)) {
        first++;
    }
    (void)snprintf(one, sizeof one, "%u", first);
    assert_int_equal(setenv("IL_TEST_ADDED", "old", 1), 0);
    assert_int_equal(setenv("IL_TEST_KEPT", "kept", 1), 0);
    sigset_t usr1;
    (void)sigemptyset(&usr1);
    (void)sigaddset(&usr1, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &usr1, NULL);
    il_process *process = NULL;
    il_error err = {0};
    il_process_options options = {.argv = argv, .env = env, .cpus = one, .oom_score_adj = 700};
    check_ok(il_process_spawn(&options, &process, &err), &err);
    read_stdout(process, text, sizeof text, sizeof text);
    (void)snprintf(want, sizeof want, "1 %d 700 1 0 new kept", SIGKILL);
    assert_string_equal(text, want);
    il_process_free(process);
    assert_string_equal(getenv("IL_TEST_ADDED"), "old");
}

static void no_grandchild_survives(void **state)
{
    (void)state;
    char text[32];
    il_process *process = spawn("grandchild");
    read_stdout(process, text, sizeof text, 2);
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    assert_true(pid > 1);
    assert_int_equal(il_process_wait(process, 5000, NULL), IL_OK);
    assert_true(is_gone(pid));
    il_process_free(process);
}

static void children_die_with_the_driver(void **state)
{
    (void)state;
    char text[32];
    il_process *parent = spawn("parent");
    read_stdout(parent, text, sizeof text, 2);
    pid_t child = (pid_t)strtol(text, NULL, 10);
    assert_true(child > 1);
    assert_int_equal(kill(child, 0), 0);
    assert_int_equal(kill(il_process_pid(parent), SIGKILL), 0);
    assert_true(is_gone(child)); /* it is in a group of its own: only the kernel can have done it */
    il_process_free(parent);
}

static void cpu_lists(void **state)
{
    (void)state;
    cpu_set_t set;
    check_ok(il_cpulist_parse("0-3,8,10-10", &set, NULL), NULL);
    assert_int_equal(CPU_COUNT(&set), 6);
    assert_true(CPU_ISSET(3, &set) && CPU_ISSET(8, &set) && CPU_ISSET(10, &set));
    const char *const refused[] = {"", ",", "1,", "-1", "3-1", "a", "1 2", "1024", "0-99999999999"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        il_error err = {0};
        assert_int_not_equal(il_cpulist_parse(refused[i], &set, &err), IL_OK);
        assert_true(err.what[0] != '\0');
    }
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(argv[1], parts[i].name) == 0) {
            return parts[i].play();
        }
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(could_not_start_is_an_error_of_spawn),
        cmocka_unit_test(status_and_signal_are_kept),
        cmocka_unit_test(waiting_and_stopping_are_bounded),
        cmocka_unit_test(a_loud_child_never_waits_for_us),
        cmocka_unit_test(pipes_carry_both_ways),
        cmocka_unit_test(the_child_is_set_up),
        cmocka_unit_test(no_grandchild_survives),
        cmocka_unit_test(children_die_with_the_driver),
        cmocka_unit_test(cpu_lists),
    };
    return cmocka_run_group_tests_name("os/process", tests, NULL, NULL);
}
