/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "os/clock.h"
#include "os/probe_command.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static int sh(const char *script, uint32_t deadline_ms, bool with_stderr, il_probe_output *out,
              il_error *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    return il_probe_command(argv, deadline_ms, with_stderr, out, err);
}

static void output_and_status(void **state)
{
    (void)state;
    il_probe_output out;
    il_error err = {0};
    check_ok(sh("echo one; echo two >&2; exit 3", 5000, false, &out, &err), &err);
    assert_string_equal(out.text, "one\n");
    assert_int_equal(out.exit_status, 3);
    assert_true(out.wall_ms > 0);
    check_ok(sh("echo one; echo two >&2", 5000, true, &out, &err), &err);
    assert_string_equal(out.text, "one\ntwo\n");
    assert_int_equal(out.exit_status, 0);
    check_ok(sh("wc -c", 5000, false, &out, &err), &err); /* standard input is empty */
    assert_int_equal(strtol(out.text, NULL, 10), 0);
}

static void endless_output_is_cut(void **state)
{
    (void)state;
    il_probe_output out;
    il_error err = {0};
    check_ok(sh("head -c 3000000 /dev/zero | tr '\\0' 'x'", 20000, false, &out, &err), &err);
    assert_int_equal(out.len, sizeof out.text - 1);
    assert_int_equal(strlen(out.text), out.len);
    assert_int_equal(out.exit_status, 0); /* it was read to the end, not choked */
    assert_int_equal(sh("yes", 150, false, &out, &err), IL_E_TIMEOUT);
}

static void deadline_kills_the_whole_group(void **state)
{
    (void)state;
    il_probe_output out;
    il_error err = {0};
    int64_t t0 = il_clock_ns();
    assert_int_equal(sh("echo $$; sleep 60 & sleep 60", 300, false, &out, &err), IL_E_TIMEOUT);
    double ms = (double)(il_clock_ns() - t0) * 1e-6;
    assert_true(ms >= 300 && ms < 10000);
    assert_non_null(strstr(err.what, "300 ms"));
    assert_int_equal(out.exit_status, -1);
    pid_t group = (pid_t)strtol(out.text, NULL, 10);
    assert_true(group > 1);
    for (int i = 0; i < 200 && kill(-group, 0) == 0; i++) {
        (void)usleep(10000); /* until init has reaped the orphan */
    }
    assert_int_equal(kill(-group, 0), -1);
}

/* A background process that keeps the pipe open does not keep us. */
static void a_grandchild_does_not_hold_us(void **state)
{
    (void)state;
    il_probe_output out;
    il_error err = {0};
    int64_t t0 = il_clock_ns();
    check_ok(sh("echo 7; sleep 60 &", 20000, false, &out, &err), &err);
    assert_true(il_clock_ns() - t0 < INT64_C(10000000000));
    assert_string_equal(out.text, "7\n");
    assert_int_equal(out.exit_status, 0);
}

static void what_cannot_run_says_so(void **state)
{
    (void)state;
    il_probe_output out;
    il_error err = {0};
    const char *const missing[] = {"no-such-program-anywhere", NULL};
    assert_int_equal(il_probe_command(missing, 1000, false, &out, &err), IL_E_NOT_FOUND);
    assert_non_null(strstr(err.what, "no-such-program-anywhere"));
    const char *const forbidden[] = {"/etc/passwd", NULL};
    assert_int_equal(il_probe_command(forbidden, 1000, false, &out, &err), IL_E_ACCESS);
    assert_int_equal(sh("kill -SEGV $$", 5000, false, &out, &err), IL_E_CRASHED);
    assert_non_null(strstr(err.what, "signal 11"));
    assert_int_equal(out.exit_status, -1);
}

static void path_search(void **state)
{
    (void)state;
    char where[512];
    assert_true(il_probe_find("sh", where, sizeof where));
    assert_int_equal(access(where, X_OK), 0);
    assert_string_equal(strrchr(where, '/'), "/sh");
    assert_false(il_probe_find("no-such-program-anywhere", where, sizeof where));
    assert_string_equal(where, "");
    char tiny[3];
    assert_false(il_probe_find("sh", tiny, sizeof tiny));
}

static void port_answers_or_not(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t n = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_true(il_probe_port(ntohs(at.sin_port), 1000));
    assert_int_equal(close(fd), 0);
    assert_false(il_probe_port(ntohs(at.sin_port), 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_status),
        cmocka_unit_test(endless_output_is_cut),
        cmocka_unit_test(deadline_kills_the_whole_group),
        cmocka_unit_test(a_grandchild_does_not_hold_us),
        cmocka_unit_test(what_cannot_run_says_so),
        cmocka_unit_test(path_search),
        cmocka_unit_test(port_answers_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
