/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/entry.h"

#include "base/file.h"
#include "engine/core/graph.h"
#include "model/shape.h"

#include <unistd.h>

static void every_kind_of_a_study_has_a_row(void **state)
{
    (void)state;
    char kinds[256];
    (void)snprintf(kinds, sizeof kinds, "%s", il_param_row(IL_P_KIND)->choices);
    size_t n = 0;
    char *save = NULL;
    for (char *kind = strtok_r(kinds, "|", &save); kind; kind = strtok_r(NULL, "|", &save)) {
        const il_backend_ops *ops = il_backend_find(kind);
        assert_non_null(ops);
        assert_string_equal(ops->kind, kind);
        assert_int_equal(ops->version, IL_BACKEND_VERSION);
        assert_true(ops->open && ops->supports && ops->load && ops->prepare && ops->call &&
                    ops->unload && ops->pid && ops->close);
        assert_int_equal(ops->logits != NULL, (ops->caps & IL_CAP_LOGITS) != 0);
        ops->close(NULL);
        n++;
    }
    size_t n_rows = 0;
    while (il_backend_list()[n_rows]) {
        n_rows++;
    }
    assert_int_equal(n_rows, n);
    assert_null(il_backend_find("tensorrt"));
}

/* No interpreter, no server, no checkpoint: whichever it is, there is a sentence and a next step.
 */
static void absent_runtimes_say_what_to_do(void **state)
{
    (void)state;
    static const char *const kinds[] = {"hf", "onnxruntime", "ollama"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        test_entry entry;
        il_error err = {0};
        entry_open(&entry);
        entry_set(&entry, IL_P_URL, "http://127.0.0.1:9");
        il_backend *b = entry_backend(&entry, kinds[i]);
        il_backend_model model = {.name = "m", .path = "/nowhere", .kind = "hf"};
        assert_int_not_equal(b->ops->supports(b, &model, &err), IL_OK);
        assert_true(err.what[0] != '\0');
        assert_true(err.hint[0] != '\0');
        check_ok(b->ops->unload(b, &err), &err);
        b->ops->close(b);
        entry_close(&entry);
    }
}

/* --- native: what it accepts
 * ---------------------------------------------------------------------- */

static char dir[512];

static void write_config(const il_shape *shape)
{
    char path[600];
    il_error err = {0};
    json_t *config = il_shape_hf_config(shape);
    assert_non_null(config);
    char *text = json_dumps(config, 0);
    json_decref(config);
    (void)snprintf(path, sizeof path, "%s/config.json", dir);
    check_ok(il_file_write_atomic(path, text, strlen(text), &err), &err);
    free(text);
}

static void write_shape(const char *flags)
{
    il_shape shape;
    il_error err = {0};
    check_ok(il_shape_from_flags(flags, &shape, &err), &err);
    write_config(&shape);
}

static int ask_native(const char *path, const char *dtype, const char *device,
                      uint32_t max_prompt_tok, uint32_t max_batch, il_error *err)
{
    test_entry entry;
    entry_open(&entry);
    entry_set(&entry, IL_P_DTYPE, dtype);
    entry_set(&entry, IL_P_DEVICE, device);
    il_backend *b = entry_backend(&entry, "native");
    il_backend_model model = {.name = "m",
                              .path = path,
                              .kind = "hf",
                              .max_batch = max_batch,
                              .max_prompt_tok = max_prompt_tok,
                              .max_gen_tok = 8};
    *err = (il_error){0};
    int rc = b->ops->supports(b, &model, err);
    b->ops->close(b);
    entry_close(&entry);
    return rc;
}

