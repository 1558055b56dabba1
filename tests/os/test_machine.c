/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

#include "base/json.h"

static bool has(const il_spoiler *s, size_t n, const char *words, bool serious)
{
    for (size_t i = 0; i < n; i++) {
        if (strstr(s[i].what, words) && s[i].serious == serious) {
            assert_true(s[i].fix[0] != '\0');
            return true;
        }
    }
    return false;
}

static il_machine probe(const char *name, char **root)
{
    il_machine m;
    il_error err = {0};
    *root = fixture_unpack(name);
    check_ok(il_machine_probe(&m, &err), &err);
    return m;
}

static void laptop_reads_exactly(void **state)
{
    (void)state;
    char *root;
    il_machine m = probe("laptop", &root);
    assert_string_equal(m.cpu_model, "11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz");
    assert_string_equal(m.cpu_flags,
                        "sse4_2 avx avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512_vnni");
    assert_string_equal(m.hypervisor, "");
    assert_string_equal(m.host, "thinkpad");
    assert_string_equal(m.kernel, "6.8.0-45-generic");
    assert_string_equal(m.os, "Ubuntu 24.04.1 LTS");
    assert_int_equal(m.n_cpus_allowed, 8);
    assert_int_equal(m.n_cores_allowed, 4);
    assert_int_equal(m.n_numa, 1);
    assert_int_equal(m.l1d_bytes, 48 * 1024);
    assert_int_equal(m.l2_bytes, 1280 * 1024);
    assert_int_equal(m.l3_bytes, 12 * 1024 * 1024);
    assert_int_equal(m.n_l3, 1);
    assert_true(m.memory_bytes == UINT64_C(16124280) * 1024);
    assert_true(m.available_bytes == UINT64_C(901120) * 1024);
    assert_true(m.swap_bytes == UINT64_C(8388604) * 1024);
    assert_true(m.swap_used_bytes == UINT64_C(2097152) * 1024);
    assert_true(m.memory_limit_bytes == 0);
    check_near(m.cpu_quota, 0, 0);
    assert_string_equal(m.governor, "powersave");
    assert_string_equal(m.smt, "on");
    assert_string_equal(m.thp, "always");
    assert_string_equal(m.numa_balancing, "off");
    assert_true(m.turbo_known && m.turbo_on);
    check_near(m.load1, 5.25, 1e-15);
    check_close(m.steal_percent_since_boot, 0, 0);
    fixture_drop(root);
}

static void vm_reads_exactly(void **state)
{
    (void)state;
    char *root;
    il_machine m = probe("vm", &root);
    assert_string_equal(m.cpu_model, "AMD EPYC");
    assert_non_null(strstr(m.cpu_flags, "avx512_bf16"));
    assert_string_equal(m.hypervisor, "unknown"); /* no vendor file; CPUID is of this machine */
    assert_int_equal(m.n_cpus_allowed, 2);
    assert_int_equal(m.n_cores_allowed, 2);
    assert_int_equal(m.l1d_bytes, 32 * 1024);
    assert_int_equal(m.l2_bytes, 1024 * 1024);
    assert_int_equal(m.l3_bytes, 32 * 1024 * 1024);
    assert_true(m.memory_bytes == UINT64_C(24684096) * 1024);
    assert_true(m.swap_bytes == 0 && m.memory_limit_bytes == 0);
    assert_string_equal(m.governor, "");
    assert_string_equal(m.smt, "notsupported");
    assert_string_equal(m.thp, "madvise");
    assert_false(m.turbo_known);
    fixture_drop(root);
}

static void container_limits_are_found(void **state)
{
    (void)state;
    char *root;
    il_machine m = probe("container", &root);
    assert_int_equal(m.n_cpus_allowed, 4); /* 2-5 of 8 */
    assert_int_equal(m.n_cores_allowed, 4);
    assert_int_equal(m.n_l3, 2); /* the mask straddles both */
    assert_true(m.memory_limit_bytes == UINT64_C(2147483648));
    check_near(m.cpu_quota, 1.5, 0); /* the tightest level, not the nearest */
    assert_string_equal(m.hypervisor, "Microsoft Corporation");
    check_near(m.steal_percent_since_boot, 8.5, 1e-12);
    il_state s;
    il_state_read(0, &s);
    check_near(s.throttled_ms, 42.5, 1e-12); /* summed over levels */
    fixture_drop(root);
}

