/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

static double real_of(const json_t *obj, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static void counters_read_exactly(void **state)
{
    (void)state;
    char *root = fixture_unpack("laptop");
    il_state s;
    double tick_ms = 1000.0 / (double)sysconf(_SC_CLK_TCK);
    il_state_read(4242, &s);
    check_near(s.busy_ms, (40000 + 1000 + 9000 + 200 + 300) * tick_ms, 1e-12);
    check_near(s.steal_ms, 0, 0);
    check_near(s.psi_cpu_ms, 2500.0, 1e-12);
    check_near(s.psi_io_ms, 1.25, 1e-12);
    check_near(s.psi_memory_ms, 0, 0);
    check_near(s.mhz, 1800.0, 1e-12); /* of 1200 and 2400 in turn */
    check_near(s.load1, 5.25, 0);
    assert_true(isnan(s.throttled_ms));
    check_near(s.process_cpu_ms, 300 * tick_ms, 1e-12);
    assert_true(s.minor_faults == 1500 && s.major_faults == 7);
    assert_true(s.ctx_voluntary == 210 && s.ctx_involuntary == 43);
    assert_true(s.rss_bytes == 2048 * (uint64_t)sysconf(_SC_PAGESIZE));
    fixture_drop(root);
}

static void deltas_and_nulls(void **state)
{
    (void)state;
    char *root = fixture_unpack("laptop");
    il_state before, after;
    double tick_ms = 1000.0 / (double)sysconf(_SC_CLK_TCK);
    il_state_read(4242, &before);
    fixture_put(root, "/proc/stat", "cpu  40100 1000 9000 800000 500 200 300 4 0 0\n");
    fixture_put(root, "/proc/pressure/io", "some avg10=0 total=3250\n");
    fixture_put(root, "/proc/pressure/memory", "nonsense");
    fixture_put(root, "/proc/4242/stat",
                "4242 (w) R 1 4242 4242 0 -1 0 1600 0 9 0 310 50 0 0 20 0 2 "
                "0 100 900000 4096 1 1 1 0");
    fixture_put(root, "/proc/4242/task/4243/status",
                "voluntary_ctxt_switches:\t100\nnonvoluntary_ctxt_switches:\t45\n");
    il_state_read(4242, &after);
    json_t *j = il_state_json(&before, &after);
    check_near(real_of(j, "steal_ms"), 4 * tick_ms, 1e-9);
    check_near(real_of(j, "busy_other_ms"), (100 - 60) * tick_ms, 1e-9);
    check_near(real_of(j, "psi_io_ms"), 2.0, 1e-9);
    assert_true(json_is_null(json_object_get(j, "psi_memory_ms")));
    assert_true(json_is_null(json_object_get(j, "throttled_ms")));
    check_near(real_of(j, "minor_faults"), 100, 0);
    check_near(real_of(j, "major_faults"), 2, 0);
    check_near(real_of(j, "ctx_involuntary"), 5, 0);
    /* It fell, since a thread ended: unknown, not negative. */
    assert_true(json_is_null(json_object_get(j, "ctx_voluntary")));
    check_near(real_of(j, "rss_bytes"), 4096.0 * (double)sysconf(_SC_PAGESIZE), 0);
    check_near(real_of(j, "mhz"), 1800, 1e-12);
    json_decref(j);
    fixture_drop(root);
}

/* The words that a pair of states raises, joined by blanks. */
static const char *raised(const il_gates *gates, const il_state *before, const il_state *after,
                          uint32_t n_cpus)
{
    static char words[128];
    json_t *flags = json_array();
    words[0] = '\0';
    assert_int_equal(il_gates_apply(gates, before, after, n_cpus, flags), IL_OK);
    for (size_t i = 0; i < json_array_size(flags); i++) {
        size_t used = strlen(words);
        (void)snprintf(words + used, sizeof words - used, "%s%s", i ? " " : "",
                       json_string_value(json_array_get(flags, i)));
    }
    json_decref(flags);
    return words;
}

static void gates_raise_exactly_their_words(void **state)
{
    (void)state;
    const il_gates gates = {
        .steal_percent = 2, .busy_other_percent = 10, .major_faults = 3, .throttled_ms = 1};
    double tick_ms = 1000.0 / (double)sysconf(_SC_CLK_TCK);
    const il_state before = {.at_ns = 1000000000};
    il_state after = before;
    after.at_ns += 1000000000; /* 1000 ms on two CPUs: 2000 CPU-ms */
    assert_string_equal(raised(&gates, &before, &after, 2), "");
    after.steal_ms = 40;
    assert_string_equal(raised(&gates, &before, &after, 2), "");
    after.steal_ms = 40.001;
    assert_string_equal(raised(&gates, &before, &after, 2), "steal");
    after.steal_ms = 0;
    after.busy_ms = 1500;
    after.process_cpu_ms = 1500 - 200 - 2 * tick_ms;
    assert_string_equal(raised(&gates, &before, &after, 2), "");
    after.process_cpu_ms -= 0.001;
    assert_string_equal(raised(&gates, &before, &after, 2), "contended");
    after.process_cpu_ms = 1500;
    after.major_faults = 3;
    after.throttled_ms = 1;
    assert_string_equal(raised(&gates, &before, &after, 2), "");
    after.major_faults = 4;
    assert_string_equal(raised(&gates, &before, &after, 2), "major_faults");
    after.throttled_ms = 1.5;
    after.steal_ms = 2000;
    after.process_cpu_ms = 0;
    assert_string_equal(raised(&gates, &before, &after, 2),
                        "steal contended major_faults throttled");
}

static void unreadable_counters_raise_nothing(void **state)
{
    (void)state;
    il_state before = {.steal_ms = NAN,
                       .busy_ms = NAN,
                       .throttled_ms = NAN,
                       .process_cpu_ms = NAN,
                       .major_faults = UINT64_MAX};
    il_state after = {.at_ns = 1000,
                      .steal_ms = 1e9,
                      .busy_ms = 1e9,
                      .throttled_ms = 1e9,
                      .process_cpu_ms = 0,
                      .major_faults = 1000};
    assert_string_equal(raised(&il_gates_default, &before, &after, 2), "");
    assert_string_equal(raised(&il_gates_default, &after, &before, 2), "");
}

static void own_process_moves(void **state)
{
    (void)state;
    il_state before, after;
    il_state_read(getpid(), &before);
    volatile double sink = 1;
    while (sink < 3e6) {
        sink = sink + 1;
    }
    il_state_read(getpid(), &after);
    assert_true(after.process_cpu_ms > before.process_cpu_ms); /* finer than a tick */
    assert_true(after.at_ns > before.at_ns);
    assert_true(after.rss_bytes > 0 && after.rss_bytes != UINT64_MAX);
    assert_true(after.ctx_involuntary != UINT64_MAX);
}

static void a_dead_process_is_unreadable(void **state)
{
    (void)state;
    il_state s;
    il_state_read(0x3ffffff0, &s); /* above the largest pid there can be */
    assert_true(s.major_faults == UINT64_MAX && s.rss_bytes == UINT64_MAX);
    assert_true(isnan(s.process_cpu_ms));
    assert_true(s.busy_ms > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_read_exactly),
        cmocka_unit_test(deltas_and_nulls),
        cmocka_unit_test(gates_raise_exactly_their_words),
        cmocka_unit_test(unreadable_counters_raise_nothing),
        cmocka_unit_test(own_process_moves),
        cmocka_unit_test(a_dead_process_is_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
