/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The backend seam: what the driver knows of a runtime. A row of function pointers per kind; a
 * backend knows nothing of blocks, repetitions or statistics. One object per backend entry of the
 * study; at most one model is loaded at a time. Not thread-safe.
 *
 *   open ─► supports* ─► (load ─► (prepare ─► call)* ─► unload)* ─► close
 */
#ifndef IL_BACKEND_BACKEND_H
#define IL_BACKEND_BACKEND_H

#include "inferlaw/dtype.h"
#include "inferlaw/error.h"
#include "os/memory_limit.h"
#include "param/param.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { IL_BACKEND_VERSION = 2 };

#define IL_CAP_STEP_TIMES 0x1u   /* a stamp per decode step */
#define IL_CAP_UNSPLIT    0x2u   /* can run a call without stamps inside (closure) */
#define IL_CAP_LOGITS     0x4u   /* can write logits for the parity gate */
#define IL_CAP_TOKEN_IDS  0x8u   /* takes ids; otherwise text goes to it */
#define IL_CAP_PROCESS    0x10u  /* load starts a fresh process, unload ends it */
#define IL_CAP_REFERENCE  0x20u  /* our own engine: left out of rankings, rows say so */
#define IL_CAP_SERVER     0x40u  /* answers over HTTP; every call gets a prompt of its own (salt) */
#define IL_CAP_MANY       0x80u  /* has call_many: concurrency and open-loop arrivals */
#define IL_CAP_LOGPROBS   0x100u /* has logprobs: parity without logits */

/* What a call may need to know of the model. */
typedef struct il_backend_model {
    const char *name; /* as in the study */
    const char *path; /* checkpoint directory, NULL for served models */
    const char
        *file; /* the same weights as the file its runtime reads (GGUF, model.onnx), NULL: none */
    const char *kind;                                /* the model's kind */
    uint32_t vocab_size;                             /* 0 = unknown */
    uint32_t head_size;                              /* 0 = unknown */
    uint32_t max_batch, max_prompt_tok, max_gen_tok; /* over all cells of this load, for sizing */
    const il_memory_limit *memory_limit; /* of the process that a load starts, NULL for none; only
                                            kinds with IL_CAP_PROCESS heed it */
} il_backend_model;

typedef struct il_call_request {
    uint32_t batch;      /* sequences, all with the same prompt length n_ids */
    uint32_t n_ids;      /* tokens of one prompt; 0 when only text is known */
    const int32_t *ids;  /* batch × n_ids, NULL when only text is known */
    const char *prompt;  /* text to be sent unchanged: the scenario's own, or for servers the text
                            of the ids where a tokenizer is at hand; NULL otherwise */
    bool salted;         /* the ids are of this call alone, so no cache can hold their prefix */
    uint32_t gen_tokens; /* decode steps */
    uint32_t depth_tok;  /* tokens put into the cache, untimed, before the prompt (bench -d) */
    bool split;          /* false: closure, no stamp or synchronisation inside */
    double deadline_s;
} il_call_request;

typedef struct il_call_result {
    int64_t t0_ns, t_first_ns; /* t_first 0 when unsplit */
    int64_t t_end_ns;          /* the last step's stamp, or the end of an unsplit call */
    int64_t *t_step_ns;        /* storage for gen_tokens stamps, given by the caller */
    uint32_t n_steps;          /* steps run */
    uint32_t n_stamps;         /* stamps filled; = n_steps but where tokens came several at once */
    uint32_t *stamp_tok;       /* NULL, or storage for gen_tokens counts: tokens that had arrived at
                                  each stamp, without the first ones; filled where n_stamps < n_steps */
    int32_t *gen_ids; /* NULL, or storage for gen_tokens + 1 ids of the first sequence, filled
                         where the runtime tells them: after the prompt, after every step */
    /* Servers, 0 = not known: when the request was due (open loop), sent, and the named events. */
    int64_t t_scheduled_ns, t_first_byte_ns, t_first_visible_ns;
    int64_t cached_tok;  /* prompt tokens the server took from a cache; −1 = not said */
    json_t *flags;       /* words for the row's flags ("early_stop", "partial_offload", …), new
                            reference or NULL */
    uint32_t prompt_tok; /* tokens of one prompt as run */
    double prefill_event_ms, decode_event_ms, gpu_peak_mb; /* NaN = not measured */
    uint64_t major_faults, minor_faults, ctx_involuntary;  /* of the worker during the call */
    char status[16];                                       /* "ok", "error", "flagged" */
    char reason[32]; /* code word when not ok: a name of the error table, "nonfinite"… */
    json_t *server;  /* a server's own counters, new reference or NULL */
} il_call_result;

