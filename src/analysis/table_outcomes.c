/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * outcomes.csv: what became of the rows of metrics.csv, one fact a line.
 */
#include "analysis/outcomes.h"
#include "analysis/tables.h"

static const char *const columns[] = {"section", "backend", "status", "reason", "key", "value"};

typedef struct line {
    const char *section, *backend, *status, *reason, *key;
} line;

static void put_keys(il_csv_writer *to, const line *l)
{
    const char *const keys[] = {l->section, l->backend, l->status, l->reason, l->key};
    for (size_t i = 0; i < IL__COUNT_OF(keys); i++) {
        il_csv_text(to, keys[i]);
    }
}

static void put_number(il_csv_writer *to, line l, const char *key, double value)
{
    l.key = key;
    put_keys(to, &l);
    il_csv_f64(to, value);
    il_csv_end_row(to);
}

static void put_text(il_csv_writer *to, line l, const char *key, const char *text)
{
    l.key = key;
    put_keys(to, &l);
    il_csv_text(to, text);
    il_csv_end_row(to);
}

static void put_item(const il__run *run, const il_outcome *item, il_csv_writer *to)
{
    static const char *const sections[] = {[IL_OUTCOME_STATUS] = "rows",
                                           [IL_OUTCOME_LOST] = "lost",
                                           [IL_OUTCOME_LOST_MODEL] = "",
                                           [IL_OUTCOME_FLAG] = "flags",
                                           [IL_OUTCOME_REPLICATION] = "replication",
                                           [IL_OUTCOME_MAPPED] = "mapped"};
    line l = {.section = sections[item->kind],
              .backend = il__text(run, item->backend),
              .status = il__text(run, item->status),
              .reason = il__text(run, item->reason)};
    bool keyed = item->kind != IL_OUTCOME_STATUS && item->kind != IL_OUTCOME_LOST;
    put_number(to, l, keyed ? il__text(run, item->key) : "n_rows", (double)item->n_rows);
    if (item->kind == IL_OUTCOME_LOST) {
        put_number(to, l, "n_models", (double)item->n_models);
        put_text(to, l, "message", il__text(run, item->message));
        put_text(to, l, "hint", il__text(run, item->hint));
    }
}

static void put_kind(const il__run *run, il_outcome_kind kind, il_csv_writer *to)
{
    const il_outcomes *o = il_rows_outcomes(run->rows);
    for (size_t i = 0; i < o->n; i++) {
        if (o->items[i].kind == kind) {
            put_item(run, &o->items[i], to);
        }
    }
}

int il__write_outcomes(const il__run *run, il_error *err)
{
    const il_outcomes *o = il_rows_outcomes(run->rows);
    const line rows = {.section = "rows", .status = "ok"};
    const line ok = {.section = "ok_rows"};
    const line prompt = {.section = "prompt_tokens"};
    il_csv_writer out;
    int rc = il__table_open(run, "outcomes.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc != IL_OK) {
        return rc;
    }
    put_number(&out, rows, "n_rows", (double)(o->n_measured + o->n_warmup));
    put_kind(run, IL_OUTCOME_STATUS, &out);
    put_number(&out, ok, "n_measured", (double)o->n_measured);
    put_number(&out, ok, "n_warmup", (double)o->n_warmup);
    put_number(&out, ok, "n_with_flags", (double)o->n_with_flags);
    put_number(&out, ok, "n_blocks", (double)o->n_blocks);
    put_number(&out, prompt, "least", o->prompt_tok_least);
    put_number(&out, prompt, "most", o->prompt_tok_most);
    put_kind(run, IL_OUTCOME_FLAG, &out);
    put_kind(run, IL_OUTCOME_REPLICATION, &out);
    put_kind(run, IL_OUTCOME_MAPPED, &out);
    put_kind(run, IL_OUTCOME_LOST, &out);
    rc = il_csv_close(&out, err);
    il_csv_abandon(&out);
    return rc;
}
