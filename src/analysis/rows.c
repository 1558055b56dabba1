/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/rows.h"

#include "analysis/outcomes.h"
#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct text_slot {
    uint64_t hash;
    il_text_id id; /* 0 free: "" is never in the table */
} text_slot;

struct il_rows {
    il_arena arena;
    char *scratch_dir;
    /* texts */
    const char **texts;
    size_t n_texts, texts_cap;
    text_slot *text_slots;
    size_t n_text_slots;
    /* cells; slots hold index + 1 */
    il_cell *cells;
    size_t n_cells, cells_cap;
    uint32_t *cell_slots;
    size_t n_cell_slots;
    /* values */
    size_t n_rows, n_ok;
    il_vector places; /* uint32_t: 2 · cell + is_warmup, of each ok row */
    il_vector quantities[IL_Q_COUNT];
    il_outcomes outcomes;
    bool sealed;
};

int il_rows_open(const char *scratch_dir, il_rows **out, il_error *err)
{
    *out = NULL;
    il_rows *rows = calloc(1, sizeof *rows);
    if (!rows) {
        return il_fail(err, IL_E_NOMEM, "no memory for the table of rows");
    }
    rows->n_text_slots = 1024;
    rows->n_cell_slots = 1024;
    rows->texts_cap = 256;
    rows->cells_cap = 256;
    rows->scratch_dir = strdup(scratch_dir);
    rows->texts = malloc(rows->texts_cap * sizeof *rows->texts);
    rows->cells = malloc(rows->cells_cap * sizeof *rows->cells);
    rows->text_slots = calloc(rows->n_text_slots, sizeof *rows->text_slots);
    rows->cell_slots = calloc(rows->n_cell_slots, sizeof *rows->cell_slots);
    il_outcomes_init(&rows->outcomes);
    il_vector_init(&rows->places, sizeof(uint32_t));
    for (int q = 0; q < IL_Q_COUNT; q++) {
        il_vector_init(&rows->quantities[q], sizeof(double));
    }
    if (!rows->scratch_dir || !rows->texts || !rows->cells || !rows->text_slots ||
        !rows->cell_slots) {
        il_rows_free(rows);
        return il_fail(err, IL_E_NOMEM, "no memory for the table of rows");
    }
    rows->texts[0] = "";
    rows->n_texts = 1;
    *out = rows;
    return IL_OK;
}

void il_rows_free(il_rows *rows)
{
    if (!rows) {
        return;
    }
    for (int q = 0; q < IL_Q_COUNT; q++) {
        il_vector_free(&rows->quantities[q]);
    }
    il_vector_free(&rows->places);
    free(rows->scratch_dir);
    free(rows->texts);
    free(rows->cells);
    free(rows->text_slots);
    free(rows->cell_slots);
    il_outcomes_free(&rows->outcomes);
    il_arena_free(&rows->arena);
    free(rows);
}

static int grow_texts(il_rows *rows)
{
    if (rows->n_texts == rows->texts_cap) {
        const char **texts = realloc(rows->texts, 2 * rows->texts_cap * sizeof *texts);
        if (!texts) {
            return IL_E_NOMEM;
        }
        rows->texts = texts;
        rows->texts_cap *= 2;
    }
    if (2 * rows->n_texts < rows->n_text_slots) {
        return IL_OK;
    }
    size_t n = 2 * rows->n_text_slots;
    text_slot *slots = calloc(n, sizeof *slots);
    if (!slots) {
        return IL_E_NOMEM;
    }
    for (size_t i = 0; i < rows->n_text_slots; i++) {
        if (rows->text_slots[i].id) {
            size_t at = rows->text_slots[i].hash & (n - 1);
            while (slots[at].id) {
                at = (at + 1) & (n - 1);
            }
            slots[at] = rows->text_slots[i];
        }
    }
    free(rows->text_slots);
    rows->text_slots = slots;
    rows->n_text_slots = n;
    return IL_OK;
}

