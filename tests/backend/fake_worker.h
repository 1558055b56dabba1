/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A worker that follows the protocol until it does not: the test program runs itself again with
 * "fake" and the name of a misbehaviour, which it shows at its first call.
 */
#ifndef IL_TESTS_BACKEND_FAKE_WORKER_H
#define IL_TESTS_BACKEND_FAKE_WORKER_H

#include "check.h"

#include "os/clock.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct fake_worker {
    il_wire_channel channel;
    const char *how; /* the misbehaviour */
    uint32_t n_steps, n_ids;
} fake_worker;

static inline bool fake_is(const fake_worker *w, const char *how)
{
    return strcmp(w->how, how) == 0;
}

static inline void fake_print(int fd, const char *text)
{
    (void)!write(fd, text, strlen(text));
}

static inline void fake_hang(void)
{
    for (;;) {
        (void)pause();
    }
}

static inline void fake_hello(fake_worker *w)
{
    json_t *dtypes = json_pack("[s]", "fp32"), *devices = json_pack("[s]", "cpu");
    il_wire_hello hello = {.protocol = fake_is(w, "old_protocol") ? 99 : IL_WIRE_PROTOCOL,
                           .worker = "fake",
                           .version = "0",
                           .pid = getpid(),
                           .t_main_ns = fake_is(w, "hello_clock") ? 1 : il_clock_ns(),
                           .step_times = true,
                           .unsplit = true,
                           .dtypes = dtypes,
                           .devices = devices,
                           .runtime_name = "none",
                           .runtime_version = "0"};
    (void)il_wire_send(&w->channel, il_wire_hello_json(&hello), IL_WIRE_NO_DEADLINE, NULL);
    json_decref(dtypes);
    json_decref(devices);
}

/* Ends or spoils what happens before the answer. */
static inline void fake_misbehave(fake_worker *w)
{
    const int out = w->channel.out_fd;
    struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (fake_is(w, "segv")) {
        (void)signal(SIGSEGV, SIG_DFL); /* sanitizers put a handler there */
        fake_print(STDERR_FILENO, "about to\nread page zero\n");
        (void)raise(SIGSEGV);
    } else if (fake_is(w, "abort")) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)raise(SIGABRT);
    } else if (fake_is(w, "killed")) {
        (void)raise(SIGKILL);
    } else if (fake_is(w, "exit1")) {
        fake_print(STDERR_FILENO, "ImportError: no module named torch\n");
        _exit(1);
    } else if (fake_is(w, "exit0")) {
        _exit(0);
    } else if (fake_is(w, "hang")) {
        fake_hang();
    } else if (fake_is(w, "ignores_term")) {
        (void)signal(SIGTERM, SIG_IGN);
        fake_hang();
    } else if (fake_is(w, "garbage")) {
        fake_print(out, "Loading checkpoint shards: 100%\n");
    } else if (fake_is(w, "partial")) {
        fake_print(out, "{\"id\": 3, \"ok\": tr");
        _exit(4);
    } else if (fake_is(w, "long_line")) {
        char block[65536];
        memset(block, 'x', sizeof block);
        for (int i = 0; i < 1600; i++) { /* 100 MB */
            if (write(out, block, sizeof block) < 0) {
                break;
            }
        }
        fake_hang();
    } else if (fake_is(w, "orphan")) {
        if (fork() == 0) {
            fake_hang(); /* holds the pipes open */
        }
        _exit(5);
    }
}

static inline json_t *fake_call(fake_worker *w, int64_t id, bool split)
{
    fake_misbehave(w);
    if (fake_is(w, "refuses")) {
        il_error err = {0};
        (void)il_fail(&err, IL_E_NONFINITE, "logit 7 of position 3 is not finite");
        return il_wire_failure_json(id, &err);
    }
    int64_t stamps[1024];
    int64_t t0_ns = fake_is(w, "other_clock") ? 1000 : il_clock_ns();
    il_wire_call_reply reply = {.split = split,
                                .t0_ns = t0_ns,
                                .t_first_ns = t0_ns + 1,
                                .t_step_ns = stamps,
                                .n_steps = w->n_steps,
                                .prompt_tok = w->n_ids,
                                .minor_faults = 3,
                                .prefill_event_ms = NAN,
                                .decode_event_ms = NAN,
                                .gpu_peak_mb = 5.5};
    for (uint32_t i = 0; i < w->n_steps; i++) {
        stamps[i] = t0_ns + 2 + i;
    }
    reply.t_end_ns = t0_ns + 1 + w->n_steps;
    while (il_clock_ns() < reply.t_end_ns) {
    }
    if (fake_is(w, "back_step")) {
        stamps[1] = t0_ns;
    }
    json_t *message = il_wire_call_reply_json(fake_is(w, "wrong_id") ? id + 1 : id, &reply);
    if (fake_is(w, "unknown_keys")) {
        (void)json_object_set_new(message, "novelty", json_pack("{s:[i]}", "x", 1));
    }
    return message;
}

static inline json_t *fake_answer(fake_worker *w, const json_t *message)
{
    il_wire_type type;
    int64_t id;
    bool split;
    il_wire_prepare prepare;
    if (il_wire_request_read(message, &type, &id, NULL) != IL_OK) {
        _exit(90);
    }
    if (type == IL_WIRE_LOAD) {
        il_wire_load load;
        if (il_wire_load_read(message, &load, NULL) != IL_OK) {
            _exit(93);
        }
        /* Options come back as facts, so that a test sees what arrived. */
        int64_t now_ns = il_clock_ns();
        il_wire_load_reply reply = {.t0_ns = now_ns, .t1_ns = now_ns, .facts = load.options};
        return il_wire_load_reply_json(id, &reply);
    }
    if (type == IL_WIRE_PREPARE) {
        if (il_wire_prepare_read(message, &prepare, NULL) != IL_OK) {
            _exit(91);
        }
        w->n_steps = prepare.gen_tokens;
        w->n_ids = prepare.n_ids;
        free((void *)(uintptr_t)prepare.ids);
    }
    if (type == IL_WIRE_CALL && il_wire_call_read(message, &split, NULL) == IL_OK) {
        return fake_call(w, id, split);
    }
    return il_wire_ok_json(id);
}

static inline int fake_worker_main(const char *how)
{
    fake_worker w = {.how = how};
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        return 92;
    }
    printf("a library prints this, and it must not matter\n");
    (void)fflush(stdout);
    il_wire_channel_init(&w.channel, STDIN_FILENO, out, -1, "the driver");
    if (fake_is(&w, "dies_first")) {
        fake_print(STDERR_FILENO, "libmissing.so: cannot open\n");
        return 127;
    }
    fake_hello(&w);
    json_t *message = NULL;
    while (il_wire_receive(&w.channel, IL_WIRE_NO_DEADLINE, &message, NULL) == IL_OK) {
        const char *type = json_string_value(json_object_get(message, "type"));
        bool bye = type && strcmp(type, "bye") == 0;
        json_t *reply = fake_answer(&w, message);
        json_decref(message);
        if (il_wire_send(&w.channel, reply, IL_WIRE_NO_DEADLINE, NULL) != IL_OK) {
            break;
        }
        if (bye && fake_is(&w, "stays")) {
            fake_hang();
        }
        if (bye) {
            break;
        }
    }
    il_wire_channel_free(&w.channel);
    return fake_is(&w, "bad_bye") ? 3 : 0;
}

#endif
