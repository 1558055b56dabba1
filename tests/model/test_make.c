/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Making checkpoints: what is written is what the synthesis says, however it is cut and by however
 * many threads; and what must not happen to what stands there already.
 */
#include "check.h"

#include "base/file.h"
#include "base/text.h"
#include "model/checkpoint.h"
#include "model/make.h"
#include "model/suite.h"
#include "model/synth.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LLAMA "family=llama,n_layer=2,d_model=64,n_head=4,n_kv_head=2,vocab_size=100,n_positions=64"

static char base[512];

static int make_base(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "%s", check_scratch_dir("make"));
    return 0;
}

static int remove_base(void **state)
{
    (void)state;
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command);
}

static void shape_of(const char *flags, il_shape *shape)
{
    il_error err = {0};
    check_ok(il_shape_from_flags(flags, shape, &err), &err);
}

/* Entries of a directory, dots apart; their names ended by '|' in list. */
static int entries(const char *dir, char *list, size_t n)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    int found = 0;
    list[0] = '\0';
    assert_non_null(d);
    while ((e = readdir(d))) {
        if (e->d_name[0] != '.') {
            found++;
            (void)snprintf(list + strlen(list), n - strlen(list), "%s|", e->d_name);
        }
    }
    (void)closedir(d);
    return found;
}

typedef struct comparison {
    const il_checkpoint *ckpt;
    const il_shape *shape;
    uint64_t seed;
    il_dtype dtype;
} comparison;

static int compare(const il_tensor_info *info, void *user)
{
    const comparison *c = user;
    const il_tensor_view *view = il_checkpoint_tensor(c->ckpt, info->name);
    assert_non_null(view);
    assert_int_equal(view->dtype, c->dtype);
    size_t n = view->n_bytes / il_dtype_bytes(view->dtype);
    void *want = malloc(view->n_bytes);
    assert_non_null(want);
    il_synth synth = il_synth_of(c->shape, info, c->seed);
    il_synth_fill(&synth, 0, n, c->dtype, want);
    assert_memory_equal(want, view->data, view->n_bytes);
    free(want);
    return 0;
}

static void check_model(const char *dir, const il_shape *shape, uint64_t seed, il_dtype dtype)
{
    il_error err = {0};
    il_checkpoint *ckpt = NULL;
    check_ok(il_checkpoint_open(dir, &ckpt, &err), &err);
    il_param_counts counts;
    check_ok(il_shape_count(shape, &counts, &err), &err);
    assert_int_equal(il_checkpoint_params(ckpt), counts.total);
    comparison c = {ckpt, shape, seed, dtype};
    assert_int_equal(il_shape_each_tensor(shape, compare, &c), 0);
    il_checkpoint_close(ckpt);
}

/* --- every family, and every way to write it
 * ---------------------------------------------------------- */

static void test_every_family(void **state)
{
    (void)state;
    for (int a = 0; a < IL_ARCH_COUNT; a++) {
        char flags[200], dir[600];
        il_shape shape;
        il_error err = {0};
        il_make_options options = {.seed = 11, .dtype = (il_dtype)(a % IL_DTYPE_COUNT)};
        bool experts = a == IL_ARCH_QWEN3_MOE || a == IL_ARCH_MIXTRAL || a == IL_ARCH_OLMOE ||
                       a == IL_ARCH_GPT_OSS;
        (void)snprintf(flags, sizeof flags,
                       "family=%s,n_layer=2,d_model=32,n_head=2,vocab_size=50,n_positions=16%s",
                       il_arch_name((il_arch)a), experts ? ",n_expert=4,n_expert_used=2" : "");
        shape_of(flags, &shape);
        (void)snprintf(dir, sizeof dir, "%s/family-%d", base, a);
        check_ok(il_model_make(&shape, dir, &options, NULL, &err), &err);
        check_model(dir, &shape, 11, options.dtype);
        il_shape back;
        check_ok(il_shape_from_dir(dir, &back, &err), &err);
        assert_int_equal(back.arch, a);
        (void)snprintf(flags, sizeof flags, "family-%d", a);
        assert_string_equal(back.name, flags);
    }
}

