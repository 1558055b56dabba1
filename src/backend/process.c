/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/process.h"

#include "base/file.h"
#include "base/json.h"
#include "os/clock.h"
#include "os/paths.h"
#include "wire/message.h"

#include <assert.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OOM_SCORE_ADJ = 500, /* the worker dies of memory pressure before the driver does */
    GRACE_MS = 1000,     /* between SIGTERM and SIGKILL */
    LAST_WORDS_MS = 500, /* a worker whose pipe closed is about to end */
    BYE_MS = 10000,
};

static il__process_backend *self(il_backend *b)
{
    return (il__process_backend *)b;
}

static int64_t deadline_after(double seconds)
{
    double ns = seconds * 1e9;
    return ns < 9e18 ? il_clock_ns() + (int64_t)ns : IL_WIRE_NO_DEADLINE;
}

static double entry_deadline_s(const il__process_backend *p)
{
    return il_param_f64(p->entry, IL_P_DEADLINE_S);
}

bool il__process_has_command(const il__process_backend *p)
{
    return p->entry->values[IL_P_COMMAND].n > 0;
}

int il__check_model_dir(const il_backend_model *model, il_error *err)
{
    if (!model->path) {
        return il_fail(err, IL_E_UNSUPPORTED, "model %s is served, it has no checkpoint directory",
                       model->name);
    }
    if (!il_path_is_dir(model->path)) {
        int rc =
            il_fail(err, IL_E_NOT_FOUND, "model %s: no such checkpoint directory", model->name);
        il_error_where(err, "%s", model->path);
        il_error_hint(err, "`inferlaw model make` makes checkpoints; `inferlaw model list` shows "
                           "what it can make");
        return rc;
    }
    return IL_OK;
}

/* --- how a worker ends -------------------------------------------------------------------------
 */

static void forget(il__process_backend *p)
{
    il_process_free(p->process);
    il_wire_channel_free(&p->channel);
    p->process = NULL;
    p->compute_pid = 0;
}

static void add_last_words(const il__process_backend *p, char *what, size_t what_bytes)
{
    char line[200];
    il_process_stderr_line(p->process, line, sizeof line);
    if (line[0] != '\0') {
        size_t used = strlen(what);
        (void)snprintf(what + used, what_bytes - used, "; its last words: %s", line);
    }
}

/* The worker cannot go on: ends it, and says why in words that name the request, its end and the
 * last line it wrote. rc: what the exchange returned, with err filled by it. */
static int give_up(il__process_backend *p, int rc, const char *doing, il_error *err)
{
    char what[sizeof err->what], end[80];
    il_error cause = err ? *err : (il_error){.code = rc};
    il_process_state state = {.phase = IL_PROCESS_RUNNING};
    if (rc != IL_E_TIMEOUT && rc != IL_E_PROTOCOL) {
        (void)il_process_wait(p->process, LAST_WORDS_MS, &state);
    }
    bool died = state.phase != IL_PROCESS_RUNNING;
    if (!died) {
        (void)il_process_stop(p->process, GRACE_MS, NULL);
    }
    il_process_describe(state, end, sizeof end);
    if (rc == IL_E_TIMEOUT) {
        (void)snprintf(what, sizeof what, "the worker did not answer %s in time and was ended",
                       doing);
    } else if (rc == IL_E_PROTOCOL || !died) {
        (void)snprintf(what, sizeof what, "%.220s", cause.what);
        rc = rc == IL_E_CRASHED ? IL_E_PROTOCOL : rc;
    } else {
        (void)snprintf(what, sizeof what, "the worker %s during %s", end, doing);
        rc = IL_E_CRASHED;
    }
    add_last_words(p, what, sizeof what);
    (void)il_fail(err, rc, "%s", what);
    if (rc == IL_E_PROTOCOL && cause.where[0]) {
        il_error_where(err, "%s", cause.where);
    }
    il_error_where(err, "worker of backend %s, process %ld",
                   il_param_has(p->entry, IL_P_NAME) ? il_param_text(p->entry, IL_P_NAME)
                                                     : p->base.ops->kind,
                   (long)il_process_pid(p->process));
    if (rc == IL_E_TIMEOUT) {
        il_error_hint(err, "a longer deadline_s on the backend entry allows it more time");
    } else if (state.phase == IL_PROCESS_SIGNALED && state.status == SIGKILL) {
        il_error_hint(err, "nobody here sent SIGKILL: most often the kernel was out of memory "
                           "(dmesg says so); a smaller batch, context or model needs less");
    } else if (cause.hint[0]) {
        il_error_hint(err, "%s", cause.hint);
    } else {
        il_error_hint(err, "its command in a shell shows all that it says");
    }
    forget(p);
    return rc;
}

