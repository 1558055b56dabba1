/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the verbs that write GGUF say of a file.
 */
#ifndef IL_CLI_GGUF_LOG_H
#define IL_CLI_GGUF_LOG_H

#include "model/gguf_model.h"

void il_log_gguf(const char *path, const il_gguf_options *options, const il_gguf_report *report);

#endif
