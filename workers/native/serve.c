/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and their answers. A handler returns the reply, or NULL with the error that becomes a
 * failure reply; the worker stays usable after either.
 */
#include "base/file.h"
#include "os/clock.h"
#include "os/cpulist.h"
#include "workers/native/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* --- load
 * ----------------------------------------------------------------------------------------- */

static void drop_model(il__worker *worker)
{
    il__job_free(&worker->job);
    il_engine_session_close(worker->session);
    worker->session = NULL;
    il_engine_model_close(worker->model);
    worker->model = NULL;
}

static int choice(const char *key, const char *text, const char *const *names, size_t n,
                  size_t *out, il_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return IL_OK;
        }
    }
    return il_fail(err, IL_E_UNSUPPORTED, "the native worker does not know %s \"%.40s\"", key,
                   text);
}

static int read_options(const il_wire_load *load, il_engine_options *out,
                        il_engine_logits_at *logits_at, il_error *err)
{
    static const char *const devices[] = {"cpu"};
    static const char *const logits[] = {"last", "all"};
    static const char *const pages[] = {"default", "always", "never"};
    size_t device = 0, at = 0, page = 0;
    int rc = choice("device", load->device, devices, 1, &device, err);
    if (rc == IL_OK) {
        rc = choice("logits", load->logits, logits, 2, &at, err);
    }
    if (rc == IL_OK) {
        rc = choice("huge_pages", load->huge_pages, pages, 3, &page, err);
    }
    *out = (il_engine_options){.n_threads = load->threads, .isa = load->isa};
    if (rc == IL_OK && il_dtype_parse(load->dtype, &out->dtype) != IL_OK) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "the native worker does not know dtype \"%.40s\"",
                     load->dtype);
    }
    *logits_at = at == 0 ? IL_ENGINE_LOGITS_LAST : IL_ENGINE_LOGITS_ALL;
    out->pages = page == 0   ? IL_ENGINE_PAGES_DEFAULT
                 : page == 1 ? IL_ENGINE_PAGES_HUGE
                             : IL_ENGINE_PAGES_SMALL;
    return rc;
}

/* For the driver that did not set it at the start; threads made from here on inherit it. */
static int set_affinity(const char *cpus, il_error *err)
{
    cpu_set_t set;
    int rc = il_cpulist_parse(cpus, &set, err);
    if (rc == IL_OK && sched_setaffinity(0, sizeof set, &set) != 0) {
        rc = il_fail(err, IL_E_INVALID, "none of the CPUs %s may be used", cpus);
    }
    return rc;
}

static json_t *stages_json(const il_engine_facts *facts)
{
    json_t *stages = json_array();
    for (size_t i = 0; i < facts->n_stages; i++) {
        const il_engine_stage *s = &facts->stages[i];
        (void)json_array_append_new(stages,
                                    json_pack("{s:s,s:I,s:I,s:I}", "name", s->name, "t0_ns",
                                              (json_int_t)s->t0_ns, "t1_ns", (json_int_t)s->t1_ns,
                                              "major_faults", (json_int_t)s->major_faults));
    }
    return stages;
}

/* What the engine does with denormal numbers inside a window (engine/core/denormals.c). */
#if defined(__x86_64__)
static const char denormals[] = "flushed to zero";
#else
static const char denormals[] = "kept";
#endif

static json_t *facts_json(const il_engine_facts *f, const il_wire_load *load)
{
    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:b}", "isa",
                     f->isa, "weights", f->weights, "threads", (json_int_t)f->n_threads,
                     "weight_bytes", (json_int_t)f->weight_bytes, "params_total",
                     (json_int_t)f->params_total, "n_layer", (json_int_t)f->n_layer, "d_model",
                     (json_int_t)f->d_model, "n_head", (json_int_t)f->n_head, "vocab_size",
                     (json_int_t)f->vocab_size, "n_positions", (json_int_t)f->n_positions, "dtype",
                     load->dtype, "device", load->device, "logits", load->logits, "huge_pages",
                     load->huge_pages, "denormals", denormals, "memory_locked", 0);
}