/* One request, one reply. A failure reply leaves the worker running; any other failure ends it.
 * *reply is the caller's. */
static int exchange(il__process_backend *p, il_wire_type type, int64_t id, json_t *request,
                    double seconds, const char *doing, json_t **reply, il_error *err)
{
    il_error local;
    err = err ? err : &local;
    *reply = NULL;
    bool refused = false;
    int64_t deadline_ns = deadline_after(seconds);
    int rc = il_wire_send(&p->channel, request, deadline_ns, err);
    if (rc == IL_E_NOMEM || rc == IL_E_RANGE) {
        return rc; /* nothing was sent */
    }
    if (rc == IL_OK) {
        rc = il_wire_receive(&p->channel, deadline_ns, reply, err);
    }
    if (rc == IL_OK) {
        rc = il_wire_reply_read(*reply, type, id, &refused, err);
    }
    if (rc != IL_OK) {
        json_decref(*reply);
        *reply = NULL;
        if (!refused) {
            rc = give_up(p, rc, doing, err);
        } else if (rc == IL_E_NOMEM && !err->hint[0]) {
            il_error_hint(err, "a smaller batch, context or model needs less memory");
        }
    }
    return rc;
}

/* A reply that was understood as a reply but whose content is wrong. */
static int bad_reply(il__process_backend *p, json_t *reply, const char *doing, il_error *err)
{
    json_decref(reply);
    return give_up(p, IL_E_PROTOCOL, doing, err);
}

static int need_worker(const il__process_backend *p, il_error *err)
{
    if (p->process) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_CRASHED, "no worker is running: the last one is gone");
    il_error_hint(err, "the next load starts one");
    return rc;
}

/* --- open, load ---------------------------------------------------------------------------------
 */

int il__process_open(const il_backend_ops *ops, const char *program, const il_param_set *entry,
                     il_backend **out, il_error *err)
{
    il__process_backend *p = calloc(1, sizeof *p);
    if (!p) {
        return il_fail(err, IL_E_NOMEM, "out of memory for a backend");
    }
    p->base.ops = ops;
    p->entry = entry;
    p->program = program;
    *out = &p->base;
    return IL_OK;
}

static size_t count_words(const char *const *words)
{
    size_t n = 0;
    while (words && words[n]) {
        n++;
    }
    return n;
}

/* The words of `command:`, those of a script, or our own worker. path is storage for the latter. */
static int worker_argv(const il__process_backend *p, char *path, size_t path_bytes,
                       const char ***argv, il_error *err)
{
    const il_param_value *command = &p->entry->values[IL_P_COMMAND];
    size_t n_script = command->n > 0 ? 0 : count_words(p->words);
    size_t n = command->n + n_script > 0 ? command->n + n_script : 1;
    if (command->n + n_script == 0) {
        assert(p->program); /* supports() said no otherwise */
        int rc = il_path_find_worker(p->program, path, path_bytes, err);
        if (rc != IL_OK) {
            return rc;
        }
    }
    const char **words = calloc(n + 1, sizeof *words);
    if (!words) {
        return il_fail(err, IL_E_NOMEM, "out of memory for a command");
    }
    words[0] = path;
    for (size_t i = 0; i < command->n; i++) {
        words[i] = command->texts[i];
    }
    for (size_t i = 0; i < n_script; i++) {
        words[i] = p->words[i];
    }
    *argv = words;
    return IL_OK;
}

