/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtimes directory: where `inferlaw runtimes install` puts runtimes, one directory each, and
 * where everything else looks first. It is $INFERLAW_RUNTIMES when that is set, else
 * $XDG_DATA_HOME/inferlaw/runtimes, else ~/.local/share/inferlaw/runtimes.
 *
 *     NAME/bin/python     a runtime that is a Python environment (hf, hf-light, onnxruntime,
 *                         llama.cpp-light, vllm)
 *     NAME/bin/PROGRAM    a program (ollama/bin/ollama, llama.cpp/bin/llama-server,
 *                         vllm/bin/vllm)
 *     NAME/VERSION        one line, written last: a runtime without it is unfinished
 *     models/NAME.gguf    real weights that packages ship
 *
 * NAME is a link into .builds/, which changes at once when an installation is complete.
 */
#ifndef IL_OS_RUNTIMES_DIR_H
#define IL_OS_RUNTIMES_DIR_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct il_runtime_kind {
    const char *name;    /* directory, and the word after `inferlaw runtimes install` */
    const char *what;    /* one line for lists */
    const char *program; /* file in NAME/bin that proves it is there; NULL: no program (models) */
    const char *cost;    /* size and time of an installation, roughly */
} il_runtime_kind;

/* All that can be installed, in the order of lists; ended by a row whose name is NULL. */
extern const il_runtime_kind il_runtime_kinds[];
/* The row, or NULL. */
const il_runtime_kind *il_runtime_kind_find(const char *name);

/* The directory itself, absolute; it need not exist. IL_E_NOT_FOUND where neither variable nor HOME
 * is set, IL_E_RANGE when out is too small. */
int il_runtimes_dir(char *out, size_t out_bytes, il_error *err);
/* DIR/NAME/bin/PROGRAM of an installed runtime. IL_E_NOT_FOUND when it is not there or unfinished;
 * the hint is the command that installs it. PATH is not looked at. */
int il_runtime_program(const char *name, const char *program, char *out, size_t out_bytes,
                       il_error *err);
/* The same for its interpreter: il_runtime_program(name, "python"). */
int il_runtime_python(const char *name, char *out, size_t out_bytes, il_error *err);
/* As il_runtime_program, then the PATH. */
int il_runtime_program_or_path(const char *name, const char *program, char *out, size_t out_bytes,
                               il_error *err);
/* The first line of NAME/VERSION ("torch 1.13.1, transformers 4.40.2"), plain ASCII; false and ""
 * when it is not installed. */
bool il_runtime_version(const char *name, char *out, size_t out_bytes);

#endif
