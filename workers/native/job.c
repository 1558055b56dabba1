/* SPDX-License-Identifier: Apache-2.0
 *
 * The call: what is measured, and around it what must not be.
 */
#include "os/clock.h"
#include "workers/native/worker.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { FILL_TOK = 512 };

void il__job_free(il__job *job)
{
    free(job->ids);
    free(job->lengths);
    free(job->next);
    free(job->gen_ids);
    free(job->t_step_ns);
    free(job->fill_ids);
    free(job->fill_lengths);
    *job = (il__job){0};
}

static int check_ids(const il_wire_prepare *prepare, const il_engine_facts *facts, il_error *err)
{
    size_t n = (size_t)prepare->batch * prepare->n_ids;
    for (size_t i = 0; i < n; i++) {
        if ((uint32_t)prepare->ids[i] >= facts->vocab_size) {
            return il_fail(err, IL_E_RANGE,
                           "token id %d of sequence %zu, position %zu is outside the vocabulary "
                           "of %u",
                           prepare->ids[i], i / prepare->n_ids, i % prepare->n_ids,
                           facts->vocab_size);
        }
    }
    uint64_t context = (uint64_t)prepare->depth_tok + prepare->n_ids + prepare->gen_tokens;
    if (context > facts->n_positions) {
        int rc =
            il_fail(err, IL_E_RANGE,
                    "%u tokens of depth, %u of prompt and %u to generate exceed the %u "
                    "positions of the model",
                    prepare->depth_tok, prepare->n_ids, prepare->gen_tokens, facts->n_positions);
        il_error_hint(err, "shorten the prompt, gen_tokens or the depth");
        return rc;
    }
    return IL_OK;
}

/* A session is made to measure, so that the cache a cell runs on does not depend on which other
 * cells the study has. The same measure again keeps the session. */
static int fit_session(il__worker *worker, const il__job *job, il_error *err)
{
    il_engine_session_options wanted = {
        .max_batch = job->batch,
        .max_context_tok = job->depth_tok + job->n_ids + job->gen_tokens,
        .max_prompt_tok = job->n_ids > job->fill_tok ? job->n_ids : job->fill_tok,
        .logits = worker->logits_at,
    };
    const il_engine_session_options *have = &worker->session_options;
    if (worker->session && have->max_batch == wanted.max_batch &&
        have->max_context_tok == wanted.max_context_tok &&
        have->max_prompt_tok == wanted.max_prompt_tok && have->logits == wanted.logits) {
        return IL_OK;
    }
    il_engine_session_close(worker->session);
    worker->session = NULL;
    worker->session_options = wanted;
    return il_engine_session_open(worker->model, &wanted, &worker->session, err);
}

/* Ids that stand in the cache before the prompt: scattered over the vocabulary by a multiplier that
 * is odd (Knuth's), the same in every run. */
static void choose_fill(il__job *job, uint32_t vocab_size)
{
    for (uint32_t b = 0; b < job->batch; b++) {
        job->fill_lengths[b] = job->fill_tok;
        for (uint32_t i = 0; i < job->fill_tok; i++) {
            uint32_t mixed = (i + 1 + b * 7919u) * 2654435761u;
            job->fill_ids[(size_t)b * job->fill_tok + i] = (int32_t)(mixed % vocab_size);
        }
    }
}

int il__job_prepare(il__worker *worker, const il_wire_prepare *prepare, il_error *err)
{
    il__job *job = &worker->job;
    il__job_free(job);
    job->ids = (int32_t *)(uintptr_t)prepare->ids;
    const il_engine_facts *facts = il_engine_model_facts(worker->model);
    int rc = check_ids(prepare, facts, err);
    if (rc != IL_OK) {
        goto out;
    }
    job->batch = prepare->batch;
    job->n_ids = prepare->n_ids;
    job->gen_tokens = prepare->gen_tokens;
    job->depth_tok = prepare->depth_tok;
    job->fill_tok = job->depth_tok < FILL_TOK ? job->depth_tok : FILL_TOK;
    size_t batch = job->batch;
    job->lengths = calloc(batch, sizeof *job->lengths);
    job->next = calloc(batch, sizeof *job->next);
    job->gen_ids = calloc(batch * ((size_t)job->gen_tokens + 1), sizeof *job->gen_ids);
    job->t_step_ns = calloc((size_t)job->gen_tokens + 1, sizeof *job->t_step_ns);
    job->fill_ids = calloc(batch * ((size_t)job->fill_tok + 1), sizeof *job->fill_ids);
    job->fill_lengths = calloc(batch, sizeof *job->fill_lengths);
    if (!job->lengths || !job->next || !job->gen_ids || !job->t_step_ns || !job->fill_ids ||
        !job->fill_lengths) {
        rc = il_fail(err, IL_E_NOMEM, "out of memory for a call of %u sequences and %u steps",
                     job->batch, job->gen_tokens);
        goto out;
    }
    /* Touched now, so that the window meets no fresh page of ours. */
    memset(job->gen_ids, 0xff, batch * ((size_t)job->gen_tokens + 1) * sizeof *job->gen_ids);
    memset(job->t_step_ns, 0xff, ((size_t)job->gen_tokens + 1) * sizeof *job->t_step_ns);
    for (uint32_t b = 0; b < job->batch; b++) {
        job->lengths[b] = job->n_ids;
    }
    choose_fill(job, facts->vocab_size);
    rc = fit_session(worker, job, err);
out:
    if (rc != IL_OK) {
        il__job_free(job);
    }
    return rc;
}

