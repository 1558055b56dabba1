/* SPDX-License-Identifier: Apache-2.0
 *
 * The native worker: the protocol of docs/wire.md over the engine. It answers one request at a time
 * and knows nothing of repetitions, cells or statistics.
 */
#ifndef IL_WORKER_WORKER_H
#define IL_WORKER_WORKER_H

#include "inferlaw/engine.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>

/* One prepared call with everything it writes into: nothing is allocated once it runs. */
typedef struct il__job {
    uint32_t batch, n_ids, gen_tokens, depth_tok;
    int32_t *ids;      /* batch × n_ids */
    uint32_t *lengths; /* batch times n_ids */
    int32_t *next;     /* batch: the tokens of the next step */
    int32_t *gen_ids;  /* batch × (gen_tokens + 1) */
    int64_t *t_step_ns;
    uint32_t fill_tok;      /* the depth is filled in pieces of this many tokens */
    int32_t *fill_ids;      /* batch × fill_tok */
    uint32_t *fill_lengths; /* batch */
} il__job;

typedef struct il__worker {
    il_wire_channel channel;
    int64_t t_main_ns;
    il_engine_model *model; /* NULL before load */
    il_engine_logits_at logits_at;
    il_engine_session *session; /* of the prepared job */
    il_engine_session_options session_options;
    il__job job; /* ids NULL: nothing is prepared */
    bool leave;
} il__worker;

/* --- serve.c: answers requests until the driver leaves; the exit status of the process. */
int il__worker_serve(il__worker *worker);

/* --- job.c --- */
/* Checks the request against the model and the session and allocates; the old job is gone even when
 * this fails. Takes over prepare->ids. */
int il__job_prepare(il__worker *worker, const il_wire_prepare *prepare, il_error *err);
void il__job_free(il__job *job);
/* Runs the prepared call; out->t_step_ns and gen_ids point into the job. */
int il__job_run(il__worker *worker, bool split, il_wire_call_reply *out, il_error *err);

#endif
