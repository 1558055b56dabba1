/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"
#include "cli/gguf_log.h"
#include "cli/verbs.h"
#include "model/gguf_model.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int convert(const char *dir, const il_param_set *flags, il_error *err)
{
    il_gguf_report report;
    il_gguf_options options = {.force = il_param_flag(flags, IL_P_FORCE), .stop = &interrupted};
    const char *out = il_param_text(flags, IL_P_OUT);
    if (!out) {
        int rc = il_fail(err, IL_E_USAGE, "model convert needs --out FILE");
        il_error_hint(err, "inferlaw model convert DIR --gguf-type Q8_0 --out model-Q8_0.gguf");
        return rc;
    }
    int rc = il_gguf_recipe_parse(il_param_text(flags, IL_P_GGUF_TYPE), &options.recipe);
    rc = rc ? rc : il_model_gguf_from_dir(dir, out, &options, &report, err);
    if (rc == IL_OK) {
        il_log_gguf(out, &options, &report);
    }
    return rc;
}

static int run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)n_words;
    il_error err = {0};
    struct sigaction action = {.sa_handler = on_signal}, was_int, was_term;
    (void)sigaction(SIGINT, &action, &was_int);
    (void)sigaction(SIGTERM, &action, &was_term);
    int rc = convert(words[0], flags, &err);
    (void)sigaction(SIGINT, &was_int, NULL);
    (void)sigaction(SIGTERM, &was_term, NULL);
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    return il_exit_from_code(rc);
}

const il_verb il_verb_model_convert = {
    .name = "model convert",
    .arguments = "DIR",
    .summary = "write a checkpoint directory as a GGUF file that llama.cpp reads",
    .details =
        "A matrix whose rows are no multiple of the type's block gets another type; the file's\n"
        "metadata name it (inferlaw.fallback). A file without a quantised tensor is not made.\n\n"
        "  inferlaw model convert models/gpt2-25m --format gguf --gguf-type Q4_K_M --out m.gguf",
    .scope = IL_SCOPE_MODEL_CONVERT,
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
