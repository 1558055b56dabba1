/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the verbs that write ONNX say of a file.
 */
#ifndef IL_CLI_ONNX_LOG_H
#define IL_CLI_ONNX_LOG_H

#include "model/onnx_model.h"

void il_log_onnx(const char *path, const il_onnx_options *options, const il_onnx_report *report);

#endif