/* The one option of the engine. */
static int take_expand(json_t *given, il_engine_options *options, il_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(given, key, value)
    {
        if (strcmp(key, "expand") != 0 || !json_is_boolean(value)) {
            return il_fail(err, IL_E_INVALID,
                           "the native engine has no options but expand (true or false), "
                           "\"%.60s\" was given",
                           key);
        }
        options->expand = json_is_true(value);
    }
    return IL_OK;
}

static json_t *do_load(il__worker *worker, int64_t id, const json_t *message, il_error *err)
{
    il_wire_load load;
    il_engine_options options;
    il_wire_load_reply reply = {.t0_ns = il_clock_ns()};
    int rc = il_wire_load_read(message, &load, err);
    if (rc == IL_OK) {
        rc = read_options(&load, &options, &worker->logits_at, err);
    }
    if (rc == IL_OK) {
        rc = take_expand(load.options, &options, err);
    }
    if (rc == IL_OK && load.affinity) {
        rc = set_affinity(load.affinity, err);
    }
    if (rc != IL_OK) {
        return NULL;
    }
    drop_model(worker);
    rc = il_engine_model_open(load.model, &options, &worker->model, err);
    if (rc != IL_OK) {
        worker->model = NULL;
        return NULL;
    }
    reply.t1_ns = il_clock_ns();
    const il_engine_facts *facts = il_engine_model_facts(worker->model);
    reply.stages = stages_json(facts);
    reply.facts = facts_json(facts, &load);
    json_t *answer = il_wire_load_reply_json(id, &reply);
    json_decref(reply.stages);
    json_decref(reply.facts);
    return answer;
}

/* --- the others
 * ------------------------------------------------------------------------------------- */

static int need_model(const il__worker *worker, il_error *err)
{
    if (worker->model) {
        return IL_OK;
    }
    return il_fail(err, IL_E_INVALID, "no model is loaded: send load first");
}

static json_t *do_prepare(il__worker *worker, int64_t id, const json_t *message, il_error *err)
{
    il_wire_prepare prepare;
    int rc = need_model(worker, err);
    if (rc == IL_OK) {
        rc = il_wire_prepare_read(message, &prepare, err);
    }
    if (rc == IL_OK) {
        rc = il__job_prepare(worker, &prepare, err);
    }
    return rc == IL_OK ? il_wire_ok_json(id) : NULL;
}

static json_t *do_call(il__worker *worker, int64_t id, const json_t *message, il_error *err)
{
    bool split;
    il_wire_call_reply reply;
    int rc = il_wire_call_read(message, &split, err);
    if (rc == IL_OK && !worker->job.ids) {
        rc = il_fail(err, IL_E_INVALID, "nothing is prepared: send prepare first");
    }
    if (rc == IL_OK) {
        rc = il__job_run(worker, split, &reply, err);
    }
    return rc == IL_OK ? il_wire_call_reply_json(id, &reply) : NULL;
}

static json_t *do_logits(il__worker *worker, int64_t id, const json_t *message, il_error *err)
{
    il_wire_logits request = {.ids = NULL};
    il_engine_session *session = NULL;
    il_wire_logits_reply reply;
    json_t *answer = NULL;
    int rc = need_model(worker, err);
    if (rc == IL_OK) {
        rc = il_wire_logits_read(message, &request, err);
    }
    if (rc == IL_OK) {
        il_engine_session_options options = {.max_batch = 1,
                                             .max_context_tok = request.n_ids,
                                             .max_prompt_tok = request.n_ids,
                                             .logits = IL_ENGINE_LOGITS_ALL};
        rc = il_engine_session_open(worker->model, &options, &session, err);
    }
    if (rc == IL_OK) {
        rc = il_engine_prefill(session, request.ids, &request.n_ids, 1, err);
    }
    if (rc == IL_OK) {
        const float *rows = il_engine_logits(session, &reply.rows);
        reply.columns = il_engine_model_facts(worker->model)->vocab_size;
        rc = il_file_write_atomic(request.path, rows,
                                  (size_t)reply.rows * reply.columns * sizeof *rows, err);
    }
    if (rc == IL_OK) {
        answer = il_wire_logits_reply_json(id, &reply);
    }
    il_engine_session_close(session);
    free((void *)(uintptr_t)request.ids);
    return answer;
}

