/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runtimes are played by shell scripts in a PATH of our own.
 */
#include "check.h"

#include "base/file.h"
#include "base/version.h"
#include "os/runtimes.h"
#include "os/runtimes_dir.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[512], installed[520], old_path[8192];

static void put_program(const char *name, const char *body)
{
    char path[600], text[2048];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int n = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
    check_ok(il_file_write_atomic(path, text, (size_t)n, &err), &err);
    assert_int_equal(chmod(path, 0755), 0);
}

static void drop_program(const char *name)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
}

static const il_runtime *row(const il_runtime *list, const char *name)
{
    for (int i = 0; i < IL_RUNTIMES; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return &list[i];
        }
    }
    fail_msg("no row %s", name);
    return list;
}

static int start(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("runtimes"));
    (void)snprintf(old_path, sizeof old_path, "%s", getenv("PATH"));
    (void)snprintf(installed, sizeof installed, "%s/rt", dir);
    return setenv("PATH", dir, 1) || setenv("INFERLAW_RUNTIMES", installed, 1);
}

static int stop(void **state)
{
    (void)state;
    (void)rmdir(dir);
    return setenv("PATH", old_path, 1);
}

static void everything_missing_has_a_remedy(void **state)
{
    (void)state;
    il_runtime list[IL_RUNTIMES];
    il_runtimes_find(dir, true, list);
    static const char *const names[] = {"native", "transformers (PyTorch)", "onnxruntime",
                                        "vllm",   "llama.cpp server",       "gnuplot"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const il_runtime *r = row(list, names[i]);
        assert_false(r->found);
        assert_non_null(r->install);
        assert_string_equal(r->version, "");
    }
    assert_non_null(strstr(row(list, "transformers (PyTorch)")->note, "python3"));
    assert_non_null(strstr(row(list, "gnuplot")->install, "apt-get install gnuplot-nox"));
    assert_string_equal(row(list, "onnxruntime")->install, "inferlaw runtimes install onnxruntime");
    assert_string_equal(row(list, "ollama")->install, "inferlaw runtimes install ollama");
    json_t *j = il_runtimes_json(list);
    assert_int_equal(json_array_size(j), IL_RUNTIMES);
    json_decref(j);
}

static void versions_are_read(void **state)
{
    (void)state;
    il_runtime list[IL_RUNTIMES];
    char hello[512];
    put_program("gnuplot", "echo 'gnuplot 5.4 patchlevel 4'");
    put_program("ollama", "echo 'Warning: could not connect' >&2; echo 'ollama version is 0.17.4'");
    put_program("llama-server", "echo 'version: 4242 (abcdef)' >&2");
    put_program("python3", "echo torch=2.1.0; echo transformers=4.40.2; echo vllm=0.32.0; "
                           "echo python=/usr/bin/python3");
    (void)snprintf(hello, sizeof hello,
                   "echo '{\"type\":\"hello\",\"version\":\"9.9\",\"source_hash\":\"%s\"}'",
                   il_source_hash());
    put_program("inferlaw-worker-native", hello);
    il_runtimes_find(dir, true, list);
    assert_string_equal(row(list, "gnuplot")->version, "5.4 patchlevel 4");
    assert_string_equal(row(list, "ollama")->version, "0.17.4");
    assert_string_equal(row(list, "llama.cpp server")->version, "4242 (abcdef)");
    assert_string_equal(row(list, "transformers (PyTorch)")->version,
                        "torch 2.1.0, transformers 4.40.2");
    assert_string_equal(row(list, "transformers (PyTorch)")->where, "/usr/bin/python3");
    assert_string_equal(row(list, "vllm")->version, "0.32.0");
    assert_false(row(list, "onnxruntime")->found);
    assert_true(row(list, "native")->found);
    assert_string_equal(row(list, "native")->version, "9.9");
    assert_string_equal(row(list, "native")->note, "");
    assert_string_equal(row(list, "native")->use, "driven");
}

static void broken_programs_are_described(void **state)
{
    (void)state;
    il_runtime list[IL_RUNTIMES];
    put_program("gnuplot", "kill -ABRT $$");
    put_program("inferlaw-worker-native", "echo '{\"version\":\"0.0\",\"source_hash\":\"other\"}'");
    put_program("llama-server", "printf 'version: \\033[31m\\377x\\n'");
    put_program("python3",
                "case \"$2\" in *importlib*) echo torch=1; echo transformers=2;;"
                "*) echo 'Traceback:' >&2; echo 'ImportError: libmkl' >&2; exit 1;; esac");
    il_runtimes_find(dir, false, list);
    assert_true(row(list, "gnuplot")->found);
    assert_non_null(strstr(row(list, "gnuplot")->note, "signal 6"));
    assert_non_null(strstr(row(list, "native")->note, "other sources"));
    assert_string_equal(row(list, "llama.cpp server")->version, "?[31m?x");
    assert_string_equal(row(list, "transformers (PyTorch)")->note,
                        "installed, but the import fails: ImportError: libmkl");
    put_program("inferlaw-worker-native", "echo nonsense");
    put_program("python3", "echo torch=2.1.0");
    il_runtimes_find(dir, true, list);
    assert_non_null(strstr(row(list, "native")->note, "hello"));
    assert_false(row(list, "transformers (PyTorch)")->found);
    assert_string_equal(row(list, "transformers (PyTorch)")->note,
                        "torch is there, transformers is missing");
    static const char *const all[] = {"gnuplot", "ollama", "llama-server", "python3",
                                      "inferlaw-worker-native"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        drop_program(all[i]);
    }
}

