/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "wire/field.h"
#include "wire/message.h"

#include <stdio.h>
#include <string.h>

/* --- hello
 * ---------------------------------------------------------------------------------------- */

json_t *il_wire_hello_json(const il_wire_hello *h)
{
    return json_pack(
        "{s:s,s:I,s:s,s:s,s:s?,s:I,s:I,s:{s:b,s:b,s:b,s:O,s:O,s:O?},s:{s:s,s:s}}", "type", "hello",
        "protocol", (json_int_t)h->protocol, "worker", h->worker, "version", h->version,
        "source_hash", h->source_hash, "pid", (json_int_t)h->pid, "t_main_ns",
        (json_int_t)h->t_main_ns, "caps", "step_times", (int)h->step_times, "unsplit",
        (int)h->unsplit, "logits", (int)h->logits, "dtypes", h->dtypes, "devices", h->devices,
        "families", h->families, "runtime", "name", h->runtime_name, "version", h->runtime_version);
}

static void check_strings(il__fields *f, const char *key, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        if (!json_is_string(item)) {
            il__fields_fail(f, "key \"%s\" must hold texts alone", key);
        }
    }
}

static const json_t *need_strings(il__fields *f, const char *key)
{
    const json_t *list = il__want_node(f, key, JSON_ARRAY);
    if (!list) {
        il__fields_fail(f, "key \"%s\" is missing", key);
    }
    check_strings(f, key, list);
    return list;
}

static void read_caps(const json_t *caps, il_wire_hello *out, il__fields *hello)
{
    il__fields f = il__fields_of(caps, "hello caps", hello->err);
    out->step_times = il__need_bool(&f, "step_times");
    out->unsplit = il__want_bool(&f, "unsplit");
    out->logits = il__want_bool(&f, "logits");
    out->dtypes = need_strings(&f, "dtypes");
    out->devices = need_strings(&f, "devices");
    out->families = il__want_node(&f, "families", JSON_ARRAY);
    check_strings(&f, "families", out->families);
    hello->status = f.status;
}

int il_wire_hello_read(const json_t *message, il_wire_hello *out, il_error *err)
{
    il__fields f = il__fields_of(message, "hello", err);
    *out = (il_wire_hello){.protocol = 0};
    const char *type = il__need_text(&f, "type");
    if (type && strcmp(type, "hello") != 0) {
        il__fields_fail(&f, "the first message must be hello, not \"%.40s\"", type);
    }
    out->protocol = il__need_u32(&f, "protocol", 0, INT32_MAX);
    if (f.status == IL_OK && out->protocol != IL_WIRE_PROTOCOL) {
        il__fields_fail(&f, "the worker speaks protocol %u, this program %d", out->protocol,
                        IL_WIRE_PROTOCOL);
        il_error_hint(err, "use a worker that belongs to this version of inferlaw");
    }
    out->worker = il__need_text(&f, "worker");
    out->version = il__need_text(&f, "version");
    out->source_hash = il__want_text(&f, "source_hash");
    out->pid = il__need_i64(&f, "pid", 1, INT32_MAX);
    out->t_main_ns = il__need_i64(&f, "t_main_ns", 0, INT64_MAX);
    const json_t *caps = il__want_node(&f, "caps", JSON_OBJECT);
    if (!caps) {
        il__fields_fail(&f, "key \"caps\" is missing");
    }
    if (f.status == IL_OK) {
        read_caps(caps, out, &f);
    }
    json_t *runtime_node = il__want_node(&f, "runtime", JSON_OBJECT);
    if (runtime_node) {
        il__fields runtime = il__fields_of(runtime_node, "hello runtime", err);
        out->runtime_name = il__need_text(&runtime, "name");
        out->runtime_version = il__need_text(&runtime, "version");
        f.status = runtime.status;
    } else {
        il__fields_fail(&f, "key \"runtime\" is missing");
    }
    return f.status;
}

bool il_wire_list_has(const json_t *list, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        if (strcmp(json_string_value(item), text) == 0) {
            return true;
        }
    }
    return false;
}

/* --- the head of a reply
 * --------------------------------------------------------------------------- */

json_t *il_wire_ok_json(int64_t id)
{
    return json_pack("{s:I,s:b}", "id", (json_int_t)id, "ok", 1);
}

