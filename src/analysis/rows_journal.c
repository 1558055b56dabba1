/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/rows_journal.h"

#include "analysis/journal_calls.h"
#include "analysis/steady.h"
#include "base/buf.h"
#include "base/csv.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, N_MODES = 3 };
static const char *const modes[N_MODES] = {"prefill", "kv_decode", "e2e_kv"};
enum { PREFILL, KV_DECODE, E2E_KV };

/* Where the rows of a journal go. rows may be NULL. */
typedef struct sink {
    il_rows *rows;
    il_csv_writer metrics, jsonl, params, loads;
    il_buf line; /* one line of runs.jsonl */
} sink;

typedef struct plan_cell {
    const json_t *cell, *model, *backend, *scenario, *ran, *served;
} plan_cell;

static const json_t *named(const json_t *plan, const char *list, const char *name)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(plan, list), i, item)
    {
        const char *its = json_string_value(json_object_get(item, "name"));
        if (name && its && strcmp(its, name) == 0) {
            return item;
        }
    }
    return NULL;
}

static void set_text(il_metric_row *row, il_column column, const char *text)
{
    if (text) {
        row->v[column] = (il_value){text, strlen(text), NAN};
    }
}

static void take_text(il_metric_row *row, il_column column, const json_t *object, const char *key)
{
    set_text(row, column, json_string_value(json_object_get(object, key)));
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Kernels and threads as they ran; "auto" and 0 are questions, not answers. */
static void fill_runtime(il_metric_row *row, const plan_cell *p)
{
    const char *asked = json_string_value(json_object_get(p->backend, "isa"));
    double threads = number(p->ran, "threads"), threads_asked = number(p->backend, "threads");
    set_text(row, IL_C_isa, asked && strcmp(asked, "auto") != 0 ? asked : NULL);
    take_text(row, IL_C_isa, p->ran, "isa");
    row->v[IL_C_threads].num = !isnan(threads) ? threads : threads_asked > 0 ? threads_asked : NAN;
}

/* A server is timed at the client: until its first token, which is more than the forward pass. */
static const char *prefill_source(const char *kind)
{
    bool server = kind && (strcmp(kind, "ollama") == 0 || strcmp(kind, "openai") == 0);
    return server ? "client_ttft" : "stamps";
}

/* What only the server knows of its model. A checkpoint that was counted goes before it. */
static void fill_served(il_metric_row *row, const plan_cell *p)
{
    const struct {
        il_column column;
        const char *key;
    } facts[] = {{IL_C_params_millions_measured, "params_millions"},
                 {IL_C_params_total, "params_total"},
                 {IL_C_n_layer, "n_layer"},
                 {IL_C_d_model, "d_model"},
                 {IL_C_n_head, "n_head"}};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (isnan(row->v[facts[i].column].num)) {
            row->v[facts[i].column].num = number(p->served, facts[i].key);
        }
    }
    take_text(row, IL_C_dtype, p->served, "quantization");
}

