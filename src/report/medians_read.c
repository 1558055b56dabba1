/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * metrics.csv, row by row, into the calls of each cell and the counts of what was lost.
 */
#include "base/text.h"
#include "report/artifact.h"
#include "report/medians_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_MAP(X)                                                                              \
    X(backend)                                                                                     \
    X(backend_kind)                                                                                \
    X(backend_kind_asked)                                                                          \
    X(model)                                                                                       \
    X(scenario)                                                                                    \
    X(mode)                                                                                        \
    X(status)                                                                                      \
    X(latency_ms)                                                                                  \
    X(is_warmup)                                                                                   \
    X(batch_size)                                                                                  \
    X(batch_size_config)                                                                           \
    X(gen_tokens_target)                                                                           \
    X(params_millions)                                                                             \
    X(params_millions_config)                                                                      \
    X(params_millions_measured)                                                                    \
    X(prompt_tokens)                                                                               \
    X(seq_len)                                                                                     \
    X(decode_steps)                                                                                \
    X(block)                                                                                       \
    X(rep)                                                                                         \
    X(reason)                                                                                      \
    X(error)                                                                                       \
    X(hint)                                                                                        \
    X(flags)                                                                                       \
    X(replication)

typedef struct columns {
#define COLUMN_FIELD(name) int name;
    COLUMN_MAP(COLUMN_FIELD)
#undef COLUMN_FIELD
} columns;

typedef struct reading {
    il__csv_reader *csv;
    columns at;
    il_arena *arena;
    il_medians *out;
    il__cells cells;
    size_t cap_losses, cap_flags;
    il_error *err;
} reading;

static const char *field(const reading *r, int column)
{
    return il__csv_field(r->csv, column);
}

static double number(const reading *r, int column)
{
    double value;
    return il_text_to_f64(field(r, column), &value) == IL_OK ? value : NAN;
}

static int64_t integer(const reading *r, int column, int64_t fallback)
{
    double value = number(r, column);
    return isfinite(value) && fabs(value) < 9e15 ? (int64_t)value : fallback;
}

static bool truth(const char *text)
{
    return strcmp(text, "True") == 0 || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

static int no_memory(reading *r)
{
    return il_fail(r->err, IL_E_NOMEM, "no memory for the rows of metrics.csv");
}

/* Doubles an arena array when it is full; false when memory is out. */
static bool grow(il_arena *arena, void **items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return true;
    }
    size_t grown = *cap ? *cap * 2 : 16;
    void *moved = il_arena_array(arena, grown, size);
    if (!moved) {
        return false;
    }
    if (n > 0) {
        memcpy(moved, *items, n * size);
    }
    *items = moved;
    *cap = grown;
    return true;
}

static bool slots_rebuild(reading *r)
{
    il__cells *cells = &r->cells;
    cells->n_slots = cells->n_slots ? cells->n_slots * 2 : 256;
    cells->slots = il_arena_array(r->arena, cells->n_slots, sizeof *cells->slots);
    if (!cells->slots) {
        return false;
    }
    for (size_t i = 0; i < cells->n_slots; i++) {
        cells->slots[i] = SIZE_MAX;
    }
    return true;
}

static const char *scenario_of(const reading *r)
{
    const char *scenario = field(r, r->at.scenario);
    return scenario[0] ? scenario : "__none__";
}

static int64_t batch_of(const reading *r)
{
    return integer(r, r->at.batch_size_config, integer(r, r->at.batch_size, 1));
}

static uint64_t hash_key(int64_t batch, int64_t gen_tokens, const char *const texts[4])
{
    uint64_t h = (uint64_t)batch * 0x9E3779B97F4A7C15u + (uint64_t)gen_tokens;
    for (size_t i = 0; i < 4; i++) {
        h = (h ^ il_fnv1a64(texts[i], strlen(texts[i]))) * 0x9E3779B97F4A7C15u;
    }
    return h ^ (h >> 29);
}

static uint64_t hash_row(const reading *r)
{
    return hash_key(batch_of(r), integer(r, r->at.gen_tokens_target, 0),
                    (const char *const[]){field(r, r->at.backend), field(r, r->at.model),
                                          scenario_of(r), field(r, r->at.mode)});
}

