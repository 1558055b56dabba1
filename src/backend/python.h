/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the kinds share whose worker is a Python script (workers/python): which interpreter runs it,
 * whether that has the packages, and what the worker is told. Used by src/backend alone.
 */
#ifndef IL_BACKEND_PYTHON_H
#define IL_BACKEND_PYTHON_H

#include "backend/process.h"

#include "model/shape.h"

enum { IL__PYTHON_PATH = 4096 };

typedef struct il__python_backend il__python_backend;

typedef struct il__python_kind {
    const il_backend_ops *ops;
    const char *script;      /* in the source tree: "workers/python/…" */
    const char *runtimes[3]; /* of the runtimes directory, the first installed one is taken */
    const char *packages[3]; /* that the interpreter must be able to find */
    const il_param_id *told; /* parameters that go into the options of `load` */
    uint32_t n_told;
    bool takes_file;
    /* What cannot be, whatever is installed. */
    int (*check_entry)(const il__python_backend *p, il_error *err);
    /* Of a model whose cells fit; NULL: the directory is all it needs. */
    int (*check_file)(const il_backend_model *model, il_error *err);
} il__python_kind;

struct il__python_backend {
    il__process_backend process;
    const il__python_kind *kind;
    char python[IL__PYTHON_PATH], script[IL__PYTHON_PATH];
    const char *words[4];
    bool asked; /* the interpreter was looked for; status and why say with what result */
    int status;
    il_error why;
};

int il__python_open(const il__python_kind *kind, const il_param_set *entry, il_backend **out,
                    il_error *err);
/* Finds script and interpreter, and asks the latter once whether it has the packages: `python:` of
 * the entry, else an installed runtime, else python3 of PATH. IL_E_NOT_FOUND with the command that
 * installs what is missing. */
int il__python_ready(il__python_backend *p, il_error *err);
/* Entry, checkpoint, positions, device, file, interpreter, in this order. */
int il__python_supports(il_backend *b, const il_backend_model *model, il_error *err);
/* il__python_ready, then what every process kind does. */
int il__python_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                    il_error *err);

/* All of an ops row but kind and open. */
#define IL__PYTHON_OPS                                                                             \
    .version = IL_BACKEND_VERSION, .caps = IL__PROCESS_CAPS, .supports = il__python_supports,      \
    .load = il__python_load, .prepare = il__process_prepare, .call = il__process_call,             \
    .logits = il__process_logits, .unload = il__process_unload, .pid = il__process_pid,            \
    .close = il__process_close

#endif
