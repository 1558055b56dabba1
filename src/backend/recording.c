/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/recording.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define JOURNAL_BYTES ((size_t)1 << 30)

/* The bytes before the last `,"crc32":"` must have that CRC. */
static bool crc_holds(const char *line, size_t n)
{
    static const char key[] = ",\"crc32\":\"";
    enum { N_KEY = sizeof key - 1, N_TAIL = N_KEY + 8 + 2 };
    if (n < N_TAIL || memcmp(line + n - N_TAIL, key, N_KEY) != 0) {
        return false;
    }
    char hex[9];
    uLong crc = crc32(0, (const Bytef *)line, (uInt)(n - N_TAIL));
    (void)snprintf(hex, sizeof hex, "%08lx", crc);
    return memcmp(line + n - 10, hex, 8) == 0;
}

static int damaged(const char *path, size_t number, const char *why, il_error *err)
{
    int rc = il_fail(err, IL_E_DAMAGED, "a line of the recorded journal %s", why);
    il_error_where(err, "%s:%zu", path, number);
    return rc;
}

/* Keeps the lines that matter and the last plan. */
static int keep_line(il__recording *r, json_t *line)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    if (kind && strcmp(kind, "plan") == 0) {
        json_decref(r->plan);
        r->plan = json_incref(line);
    } else if (kind && (strcmp(kind, "call") == 0 || strcmp(kind, "failure") == 0 ||
                        strcmp(kind, "closure") == 0)) {
        return json_array_append(r->lines, line) == 0 ? IL_OK : IL_E_NOMEM;
    }
    return IL_OK;
}

static int read_lines(il__recording *r, const char *path, const il_buf *text, il_error *err)
{
    const char *at = il_buf_text(text), *end = at + text->len;
    for (size_t number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) {
            break; /* torn */
        }
        size_t n = (size_t)(newline - at);
        json_t *line = NULL;
        if (!crc_holds(at, n)) {
            if (newline + 1 == end) {
                break; /* torn too */
            }
            return damaged(path, number, "fails its checksum", err);
        }
        if (il_json_parse(at, n, path, &line, NULL) != IL_OK) {
            return damaged(path, number, "is not JSON", err);
        }
        int rc = keep_line(r, line);
        json_decref(line);
        if (rc != IL_OK) {
            return il_fail(err, rc, "out of memory for a recorded journal");
        }
        at = newline + 1;
    }
    if (!r->plan) {
        return damaged(path, 1, "should be a plan, there is none", err);
    }
    return IL_OK;
}

static const char *prompt_of(const json_t *plan, const char *scenario)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(plan, "scenarios"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name && scenario && strcmp(name, scenario) == 0) {
            return json_string_value(json_object_get(item, "prompt"));
        }
    }
    return NULL;
}

static int read_cell(const json_t *plan, const json_t *cell, il__recorded_cell *out, il_error *err)
{
    const char *scenario = NULL;
    int rc = il_json_get_text(cell, "backend", true, &out->backend, err);
    rc = rc ? rc : il_json_get_text(cell, "model", true, &out->model, err);
    rc = rc ? rc : il_json_get_text(cell, "scenario", false, &scenario, err);
    rc = rc ? rc : il_json_get_u32(cell, "batch_size", true, &out->batch, err);
    rc = rc ? rc : il_json_get_u32(cell, "gen_tokens", true, &out->gen_tokens, err);
    rc = rc ? rc : il_json_get_u32(cell, "seq_len", false, &out->seq_len, err);
    json_t *skip = json_object_get(cell, "skip");
    out->skip = json_is_object(skip) ? skip : NULL;
    out->prompt = prompt_of(plan, scenario);
    return rc;
}

static int64_t call_idx(const json_t *line)
{
    return json_integer_value(json_object_get(line, "call_idx"));
}

/* By call_idx; lines of one call_idx in the order they were written. */
static int by_call_idx(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int64_t ix = call_idx(x), iy = call_idx(y);
    if (ix == iy) {
        ix = json_integer_value(json_object_get(x, "seq"));
        iy = json_integer_value(json_object_get(y, "seq"));
    }
    return (ix > iy) - (ix < iy);
}

/* Orders the calls; of those with one call_idx only the last is kept. */
static void order_calls(il__recorded_cell *cell)
{
    size_t n = 0;
    qsort(cell->calls, cell->n_calls, sizeof(json_t *), by_call_idx);
    for (size_t i = 0; i < cell->n_calls; i++) {
        if (n > 0 && call_idx(cell->calls[n - 1]) == call_idx(cell->calls[i])) {
            n--;
        }
        cell->calls[n++] = cell->calls[i];
    }
    cell->n_calls = n;
}

/* Two passes: count what each cell gets, then fill. */
static int share_out(il__recording *r, il_error *err)
{
    size_t i;
    json_t *line;
    for (int pass = 0; pass < 2; pass++) {
        json_array_foreach(r->lines, i, line)
        {
            json_int_t index = json_integer_value(json_object_get(line, "cell"));
            if (index < 0 || (size_t)index >= r->n_cells) {
                return il_fail(err, IL_E_DAMAGED,
                               "a recorded call is of cell %lld, the plan has "
                               "%zu",
                               (long long)index, r->n_cells);
            }
            il__recorded_cell *cell = &r->cells[index];
            const char *kind = json_string_value(json_object_get(line, "kind"));
            bool closure = strcmp(kind, "closure") == 0;
            if (pass == 0) {
                *(closure ? &cell->n_closures : &cell->n_calls) += 1;
            } else if (closure) {
                cell->closures[cell->n_closures++] = line;
            } else {
                cell->calls[cell->n_calls++] = line;
            }
        }
        for (size_t c = 0; c < r->n_cells && pass == 0; c++) {
            il__recorded_cell *cell = &r->cells[c];
            cell->calls = calloc(cell->n_calls + 1, sizeof(json_t *));
            cell->closures = calloc(cell->n_closures + 1, sizeof(json_t *));
            if (!cell->calls || !cell->closures) {
                return il_fail(err, IL_E_NOMEM, "out of memory for a recorded journal");
            }
            cell->n_calls = cell->n_closures = 0;
        }
    }
    for (size_t c = 0; c < r->n_cells; c++) {
        order_calls(&r->cells[c]);
    }
    return IL_OK;
}

int il__recording_open(const char *path, il__recording *out, il_error *err)
{
    il__recording r = {.lines = json_array()};
    il_buf text;
    il_buf_init(&text, JOURNAL_BYTES);
    int rc = il_file_read(path, &text, err);
    if (rc == IL_OK) {
        rc = read_lines(&r, path, &text, err);
    }
    il_buf_free(&text);
    const json_t *cells = json_object_get(r.plan, "cells");
    if (rc == IL_OK) {
        r.n_cells = json_array_size(cells);
        r.cells = calloc(r.n_cells + 1, sizeof *r.cells);
        rc = r.cells ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory for a recorded journal");
    }
    for (size_t i = 0; rc == IL_OK && i < r.n_cells; i++) {
        rc = read_cell(r.plan, json_array_get(cells, i), &r.cells[i], err);
    }
    if (rc == IL_OK) {
        rc = share_out(&r, err);
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
        il__recording_free(&r);
        return rc;
    }
    *out = r;
    return IL_OK;
}

void il__recording_free(il__recording *r)
{
    for (size_t i = 0; i < r->n_cells && r->cells; i++) {
        free(r->cells[i].calls);
        free(r->cells[i].closures);
    }
    free(r->cells);
    json_decref(r->lines);
    json_decref(r->plan);
    *r = (il__recording){0};
}
