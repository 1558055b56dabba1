/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw model logits: what the native engine computes for given token ids, as raw float32 rows.
 */
#include "cli/verbs.h"

#include "base/checked.h"
#include "base/file.h"
#include "base/log.h"
#include "inferlaw/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    const char *dir, *out_path;
    int32_t *ids;
    uint32_t n_ids, n_steps;
    il_engine_options options;
    float *rows; /* n_ids prompt rows, then n_steps */
    size_t row_floats;
} job;

static int read_flags(const il_param_set *flags, job *j, il_error *err)
{
    if (!il_param_is_set(flags, IL_P_IDS) || !il_param_is_set(flags, IL_P_OUT)) {
        (void)il_fail(err, IL_E_USAGE, "model logits needs --ids and --out");
        il_error_hint(err, "inferlaw model logits DIR --ids 1,2,3 --out logits.f32");
        return IL_E_USAGE;
    }
    const il_param_value *ids = &flags->values[IL_P_IDS];
    uint64_t n_positions = (uint64_t)ids->n + (uint64_t)il_param_i64(flags, IL_P_STEPS);
    if (ids->n < 1 || n_positions > UINT32_MAX) {
        return il_fail(err, IL_E_USAGE,
                       "--ids with at least one id, and fewer than 2^32 positions");
    }
    j->out_path = il_param_text(flags, IL_P_OUT);
    j->n_ids = (uint32_t)ids->n;
    j->n_steps = (uint32_t)il_param_i64(flags, IL_P_STEPS);
    j->ids = malloc(ids->n * sizeof *j->ids);
    if (!j->ids) {
        return il_fail(err, IL_E_NOMEM, "no memory for %u ids", j->n_ids);
    }
    for (size_t i = 0; i < ids->n; i++) {
        j->ids[i] = (int32_t)ids->i64s[i];
    }
    j->options.n_threads = (uint32_t)il_param_i64(flags, IL_P_THREADS);
    j->options.isa = il_param_text(flags, IL_P_ISA);
    j->options.expand = il_param_flag(flags, IL_P_EXPAND);
    return il_dtype_parse(il_param_text(flags, IL_P_DTYPE), &j->options.dtype);
}

/* The engine checks the rows it chooses from; here every row is an output. */
static int check_rows(const float *rows, uint32_t n_rows, size_t n, uint32_t position,
                      il_error *err)
{
    for (size_t i = 0; i < n_rows * n; i++) {
        if (!isfinite(rows[i])) {
            (void)il_fail(err, IL_E_NONFINITE, "position %zu, id %zu: the logit is not finite",
                          position + i / n, i % n);
            il_error_hint(err, "look for NaN or infinite weights in the checkpoint");
            return IL_E_NONFINITE;
        }
    }
    return IL_OK;
}

static int run_engine(job *j, il_engine_session *session, il_error *err)
{
    int rc = il_engine_prefill(session, j->ids, &j->n_ids, 1, err);
    float *to = j->rows;
    for (uint32_t step = 0; rc == IL_OK; step++) {
        uint32_t n_rows;
        int32_t next;
        const float *logits = il_engine_logits(session, &n_rows);
        rc = check_rows(logits, n_rows, j->row_floats, step == 0 ? 0 : j->n_ids + step - 1, err);
        if (rc == IL_OK) {
            memcpy(to, logits, n_rows * j->row_floats * sizeof *to);
            to += n_rows * j->row_floats;
            rc = il_engine_argmax(session, &next, err);
        }
        if (rc != IL_OK || step == j->n_steps) {
            break;
        }
        rc = il_engine_decode(session, &next, err);
    }
    return rc;
}

static int compute(job *j, il_error *err)
{
    il_engine_model *model = NULL;
    il_engine_session *session = NULL;
    int rc = il_engine_model_open(j->dir, &j->options, &model, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_engine_session_options options = {
        .max_batch = 1,
        .max_context_tok = j->n_ids + j->n_steps,
        .max_prompt_tok = j->n_ids,
        .logits = IL_ENGINE_LOGITS_ALL,
    };
    rc = il_engine_session_open(model, &options, &session, err);
    if (rc != IL_OK) {
        goto out;
    }
    const il_engine_facts *facts = il_engine_model_facts(model);
    size_t n_bytes;
    j->row_floats = facts->vocab_size;
    if (!il_mul_size(options.max_context_tok, j->row_floats * sizeof *j->rows, &n_bytes) ||
        !(j->rows = malloc(n_bytes))) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for %u rows of %u logits", options.max_context_tok,
                     facts->vocab_size);
        goto out;
    }
    rc = run_engine(j, session, err);
    if (rc == IL_OK) {
        rc = il_file_write_atomic(j->out_path, j->rows, n_bytes, err);
    }
    if (rc == IL_OK) {
        il_log(IL_LOG_INFO, "%u rows of %u float32 logits in %s (%s kernels, %u threads, %s)",
               options.max_context_tok, facts->vocab_size, j->out_path, facts->isa,
               facts->n_threads, facts->weights);
    }
out:
    il_engine_session_close(session);
    il_engine_model_close(model);
    return rc;
}

static int verb_run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)n_words;
    il_error err = {0};
    job j = {.dir = words[0]};
    int rc = read_flags(flags, &j, &err);
    if (rc == IL_OK) {
        rc = compute(&j, &err);
    }
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    free(j.ids);
    free(j.rows);
    return il_exit_from_code(rc);
}

const il_verb il_verb_model_logits = {
    .name = "model logits",
    .arguments = "DIR|FILE.gguf",
    .summary = "logits of the native engine for given token ids",
    .details =
        "Writes float32 rows of vocabulary size, one a prompt position and then one a greedy\n"
        "decode step, to --out. Nothing is written when a row holds a number that is not\n"
        "finite. A GGUF file is computed with in its own number formats; --expand turns its\n"
        "blocks into fp32 or bf16 first.",
    .scope = IL_SCOPE_MODEL_LOGITS,
    .least_words = 1,
    .most_words = 1,
    .run = verb_run,
};
