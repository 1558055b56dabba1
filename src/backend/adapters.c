/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kinds whose runtimes this version has no adapter for. A study that names them loads; their cells
 * are skipped rows that say why and what can be done. Where the runtime would be a child process,
 * `command:` can name a worker that speaks the protocol, and then it is driven like any other.
 */
#include "backend/process.h"

static int hf_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    return il__process_open(&il__backend_hf, NULL, entry, out, err);
}

static int onnxruntime_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    return il__process_open(&il__backend_onnxruntime, NULL, entry, out, err);
}

/* The user's worker, if there is one. true: *rc is the answer. */
static bool answered_by_command(il_backend *b, const il_backend_model *model, int *rc,
                                il_error *err)
{
    if (!il__process_has_command((il__process_backend *)b)) {
        return false;
    }
    *rc = il__check_model_dir(model, err);
    return true;
}

static int hf_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    int rc;
    if (answered_by_command(b, model, &rc, err)) {
        return rc;
    }
    rc = il_fail(err, IL_E_UNSUPPORTED, "the PyTorch worker is not part of this version");
    il_error_hint(err, "--map hf=native runs these checkpoints on the built-in engine; or pip "
                       "install torch transformers and name a worker of your own by `command:` on "
                       "the backend entry (docs/wire.md)");
    return rc;
}

static int onnxruntime_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    int rc;
    if (answered_by_command(b, model, &rc, err)) {
        return rc;
    }
    rc = il_fail(err, IL_E_UNSUPPORTED, "the ONNX Runtime worker is not part of this version");
    il_error_hint(err, "--map onnxruntime=native runs these checkpoints on the built-in engine; or "
                       "pip install onnxruntime and name a worker of your own by `command:` on the "
                       "backend entry (docs/wire.md)");
    return rc;
}

const il_backend_ops il__backend_hf = {
    IL__PROCESS_OPS,         .kind = "hf", .caps = IL__PROCESS_CAPS, .open = hf_open,
    .supports = hf_supports,
};

const il_backend_ops il__backend_onnxruntime = {
    IL__PROCESS_OPS,
    .kind = "onnxruntime",
    .caps = IL__PROCESS_CAPS,
    .open = onnxruntime_open,
    .supports = onnxruntime_supports,
};
