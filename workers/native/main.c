/* SPDX-License-Identifier: Apache-2.0 */
#include "os/clock.h"
#include "workers/native/worker.h"

#include "base/version.h"
#include "model/native_families.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* What libraries print must not mix with messages: 1 becomes a copy of 2, and messages go to a
 * descriptor nobody else knows. −1 when that fails. */
static int take_stdout(void)
{
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return fd >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) == STDOUT_FILENO ? fd : -1;
}

static int say_hello(il__worker *worker, il_error *err)
{
    json_t *dtypes = json_pack("[s,s]", il_dtype_name(IL_DTYPE_F32), il_dtype_name(IL_DTYPE_BF16));
    json_t *devices = json_pack("[s]", "cpu");
    json_t *families = json_array();
    for (size_t i = 0; il_native_family_at(i); i++) {
        (void)json_array_append_new(families, json_string(il_native_family_at(i)));
    }
    il_wire_hello hello = {
        .protocol = IL_WIRE_PROTOCOL,
        .worker = "native",
        .version = il_version_text(),
        .source_hash = il_source_hash(),
        .pid = getpid(),
        .t_main_ns = worker->t_main_ns,
        .step_times = true,
        .unsplit = true,
        .logits = true,
        .dtypes = dtypes,
        .devices = devices,
        .families = families,
        .runtime_name = "inferlaw",
        .runtime_version = il_version_text(),
    };
    int rc = il_wire_send(&worker->channel, il_wire_hello_json(&hello), IL_WIRE_NO_DEADLINE, err);
    json_decref(dtypes);
    json_decref(devices);
    json_decref(families);
    return rc;
}

int main(int argc, char **argv)
{
    (void)argv;
    il__worker worker = {.t_main_ns = il_clock_ns()};
    if (argc != 1) {
        (void)fprintf(stderr, "inferlaw-worker-native takes no arguments: inferlaw starts it and "
                              "talks to it over its standard input (docs/wire.md)\n");
        return 2;
    }
    int out_fd = take_stdout();
    if (out_fd < 0) {
        perror("inferlaw-worker-native: cannot move standard output away");
        return 1;
    }
    il_wire_channel_init(&worker.channel, STDIN_FILENO, out_fd, -1, "the driver");
    il_error err = {0};
    int rc = say_hello(&worker, &err);
    int status = 1;
    if (rc == IL_OK) {
        status = il__worker_serve(&worker);
    } else if (rc != IL_E_CRASHED) {
        (void)fprintf(stderr, "inferlaw-worker-native: %s\n", err.what);
    }
    il_wire_channel_free(&worker.channel);
    return status;
}
