/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The program finds its own files from any working directory.
 */
#include "check.h"

#include "base/file.h"
#include "os/paths.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_from_anywhere(void **state)
{
    (void)state;
    char self[PATH_MAX], data[PATH_MAX], want[PATH_MAX], was[PATH_MAX];
    il_error err = {0};
    assert_non_null(getcwd(was, sizeof was));
    assert_int_equal(chdir("/"), 0);
    check_ok(il_path_self_dir(self, sizeof self, &err), &err);
    assert_non_null(realpath(IL_TEST_BUILD_DIR "/tests", want));
    assert_string_equal(self, want);
    check_ok(il_path_find_data("suites/tr121.json", data, sizeof data, &err), &err);
    assert_non_null(realpath(IL_TEST_SOURCE_DIR "/suites/tr121.json", want));
    assert_string_equal(data, want);
    assert_int_equal(chdir(was), 0);
}

static void test_absent(void **state)
{
    (void)state;
    char out[PATH_MAX];
    il_error err = {0};
    assert_int_equal(il_path_find_data("suites/none.json", out, sizeof out, &err), IL_E_NOT_FOUND);
    assert_non_null(strstr(err.what, "suites/none.json"));
    assert_non_null(strstr(err.what, "share/inferlaw"));
    assert_int_equal(il_path_find_worker("inferlaw-worker-none", out, sizeof out, &err),
                     IL_E_NOT_FOUND);
    assert_non_null(strstr(err.what, "libexec/inferlaw"));
    assert_int_equal(il_path_find_data("suites", out, 4, &err), IL_E_RANGE);
}

static void test_variable_rules(void **state)
{
    (void)state;
    char dir[512], path[600], out[PATH_MAX];
    il_error err = {0};
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("paths"));
    assert_int_equal(setenv("INFERLAW_DATA", dir, 1), 0);
    /* The variable replaces the other places, it does not come before them. */
    assert_int_equal(il_path_find_data("suites/tr121.json", out, sizeof out, &err), IL_E_NOT_FOUND);
    assert_non_null(strstr(err.hint, "INFERLAW_DATA"));
    (void)snprintf(path, sizeof path, "%s/here", dir);
    assert_int_equal(mkdir(path, 0777), 0);
    check_ok(il_path_find_data("here", out, sizeof out, &err), &err);
    assert_true(il_path_is_dir(out));
    assert_int_equal(rmdir(path) + rmdir(dir), 0);
    assert_int_equal(unsetenv("INFERLAW_DATA"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_anywhere),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_variable_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
