/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/medians.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

typedef struct reading {
    const il_artifact *table;
    il_arena *arena;
    il_medians *out;
    il_error *err;
} reading;

static int no_memory(const reading *r)
{
    return il_fail(r->err, IL_E_NOMEM, "no memory for the rows of %s", r->table->file);
}

static int damaged(const reading *r, const char *what, const char *column, size_t row)
{
    int rc = il_fail(r->err, IL_E_DAMAGED, "%s \"%s\"", what, column);
    if (row > 0) {
        il_error_where(r->err, "analysis/%s, row %zu", r->table->file, row);
    } else {
        il_error_where(r->err, "analysis/%s", r->table->file);
    }
    il_error_hint(r->err, "rebuild it with \"inferlaw analyze\" on the run directory");
    return rc;
}

static int need_columns(const reading *r, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < r->table->n_columns && strcmp(r->table->columns[k], names[i]) != 0) {
            k++;
        }
        if (k == r->table->n_columns) {
            return damaged(r, "there is no column", names[i], 0);
        }
    }
    return IL_OK;
}

static const char *text_at(const reading *r, size_t row, const char *column)
{
    return il_artifact_text(r->table, row, column);
}

/* A number from 0 to what a double counts exactly; false for anything else. */
static bool count_at(const reading *r, size_t row, const char *column, size_t *out)
{
    double value = il_artifact_number(r->table, row, column);
    bool fits = value >= 0.0 && value < 9e15;
    *out = fits ? (size_t)value : 0;
    return fits;
}

/* Part of a row's key, whatever a foreign file put there. */
static int64_t whole_at(const reading *r, size_t row, const char *column)
{
    double value = il_artifact_number(r->table, row, column);
    return fabs(value) < 9e15 ? (int64_t)value : 0;
}

static int median_read(const reading *r, size_t i, il_cell_median *m)
{
    *m = (il_cell_median){.backend = text_at(r, i, "backend"),
                          .model = text_at(r, i, "model"),
                          .scenario = text_at(r, i, "scenario"),
                          .mode = text_at(r, i, "mode"),
                          .batch_size = whole_at(r, i, "batch_size"),
                          .gen_tokens = whole_at(r, i, "gen_tokens"),
                          .params_millions = il_artifact_number(r->table, i, "params_millions"),
                          .prompt_tok = il_artifact_number(r->table, i, "prompt_tokens"),
                          .decode_steps = il_artifact_number(r->table, i, "decode_steps"),
                          .median_ms = il_artifact_number(r->table, i, "median_ms"),
                          .low_ms = il_artifact_number(r->table, i, "ci_low_ms"),
                          .high_ms = il_artifact_number(r->table, i, "ci_high_ms")};
    if (!(m->median_ms >= 0.0)) {
        return damaged(r, "no time in column", "median_ms", i + 1);
    }
    if (!count_at(r, i, "n_replicates", &m->n_replicates)) {
        return damaged(r, "no count in column", "n_replicates", i + 1);
    }
    return IL_OK;
}

static size_t slot_of(const il_medians *all, const char *backend, const char *model,
                      const char *mode)
{
    const uint64_t hashes[] = {il_fnv1a64(backend, strlen(backend)),
                               il_fnv1a64(model, strlen(model)), il_fnv1a64(mode, strlen(mode))};
    return (size_t)il_fnv1a64(hashes, sizeof hashes) & (all->n_slots - 1);
}

/* Chains run in the order of the rows, so that the first that fits is found first. */
static int index_rows(const reading *r)
{
    il_medians *out = r->out;
    for (out->n_slots = 64; out->n_slots < 2 * out->n_rows;) {
        out->n_slots *= 2;
    }
    out->slots = il_arena_array(r->arena, out->n_slots, sizeof *out->slots);
    out->next = il_arena_array(r->arena, out->n_rows + 1, sizeof *out->next);
    if (!out->slots || !out->next) {
        return no_memory(r);
    }
    memset(out->slots, 0, out->n_slots * sizeof *out->slots);
    for (size_t i = out->n_rows; i-- > 0;) {
        const il_cell_median *m = &out->rows[i];
        size_t *slot = &out->slots[slot_of(out, m->backend, m->model, m->mode)];
        out->next[i] = *slot;
        *slot = i + 1;
    }
    return IL_OK;
}

