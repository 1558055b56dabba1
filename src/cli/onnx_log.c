/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/onnx_log.h"

#include "base/log.h"

void il_log_onnx(const char *path, const il_onnx_options *options, const il_onnx_report *report)
{
    const char *dtype = il_dtype_name(options->dtype);
    if (report->kept) {
        il_log(IL_LOG_INFO, "%s: kept, identical, %s", path, dtype);
        return;
    }
    il_log(IL_LOG_INFO, "%s: made, %s, %s operators, %u tensors, %.1f MB%s", path, dtype,
           il_onnx_ops_name(report->ops), report->n_tensors, (double)report->n_bytes / 1e6,
           report->external ? ", weights in the .data file beside it" : "");
}
