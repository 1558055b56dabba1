/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/gguf_log.h"
#include "cli/onnx_log.h"
#include "cli/verbs.h"
#include "model/make.h"
#include "model/suite.h"
#include "os/clock.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_CONFIG_BYTES = 16 << 20 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* --- progress: one line on a terminal, nothing elsewhere
 * ------------------------------------------ */

typedef struct meter {
    int64_t began_ns, shown_ns;
    const char *name;
} meter;

static void show(const char *name, uint64_t done, uint64_t total, void *user)
{
    meter *m = user;
    int64_t now = il_clock_ns();
    if (m->name != name) {
        m->name = name;
        m->began_ns = now;
    } else if (now - m->shown_ns > 100000000) {
        m->shown_ns = now;
        double seconds = (double)(now - m->began_ns) / 1e9;
        (void)fprintf(stderr, "\r\033[K%s  %.0f of %.0f MB  %.2f GB/s", name, (double)done / 1e6,
                      (double)total / 1e6, (double)done / 1e9 / seconds);
    }
}

static void clear_line(int before)
{
    if (before) {
        (void)fputs("\r\033[K", stderr);
    }
}

/* --- sources
 * -------------------------------------------------------------------------------------- */

/* What is to be made of each shape. */
typedef struct wish {
    il_make_options options;
    bool hf, gguf, onnx;
    il_gguf_options gguf_options;
    il_onnx_options onnx_options;
} wish;

static int make_dir(const il_shape *shape, const char *dir, const wish *want, il_error *err)
{
    bool kept;
    int rc = il_model_make(shape, dir, &want->options, &kept, err);
    if (rc == IL_OK) {
        il_param_counts counts;
        (void)il_shape_count(shape, &counts, NULL);
        il_log(IL_LOG_INFO, "%s: %s, %.3fM parameters, %s", dir, kept ? "kept, identical" : "made",
               (double)counts.total / 1e6, il_dtype_name(want->options.dtype));
    }
    return rc;
}

/* DIR-TAG.ENDING, below a directory that is made when absent. */
static int file_beside(const char *dir, const char *tag, const char *ending, char *path,
                       il_error *err)
{
    size_t n_dir = strlen(dir);
    while (n_dir > 1 && dir[n_dir - 1] == '/') {
        n_dir--;
    }
    int n = snprintf(path, PATH_MAX, "%.*s-%s.%s", (int)n_dir, dir, tag, ending);
    if (n < 0 || n >= PATH_MAX) {
        return il_fail(err, IL_E_RANGE, "path too long: %.200s", dir);
    }
    char *slash = strrchr(path, '/');
    int rc = IL_OK;
    if (slash && slash != path) {
        *slash = '\0';
        rc = il_dir_make(path, err);
        *slash = '/';
    }
    return rc;
}

/* DIR-TYPE.gguf. Of a suite, a model that no block fits is passed over with a warning. */
static int make_gguf(const il_shape *shape, const char *dir, const wish *want, bool of_suite,
                     il_error *err)
{
    char path[PATH_MAX];
    il_gguf_report report;
    int rc = file_beside(dir, il_gguf_recipe_name(want->gguf_options.recipe), "gguf", path, err);
    if (rc != IL_OK) {
        return rc;
    }
    rc = il_model_gguf_from_shape(shape, want->options.seed, want->options.dtype, path,
                                  &want->gguf_options, &report, err);
    if (rc == IL_OK) {
        il_log_gguf(path, &want->gguf_options, &report);
    } else if (rc == IL_E_UNSUPPORTED && of_suite && report.none_fits) {
        il_log(IL_LOG_WARN, "%s: not made: %s", path, err->what);
        *err = (il_error){0};
        rc = IL_OK;
    }
    return rc;
}

/* DIR-DTYPE.onnx. */
static int make_onnx(const il_shape *shape, const char *dir, const wish *want, il_error *err)
{
    char path[PATH_MAX];
    il_onnx_report report;
    il_dtype dtype = want->options.dtype;
    int rc = file_beside(dir, il_dtype_name(dtype), "onnx", path, err);
    rc = rc ? rc
            : il_model_onnx_from_shape(shape, want->options.seed, dtype, path, &want->onnx_options,
                                       &report, err);
    if (rc == IL_OK) {
        il_log_onnx(path, &want->onnx_options, &report);
    }
    return rc;
}

static int make_one(const il_shape *shape, const char *dir, const wish *want, bool of_suite,
                    il_error *err)
{
    int rc = want->hf ? make_dir(shape, dir, want, err) : IL_OK;
    rc = rc == IL_OK && want->gguf ? make_gguf(shape, dir, want, of_suite, err) : rc;
    return rc == IL_OK && want->onnx ? make_onnx(shape, dir, want, err) : rc;
}

static int make_suite(const char *selector, const char *out, const wish *want, il_error *err)
{
    il_arena arena = {0};
    il_suite suite;
    int rc = il_suite_select(selector, &arena, &suite, err);
    for (size_t i = 0; rc == IL_OK && i < suite.n_shapes; i++) {
        char dir[PATH_MAX];
        rc = il_path_join(dir, sizeof dir, out, suite.shapes[i].name);
        rc = rc == IL_OK ? make_one(&suite.shapes[i], dir, want, true, err)
                         : il_fail(err, rc, "path too long: %.200s", out);
    }
    il_arena_free(&arena);
    return rc;
}

