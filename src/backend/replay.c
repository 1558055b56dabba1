/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Answers from a recorded journal, for tests of everything downstream of a call: the same numbers
 * every time, recorded failures as failures. The recording is read at the first load or supports.
 *
 * A call is answered from the recorded cell with the same model, batch size, decode steps and
 * prompt (its length, or its text where both have one), of this entry's name where the recording
 * knows that name. Calls of a cell come in their recorded order; then there are no more.
 */
#include "backend/process.h"
#include "backend/recording.h"

#include "base/json.h"
#include "os/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct replay_backend {
    il_backend base;
    const il_param_set *entry;
    bool is_open;
    il__recording recording;
    const char *name;  /* of the backend in the recording; NULL: any */
    const char *model; /* loaded, text of the recording; NULL before load */
} replay_backend;

static int replay_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    replay_backend *r = calloc(1, sizeof *r);
    if (!r) {
        return il_fail(err, IL_E_NOMEM, "out of memory for a backend");
    }
    r->base.ops = &il__backend_replay;
    r->entry = entry;
    *out = &r->base;
    return IL_OK;
}

static int need_recording(replay_backend *r, il_error *err)
{
    if (r->is_open) {
        return IL_OK;
    }
    const char *path = il_param_text(r->entry, IL_P_REPLAY);
    if (!path) {
        int rc = il_fail(err, IL_E_UNSUPPORTED, "kind replay has no recording");
        il_error_hint(err, "replay: PATH/journal.jsonl on the backend entry names one");
        return rc;
    }
    int rc = il__recording_open(path, &r->recording, err);
    if (rc != IL_OK) {
        return rc;
    }
    r->is_open = true;
    const char *name = il_param_text(r->entry, IL_P_NAME);
    for (size_t i = 0; name && i < r->recording.n_cells; i++) {
        if (strcmp(r->recording.cells[i].backend, name) == 0) {
            r->name = r->recording.cells[i].backend;
        }
    }
    return IL_OK;
}

static bool of_backend(const replay_backend *r, const il__recorded_cell *cell)
{
    return !r->name || strcmp(cell->backend, r->name) == 0;
}

static int replay_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    replay_backend *r = (replay_backend *)b;
    const json_t *skip = NULL;
    int rc = need_recording(r, err);
    if (rc != IL_OK) {
        return rc;
    }
    for (size_t i = 0; i < r->recording.n_cells; i++) {
        const il__recorded_cell *cell = &r->recording.cells[i];
        if (of_backend(r, cell) && strcmp(cell->model, model->name) == 0) {
            if (!cell->skip) {
                return IL_OK;
            }
            skip = cell->skip;
        }
    }
    if (!skip) {
        return il_fail(err, IL_E_NOT_FOUND, "the recording has no cell of model %s", model->name);
    }
    const char *message = json_string_value(json_object_get(skip, "message"));
    const char *hint = json_string_value(json_object_get(skip, "hint"));
    rc = il_fail(err, IL_E_UNSUPPORTED, "%s", message ? message : "skipped in the recording");
    if (hint) {
        il_error_hint(err, "%s", hint);
    }
    return rc;
}

static int replay_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                       il_error *err)
{
    replay_backend *r = (replay_backend *)b;
    int64_t now_ns = il_clock_ns();
    *out = (il_load_result){
        .t_spawn_ns = now_ns, .t_hello_ns = now_ns, .t0_ns = now_ns, .t1_ns = now_ns};
    int rc = need_recording(r, err);
    r->model = NULL;
    for (size_t i = 0; rc == IL_OK && i < r->recording.n_cells; i++) {
        const il__recorded_cell *cell = &r->recording.cells[i];
        if (of_backend(r, cell) && strcmp(cell->model, model->name) == 0) {
            r->model = cell->model;
            return IL_OK;
        }
    }
    return rc != IL_OK
               ? rc
               : il_fail(err, IL_E_NOT_FOUND, "the recording has no cell of model %s", model->name);
}

static int replay_prepare(il_backend *b, const il_call_request *request, il_error *err)
{
    (void)b;
    (void)request;
    (void)err;
    return IL_OK;
}

static bool same_prompt(const il__recorded_cell *cell, const il_call_request *request)
{
    if (cell->prompt && request->prompt) {
        return strcmp(cell->prompt, request->prompt) == 0;
    }
    return cell->seq_len == request->n_ids;
}

static il__recorded_cell *find_cell(replay_backend *r, const il_call_request *request)
{
    for (size_t i = 0; r->model && i < r->recording.n_cells; i++) {
        il__recorded_cell *cell = &r->recording.cells[i];
        if (of_backend(r, cell) && strcmp(cell->model, r->model) == 0 &&
            cell->batch == request->batch && cell->gen_tokens == request->gen_tokens &&
            same_prompt(cell, request)) {
            return cell;
        }
    }
    return NULL;
}

