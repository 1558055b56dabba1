/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the tables of verdicts left undecided, and what was not measured at all: one sentence a
 * kind, with the first row and what would decide it.
 */
#include "report/findings_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool undecided(const il_artifact *t, size_t row)
{
    return strcmp(il_artifact_text(t, row, "verdict"), "not_identifiable") == 0;
}

/* The first undecided row and how many there are; SIZE_MAX when there is none. */
static size_t first_undecided(const il_artifact *t, size_t *n)
{
    size_t first = SIZE_MAX;
    *n = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (undecided(t, i)) {
            first = *n == 0 ? i : first;
            ++*n;
        }
    }
    return first;
}

/* A sentence of a table, without its full stop; of a reason the first clause: what follows
 * qualifies it and stands in the section. */
static const char *words_of(il__making *m, const il_artifact *t, size_t row, const char *column)
{
    char clean[1024];
    char *rest;
    il_words_sentence(clean, sizeof clean, il_artifact_text(t, row, column), 200);
    if (strcmp(column, "because") == 0 && (rest = strstr(clean, "; ")) != NULL) {
        *rest = '\0';
    }
    size_t n = strlen(clean);
    while (n > 0 && (clean[n - 1] == '.' || clean[n - 1] == ' ')) {
        clean[--n] = '\0';
    }
    return il__say(m, "%s", clean[0] ? clean : "no reason was recorded");
}

static int regimes_cannot(il__making *m)
{
    const il_artifact *t = &m->facts->regimes;
    size_t n, row = first_undecided(t, &n);
    if (row == SIZE_MAX) {
        return IL_OK;
    }
    il__cite(m, t, row);
    return il__finding_add(
        m, true, "not_identifiable",
        il__say(m,
                "Whether the law changes with size: %zu of %zu judgements of regimes are open; the "
                "first, %s of %s against %s: %s.",
                n, t->n_rows, il_artifact_text(t, row, "mode"),
                il__name(m, il_artifact_text(t, row, "backend")),
                il__name(m, il_findings_x_words(il_artifact_text(t, row, "x"))),
                words_of(m, t, row, "because")),
        il__say(m, "analysis/regimes.csv: backend=%s, mode=%s, x=%s",
                il__name(m, il_artifact_text(t, row, "backend")), il_artifact_text(t, row, "mode"),
                il_artifact_text(t, row, "x")));
}

static int shapes_cannot(il__making *m)
{
    const il_artifact *t = &m->facts->shape_costs;
    size_t n, row = first_undecided(t, &n);
    if (row == SIZE_MAX) {
        return IL_OK;
    }
    il__cite(m, t, row);
    return il__finding_add(
        m, true, "not_identifiable",
        il__say(m,
                "What depth and width cost apart: %zu of %zu quantities are open; the first, %s of "
                "%s on %s: %s.",
                n, t->n_rows, il__name(m, il_artifact_text(t, row, "quantity")),
                il_artifact_text(t, row, "mode"), il__name(m, il_artifact_text(t, row, "backend")),
                words_of(m, t, row, "because")),
        il__say(m, "analysis/shape_costs.csv: backend=%s, mode=%s, quantity=%s",
                il__name(m, il_artifact_text(t, row, "backend")), il_artifact_text(t, row, "mode"),
                il__name(m, il_artifact_text(t, row, "quantity"))));
}

/* Undecided claims, the first few each with the data that would decide it. */
static int claims_cannot(il__making *m)
{
    enum { MOST = 4 };
    const il_artifact *t = &m->facts->claims;
    size_t n_open, n = 0;
    (void)first_undecided(t, &n_open);
    for (size_t i = 0; i < t->n_rows && n < MOST; i++) {
        if (!undecided(t, i)) {
            continue;
        }
        const char *decide = il_artifact_text(t, i, "would_decide");
        const char *would = decide[0] ? words_of(m, t, i, "would_decide") : "";
        const char *more = n + 1 == MOST && n_open > MOST
                               ? il__say(m, " %zu claims are open in all.", n_open)
                               : "";
        il__cite(m, t, i);
        int rc = il__finding_add(
            m, true, "not_identifiable",
            il__say(m, "Claim \xE2\x80\x9C%s\xE2\x80\x9D.%s%s%s%s", words_of(m, t, i, "statement"),
                    would[0] ? " What would decide it: " : "", would, would[0] ? "." : "",
                    more ? more : ""),
            il__say(m, "analysis/claims.csv: id=%s", il__name(m, il_artifact_text(t, i, "id"))));
        if (rc != IL_OK) {
            return rc;
        }
        n++;
    }
    return IL_OK;
}