static void test_shards_and_threads(void **state)
{
    (void)state;
    il_shape shape;
    il_error err = {0};
    char dir[600], list[4096];
    shape_of(LLAMA, &shape);
    il_make_options options = {
        .seed = 1, .dtype = IL_DTYPE_BF16, .shard_bytes = 20000, .n_threads = 5};
    (void)snprintf(dir, sizeof dir, "%s/sharded", base);
    check_ok(il_model_make(&shape, dir, &options, NULL, &err), &err);
    check_model(dir, &shape, 1, IL_DTYPE_BF16);
    (void)entries(dir, list, sizeof list);
    assert_non_null(strstr(list, "model-00001-of-000"));
    assert_non_null(strstr(list, "model.safetensors.index.json|"));
    assert_null(strstr(list, "model.safetensors|"));
    assert_null(strstr(list, "tmp"));
    /* No shard beyond the limit unless one tensor is. */
    struct stat st;
    char path[700];
    (void)snprintf(path, sizeof path, "%s/%.*s", dir,
                   (int)strcspn(strstr(list, "model-00002"), "|"), strstr(list, "model-00002"));
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 20000 + 4096);
    /* One thread, one file: the same weights. */
    options.shard_bytes = 0;
    options.n_threads = 1;
    (void)snprintf(dir, sizeof dir, "%s/whole", base);
    check_ok(il_model_make(&shape, dir, &options, NULL, &err), &err);
    check_model(dir, &shape, 1, IL_DTYPE_BF16);
}

/* --- what stands there
 * --------------------------------------------------------------------------------- */

static void test_kept_refused_forced(void **state)
{
    (void)state;
    il_shape shape;
    il_error err = {0};
    char dir[600], path[700], list[4096];
    bool kept = true;
    il_make_options options = {.seed = 1};
    shape_of(LLAMA, &shape);
    (void)snprintf(dir, sizeof dir, "%s/deep/er/model", base);
    check_ok(il_model_make(&shape, dir, &options, &kept, &err), &err);
    assert_false(kept);
    struct stat before, after;
    (void)snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(stat(path, &before), 0);
    options.shard_bytes = 5000; /* the cut is no part of what a model is */
    check_ok(il_model_make(&shape, dir, &options, &kept, &err), &err);
    assert_true(kept);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    /* Another seed: refused, and nothing is touched. */
    options.seed = 2;
    assert_int_equal(il_model_make(&shape, dir, &options, &kept, &err), IL_E_EXISTS);
    assert_non_null(strstr(err.hint, "--force"));
    assert_non_null(strstr(err.where, dir));
    check_model(dir, &shape, 1, IL_DTYPE_F32);
    options.force = true;
    check_ok(il_model_make(&shape, dir, &options, &kept, &err), &err);
    assert_false(kept);
    check_model(dir, &shape, 2, IL_DTYPE_F32);
    /* A damaged file is not an identical model. */
    (void)snprintf(path, sizeof path, "%s/deep/er", base);
    assert_int_equal(entries(path, list, sizeof list), 1);
    options.shard_bytes = 0;
    options.seed = 3;
    check_ok(il_model_make(&shape, dir, &options, &kept, &err), &err);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(truncate(path, 100), 0);
    options.force = false;
    assert_int_equal(il_model_make(&shape, dir, &options, &kept, &err), IL_E_EXISTS);
    /* A directory that is no model is never replaced. */
    (void)snprintf(dir, sizeof dir, "%s/deep", base);
    options.force = true;
    assert_int_equal(il_model_make(&shape, dir, &options, &kept, &err), IL_E_EXISTS);
    assert_non_null(strstr(err.what, "no model"));
    (void)snprintf(dir, sizeof dir, "%s/deep/er/model/config.json", base);
    assert_int_equal(il_model_make(&shape, dir, &options, &kept, &err), IL_E_EXISTS);
    (void)snprintf(dir, sizeof dir, "%s/deep/er/model/config.json/below", base);
    assert_int_not_equal(il_model_make(&shape, dir, &options, &kept, &err), IL_OK);
    assert_true(il_path_is_file(path));
}

static volatile sig_atomic_t stop_now = 1;

static void test_stopped_and_full(void **state)
{
    (void)state;
    il_shape shape;
    il_error err = {0};
    char dir[600], list[4096];
    (void)snprintf(dir, sizeof dir, "%s/stopped", base);
    assert_int_equal(mkdir(dir, 0777), 0);
    (void)snprintf(dir, sizeof dir, "%s/stopped/model", base);
    shape_of(LLAMA, &shape);
    il_make_options options = {.stop = &stop_now};
    assert_int_equal(il_model_make(&shape, dir, &options, NULL, &err), IL_E_INTERRUPTED);
    il_arena arena = {0};
    il_suite suite;
    check_ok(il_suite_select("llama/llama-3.1-405b", &arena, &suite, &err), &err);
    options.stop = NULL;
    assert_int_equal(il_model_make(&suite.shapes[0], dir, &options, NULL, &err), IL_E_NO_SPACE);
    assert_non_null(strstr(err.what, "1623"));
    assert_non_null(strstr(err.hint, "free some space"));
    il_arena_free(&arena);
    (void)snprintf(dir, sizeof dir, "%s/stopped", base);
    assert_int_equal(entries(dir, list, sizeof list), 0);
}

