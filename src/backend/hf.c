/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * PyTorch with transformers (workers/python/hf_transformers.py).
 */
#include "backend/python.h"

#include <string.h>

static const il_param_id told[] = {IL_P_LAUNCH, IL_P_COMPILE_MODE, IL_P_ATTENTION, IL_P_KV_CACHE,
                                   IL_P_COMPAT};

static bool entry_is(const il__python_backend *p, il_param_id id, const char *text)
{
    return strcmp(il_param_text(p->process.entry, id), text) == 0;
}

/* What cannot be, whatever is installed. */
static int check_entry(const il__python_backend *p, il_error *err)
{
    int rc = IL_OK;
    if (entry_is(p, IL_P_LAUNCH, "graph") && !entry_is(p, IL_P_DEVICE, "cuda")) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "launch: graph captures a CUDA graph, the device is %s",
                     il_param_text(p->process.entry, IL_P_DEVICE));
        il_error_hint(err, "launch: eager or compile, or device: cuda");
    } else if (entry_is(p, IL_P_LAUNCH, "graph") && entry_is(p, IL_P_KV_CACHE, "dynamic")) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "launch: graph needs a cache of fixed size");
        il_error_hint(err, "kv_cache: static");
    } else if (entry_is(p, IL_P_COMPAT, "tr121") &&
               (!entry_is(p, IL_P_LAUNCH, "eager") || !entry_is(p, IL_P_LOGITS, "all"))) {
        rc = il_fail(err, IL_E_UNSUPPORTED,
                     "compat: tr121 is the original study's loop: launched eagerly, logits at "
                     "every prompt position");
        il_error_hint(err, "launch: eager and logits: all, or leave compat out");
    }
    return rc;
}

static const il__python_kind kind = {
    .ops = &il__backend_hf,
    .script = "workers/python/hf_transformers.py",
    .runtimes = {"hf", "hf-light"},
    .packages = {"torch", "transformers"},
    .told = told,
    .n_told = sizeof told / sizeof *told,
    .check_entry = check_entry,
};

static int hf_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    return il__python_open(&kind, entry, out, err);
}

const il_backend_ops il__backend_hf = {
    IL__PYTHON_OPS,
    .kind = "hf",
    .open = hf_open,
};