int il_rows_intern(il_rows *rows, const char *text, size_t len, il_text_id *out)
{
    *out = 0;
    if (len == 0) {
        return IL_OK;
    }
    uint64_t hash = il_fnv1a64(text, len);
    size_t at = hash & (rows->n_text_slots - 1);
    for (; rows->text_slots[at].id; at = (at + 1) & (rows->n_text_slots - 1)) {
        const text_slot *slot = &rows->text_slots[at];
        const char *its = rows->texts[slot->id];
        if (slot->hash == hash && strncmp(its, text, len) == 0 && its[len] == '\0') {
            *out = slot->id;
            return IL_OK;
        }
    }
    char *copy = il_arena_strndup(&rows->arena, text, len);
    if (!copy || rows->n_texts >= UINT32_MAX) {
        return IL_E_NOMEM;
    }
    rows->texts[rows->n_texts] = copy;
    rows->text_slots[at] = (text_slot){hash, (il_text_id)rows->n_texts};
    *out = (il_text_id)rows->n_texts++;
    return grow_texts(rows);
}

static int intern(il_rows *rows, const il_value *value, il_text_id *out)
{
    return il_rows_intern(rows, value->text, value->len, out);
}

/* Unknown parameters are NaN on both sides of one cell. */
static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_cell(const il_cell *a, const il_cell *b)
{
    return a->backend == b->backend && a->backend_kind == b->backend_kind && a->model == b->model &&
           a->model_kind == b->model_kind && a->scenario == b->scenario && a->mode == b->mode &&
           a->batch_size == b->batch_size && same_number(a->params, b->params);
}

static size_t cell_hash(const il_cell *cell)
{
    struct {
        uint32_t ids[6];
        double batch_size, params;
    } key = {{cell->backend, cell->backend_kind, cell->model, cell->model_kind, cell->scenario,
              cell->mode},
             cell->batch_size,
             isnan(cell->params) ? -1 : cell->params};
    return (size_t)il_fnv1a64(&key, sizeof key);
}

static void place_cell(uint32_t *slots, size_t n_slots, const il_cell *cell, uint32_t number)
{
    size_t at = cell_hash(cell) & (n_slots - 1);
    while (slots[at]) {
        at = (at + 1) & (n_slots - 1);
    }
    slots[at] = number;
}

static int grow_cells(il_rows *rows)
{
    if (rows->n_cells == rows->cells_cap) {
        il_cell *cells = realloc(rows->cells, 2 * rows->cells_cap * sizeof *cells);
        if (!cells) {
            return IL_E_NOMEM;
        }
        rows->cells = cells;
        rows->cells_cap *= 2;
    }
    if (2 * (rows->n_cells + 1) < rows->n_cell_slots) {
        return IL_OK;
    }
    size_t n = 2 * rows->n_cell_slots;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) {
        return IL_E_NOMEM;
    }
    for (size_t i = 0; i < rows->n_cells; i++) {
        place_cell(slots, n, &rows->cells[i], (uint32_t)(i + 1));
    }
    free(rows->cell_slots);
    rows->cell_slots = slots;
    rows->n_cell_slots = n;
    return IL_OK;
}

/* The cell of that key, made when it is new. */
static int find_cell(il_rows *rows, const il_cell *key, size_t *out)
{
    size_t at = cell_hash(key) & (rows->n_cell_slots - 1);
    for (; rows->cell_slots[at]; at = (at + 1) & (rows->n_cell_slots - 1)) {
        *out = rows->cell_slots[at] - 1;
        if (same_cell(&rows->cells[*out], key)) {
            return IL_OK;
        }
    }
    int rc = grow_cells(rows);
    if (rc != IL_OK || rows->n_cells >= UINT32_MAX / 2) {
        return IL_E_NOMEM;
    }
    *out = rows->n_cells++;
    rows->cells[*out] = *key;
    place_cell(rows->cell_slots, rows->n_cell_slots, key, (uint32_t)rows->n_cells);
    return IL_OK;
}

static int read_key(il_rows *rows, const il_metric_row *row, il_cell *key)
{
    static const il_value none = {"__none__", 8, NAN};
    const il_value *v = row->v;
    double measured = v[IL_C_params_millions_measured].num;
    double config = v[IL_C_params_millions_config].num;
    if (isnan(config)) {
        config = v[IL_C_params_millions].num;
    }
    double batch = v[IL_C_batch_size].num;
    if (isnan(batch)) {
        batch = v[IL_C_batch_size_config].num;
    }
    *key = (il_cell){.batch_size = isnan(batch) ? 1 : batch,
                     .params = measured > 0 ? measured : config,
                     .plan_cell = -1,
                     .params_total = NAN,
                     .params_non_embedding = NAN,
                     .params_active = NAN,
                     .bytes_read = NAN,
                     .flops = NAN,
                     .n_layer = NAN,
                     .d_model = NAN,
                     .n_head = NAN,
                     .decode_steps = NAN};
    const il_value *scenario = v[IL_C_scenario].len ? &v[IL_C_scenario] : &none;
    int rc = intern(rows, &v[IL_C_backend], &key->backend);
    rc = rc ? rc : intern(rows, &v[IL_C_backend_kind], &key->backend_kind);
    rc = rc ? rc : intern(rows, &v[IL_C_model], &key->model);
    rc = rc ? rc : intern(rows, &v[IL_C_model_kind], &key->model_kind);
    rc = rc ? rc : intern(rows, scenario, &key->scenario);
    return rc ? rc : intern(rows, &v[IL_C_mode], &key->mode);
}