static uint64_t hash_cell(const il__cell *c)
{
    return hash_key(c->batch_size, c->gen_tokens,
                    (const char *const[]){c->backend, c->model, c->scenario, c->mode});
}

static bool row_is_of(const reading *r, const il__cell *c)
{
    return strcmp(c->backend, field(r, r->at.backend)) == 0 &&
           strcmp(c->model, field(r, r->at.model)) == 0 &&
           strcmp(c->scenario, scenario_of(r)) == 0 && strcmp(c->mode, field(r, r->at.mode)) == 0 &&
           c->batch_size == batch_of(r) && c->gen_tokens == integer(r, r->at.gen_tokens_target, 0);
}

static double params_of(const reading *r)
{
    const int known[] = {r->at.params_millions_measured, r->at.params_millions_config,
                         r->at.params_millions};
    for (size_t i = 0; i < 3; i++) {
        double value = number(r, known[i]);
        if (value > 0.0) {
            return value;
        }
    }
    return NAN;
}

/* One sequence of the prompt. prompt_tokens counts the whole batch. */
static double prompt_of(const reading *r)
{
    double seq_len = number(r, r->at.seq_len);
    return seq_len > 0.0 ? seq_len : number(r, r->at.prompt_tokens) / (double)batch_of(r);
}

/* Original files have no decode_steps: their `hf` loop runs exactly gen_tokens steps. What a server
 * ran is not known there, so its per-step time is not measured. */
static double steps_of(const reading *r)
{
    if (r->at.decode_steps >= 0) {
        return number(r, r->at.decode_steps);
    }
    return strcmp(field(r, r->at.backend_kind), "hf") == 0 ? number(r, r->at.gen_tokens_target)
                                                           : NAN;
}

static il__cell *cell_new(reading *r)
{
    il__cells *cells = &r->cells;
    if (!grow(r->arena, (void **)&cells->items, cells->n, &cells->cap, sizeof *cells->items)) {
        return NULL;
    }
    il__cell *c = &cells->items[cells->n];
    *c = (il__cell){.backend = il_arena_strdup(r->arena, field(r, r->at.backend)),
                    .backend_kind = il_arena_strdup(r->arena, field(r, r->at.backend_kind)),
                    .model = il_arena_strdup(r->arena, field(r, r->at.model)),
                    .scenario = il_arena_strdup(r->arena, scenario_of(r)),
                    .mode = il_arena_strdup(r->arena, field(r, r->at.mode)),
                    .batch_size = batch_of(r),
                    .gen_tokens = integer(r, r->at.gen_tokens_target, 0),
                    .params_millions = params_of(r),
                    .prompt_tok = prompt_of(r),
                    .decode_steps = steps_of(r)};
    if (!c->backend || !c->backend_kind || !c->model || !c->scenario || !c->mode) {
        return NULL;
    }
    cells->n++;
    return c;
}

static size_t slot_find(const reading *r, uint64_t hash)
{
    const il__cells *cells = &r->cells;
    size_t slot = (size_t)hash & (cells->n_slots - 1);
    while (cells->slots[slot] != SIZE_MAX && !row_is_of(r, &cells->items[cells->slots[slot]])) {
        slot = (slot + 1) & (cells->n_slots - 1);
    }
    return slot;
}

static il__cell *cell_of_row(reading *r)
{
    il__cells *cells = &r->cells;
    if (cells->n * 2 >= cells->n_slots) {
        if (!slots_rebuild(r)) {
            return NULL;
        }
        for (size_t i = 0; i < cells->n; i++) {
            size_t slot = (size_t)hash_cell(&cells->items[i]) & (cells->n_slots - 1);
            while (cells->slots[slot] != SIZE_MAX) {
                slot = (slot + 1) & (cells->n_slots - 1);
            }
            cells->slots[slot] = i;
        }
    }
    size_t slot = slot_find(r, hash_row(r));
    if (cells->slots[slot] != SIZE_MAX) {
        return &cells->items[cells->slots[slot]];
    }
    il__cell *c = cell_new(r);
    if (c) {
        cells->slots[slot] = cells->n - 1;
    }
    return c;
}

