/* SPDX-License-Identifier: Apache-2.0 */
#include "os/tail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct il_tail {
    int fd, stop_fd;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t total_bytes;
    char ring[IL_TAIL_BYTES];
};

static void ring_add(il_tail *tail, const char *bytes, size_t n)
{
    (void)pthread_mutex_lock(&tail->lock);
    size_t at = (size_t)(tail->total_bytes % IL_TAIL_BYTES);
    size_t first = n < IL_TAIL_BYTES - at ? n : IL_TAIL_BYTES - at;
    memcpy(tail->ring + at, bytes, first);
    memcpy(tail->ring, bytes + first, n - first);
    tail->total_bytes += n;
    (void)pthread_mutex_unlock(&tail->lock);
}

/* Reads until the pipe is empty or `most` bytes came; false at end of file or on an error. */
static bool drain(il_tail *tail, size_t most)
{
    char block[16384];
    _Static_assert(sizeof block <= IL_TAIL_BYTES, "one block must fit the ring");
    for (size_t done = 0; done < most;) {
        ssize_t n = read(tail->fd, block, sizeof block);
        if (n > 0) {
            ring_add(tail, block, (size_t)n);
            done += (size_t)n;
        } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            return false;
        } else if (errno == EAGAIN) {
            return true;
        }
    }
    return true;
}

static void *tail_thread(void *arg)
{
    il_tail *tail = arg;
    /* A process that escaped our kill may write for ever; a megabyte past the end is enough. */
    const size_t after_stop = 1u << 20;
    for (;;) {
        struct pollfd fds[2] = {{.fd = tail->fd, .events = POLLIN},
                                {.fd = tail->stop_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            return NULL;
        }
        bool stop = fds[1].revents != 0;
        if (!drain(tail, after_stop) || stop) {
            return NULL;
        }
    }
}

static int start_thread(il_tail *tail)
{
    /* Signals belong to the thread that runs the study. */
    sigset_t all, old;
    (void)sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (rc == 0) {
        rc = pthread_create(&tail->thread, NULL, tail_thread, tail);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    return rc;
}

int il_tail_open(int fd, il_tail **out, il_error *err)
{
    assert(fd >= 0);
    il_tail *tail = calloc(1, sizeof *tail);
    if (!tail) {
        (void)close(fd);
        return il_fail(err, IL_E_NOMEM, "out of memory for a pipe's tail");
    }
    tail->fd = fd;
    tail->stop_fd = eventfd(0, EFD_CLOEXEC);
    (void)pthread_mutex_init(&tail->lock, NULL);
    int flags = fcntl(fd, F_GETFL);
    if (tail->stop_fd < 0 || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        int rc = il_fail_errno(err, errno, "cannot set up the reader of a pipe");
        il_tail_free(tail);
        return rc;
    }
    int thread_errno = start_thread(tail);
    if (thread_errno != 0) {
        int rc = il_fail_errno(err, thread_errno, "cannot start the reader of a pipe");
        il_tail_free(tail);
        return rc;
    }
    tail->running = true;
    *out = tail;
    return IL_OK;
}

void il_tail_finish(il_tail *tail)
{
    if (!tail->running) {
        return;
    }
    uint64_t one = 1;
    ssize_t n = write(tail->stop_fd, &one, sizeof one);
    assert(n == (ssize_t)sizeof one); /* a fresh eventfd takes one count */
    (void)n;
    (void)pthread_join(tail->thread, NULL);
    tail->running = false;
}

void il_tail_free(il_tail *tail)
{
    if (!tail) {
        return;
    }
    il_tail_finish(tail);
    (void)close(tail->fd);
    if (tail->stop_fd >= 0) {
        (void)close(tail->stop_fd);
    }
    (void)pthread_mutex_destroy(&tail->lock);
    free(tail);
}

static char printable(char c)
{
    return (c >= ' ' && c <= '~') || c == '\n' || c == '\t' ? c : '?';
}

size_t il_tail_text(il_tail *tail, char *out, size_t out_bytes)
{
    assert(out_bytes > 0);
    (void)pthread_mutex_lock(&tail->lock);
    uint64_t held = tail->total_bytes < IL_TAIL_BYTES ? tail->total_bytes : IL_TAIL_BYTES;
    uint64_t n = held < out_bytes - 1 ? held : out_bytes - 1;
    uint64_t from = tail->total_bytes - n;
    for (uint64_t i = 0; i < n; i++) {
        out[i] = printable(tail->ring[(from + i) % IL_TAIL_BYTES]);
    }
    (void)pthread_mutex_unlock(&tail->lock);
    out[n] = '\0';
    return (size_t)n;
}

void il_tail_last_line(il_tail *tail, char *out, size_t out_bytes)
{
    assert(out_bytes > 0);
    char text[4096];
    size_t n = il_tail_text(tail, text, sizeof text);
    while (n > 0 && strchr(" \t\n", text[n - 1])) {
        text[--n] = '\0';
    }
    const char *line = n > 0 ? memrchr(text, '\n', n) : NULL;
    line = line ? line + 1 : text;
    size_t n_line = strlen(line);
    if (n_line > out_bytes - 1) {
        n_line = out_bytes - 1;
    }
    memcpy(out, line, n_line);
    out[n_line] = '\0';
}

uint64_t il_tail_total_bytes(il_tail *tail)
{
    (void)pthread_mutex_lock(&tail->lock);
    uint64_t total = tail->total_bytes;
    (void)pthread_mutex_unlock(&tail->lock);
    return total;
}