static int start_worker(il__process_backend *p, const il_memory_limit *limit, il_error *err)
{
    char path[4096];
    const char **argv = NULL;
    int rc = worker_argv(p, path, sizeof path, &argv, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_process_options options = {
        .argv = argv,
        .cpus = il_param_text(p->entry, IL_P_AFFINITY),
        /* A worker under a limit is there to fail: it goes before anything else does. */
        .oom_score_adj = limit ? 1000 : OOM_SCORE_ADJ,
        .memory_limit = limit,
    };
    rc = il_process_spawn(&options, &p->process, err);
    free(argv);
    if (rc != IL_OK) {
        p->process = NULL;
        il_error_hint(err, il__process_has_command(p)
                               ? "`command:` of the backend entry names the program and its words"
                               : "inferlaw doctor says what is installed");
        return rc;
    }
    il_wire_channel_init(&p->channel, il_process_stdout(p->process), il_process_stdin(p->process),
                         il_process_watch_fd(p->process), "the worker");
    return IL_OK;
}

/* What a load request asks for and the worker cannot do. */
static int check_caps(const il__process_backend *p, const il_wire_hello *hello, il_error *err)
{
    const char *dtype = il_param_text(p->entry, IL_P_DTYPE);
    const char *device = il_param_text(p->entry, IL_P_DEVICE);
    if (!il_wire_list_has(hello->dtypes, dtype)) {
        return il_fail(err, IL_E_UNSUPPORTED, "worker %.60s does not compute in %s", hello->worker,
                       dtype);
    }
    if (!il_wire_list_has(hello->devices, device)) {
        return il_fail(err, IL_E_UNSUPPORTED, "worker %.60s does not compute on %s", hello->worker,
                       device);
    }
    return IL_OK;
}

/* Takes the worker's first message; *message keeps the texts of hello alive. */
static int take_hello(il__process_backend *p, il_wire_hello *hello, json_t **message,
                      int64_t *t_hello_ns, il_error *err)
{
    il_error local;
    err = err ? err : &local;
    int rc = il_wire_receive(&p->channel, deadline_after(entry_deadline_s(p)), message, err);
    *t_hello_ns = il_clock_ns();
    if (rc == IL_OK) {
        rc = il_wire_hello_read(*message, hello, err);
    }
    int64_t t_spawn_ns = il_process_spawn_ns(p->process);
    if (rc == IL_OK && (hello->t_main_ns < t_spawn_ns || hello->t_main_ns > *t_hello_ns)) {
        rc = il_fail(err, IL_E_PROTOCOL,
                     "t_main_ns is outside the time since the worker was "
                     "started: stamps are of CLOCK_MONOTONIC");
        il_error_where(err, "hello message");
    }
    return rc == IL_OK ? IL_OK : give_up(p, rc, "start", err);
}

static json_t *stage_json(const char *name, int64_t t0_ns, int64_t t1_ns)
{
    return json_pack("{s:s,s:I,s:I,s:n}", "name", name, "t0_ns", (json_int_t)t0_ns, "t1_ns",
                     (json_int_t)t1_ns, "major_faults");
}

/* The stages of the whole start: ours around the worker's. */
static json_t *all_stages(const il_load_result *times, int64_t t_main_ns, json_t *of_worker)
{
    json_t *stages = json_array();
    int bad = json_array_append_new(stages, stage_json("spawn", times->t_spawn_ns, t_main_ns));
    bad |= json_array_append_new(stages, stage_json("hello", t_main_ns, times->t_hello_ns));
    if (of_worker) {
        bad |= json_array_extend(stages, of_worker);
    }
    if (bad) {
        json_decref(stages);
        return NULL;
    }
    return stages;
}

static json_t *all_facts(json_t *of_worker, const il_wire_hello *hello)
{
    json_t *facts = of_worker ? json_copy(of_worker) : json_object();
    json_t *worker = json_pack("{s:s,s:s,s:s?,s:s,s:s}", "name", hello->worker, "version",
                               hello->version, "source_hash", hello->source_hash, "runtime",
                               hello->runtime_name, "runtime_version", hello->runtime_version);
    if (json_object_set_new(facts, "worker", worker) != 0) {
        json_decref(facts);
        return NULL;
    }
    return facts;
}

/* The free-form options of the entry, which the set holds as JSON text, and the parameters that
 * this kind tells its worker; NULL for none. A worker of the user's own is told what the study sets
 * and no default. */
static int entry_options(const il__process_backend *p, json_t **out, il_error *err)
{
    const char *text = p->entry->values[IL_P_OPTIONS].text;
    int rc = IL_OK;
    *out = NULL;
    if (text) {
        rc = il_json_parse(text, strlen(text), "options of the backend entry", out, err);
    } else if (p->n_told > 0) {
        *out = json_object();
    }
    for (uint32_t i = 0; rc == IL_OK && i < p->n_told; i++) {
        il_param_id id = p->told[i];
        if (il_param_is_set(p->entry, id) || !il__process_has_command(p)) {
            (void)json_object_set_new(*out, il_param_row(id)->name,
                                      json_string(il_param_text(p->entry, id)));
        }
    }
    return rc;
}

static int send_load(il__process_backend *p, const il_backend_model *model,
                     const il_wire_hello *hello, il_load_result *out, il_error *err)
{
    json_t *options = NULL;
    int rc = entry_options(p, &options, err);
    if (rc != IL_OK) {
        return rc;
    }
    const char *source = p->takes_file && model->file ? model->file : model->path;
    char *path = realpath(source, NULL);
    if (!path) {
        json_decref(options);
        return il_fail(err, IL_E_NOT_FOUND, "model %s: %s is not there any more", model->name,
                       source);
    }
    il_wire_load load = {
        .model = path,
        .dtype = il_param_text(p->entry, IL_P_DTYPE),
        .device = il_param_text(p->entry, IL_P_DEVICE),
        .isa = il_param_text(p->entry, IL_P_ISA),
        .logits = il_param_text(p->entry, IL_P_LOGITS),
        .huge_pages = il_param_text(p->entry, IL_P_HUGE_PAGES),
        .threads = (uint32_t)il_param_i64(p->entry, IL_P_THREADS),
        .affinity = il_param_text(p->entry, IL_P_AFFINITY),
        .max_batch = model->max_batch ? model->max_batch : 1,
        .max_prompt_tok = model->max_prompt_tok ? model->max_prompt_tok : 1,
        .max_gen_tok = model->max_gen_tok,
        .options = options,
    };
    int64_t id = p->next_id++;
    json_t *reply = NULL;
    int64_t sent_ns = il_clock_ns();
    rc = exchange(p, IL_WIRE_LOAD, id, il_wire_load_json(id, &load), entry_deadline_s(p), "load",
                  &reply, err);
    free(path);
    json_decref(options);
    if (rc != IL_OK) {
        return rc;
    }
    il_wire_load_reply answer;
    rc = il_wire_load_reply_read(reply, &answer, err);
    if (rc == IL_OK && (answer.t0_ns < sent_ns || answer.t1_ns > il_clock_ns())) {
        rc = il_fail(err, IL_E_PROTOCOL,
                     "the stamps of the load are outside the time it took: "
                     "stamps are of CLOCK_MONOTONIC");
    }
    if (rc != IL_OK) {
        return bad_reply(p, reply, "load", err);
    }
    out->t0_ns = answer.t0_ns;
    out->t1_ns = answer.t1_ns;
    out->stages = all_stages(out, hello->t_main_ns, answer.stages);
    out->facts = all_facts(answer.facts, hello);
    json_decref(reply);
    return IL_OK;
}

int il__process_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                     il_error *err)
{
    il__process_backend *p = self(b);
    il_wire_hello hello;
    json_t *message = NULL;
    *out = (il_load_result){0};
    if (p->process) {
        forget(p);
    }
    int rc = start_worker(p, model->memory_limit, err);
    if (rc != IL_OK) {
        return rc;
    }
    out->t_spawn_ns = il_process_spawn_ns(p->process);
    rc = take_hello(p, &hello, &message, &out->t_hello_ns, err);
    if (rc == IL_OK) {
        p->compute_pid = (pid_t)hello.pid;
        p->step_times = hello.step_times;
        p->unsplit = hello.unsplit;
        p->logits = hello.logits;
        p->next_id = 1;
        rc = check_caps(p, &hello, err);
    }
    if (rc == IL_OK) {
        rc = send_load(p, model, &hello, out, err);
    }
    if (rc != IL_OK && p->process) {
        forget(p); /* a worker without a model is of no use */
    }
    json_decref(message);
    return rc;
}

