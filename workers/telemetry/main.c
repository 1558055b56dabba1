/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"
#include "os/clock.h"
#include "wire/channel.h"
#include "wire/message.h"
#include "workers/telemetry/telemetry.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WHY_BYTES = 200, WATCH_MS = 120 };

typedef struct worker {
    il_wire_channel channel;
    il__rapl *rapl;
    il__nvml *nvml;
    char why_rapl[WHY_BYTES], why_nvml[WHY_BYTES];
} worker;

static int say_hello(worker *w, int64_t t_main_ns, il_error *err)
{
    json_t *none = json_array();
    il_wire_hello hello = {.protocol = IL_WIRE_PROTOCOL,
                           .worker = "telemetry",
                           .version = il_version_text(),
                           .source_hash = il_source_hash(),
                           .pid = getpid(),
                           .t_main_ns = t_main_ns,
                           .dtypes = none,
                           .devices = none,
                           .runtime_name = "inferlaw",
                           .runtime_version = il_version_text()};
    int rc = il_wire_send(&w->channel, il_wire_hello_json(&hello), IL_WIRE_NO_DEADLINE, err);
    json_decref(none);
    return rc;
}

static size_t read_all(worker *w, il__meter *meters)
{
    size_t n = il__rapl_read(w->rapl, meters, IL__MOST_METERS);
    return n + il__nvml_read(w->nvml, meters + n, IL__MOST_METERS - n);
}

/* Reads again and again for a moment, so that how often each counter changes is known. */
static void watch(worker *w)
{
    il__meter meters[IL__MOST_METERS];
    const struct timespec pause = {.tv_nsec = 200000};
    int64_t until_ns = il_clock_ns() + (int64_t)WATCH_MS * 1000000;
    while (read_all(w, meters) > 0 && il_clock_ns() < until_ns) {
        (void)nanosleep(&pause, NULL);
    }
}

static json_t *telemetry(worker *w, int64_t id)
{
    il__meter meters[IL__MOST_METERS];
    size_t n = read_all(w, meters);
    json_t *list = json_array(), *why = json_array(), *reply = il_wire_ok_json(id);
    for (size_t i = 0; i < n; i++) {
        const il__meter *m = &meters[i];
        (void)json_array_append_new(
            list,
            json_pack("{s:s,s:s,s:I,s:I,s:o}", "name", m->name, "kind", m->kind, "at_ns",
                      (json_int_t)m->at_ns, "energy_uj", (json_int_t)m->energy_uj, "resolution_ms",
                      isnan(m->resolution_ms) ? json_null() : json_real(m->resolution_ms)));
    }
    if (w->why_rapl[0]) {
        (void)json_array_append_new(why, json_string(w->why_rapl));
    }
    if (w->why_nvml[0]) {
        (void)json_array_append_new(why, json_string(w->why_nvml));
    }
    (void)json_object_set_new(reply, "meters", list);
    (void)json_object_set_new(reply, "unreadable", why);
    return reply;
}

static int serve(worker *w)
{
    for (bool leave = false; !leave;) {
        json_t *message = NULL, *reply;
        il_error err = {0};
        il_wire_type type;
        int64_t id = 0;
        if (il_wire_receive(&w->channel, IL_WIRE_NO_DEADLINE, &message, &err) != IL_OK) {
            return w->channel.closed && w->channel.in.len == 0 ? 0 : 1;
        }
        int rc = il_wire_request_read(message, &type, &id, &err);
        json_decref(message);
        leave = rc == IL_OK && type == IL_WIRE_BYE;
        if (rc == IL_OK && type != IL_WIRE_TELEMETRY && !leave) {
            rc = il_fail(&err, IL_E_UNSUPPORTED, "the telemetry worker reads meters, no more");
        }
        reply = rc != IL_OK ? il_wire_failure_json(id, &err)
                : leave     ? il_wire_ok_json(id)
                            : telemetry(w, id);
        if (il_wire_send(&w->channel, reply, IL_WIRE_NO_DEADLINE, &err) != IL_OK) {
            return 1;
        }
    }
    return 0;
}

/* --root DIR and --nvml FILE stand in for the machine in tests. */
int main(int argc, char **argv)
{
    worker w = {.rapl = NULL};
    il_error err = {0};
    const char *root = "", *library = "libnvidia-ml.so.1";
    int64_t t_main_ns = il_clock_ns();
    for (int i = 1; i + 1 < argc; i += 2) {
        root = strcmp(argv[i], "--root") == 0 ? argv[i + 1] : root;
        library = strcmp(argv[i], "--nvml") == 0 ? argv[i + 1] : library;
    }
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) != STDOUT_FILENO) {
        perror("inferlaw-worker-telemetry: cannot move standard output away");
        return 1;
    }
    il_wire_channel_init(&w.channel, STDIN_FILENO, fd, -1, "the driver");
    w.rapl = il__rapl_open(root, w.why_rapl, sizeof w.why_rapl);
    w.nvml = il__nvml_open(library, w.why_nvml, sizeof w.why_nvml);
    watch(&w);
    int status = say_hello(&w, t_main_ns, &err) == IL_OK ? serve(&w) : 1;
    il__nvml_close(w.nvml);
    il__rapl_close(w.rapl);
    il_wire_channel_free(&w.channel);
    return status;
}
