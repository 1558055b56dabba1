/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A mock server (mock_server.py, ollama_mock.py) as a child process of a test.
 */
#ifndef IL_TESTS_BACKEND_MOCK_H
#define IL_TESTS_BACKEND_MOCK_H

#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

typedef struct mock {
    pid_t pid;
    int in; /* closing it ends the server */
    char url[64];
} mock;

/* script: a path. args: up to 12 words, ended by NULL. */
static inline void mock_start_script(mock *m, const char *script, const char *const *args)
{
    int in[2], out[2];
    const char *words[16] = {"python3", script};
    for (int i = 0; args && args[i]; i++) {
        assert_true(i < 12);
        words[2 + i] = args[i];
    }
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    m->pid = fork();
    assert_true(m->pid >= 0);
    if (m->pid == 0) {
        (void)dup2(in[0], 0);
        (void)dup2(out[1], 1);
        (void)close(in[1]);
        (void)close(out[0]);
        (void)execvp("python3", (char *const *)(uintptr_t)words);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    m->in = in[1];
    char port[16] = "";
    size_t n = 0;
    while (n < sizeof port - 1 && read(out[0], port + n, 1) == 1 && port[n] != '\n') {
        n++;
    }
    port[n] = '\0';
    (void)close(out[0]);
    assert_true(atoi(port) > 0);
    (void)snprintf(m->url, sizeof m->url, "http://127.0.0.1:%d", atoi(port));
}

static inline void mock_start(mock *m, const char *const *args)
{
    mock_start_script(m, IL_TEST_SOURCE_DIR "/tests/backend/mock_server.py", args);
}

static inline void mock_stop(mock *m)
{
    (void)close(m->in);
    (void)waitpid(m->pid, NULL, 0);
}

#endif