/* --- prepare, call, logits ----------------------------------------------------------------------
 */

int il__process_prepare(il_backend *b, const il_call_request *request, il_error *err)
{
    il__process_backend *p = self(b);
    int rc = need_worker(p, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (!request->ids || request->n_ids == 0) {
        return il_fail(err, IL_E_UNSUPPORTED,
                       "this runtime takes token ids, the scenario gives only text");
    }
    il_wire_prepare prepare = {.batch = request->batch,
                               .n_ids = request->n_ids,
                               .ids = request->ids,
                               .gen_tokens = request->gen_tokens,
                               .depth_tok = request->depth_tok};
    int64_t id = p->next_id++;
    json_t *reply = NULL;
    double seconds = request->deadline_s > 0 ? request->deadline_s : entry_deadline_s(p);
    rc = exchange(p, IL_WIRE_PREPARE, id, il_wire_prepare_json(id, &prepare), seconds, "prepare",
                  &reply, err);
    json_decref(reply);
    return rc;
}

static int run_call(il__process_backend *p, const il_call_request *request,
                    il_wire_call_reply *answer, il_error *err)
{
    int rc = need_worker(p, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (request->split ? !p->step_times : !p->unsplit) {
        return il_fail(err, IL_E_UNSUPPORTED, "this worker cannot run a call %s stamps inside",
                       request->split ? "with" : "without");
    }
    int64_t id = p->next_id++;
    json_t *reply = NULL;
    double seconds = request->deadline_s > 0 ? request->deadline_s : entry_deadline_s(p);
    int64_t sent_ns = il_clock_ns();
    rc = exchange(p, IL_WIRE_CALL, id, il_wire_call_json(id, request->split), seconds, "call",
                  &reply, err);
    if (rc != IL_OK) {
        return rc;
    }
    int64_t received_ns = il_clock_ns();
    il_error local;
    err = err ? err : &local;
    rc = il_wire_call_reply_read(reply, answer, err);
    if (rc == IL_OK && (answer->t0_ns < sent_ns || answer->t_end_ns > received_ns)) {
        rc = il_fail(err, IL_E_PROTOCOL,
                     "the stamps of the call are outside the time it took: "
                     "stamps are of CLOCK_MONOTONIC");
        il_error_where(err, "call reply message");
    }
    if (rc != IL_OK) {
        return bad_reply(p, reply, "call", err);
    }
    json_decref(reply);
    return IL_OK;
}

int il__process_call(il_backend *b, const il_call_request *request, il_call_result *result,
                     il_error *err)
{
    il_wire_call_reply answer = {.split = request->split,
                                 .n_steps = request->gen_tokens,
                                 .t_step_ns = result->t_step_ns,
                                 .gen_ids_out = result->gen_ids,
                                 .prefill_event_ms = NAN,
                                 .decode_event_ms = NAN,
                                 .gpu_peak_mb = NAN};
    int rc = run_call(self(b), request, &answer, err);
    bool ok = rc == IL_OK;
    *result = (il_call_result){
        .t0_ns = ok ? answer.t0_ns : 0,
        .t_first_ns = ok ? answer.t_first_ns : 0,
        .t_end_ns = ok ? answer.t_end_ns : 0,
        .t_step_ns = result->t_step_ns,
        .gen_ids = result->gen_ids,
        .n_steps = ok ? answer.n_steps : 0,
        .n_stamps = ok && request->split ? answer.n_steps : 0,
        .cached_tok = -1,
        .prompt_tok = ok ? answer.prompt_tok : 0,
        .prefill_event_ms = answer.prefill_event_ms,
        .decode_event_ms = answer.decode_event_ms,
        .gpu_peak_mb = answer.gpu_peak_mb,
        .major_faults = ok ? answer.major_faults : UINT64_MAX,
        .minor_faults = ok ? answer.minor_faults : UINT64_MAX,
        .ctx_involuntary = ok ? answer.ctx_involuntary : UINT64_MAX,
    };
    if (ok && request->split) {
        result->t_end_ns =
            answer.n_steps > 0 ? answer.t_step_ns[answer.n_steps - 1] : answer.t_first_ns;
    }
    (void)snprintf(result->status, sizeof result->status, "%s", ok ? "ok" : "error");
    (void)snprintf(result->reason, sizeof result->reason, "%s", ok ? "" : il_code_name(rc));
    return rc;
}

int il__process_logits(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *path,
                       il_error *err)
{
    il__process_backend *p = self(b);
    int rc = need_worker(p, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (!p->logits) {
        return il_fail(err, IL_E_UNSUPPORTED, "this worker cannot write logits");
    }
    int64_t id = p->next_id++;
    json_t *reply = NULL;
    il_wire_logits request = {.n_ids = n_ids, .ids = ids, .path = path};
    rc = exchange(p, IL_WIRE_LOGITS, id, il_wire_logits_json(id, &request), entry_deadline_s(p),
                  "logits", &reply, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_wire_logits_reply answer;
    rc = il_wire_logits_reply_read(reply, &answer, err);
    if (rc == IL_OK && answer.rows != n_ids) {
        rc = il_fail(err, IL_E_PROTOCOL, "the worker wrote %u rows of logits for %u tokens",
                     answer.rows, n_ids);
    }
    if (rc != IL_OK) {
        return bad_reply(p, reply, "logits", err);
    }
    json_decref(reply);
    return IL_OK;
}

/* --- the end
 * -------------------------------------------------------------------------------------- */

int il__process_unload(il_backend *b, il_error *err)
{
    il__process_backend *p = self(b);
    if (!p->process) {
        return IL_OK;
    }
    int64_t id = p->next_id++;
    json_t *reply = NULL;
    int rc = exchange(p, IL_WIRE_BYE, id, il_wire_request_json(IL_WIRE_BYE, id), BYE_MS / 1e3,
                      "bye", &reply, err);
    json_decref(reply);
    if (!p->process) {
        return rc;
    }
    il_process_close_stdin(p->process);
    il_process_state state;
    if (rc == IL_OK && il_process_wait(p->process, BYE_MS, &state) != IL_OK) {
        (void)il_fail(err, IL_E_TIMEOUT, "the worker said bye and stayed");
        rc = give_up(p, IL_E_TIMEOUT, "bye", err);
        return rc;
    }
    if (rc == IL_OK && (state.phase != IL_PROCESS_EXITED || state.status != 0)) {
        return give_up(p, IL_E_CRASHED, "bye", err);
    }
    forget(p);
    return rc;
}

pid_t il__process_pid(const il_backend *b)
{
    const il__process_backend *p = (const il__process_backend *)b;
    return p->process ? p->compute_pid : 0;
}

void il__process_close(il_backend *b)
{
    if (!b) {
        return;
    }
    il__process_backend *p = self(b);
    if (p->process) {
        (void)il__process_unload(b, NULL);
    }
    free(p);
}
