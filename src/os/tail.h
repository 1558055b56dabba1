/* SPDX-License-Identifier: Apache-2.0
 *
 * The last 64 KiB of what somebody writes into a pipe. A thread of its own empties the pipe, so
 * that the writer never waits for us, whatever the rest of the program is doing; it sleeps while
 * nothing is written.
 */
#ifndef IL_OS_TAIL_H
#define IL_OS_TAIL_H

#include "inferlaw/error.h"

#include <stddef.h>
#include <stdint.h>

enum { IL_TAIL_BYTES = 65536 };

typedef struct il_tail il_tail;

/* Takes over fd, the read end of a pipe; it is closed on failure too. */
int il_tail_open(int fd, il_tail **out, il_error *err);
/* Takes in what is in the pipe at this moment and ends the thread. Call once the writer is gone;
 * text and totals stay readable. Legal twice. */
void il_tail_finish(il_tail *tail);
void il_tail_free(il_tail *tail); /* NULL is fine */

/* Copies the newest bytes that fit, NUL-terminated, into out; returns their count. Bytes that are
 * not printable ASCII, newline or tab come as '?': the text goes into messages and JSON. */
size_t il_tail_text(il_tail *tail, char *out, size_t out_bytes);
/* The last line with something in it, "" when there is none; cut at the end when it does not fit.
 */
void il_tail_last_line(il_tail *tail, char *out, size_t out_bytes);
uint64_t il_tail_total_bytes(il_tail *tail); /* all that ever came */

#endif