static void native_asks_before_it_loads(void **state)
{
    (void)state;
    il_error err;
    write_shape("family=gpt2,n_layer=2,d_model=64,n_head=4,vocab_size=100,n_positions=64");
    check_ok(ask_native(dir, "fp32", "cpu", 16, 1, &err), &err);
    check_ok(ask_native(dir, "bf16", "cpu", 56, 1, &err), &err);
    assert_int_equal(ask_native(dir, "fp16", "cpu", 16, 1, &err), IL_E_UNSUPPORTED);
    assert_non_null(strstr(err.hint, "bf16"));
    assert_int_equal(ask_native(dir, "fp32", "cuda", 16, 1, &err), IL_E_UNSUPPORTED);
    assert_int_equal(ask_native(dir, "fp32", "cpu", 57, 1, &err), IL_E_UNSUPPORTED);
    assert_non_null(strstr(err.what, "65 positions"));
    assert_int_equal(ask_native("/nonexistent/model", "fp32", "cpu", 16, 1, &err), IL_E_NOT_FOUND);
    assert_string_equal(err.where, "/nonexistent/model");
    assert_non_null(strstr(err.hint, "model make"));
    assert_int_equal(ask_native(NULL, "fp32", "cpu", 16, 1, &err), IL_E_UNSUPPORTED);

    test_entry entry;
    entry_open(&entry);
    entry.set.values[IL_P_OPTIONS].text = "{\"x\":1}";
    entry.set.values[IL_P_OPTIONS].origin = IL_ORIGIN_FILE;
    il_backend *b = entry_backend(&entry, "native");
    il_backend_model model = {.name = "m", .path = dir, .kind = "hf", .max_batch = 1};
    assert_int_equal(b->ops->supports(b, &model, &err), IL_E_UNSUPPORTED);
    assert_non_null(strstr(err.what, "{\"x\":1}"));
    b->ops->close(b);
    entry_close(&entry);

    write_shape("family=gpt2,n_layer=96,d_model=65536,n_head=64,vocab_size=50257");
    assert_int_equal(ask_native(dir, "fp32", "cpu", 16, 1, &err), IL_E_NOMEM);
    assert_non_null(strstr(err.what, "GiB"));

    char path[600];
    (void)snprintf(path, sizeof path, "%s/config.json", dir);
    check_ok(il_file_write_atomic(path, "{\"model_type\":", 14, NULL), NULL);
    assert_int_not_equal(ask_native(dir, "fp32", "cpu", 16, 1, &err), IL_OK);
    assert_true(err.what[0] != '\0');
    assert_int_equal(unlink(path), 0);
    assert_int_not_equal(ask_native(dir, "fp32", "cpu", 16, 1, &err), IL_OK);
}

/* What supports() promises the engine must have, and what it refuses the engine must lack. */
static void native_families_are_the_engines(void **state)
{
    (void)state;
    size_t n_yes = 0;
    for (int arch = 0; arch < IL_ARCH_COUNT; arch++) {
        char flags[160];
        il_shape shape;
        il_error err = {0};
        (void)snprintf(flags, sizeof flags, "family=%s,n_layer=2,d_model=64,n_head=4",
                       il_arch_name((il_arch)arch));
        if (il_shape_from_flags(flags, &shape, &err) != IL_OK) {
            print_message("no shape from %s: %s\n", flags, err.what);
            continue;
        }
        write_config(&shape);
        int rc = ask_native(dir, "fp32", "cpu", 16, 1, &err);
        bool has_graph = il__names_for((il_arch)arch) != NULL;
        if ((rc == IL_OK) != has_graph) {
            fail_msg("%s: supports() says %s (%s), the engine %s", il_arch_name((il_arch)arch),
                     il_code_name(rc), err.what, has_graph ? "has it" : "has it not");
        }
        n_yes += rc == IL_OK;
    }
    assert_true(n_yes >= 11);
}

int main(void)
{
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("registry"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_a_study_has_a_row),
        cmocka_unit_test(absent_runtimes_say_what_to_do),
        cmocka_unit_test(native_asks_before_it_loads),
        cmocka_unit_test(native_families_are_the_engines),
    };
    int failed = cmocka_run_group_tests_name("backend/registry", tests, NULL, NULL);
    char path[600];
    (void)snprintf(path, sizeof path, "%s/config.json", dir);
    (void)unlink(path);
    (void)rmdir(dir);
    return failed;
}
