/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "base/json.h"
#include "os/probe_command.h"

#include <unistd.h>

/* Runs doctor with the arguments, its standard output in a file below a scratch directory. */
static json_t *doctor_json(const char *arguments, double *wall_ms)
{
    char script[1200], file[600];
    il_probe_output out;
    il_error err = {0};
    json_t *doc = NULL;
    const char *dir = check_scratch_dir("doctor");
    (void)snprintf(file, sizeof file, "%s/out.json", dir);
    (void)snprintf(script, sizeof script, "cd %s && %s/inferlaw doctor --json %s > out.json", dir,
                   IL_TEST_BUILD_DIR, arguments);
    const char *const argv[] = {"sh", "-c", script, NULL};
    check_ok(il_probe_command(argv, 60000, true, &out, &err), &err);
    assert_int_equal(out.exit_status, 0);
    *wall_ms = out.wall_ms;
    check_ok(il_json_load(file, 1 << 20, &doc, &err), &err);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(dir), 0); /* empty: nothing was left behind */
    return doc;
}

static void has_sections(const json_t *doc)
{
    static const char *const sections[] = {"version", "machine",  "clock",   "ceilings",
                                           "disk",    "runtimes", "spoilers"};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        assert_non_null(json_object_get(doc, sections[i]));
    }
    assert_true(json_array_size(json_object_get(doc, "runtimes")) >= 9);
    assert_true(json_is_object(json_object_get(json_object_get(doc, "machine"), "cpu")));
    assert_true(json_is_integer(json_object_get(json_object_get(doc, "clock"), "step_ns")));
    assert_true(json_is_number(json_object_get(json_object_get(doc, "disk"), "median")));
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(doc, "spoilers"), i, row)
    {
        assert_true(json_string_length(json_object_get(row, "what")) > 0);
        assert_true(json_string_length(json_object_get(row, "fix")) > 0);
    }
    json_array_foreach(json_object_get(doc, "runtimes"), i, row)
    {
        /* Missing, and there is something to install: the command is said. */
        assert_true(json_is_boolean(json_object_get(row, "found")));
        assert_true(json_is_true(json_object_get(row, "found")) ||
                    json_is_string(json_object_get(row, "install")) ||
                    json_is_string(json_object_get(row, "note")));
    }
}

static void quick_has_every_section(void **state)
{
    (void)state;
    double wall_ms;
    json_t *doc = doctor_json("--quick", &wall_ms);
    has_sections(doc);
    assert_true(json_is_null(json_object_get(doc, "ceilings")));
    assert_true(wall_ms < 15000); /* a second on an idle machine; a sanitizer takes longer */
    json_decref(doc);
}

static void ceilings_have_intervals(void **state)
{
    (void)state;
    double wall_ms, l2 = 0, dram = 0;
    json_t *doc = doctor_json("--threads 1", &wall_ms);
    has_sections(doc);
    const json_t *ceilings = json_object_get(doc, "ceilings");
    static const char *const kinds[] = {"read", "multiply_add"};
    for (size_t k = 0; k < 2; k++) {
        size_t i;
        json_t *row;
        const json_t *rows = json_object_get(ceilings, kinds[k]);
        assert_true(json_array_size(rows) > 0);
        json_array_foreach(rows, i, row)
        {
            double median = json_number_value(json_object_get(row, "median"));
            assert_true(median > 0);
            assert_true(json_number_value(json_object_get(row, "ci_low")) <= median);
            assert_true(json_number_value(json_object_get(row, "ci_high")) >= median);
            assert_int_equal(json_integer_value(json_object_get(row, "threads")), 1);
            const char *level = json_string_value(json_object_get(row, "level"));
            l2 = level && strcmp(level, "L2") == 0 ? median : l2;
            dram = level && strcmp(level, "DRAM") == 0 ? median : dram;
        }
    }
    assert_true(dram > 0);
    assert_true(l2 == 0 || l2 > dram);
    assert_true(wall_ms < 40000);
    json_decref(doc);
}

static void text_says_what_json_says(void **state)
{
    (void)state;
    il_probe_output out;
    il_error err = {0};
    char exe[600];
    (void)snprintf(exe, sizeof exe, "%s/inferlaw", IL_TEST_BUILD_DIR);
    const char *const argv[] = {exe, "doctor", "--quick", NULL};
    check_ok(il_probe_command(argv, 30000, false, &out, &err), &err);
    assert_int_equal(out.exit_status, 0);
    static const char *const words[] = {"machine\n", "processor",   "caches",
                                        "ceilings",  "clock\n",     "journal line",
                                        "runtimes",  "onnxruntime", "gnuplot"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_non_null(strstr(out.text, words[i]));
    }
    const char *const bad[] = {exe, "doctor", "--thread", "1", NULL};
    check_ok(il_probe_command(bad, 30000, true, &out, &err), &err);
    assert_int_equal(out.exit_status, 1);
    assert_non_null(strstr(out.text, "threads")); /* the nearest flag */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_has_every_section),
        cmocka_unit_test(ceilings_have_intervals),
        cmocka_unit_test(text_says_what_json_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