static void put_runtime(const char *name, const char *program, const char *version)
{
    char path[700];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s/bin", installed, name);
    check_ok(il_dir_make(path, &err), &err);
    (void)snprintf(path, sizeof path, "rt/%s/bin/%s", name, program);
    put_program(path, "exit 7");
    (void)snprintf(path, sizeof path, "%s/%s/VERSION", installed, name);
    check_ok(il_file_write_atomic(path, version, strlen(version), &err), &err);
}

static void drop_runtime(const char *name, const char *program)
{
    char path[700];
    const char *const tails[] = {"/bin/", "/VERSION", "/bin", ""};
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s%s%s", installed, name, tails[i],
                       i == 0 ? program : "");
        assert_int_equal(remove(path), 0);
    }
}

/* The runtimes directory comes before the PATH, an unfinished installation counts as none. */
static void installed_runtimes_come_first(void **state)
{
    (void)state;
    char path[600], text[300];
    il_error err = {0};
    il_runtime list[IL_RUNTIMES];
    put_program("ollama", "echo 'ollama version is 0.1.0'");
    put_runtime("ollama", "ollama", "ollama 0.17.4\n");
    put_runtime("hf-light", "python", "torch 1.13.1, transformers 4.40.2\n");
    put_runtime("llama.cpp-light", "python", "xllamacpp 1.2\n");
    put_runtime("onnxruntime", "python", "onnxruntime 1.32.0 (CPU)\n");
    il_runtimes_find(dir, true, list);
    assert_string_equal(row(list, "ollama")->version, "0.17.4");
    (void)snprintf(path, sizeof path, "%s/ollama/bin/ollama", installed);
    assert_string_equal(row(list, "ollama")->where, path);
    assert_string_equal(row(list, "transformers (PyTorch)")->version,
                        "torch 1.13.1, transformers 4.40.2");
    assert_string_equal(row(list, "onnxruntime")->version, "1.32.0 (CPU)");
    assert_true(row(list, "llama.cpp server")->found);
    assert_non_null(strstr(row(list, "llama.cpp server")->note, "inferlaw runtimes install"));
    assert_false(row(list, "vllm")->found);

    char out[16];
    assert_int_equal(il_runtime_python("hf", path, sizeof path, &err), IL_E_NOT_FOUND);
    assert_string_equal(err.hint, "inferlaw runtimes install hf");
    assert_int_equal(il_runtime_python("hf-light", out, sizeof out, &err), IL_E_RANGE);
    assert_true(il_runtime_version("ollama", text, sizeof text));
    (void)snprintf(path, sizeof path, "%s/ollama/VERSION", installed);
    assert_int_equal(unlink(path), 0);
    assert_false(il_runtime_version("ollama", text, sizeof text));
    il_runtimes_find(dir, true, list);
    assert_string_equal(row(list, "ollama")->version, "0.1.0");

    put_runtime("ollama", "ollama", "again\n");
    drop_runtime("ollama", "ollama");
    drop_runtime("hf-light", "python");
    drop_runtime("llama.cpp-light", "python");
    drop_runtime("onnxruntime", "python");
    drop_program("ollama");
    assert_int_equal(rmdir(installed), 0);
}

static void the_directory_follows_the_variables(void **state)
{
    (void)state;
    char path[600], small[8];
    il_error err = {0};
    check_ok(il_runtimes_dir(path, sizeof path, &err), &err);
    assert_string_equal(path, installed);
    assert_int_equal(il_runtimes_dir(small, sizeof small, &err), IL_E_RANGE);
    char *home = strdup(getenv("HOME") ? getenv("HOME") : "");
    assert_int_equal(unsetenv("INFERLAW_RUNTIMES"), 0);
    assert_int_equal(setenv("XDG_DATA_HOME", "/data", 1), 0);
    check_ok(il_runtimes_dir(path, sizeof path, &err), &err);
    assert_string_equal(path, "/data/inferlaw/runtimes");
    assert_int_equal(unsetenv("XDG_DATA_HOME"), 0);
    assert_int_equal(setenv("HOME", "/home/me", 1), 0);
    check_ok(il_runtimes_dir(path, sizeof path, &err), &err);
    assert_string_equal(path, "/home/me/.local/share/inferlaw/runtimes");
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(il_runtimes_dir(path, sizeof path, &err), IL_E_NOT_FOUND);
    assert_int_equal(setenv("HOME", home, 1), 0);
    assert_int_equal(setenv("INFERLAW_RUNTIMES", installed, 1), 0);
    free(home);
}

static void own_directory(void **state)
{
    (void)state;
    char here[4096];
    il_error err = {0};
    check_ok(il_exe_dir(here, sizeof here, &err), &err);
    assert_true(il_path_is_dir(here));
    char tiny[4];
    assert_int_equal(il_exe_dir(tiny, sizeof tiny, &err), IL_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_missing_has_a_remedy),
        cmocka_unit_test(versions_are_read),
        cmocka_unit_test(broken_programs_are_described),
        cmocka_unit_test(installed_runtimes_come_first),
        cmocka_unit_test(the_directory_follows_the_variables),
        cmocka_unit_test(own_directory),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
