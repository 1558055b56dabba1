/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/backend.h"
#include "backend/process.h"

#include <string.h>

static const il_backend_ops *const all[] = {
    &il__backend_native, &il__backend_hf,   &il__backend_onnxruntime, &il__backend_ollama,
    &il__backend_openai, &il__backend_noop, &il__backend_replay,      NULL,
};

const il_backend_ops *const *il_backend_list(void)
{
    return all;
}

const il_backend_ops *il_backend_find(const char *kind)
{
    for (size_t i = 0; all[i]; i++) {
        if (strcmp(all[i]->kind, kind) == 0) {
            return all[i];
        }
    }
    return NULL;
}
