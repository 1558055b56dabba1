/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal of a run: append-only lines of JSON, each with its sequence number and the CRC-32 of
 * its own bytes (docs/journal.md). The writer makes a line durable before it returns; the reader
 * streams, so a journal may be larger than memory.
 *
 * A torn last line is what a power cut leaves and is dropped; damage anywhere else is refused.
 */
#ifndef IL_STUDY_JOURNAL_H
#define IL_STUDY_JOURNAL_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { IL_JOURNAL_VERSION = 1, IL_JOURNAL_MAX_LINE_BYTES = 64 * 1024 * 1024 };

/* --- reading ---------------------------------------------------------------------------------- */

typedef struct il_journal_info {
    uint64_t n_lines;     /* intact lines */
    uint64_t valid_bytes; /* up to the end of the last intact line */
    uint64_t torn_bytes;  /* after that: 0, or the torn last line */
} il_journal_info;

/* One intact line. `line` is borrowed: json_incref what must outlive the call. `number` counts from
 * 1, as editors do. Return IL_OK to go on; anything else stops and is returned by the read. */
typedef int (*il_journal_visit)(json_t *line, uint64_t number, void *user, il_error *err);

/* Visits every intact line in order; info may be NULL. visit NULL checks only. IL_E_NOT_FOUND when
 * there is no file; IL_E_DAMAGED, with file:line, when a line that is not the last fails its CRC,
 * is not JSON, or is out of sequence, or when v is a version this program does not know. */
int il_journal_read(const char *path, il_journal_visit visit, void *user, il_journal_info *info,
                    il_error *err);

/* --- writing ---------------------------------------------------------------------------------- */

typedef struct il_journal il_journal;

/* A new journal; IL_E_EXISTS when there is one. */
int il_journal_create(const char *path, il_journal **out, il_error *err);
/* Goes on after what a read found: truncates the torn tail, the next line gets seq info->n_lines.
 */
int il_journal_append_to(const char *path, const il_journal_info *info, il_journal **out,
                         il_error *err);
/* Writes {"v","seq","kind","at_unix", …body, "crc32"} with one write and one fdatasync. Steals
 * body, also on failure. After a failure (IL_E_NO_SPACE, IL_E_IO) the file is cut back to its last
 * intact line and every later write fails the same way. */
int il_journal_write(il_journal *journal, const char *kind, json_t *body, il_error *err);
uint64_t il_journal_next_seq(const il_journal *journal);
void il_journal_close(il_journal *journal); /* NULL is fine */

#endif
