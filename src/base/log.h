/* SPDX-License-Identifier: Apache-2.0
 *
 * Talk goes to stderr; stdout is for the artifact a verb was asked for. Lines are for people, one
 * thought each. A hook lets the progress bar clear its line before a message is written.
 */
#ifndef IL_BASE_LOG_H
#define IL_BASE_LOG_H

#include "inferlaw/error.h"

typedef enum il_log_level { IL_LOG_DEBUG, IL_LOG_INFO, IL_LOG_WARN, IL_LOG_ERROR } il_log_level;

/* Sets the least level that is written (default IL_LOG_INFO). */
void il_log_set_level(il_log_level level);
/* Called around every line with 1 before and 0 after; NULL removes it. */
void il_log_set_hook(void (*hook)(int before));
void il_log(il_log_level level, const char *fmt, ...) IL_PRINTF(2, 3);
/* An error in the product's form:  error: what / where / hint, on up to three lines. */
void il_log_error(const il_error *err);

#endif
