/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the adapters of servers need of HTTP: a JSON exchange, and streams of lines whose arrival is
 * stamped, one or many at a time. Over libcurl. Used by src/backend alone;
 * not thread-safe. Every size that comes from a server is limited (a line 16 MiB, a reply 64 MiB,
 * headers 256 KiB), redirects are not followed, proxies of the environment are not used for
 * loopback addresses.
 *
 * Stamps are CLOCK_MONOTONIC nanoseconds, taken when bytes reach the program.
 */
#ifndef IL_BACKEND_HTTP_H
#define IL_BACKEND_HTTP_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il__http il__http;

/* url: "http://127.0.0.1:11434", with or without a path that all requests share. bearer: key or
 * NULL. IL_E_USAGE for a URL that is none. Connects to nothing. */
int il__http_open(const char *url, const char *bearer, il__http **out, il_error *err);
void il__http_close(il__http *http); /* NULL is fine */
/* The Server header of the last answer that had one, "" for none; text of the server's: untrusted.
 */
const char *il__http_server(const il__http *http);

/* One exchange: body NULL is a GET, else a POST of the JSON (borrowed). *reply: new reference, NULL
 * when the body is no JSON. *status: the HTTP status. Any answer at all is IL_OK: what a status
 * means is the caller's business. IL_E_NOT_FOUND: nobody listens there (the hint says how to start
 * one); IL_E_TIMEOUT; IL_E_CRASHED: the connection broke; IL_E_PROTOCOL: over a limit. */
int il__http_json(il__http *http, const char *path, const json_t *body, double deadline_s,
                  json_t **reply, int *status, il_error *err);

/* A stream under way. Lines are given without their end; a line split over packets is given once,
 * with the stamp of the packet that ended it. Return other than IL_OK to end the stream with that
 * code. Inside, nothing is allocated and nothing printed by the caller; keep bytes in storage made
 * before. */
typedef int (*il__http_line)(const char *line, size_t n_bytes, int64_t t_ns, void *user);

typedef struct il__http_stream {
    const char *path;
    const char *body; /* text of the JSON, made before the timed window */
    size_t n_body;
    double deadline_s;
    il__http_line on_line;
    void *user;
    int64_t t_due_ns; /* not sent before; 0 = at once */
    /* filled in: handed to the socket (a new connection is made after it), first byte of the body
     */
    int64_t t_sent_ns, t_first_byte_ns, t_end_ns;
    int status;          /* HTTP; a body of another status than 200 comes through on_line too */
    int code;            /* IL_OK or as in il__http_json, IL_E_CRASHED for a stream cut short */
    char what[300];      /* why, when code is not IL_OK */
    bool new_connection; /* the request paid for a connection */
} il__http_stream;

/* Runs one stream on the kept connection. Returns stream->code. */
int il__http_run(il__http *http, il__http_stream *stream, il_error *err);
/* Runs n streams with at most `concurrency` in flight, each not before its t_due_ns; starts them in
 * order. The code is about the run as a whole; each stream has its own. */
int il__http_run_many(il__http *http, il__http_stream *streams, uint32_t n, uint32_t concurrency,
                      il_error *err);

/* Server-sent events: the data of a line "data: …", NULL for any other line; *n its bytes. */
const char *il__sse_data(const char *line, size_t n_bytes, size_t *n);

#endif
