/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/findings.h"

#include "base/text.h"
#include "report/findings_internal.h"
#include "report/names.h"
#include "report/words.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *il_findings_x_words(const char *x)
{
    static const char *const words[][2] = {{"params_total", "total parameters"},
                                           {"params_non_embedding", "non-embedding parameters"},
                                           {"params_active", "active parameters"},
                                           {"bytes_read", "bytes read"},
                                           {"flops", "FLOPs"},
                                           {"n_layer", "layers"},
                                           {"d_model", "width"},
                                           {"n_layer*d_model*n_head", "layers, width and heads"},
                                           {"n_layer*floor", "layers and the physical floor"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i][0], x) == 0) {
            return words[i][1];
        }
    }
    return x;
}

bool il_findings_quotable(const char *ci_method)
{
    static const char *const methods[] = {
        "t", "exact", "order_statistic", "nested_bootstrap", "profile", "fieller"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(methods[i], ci_method) == 0) {
            return true;
        }
    }
    return false;
}

const char *il__mode_words(const char *mode)
{
    return strcmp(mode, "kv_decode") == 0 ? "a decode step"
           : strcmp(mode, "prefill") == 0 ? "prefill"
           : strcmp(mode, "e2e_kv") == 0  ? "an end-to-end call"
                                          : mode;
}

int il__finding_add(il__making *m, bool cannot, const char *verdict, const char *sentence,
                    const char *evidence)
{
    il_findings *f = m->out;
    il_finding **items = cannot ? &f->cannot : &f->items;
    size_t *n = cannot ? &f->n_cannot : &f->n_items, *cap = cannot ? &f->cap_cannot : &f->cap_items;
    if (*n == *cap) {
        size_t grown = *cap ? *cap * 2 : 16;
        il_finding *moved = il_arena_array(&m->facts->arena, grown, sizeof *moved);
        if (!moved) {
            return il_fail(m->err, IL_E_NOMEM, "no memory for the findings");
        }
        if (*n > 0) {
            memcpy(moved, *items, *n * sizeof *moved);
        }
        *items = moved;
        *cap = grown;
    }
    if (!sentence || !evidence) {
        return il_fail(m->err, IL_E_NOMEM, "no memory for the findings");
    }
    il_finding *made = &(*items)[(*n)++];
    *made = (il_finding){
        .sentence = sentence, .evidence = evidence, .verdict = verdict, .n_cites = m->n_cites};
    memcpy(made->cites, m->cites, sizeof made->cites);
    m->n_cites = 0;
    return IL_OK;
}

void il__cite(il__making *m, const il_artifact *table, size_t row)
{
    if (m->n_cites < IL_MOST_CITES && row < table->n_rows) {
        m->cites[m->n_cites++] = (il_citation){.table = table, .row = row};
    }
}

const char *il__say(il__making *m, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return il_arena_strdup(&m->facts->arena, text);
}

const char *il__name(il__making *m, const char *text)
{
    char clean[168];
    il_words_clean(clean, sizeof clean, text, 40);
    return il__say(m, "%s", clean);
}

const char *il_findings_backend(const il_facts *facts)
{
    const char *best = NULL;
    size_t best_n = 0, n = 0;
    const il_medians *all = &facts->medians;
    for (size_t i = 0; i < all->n_rows; i++) {
        const il_cell_median *m = &all->rows[i];
        if (strcmp(m->scenario, IL_ALL_SCENARIOS) != 0 || strcmp(m->mode, "kv_decode") != 0) {
            continue;
        }
        bool same = i > 0 && strcmp(all->rows[i - 1].backend, m->backend) == 0 &&
                    strcmp(all->rows[i - 1].mode, m->mode) == 0;
        n = same ? n + 1 : 1;
        if (n > best_n) {
            best_n = n;
            best = m->backend;
        }
    }
    return best;
}

static int findings_of(il__making *m, const char *backend)
{
    static const char *const modes[] = {"kv_decode", "prefill"};
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < 2; i++) {
        rc = il__law_findings(m, backend, modes[i]);
        rc = rc == IL_OK ? il__inversion_finding(m, backend, modes[i]) : rc;
    }
    rc = rc == IL_OK ? il__shape_findings(m, backend) : rc;
    rc = rc == IL_OK ? il__context_finding(m, backend) : rc;
    rc = rc == IL_OK ? il__regime_findings(m, backend) : rc;
    return rc == IL_OK ? il__prefill_finding(m, backend) : rc;
}

/* The backend of the answer first, then the others in the order of the tables. */
static int backend_findings(il__making *m, const char *first)
{
    const il_medians *all = &m->facts->medians;
    int rc = first ? findings_of(m, first) : IL_OK;
    for (size_t i = 0; rc == IL_OK && i < all->n_rows; i++) {
        const char *backend = all->rows[i].backend;
        bool seen = i > 0 && strcmp(backend, all->rows[i - 1].backend) == 0;
        if (!seen && (!first || strcmp(backend, first) != 0)) {
            rc = findings_of(m, backend);
        }
    }
    return rc;
}

int il_findings_make(il_facts *facts, il_findings *out, il_error *err)
{
    *out = (il_findings){0};
    il__making m = {.facts = facts, .out = out, .err = err};
    const char *backend = il_findings_backend(facts);
    const char *range = il__answer_range(&m, backend), *law = il__answer_law(&m, backend);
    out->question = "As a model grows, how does the time of one more token grow, and how far can "
                    "that be trusted?";
    out->answer = range && law ? il__say(&m, "%s %s", range, law) : NULL;
    if (!out->answer) {
        return il_fail(err, IL_E_NOMEM, "no memory for the findings");
    }
    int rc = backend_findings(&m, backend);
    rc = rc == IL_OK ? il__claim_findings(&m) : rc;
    rc = rc == IL_OK ? il__crossover_findings(&m) : rc;
    rc = rc == IL_OK ? il__limit_findings(&m) : rc;
    rc = rc == IL_OK ? il__twin_findings(&m) : rc;
    return rc == IL_OK ? il__cannot_tell(&m) : rc;
}