/* How the calls of one cell arrive at a server. */
typedef struct il_arrivals {
    uint32_t concurrency; /* closed loop: requests in flight; open loop: the most in flight */
    double rate_per_s; /* > 0: open loop, Poisson arrivals by the seed, latency from the schedule */
    uint64_t seed;
} il_arrivals;

/* One position of a teacher-forced probe: what the runtime gave the most likely tokens after the
 * ids so far. */
typedef struct il_logprob_top {
    uint32_t n;
    int32_t ids[20];     /* −1: a token whose text is not one token of ours */
    double logprobs[20]; /* natural logarithm */
    int32_t chosen;      /* the token it went on with */
} il_logprob_top;

typedef struct il_load_result {
    int64_t t_spawn_ns, t_hello_ns, t0_ns,
        t1_ns;               /* process start to hello; load request to reply */
    json_t *stages;          /* [{"name","t0_ns","t1_ns","major_faults"}], new reference or NULL */
    json_t *facts;           /* what the runtime says of itself, new reference or NULL */
    const char *replication; /* what this load renewed: "process", "model", "none"; NULL: by caps */
} il_load_result;

typedef struct il_backend il_backend; /* each kind derives from it: first member is ops */

typedef struct il_backend_ops {
    uint32_t version; /* IL_BACKEND_VERSION */
    const char *kind; /* as in study files */
    uint32_t caps;    /* IL_CAP_ */
    /* entry: the backend's parameter set (scope IL_SCOPE_BACKEND), alive as long as the object.
     * Starts nothing and reads no model. */
    int (*open)(const il_param_set *entry, il_backend **out, il_error *err);
    /* IL_OK; any code is a no with reason and hint, and the cell becomes skipped rows: mostly
     * IL_E_UNSUPPORTED, IL_E_NOT_FOUND, IL_E_NOMEM (larger than the free memory), or what is wrong
     * with the model's files. Cheap. */
    int (*supports)(il_backend *b, const il_backend_model *model, il_error *err);
    int (*load)(il_backend *b, const il_backend_model *model, il_load_result *out, il_error *err);
    /* Untimed: tells the runtime the shape of the next calls and hands over the ids. */
    int (*prepare)(il_backend *b, const il_call_request *request, il_error *err);
    /* A failed call returns a code; result->status and reason are then filled too. IL_E_CRASHED,
     * IL_E_TIMEOUT and IL_E_PROTOCOL mean the process is gone (ended here when it did not end by
     * itself): unload, then load again before the next call. */
    int (*call)(il_backend *b, const il_call_request *request, il_call_result *result,
                il_error *err);
    /* Writes float32 logits [n_ids][vocab] of one forward pass to path. NULL without IL_CAP_LOGITS.
     */
    int (*logits)(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *path,
                  il_error *err);
    /* IL_CAP_MANY: n calls of the prepared kind, requests[i] and results[i], under the arrivals;
     * every result is filled, a failed one with status and reason. The code is about the run as a
     * whole: IL_E_CRASHED and the like as in call. */
    int (*call_many)(il_backend *b, const il_call_request *requests, il_call_result *results,
                     uint32_t n, const il_arrivals *arrivals, il_error *err);
    /* IL_CAP_LOGPROBS: greedy generation of n_gen tokens after the ids, with the most likely tokens
     * at each. IL_E_UNSUPPORTED: this server gives none. */
    int (*logprobs)(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *prompt,
                    uint32_t n_gen, il_logprob_top *out, il_error *err);
    int (*unload)(il_backend *b, il_error *err); /* legal when nothing is loaded */
    pid_t (*pid)(const il_backend *b);           /* the process that computes, 0 when unknown */
    void (*close)(il_backend *b);                /* NULL is fine */
} il_backend_ops;

struct il_backend {
    const il_backend_ops *ops;
};

/* The registry: the ops of a kind, or NULL; and the list, ended by NULL. */
const il_backend_ops *il_backend_find(const char *kind);
const il_backend_ops *const *il_backend_list(void);

#endif