/* The columns that are the same for every call of a cell. */
static void fill_cell(il_metric_row *row, const plan_cell *p)
{
    il_metric_row_clear(row);
    row->v[IL_C_task_idx].num = number(p->cell, "cell");
    take_text(row, IL_C_scenario, p->cell, "scenario");
    take_text(row, IL_C_backend, p->cell, "backend");
    take_text(row, IL_C_model, p->cell, "model");
    take_text(row, IL_C_prompt, p->scenario, "prompt");
    if (json_is_string(json_object_get(p->scenario, "prompt"))) {
        row->v[IL_C_prompt_chars].num = (double)row->v[IL_C_prompt].len;
        for (size_t i = 0; i < row->v[IL_C_prompt].len; i++) {
            /* Characters, not bytes: continuation bytes of UTF-8 do not count. */
            row->v[IL_C_prompt_chars].num -=
                ((unsigned char)row->v[IL_C_prompt].text[i] & 0xc0) == 0x80;
        }
    }
    take_text(row, IL_C_prompt_source, p->scenario, "prompt_source");
    take_text(row, IL_C_backend_kind, p->backend, "kind");
    take_text(row, IL_C_backend_kind_asked, p->backend, "kind_asked");
    take_text(row, IL_C_dtype, p->backend, "dtype");
    take_text(row, IL_C_device, p->backend, "device");
    fill_runtime(row, p);
    take_text(row, IL_C_logits, p->backend, "logits");
    take_text(row, IL_C_replication, p->backend, "replication");
    const json_t *reference = json_object_get(p->backend, "reference");
    row->v[IL_C_reference].num = json_is_boolean(reference) ? json_is_true(reference) : NAN;
    take_text(row, IL_C_model_kind, p->model, "kind");
    row->v[IL_C_params_millions].num = number(p->model, "params_millions_config");
    row->v[IL_C_params_millions_config].num = number(p->model, "params_millions_config");
    row->v[IL_C_params_millions_measured].num = number(p->model, "params_millions_measured");
    row->v[IL_C_params_total].num = number(p->model, "params_total");
    row->v[IL_C_params_non_embedding].num = number(p->model, "params_non_embedding");
    row->v[IL_C_params_active].num = number(p->model, "params_active");
    row->v[IL_C_n_layer].num = number(p->model, "n_layer");
    row->v[IL_C_d_model].num = number(p->model, "d_model");
    row->v[IL_C_n_head].num = number(p->model, "n_head");
    fill_served(row, p);
    row->v[IL_C_gen_tokens_target].num = number(p->cell, "gen_tokens");
    row->v[IL_C_batch_size_config].num = number(p->cell, "batch_size");
}

/* What the original study projects for servers that stop early: the time of a token times the
 * length asked for. */
static void fill_equivalent(il_metric_row *row)
{
    il_value *v = row->v;
    bool server = v[IL_C_backend_kind].text && strcmp(v[IL_C_backend_kind].text, "ollama") == 0;
    double per_token = v[IL_C_kv_decode_ms_per_token].num, target = v[IL_C_gen_tokens_target].num;
    v[IL_C_gen_tokens_equiv].num = server && !isnan(per_token) ? target : NAN;
    v[IL_C_kv_decode_ms_equiv].num = server ? per_token * target : NAN;
}

static void fill_call(il_metric_row *row, const il__call *call)
{
    il_value *v = row->v;
    v[IL_C_is_warmup].num = call->is_warmup;
    v[IL_C_warmup_idx].num = call->warmup_idx;
    v[IL_C_rep].num = call->rep;
    v[IL_C_block].num = call->block;
    set_text(row, IL_C_status, call->status);
    set_text(row, IL_C_error, call->message);
    set_text(row, IL_C_reason, call->reason);
    set_text(row, IL_C_flags, call->flags);
    set_text(row, IL_C_hint, call->hint);
    set_text(row, IL_C_ollama_done_reason, call->done_reason);
    v[IL_C_started_at_unix].num = call->started_at_unix;
    v[IL_C_batch_size].num = call->batch_size;
    v[IL_C_seq_len].num = call->seq_len;
    v[IL_C_prompt_tokens].num = call->prompt_tokens;
    v[IL_C_prompt_tokens_raw].num = call->prompt_tokens_raw;
    v[IL_C_gen_tokens_raw].num = call->gen_tokens_raw;
    v[IL_C_decode_steps].num = call->decode_steps;
    v[IL_C_prefill_ms].num = call->prefill_ms;
    row->v[IL_C_prefill_source] = (il_value){"", 0, NAN};
    if (!isnan(call->prefill_ms)) {
        set_text(row, IL_C_prefill_source,
                 isnan(call->server_prefill_ms) ? prefill_source(v[IL_C_backend_kind].text)
                                                : "server");
    }
    v[IL_C_kv_decode_ms].num = call->decode_ms;
    v[IL_C_kv_decode_ms_per_token].num =
        call->decode_steps > 0 ? call->decode_ms / call->decode_steps : NAN;
    fill_equivalent(row);
    v[IL_C_prefill_cuda_event_ms].num = call->event_prefill_ms;
    v[IL_C_kv_decode_cuda_event_ms].num = call->event_decode_ms;
    v[IL_C_gpu_peak_mb].num = call->gpu_peak_mb;
    v[IL_C_hf_load_ms].num = call->load_ms;
    v[IL_C_ollama_wall_ms].num = call->server_wall_ms;
    v[IL_C_ollama_total_duration_ms].num = call->server_total_ms;
    v[IL_C_ollama_load_ms].num = call->server_load_ms;
    v[IL_C_ttft_ms].num = call->ttft_ms;
    v[IL_C_first_byte_ms].num = call->first_byte_ms;
    v[IL_C_first_visible_ms].num = call->first_visible_ms;
    v[IL_C_response_ms].num = call->response_ms;
    v[IL_C_cached_tok].num = call->cached_tok;
#define STATE(name) v[IL_C_##name].num = call->name;
    IL__STATE_NUMBER_MAP(STATE)
#undef STATE
}