/* The number of bytes behind `key` in a file of "Key:   123 kB" lines; −1 when unreadable. */
static int64_t read_kib(const char *path, const char *key)
{
    long long value = -1;
    char line[256];
    size_t n_key = strlen(key);
    FILE *file = fopen(path, "re");
    while (file && value < 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, n_key) != 0 || sscanf(line + n_key, ": %lld", &value) != 1) {
            value = -1;
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return value < 0 ? -1 : (int64_t)value * 1024;
}

static json_t *do_telemetry(il__worker *worker, int64_t id, const json_t *message, il_error *err)
{
    (void)worker;
    (void)message;
    (void)err;
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    il_wire_telemetry_reply reply = {
        .rss_bytes = read_kib("/proc/self/status", "VmRSS"),
        .pss_bytes = read_kib("/proc/self/smaps_rollup", "Pss"),
        .major_faults = usage.ru_majflt,
        .minor_faults = usage.ru_minflt,
    };
    return il_wire_telemetry_reply_json(id, &reply);
}

static json_t *do_unload(il__worker *worker, int64_t id, const json_t *message, il_error *err)
{
    (void)message;
    (void)err;
    drop_model(worker);
    return il_wire_ok_json(id);
}

static json_t *do_bye(il__worker *worker, int64_t id, const json_t *message, il_error *err)
{
    (void)message;
    (void)err;
    worker->leave = true;
    return il_wire_ok_json(id);
}

/* --- the loop
 * --------------------------------------------------------------------------------------- */

typedef json_t *handler(il__worker *worker, int64_t id, const json_t *message, il_error *err);

static json_t *answer(il__worker *worker, const json_t *message)
{
    static handler *const handlers[IL_WIRE_TYPE_COUNT] = {
        [IL_WIRE_LOAD] = do_load,     [IL_WIRE_PREPARE] = do_prepare,
        [IL_WIRE_CALL] = do_call,     [IL_WIRE_LOGITS] = do_logits,
        [IL_WIRE_UNLOAD] = do_unload, [IL_WIRE_TELEMETRY] = do_telemetry,
        [IL_WIRE_BYE] = do_bye,
    };
    il_error err = {.code = IL_OK};
    il_wire_type type;
    int64_t id = 0;
    json_t *reply = NULL;
    int rc = il_wire_request_read(message, &type, &id, &err);
    if (rc == IL_OK && type == IL_WIRE_TYPE_COUNT) {
        (void)il_fail(&err, IL_E_UNSUPPORTED, "the native worker knows no such request");
    } else if (rc == IL_OK) {
        reply = handlers[type](worker, id, message, &err);
    }
    if (!reply && err.code == IL_OK) {
        (void)il_fail(&err, IL_E_NOMEM, "out of memory for a reply");
    }
    return reply ? reply : il_wire_failure_json(id, &err);
}

int il__worker_serve(il__worker *worker)
{
    int rc = IL_OK;
    il_error err = {0};
    while (!worker->leave) {
        json_t *message = NULL;
        rc = il_wire_receive(&worker->channel, IL_WIRE_NO_DEADLINE, &message, &err);
        if (rc != IL_OK) {
            break;
        }
        json_t *reply = answer(worker, message);
        json_decref(message);
        rc = il_wire_send(&worker->channel, reply, IL_WIRE_NO_DEADLINE, &err);
        if (rc != IL_OK) {
            break;
        }
    }
    drop_model(worker);
    /* The driver that closes its end between messages says: leave. */
    if (rc == IL_OK || (worker->channel.closed && worker->channel.in.len == 0)) {
        return 0;
    }
    (void)fprintf(stderr, "inferlaw-worker-native: %s\n", err.what);
    return 1;
}