/* The scenarios behind a row over all of them. */
static uint64_t scenario_set_of(const il_medians *all, const il_cell_median *m)
{
    uint64_t set = 0;
    for (size_t i = all->slots[slot_of(all, m->backend, m->model, m->mode)]; i > 0;
         i = all->next[i - 1]) {
        const il_cell_median *s = &all->rows[i - 1];
        if (s->gen_tokens == m->gen_tokens && s->batch_size == m->batch_size &&
            strcmp(s->model, m->model) == 0 && strcmp(s->mode, m->mode) == 0 &&
            strcmp(s->backend, m->backend) == 0 && strcmp(s->scenario, IL_ALL_SCENARIOS) != 0) {
            set += il_fnv1a64(s->scenario, strlen(s->scenario));
        }
    }
    return set;
}

static int medians_read(const reading *r)
{
    static const char *const columns[] = {"backend",    "model",        "scenario", "mode",
                                          "batch_size", "n_replicates", "median_ms"};
    int rc = need_columns(r, columns, sizeof columns / sizeof *columns);
    r->out->rows = il_arena_array(r->arena, r->table->n_rows + 1, sizeof *r->out->rows);
    if (rc == IL_OK && !r->out->rows) {
        rc = no_memory(r);
    }
    for (size_t i = 0; rc == IL_OK && i < r->table->n_rows; i++) {
        rc = median_read(r, i, &r->out->rows[r->out->n_rows++]);
    }
    rc = rc ? rc : index_rows(r);
    for (size_t i = 0; rc == IL_OK && i < r->out->n_rows; i++) {
        il_cell_median *m = &r->out->rows[i];
        m->scenario_set =
            strcmp(m->scenario, IL_ALL_SCENARIOS) == 0 ? scenario_set_of(r->out, m) : 0;
    }
    return rc;
}

/* "a" and "b" make "a, b". */
static int word_add(const reading *r, const char **words, const char *word)
{
    *words = *words ? il_arena_printf(r->arena, "%s, %s", *words, word) : word;
    return *words ? IL_OK : no_memory(r);
}

static int rows_add(const reading *r, size_t i)
{
    il_medians *out = r->out;
    const struct {
        const char *status;
        size_t *n;
    } known[] = {{"ok", &out->n_ok},           {"error", &out->n_error},
                 {"skipped", &out->n_skipped}, {"flagged", &out->n_flagged},
                 {"not_run", &out->n_not_run}, {NULL, &out->n_other}};
    size_t k = 0, n;
    while (known[k].status && strcmp(known[k].status, text_at(r, i, "status")) != 0) {
        k++;
    }
    if (!count_at(r, i, "value", &n)) {
        return damaged(r, "no count in column", "value", i + 1);
    }
    *known[k].n += n;
    return IL_OK;
}

/* The lines of one loss follow each other. */
static int loss_add(const reading *r, size_t i)
{
    il_medians *out = r->out;
    const char *backend = text_at(r, i, "backend"), *status = text_at(r, i, "status");
    const char *reason = text_at(r, i, "reason"), *key = text_at(r, i, "key");
    il_loss *l = out->n_losses ? &out->losses[out->n_losses - 1] : NULL;
    if (!l || strcmp(l->backend, backend) != 0 || strcmp(l->status, status) != 0 ||
        strcmp(l->reason, reason) != 0) {
        l = &out->losses[out->n_losses++];
        *l = (il_loss){
            .backend = backend, .status = status, .reason = reason, .message = "", .hint = ""};
    }
    if (strcmp(key, "message") == 0) {
        l->message = text_at(r, i, "value");
    } else if (strcmp(key, "hint") == 0) {
        l->hint = text_at(r, i, "value");
    } else if (!count_at(r, i, "value", strcmp(key, "n_models") == 0 ? &l->n_models : &l->n_rows)) {
        return damaged(r, "no count in column", "value", i + 1);
    }
    return IL_OK;
}

static int flag_add(const reading *r, size_t i)
{
    il_flag_count *flag = &r->out->flags[r->out->n_flags++];
    flag->word = text_at(r, i, "key");
    return count_at(r, i, "value", &flag->n_rows)
               ? IL_OK
               : damaged(r, "no count in column", "value", i + 1);
}

static int ok_rows_add(const reading *r, size_t i)
{
    il_medians *out = r->out;
    const struct {
        const char *key;
        size_t *n;
    } known[] = {{"n_measured", &out->n_measured},
                 {"n_warmup", &out->n_warmup},
                 {"n_with_flags", &out->n_rows_with_flags},
                 {"n_blocks", &out->n_blocks}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (strcmp(known[k].key, text_at(r, i, "key")) == 0 &&
            !count_at(r, i, "value", known[k].n)) {
            return damaged(r, "no count in column", "value", i + 1);
        }
    }
    return IL_OK;
}

