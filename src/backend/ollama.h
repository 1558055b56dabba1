/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shared among the files of the Ollama adapter (docs/openai.md, "Ollama"): the state of one entry,
 * exchanges with the server, what it holds and runs, and generations with a stamp per chunk.
 */
#ifndef IL_BACKEND_OLLAMA_H
#define IL_BACKEND_OLLAMA_H

#include "backend/backend.h"
#include "backend/http.h"
#include "backend/serve.h"
#include "model/tokenizer.h"

enum { IL__OLLAMA_NAME_BYTES = 320, IL__OLLAMA_MOST_LOGPROBS = 20 };

/* One line of a stream, kept as bytes until the stream is over. */
typedef struct il__ollama_line {
    size_t at, n_bytes; /* in the store */
    int64_t t_ns;
} il__ollama_line;

typedef struct il__ollama_store {
    char *bytes;
    size_t n_bytes, cap;
    il__ollama_line *lines;
    uint32_t n_lines, cap_lines;
} il__ollama_store;

typedef struct il__ollama {
    il_backend base;
    const il_param_set *entry;
    il__http *http; /* NULL until the address is known (serve: auto) */
    il__server *server;
    json_t *options; /* of the entry; an object */
    bool tr121;      /* the original study's requests */
    char version[64];

    /* The model that is loaded. */
    bool loaded;
    char name[IL__OLLAMA_NAME_BYTES]; /* at the server */
    char digest[80];
    int64_t num_ctx_asked, num_ctx;      /* 0: not said */
    int64_t size_bytes, size_vram_bytes; /* −1: not said */
    char *last_prompt;                   /* what its cache holds, NULL: nothing of ours */
    char tokenizer_path[1024];
    il_tokenizer *tokenizer; /* of the model's file, NULL: none that we can read, or not tried */
    bool tokenizer_tried;

    il__ollama_store store;
    json_t *proved; /* model → what il__ollama_prove found */
    json_t *hashes; /* file → {"sha256","size","mtime_ns"} */
} il__ollama;

/* --- ollama_exchange.c ------------------------------------------------------------------------ */

/* An exchange whose answer must be a JSON object of status 200. A refusal by the server becomes
 * NOT_FOUND (404), INVALID (4xx) or IO (5xx) with its own words. reply may be NULL. */
int il__ollama_ask(il__ollama *o, const char *path, const json_t *body, double deadline_s,
                   json_t **reply, il_error *err);
/* The code and words of an HTTP status that is not 200; text is the server's, may be NULL. */
int il__ollama_refusal(const il__ollama *o, int status, const char *text, il_error *err);
/* Is there a server? Starts it where the entry says `serve: auto`. *t_spawn_ns and *t_ready_ns are
 * set when it was started now, else left alone; either may be NULL. */
int il__ollama_reach(il__ollama *o, int64_t *t_spawn_ns, int64_t *t_ready_ns, il_error *err);
/* What /api/show says of a model; NOT_FOUND with the command that brings it. */
int il__ollama_show(il__ollama *o, const char *name, json_t **reply, il_error *err);
/* The model's item in /api/ps, new reference, NULL when it is not loaded. */
int il__ollama_running(il__ollama *o, const char *name, json_t **item, il_error *err);
/* "268.10M", "7.6B", "596K" in millions; NaN for anything else. */
double il__ollama_millions(const char *text);
/* Are these the same model's name? "x" is "x:latest". */
bool il__ollama_same_name(const char *a, const char *b);

/* --- ollama_create.c -------------------------------------------------------------------------- */

/* The name under which the model stands at the server. A model given as a file gets one of its name
 * and its content's hash, and is created from the file unless it is there. */
int il__ollama_provide(il__ollama *o, const il_backend_model *model, char *name, size_t name_bytes,
                       il_error *err);
/* The file a model is given as, NULL when it is named at the server. */
const char *il__ollama_file(const il_backend_model *model);

/* --- ollama_call.c ---------------------------------------------------------------------------- */

/* One generation as it is asked for. */
typedef struct il__ollama_ask_for {
    const char *prompt;
    uint32_t n_predict;
    bool stream, logprobs;
    double deadline_s;
} il__ollama_ask_for;

/* One generation as it went. Chunks are those that carry text. */
typedef struct il__ollama_answer {
    int64_t t_sent_ns, t_first_byte_ns, t_done_ns; /* t_done: of the line that says done */
    uint32_t n_chunks;
    bool done;
    char done_reason[32];
    /* The server's counters; −1 = not said. */
    int64_t total_ns, load_ns, prompt_n, prompt_ns, eval_n, eval_ns;
    bool negative; /* one was below 0, and counts as not said */
    bool new_connection;
} il__ollama_answer;

/* Fills *out from the stream; chunks stay in o->store (il__ollama_chunk). */
int il__ollama_generate(il__ollama *o, const il__ollama_ask_for *ask, il__ollama_answer *out,
                        il_error *err);
/* The i-th chunk of the last generation: its stamp and its JSON, new reference or NULL. */
json_t *il__ollama_chunk(const il__ollama *o, uint32_t i, int64_t *t_ns);
int il__ollama_call(il_backend *b, const il_call_request *request, il_call_result *result,
                    il_error *err);
int il__ollama_prepare(il_backend *b, const il_call_request *request, il_error *err);
/* {"num_ctx": …, …} as sent with every request, without num_predict. */
json_t *il__ollama_options(const il__ollama *o);
/* Opens the tokenizer of the loaded model's file once; NULL: none. */
il_tokenizer *il__ollama_tokenizer(il__ollama *o);

/* --- ollama_probe.c --------------------------------------------------------------------------- */

/* Short generations of several lengths, whose counters beside the client's stamps tell how many
 * steps eval_duration covers. Borrowed; NULL when they could not be had. Once a model. */
const json_t *il__ollama_prove(il__ollama *o);
int il__ollama_logprobs(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *prompt,
                        uint32_t n_gen, il_logprob_top *out, il_error *err);

#endif