static int blocks_cannot(il__making *m)
{
    const il_artifact *t = &m->facts->blocks;
    size_t n = 0, row = 0;
    for (size_t i = t->n_rows; i-- > 0;) {
        if (il_artifact_flag(t, i, "flagged")) {
            row = i;
            n++;
        }
    }
    if (n == 0) {
        return IL_OK;
    }
    il__cite(m, t, row);
    return il__finding_add(
        m, true, "contradicted",
        il__say(m,
                "A steady machine: %zu of %zu blocks are flagged, the first is block %s: %s. Their "
                "rows stay in the fits.",
                n, t->n_rows, il_artifact_text(t, row, "block"), words_of(m, t, row, "because")),
        il__say(m, "analysis/blocks.csv: block=%s", il_artifact_text(t, row, "block")));
}

/* The first row of a verdict and how many there are; SIZE_MAX when there is none. */
static size_t first_parity(const il_artifact *t, const char *verdict, bool exempt_too, size_t *n)
{
    size_t first = SIZE_MAX;
    *n = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        bool exempt = strstr(il_artifact_text(t, i, "because"), "computes nothing") != NULL;
        if (strcmp(il_artifact_text(t, i, "verdict"), verdict) == 0 && (exempt_too || !exempt)) {
            first = *n == 0 ? i : first;
            ++*n;
        }
    }
    return first;
}

/* Backends whose answers are wrong, and those whose answers nobody could check. */
static int parity_cannot(il__making *m)
{
    const il_artifact *t = &m->facts->parity;
    size_t n, row = first_parity(t, "failed", true, &n);
    int rc = IL_OK;
    if (row != SIZE_MAX) {
        il__cite(m, t, row);
        rc = il__finding_add(
            m, true, "contradicted",
            il__say(
                m,
                "Times of %zu of %zu pairs of backend and model: their answers are not those of "
                "the reference, so their rows are flagged and in no fit; the first, %s on %s: "
                "%s (largest relative error %s, tolerance %s).",
                n, t->n_rows, il__name(m, il_artifact_text(t, row, "model")),
                il__name(m, il_artifact_text(t, row, "backend")), words_of(m, t, row, "because"),
                il_artifact_text(t, row, "max_rel_error"), il_artifact_text(t, row, "tolerance")),
            il__say(m, "analysis/parity.csv: backend=%s, model=%s",
                    il__name(m, il_artifact_text(t, row, "backend")),
                    il__name(m, il_artifact_text(t, row, "model"))));
    }
    row = first_parity(t, "not_checkable", false, &n);
    if (rc == IL_OK && row != SIZE_MAX) {
        il__cite(m, t, row);
        rc = il__finding_add(
            m, true, "not_measured",
            il__say(m,
                    "Whether %zu of %zu pairs of backend and model compute what they should: not "
                    "checkable; the first, %s on %s: %s.",
                    n, t->n_rows, il__name(m, il_artifact_text(t, row, "model")),
                    il__name(m, il_artifact_text(t, row, "backend")),
                    words_of(m, t, row, "because")),
            il__say(m, "analysis/parity.csv: backend=%s, model=%s",
                    il__name(m, il_artifact_text(t, row, "backend")),
                    il__name(m, il_artifact_text(t, row, "model"))));
    }
    return rc;
}

/* Everything that other runs measure and this one did not, in one sentence. */
static int absent_cannot(il__making *m)
{
    const il_facts *f = m->facts;
    const struct {
        const il_artifact *table;
        const char *words;
    } kinds[] = {{&f->cold_start, "cold starts"},
                 {&f->parity, il_facts_parity_off(f)
                                  ? "whether all backends give the same answers, which the study "
                                    "switched off"
                                  : "whether all backends give the same answers"},
                 {&f->memory, "memory"},
                 {&f->energy, "energy"}};
    const char *list = NULL, *files = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        /* A table may say that nothing could be read. */
        if (kinds[i].table->n_rows == 0 ||
            strcmp(il_artifact_text(kinds[i].table, 0, "what"), "not_readable") == 0) {
            list = list ? il__say(m, "%s, %s", list, kinds[i].words) : kinds[i].words;
            files = files ? il__say(m, "%s, %s", files, kinds[i].table->file)
                          : il__say(m, "analysis/: %s", kinds[i].table->file);
        }
    }
    return !list ? IL_OK
                 : il__finding_add(m, true, "not_measured",
                                   il__say(m, "What was not measured here: %s.", list),
                                   il__say(m, "%s absent", files ? files : ""));
}

int il__undecided(il__making *m)
{
    int rc = regimes_cannot(m);
    rc = rc == IL_OK ? shapes_cannot(m) : rc;
    rc = rc == IL_OK ? claims_cannot(m) : rc;
    rc = rc == IL_OK ? blocks_cannot(m) : rc;
    rc = rc == IL_OK ? parity_cannot(m) : rc;
    return rc == IL_OK ? absent_cannot(m) : rc;
}