static int prompt_add(const reading *r, size_t i)
{
    bool least = strcmp(text_at(r, i, "key"), "least") == 0;
    *(least ? &r->out->prompt_tok_least : &r->out->prompt_tok_most) =
        il_artifact_number(r->table, i, "value");
    return IL_OK;
}

static int replication_add(const reading *r, size_t i)
{
    return word_add(r, &r->out->replication, text_at(r, i, "key"));
}

static int mapped_add(const reading *r, size_t i)
{
    return word_add(r, &r->out->mapped, text_at(r, i, "key"));
}

static int outcomes_read(const reading *r)
{
    static const char *const columns[] = {"section", "backend", "status", "reason", "key", "value"};
    static const struct {
        const char *name;
        int (*add)(const reading *, size_t);
    } sections[] = {
        {"rows", rows_add},  {"ok_rows", ok_rows_add},         {"prompt_tokens", prompt_add},
        {"flags", flag_add}, {"replication", replication_add}, {"mapped", mapped_add},
        {"lost", loss_add}};
    size_t n_rows = r->table->n_rows;
    int rc = need_columns(r, columns, sizeof columns / sizeof *columns);
    r->out->losses = il_arena_array(r->arena, n_rows + 1, sizeof *r->out->losses);
    r->out->flags = il_arena_array(r->arena, n_rows + 1, sizeof *r->out->flags);
    if (rc == IL_OK && (!r->out->losses || !r->out->flags)) {
        rc = no_memory(r);
    }
    for (size_t i = 0; rc == IL_OK && i < n_rows; i++) {
        for (size_t k = 0; rc == IL_OK && k < sizeof sections / sizeof *sections; k++) {
            if (strcmp(sections[k].name, text_at(r, i, "section")) == 0) {
                rc = sections[k].add(r, i);
            }
        }
    }
    r->out->by_block = r->out->n_blocks > 1;
    return rc;
}

int il_medians_read(const il_artifact *medians, const il_artifact *outcomes, il_arena *arena,
                    il_medians *out, il_error *err)
{
    *out = (il_medians){.n_blocks = 1, .prompt_tok_least = NAN, .prompt_tok_most = NAN};
    int rc = medians_read(&(reading){medians, arena, out, err});
    return rc == IL_OK ? outcomes_read(&(reading){outcomes, arena, out, err}) : rc;
}

void il_median_per_step(const il_cell_median *m, double out[3])
{
    double steps = m && m->decode_steps > 0.0 ? m->decode_steps : NAN;
    out[0] = m ? m->median_ms / steps : NAN;
    out[1] = m ? m->low_ms / steps : NAN;
    out[2] = m ? m->high_ms / steps : NAN;
}

const il_cell_median *il_medians_find(const il_medians *medians, const char *backend,
                                      const char *model, const char *scenario, const char *mode,
                                      int64_t batch_size)
{
    size_t i = medians->n_slots ? medians->slots[slot_of(medians, backend, model, mode)] : 0;
    for (; i > 0; i = medians->next[i - 1]) {
        const il_cell_median *m = &medians->rows[i - 1];
        if (strcmp(m->model, model) == 0 && strcmp(m->mode, mode) == 0 &&
            strcmp(m->scenario, scenario) == 0 && strcmp(m->backend, backend) == 0 &&
            (batch_size == 0 || m->batch_size == batch_size)) {
            return m;
        }
    }
    return NULL;
}

bool il_medians_leads(const il_medians *medians, size_t i)
{
    static const char *const modes[] = {"e2e_kv", "kv_decode", "prefill"};
    const il_cell_median *m = &medians->rows[i];
    if (strcmp(m->scenario, IL_ALL_SCENARIOS) != 0) {
        return false;
    }
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
        const il_cell_median *best =
            il_medians_find(medians, m->backend, m->model, m->scenario, modes[k], m->batch_size);
        if (best) {
            return strcmp(m->mode, modes[k]) == 0;
        }
    }
    return false;
}

bool il_median_is_step_of_size(const il_cell_median *median, double out[3])
{
    il_median_per_step(median, out);
    return strcmp(median->scenario, IL_ALL_SCENARIOS) == 0 &&
           strcmp(median->mode, "kv_decode") == 0 && out[0] > 0.0 && median->params_millions > 0.0;
}