/* The columns of one of the three rows. Tokens are totals over the batch. */
static void fill_mode(il_metric_row *row, const il__call *call, const plan_cell *p, int mode)
{
    il_value *v = row->v;
    double latency[N_MODES] = {call->prefill_ms, call->decode_ms, call->e2e_ms};
    double event[N_MODES] = {call->event_prefill_ms, call->event_decode_ms,
                             call->event_prefill_ms + call->event_decode_ms};
    double generated = call->decode_steps * call->batch_size;
    double tokens[N_MODES] = {call->prompt_tokens, generated, call->prompt_tokens + generated};
    double flops_prefill = number(p->cell, "flops_prefill");
    double flops_decode = number(p->cell, "flops_decode_step") * call->decode_steps;
    double flops[N_MODES] = {flops_prefill, flops_decode, flops_prefill + flops_decode};
    bool measured = !isnan(latency[mode]);
    set_text(row, IL_C_mode, modes[mode]);
    v[IL_C_sample_idx].num = 3 * v[IL_C_call_idx].num + mode;
    v[IL_C_latency_ms].num = latency[mode];
    v[IL_C_cuda_event_ms].num = event[mode];
    v[IL_C_tokens_total].num = measured ? tokens[mode] : NAN;
    v[IL_C_tokens_per_s].num = latency[mode] > 0 ? tokens[mode] / (latency[mode] / 1000) : NAN;
    v[IL_C_gen_tokens].num = !measured ? NAN : mode == PREFILL ? 0 : generated;
    v[IL_C_flops].num = flops[mode];
    /* What a prefill reads depends on the kernel; a decode step reads the weights and the cache. */
    v[IL_C_bytes_read].num =
        mode == KV_DECODE ? number(p->cell, "bytes_per_step") * call->decode_steps : NAN;
}

static void print_json_text(il_buf *out, const char *text, size_t len)
{
    (void)il_buf_append(out, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            (void)il_buf_printf(out, "\\%c", c);
        } else if (c < 0x20) {
            (void)il_buf_printf(out, "\\u%04x", c);
        } else {
            (void)il_buf_append(out, text + i, 1);
        }
    }
    (void)il_buf_append(out, "\"", 1);
}

static void print_json(const il_metric_row *row, il_buf *out)
{
    il_buf_clear(out);
    for (int i = 0; i < IL_COLUMN_COUNT; i++) {
        const il_value *value = &row->v[i];
        char text[IL_NUMBER_BYTES];
        (void)il_buf_printf(out, "%s\"%s\":", i ? "," : "{", il_columns[i].name);
        if (il_columns[i].type == IL_COLUMN_T) {
            if (value->len > 0) {
                print_json_text(out, value->text, value->len);
            } else {
                (void)il_buf_puts(out, "null");
            }
        } else if (isnan(value->num)) {
            (void)il_buf_puts(out, "null");
        } else if (il_columns[i].type == IL_COLUMN_B) {
            (void)il_buf_puts(out, value->num == 1 ? "true" : "false");
        } else {
            (void)il_number_print(value->num, text);
            (void)il_buf_puts(out, text[0] ? text : "null");
        }
    }
    (void)il_buf_puts(out, "}\n");
}