/* Fills the cache to the depth, untimed. */
static int fill_depth(il__worker *worker, il_error *err)
{
    il__job *job = &worker->job;
    uint32_t done = 0;
    while (done < job->depth_tok) {
        uint32_t n = job->depth_tok - done < job->fill_tok ? job->depth_tok - done : job->fill_tok;
        for (uint32_t b = 0; b < job->batch; b++) {
            job->fill_lengths[b] = n;
        }
        /* A shorter last piece reads the front of the ids; which ids they are plays no part. */
        int rc =
            il_engine_prefill(worker->session, job->fill_ids, job->fill_lengths, job->batch, err);
        if (rc != IL_OK) {
            return rc;
        }
        done += n;
    }
    return IL_OK;
}

/* Keeps what argmax chose as step `step` of gen_ids (0 is the prefill). */
static void keep(il__job *job, uint32_t step)
{
    for (uint32_t b = 0; b < job->batch; b++) {
        job->gen_ids[(size_t)b * (job->gen_tokens + 1) + step] = job->next[b];
    }
}

/* The timed window. With and without stamps the work is the same. */
static int window(il__worker *worker, bool split, il_wire_call_reply *out, il_error *err)
{
    il__job *job = &worker->job;
    out->t0_ns = il_clock_ns();
    int rc = il_engine_prefill(worker->session, job->ids, job->lengths, job->batch, err);
    if (rc == IL_OK) {
        rc = il_engine_argmax(worker->session, job->next, err);
    }
    if (split) {
        out->t_first_ns = il_clock_ns();
    }
    keep(job, 0);
    for (uint32_t i = 0; i < job->gen_tokens && rc == IL_OK; i++) {
        rc = il_engine_decode(worker->session, job->next, err);
        if (rc == IL_OK) {
            rc = il_engine_argmax(worker->session, job->next, err);
        }
        if (split) {
            job->t_step_ns[i] = il_clock_ns();
        }
        keep(job, i + 1);
    }
    if (!split) {
        out->t_end_ns = il_clock_ns();
    } else {
        out->t_end_ns = job->gen_tokens > 0 ? job->t_step_ns[job->gen_tokens - 1] : out->t_first_ns;
    }
    return rc;
}

int il__job_run(il__worker *worker, bool split, il_wire_call_reply *out, il_error *err)
{
    il__job *job = &worker->job;
    assert(job->ids && worker->session);
    *out = (il_wire_call_reply){
        .split = split,
        .t_step_ns = job->t_step_ns,
        .n_steps = job->gen_tokens,
        .prompt_tok = job->n_ids,
        .prefill_event_ms = NAN,
        .decode_event_ms = NAN,
        .gpu_peak_mb = NAN,
        .batch = job->batch,
        .gen_ids = job->gen_ids,
    };
    il_engine_reset(worker->session);
    int rc = fill_depth(worker, err);
    if (rc != IL_OK) {
        return rc;
    }
    struct rusage before, after;
    (void)getrusage(RUSAGE_SELF, &before);
    rc = window(worker, split, out, err);
    (void)getrusage(RUSAGE_SELF, &after);
    out->major_faults = (uint64_t)(after.ru_majflt - before.ru_majflt);
    out->minor_faults = (uint64_t)(after.ru_minflt - before.ru_minflt);
    out->ctx_involuntary = (uint64_t)(after.ru_nivcsw - before.ru_nivcsw);
    return rc;
}