/* A file system that gives out half-way, and what a killed process left. */
static void test_write_fails(void **state)
{
    (void)state;
    il_shape shape;
    il_error err = {0};
    char dir[600], left[700], list[4096];
    struct rlimit was, small;
    shape_of(LLAMA, &shape);
    (void)snprintf(dir, sizeof dir, "%s/fails/model", base);
    (void)snprintf(left, sizeof left, "%s/fails/model.tmp-2147483647", base);
    check_ok(il_dir_make(left, &err), &err); /* no process has this number */
    (void)snprintf(left, sizeof left, "%s/fails/model.tmp-2147483647/config.json", base);
    check_ok(il_file_write_atomic(left, "{}", 2, &err), &err);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = 30000;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    il_make_options options = {.seed = 1};
    int rc = il_model_make(&shape, dir, &options, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    (void)signal(SIGXFSZ, before);
    assert_int_equal(rc, IL_E_IO);
    assert_non_null(strstr(err.where, dir));
    (void)snprintf(dir, sizeof dir, "%s/fails", base);
    assert_int_equal(entries(dir, list, sizeof list), 0);
}

/* The superuser may write anywhere; then a read-only place cannot be had this way. */
static void test_no_permission(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        skip();
    }
    il_shape shape;
    il_error err = {0};
    char dir[600];
    shape_of(LLAMA, &shape);
    (void)snprintf(dir, sizeof dir, "%s/closed", base);
    assert_int_equal(mkdir(dir, 0500), 0);
    (void)snprintf(dir, sizeof dir, "%s/closed/model", base);
    il_make_options options = {0};
    assert_int_equal(il_model_make(&shape, dir, &options, NULL, &err), IL_E_ACCESS);
    assert_true(err.hint[0] != '\0');
}

static void test_ensure(void **state)
{
    (void)state;
    il_shape shape;
    il_error err = {0};
    char cache[600], one[700], two[700], again[700], list[4096], path[800];
    (void)snprintf(cache, sizeof cache, "%s/cache", base);
    shape_of(LLAMA ",name=small", &shape);
    il_make_options options = {.seed = 1};
    check_ok(il_model_ensure(&shape, cache, &options, one, sizeof one, &err), &err);
    options.seed = 2;
    check_ok(il_model_ensure(&shape, cache, &options, two, sizeof two, &err), &err);
    assert_string_not_equal(one, two);
    assert_non_null(strstr(one, "/cache/small-"));
    check_model(one, &shape, 1, IL_DTYPE_F32);
    check_model(two, &shape, 2, IL_DTYPE_F32);
    assert_int_equal(entries(cache, list, sizeof list), 2);
    /* Damage is repaired, not reported. */
    (void)snprintf(path, sizeof path, "%s/model.safetensors", two);
    assert_int_equal(truncate(path, 1000), 0);
    check_ok(il_model_ensure(&shape, cache, &options, again, sizeof again, &err), &err);
    assert_string_equal(two, again);
    check_model(two, &shape, 2, IL_DTYPE_F32);
    assert_int_equal(entries(cache, list, sizeof list), 2);
    /* What "model make" made under the plain name is not made again; another seed's is. */
    (void)snprintf(path, sizeof path, "%s/small", cache);
    options.seed = 3;
    check_ok(il_model_make(&shape, path, &options, NULL, &err), &err);
    check_ok(il_model_ensure(&shape, cache, &options, again, sizeof again, &err), &err);
    assert_string_equal(path, again);
    options.seed = 2;
    check_ok(il_model_ensure(&shape, cache, &options, again, sizeof again, &err), &err);
    assert_string_equal(two, again);
    assert_int_equal(entries(cache, list, sizeof list), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family),
        cmocka_unit_test(test_shards_and_threads),
        cmocka_unit_test(test_kept_refused_forced),
        cmocka_unit_test(test_stopped_and_full),
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_no_permission),
        cmocka_unit_test(test_ensure),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