static void server_version_1_groups(void **state)
{
    (void)state;
    char *root;
    il_machine m = probe("server", &root);
    assert_int_equal(m.n_numa, 2);
    assert_int_equal(m.n_l3, 2);
    assert_int_equal(m.l3_bytes, 30 * 1024 * 1024);
    assert_true(m.memory_limit_bytes == UINT64_C(68719476736)); /* of the parent group */
    check_near(m.cpu_quota, 0, 0);                              /* -1 is none */
    assert_true(m.turbo_known && !m.turbo_on);
    assert_string_equal(m.smt, "off");
    il_state s;
    il_state_read(0, &s);
    check_near(s.throttled_ms, 7.0, 1e-12); /* nanoseconds in version 1 */
    fixture_drop(root);
}

static void spoilers_of_bad_and_clean_machines(void **state)
{
    (void)state;
    il_spoiler s[32];
    char *root;
    il_machine m = probe("laptop", &root);
    size_t n = il_machine_spoilers(&m, 1, s, 32);
    assert_true(has(s, n, "governor \"powersave\"", true));
    assert_true(has(s, n, "2048 MiB are swapped out", true));
    assert_true(has(s, n, "880 MiB of memory", true));
    assert_true(has(s, n, "SMT is on: 8 hardware threads share 4 cores", false));
    assert_true(has(s, n, "turbo", false));
    assert_true(has(s, n, "huge pages", false));
    assert_true(has(s, n, "load of the last minute is 5.25", false));
    for (size_t i = 1; i < n; i++) {
        assert_true(s[i - 1].serious >= s[i].serious);
    }
    assert_int_equal(il_machine_spoilers(&m, 0, s, 2), 2); /* never more than asked */
    fixture_drop(root);

    m = probe("container", &root);
    n = il_machine_spoilers(&m, 0, s, 32);
    assert_true(has(s, n, "1.50 of 4 CPUs", true));
    assert_true(has(s, n, "limits memory to 2048 MiB", false));
    assert_true(has(s, n, "8.5 % of the CPU time since boot", false));
    fixture_drop(root);

    m = probe("server", &root);
    n = il_machine_spoilers(&m, 1, s, 32);
    for (size_t i = 0; i < n; i++) {
        assert_false(s[i].serious);
    }
    fixture_drop(root);
}

static void json_says_null_for_the_unreadable(void **state)
{
    (void)state;
    char *root;
    il_machine m = probe("server", &root);
    json_t *j = il_machine_json(&m);
    assert_non_null(j);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "caches"), "l2_bytes")),
                     2 * 1024 * 1024);
    json_decref(j);
    fixture_put(root, "/proc/stat", "");
    fixture_put(root, "/proc/loadavg", "\n");
    il_error err = {0};
    check_ok(il_machine_probe(&m, &err), &err);
    j = il_machine_json(&m);
    assert_true(json_is_null(json_object_get(j, "load1")));
    assert_true(json_is_null(json_object_get(j, "steal_percent_since_boot")));
    json_decref(j);
    fixture_drop(root);
}

/* Every file of a machine in turn empty, negative, huge, binary: the probe ends and its numbers
 * stay within reason. */
static const char *const damage[] = {
    "",
    "-1\n",
    "99999999999999999999999999\n",
    "18446744073709551615 18446744073709551615\n",
    "cpu  -5 x\nMemTotal: -1 kB\nMemTotal: 99999999999999999999 "
    "kB\nCpus_allowed_list:\t7-2,99999\n",
    "0:::::\n::\n:\n0::relative\n - cgroup2\n1 2 3\n - - -\n",
    "\xff\xfe\x80[",
};