static int call_add(reading *r)
{
    double ms = number(r, r->at.latency_ms);
    if (!(ms >= 0.0)) {
        int rc = il_fail(r->err, IL_E_DAMAGED, "an ok row has no latency_ms");
        il_error_where(r->err, "metrics.csv:%llu", (unsigned long long)il__csv_line(r->csv));
        il_error_hint(r->err, "rebuild it from the journal with \"inferlaw analyze\"");
        return rc;
    }
    il__cell *c = cell_of_row(r);
    if (!c || !grow(r->arena, (void **)&c->calls, c->n_calls, &c->cap, sizeof *c->calls)) {
        return no_memory(r);
    }
    int64_t block = integer(r, r->at.block, 0);
    block = block < 0 || block > INT32_MAX ? 0 : block;
    r->out->by_block = r->out->by_block || block > 0;
    if ((size_t)block + 1 > r->out->n_blocks) {
        r->out->n_blocks = (size_t)block + 1;
    }
    /* block in the high part: used alone when the file has several blocks */
    int64_t rep = integer(r, r->at.rep, (int64_t)c->n_calls);
    c->calls[c->n_calls++] = (il__call){.replicate = (block << 32) | (rep & 0xffffffff), .ms = ms};
    double steps = steps_of(r);
    if (isfinite(c->decode_steps) && steps != c->decode_steps) {
        c->decode_steps = NAN;
    }
    return IL_OK;
}

static int loss_add(reading *r, const char *status)
{
    il_medians *out = r->out;
    const char *backend = field(r, r->at.backend), *model = field(r, r->at.model);
    const char *reason = field(r, r->at.reason);
    for (size_t i = 0; i < out->n_losses; i++) {
        il_loss *l = &out->losses[i];
        if (strcmp(l->backend, backend) == 0 && strcmp(l->status, status) == 0 &&
            strcmp(l->reason, reason) == 0) {
            l->n_rows++;
            if (strcmp(l->last_model, model) != 0) {
                l->n_models++;
                l->last_model = il_arena_strdup(r->arena, model);
            }
            return l->last_model ? IL_OK : no_memory(r);
        }
    }
    if (!grow(r->arena, (void **)&out->losses, out->n_losses, &r->cap_losses,
              sizeof *out->losses)) {
        return no_memory(r);
    }
    il_loss *l = &out->losses[out->n_losses];
    *l = (il_loss){.backend = il_arena_strdup(r->arena, backend),
                   .status = il_arena_strdup(r->arena, status),
                   .reason = il_arena_strdup(r->arena, reason),
                   .message = il_arena_strdup(r->arena, field(r, r->at.error)),
                   .hint = il_arena_strdup(r->arena, field(r, r->at.hint)),
                   .last_model = il_arena_strdup(r->arena, model),
                   .n_rows = 1,
                   .n_models = 1};
    if (!l->backend || !l->status || !l->reason || !l->message || !l->hint || !l->last_model) {
        return no_memory(r);
    }
    out->n_losses++;
    return IL_OK;
}

/* flags: words with anything but letters, digits and '_' between them. */
static int flags_add(reading *r)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    il_medians *out = r->out;
    const char *p = field(r, r->at.flags);
    bool any = false;
    while (p += strcspn(p, letters), *p) {
        size_t n = strspn(p, letters), i = 0;
        any = true;
        while (i < out->n_flags &&
               (strncmp(out->flags[i].word, p, n) != 0 || out->flags[i].word[n])) {
            i++;
        }
        if (i == out->n_flags) {
            if (!grow(r->arena, (void **)&out->flags, i, &r->cap_flags, sizeof *out->flags)) {
                return no_memory(r);
            }
            out->flags[i] = (il_flag_count){.word = il_arena_strndup(r->arena, p, n)};
            if (!out->flags[i].word) {
                return no_memory(r);
            }
            out->n_flags++;
        }
        out->flags[i].n_rows++;
        p += n;
    }
    out->n_rows_with_flags += any;
    return IL_OK;
}