static void keep_first(double *fact, double value)
{
    if (isnan(*fact)) {
        *fact = value;
    }
}

static int read_facts(il_rows *rows, const il_metric_row *row, il_cell *cell)
{
    const il_value *v = row->v;
    keep_first(&cell->params_total, v[IL_C_params_total].num);
    keep_first(&cell->params_non_embedding, v[IL_C_params_non_embedding].num);
    keep_first(&cell->params_active, v[IL_C_params_active].num);
    keep_first(&cell->bytes_read, v[IL_C_bytes_read].num);
    keep_first(&cell->flops, v[IL_C_flops].num);
    keep_first(&cell->n_layer, v[IL_C_n_layer].num);
    keep_first(&cell->d_model, v[IL_C_d_model].num);
    keep_first(&cell->n_head, v[IL_C_n_head].num);
    keep_first(&cell->decode_steps, v[IL_C_decode_steps].num);
    double task = v[IL_C_task_idx].num;
    cell->plan_cell = cell->plan_cell < 0 && !isnan(task) ? (int64_t)task : cell->plan_cell;
    cell->reference = cell->reference || v[IL_C_reference].num == 1;
    cell->has_block = cell->has_block || !isnan(v[IL_C_block].num);
    if (cell->replication == 0) {
        return intern(rows, &v[IL_C_replication], &cell->replication);
    }
    return IL_OK;
}

static bool text_is(const il_value *value, const char *text)
{
    return value->len == strlen(text) && memcmp(value->text, text, value->len) == 0;
}

/* True where a word says something of the moment of the call: that its answers could not be checked
 * is so for every row of its backend and model, and no reason to leave them out of anything. */
static bool has_gate_word(const il_value *flags)
{
    static const char unchecked[] = "parity_not_checked";
    return flags->len > 0 && !text_is(flags, unchecked);
}

/* The quantities of an ok row, among them those the study derives: prompt tokens as computed are
 * batch × padded length, and count in the totals of `hf` rows. */
static void derive(const il_metric_row *row, double batch, double q[IL_Q_COUNT])
{
    const il_value *v = row->v;
    q[IL_Q_latency] = v[IL_C_latency_ms].num;
    q[IL_Q_tokens_per_s] = v[IL_C_tokens_per_s].num;
    q[IL_Q_tokens_total] = v[IL_C_tokens_total].num;
    q[IL_Q_prompt_tokens] = v[IL_C_prompt_tokens].num;
    q[IL_Q_prompt_tokens_raw] = v[IL_C_prompt_tokens_raw].num;
    q[IL_Q_gen_tokens] = v[IL_C_gen_tokens].num;
    q[IL_Q_gen_tokens_raw] = v[IL_C_gen_tokens_raw].num;
    q[IL_Q_gen_tokens_target] = v[IL_C_gen_tokens_target].num;
    q[IL_Q_cuda_event] = v[IL_C_cuda_event_ms].num;
    q[IL_Q_gpu_peak] = v[IL_C_gpu_peak_mb].num;
    q[IL_Q_ollama_load] = v[IL_C_ollama_load_ms].num;
    q[IL_Q_params_config] = v[IL_C_params_millions_config].num;
    if (isnan(q[IL_Q_params_config])) {
        q[IL_Q_params_config] = v[IL_C_params_millions].num;
    }
    q[IL_Q_params_measured] = v[IL_C_params_millions_measured].num;
    q[IL_Q_prefill_ms] = v[IL_C_prefill_ms].num;
    q[IL_Q_kv_decode_ms] = v[IL_C_kv_decode_ms].num;
    q[IL_Q_kv_decode_equiv] = v[IL_C_kv_decode_ms_equiv].num;
    double seq_len = v[IL_C_seq_len].num;
    double prompt = isnan(seq_len) ? v[IL_C_prompt_tokens].num : batch * seq_len;
    double total = q[IL_Q_tokens_total];
    if (text_is(&v[IL_C_backend_kind], "hf") && text_is(&v[IL_C_mode], "prefill")) {
        total = prompt;
    } else if (text_is(&v[IL_C_backend_kind], "hf") && text_is(&v[IL_C_mode], "e2e_kv")) {
        total = prompt + q[IL_Q_gen_tokens];
    }
    q[IL_Q_prompt_tokens_compute] = prompt;
    q[IL_Q_tokens_total_compute] = total;
    q[IL_Q_tokens_per_s_compute] = q[IL_Q_latency] > 0 ? total / (q[IL_Q_latency] / 1000) : NAN;
    q[IL_Q_replicate] = isnan(v[IL_C_block].num) ? v[IL_C_rep].num : v[IL_C_block].num;
    q[IL_Q_flagged] = has_gate_word(&v[IL_C_flags]) ? 1 : NAN;
    q[IL_Q_rep] = v[IL_C_rep].num;
    q[IL_Q_decode_steps] = v[IL_C_decode_steps].num;
    q[IL_Q_ttft] = v[IL_C_ttft_ms].num;
}