static void damaged_files_never_crash(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/self/status",
        "/proc/self/cgroup",
        "/proc/self/mountinfo",
        "/proc/stat",
        "/proc/loadavg",
        "/proc/pressure/cpu",
        "/sys/devices/system/cpu/smt/active",
        "/sys/devices/system/cpu/smt/control",
        "/sys/devices/system/cpu/intel_pstate/no_turbo",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/proc/sys/kernel/numa_balancing",
        "/sys/fs/cgroup/cpu.max",
        "/sys/fs/cgroup/memory.max",
        "/proc/4242/stat",
        "/proc/4242/task/4242/status",
    };
    char *root = fixture_unpack("laptop");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char kept[16384], full[1024];
        (void)snprintf(full, sizeof full, "%s%s", root, paths[i]);
        FILE *in = fopen(full, "rb");
        size_t n_kept = in ? fread(kept, 1, sizeof kept, in) : 0;
        if (in) {
            (void)fclose(in);
        }
        for (size_t k = 0; k < sizeof damage / sizeof damage[0]; k++) {
            il_machine m;
            il_state before, after;
            il_spoiler s[32];
            fixture_put(root, paths[i], damage[k]);
            il_machine_set_root(root); /* nothing remembered */
            (void)il_machine_probe(&m, NULL);
            assert_in_range(m.n_cpus_allowed, 1, 65536);
            assert_in_range(m.n_cores_allowed, 1, m.n_cpus_allowed);
            assert_true(m.swap_used_bytes <= m.swap_bytes);
            assert_true(isnan(m.load1) || m.load1 >= 0);
            assert_false(m.steal_percent_since_boot < 0 || m.steal_percent_since_boot > 100);
            il_state_read(4242, &before);
            il_state_read(4242, &after);
            json_t *j = il_machine_json(&m), *d = il_state_json(&before, &after);
            assert_non_null(j);
            assert_non_null(d);
            json_decref(j);
            json_decref(d);
            (void)il_machine_spoilers(&m, 0, s, 32);
        }
        if (in) {
            fixture_put_bytes(root, paths[i], kept, n_kept);
        } else {
            assert_int_equal(unlink(full), 0);
        }
    }
    fixture_drop(root);
}

static void nothing_to_read_is_an_error(void **state)
{
    (void)state;
    il_machine m;
    il_error err = {0};
    char *root = strdup(check_scratch_dir("empty"));
    il_machine_set_root(root);
    assert_int_equal(il_machine_probe(&m, &err), IL_E_NOT_FOUND);
    assert_non_null(strstr(err.where, "/proc"));
    il_state s;
    il_state_read(1, &s);
    assert_true(isnan(s.busy_ms) && isnan(s.mhz) && isnan(s.psi_io_ms) && isnan(s.throttled_ms));
    assert_true(s.ctx_involuntary == UINT64_MAX && s.rss_bytes == UINT64_MAX);
    fixture_drop(root);
}

static void this_machine_is_sane(void **state)
{
    (void)state;
    il_machine m;
    il_error err = {0};
    check_ok(il_machine_probe(&m, &err), &err);
    assert_in_range(m.n_cpus_allowed, 1, 65536);
    assert_in_range(m.n_cores_allowed, 1, m.n_cpus_allowed);
    assert_true(m.memory_bytes > UINT64_C(64) << 20);
    assert_true(m.available_bytes <= m.memory_bytes);
    assert_true(m.kernel[0] != '\0');
}

int main(void)
{
    /* hwloc's plugins look for GPUs: slow, and no part of this. */
    (void)setenv("HWLOC_PLUGINS_PATH", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laptop_reads_exactly),
        cmocka_unit_test(vm_reads_exactly),
        cmocka_unit_test(container_limits_are_found),
        cmocka_unit_test(server_version_1_groups),
        cmocka_unit_test(spoilers_of_bad_and_clean_machines),
        cmocka_unit_test(json_says_null_for_the_unreadable),
        cmocka_unit_test(damaged_files_never_crash),
        cmocka_unit_test(nothing_to_read_is_an_error),
        cmocka_unit_test(this_machine_is_sane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
