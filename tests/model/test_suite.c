/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Suites and the selectors that pick from them.
 */
#include "check.h"

#include "base/file.h"
#include "model/suite.h"

#include <sys/stat.h>

static void names_of(const char *selector, char *out, size_t n)
{
    il_arena arena = {0};
    il_suite suite;
    il_error err = {0};
    check_ok(il_suite_select(selector, &arena, &suite, &err), &err);
    out[0] = '\0';
    for (size_t i = 0; i < suite.n_shapes; i++) {
        (void)snprintf(out + strlen(out), n - strlen(out), "%s%s", i ? " " : "",
                       suite.shapes[i].name);
    }
    il_arena_free(&arena);
}

static void test_selectors(void **state)
{
    (void)state;
    static const struct {
        const char *selector, *names;
    } good[] = {
        {"tr121", "tiny-gpt2 gpt2-5m gpt2-25m gpt2-45m gpt2-50m gpt2-75m gpt2-100m"},
        {"tr121/gpt2-25m", "gpt2-25m"},
        {"tr121<1m", "tiny-gpt2"}, /* no size in the name: counted */
        {"tr121>=50m", "gpt2-50m gpt2-75m gpt2-100m"},
        {"tr121>50m", "gpt2-75m gpt2-100m"},
        {"pythia<=1b", "pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b"},
        {"pythia<1b>=70m", "pythia-70m pythia-160m pythia-410m"},
        {"pythia<=1.4B>1b", "pythia-1.4b"},
        {"qwen3>=30b<100b", "qwen3-32b qwen3-30b-a3b"}, /* a3b is no size of the whole */
        {"olmoe>=7b", "olmoe-1b-7b"},
        {"mixtral<=50b", "mixtral-8x7b"},
        {"ladder11<=250k", "ladder-60k ladder-118k ladder-244k"},
        {"ladder11<=100000", "ladder-60k"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char names[512];
        names_of(good[i].selector, names, sizeof names);
        assert_string_equal(names, good[i].names);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *selector;
        int code;
        const char *says;
    } bad[] = {
        {"pythai", IL_E_NOT_FOUND, "\"pythia\""},
        {"nothing-like-it", IL_E_NOT_FOUND, "model list"},
        {"", IL_E_NOT_FOUND, "no suite"},
        {"tr121/gpt2-26m", IL_E_NOT_FOUND, "tr121/gpt2-2"},
        {"tr121/", IL_E_NOT_FOUND, "no model"},
        {"tr121<=", IL_E_INVALID, "<=1b"},
        {"tr121=5m", IL_E_INVALID, "no limit"},
        {"tr121<=5q", IL_E_INVALID, "no limit"},
        {"tr121<=0", IL_E_INVALID, "no limit"},
        {"tr121<=1k", IL_E_NOT_FOUND, "fits"},
        {"../tr121", IL_E_NOT_FOUND, "no suite"},
        {"tr121<1m<1m<1m<1m<1m", IL_E_INVALID, "more than 4"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        il_arena arena = {0};
        il_suite suite;
        il_error err = {0};
        int rc = il_suite_select(bad[i].selector, &arena, &suite, &err);
        if (rc != bad[i].code ||
            (!strstr(err.what, bad[i].says) && !strstr(err.hint, bad[i].says))) {
            fail_msg("%s: %s: %s (%s)", bad[i].selector, il_code_name(rc), err.what, err.hint);
        }
        il_arena_free(&arena);
    }
}

static void write_suite(const char *dir, const char *text)
{
    char path[600];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/suites/own.json", dir);
    check_ok(il_file_write_atomic(path, text, strlen(text), &err), &err);
}

/* A person's own suite, and own suites that are broken. */
static void test_own_suites(void **state)
{
    (void)state;
    char dir[512], path[600], command[600];
    il_arena arena = {0};
    il_suite suite;
    il_error err = {0};
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("suite"));
    (void)snprintf(path, sizeof path, "%s/suites", dir);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(setenv("INFERLAW_DATA", dir, 1), 0);
#define MODEL                                                                                      \
    "{\"name\":\"a\",\"config\":{\"model_type\":\"gpt2\",\"n_layer\":1,\"n_embd\":4,\"n_head\":1}" \
    "}"
    write_suite(dir, "{\"name\":\"own\",\"models\":[" MODEL "]}");
    check_ok(il_suite_load("own", &arena, &suite, &err), &err);
    assert_int_equal(suite.n_shapes, 1);
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"{\"name\":\"own\",\"models\":[" MODEL "," MODEL "]}", "two models"},
        {"{\"name\":\"own\",\"models\":[]}", "models"},
        {"{\"models\":[" MODEL "]}", "\"name\""},
        {"{\"name\":\"own\",\"models\":[{\"name\":\"a\"}]}", "JSON object"},
        {"{\"name\":\"own\",\"models\":[{\"name\":\"../a\",\"config\":{}}]}", "cannot name"},
        {"{\"name\":\"own\",\"models\":[3]}", "name"},
        {"{\"name\":", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(&err, 0, sizeof err);
        write_suite(dir, bad[i].text);
        if (il_suite_load("own", &arena, &suite, &err) == IL_OK || !strstr(err.what, bad[i].says) ||
            !strstr(err.where, "own.json")) {
            fail_msg("%s: %s [%s]", bad[i].text, err.what, err.where);
        }
    }
    assert_int_equal(il_suite_load("tr121", &arena, &suite, &err), IL_E_NOT_FOUND);
    assert_int_equal(unsetenv("INFERLAW_DATA"), 0);
    il_arena_free(&arena);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_own_suites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