static int facts_add(reading *r)
{
    il_medians *out = r->out;
    double prompt = prompt_of(r);
    if (isfinite(prompt)) {
        out->prompt_tok_least = fmin(prompt, out->prompt_tok_least);
        out->prompt_tok_most = fmax(prompt, out->prompt_tok_most);
    }
    const char *replication = field(r, r->at.replication);
    if (replication[0] && !out->replication) {
        out->replication = il_arena_strdup(r->arena, replication);
    } else if (replication[0] && !strstr(out->replication, replication)) {
        out->replication = il_arena_printf(r->arena, "%s, %s", out->replication, replication);
    }
    if (replication[0] && !out->replication) {
        return no_memory(r);
    }
    const char *asked = field(r, r->at.backend_kind_asked), *kind = field(r, r->at.backend_kind);
    if (!out->mapped && asked[0] && strcmp(asked, kind) != 0) {
        out->mapped = il_arena_printf(r->arena, "%s on %s", asked, kind);
    }
    return flags_add(r);
}

static int row_add(reading *r)
{
    il_medians *out = r->out;
    const char *status = field(r, r->at.status);
    if (strcmp(status, "ok") == 0) {
        out->n_ok++;
        int rc = facts_add(r);
        if (rc != IL_OK || truth(field(r, r->at.is_warmup))) {
            out->n_warmup++;
            return rc;
        }
        out->n_measured++;
        return call_add(r);
    }
    size_t *count = strcmp(status, "error") == 0     ? &out->n_error
                    : strcmp(status, "skipped") == 0 ? &out->n_skipped
                    : strcmp(status, "flagged") == 0 ? &out->n_flagged
                    : strcmp(status, "not_run") == 0 ? &out->n_not_run
                                                     : &out->n_other;
    ++*count;
    return loss_add(r, status);
}

static int columns_find(reading *r, const char *path)
{
#define COLUMN_FIND(name) r->at.name = il__csv_column(r->csv, #name);
    COLUMN_MAP(COLUMN_FIND)
#undef COLUMN_FIND
    const struct {
        int column;
        const char *name;
    } required[] = {{r->at.backend, "backend"},
                    {r->at.model, "model"},
                    {r->at.mode, "mode"},
                    {r->at.status, "status"},
                    {r->at.latency_ms, "latency_ms"}};
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        if (required[i].column < 0) {
            int rc =
                il_fail(r->err, IL_E_DAMAGED, "the column \"%s\" is missing", required[i].name);
            il_error_where(r->err, "%s", path);
            il_error_hint(r->err, "required are backend, model, mode, status, latency_ms");
            return rc;
        }
    }
    return IL_OK;
}

/* Replicates are blocks where there are several, else the calls themselves. */
static void replicates_settle(il__cells *cells, bool by_block)
{
    for (size_t i = 0; i < cells->n; i++) {
        for (size_t k = 0; k < cells->items[i].n_calls; k++) {
            int64_t *id = &cells->items[i].calls[k].replicate;
            *id = by_block ? *id >> 32 : *id & 0xffffffff;
        }
    }
}

int il_medians_read(const char *path, il_arena *arena, il_medians *out, il_error *err)
{
    *out = (il_medians){.n_blocks = 1, .prompt_tok_least = NAN, .prompt_tok_most = NAN};
    reading r = {.arena = arena, .out = out, .err = err};
    int rc = il__csv_open(path, &r.csv, err);
    if (rc == IL_E_NOT_FOUND) {
        rc = il_fail(err, IL_E_DAMAGED, "there is no metrics.csv");
        il_error_where(err, "%s", path);
        il_error_hint(err, "give a run directory; \"inferlaw analyze\" rebuilds metrics.csv from "
                           "its journal");
    }
    if (rc == IL_OK) {
        rc = columns_find(&r, path);
    }
    for (bool more = true; rc == IL_OK && more;) {
        rc = il__csv_next(r.csv, &more, err);
        if (rc == IL_OK && more) {
            rc = row_add(&r);
        }
    }
    if (rc == IL_OK) {
        replicates_settle(&r.cells, out->by_block);
        if (il__medians_from_cells(&r.cells, arena, out) != IL_OK) {
            rc = no_memory(&r);
        }
    }
    il__csv_close(r.csv);
    return rc;
}
