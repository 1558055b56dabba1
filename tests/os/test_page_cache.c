/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which files are a model's, and that what is said of the page cache is so: a file just read is
 * resident to the byte; one that was dropped is gone, or, where the file system lives in memory,
 * is said to be there still.
 */
#include "check.h"

#include "base/file.h"
#include "os/page_cache.h"

#include <sys/stat.h>
#include <sys/vfs.h>

enum { TMPFS = 0x01021994, BYTES = 300000 };

static char dir[600];

static void put(const char *name, size_t bytes)
{
    char path[1200];
    il_error err = {0};
    char *data = calloc(bytes + 1, 1);
    assert_non_null(data);
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    check_ok(il_file_write_atomic(path, data, bytes, &err), &err);
    free(data);
}

static void names(const il_page_files *files, char *out, size_t out_bytes)
{
    out[0] = '\0';
    for (size_t i = 0; i < files->n; i++) {
        size_t len = strlen(out);
        (void)snprintf(out + len, out_bytes - len, "%s%s", len ? " " : "",
                       il_path_base(files->paths[i]));
    }
}

static void files_of_a_model(void **state)
{
    (void)state;
    il_page_files files;
    il_error err = {0};
    char found[400], path[1200];
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("pages"));
    put("config.json", 10);
    put("model.gguf", 20);
    put("model.onnx", 30);
    put("model.onnx.data", 40);
    check_ok(il_page_files_find(dir, &files, &err), &err);
    names(&files, found, sizeof found);
    assert_string_equal(found, "config.json model.gguf model.onnx model.onnx.data");
    assert_int_equal(files.bytes, 100);
    il_page_files_free(&files);
    /* Beside safetensors, other formats are copies that nobody reads. */
    put("model.safetensors", 5);
    (void)snprintf(path, sizeof path, "%s/deeper", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    check_ok(il_page_files_find(dir, &files, &err), &err);
    names(&files, found, sizeof found);
    assert_string_equal(found, "config.json model.safetensors");
    il_page_files_free(&files);
    (void)snprintf(path, sizeof path, "%s/model.onnx", dir);
    check_ok(il_page_files_find(path, &files, &err), &err);
    names(&files, found, sizeof found);
    assert_string_equal(found, "model.onnx model.onnx.data");
    assert_int_equal(files.bytes, 70);
    il_page_files_free(&files);
    (void)snprintf(path, sizeof path, "%s/deeper", dir);
    assert_int_equal(il_page_files_find(path, &files, &err), IL_E_NOT_FOUND);
    il_page_files_free(&files);
    (void)snprintf(path, sizeof path, "%s/absent", dir);
    assert_int_equal(il_page_files_find(path, &files, &err), IL_E_NOT_FOUND);
    il_page_files_free(&files);
}

static void residency(void **state)
{
    (void)state;
    il_page_files files;
    il_error err = {0};
    struct statfs fs;
    uint64_t bytes = 0;
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("pages"));
    put("a.safetensors", BYTES);
    put("b.safetensors", 1);
    put("empty.safetensors", 0);
    check_ok(il_page_files_find(dir, &files, &err), &err);
    assert_int_equal(files.n, 3);
    check_ok(il_page_cache_fill(&files, &err), &err);
    check_ok(il_page_cache_resident(&files, &bytes, &err), &err);
    assert_int_equal(bytes, BYTES + 1);
    check_ok(il_page_cache_drop(&files, &err), &err);
    check_ok(il_page_cache_resident(&files, &bytes, &err), &err);
    assert_int_equal(statfs(dir, &fs), 0);
    assert_int_equal(bytes, fs.f_type == TMPFS ? BYTES + 1 : 0);
    /* Reading one page brings that page, or some more, never nothing. */
    check_ok(il_page_cache_fill(&files, &err), &err);
    check_ok(il_page_cache_resident(&files, &bytes, &err), &err);
    assert_int_equal(bytes, BYTES + 1);
    assert_int_equal(remove(files.paths[0]), 0);
    assert_int_equal(il_page_cache_fill(&files, &err), IL_E_NOT_FOUND);
    assert_non_null(strstr(err.where, "a.safetensors"));
    il_page_files_free(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_a_model),
        cmocka_unit_test(residency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