/* Arrays begin with the first row that has the quantity; the rows before it get NaN. */
static int store(il_rows *rows, il_quantity q, size_t row, double value, il_error *err)
{
    il_vector *vector = &rows->quantities[q];
    size_t had = vector->count;
    int rc = il_vector_resize(vector, rows->scratch_dir, row + 1, err);
    if (rc != IL_OK) {
        return rc;
    }
    double *data = vector->data;
    for (size_t i = had; i < row; i++) {
        data[i] = NAN;
    }
    data[row] = value;
    return IL_OK;
}

int il_rows_add(il_rows *rows, const il_metric_row *row, il_error *err)
{
    assert(!rows->sealed);
    il_cell key;
    size_t at;
    int rc = read_key(rows, row, &key);
    rc = rc ? rc : find_cell(rows, &key, &at);
    rc = rc ? rc : read_facts(rows, row, &rows->cells[at]);
    const il_value *v = row->v;
    bool ok = text_is(&v[IL_C_status], "ok") && !isnan(v[IL_C_latency_ms].num);
    rc = rc ? rc : il_outcomes_add(&rows->outcomes, rows, row, &key, ok);
    if (rc != IL_OK) {
        return il_fail(err, rc, "no memory for the table of rows");
    }
    il_cell *cell = &rows->cells[at];
    rows->n_rows++;
    bool flagged = text_is(&v[IL_C_status], "flagged");
    cell->n_flagged += flagged || has_gate_word(&v[IL_C_flags]);
    if (!ok) {
        cell->n_not_ok++;
        return IL_OK;
    }
    bool warmup = v[IL_C_is_warmup].num == 1;
    cell->n_warmup += warmup;
    cell->n_measured += !warmup;
    double q[IL_Q_COUNT];
    derive(row, key.batch_size, q);
    il_text_id reason;
    rc = intern(rows, &v[IL_C_ollama_done_reason], &reason);
    q[IL_Q_done_reason] = reason ? (double)reason : NAN;
    size_t index = rows->n_ok++;
    rc = rc ? rc : il_vector_resize(&rows->places, rows->scratch_dir, index + 1, err);
    for (int i = 0; i < IL_Q_COUNT && rc == IL_OK; i++) {
        if (!isnan(q[i])) {
            rc = store(rows, (il_quantity)i, index, q[i], err);
        }
    }
    if (rc == IL_OK) {
        ((uint32_t *)rows->places.data)[index] = (uint32_t)(2 * at + warmup);
    }
    return rc;
}

static const il_rows *sorted_rows; /* qsort has no context; sealing is not re-entrant */

static int by_text(il_text_id a, il_text_id b)
{
    return a == b ? 0 : strcmp(sorted_rows->texts[a], sorted_rows->texts[b]);
}

static int by_number(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return isnan(a) - isnan(b);
    }
    return (a > b) - (a < b);
}

static int by_cell(const void *pa, const void *pb)
{
    const il_cell *a = &sorted_rows->cells[*(const uint32_t *)pa];
    const il_cell *b = &sorted_rows->cells[*(const uint32_t *)pb];
    int order = by_text(a->backend, b->backend);
    order = order ? order : by_text(a->mode, b->mode);
    order = order ? order : by_text(a->scenario, b->scenario);
    order = order ? order : by_number(a->params, b->params);
    order = order ? order : by_number(a->batch_size, b->batch_size);
    order = order ? order : by_text(a->model, b->model);
    order = order ? order : by_text(a->backend_kind, b->backend_kind);
    return order ? order : by_text(a->model_kind, b->model_kind);
}

