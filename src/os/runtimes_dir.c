/* SPDX-License-Identifier: Apache-2.0 */
#include "os/runtimes_dir.h"

#include "os/probe_command.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const il_runtime_kind il_runtime_kinds[] = {
    {"hf-light", "PyTorch 1.13 of Debian with transformers 4.40: checks, not speed", "python",
     "0.3 GB, 1 min"},
    {"hf", "current PyTorch with transformers, torch.compile", "python", "6 GB, 5 min"},
    {"onnxruntime", "ONNX Runtime", "python", "0.2 GB, 1 min"},
    {"ollama", "the Ollama server, compiled here", "ollama", "0.1 GB, 4 to 10 min"},
    {"llama.cpp-light", "llama.cpp's server from a Python package: checks, not speed", "python",
     "0.2 GB, 1 min"},
    {"llama.cpp", "llama.cpp's server and bench, compiled for this machine", "llama-server",
     "0.1 GB, 8 min"},
    {"vllm", "the vLLM server, for the CPU", "vllm", "6 GB, 5 min"},
    {"models", "gemma3-270m (Q4_K_M) and SmolLM2-135M (Q4_1) as GGUF", NULL, "0.4 GB, 1 min"},
    {NULL, NULL, NULL, NULL},
};

const il_runtime_kind *il_runtime_kind_find(const char *name)
{
    for (const il_runtime_kind *k = il_runtime_kinds; k->name; k++) {
        if (strcmp(k->name, name) == 0) {
            return k;
        }
    }
    return NULL;
}

/* base + tail, absolute. */
static int put(const char *base, const char *tail, char *out, size_t out_bytes, il_error *err)
{
    char here[PATH_MAX] = "";
    if (base[0] != '/' && !getcwd(here, sizeof here)) {
        return il_fail(err, IL_E_IO, "the working directory cannot be read");
    }
    int n = snprintf(out, out_bytes, "%s%s%s%s", here, here[0] ? "/" : "", base, tail);
    if (n < 0 || (size_t)n >= out_bytes) {
        return il_fail(err, IL_E_RANGE, "the path of the runtimes directory is too long");
    }
    return IL_OK;
}

int il_runtimes_dir(char *out, size_t out_bytes, il_error *err)
{
    const char *set = getenv("INFERLAW_RUNTIMES");
    if (set && set[0]) {
        return put(set, "", out, out_bytes, err);
    }
    const char *data = getenv("XDG_DATA_HOME");
    if (data && data[0] == '/') { /* the specification says that a relative one is ignored */
        return put(data, "/inferlaw/runtimes", out, out_bytes, err);
    }
    const char *home = getenv("HOME");
    if (home && home[0]) {
        return put(home, "/.local/share/inferlaw/runtimes", out, out_bytes, err);
    }
    int rc = il_fail(err, IL_E_NOT_FOUND, "no place for runtimes: HOME is not set");
    il_error_hint(err, "set INFERLAW_RUNTIMES to a directory");
    return rc;
}

/* DIR/NAME/tail into out. */
static int place(const char *name, const char *tail, char *out, size_t out_bytes, il_error *err)
{
    char dir[PATH_MAX];
    int rc = il_runtimes_dir(dir, sizeof dir, err);
    if (rc != IL_OK) {
        return rc;
    }
    int n = snprintf(out, out_bytes, "%s/%s/%s", dir, name, tail);
    if (n < 0 || (size_t)n >= out_bytes) {
        return il_fail(err, IL_E_RANGE, "the path of a runtime is too long: %.200s", dir);
    }
    return IL_OK;
}

int il_runtime_program(const char *name, const char *program, char *out, size_t out_bytes,
                       il_error *err)
{
    char tail[256], version[PATH_MAX], path[PATH_MAX];
    (void)snprintf(tail, sizeof tail, "bin/%s", program);
    int rc = place(name, "VERSION", version, sizeof version, err);
    if (rc == IL_OK) {
        rc = place(name, tail, path, sizeof path, err);
    }
    if (rc != IL_OK) {
        return rc;
    }
    if (access(version, R_OK) != 0 || access(path, X_OK) != 0) {
        rc = il_fail(err, IL_E_NOT_FOUND, "the runtime %s is not installed", name);
        il_error_where(err, "%s", path);
        il_error_hint(err, "inferlaw runtimes install %s", name);
        return rc;
    }
    if (strlen(path) >= out_bytes) {
        return il_fail(err, IL_E_RANGE, "the path of a runtime is too long: %.200s", path);
    }
    memcpy(out, path, strlen(path) + 1);
    return IL_OK;
}

int il_runtime_python(const char *name, char *out, size_t out_bytes, il_error *err)
{
    return il_runtime_program(name, "python", out, out_bytes, err);
}

int il_runtime_program_or_path(const char *name, const char *program, char *out, size_t out_bytes,
                               il_error *err)
{
    int rc = il_runtime_program(name, program, out, out_bytes, err);
    if (rc == IL_E_NOT_FOUND && il_probe_find(program, out, out_bytes)) {
        return IL_OK;
    }
    return rc;
}

bool il_runtime_version(const char *name, char *out, size_t out_bytes)
{
    char path[PATH_MAX];
    out[0] = '\0';
    FILE *file =
        place(name, "VERSION", path, sizeof path, NULL) == IL_OK ? fopen(path, "re") : NULL;
    if (!file) {
        return false;
    }
    bool there = fgets(out, (int)out_bytes, file) != NULL;
    (void)fclose(file);
    for (char *c = out; there && *c; c++) {
        if (*c == '\n') {
            *c = '\0';
            break;
        }
        if (*c < 0x20 || *c > 0x7e) {
            *c = '?';
        }
    }
    return there && out[0];
}
