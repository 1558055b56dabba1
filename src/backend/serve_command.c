/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/serve_command.h"

#include "base/file.h"
#include "base/text.h"
#include "os/cores.h"
#include "os/paths.h"
#include "os/probe_command.h"
#include "os/runtimes_dir.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void add(il__serve_command *c, const char **list, size_t *n, const char *text)
{
    if (text && *n + 1 < IL__SERVE_WORDS) {
        list[(*n)++] = text;
    } else {
        c->health = NULL; /* seen at the end */
    }
}

/* Words of the command line, ended by NULL; the texts outlive the command. */
static void words(il__serve_command *c, ...)
{
    va_list list;
    va_start(list, c);
    for (const char *word; (word = va_arg(list, const char *)) != NULL;) {
        add(c, c->argv, &c->n_argv, word);
    }
    va_end(list);
}

static void number(il__serve_command *c, const char *flag, uint64_t value)
{
    add(c, c->argv, &c->n_argv, flag);
    add(c, c->argv, &c->n_argv, il_arena_printf(c->arena, "%" PRIu64, value));
}

static void setting(il__serve_command *c, const char *name, const char *value)
{
    add(c, c->env, &c->n_env, il_arena_printf(c->arena, "%s=%s", name, value));
}

/* The user's own environment wins. */
static void preset(il__serve_command *c, const char *name, const char *value)
{
    if (!getenv(name)) {
        setting(c, name, value);
    }
}

static uint32_t threads_of(const il__serve_request *r)
{
    return r->threads ? r->threads : il_cores_allowed(NULL, 0);
}

static uint32_t parallel_of(const il__serve_request *r)
{
    return r->parallel ? r->parallel : 1;
}

/* A processor asked for is a processor used: no card is visible then. */
static void no_card(const il__serve_request *r, il__serve_command *c)
{
    if (!r->device || strcmp(r->device, "cuda") != 0) {
        setting(c, "CUDA_VISIBLE_DEVICES", "");
    }
}

static void make_ollama(const il__serve_request *r, const char *program, uint16_t port,
                        const char *dir, il__serve_command *c)
{
    c->health = "/api/version";
    words(c, program, "serve", NULL);
    setting(c, "OLLAMA_HOST", il_arena_printf(c->arena, "127.0.0.1:%u", port));
    setting(c, "OLLAMA_MODELS", il_arena_printf(c->arena, "%s/models", dir));
    setting(c, "HOME", dir); /* it makes a key there */
    setting(c, "OLLAMA_NUM_PARALLEL", il_arena_printf(c->arena, "%" PRIu32, parallel_of(r)));
    setting(c, "OLLAMA_MAX_LOADED_MODELS", "1");
    setting(c, "OLLAMA_NOPRUNE", "1");
    if (r->n_ctx) {
        setting(c, "OLLAMA_CONTEXT_LENGTH", il_arena_printf(c->arena, "%" PRIu32, r->n_ctx));
    }
    no_card(r, c);
}

/* A native llama-server, or our script on the package xllamacpp: the same flags. */
static int make_llama(const il__serve_request *r, const char *program, uint16_t port,
                      il__serve_command *c, il_error *err)
{
    c->health = "/health";
    bool light = il_text_starts(il_path_base(program), "python");
    if (light) {
        char script[PATH_MAX];
        int rc = il_path_find_data("workers/python/llama_server.py", script, sizeof script, err);
        if (rc != IL_OK) {
            return rc;
        }
        words(c, program, "-u", il_arena_strdup(c->arena, script), NULL);
    } else {
        words(c, program, NULL);
    }
    bool cuda = r->device && strcmp(r->device, "cuda") == 0;
    words(c, "--model", r->model, "--host", "127.0.0.1", NULL);
    number(c, "--port", port);
    number(c, "--threads", threads_of(r));
    number(c, "--threads-batch", threads_of(r));
    number(c, "--parallel", parallel_of(r));
    if (r->n_ctx) { /* the server divides its context among the sequences */
        number(c, "--ctx-size", (uint64_t)r->n_ctx * parallel_of(r));
    }
    number(c, "--n-gpu-layers", cuda ? 999 : 0);
    number(c, "--cache-ram", 0); /* no cache of prompts that left their slot */
    if (r->served_name) {
        words(c, "--alias", r->served_name, NULL);
    }
    no_card(r, c);
    return IL_OK;
}

