/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/outcomes.h"

#include "base/buf.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64, MOST_KIND_BYTES = 512 };

void il_outcomes_init(il_outcomes *o)
{
    *o = (il_outcomes){.n_blocks = 1, .prompt_tok_least = NAN, .prompt_tok_most = NAN};
}

void il_outcomes_free(il_outcomes *o)
{
    free(o->items);
    free(o->slots);
    il_outcomes_init(o);
}

static size_t slot_of(const il_outcomes *o, const il_outcome *key)
{
    const uint32_t ids[] = {(uint32_t)key->kind, key->backend, key->status, key->reason, key->key};
    size_t at = (size_t)il_fnv1a64(ids, sizeof ids) & (o->n_slots - 1);
    for (; o->slots[at]; at = (at + 1) & (o->n_slots - 1)) {
        const il_outcome *its = &o->items[o->slots[at] - 1];
        if (its->kind == key->kind && its->backend == key->backend && its->status == key->status &&
            its->reason == key->reason && its->key == key->key) {
            break;
        }
    }
    return at;
}

static int grow(il_outcomes *o)
{
    if (2 * (o->n + 1) < o->n_slots) {
        return IL_OK;
    }
    size_t n_slots = o->n_slots ? 2 * o->n_slots : FIRST_SLOTS;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    il_outcome *items = realloc(o->items, n_slots / 2 * sizeof *items);
    o->items = items ? items : o->items;
    if (!slots || !items || n_slots > UINT32_MAX) {
        free(slots);
        return IL_E_NOMEM;
    }
    free(o->slots);
    o->slots = slots;
    o->n_slots = n_slots;
    for (size_t i = 0; i < o->n; i++) {
        o->slots[slot_of(o, &o->items[i])] = (uint32_t)(i + 1);
    }
    return IL_OK;
}

/* One more row of this key; *out, if not NULL, is its item until the next count. */
static int count(il_outcomes *o, const il_outcome *key, il_outcome **out)
{
    int rc = grow(o);
    if (rc != IL_OK) {
        return rc;
    }
    size_t at = slot_of(o, key);
    if (!o->slots[at]) {
        o->items[o->n] = *key;
        o->slots[at] = (uint32_t)++o->n;
    }
    il_outcome *item = &o->items[o->slots[at] - 1];
    item->n_rows++;
    if (out) {
        *out = item;
    }
    return IL_OK;
}

static int count_text(il_outcomes *o, il_rows *rows, il_outcome_kind kind, const char *text,
                      size_t len)
{
    il_outcome key = {.kind = kind};
    int rc = il_rows_intern(rows, text, len, &key.key);
    return rc ? rc : count(o, &key, NULL);
}

static int intern(il_rows *rows, const il_value *value, il_text_id *out)
{
    return il_rows_intern(rows, value->text, value->len, out);
}

static int add_lost(il_outcomes *o, il_rows *rows, const il_metric_row *row, const il_cell *cell)
{
    static const il_value untimed = {"untimed", 7, NAN};
    static const il_value why = {"the status is ok and there is no latency_ms", 43, NAN};
    const il_value *v = row->v;
    bool is_ok = v[IL_C_status].len == 2 && memcmp(v[IL_C_status].text, "ok", 2) == 0;
    il_outcome status = {.kind = IL_OUTCOME_STATUS};
    il_outcome lost = {.kind = IL_OUTCOME_LOST, .backend = cell->backend};
    int rc = intern(rows, is_ok ? &untimed : &v[IL_C_status], &lost.status);
    rc = rc ? rc : intern(rows, &v[IL_C_reason], &lost.reason);
    il_outcome model = lost;
    model.kind = IL_OUTCOME_LOST_MODEL;
    model.key = cell->model;
    status.status = lost.status;
    il_outcome *of_model = NULL;
    il_outcome *of_reason = NULL;
    rc = rc ? rc : count(o, &status, NULL);
    rc = rc ? rc : count(o, &model, &of_model);
    bool is_new = rc == IL_OK && of_model->n_rows == 1;
    rc = rc ? rc : count(o, &lost, &of_reason);
    if (rc != IL_OK) {
        return rc;
    }
    of_reason->n_models += is_new;
    if (of_reason->n_rows > 1) {
        return IL_OK;
    }
    rc = intern(rows, is_ok ? &why : &v[IL_C_error], &of_reason->message);
    return rc ? rc : intern(rows, &v[IL_C_hint], &of_reason->hint);
}

/* flags: words with anything but letters, digits and '_' between them. */
static int add_flags(il_outcomes *o, il_rows *rows, const il_value *flags)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    bool any = false;
    for (size_t i = 0; i < flags->len;) {
        size_t from = i;
        while (i < flags->len && memchr(letters, flags->text[i], sizeof letters - 1)) {
            i++;
        }
        if (i == from) {
            i++;
            continue;
        }
        any = true;
        int rc = count_text(o, rows, IL_OUTCOME_FLAG, flags->text + from, i - from);
        if (rc != IL_OK) {
            return rc;
        }
    }
    o->n_with_flags += any;
    return IL_OK;
}

static int add_mapped(il_outcomes *o, il_rows *rows, const il_value *asked, const il_value *kind)
{
    if (asked->len == 0 ||
        (asked->len == kind->len && memcmp(asked->text, kind->text, kind->len) == 0)) {
        return IL_OK;
    }
    il_buf words;
    il_buf_init(&words, MOST_KIND_BYTES);
    (void)il_buf_printf(&words, "%.*s on %.*s", (int)(asked->len < 200 ? asked->len : 200),
                        asked->text, (int)(kind->len < 200 ? kind->len : 200), kind->text);
    int rc =
        words.status ? words.status : count_text(o, rows, IL_OUTCOME_MAPPED, words.data, words.len);
    il_buf_free(&words);
    return rc;
}

int il_outcomes_add(il_outcomes *o, il_rows *rows, const il_metric_row *row, const il_cell *cell,
                    bool ok)
{
    const il_value *v = row->v;
    if (!ok) {
        return add_lost(o, rows, row, cell);
    }
    if (v[IL_C_is_warmup].num == 1) {
        o->n_warmup++;
    } else {
        o->n_measured++;
        double block = v[IL_C_block].num;
        if (block >= (double)o->n_blocks && block <= INT32_MAX) {
            o->n_blocks = (size_t)block + 1;
        }
    }
    double prompt = v[IL_C_seq_len].num > 0 ? v[IL_C_seq_len].num
                                            : v[IL_C_prompt_tokens].num / cell->batch_size;
    if (isfinite(prompt)) {
        o->prompt_tok_least = fmin(prompt, o->prompt_tok_least);
        o->prompt_tok_most = fmax(prompt, o->prompt_tok_most);
    }
    int rc = add_mapped(o, rows, &v[IL_C_backend_kind_asked], &v[IL_C_backend_kind]);
    if (rc == IL_OK && v[IL_C_replication].len > 0) {
        rc = count_text(o, rows, IL_OUTCOME_REPLICATION, v[IL_C_replication].text,
                        v[IL_C_replication].len);
    }
    return rc ? rc : add_flags(o, rows, &v[IL_C_flags]);
}
