/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages over a pair of descriptors: one JSON object a line, at most 64 MiB. Both sides of the
 * worker protocol (docs/wire.md) use this; neither ever waits past its deadline. Not thread-safe.
 */
#ifndef IL_WIRE_CHANNEL_H
#define IL_WIRE_CHANNEL_H

#include "base/buf.h"
#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IL_WIRE_LINE_BYTES  ((size_t)64 << 20) /* the longest message, without its newline */
#define IL_WIRE_NO_DEADLINE INT64_MAX

typedef struct il_wire_channel {
    int in_fd, out_fd; /* not owned; blocking or not */
    int watch_fd;      /* readable once the other side is dead; −1 for none */
    const char *peer;  /* "the worker" or "the driver", for errors; not owned */
    il_buf in;         /* bytes received and not yet used */
    size_t n_searched; /* of them, how many hold no newline */
    bool closed;       /* the other side's end of file was seen */
} il_wire_channel;

void il_wire_channel_init(il_wire_channel *channel, int in_fd, int out_fd, int watch_fd,
                          const char *peer);
void il_wire_channel_free(il_wire_channel *channel); /* closes nothing */

/* Writes one message and drops the reference. NULL is taken as "could not be built": IL_E_NOMEM.
 * deadline_ns is an absolute CLOCK_MONOTONIC time. IL_E_TIMEOUT; IL_E_CRASHED when nobody reads any
 * more (no SIGPIPE is raised); IL_E_RANGE for a message over the limit. */
int il_wire_send(il_wire_channel *channel, json_t *message, int64_t deadline_ns, il_error *err);

/* Reads one message into *out (the caller's reference). IL_E_TIMEOUT; IL_E_CRASHED when the other
 * side closed or died before a whole message (channel->closed is set, and channel->in.len tells
 * whether it was amid one); IL_E_PROTOCOL for a line that is too long or no JSON object, with its
 * first characters. After any failure but IL_E_TIMEOUT the channel is of no more use. */
int il_wire_receive(il_wire_channel *channel, int64_t deadline_ns, json_t **out, il_error *err);

#endif