/* Gathers one quantity so that the values of a place stand together. */
static int gather(il_rows *rows, il_vector *vector, const size_t *starts, size_t *next,
                  size_t n_places, il_error *err)
{
    if (!vector->data) {
        return IL_OK;
    }
    il_vector out;
    il_vector_init(&out, sizeof(double));
    int rc = il_vector_resize(&out, rows->scratch_dir, rows->n_ok, err);
    if (rc != IL_OK) {
        return rc;
    }
    memcpy(next, starts, n_places * sizeof *next);
    const uint32_t *places = rows->places.data;
    const double *from = vector->data;
    double *to = out.data;
    for (size_t i = 0; i < rows->n_ok; i++) {
        to[next[places[i]]++] = i < vector->count ? from[i] : NAN;
    }
    il_vector_free(vector);
    *vector = out;
    return IL_OK;
}

int il_rows_seal(il_rows *rows, il_error *err)
{
    int rc = IL_OK;
    size_t n = rows->n_cells;
    uint32_t *order = malloc((n + 1) * sizeof *order);
    il_cell *cells = malloc((n + 1) * sizeof *cells);
    size_t *starts = malloc((2 * n + 1) * sizeof *starts);
    size_t *next = malloc((2 * n + 1) * sizeof *next);
    if (!order || !cells || !starts || !next) {
        rc = il_fail(err, IL_E_NOMEM, "no memory to sort %zu cells", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
    }
    sorted_rows = rows;
    qsort(order, n, sizeof *order, by_cell);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        il_cell *cell = &rows->cells[order[i]];
        cell->first = at;
        starts[2 * order[i]] = at;
        starts[2 * order[i] + 1] = at + cell->n_measured;
        at += cell->n_measured + cell->n_warmup;
        cells[i] = *cell;
    }
    assert(at == rows->n_ok);
    for (int q = 0; q < IL_Q_COUNT && rc == IL_OK; q++) {
        rc = gather(rows, &rows->quantities[q], starts, next, 2 * n, err);
    }
    if (rc == IL_OK) {
        il_vector_free(&rows->places);
        il_cell *old = rows->cells;
        rows->cells = cells;
        cells = old;
        rows->sealed = true;
    }
out:
    free(order);
    free(cells);
    free(starts);
    free(next);
    return rc;
}

size_t il_rows_count(const il_rows *rows)
{
    return rows->n_rows;
}

size_t il_rows_ok_count(const il_rows *rows)
{
    return rows->n_ok;
}

size_t il_rows_cell_count(const il_rows *rows)
{
    return rows->n_cells;
}

const il_cell *il_rows_cell(const il_rows *rows, size_t index)
{
    assert(rows->sealed && index < rows->n_cells);
    return &rows->cells[index];
}

const char *il_rows_text(const il_rows *rows, il_text_id id)
{
    assert(id < rows->n_texts);
    return rows->texts[id];
}

const double *il_rows_values(const il_rows *rows, il_quantity quantity)
{
    return rows->quantities[quantity].data;
}

const il_outcomes *il_rows_outcomes(const il_rows *rows)
{
    return &rows->outcomes;
}

bool il_rows_wants(il_column column)
{
    switch (column) {
    case IL_C_prompt:
    case IL_C_prompt_chars:
    case IL_C_steal_ms:
    case IL_C_busy_other_ms:
    case IL_C_ctx_involuntary:
    case IL_C_major_faults:
    case IL_C_minor_faults:
    case IL_C_mhz:
    case IL_C_psi_cpu_ms:
    case IL_C_load1:
    case IL_C_task_idx:
    case IL_C_call_idx:
    case IL_C_sample_idx:
    case IL_C_started_at_unix:
    case IL_C_warmup_idx:
    case IL_C_kv_decode_ms_per_token:
    case IL_C_gen_tokens_equiv:
    case IL_C_ollama_wall_ms:
    case IL_C_ollama_total_duration_ms:
    case IL_C_hf_load_ms:
    case IL_C_prefill_cuda_event_ms:
    case IL_C_kv_decode_cuda_event_ms:
        return false;
    default:
        return true;
    }
}