static int make_from_config(const char *path, const char *out, const wish *want, il_error *err)
{
    json_t *config = NULL;
    il_shape shape;
    int rc = il_json_load(path, MOST_CONFIG_BYTES, &config, err);
    if (rc == IL_OK) {
        rc = il_shape_from_hf_config(config, path, &shape, err);
    }
    if (rc == IL_OK) {
        rc = make_one(&shape, out, want, false, err);
    }
    json_decref(config);
    return rc;
}

static int make_from_flags(const char *text, const char *out, const wish *want, il_error *err)
{
    il_shape shape;
    int rc = il_shape_from_flags(text, &shape, err);
    return rc == IL_OK ? make_one(&shape, out, want, false, err) : rc;
}

static int read_formats(const il_param_set *flags, wish *want, il_error *err)
{
    const il_param_value *formats = &flags->values[IL_P_MODEL_FORMAT];
    for (size_t i = 0; i < formats->n; i++) {
        want->hf = want->hf || strcmp(formats->texts[i], "hf") == 0;
        want->gguf = want->gguf || strcmp(formats->texts[i], "gguf") == 0;
        want->onnx = want->onnx || strcmp(formats->texts[i], "onnx") == 0;
    }
    if (il_param_is_set(flags, IL_P_GGUF_TYPE) && !want->gguf) {
        int rc = il_fail(err, IL_E_USAGE, "--gguf-type without a GGUF file to make");
        il_error_hint(err, "add --format hf,gguf");
        return rc;
    }
    if (il_param_is_set(flags, IL_P_ONNX_OPS) && !want->onnx) {
        int rc = il_fail(err, IL_E_USAGE, "--onnx-ops without an ONNX file to make");
        il_error_hint(err, "add --format hf,onnx");
        return rc;
    }
    int rc = il_gguf_recipe_parse(il_param_text(flags, IL_P_GGUF_TYPE), &want->gguf_options.recipe);
    rc = rc ? rc : il_onnx_ops_parse(il_param_text(flags, IL_P_ONNX_OPS), &want->onnx_options.ops);
    rc = rc ? rc : il_dtype_parse(il_param_text(flags, IL_P_DTYPE), &want->options.dtype);
    want->onnx_options.dtype = want->options.dtype;
    return rc;
}

static int run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)words;
    (void)n_words;
    il_error err = {0};
    const char *suite = il_param_text(flags, IL_P_SUITE);
    const char *config = il_param_text(flags, IL_P_HF_CONFIG);
    const char *shape = il_param_text(flags, IL_P_SHAPE);
    const char *out = il_param_text(flags, IL_P_OUT);
    meter m = {0};
    wish want = {
        .options =
            {
                .seed = (uint64_t)il_param_i64(flags, IL_P_SEED),
                .shard_bytes = (uint64_t)il_param_i64(flags, IL_P_SHARD_BYTES),
                .n_threads = (uint32_t)il_param_i64(flags, IL_P_THREADS),
                .force = il_param_flag(flags, IL_P_FORCE),
                .stop = &interrupted,
                .user = &m,
            },
        .gguf_options = {.force = il_param_flag(flags, IL_P_FORCE),
                         .stop = &interrupted,
                         .user = &m},
        .onnx_options = {.force = il_param_flag(flags, IL_P_FORCE),
                         .stop = &interrupted,
                         .user = &m},
    };
    int rc = read_formats(flags, &want, &err);
    if (rc == IL_OK && (suite != NULL) + (config != NULL) + (shape != NULL) != 1) {
        rc = il_fail(&err, IL_E_USAGE, "model make needs one of --suite, --hf-config, --shape");
        il_error_hint(&err, "inferlaw model make --suite tr121 --out models");
    }
    if (rc == IL_OK && !out) {
        rc = il_fail(&err, IL_E_USAGE, "model make needs --out DIR");
        il_error_hint(&err, "add --out models");
    }
    if (isatty(STDERR_FILENO) && !il_param_flag(flags, IL_P_QUIET)) {
        want.options.progress = want.gguf_options.progress = want.onnx_options.progress = show;
        il_log_set_hook(clear_line);
    }
    struct sigaction action = {.sa_handler = on_signal}, was_int, was_term;
    (void)sigaction(SIGINT, &action, &was_int);
    (void)sigaction(SIGTERM, &action, &was_term);
    if (rc == IL_OK) {
        rc = suite    ? make_suite(suite, out, &want, &err)
             : config ? make_from_config(config, out, &want, &err)
                      : make_from_flags(shape, out, &want, &err);
    }
    (void)sigaction(SIGINT, &was_int, NULL);
    (void)sigaction(SIGTERM, &was_term, NULL);
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    il_log_set_hook(NULL);
    return il_exit_from_code(rc);
}

const il_verb il_verb_model_make = {
    .name = "model make",
    .arguments = "",
    .summary = "make checkpoints of any shape, with weights that depend on nothing but a seed",
    .details =
        "--suite writes each model of the suite to OUT/NAME; --hf-config and --shape write OUT.\n"
        "A directory appears whole or not at all. An identical model is kept; a different one is\n"
        "replaced only with --force. --format hf,gguf also writes OUT-TYPE.gguf, a file that\n"
        "llama.cpp reads, with the same weights; --format gguf writes it alone. --format onnx "
        "writes\n"
        "OUT-DTYPE.onnx, for ONNX Runtime.\n\n"
        "  inferlaw model make --suite tr121 --out models\n"
        "  inferlaw model make --suite 'pythia<=1b' --dtype bf16 --out models\n"
        "  inferlaw model make --suite tr121 --format hf,gguf --gguf-type Q8_0 --out models\n"
        "  inferlaw model make --shape family=llama,n_layer=4,d_model=256,n_head=4 --out tiny",
    .scope = IL_SCOPE_MODEL_MAKE,
    .run = run,
};