static void make_vllm(const il__serve_request *r, const char *program, uint16_t port,
                      const char *dir, il__serve_command *c)
{
    static const struct {
        const char *ours, *theirs;
    } dtypes[] = {{"fp32", "float32"}, {"bf16", "bfloat16"}, {"fp16", "float16"}};
    c->health = "/health";
    words(c, program, "serve", r->model, "--host", "127.0.0.1", NULL);
    number(c, "--port", port);
    for (size_t i = 0; r->dtype && i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(r->dtype, dtypes[i].ours) == 0) {
            words(c, "--dtype", dtypes[i].theirs, NULL);
        }
    }
    if (r->n_ctx) {
        number(c, "--max-model-len", r->n_ctx);
    }
    number(c, "--max-num-seqs", parallel_of(r));
    words(c, "--no-enable-prefix-caching", NULL);
    if (r->served_name) {
        words(c, "--served-model-name", r->served_name, NULL);
    }
    setting(c, "VLLM_NO_USAGE_STATS", "1");
    setting(c, "HF_HUB_OFFLINE", "1");
    setting(c, "TRANSFORMERS_OFFLINE", "1");
    if (!r->device || strcmp(r->device, "cuda") != 0) {
        preset(c, "VLLM_CPU_KVCACHE_SPACE", "2"); /* GiB; else it takes half of the memory */
        setting(c, "OMP_NUM_THREADS", il_arena_printf(c->arena, "%" PRIu32, threads_of(r)));
        if (r->affinity) {
            setting(c, "VLLM_CPU_OMP_THREADS_BIND", r->affinity);
        }
    }
    if (!getenv("VLLM_CACHE_ROOT")) { /* a cold start compiles, unless a cache is asked for */
        setting(c, "VLLM_CACHE_ROOT", il_arena_printf(c->arena, "%s/cache", dir));
        setting(c, "TORCHINDUCTOR_CACHE_DIR", il_arena_printf(c->arena, "%s/inductor", dir));
    }
    no_card(r, c);
}

int il__serve_command_make(const il__serve_request *request, const char *program, uint16_t port,
                           const char *dir, il__serve_command *command, il_error *err)
{
    int rc = IL_OK;
    *command = (il__serve_command){.arena = command->arena};
    bool ollama = strcmp(request->kind, "ollama") == 0;
    if (!ollama && !request->model) {
        return il_fail(err, IL_E_USAGE, "%s needs a model to start with", request->kind);
    }
    if (ollama) {
        make_ollama(request, program, port, dir, command);
    } else if (strcmp(request->kind, "llama.cpp") == 0) {
        rc = make_llama(request, program, port, command, err);
    } else if (strcmp(request->kind, "vllm") == 0) {
        make_vllm(request, program, port, dir, command);
    } else {
        return il_fail(err, IL_E_USAGE, "no way is known to start a server of kind %s",
                       request->kind);
    }
    if (rc == IL_OK && !command->health) {
        rc = il_fail(err, IL_E_NOMEM, "out of memory for the command line of a server");
    }
    return rc;
}

int il__serve_find(const char *kind, char *program, uint32_t program_bytes, il_error *err)
{
    int rc;
    if (strcmp(kind, "ollama") == 0 || strcmp(kind, "vllm") == 0) {
        return il_runtime_program_or_path(kind, kind, program, program_bytes, err);
    }
    if (strcmp(kind, "llama.cpp") != 0) {
        rc = il_fail(err, IL_E_USAGE, "no way is known to start a server of kind %s", kind);
        il_error_hint(err, "start it yourself and give its url");
        return rc;
    }
    /* The package's code is slower than what is compiled for this machine: last choice. */
    if (il_runtime_program_or_path("llama.cpp", "llama-server", program, program_bytes, NULL) ==
            IL_OK ||
        il_runtime_python("llama.cpp-light", program, program_bytes, NULL) == IL_OK) {
        return IL_OK;
    }
    return il_runtime_program("llama.cpp", "llama-server", program, program_bytes, err);
}
