/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
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

static int make_one(const il_shape *shape, const char *dir, const il_make_options *options,
                    il_error *err)
{
    bool kept;
    int rc = il_model_make(shape, dir, options, &kept, err);
    if (rc == IL_OK) {
        il_param_counts counts;
        (void)il_shape_count(shape, &counts, NULL);
        il_log(IL_LOG_INFO, "%s: %s, %.3fM parameters, %s", dir, kept ? "kept, identical" : "made",
               (double)counts.total / 1e6, il_dtype_name(options->dtype));
    }
    return rc;
}

static int make_suite(const char *selector, const char *out, const il_make_options *options,
                      il_error *err)
{
    il_arena arena = {0};
    il_suite suite;
    int rc = il_suite_select(selector, &arena, &suite, err);
    for (size_t i = 0; rc == IL_OK && i < suite.n_shapes; i++) {
        char dir[PATH_MAX];
        rc = il_path_join(dir, sizeof dir, out, suite.shapes[i].name);
        rc = rc == IL_OK ? make_one(&suite.shapes[i], dir, options, err)
                         : il_fail(err, rc, "path too long: %.200s", out);
    }
    il_arena_free(&arena);
    return rc;
}

static int make_from_config(const char *path, const char *out, const il_make_options *options,
                            il_error *err)
{
    json_t *config = NULL;
    il_shape shape;
    int rc = il_json_load(path, MOST_CONFIG_BYTES, &config, err);
    if (rc == IL_OK) {
        rc = il_shape_from_hf_config(config, path, &shape, err);
    }
    if (rc == IL_OK) {
        rc = make_one(&shape, out, options, err);
    }
    json_decref(config);
    return rc;
}

static int make_from_flags(const char *text, const char *out, const il_make_options *options,
                           il_error *err)
{
    il_shape shape;
    int rc = il_shape_from_flags(text, &shape, err);
    return rc == IL_OK ? make_one(&shape, out, options, err) : rc;
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
    il_make_options options = {
        .seed = (uint64_t)il_param_i64(flags, IL_P_SEED),
        .shard_bytes = (uint64_t)il_param_i64(flags, IL_P_SHARD_BYTES),
        .n_threads = (uint32_t)il_param_i64(flags, IL_P_THREADS),
        .force = il_param_flag(flags, IL_P_FORCE),
        .stop = &interrupted,
        .user = &m,
    };
    int rc = il_dtype_parse(il_param_text(flags, IL_P_DTYPE), &options.dtype);
    if (rc == IL_OK && (suite != NULL) + (config != NULL) + (shape != NULL) != 1) {
        rc = il_fail(&err, IL_E_USAGE, "model make needs one of --suite, --hf-config, --shape");
        il_error_hint(&err, "inferlaw model make --suite tr121 --out models");
    }
    if (rc == IL_OK && !out) {
        rc = il_fail(&err, IL_E_USAGE, "model make needs --out DIR");
        il_error_hint(&err, "add --out models");
    }
    if (isatty(STDERR_FILENO) && !il_param_flag(flags, IL_P_QUIET)) {
        options.progress = show;
        il_log_set_hook(clear_line);
    }
    struct sigaction action = {.sa_handler = on_signal}, was_int, was_term;
    (void)sigaction(SIGINT, &action, &was_int);
    (void)sigaction(SIGTERM, &action, &was_term);
    if (rc == IL_OK) {
        rc = suite    ? make_suite(suite, out, &options, &err)
             : config ? make_from_config(config, out, &options, &err)
                      : make_from_flags(shape, out, &options, &err);
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
        "replaced only with --force.\n\n"
        "  inferlaw model make --suite tr121 --out models\n"
        "  inferlaw model make --suite 'pythia<=1b' --dtype bf16 --out models\n"
        "  inferlaw model make --shape family=llama,n_layer=4,d_model=256,n_head=4 --out tiny",
    .scope = IL_SCOPE_MODEL_MAKE,
    .run = run,
};