static void print_csv(const il_metric_row *row, il_csv_writer *out)
{
    for (int i = 0; i < IL_COLUMN_COUNT; i++) {
        const il_value *value = &row->v[i];
        if (il_columns[i].type == IL_COLUMN_T) {
            il_csv_text_n(out, value->text, value->len);
        } else if (il_columns[i].type == IL_COLUMN_B && !isnan(value->num)) {
            il_csv_bool(out, value->num == 1);
        } else {
            il_csv_f64(out, value->num);
        }
    }
    il_csv_end_row(out);
}

/* A planned call without a line: not run, or skipped with its cell. */
static il__call absent_call(const il__journal *j, int64_t index, const json_t *cell, il__call blank)
{
    int64_t per_block = j->warmups + j->repetitions;
    int64_t in_cell = index % (j->blocks * per_block);
    int64_t i = in_cell % per_block;
    const json_t *skip = json_object_get(cell, "skip");
    const char *reason = json_string_value(json_object_get(skip, "reason"));
    const char *message = json_string_value(json_object_get(skip, "message"));
    const char *hint = json_string_value(json_object_get(skip, "hint"));
    blank.cell = (uint32_t)(index / (j->blocks * per_block));
    blank.block = (uint32_t)(in_cell / per_block);
    blank.is_warmup = i < j->warmups;
    blank.warmup_idx = blank.is_warmup ? (double)i : NAN;
    blank.rep = blank.is_warmup ? NAN : (double)(blank.block * j->repetitions + i - j->warmups);
    blank.status = json_is_object(skip) ? "skipped" : "not_run";
    blank.reason = reason ? reason : "";
    blank.message = message ? message : "";
    blank.hint = hint ? hint : "";
    return blank;
}

static il__call blank_call(void)
{
    il__call blank = {.prefill_ms = NAN,
                      .decode_ms = NAN,
                      .e2e_ms = NAN,
                      .event_prefill_ms = NAN,
                      .event_decode_ms = NAN,
                      .gpu_peak_mb = NAN,
                      .server_wall_ms = NAN,
                      .server_total_ms = NAN,
                      .server_load_ms = NAN,
                      .ttft_ms = NAN,
                      .server_prefill_ms = NAN,
                      .first_byte_ms = NAN,
                      .first_visible_ms = NAN,
                      .response_ms = NAN,
                      .cached_tok = NAN,
                      .status = "",
                      .reason = "",
                      .message = "",
                      .flags = "",
                      .hint = "",
                      .done_reason = ""};
#define BLANK(name) blank.name = NAN;
    IL__CALL_NUMBER_MAP(BLANK)
    IL__STATE_NUMBER_MAP(BLANK)
#undef BLANK
    return blank;
}

static int emit_call(sink *out, const plan_cell *p, const il__call *call,
                     const double steady[N_MODES], il_metric_row *row, il_error *err)
{
    fill_call(row, call);
    int rc = IL_OK;
    for (int mode = 0; mode < N_MODES && rc == IL_OK; mode++) {
        fill_mode(row, call, p, mode);
        row->v[IL_C_steady].num = steady[mode];
        print_csv(row, &out->metrics);
        print_json(row, &out->line);
        il_csv_raw(&out->jsonl, il_buf_text(&out->line), out->line.len);
        rc = out->rows ? il_rows_add(out->rows, row, err) : IL_OK;
        if (rc == IL_OK && out->line.status != IL_OK) {
            rc = il_fail(err, out->line.status, "a row of runs.jsonl is too long");
        }
    }
    if (!isnan(call->load_ms)) {
        il_csv_text(&out->loads, row->v[IL_C_model].text);
        il_csv_text(&out->loads, row->v[IL_C_backend].text);
        il_csv_text(&out->loads, row->v[IL_C_dtype].text);
        il_csv_f64(&out->loads, call->load_ms);
        il_csv_end_row(&out->loads);
    }
    return rc;
}

