/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shared by the files of the `openai` kind: servers that speak /v1/completions and
 * /v1/chat/completions. Used by src/backend alone.
 */
#ifndef IL_BACKEND_OPENAI_H
#define IL_BACKEND_OPENAI_H

#include "backend/backend.h"
#include "backend/http.h"
#include "backend/serve.h"
#include "base/buf.h"

/* Which server answers. Its words are those of the parameter `server`. */
typedef enum il__openai_kind {
    IL__OPENAI_OTHER,
    IL__OPENAI_VLLM,
    IL__OPENAI_LLAMA,
    IL__OPENAI_TGI,
    IL__OPENAI_SGLANG,
    IL__OPENAI_TRTLLM,
} il__openai_kind;

enum { IL__OPENAI_MAX_EVENTS = 4 << 20, IL__OPENAI_ASK_S = 10 };

/* The events of one stream as they came; parsed when the clock no longer runs. */
typedef struct il__sse_event {
    int64_t t_ns;
    size_t at, n_bytes;
} il__sse_event;

typedef struct il__sse_log {
    il_buf text;  /* data of the events, one after the other */
    il_buf other; /* lines that are no events: the body of a refusal */
    il__sse_event *events;
    uint32_t n, cap;
} il__sse_log;

typedef struct il__openai {
    il_backend base;
    const il_param_set *entry;
    il__http *http;    /* NULL: nothing loaded */
    il__server *child; /* NULL: not ours */
    il__openai_kind kind;
    bool chat;
    char *model;       /* as the server calls it */
    char version[64];  /* "" unknown */
    uint32_t n_ctx;    /* 0 unknown */
    il__sse_log *logs; /* storage, kept between calls */
    uint32_t n_logs;
} il__openai;

const char *il__openai_kind_name(il__openai_kind kind);

/* openai_detect.c */
/* Finds out who answers and what the model is called there. name: as in the study. */
int il__openai_meet(il__openai *o, const char *name, il_error *err);
/* What a refusal's body says, "" when nothing that can be read. */
void il__openai_message(const json_t *body, char *out, size_t out_bytes);
/* An error for an HTTP status that is not 200. */
int il__openai_refused(const il__openai *o, int status, const char *message, il_error *err);

/* openai_stream.c */
/* Room for an answer of so many tokens. */
int il__sse_log_reserve(il__sse_log *log, uint32_t n_tok, il_error *err);
void il__sse_log_free(il__sse_log *log);
void il__sse_log_clear(il__sse_log *log);
int il__sse_log_line(const char *line, size_t n_bytes, int64_t t_ns, void *user);
/* Reads a finished stream into the result. */
int il__openai_read(const il__openai *o, const il_call_request *request,
                    const il__http_stream *stream, const il__sse_log *log, il_call_result *result,
                    il_error *err);

/* openai_logprobs.c */
int il__openai_logprobs(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *prompt,
                        uint32_t n_gen, il_logprob_top *out, il_error *err);

#endif
