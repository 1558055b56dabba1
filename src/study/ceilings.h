/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the run's machine could do at most, from the ceiling lines of its journal: the "ceilings" of
 * the manifest.
 */
#ifndef IL_STUDY_CEILINGS_H
#define IL_STUDY_CEILINGS_H

#include "inferlaw/error.h"

#include <jansson.h>

/* {"read_gbps_BYTES_THREADSt": [median of each block's samples, …], …}. The caller owns *out, also
 * after a failure. Errors as il_journal_read. */
int il_ceilings_of(const char *journal, json_t **out, il_error *err);

#endif