/* The settledness of the cell at hand, one a mode, and how many of its calls were passed. */
typedef struct settled {
    il__steady steady[N_MODES];
    size_t place[N_MODES];
    il__steady_call *calls; /* [per_cell] */
    double *work;           /* [per_cell] */
    il_scratch memory[2];   /* of the two */
} settled;

static double latency_of(const il__call *call, int mode)
{
    return mode == PREFILL ? call->prefill_ms : mode == KV_DECODE ? call->decode_ms : call->e2e_ms;
}

static bool counts(const il__call *call)
{
    return call->seen && !call->is_warmup && strcmp(call->status, "ok") == 0;
}

static int settle(const il__call *calls, size_t n, settled *out, il_error *err)
{
    int rc = IL_OK;
    for (int mode = 0; mode < N_MODES && rc == IL_OK; mode++) {
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
            if (counts(&calls[i])) {
                out->calls[kept++] = (il__steady_call){latency_of(&calls[i], mode), calls[i].block};
            }
        }
        out->place[mode] = 0;
        rc = il__steady_of(out->calls, kept, out->work, &out->steady[mode], err);
    }
    return rc;
}

/* Of each mode's row of the call: 1, 0, or NaN where it is not known. */
static void take_steady(settled *s, const il__call *call, double out[N_MODES])
{
    for (int mode = 0; mode < N_MODES; mode++) {
        bool timed = counts(call) && latency_of(call, mode) > 0;
        out[mode] = timed ? il__steady_at(&s->steady[mode], s->place[mode]++) : NAN;
    }
}

/* A model of a checkpoint meets several backends: what Ollama says is of its own rows alone. */
static const json_t *served_of(const json_t *served, const json_t *backend, const char *model)
{
    const json_t *facts = json_object_get(served, model);
    const char *runtime =
        json_string_value(json_object_get(json_object_get(facts, "worker"), "runtime"));
    const char *kind = json_string_value(json_object_get(backend, "kind"));
    return runtime && kind && strcmp(runtime, kind) == 0 ? facts : NULL;
}

static int emit_calls(const il__journal *j, sink *out, il_error *err)
{
    const il__call *calls = j->calls.data;
    const json_t *cells = json_object_get(j->plan, "cells");
    int64_t per_block = j->warmups + j->repetitions, per_cell = j->blocks * per_block;
    const il__call blank = blank_call();
    il_metric_row row;
    plan_cell p = {0};
    settled s = {.calls = NULL};
    int rc = il_scratch_take(&s.memory[0], j->scratch_dir, (size_t)per_cell, sizeof *s.calls, err);
    rc = rc ? rc
            : il_scratch_take(&s.memory[1], j->scratch_dir, (size_t)per_cell, sizeof *s.work, err);
    s.calls = s.memory[0].data;
    s.work = s.memory[1].data;
    for (int64_t i = 0; i < j->n_calls && rc == IL_OK; i++) {
        if (i % per_cell == 0) {
            p.cell = json_array_get(cells, (size_t)(i / per_cell));
            p.model = named(j->plan, "models", json_string_value(json_object_get(p.cell, "model")));
            p.backend =
                named(j->plan, "backends", json_string_value(json_object_get(p.cell, "backend")));
            p.served = served_of(j->served, p.backend,
                                 json_string_value(json_object_get(p.cell, "model")));
            p.ran = json_object_get(j->ran, json_string_value(json_object_get(p.backend, "name")));
            p.scenario =
                named(j->plan, "scenarios", json_string_value(json_object_get(p.cell, "scenario")));
            fill_cell(&row, &p);
            rc = settle(calls + i, (size_t)per_cell, &s, err);
        }
        if (!calls[i].seen && !il__journal_has(j, i / per_cell, i % per_cell / per_block)) {
            continue; /* a number that no call has been given */
        }
        il__call call = calls[i].seen ? calls[i] : absent_call(j, i, p.cell, blank);
        double steady[N_MODES];
        take_steady(&s, &call, steady);
        row.v[IL_C_call_idx].num = (double)i;
        rc = rc ? rc : emit_call(out, &p, &call, steady, &row, err);
    }
    il_scratch_free(&s.memory[0]);
    il_scratch_free(&s.memory[1]);
    return rc;
}

