/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The claims file of a run: found, checked, kept beside the journal.
 */
#ifndef IL_CLI_CLAIMS_FILE_H
#define IL_CLI_CLAIMS_FILE_H

#include "inferlaw/error.h"
#include "study/study.h"

#include <stddef.h>

/* Checks the file and copies it to RUN/claims.yaml. Errors as il_claims_load, IO. */
int il_claims_keep(const char *file, const char *run_dir, il_error *err);
/* The path of the study's claims file (beside the study, else from the working directory), checked;
 * "" when the study names none. */
int il_claims_of_study(const il_study *study, char *out, size_t out_bytes, il_error *err);

#endif