static int code_of(const char *reason)
{
#define CODE_IF(id, value, text)                                                                   \
    if (reason && strcmp(reason, #id) == 0) {                                                      \
        return IL_E_##id;                                                                          \
    }
    IL_CODE_MAP(CODE_IF)
#undef CODE_IF
    return IL_E_INTERNAL;
}

static int replay_failure(const json_t *line, il_call_result *result, il_error *err)
{
    const char *reason = json_string_value(json_object_get(line, "reason"));
    const char *message = json_string_value(json_object_get(line, "message"));
    const char *hint = json_string_value(json_object_get(line, "hint"));
    int rc = il_fail(err, code_of(reason), "%s", message ? message : "recorded failure");
    if (hint) {
        il_error_hint(err, "%s", hint);
    }
    (void)snprintf(result->reason, sizeof result->reason, "%s", reason ? reason : il_code_name(rc));
    return rc;
}

static uint64_t state_count(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(json_object_get(line, "state"), key);
    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : UINT64_MAX;
}

static double event(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(json_object_get(line, "events"), key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static int fill_steps(const json_t *line, const il_call_request *request, il_call_result *result,
                      il_error *err)
{
    const json_t *steps = json_object_get(line, "t_step_ns");
    if (json_array_size(steps) != request->gen_tokens) {
        return il_fail(err, IL_E_DAMAGED, "the recorded call has %zu steps, its cell %u",
                       json_array_size(steps), request->gen_tokens);
    }
    for (uint32_t i = 0; i < request->gen_tokens; i++) {
        result->t_step_ns[i] = json_integer_value(json_array_get(steps, i));
    }
    result->t_end_ns =
        request->gen_tokens > 0 ? result->t_step_ns[request->gen_tokens - 1] : result->t_first_ns;
    return IL_OK;
}

static int replay_success(const json_t *line, const il_call_request *request,
                          il_call_result *result, il_error *err)
{
    int rc = il_json_get_i64(line, "t0_ns", true, &result->t0_ns, err);
    if (rc == IL_OK && request->split) {
        rc = il_json_get_i64(line, "t_first_ns", true, &result->t_first_ns, err);
        rc = rc ? rc : fill_steps(line, request, result, err);
    } else if (rc == IL_OK) {
        rc = il_json_get_i64(line, "t_end_ns", true, &result->t_end_ns, err);
    }
    if (rc != IL_OK) {
        return rc;
    }
    result->n_steps = request->gen_tokens;
    result->n_stamps = request->split ? request->gen_tokens : 0;
    result->cached_tok = -1;
    result->prompt_tok = request->n_ids;
    result->prefill_event_ms = event(line, "prefill_ms");
    result->decode_event_ms = event(line, "kv_decode_ms");
    result->gpu_peak_mb = event(line, "gpu_peak_mb");
    result->major_faults = state_count(line, "major_faults");
    result->minor_faults = state_count(line, "minor_faults");
    result->ctx_involuntary = state_count(line, "ctx_involuntary");
    json_t *server = json_object_get(line, "server");
    result->server = json_is_object(server) ? json_deep_copy(server) : NULL;
    return IL_OK;
}

static int take_answer(replay_backend *r, const il_call_request *request, const json_t **line,
                       il_error *err)
{
    il__recorded_cell *cell = find_cell(r, request);
    if (!cell) {
        return il_fail(err, IL_E_NOT_FOUND,
                       "the recording has no cell of batch %u, %u prompt tokens and %u steps for "
                       "this model",
                       request->batch, request->n_ids, request->gen_tokens);
    }
    size_t *next = request->split ? &cell->next_call : &cell->next_closure;
    size_t n = request->split ? cell->n_calls : cell->n_closures;
    if (*next >= n) {
        return il_fail(err, IL_E_NOT_FOUND, "the recording has no more than %zu %s of this cell", n,
                       request->split ? "calls" : "closure calls");
    }
    *line = (request->split ? cell->calls : cell->closures)[(*next)++];
    return IL_OK;
}

static int replay_call(il_backend *b, const il_call_request *request, il_call_result *result,
                       il_error *err)
{
    const json_t *line = NULL;
    *result = (il_call_result){
        .t_step_ns = result->t_step_ns,
        .prefill_event_ms = NAN,
        .decode_event_ms = NAN,
        .gpu_peak_mb = NAN,
        .major_faults = UINT64_MAX,
        .minor_faults = UINT64_MAX,
        .ctx_involuntary = UINT64_MAX,
    };
    int rc = take_answer((replay_backend *)b, request, &line, err);
    const char *status = json_string_value(json_object_get(line, "status"));
    if (rc == IL_OK && status && (strcmp(status, "ok") == 0 || strcmp(status, "flagged") == 0)) {
        rc = replay_success(line, request, result, err);
    } else if (rc == IL_OK) {
        rc = replay_failure(line, result, err);
    }
    (void)snprintf(result->status, sizeof result->status, "%s", rc == IL_OK ? status : "error");
    if (rc != IL_OK && result->reason[0] == '\0') {
        (void)snprintf(result->reason, sizeof result->reason, "%s", il_code_name(rc));
    }
    const char *reason = json_string_value(json_object_get(line, "reason"));
    if (rc == IL_OK && reason) {
        (void)snprintf(result->reason, sizeof result->reason, "%s", reason);
    }
    return rc;
}

static int replay_unload(il_backend *b, il_error *err)
{
    (void)err;
    ((replay_backend *)b)->model = NULL;
    return IL_OK;
}

static pid_t replay_pid(const il_backend *b)
{
    (void)b;
    return 0;
}

static void replay_close(il_backend *b)
{
    if (b) {
        il__recording_free(&((replay_backend *)b)->recording);
        free(b);
    }
}

const il_backend_ops il__backend_replay = {
    .version = IL_BACKEND_VERSION,
    .kind = "replay",
    .caps = IL_CAP_STEP_TIMES | IL_CAP_UNSPLIT | IL_CAP_TOKEN_IDS,
    .open = replay_open,
    .supports = replay_supports,
    .load = replay_load,
    .prepare = replay_prepare,
    .call = replay_call,
    .unload = replay_unload,
    .pid = replay_pid,
    .close = replay_close,
};