static void emit_params(const json_t *plan, const json_t *served_models, il_csv_writer *out)
{
    size_t i;
    const json_t *model;
    json_array_foreach(json_object_get(plan, "models"), i, model)
    {
        double measured = number(model, "params_millions_measured");
        const json_t *served =
            json_object_get(served_models, json_string_value(json_object_get(model, "name")));
        const char *source = isnan(measured) ? "config" : "checkpoint";
        if (isnan(measured) && served) {
            const char *runtime =
                json_string_value(json_object_get(json_object_get(served, "worker"), "runtime"));
            measured = number(served, "params_millions");
            source = runtime ? runtime : "server";
        }
        il_csv_text(out, json_string_value(json_object_get(model, "name")));
        il_csv_text(out, json_string_value(json_object_get(model, "kind")));
        il_csv_f64(out, number(model, "params_millions_config"));
        il_csv_f64(out, measured);
        il_csv_text(out, source);
        il_csv_end_row(out);
    }
}

static int open_file(const char *run_dir, const char *name, il_csv_writer *out, il_error *err)
{
    char path[PATH_BYTES];
    int rc = il_path_join(path, sizeof path, run_dir, name);
    return rc ? il_fail(err, rc, "the path of %s is too long", name)
              : il_csv_create(path, out, err);
}

static int open_sink(const char *run_dir, sink *out, il_error *err)
{
    static const char *const params[] = {"model", "kind", "params_millions_config",
                                         "params_millions_measured", "source"};
    static const char *const loads[] = {"model", "backend", "dtype", "load_ms"};
    out->metrics.fd = out->jsonl.fd = out->params.fd = out->loads.fd = -1;
    il_buf_init(&out->line, 1 << 26);
    int rc = open_file(run_dir, "metrics.csv", &out->metrics, err);
    rc = rc ? rc : open_file(run_dir, "runs.jsonl", &out->jsonl, err);
    rc = rc ? rc : open_file(run_dir, "resolved_model_params.csv", &out->params, err);
    rc = rc ? rc : open_file(run_dir, "load_ms.csv", &out->loads, err);
    if (rc == IL_OK) {
        for (int i = 0; i < IL_COLUMN_COUNT; i++) {
            il_csv_text(&out->metrics, il_columns[i].name);
        }
        il_csv_end_row(&out->metrics);
        il_csv_row(&out->params, params, sizeof params / sizeof params[0]);
        il_csv_row(&out->loads, loads, sizeof loads / sizeof loads[0]);
    }
    return rc;
}

static void close_sink(sink *out)
{
    il_csv_abandon(&out->metrics);
    il_csv_abandon(&out->jsonl);
    il_csv_abandon(&out->params);
    il_csv_abandon(&out->loads);
    il_buf_free(&out->line);
}

int il_rows_from_journal(il_rows *rows, const char *run_dir, const char *out_dir,
                         il_run_facts *facts, il_error *err)
{
    char path[PATH_BYTES];
    il__journal journal;
    sink out = {.rows = rows};
    if (il_path_join(path, sizeof path, run_dir, "journal.jsonl") != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    int rc = il__journal_load(path, out_dir, &journal, facts, err);
    if (rc == IL_OK) {
        rc = open_sink(out_dir, &out, err);
        rc = rc ? rc : emit_calls(&journal, &out, err);
        if (rc == IL_OK) {
            emit_params(journal.plan, journal.served, &out.params);
        }
        rc = rc ? rc : il_csv_close(&out.metrics, err);
        rc = rc ? rc : il_csv_close(&out.jsonl, err);
        rc = rc ? rc : il_csv_close(&out.params, err);
        rc = rc ? rc : il_csv_close(&out.loads, err);
        close_sink(&out);
    }
    il__journal_free(&journal);
    return rc;
}

int il_journal_export(const char *run_dir, il_error *err)
{
    il_run_facts facts = {0};
    int rc = il_rows_from_journal(NULL, run_dir, run_dir, &facts, err);
    il_run_facts_free(&facts);
    return rc;
}
