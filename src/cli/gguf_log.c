/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/gguf_log.h"

#include "base/log.h"

void il_log_gguf(const char *path, const il_gguf_options *options, const il_gguf_report *report)
{
    const char *type = il_gguf_recipe_name(options->recipe);
    if (report->kept) {
        il_log(IL_LOG_INFO, "%s: kept, identical, %s", path, type);
        return;
    }
    il_log(IL_LOG_INFO, "%s: made, %s, %u tensors (%u quantised), %.1f MB", path, type,
           report->n_tensors, report->n_quantised, (double)report->n_bytes / 1e6);
    if (report->n_fallen > 0) {
        il_log(IL_LOG_WARN,
               "%s: %u tensors have another type, as their rows are no multiple of its block; "
               "inferlaw.fallback in the file names them",
               path, report->n_fallen);
    }
}
