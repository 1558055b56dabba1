/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The floor of the harness itself: a call takes its stamps and computes nothing. What it reports is
 * the time that every other backend's figures carry on top. Also the shortest example of a backend.
 */
#include "backend/process.h"

#include "os/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int noop_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    (void)entry;
    il_backend *b = calloc(1, sizeof *b);
    if (!b) {
        return il_fail(err, IL_E_NOMEM, "out of memory for a backend");
    }
    b->ops = &il__backend_noop;
    *out = b;
    return IL_OK;
}

static int noop_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    (void)b;
    (void)model;
    (void)err;
    return IL_OK;
}

static int noop_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                     il_error *err)
{
    (void)b;
    (void)model;
    (void)err;
    int64_t now_ns = il_clock_ns();
    *out = (il_load_result){
        .t_spawn_ns = now_ns, .t_hello_ns = now_ns, .t0_ns = now_ns, .t1_ns = il_clock_ns()};
    return IL_OK;
}

static int noop_prepare(il_backend *b, const il_call_request *request, il_error *err)
{
    (void)b;
    (void)request;
    (void)err;
    return IL_OK;
}

static int noop_call(il_backend *b, const il_call_request *request, il_call_result *result,
                     il_error *err)
{
    (void)b;
    (void)err;
    int64_t *t_step_ns = result->t_step_ns;
    *result = (il_call_result){
        .t_step_ns = t_step_ns,
        .n_steps = request->gen_tokens,
        .n_stamps = request->split ? request->gen_tokens : 0,
        .cached_tok = -1,
        .prompt_tok = request->n_ids,
        .prefill_event_ms = NAN,
        .decode_event_ms = NAN,
        .gpu_peak_mb = NAN,
        .major_faults = UINT64_MAX,
        .minor_faults = UINT64_MAX,
        .ctx_involuntary = UINT64_MAX,
        .status = "ok",
    };
    int64_t last_ns = result->t0_ns = il_clock_ns();
    if (request->split) {
        last_ns = result->t_first_ns = il_clock_ns();
        for (uint32_t i = 0; i < request->gen_tokens; i++) {
            last_ns = t_step_ns[i] = il_clock_ns();
        }
        result->t_end_ns = last_ns;
    } else {
        result->t_end_ns = il_clock_ns();
    }
    return IL_OK;
}

static int noop_unload(il_backend *b, il_error *err)
{
    (void)b;
    (void)err;
    return IL_OK;
}

static pid_t noop_pid(const il_backend *b)
{
    (void)b;
    return getpid();
}

static void noop_close(il_backend *b)
{
    free(b);
}

const il_backend_ops il__backend_noop = {
    .version = IL_BACKEND_VERSION,
    .kind = "noop",
    .caps = IL_CAP_STEP_TIMES | IL_CAP_UNSPLIT | IL_CAP_TOKEN_IDS,
    .open = noop_open,
    .supports = noop_supports,
    .load = noop_load,
    .prepare = noop_prepare,
    .call = noop_call,
    .unload = noop_unload,
    .pid = noop_pid,
    .close = noop_close,
};