/* A text as JSON, or null for an empty one; bytes that are not ASCII go when it is not UTF-8. */
static json_t *text_json(const char *text)
{
    if (text[0] == '\0') {
        return json_null();
    }
    json_t *value = json_string(text);
    if (!value) {
        char ascii[sizeof((il_error *)0)->what];
        (void)snprintf(ascii, sizeof ascii, "%s", text);
        for (char *p = ascii; *p; p++) {
            *p = (unsigned char)*p < 0x80 ? *p : '?';
        }
        value = json_string(ascii);
    }
    return value;
}

json_t *il_wire_failure_json(int64_t id, const il_error *failure)
{
    return json_pack("{s:I,s:b,s:s,s:o,s:o,s:o}", "id", (json_int_t)id, "ok", 0, "code",
                     il_code_name(failure->code), "what", text_json(failure->what), "where",
                     text_json(failure->where), "hint", text_json(failure->hint));
}

/* IL_E_INTERNAL for a name off the table: another worker's own word, kept in the text. */
static int code_of(const char *name)
{
#define CODE_IF(id, value, text)                                                                   \
    if (strcmp(name, #id) == 0) {                                                                  \
        return IL_E_##id;                                                                          \
    }
    IL_CODE_MAP(CODE_IF)
#undef CODE_IF
    return IL_E_INTERNAL;
}

int il_wire_reply_read(const json_t *message, il_wire_type type, int64_t id, bool *refused,
                       il_error *err)
{
    static const char *const names[] = {
#define REPLY_NAME(type_id, name) [IL_WIRE_##type_id] = name " reply",
        IL_WIRE_TYPE_MAP(REPLY_NAME)
#undef REPLY_NAME
    };
    il__fields f = il__fields_of(message, names[type], err);
    *refused = false;
    int64_t got = il__need_i64(&f, "id", INT64_MIN, INT64_MAX);
    if (f.status == IL_OK && got != id) {
        il__fields_fail(&f, "the reply has id %lld, the request had %lld", (long long)got,
                        (long long)id);
    }
    bool ok = il__need_bool(&f, "ok");
    if (f.status != IL_OK || ok) {
        return f.status;
    }
    const char *code = il__need_text(&f, "code");
    const char *what = il__need_text(&f, "what");
    const char *where = il__want_text(&f, "where");
    const char *hint = il__want_text(&f, "hint");
    if (f.status != IL_OK) {
        return f.status;
    }
    *refused = true;
    int rc = code_of(code);
    if (rc == IL_E_INTERNAL && strcmp(code, "INTERNAL") != 0) {
        (void)il_fail(err, rc, "%s (%.40s)", what, code);
    } else {
        (void)il_fail(err, rc, "%s", what);
    }
    if (where && where[0]) {
        il_error_where(err, "%s", where);
    }
    if (hint && hint[0]) {
        il_error_hint(err, "%s", hint);
    }
    return rc;
}

/* --- load
 * ------------------------------------------------------------------------------------------- */

json_t *il_wire_load_reply_json(int64_t id, const il_wire_load_reply *reply)
{
    return json_pack("{s:I,s:b,s:I,s:I,s:O?,s:O?}", "id", (json_int_t)id, "ok", 1, "t0_ns",
                     (json_int_t)reply->t0_ns, "t1_ns", (json_int_t)reply->t1_ns, "stages",
                     reply->stages, "facts", reply->facts);
}

int il_wire_load_reply_read(const json_t *message, il_wire_load_reply *out, il_error *err)
{
    il__fields f = il__fields_of(message, "load reply", err);
    *out = (il_wire_load_reply){
        .t0_ns = il__need_i64(&f, "t0_ns", 0, INT64_MAX),
        .t1_ns = il__need_i64(&f, "t1_ns", 0, INT64_MAX),
        .stages = il__want_node(&f, "stages", JSON_ARRAY),
        .facts = il__want_node(&f, "facts", JSON_OBJECT),
    };
    if (out->t1_ns < out->t0_ns) {
        il__fields_fail(&f, "t1_ns is before t0_ns");
    }
    size_t i;
    json_t *stage;
    json_array_foreach(out->stages, i, stage)
    {
        if (f.status == IL_OK) {
            il__fields s = il__fields_of(stage, "load reply (stages)", err);
            (void)il__need_text(&s, "name");
            int64_t t0_ns = il__need_i64(&s, "t0_ns", out->t0_ns, out->t1_ns);
            (void)il__need_i64(&s, "t1_ns", t0_ns, out->t1_ns);
            (void)il__want_i64(&s, "major_faults", 0, INT64_MAX, 0);
            f.status = s.status;
        }
    }
    return f.status;
}

/* --- call
 * ------------------------------------------------------------------------------------------- */

/* Sets a new reference under key; false when either failed. */
static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static json_t *stamps_json(const int64_t *stamps, uint32_t n)
{
    json_t *array = json_array();
    for (uint32_t i = 0; array && i < n; i++) {
        if (json_array_append_new(array, json_integer(stamps[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

static json_t *gen_ids_json(const il_wire_call_reply *reply)
{
    json_t *rows = json_array();
    size_t n = (size_t)reply->n_steps + 1;
    for (uint32_t b = 0; b < reply->batch; b++) {
        json_t *row = json_array();
        for (size_t i = 0; i < n; i++) {
            (void)json_array_append_new(row, json_integer(reply->gen_ids[b * n + i]));
        }
        if (json_array_size(row) != n || json_array_append_new(rows, row) != 0) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

json_t *il_wire_call_reply_json(int64_t id, const il_wire_call_reply *r)
{
    json_t *message = il_wire_ok_json(id);
    bool ok = set(message, "t0_ns", json_integer(r->t0_ns));
    if (r->split) {
        ok = ok && set(message, "t_first_ns", json_integer(r->t_first_ns));
        ok = ok && set(message, "t_step_ns", stamps_json(r->t_step_ns, r->n_steps));
    }
    ok = ok && set(message, "t_end_ns", json_integer(r->t_end_ns));
    ok = ok && set(message, "n_steps", json_integer(r->n_steps));
    ok = ok && set(message, "prompt_tok", json_integer(r->prompt_tok));
    ok = ok && set(message, "major_faults", json_integer((json_int_t)r->major_faults));
    ok = ok && set(message, "minor_faults", json_integer((json_int_t)r->minor_faults));
    ok = ok && set(message, "ctx_involuntary", json_integer((json_int_t)r->ctx_involuntary));
    ok = ok && set(message, "prefill_event_ms", il_json_real(r->prefill_event_ms));
    ok = ok && set(message, "decode_event_ms", il_json_real(r->decode_event_ms));
    ok = ok && set(message, "gpu_peak_mb", il_json_real(r->gpu_peak_mb));
    if (r->gen_ids) {
        ok = ok && set(message, "gen_ids", gen_ids_json(r));
    }
    if (!ok) {
        json_decref(message);
        return NULL;
    }
    return message;
}

static void read_stamps(il__fields *f, il_wire_call_reply *out)
{
    const json_t *steps = il__want_node(f, "t_step_ns", JSON_ARRAY);
    out->t_first_ns = il__need_i64(f, "t_first_ns", 0, INT64_MAX);
    if (!steps) {
        il__fields_fail(f, "key \"t_step_ns\" is missing");
    }
    if (f->status == IL_OK && json_array_size(steps) != out->n_steps) {
        il__fields_fail(f, "key \"t_step_ns\" holds %zu stamps of %u steps", json_array_size(steps),
                        out->n_steps);
    }
    if (out->t_first_ns < out->t0_ns) {
        il__fields_fail(f, "t_first_ns is before t0_ns");
    }
    int64_t last_ns = out->t_first_ns;
    for (uint32_t i = 0; i < out->n_steps && f->status == IL_OK; i++) {
        const json_t *stamp = json_array_get(steps, i);
        int64_t at_ns = json_integer_value(stamp);
        if (!json_is_integer(stamp) || at_ns < last_ns) {
            il__fields_fail(f, "t_step_ns[%u] is no stamp at or after the one before it", i);
            return;
        }
        out->t_step_ns[i] = last_ns = at_ns;
    }
    if (out->t_end_ns < last_ns) {
        il__fields_fail(f, "t_end_ns is before the last step");
    }
}

static void read_gen_ids(const json_t *message, il_wire_call_reply *out)
{
    const json_t *row = json_array_get(json_object_get(message, "gen_ids"), 0);
    for (uint32_t i = 0; json_array_size(row) == (size_t)out->n_steps + 1 && i <= out->n_steps;
         i++) {
        json_int_t id = json_integer_value(json_array_get(row, i));
        out->gen_ids_out[i] = id >= 0 && id <= INT32_MAX ? (int32_t)id : -1;
    }
}

int il_wire_call_reply_read(const json_t *message, il_wire_call_reply *out, il_error *err)
{
    il__fields f = il__fields_of(message, "call reply", err);
    out->t0_ns = il__need_i64(&f, "t0_ns", 0, INT64_MAX);
    out->t_end_ns = il__need_i64(&f, "t_end_ns", 0, INT64_MAX);
    uint32_t n_steps = il__need_u32(&f, "n_steps", 0, INT32_MAX);
    if (n_steps != out->n_steps) {
        il__fields_fail(&f, "%u steps were run, %u were asked for", n_steps, out->n_steps);
    }
    out->t_first_ns = 0;
    if (out->split) {
        read_stamps(&f, out);
    } else if (il__want_node(&f, "t_step_ns", JSON_ARRAY)) {
        il__fields_fail(&f, "an unsplit call has no stamps, this reply has");
    } else if (out->t_end_ns < out->t0_ns) {
        il__fields_fail(&f, "t_end_ns is before t0_ns");
    }
    out->prompt_tok = il__need_u32(&f, "prompt_tok", 0, IL_WIRE_MAX_TOK);
    out->major_faults = (uint64_t)il__want_i64(&f, "major_faults", 0, INT64_MAX, -1);
    out->minor_faults = (uint64_t)il__want_i64(&f, "minor_faults", 0, INT64_MAX, -1);
    out->ctx_involuntary = (uint64_t)il__want_i64(&f, "ctx_involuntary", 0, INT64_MAX, -1);
    out->prefill_event_ms = il__want_f64(&f, "prefill_event_ms");
    out->decode_event_ms = il__want_f64(&f, "decode_event_ms");
    out->gpu_peak_mb = il__want_f64(&f, "gpu_peak_mb");
    if (f.status == IL_OK && out->gen_ids_out) {
        read_gen_ids(message, out);
    }
    return f.status;
}

/* --- logits, telemetry
 * ------------------------------------------------------------------------------ */

json_t *il_wire_logits_reply_json(int64_t id, const il_wire_logits_reply *reply)
{
    return json_pack("{s:I,s:b,s:I,s:I}", "id", (json_int_t)id, "ok", 1, "rows",
                     (json_int_t)reply->rows, "columns", (json_int_t)reply->columns);
}

int il_wire_logits_reply_read(const json_t *message, il_wire_logits_reply *out, il_error *err)
{
    il__fields f = il__fields_of(message, "logits reply", err);
    *out = (il_wire_logits_reply){
        .rows = il__need_u32(&f, "rows", 1, IL_WIRE_MAX_TOK),
        .columns = il__need_u32(&f, "columns", 1, INT32_MAX),
    };
    return f.status;
}

static json_t *count_json(int64_t count)
{
    return count < 0 ? json_null() : json_integer(count);
}

json_t *il_wire_telemetry_reply_json(int64_t id, const il_wire_telemetry_reply *reply)
{
    return json_pack("{s:I,s:b,s:o,s:o,s:o,s:o}", "id", (json_int_t)id, "ok", 1, "rss_bytes",
                     count_json(reply->rss_bytes), "pss_bytes", count_json(reply->pss_bytes),
                     "major_faults", count_json(reply->major_faults), "minor_faults",
                     count_json(reply->minor_faults));
}

int il_wire_telemetry_reply_read(const json_t *message, il_wire_telemetry_reply *out, il_error *err)
{
    il__fields f = il__fields_of(message, "telemetry reply", err);
    *out = (il_wire_telemetry_reply){
        .rss_bytes = il__want_i64(&f, "rss_bytes", 0, INT64_MAX, -1),
        .pss_bytes = il__want_i64(&f, "pss_bytes", 0, INT64_MAX, -1),
        .major_faults = il__want_i64(&f, "major_faults", 0, INT64_MAX, -1),
        .minor_faults = il__want_i64(&f, "minor_faults", 0, INT64_MAX, -1),
    };
    return f.status;
}
