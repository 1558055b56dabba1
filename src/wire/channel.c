/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/channel.h"

#include "base/json.h"
#include "os/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 65536, SHOWN_BYTES = 60 };

void il_wire_channel_init(il_wire_channel *channel, int in_fd, int out_fd, int watch_fd,
                          const char *peer)
{
    *channel =
        (il_wire_channel){.in_fd = in_fd, .out_fd = out_fd, .watch_fd = watch_fd, .peer = peer};
    /* A block may reach past the end of a line of the greatest length. */
    il_buf_init(&channel->in, IL_WIRE_LINE_BYTES + 1 + BLOCK_BYTES);
}

void il_wire_channel_free(il_wire_channel *channel)
{
    il_buf_free(&channel->in);
}

/* Waits for an event on fd or on the watch: IL_OK, IL_E_TIMEOUT or an I/O error. */
static int wait_for(const il_wire_channel *channel, int fd, short events, int64_t deadline_ns,
                    bool *died, il_error *err)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events},
                            {.fd = channel->watch_fd, .events = POLLIN}};
    for (;;) {
        int timeout_ms = -1;
        if (deadline_ns != IL_WIRE_NO_DEADLINE) {
            int64_t left_ns = deadline_ns - il_clock_ns();
            int64_t left_ms = left_ns <= 0 ? 0 : left_ns / 1000000 + 1;
            timeout_ms = left_ms > 1000000 ? 1000000 : (int)left_ms;
        }
        int n = poll(fds, 2, timeout_ms);
        if (n > 0) {
            *died = fds[0].revents == 0;
            return IL_OK;
        }
        if (n == 0 && il_clock_ns() >= deadline_ns) {
            return il_fail(err, IL_E_TIMEOUT, "%s did not %s in time", channel->peer,
                           events == POLLIN ? "answer" : "take the message");
        }
        if (n < 0 && errno != EINTR) {
            return il_fail_errno(err, errno, "cannot wait for %s", channel->peer);
        }
    }
}

/* write(2) whose SIGPIPE goes nowhere: the signal is blocked, and taken back when it was ours. */
static ssize_t write_quietly(int fd, const void *bytes, size_t n_bytes)
{
    sigset_t pipe_only, old, pending;
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
    ssize_t n = write(fd, bytes, n_bytes);
    int os_errno = errno;
    if (n < 0 && os_errno == EPIPE && sigismember(&pending, SIGPIPE) == 0) {
        struct timespec zero = {0, 0};
        (void)sigtimedwait(&pipe_only, NULL, &zero);
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = os_errno;
    return n;
}

static int send_bytes(il_wire_channel *channel, const char *bytes, size_t n_bytes,
                      int64_t deadline_ns, il_error *err)
{
    while (n_bytes > 0) {
        bool died;
        int rc = wait_for(channel, channel->out_fd, POLLOUT, deadline_ns, &died, err);
        if (rc != IL_OK) {
            return rc;
        }
        ssize_t n = died ? 0 : write_quietly(channel->out_fd, bytes, n_bytes);
        if (died || (n < 0 && errno == EPIPE)) {
            return il_fail(err, IL_E_CRASHED, "%s no longer reads its messages", channel->peer);
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return il_fail_errno(err, errno, "cannot write to %s", channel->peer);
        }
        if (n > 0) {
            bytes += n;
            n_bytes -= (size_t)n;
        }
    }
    return IL_OK;
}

int il_wire_send(il_wire_channel *channel, json_t *message, int64_t deadline_ns, il_error *err)
{
    char *text = message ? il_json_dump(message) : NULL;
    json_decref(message);
    if (!text) {
        return il_fail(err, IL_E_NOMEM,
                       "cannot build a message: out of memory, or a text in it is not UTF-8");
    }
    int rc;
    size_t n = strlen(text);
    if (n > IL_WIRE_LINE_BYTES) {
        rc = il_fail(err, IL_E_RANGE, "a message of %zu bytes is over the limit of %zu", n,
                     IL_WIRE_LINE_BYTES);
    } else {
        text[n] = '\n'; /* in place of the NUL: one write, so that readers wake once */
        rc = send_bytes(channel, text, n + 1, deadline_ns, err);
    }
    free(text);
    return rc;
}

/* Shows the start of a bad line in the error, with what cannot be printed as '?'. */
static int bad_line(const il_wire_channel *channel, const char *line, size_t n, const char *why,
                    il_error *err)
{
    char shown[SHOWN_BYTES + 1];
    size_t n_shown = n < SHOWN_BYTES ? n : SHOWN_BYTES;
    for (size_t i = 0; i < n_shown; i++) {
        shown[i] = line[i] >= ' ' && line[i] <= '~' ? line[i] : '?';
    }
    shown[n_shown] = '\0';
    int rc = il_fail(err, IL_E_PROTOCOL, "%s wrote a line that is %s: \"%s%s\"", channel->peer, why,
                     shown, n > n_shown ? "…" : "");
    il_error_hint(err, "a worker moves its messages to a private descriptor before it loads any "
                       "library, so that prints cannot mix in (docs/wire.md)");
    return rc;
}

/* Takes one block from the descriptor. */
static int fill(il_wire_channel *channel, int64_t deadline_ns, il_error *err)
{
    char block[BLOCK_BYTES];
    bool died;
    int rc = wait_for(channel, channel->in_fd, POLLIN, deadline_ns, &died, err);
    if (rc != IL_OK) {
        return rc;
    }
    /* A peer that died may have written its last words after poll looked at the pipe; a pipe that
     * is then empty but open is held by a grandchild. */
    ssize_t n = read(channel->in_fd, block, sizeof block);
    if (n < 0 && died) {
        n = 0;
    }
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR
                   ? IL_OK
                   : il_fail_errno(err, errno, "cannot read from %s", channel->peer);
    }
    if (n == 0) {
        channel->closed = true;
        return il_fail(err, IL_E_CRASHED, "%s closed the connection%s", channel->peer,
                       channel->in.len > 0 ? " in the middle of a message" : "");
    }
    rc = il_buf_append(&channel->in, block, (size_t)n);
    return rc == IL_OK ? IL_OK : il_fail(err, rc, "cannot hold a message of %s", channel->peer);
}

int il_wire_receive(il_wire_channel *channel, int64_t deadline_ns, json_t **out, il_error *err)
{
    const char *newline = NULL;
    while (!newline) {
        assert(channel->n_searched <= channel->in.len);
        if (channel->in.len > channel->n_searched) {
            newline = memchr(channel->in.data + channel->n_searched, '\n',
                             channel->in.len - channel->n_searched);
        }
        size_t n_line = newline ? (size_t)(newline - channel->in.data) : channel->in.len;
        if (n_line > IL_WIRE_LINE_BYTES) {
            return bad_line(channel, channel->in.data, n_line, "longer than 64 MiB", err);
        }
        if (!newline) {
            channel->n_searched = channel->in.len;
            int rc = fill(channel, deadline_ns, err);
            if (rc != IL_OK) {
                return rc;
            }
        }
    }
    size_t n_line = (size_t)(newline - channel->in.data);
    json_t *message = NULL;
    int rc = il_json_parse(channel->in.data, n_line, "", &message, NULL);
    if (rc != IL_OK || !json_is_object(message)) {
        rc = bad_line(channel, channel->in.data, n_line, "no JSON object", err);
        json_decref(message);
        return rc;
    }
    il_buf_consume(&channel->in, n_line + 1);
    channel->n_searched = 0;
    *out = message;
    return IL_OK;
}
