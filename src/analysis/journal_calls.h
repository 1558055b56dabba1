/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal as read: the plan, the last line of every planned call as numbers, and the facts.
 */
#ifndef IL_ANALYSIS_JOURNAL_CALLS_H
#define IL_ANALYSIS_JOURNAL_CALLS_H

#include "analysis/facts.h"
#include "analysis/texts.h"
#include "analysis/vector.h"

#include <jansson.h>

/* Numbers of a call line, by key; NaN where null or absent. */
/* clang-format off */
#define IL__CALL_NUMBER_MAP(X)                                                                     \
    X(warmup_idx)                                                                                  \
    X(rep)                                                                                         \
    X(started_at_unix) X(batch_size) X(seq_len) X(prompt_tokens) X(prompt_tokens_raw)              \
        X(gen_tokens_raw) X(decode_steps) X(load_ms)
#define IL__STATE_NUMBER_MAP(X)                                                                    \
    X(steal_ms)                                                                                    \
    X(busy_other_ms)                                                                               \
    X(ctx_involuntary) X(major_faults) X(minor_faults) X(mhz) X(psi_cpu_ms) X(load1)
/* clang-format on */

typedef struct il__call {
    uint8_t seen; /* 0: no line yet */
    uint8_t is_warmup;
    uint32_t cell, block;
    double prefill_ms, decode_ms, e2e_ms; /* NaN when not ok */
    double event_prefill_ms, event_decode_ms, gpu_peak_mb;
    double rss_bytes; /* of the worker, after the call */
    double server_wall_ms, server_total_ms, server_load_ms, ttft_ms;
    double server_prefill_ms; /* NaN: it has no such counter */
    /* of servers: from the moment the request was due, where it had one, else sent */
    double first_byte_ms, first_visible_ms, response_ms, cached_tok;
#define FIELD(name) double name;
    IL__CALL_NUMBER_MAP(FIELD)
    IL__STATE_NUMBER_MAP(FIELD)
#undef FIELD
    /* "" when absent */
    const char *status, *reason, *message, *flags, *hint, *done_reason;
    uint64_t first_step; /* in il__journal.steps */
    uint32_t n_stamps;
} il__call;

typedef struct il__journal {
    il__texts texts; /* of calls */
    json_t *plan;    /* the last plan line */
    json_t *ran;    /* backend name → what its worker said of itself: isa, threads; may be NULL */
    json_t *served; /* model → facts of its load at a server that tells its size; may be NULL */
    int64_t n_calls, blocks, warmups, repetitions;
    il_vector calls; /* il__call, by call_idx */
    uint8_t *extra;  /* [cell · blocks + block]: blocks beyond the least of a run with a target */
    int64_t blocks_least; /* all blocks without one */
    il_vector
        steps; /* double: ms of each step of each measured call, in the order of the journal */
    const char *scratch_dir;
    il_vector arm_calls; /* il__arm_call, in the order of the journal */
    size_t cap_sentinels, cap_ceilings, cap_parity, cap_counters, cap_probes;
} il__journal;

int il__journal_load(const char *path, const char *scratch_dir, il__journal *out,
                     il_run_facts *facts, il_error *err);
void il__journal_free(il__journal *journal);
/* Whether the calls of this cell and block are planned. */
bool il__journal_has(const il__journal *journal, int64_t cell, int64_t block);

#endif
