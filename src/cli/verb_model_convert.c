/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"
#include "cli/gguf_log.h"
#include "cli/onnx_log.h"
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

static int to_gguf(const char *dir, const char *out, const il_param_set *flags, il_error *err)
{
    il_gguf_report report;
    il_gguf_options options = {.force = il_param_flag(flags, IL_P_FORCE), .stop = &interrupted};
    int rc = il_gguf_recipe_parse(il_param_text(flags, IL_P_GGUF_TYPE), &options.recipe);
    rc = rc ? rc : il_model_gguf_from_dir(dir, out, &options, &report, err);
    if (rc == IL_OK) {
        il_log_gguf(out, &options, &report);
    }
    return rc;
}

static int to_onnx(const char *dir, const char *out, const il_param_set *flags, il_error *err)
{
    il_onnx_report report;
    il_onnx_options options = {.force = il_param_flag(flags, IL_P_FORCE), .stop = &interrupted};
    int rc = il_dtype_parse(il_param_text(flags, IL_P_DTYPE), &options.dtype);
    rc = rc ? rc : il_onnx_ops_parse(il_param_text(flags, IL_P_ONNX_OPS), &options.ops);
    rc = rc ? rc : il_model_onnx_from_dir(dir, out, &options, &report, err);
    if (rc == IL_OK) {
        il_log_onnx(out, &options, &report);
    }
    return rc;
}

/* A flag that only the other format has. */
static int check_flags(const il_param_set *flags, bool onnx, il_error *err)
{
    const il_param_id others[] = {IL_P_GGUF_TYPE, IL_P_DTYPE, IL_P_ONNX_OPS};
    static const char *const names[] = {"--gguf-type", "--dtype", "--onnx-ops"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (il_param_is_set(flags, others[i]) && onnx == (others[i] == IL_P_GGUF_TYPE)) {
            int rc = il_fail(err, IL_E_USAGE, "%s says nothing about a file of --format %s",
                             names[i], onnx ? "onnx" : "gguf");
            il_error_hint(err, onnx ? "--dtype fp32|fp16|bf16 is the type of an ONNX file"
                                    : "--gguf-type is the type of a GGUF file");
            return rc;
        }
    }
    return IL_OK;
}

static int convert(const char *dir, const il_param_set *flags, il_error *err)
{
    const char *out = il_param_text(flags, IL_P_OUT);
    bool onnx = strcmp(il_param_text(flags, IL_P_CONVERT_FORMAT), "onnx") == 0;
    if (!out) {
        int rc = il_fail(err, IL_E_USAGE, "model convert needs --out FILE");
        il_error_hint(err, onnx ? "inferlaw model convert DIR --format onnx --out model.onnx"
                                : "inferlaw model convert DIR --gguf-type Q8_0 --out "
                                  "model-Q8_0.gguf");
        return rc;
    }
    int rc = check_flags(flags, onnx, err);
    return rc ? rc : onnx ? to_onnx(dir, out, flags, err) : to_gguf(dir, out, flags, err);
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
    .summary = "write a checkpoint directory as a GGUF or an ONNX file",
    .details =
        "GGUF, for llama.cpp and Ollama: a matrix whose rows are no multiple of the type's block\n"
        "gets another type; the file's metadata name it (inferlaw.fallback). A file without a\n"
        "quantised tensor is not made. ONNX, for ONNX Runtime: cache as inputs and outputs; above\n"
        "2 GiB the weights are in a second file, FILE.data.\n\n"
        "  inferlaw model convert models/gpt2-25m --format gguf --gguf-type Q4_K_M --out m.gguf\n"
        "  inferlaw model convert models/gpt2-25m --format onnx --dtype fp16 --out m.onnx",
    .scope = IL_SCOPE_MODEL_CONVERT,
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
