/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "os/clock.h"
#include "wire/channel.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A channel that reads what the test writes into feed_fd, and the other way round. */
typedef struct rig {
    il_wire_channel channel;
    int feed_fd, drain_fd, in_fd, out_fd;
} rig;

static rig rig_open(void)
{
    rig r;
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    r.in_fd = in[0];
    r.feed_fd = in[1];
    r.drain_fd = out[0];
    r.out_fd = out[1];
    assert_int_equal(fcntl(r.feed_fd, F_SETFL, 0), 0); /* the feeder may wait */
    il_wire_channel_init(&r.channel, r.in_fd, r.out_fd, -1, "the worker");
    return r;
}

static void rig_close(rig *r)
{
    il_wire_channel_free(&r->channel);
    (void)close(r->in_fd);
    (void)close(r->out_fd);
    if (r->feed_fd >= 0) {
        (void)close(r->feed_fd);
    }
    if (r->drain_fd >= 0) {
        (void)close(r->drain_fd);
    }
}

static int64_t in_ms(int64_t ms)
{
    return il_clock_ns() + ms * 1000000;
}

static void feed(rig *r, const char *text)
{
    assert_int_equal(write(r->feed_fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void lines_are_messages(void **state)
{
    (void)state;
    rig r = rig_open();
    json_t *message = NULL;
    feed(&r, "{\"a\":1}\n{\"a\":2}\r\n{\"a\"");
    for (int i = 1; i <= 2; i++) {
        check_ok(il_wire_receive(&r.channel, in_ms(1000), &message, NULL), NULL);
        assert_int_equal(json_integer_value(json_object_get(message, "a")), i);
        json_decref(message);
    }
    /* A message that is cut waits, keeps its beginning over a timeout, and arrives whole. */
    il_error err = {0};
    int64_t t0 = il_clock_ns();
    assert_int_equal(il_wire_receive(&r.channel, in_ms(30), &message, &err), IL_E_TIMEOUT);
    assert_in_range((il_clock_ns() - t0) / 1000000, 30, 1000);
    feed(&r, ":3}\n");
    check_ok(il_wire_receive(&r.channel, in_ms(1000), &message, &err), &err);
    assert_int_equal(json_integer_value(json_object_get(message, "a")), 3);
    json_decref(message);
    rig_close(&r);
}

static void garbage_is_named(void **state)
{
    (void)state;
    const char *const lines[] = {
        "Loading weights: 100%\n",
        "[1,2]\n",
        "\n",
        "null\n",
        "{\"a\":1}{\"b\":2}\n",
        "{\"a\":1,\"a\":2}\n",
        "{'a':1}\n",
        "\x01\xff\xfe\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        rig r = rig_open();
        json_t *message = NULL;
        il_error err = {0};
        feed(&r, lines[i]);
        assert_int_equal(il_wire_receive(&r.channel, in_ms(1000), &message, &err), IL_E_PROTOCOL);
        assert_null(message);
        for (const char *p = err.what; *p; p++) {
            assert_true(*p >= ' ' && *p <= '~');
        }
        if (i == 0) {
            assert_non_null(strstr(err.what, "\"Loading weights: 100%\""));
        }
        rig_close(&r);
    }
}

static void end_of_file_is_told_apart(void **state)
{
    (void)state;
    for (int amid = 0; amid < 2; amid++) {
        rig r = rig_open();
        json_t *message = NULL;
        il_error err = {0};
        if (amid) {
            feed(&r, "{\"id\":");
        }
        (void)close(r.feed_fd);
        r.feed_fd = -1;
        assert_int_equal(il_wire_receive(&r.channel, in_ms(1000), &message, &err), IL_E_CRASHED);
        assert_true(r.channel.closed);
        assert_int_equal(r.channel.in.len > 0, amid);
        assert_int_equal(strstr(err.what, "in the middle of a message") != NULL, amid);
        rig_close(&r);
    }
}

static void a_dead_peer_ends_the_wait(void **state)
{
    (void)state;
    rig r = rig_open();
    json_t *message = NULL;
    il_error err = {0};
    /* The pipe stays open, as if a grandchild held it, and holds a last message. */
    r.channel.watch_fd = eventfd(1, EFD_CLOEXEC);
    feed(&r, "{\"last\":true}\n");
    check_ok(il_wire_receive(&r.channel, in_ms(5000), &message, &err), &err);
    json_decref(message);
    int64_t t0 = il_clock_ns();
    assert_int_equal(il_wire_receive(&r.channel, in_ms(5000), &message, &err), IL_E_CRASHED);
    assert_true(il_clock_ns() - t0 < 1000000000);
    (void)close(r.channel.watch_fd);
    rig_close(&r);
}

static void *feed_long_line(void *arg)
{
    int fd = *(int *)arg;
    char block[65536];
    memset(block, 'y', sizeof block);
    for (size_t done = 0; done < IL_WIRE_LINE_BYTES + sizeof block; done += sizeof block) {
        if (write(fd, block, sizeof block) != (ssize_t)sizeof block) {
            return NULL;
        }
    }
    return NULL;
}

static void a_line_has_a_limit(void **state)
{
    (void)state;
    rig r = rig_open();
    json_t *message = NULL;
    il_error err = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, feed_long_line, &r.feed_fd), 0);
    assert_int_equal(il_wire_receive(&r.channel, in_ms(20000), &message, &err), IL_E_PROTOCOL);
    assert_non_null(strstr(err.what, "longer than 64 MiB"));
    assert_true(r.channel.in.len <= IL_WIRE_LINE_BYTES + 1 + 65536);
    (void)close(r.in_fd); /* lets a feeder that still writes go */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)pthread_join(thread, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    r.in_fd = dup(r.out_fd);
    rig_close(&r);
}

static void sending_never_hangs_and_never_kills(void **state)
{
    (void)state;
    rig r = rig_open();
    il_error err = {0};
    check_ok(il_wire_send(&r.channel, json_pack("{s:i}", "a", 1), in_ms(1000), &err), &err);
    char back[64];
    ssize_t n = read(r.drain_fd, back, sizeof back);
    assert_int_equal(n, 8);
    assert_memory_equal(back, "{\"a\":1}\n", 8);
    /* Nobody reads: a message larger than the pipe meets its deadline. */
    char *large = calloc(1, 2000001);
    memset(large, 'z', 2000000);
    assert_int_equal(il_wire_send(&r.channel, json_pack("{s:s}", "a", large), in_ms(50), &err),
                     IL_E_TIMEOUT);
    free(large);
    assert_int_equal(il_wire_send(&r.channel, NULL, in_ms(50), &err), IL_E_NOMEM);
    /* The reader is gone: an error, and no SIGPIPE, now or later. */
    (void)close(r.drain_fd);
    r.drain_fd = -1;
    assert_int_equal(il_wire_send(&r.channel, json_object(), in_ms(1000), &err), IL_E_CRASHED);
    sigset_t pending;
    (void)sigpending(&pending);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_messages),
        cmocka_unit_test(garbage_is_named),
        cmocka_unit_test(end_of_file_is_told_apart),
        cmocka_unit_test(a_dead_peer_ends_the_wait),
        cmocka_unit_test(a_line_has_a_limit),
        cmocka_unit_test(sending_never_hangs_and_never_kills),
    };
    return cmocka_run_group_tests_name("wire/channel", tests, NULL, NULL);
}
