/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ONNX Runtime (workers/python/onnxruntime_worker.py) on the model as an ONNX file.
 */
#include "backend/python.h"

#include "base/file.h"

#include <string.h>
#include <unistd.h>

static const il_param_id told[] = {IL_P_PROVIDER};

/* The file made for this model, else one that the checkpoint directory brings: the worker is given
 * the directory then and finds it by the same names. */
static int check_file(const il_backend_model *model, il_error *err)
{
    static const char *const names[] = {"model.onnx", "onnx/model.onnx"};
    if (model->file && access(model->file, R_OK) == 0) {
        return IL_OK;
    }
    for (size_t i = 0; !model->file && i < sizeof names / sizeof *names; i++) {
        char path[IL__PYTHON_PATH];
        if (il_path_join(path, sizeof path, model->path, names[i]) == IL_OK &&
            access(path, R_OK) == 0) {
            return IL_OK;
        }
    }
    int rc = il_fail(err, IL_E_NOT_FOUND, "model %s: there is no ONNX file of it", model->name);
    il_error_where(err, "%s", model->file ? model->file : model->path);
    il_error_hint(err, "`inferlaw model convert --format onnx` makes one");
    return rc;
}

static int check_entry(const il__python_backend *p, il_error *err)
{
    const char *provider = il_param_text(p->process.entry, IL_P_PROVIDER);
    const char *device = il_param_text(p->process.entry, IL_P_DEVICE);
    bool on_gpu = strcmp(device, "cuda") == 0;
    if (!on_gpu && strcmp(il_param_text(p->process.entry, IL_P_DTYPE), "bf16") == 0) {
        int rc = il_fail(err, IL_E_UNSUPPORTED,
                         "ONNX Runtime's CPU provider has no bf16 matrix product");
        il_error_hint(err, "dtype: fp32 or fp16, or device: cuda");
        return rc;
    }
    if (strcmp(provider, "auto") == 0 || (strcmp(provider, "cpu") != 0) == on_gpu) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_UNSUPPORTED, "provider: %s does not compute on device: %s", provider,
                     device);
    il_error_hint(err, "provider: auto follows the device");
    return rc;
}

static const il__python_kind kind = {
    .ops = &il__backend_onnxruntime,
    .script = "workers/python/onnxruntime_worker.py",
    .runtimes = {"onnxruntime"},
    .packages = {"onnxruntime", "numpy"},
    .told = told,
    .n_told = sizeof told / sizeof *told,
    .takes_file = true,
    .check_entry = check_entry,
    .check_file = check_file,
};

static int onnxruntime_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    return il__python_open(&kind, entry, out, err);
}

const il_backend_ops il__backend_onnxruntime = {
    IL__PYTHON_OPS,
    .kind = "onnxruntime",
    .open = onnxruntime_open,
};
