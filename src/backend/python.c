/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/python.h"

#include "os/paths.h"
#include "os/probe_command.h"
#include "os/runtimes_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ASK_MS = 20000 };

int il__python_open(const il__python_kind *kind, const il_param_set *entry, il_backend **out,
                    il_error *err)
{
    il__python_backend *p = calloc(1, sizeof *p);
    if (!p) {
        return il_fail(err, IL_E_NOMEM, "out of memory for a backend");
    }
    p->process.base.ops = kind->ops;
    p->process.entry = entry;
    p->process.told = kind->told;
    p->process.n_told = kind->n_told;
    p->process.takes_file = kind->takes_file;
    p->kind = kind;
    *out = &p->process.base;
    return IL_OK;
}

static int copy_path(il__python_backend *p, const char *path, il_error *err)
{
    int n = snprintf(p->python, sizeof p->python, "%s", path);
    return n > 0 && (size_t)n < sizeof p->python
               ? IL_OK
               : il_fail(err, IL_E_RANGE, "the path of the interpreter is too long");
}

/* What `python:` names: a path, or a program of PATH. */
static int named_interpreter(il__python_backend *p, const char *name, il_error *err)
{
    bool there = strchr(name, '/') ? access(name, X_OK) == 0
                                   : il_probe_find(name, p->python, sizeof p->python);
    if (!there) {
        int rc = il_fail(err, IL_E_NOT_FOUND, "`python: %.200s` names no program", name);
        il_error_hint(err,
                      "the interpreter of a virtual environment is its bin/python; "
                      "`inferlaw runtimes install %s` makes one",
                      p->kind->runtimes[0]);
        return rc;
    }
    return strchr(name, '/') ? copy_path(p, name, err) : IL_OK;
}

static int find_interpreter(il__python_backend *p, il_error *err)
{
    const char *name = il_param_text(p->process.entry, IL_P_PYTHON);
    if (name) {
        return named_interpreter(p, name, err);
    }
    for (size_t i = 0; p->kind->runtimes[i]; i++) {
        if (il_runtime_python(p->kind->runtimes[i], p->python, sizeof p->python, NULL) == IL_OK) {
            return IL_OK;
        }
    }
    if (il_probe_find("python3", p->python, sizeof p->python)) {
        return IL_OK;
    }
    int rc =
        il_fail(err, IL_E_NOT_FOUND, "the runtime %s is not installed, and PATH has no python3",
                p->kind->runtimes[0]);
    il_error_hint(err, "inferlaw runtimes install %s", p->kind->runtimes[0]);
    return rc;
}

/* "" in sys.path is the working directory, where a stray torch.py must not be found. */
static const char ask_program[] =
    "import sys\n"
    "from importlib.util import find_spec\n"
    "sys.path[:] = [p for p in sys.path if p]\n"
    "if sys.version_info < (3, 9): sys.exit('Python 3.9 or newer is needed, this is '"
    " + sys.version.split()[0])\n"
    "print('missing:', ', '.join(m for m in sys.argv[1:] if find_spec(m) is None))\n";

static int ask_packages(il__python_backend *p, il_error *err)
{
    const char *const *packages = p->kind->packages;
    const char *argv[] = {p->python, "-c", ask_program, packages[0], packages[1], NULL};
    il_probe_output output;
    int rc = il_probe_command(argv, ASK_MS, true, &output, err);
    if (rc != IL_OK) {
        il_error_where(err, "%s", p->python);
        il_error_hint(err, "is this a Python interpreter? `inferlaw runtimes install %s` makes one",
                      p->kind->runtimes[0]);
        return rc;
    }
    output.text[strcspn(output.text, "\n")] = '\0';
    static const char head[] = "missing: ";
    bool answered = strncmp(output.text, head, sizeof head - 1) == 0;
    const char *missing = answered ? output.text + sizeof head - 1 : "";
    if (answered && output.exit_status == 0 && missing[0] == '\0') {
        return IL_OK;
    }
    if (missing[0]) {
        rc = il_fail(err, IL_E_NOT_FOUND, "this Python has no package %.100s", missing);
    } else {
        rc = il_fail(err, IL_E_NOT_FOUND, "this Python cannot be used: %.200s",
                     output.text[0] ? output.text : "it answers nothing");
    }
    il_error_where(err, "%s", p->python);
    il_error_hint(err,
                  "`inferlaw runtimes install %s` installs it; or `python:` on the backend entry "
                  "names another interpreter; or --map %s=native runs these checkpoints on the "
                  "built-in engine",
                  p->kind->runtimes[0], p->kind->ops->kind);
    return rc;
}

static int look(il__python_backend *p, il_error *err)
{
    int rc = il_path_find_data(p->kind->script, p->script, sizeof p->script, err);
    if (rc == IL_OK) {
        rc = find_interpreter(p, err);
    }
    if (rc == IL_OK) {
        rc = ask_packages(p, err);
    }
    return rc;
}

int il__python_ready(il__python_backend *p, il_error *err)
{
    if (!p->asked) {
        p->asked = true;
        p->why = (il_error){0};
        p->status = look(p, &p->why);
        p->words[0] = p->python;
        /* without -B: Python keeps what it compiled, so that a start is the second one's */
        p->words[1] = p->script;
        p->process.words = p->status == IL_OK ? p->words : NULL;
    }
    if (p->status != IL_OK && err) {
        *err = p->why;
    }
    return p->status;
}

int il__python_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                    il_error *err)
{
    il__python_backend *p = (il__python_backend *)b;
    if (!il__process_has_command(&p->process)) {
        int rc = il__python_ready(p, err);
        if (rc != IL_OK) {
            *out = (il_load_result){0};
            return rc;
        }
    }
    return il__process_load(b, model, out, err);
}

static int check_device(const il__python_backend *p, il_error *err)
{
    const char *device = il_param_text(p->process.entry, IL_P_DEVICE);
    /* The driver's control device; or that of a Windows machine which lends its GPU. */
    if (strcmp(device, "cuda") != 0 || access("/dev/nvidiactl", F_OK) == 0 ||
        access("/dev/dxg", F_OK) == 0) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_UNSUPPORTED, "this machine has no CUDA device");
    il_error_hint(err, "device: cpu on this backend entry, or leave it out with --backends");
    return rc;
}

static int check_positions(const il_shape *shape, const il_backend_model *model, il_error *err)
{
    uint64_t context = (uint64_t)model->max_prompt_tok + model->max_gen_tok;
    if (context <= shape->n_positions) {
        return IL_OK;
    }
    int rc =
        il_fail(err, IL_E_UNSUPPORTED, "prompt and generation take %llu positions, model %s has %u",
                (unsigned long long)context, model->name, shape->n_positions);
    il_error_hint(err, "a shorter prompt or fewer gen_tokens");
    return rc;
}

int il__python_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    il__python_backend *p = (il__python_backend *)b;
    il_shape shape;
    int rc = il__check_model_dir(model, err);
    if (rc != IL_OK || il__process_has_command(&p->process)) {
        return rc; /* a worker of the user's own knows its limits, and says so at load */
    }
    rc = p->kind->check_entry(p, err);
    rc = rc ? rc : il_shape_from_dir(model->path, &shape, err);
    rc = rc ? rc : check_positions(&shape, model, err);
    rc = rc ? rc : check_device(p, err);
    rc = rc || !p->kind->check_file ? rc : p->kind->check_file(model, err);
    return rc ? rc : il__python_ready(p, err);
}
