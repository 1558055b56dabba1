/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The telemetry worker on trees that stand in for /sys and on a library that stands in for NVML:
 * domains and their names, counters that wrap, power integrated to energy, and the words for what
 * cannot be read.
 */
#include "check.h"

#include "base/file.h"
#include "os/clock.h"
#include "os/process.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char root[512];

static void put(const char *zone, const char *name, const char *text)
{
    char dir[900], path[1000];
    il_error err = {0};
    (void)snprintf(dir, sizeof dir, "%s/sys/class/powercap/%s", root, zone);
    check_ok(il_dir_make(dir, &err), &err);
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    check_ok(il_file_write_atomic(path, text, strlen(text), &err), &err);
}

typedef struct talk {
    il_process *process;
    il_wire_channel channel;
} talk;

static json_t *hear(talk *t)
{
    json_t *message = NULL;
    il_error err = {0};
    check_ok(il_wire_receive(&t->channel, il_clock_ns() + 20000000000, &message, &err), &err);
    return message;
}

static talk talk_open(const char *library)
{
    talk t;
    const char *argv[] = {IL_TEST_TELEMETRY, "--root", root, "--nvml", library, NULL};
    il_process_options options = {.argv = argv};
    il_wire_hello hello;
    il_error err = {0};
    check_ok(il_process_spawn(&options, &t.process, &err), &err);
    il_wire_channel_init(&t.channel, il_process_stdout(t.process), il_process_stdin(t.process),
                         il_process_watch_fd(t.process), "the worker");
    json_t *message = hear(&t);
    check_ok(il_wire_hello_read(message, &hello, &err), &err);
    json_decref(message);
    return t;
}

static void talk_close(talk *t)
{
    il_process_state end;
    il_process_close_stdin(t->process);
    assert_int_equal(il_process_wait(t->process, 5000, &end), IL_OK);
    assert_int_equal(end.phase, IL_PROCESS_EXITED);
    assert_int_equal(end.status, 0);
    il_process_free(t->process);
    il_wire_channel_free(&t->channel);
}

static json_t *ask(talk *t)
{
    il_error err = {0};
    check_ok(il_wire_send(&t->channel, il_wire_request_json(IL_WIRE_TELEMETRY, 1),
                          il_clock_ns() + 20000000000, &err),
             &err);
    return hear(t);
}

static const json_t *meter(const json_t *reply, const char *name)
{
    size_t i;
    const json_t *m;
    json_array_foreach(json_object_get(reply, "meters"), i, m)
    {
        if (strcmp(json_string_value(json_object_get(m, "name")), name) == 0) {
            return m;
        }
    }
    return NULL;
}

static int64_t energy(const json_t *reply, const char *name)
{
    const json_t *m = meter(reply, name);
    assert_non_null(m);
    return json_integer_value(json_object_get(m, "energy_uj"));
}

static void test_rapl(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "%s", check_scratch_dir("rapl"));
    put("intel-rapl:0", "name", "package-0\n");
    put("intel-rapl:0", "energy_uj", "1000000\n");
    put("intel-rapl:0", "max_energy_range_uj", "5000000\n");
    put("intel-rapl:0:0", "name", "dram\n");
    put("intel-rapl:0:0", "energy_uj", "70\n");
    put("intel-rapl:1", "name", "package-1\n"); /* no counter: not a meter */
    put("dtpm", "energy_uj", "5\n");            /* not RAPL */
    talk t = talk_open("/nowhere/libnvidia-ml.so.1");
    json_t *reply = ask(&t);
    assert_int_equal(json_array_size(json_object_get(reply, "meters")), 2);
    assert_int_equal(json_array_size(json_object_get(reply, "unreadable")), 1); /* NVML */
    int64_t first = energy(reply, "rapl:package-0");
    (void)energy(reply, "rapl:package-0/dram");
    json_decref(reply);
    put("intel-rapl:0", "energy_uj", "4000000\n");
    reply = ask(&t);
    assert_int_equal(energy(reply, "rapl:package-0") - first, 3000000);
    json_decref(reply);
    put("intel-rapl:0", "energy_uj", "500000\n"); /* wrapped at 5 J */
    put("intel-rapl:0:0", "energy_uj", "20\n");   /* went down without a range: nothing is added */
    reply = ask(&t);
    assert_int_equal(energy(reply, "rapl:package-0") - first, 4500000);
    assert_int_equal(energy(reply, "rapl:package-0/dram"), 0);
    assert_true(json_is_real(json_object_get(meter(reply, "rapl:package-0"), "resolution_ms")));
    json_decref(reply);
    talk_close(&t);
}

static void test_nvml(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "%s", check_scratch_dir("rapl"));
    talk t = talk_open(IL_TEST_FAKE_NVML);
    json_t *one = ask(&t), *two = ask(&t);
    assert_int_equal(json_array_size(json_object_get(one, "meters")), 2);
    assert_int_equal(energy(two, "nvml:0") - energy(one, "nvml:0"), 1500000);
    assert_string_equal(json_string_value(json_object_get(meter(one, "nvml:0"), "kind")),
                        "counter");
    assert_string_equal(json_string_value(json_object_get(meter(one, "nvml:1"), "kind")), "power");
    json_decref(two);
    const struct timespec pause = {.tv_nsec = 100000000};
    (void)nanosleep(&pause, NULL);
    two = ask(&t);
    /* 25 W over the time between the meter's own stamps. */
    const json_t *a = meter(one, "nvml:1"), *b = meter(two, "nvml:1");
    double seconds = (double)(json_integer_value(json_object_get(b, "at_ns")) -
                              json_integer_value(json_object_get(a, "at_ns"))) *
                     1e-9;
    assert_true(seconds > 0.09);
    check_near((double)(energy(two, "nvml:1") - energy(one, "nvml:1")), 25e6 * seconds, 1e-3);
    json_decref(one);
    json_decref(two);
    talk_close(&t);
}

static void test_nothing(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "%s", check_scratch_dir("rapl"));
    talk t = talk_open("/nowhere/libnvidia-ml.so.1");
    json_t *reply = ask(&t);
    assert_int_equal(json_array_size(json_object_get(reply, "meters")), 0);
    const json_t *why = json_object_get(reply, "unreadable");
    assert_int_equal(json_array_size(why), 2);
    assert_non_null(strstr(json_string_value(json_array_get(why, 0)), "no /sys/class/powercap"));
    assert_non_null(strstr(json_string_value(json_array_get(why, 1)), "libnvidia-ml"));
    json_decref(reply);
    talk_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rapl),
        cmocka_unit_test(test_nvml),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
