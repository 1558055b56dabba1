/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Findings that are one row of a table: shape costs, regimes, crossovers, what fails first, claims.
 * Each says what the row's verdict allows and cites the row; the section of the report has the
 * rest.
 */
#include "report/findings_internal.h"
#include "report/names.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CLAIMS = 12, MOST_CROSSINGS = 3 };

static bool is(const il_artifact *t, size_t row, const char *column, const char *value)
{
    return strcmp(il_artifact_text(t, row, column), value) == 0;
}

static bool supported(const il_artifact *t, size_t row)
{
    return is(t, row, "verdict", "supported");
}

/* "12.3 (12.1 to 12.6)" of columns estimate, ci_low, ci_high or others. */
static const char *interval_text(il__making *m, const il_artifact *t, size_t row,
                                 const char *column)
{
    char text[96];
    il_words_interval(text, sizeof text, il_artifact_number(t, row, column),
                      il_artifact_number(t, row, "ci_low"), il_artifact_number(t, row, "ci_high"));
    return il__say(m, "%s", text);
}

static const char *plain_text(il__making *m, const il_artifact *t, size_t row, const char *column)
{
    char text[48];
    il_words_plain(text, sizeof text, il_artifact_number(t, row, column));
    return il__say(m, "%s", text);
}

/* "analysis/FILE: a=…, b=…" of the key columns. */
static const char *key_text(il__making *m, const il_artifact *t, size_t row,
                            const char *const *columns, size_t n)
{
    const char *key = il__say(m, "analysis/%s:", t->file);
    const char *comma = "";
    for (size_t i = 0; key && i < n; i++) {
        const char *value = il_artifact_text(t, row, columns[i]);
        if (value[0]) { /* an empty key narrows nothing */
            key = il__say(m, "%s%s %s=%s", key, comma, columns[i], il__name(m, value));
            comma = ",";
        }
    }
    il__cite(m, t, row);
    return key;
}

/* ---- shape ---- */

static const char *shape_sentence(il__making *m, size_t row)
{
    static const struct {
        const char *quantity, *words;
    } known[] = {{"per_layer_ms", "each layer adds %s ms to %s"},
                 {"exponent_n_layer", "with the number of layers goes an exponent of %s of %s"},
                 {"exponent_d_model", "with width goes an exponent of %s of %s"},
                 {"layer_over_width", "a layer costs %s times what a unit of width does in %s"}};
    const il_artifact *t = &m->facts->shape_costs;
    const char *value = interval_text(m, t, row, "estimate");
    const char *what = il__mode_words(il_artifact_text(t, row, "mode"));
    const char *backend = il__name(m, il_artifact_text(t, row, "backend"));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (is(t, row, "quantity", known[i].quantity)) {
            const char *at = strstr(known[i].words, "%s"), *then = strstr(at + 2, "%s");
            return il__say(m, "On %s %.*s%s%.*s%s.", backend, (int)(at - known[i].words),
                           known[i].words, value, (int)(then - at - 2), at + 2, what);
        }
    }
    const char *quantity = il_artifact_text(t, row, "quantity");
    const char *width = strstr(quantity, "@d=");
    return strncmp(quantity, "depth_share_overhead@d=", 23) == 0 && width
               ? il__say(m,
                         "On %s, of what a layer of width %s adds to %s, the share that is neither "
                         "bytes nor FLOPs at the measured ceilings is %s.",
                         backend, width + 3, what, value)
               : NULL;
}

/* Of a decode step: prefill has its rows in the table. */
int il__shape_findings(il__making *m, const char *backend)
{
    static const char *const keys[] = {"backend", "batch_size", "mode", "quantity"};
    const il_artifact *t = &m->facts->shape_costs;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (!is(t, i, "backend", backend) || !is(t, i, "mode", "kv_decode") || !supported(t, i)) {
            continue;
        }
        const char *sentence = shape_sentence(m, i);
        int rc = sentence
                     ? il__finding_add(m, false, "supported", sentence, key_text(m, t, i, keys, 4))
                     : IL_OK;
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

/* ---- regimes ---- */

static size_t regime_row(const il_artifact *t, const char *backend, const char *mode)
{
    static const char *const order[] = {"bytes_read", "params_total", "flops"};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        for (size_t i = 0; i < t->n_rows; i++) {
            if (is(t, i, "backend", backend) && is(t, i, "mode", mode) && is(t, i, "x", order[k]) &&
                supported(t, i)) {
                return i;
            }
        }
    }
    return SIZE_MAX;
}

/* Units that people read: bytes in MB, FLOPs and parameters in millions. */
static const char *place_text(il__making *m, size_t row)
{
    const il_artifact *t = &m->facts->regimes;
    const char *x = il_artifact_text(t, row, "x");
    bool bytes = strcmp(x, "bytes_read") == 0;
    double scale = bytes || strcmp(x, "flops") == 0 ? 1e-6 : 1;
    char text[96];
    il_words_interval(text, sizeof text, scale * il_artifact_number(t, row, "break_at"),
                      scale * il_artifact_number(t, row, "ci_low"),
                      scale * il_artifact_number(t, row, "ci_high"));
    return bytes ? il__say(m, "%s MB", text)
                 : il__say(m, "%s million %s", text, il__name(m, il_findings_x_words(x)));
}

/* The second break of the same law, when it is supported too. */
static size_t next_break(const il_artifact *t, size_t row)
{
    static const char *const keys[] = {"backend", "mode", "x", "batch_size", "n_breaks"};
    size_t next = row + 1;
    for (size_t k = 0; k < sizeof keys / sizeof *keys && next < t->n_rows; k++) {
        if (!is(t, next, keys[k], il_artifact_text(t, row, keys[k]))) {
            return SIZE_MAX;
        }
    }
    return next < t->n_rows && is(t, row, "n_breaks", "2") && supported(t, next) ? next : SIZE_MAX;
}

/* What the last cache holds, where a step reads about as much. */
static const char *cache_text(il__making *m, size_t row)
{
    const json_t *machine = json_object_get(m->facts->manifest, "machine");
    double l3 = json_number_value(json_object_get(json_object_get(machine, "caches"), "l3_bytes"));
    double at = il_artifact_number(&m->facts->regimes, row, "break_at");
    if (!is(&m->facts->regimes, row, "x", "bytes_read") || !(at > l3 / 4 && at < l3 * 4)) {
        return "";
    }
    return il__say(m, "; the L3 cache of this machine holds %.1f MB", l3 / 1e6);
}

static const char *break_sentence(il__making *m, size_t row, const char *what)
{
    const il_artifact *t = &m->facts->regimes;
    const char *name = il__name(m, il_artifact_text(t, row, "backend"));
    const char *verb = is(t, row, "x", "bytes_read") ? "where a step reads" : "at";
    size_t next = next_break(t, row);
    if (next == SIZE_MAX) {
        return il__say(m,
                       "On %s the time of %s changes its regime %s %s: the exponent is %s below "
                       "and %s above%s.",
                       name, what, verb, place_text(m, row), plain_text(m, t, row, "slope_below"),
                       plain_text(m, t, row, "slope_above"), cache_text(m, row));
    }
    il__cite(m, t, next);
    return il__say(
        m,
        "On %s the time of %s changes its regime twice, %s %s and %s: the exponent is %s "
        "below, %s between and %s above%s.",
        name, what, verb, place_text(m, row), place_text(m, next),
        plain_text(m, t, row, "slope_below"), plain_text(m, t, row, "slope_above"),
        plain_text(m, t, next, "slope_above"), cache_text(m, row));
}

const char *il__regime_clause(il__making *m, const char *backend, const char *mode)
{
    const il_artifact *t = &m->facts->regimes;
    size_t row = regime_row(t, backend, mode);
    if (row == SIZE_MAX || !isfinite(il_artifact_number(t, row, "break_at"))) {
        return "";
    }
    size_t next = next_break(t, row);
    bool bytes = is(t, row, "x", "bytes_read");
    return il__say(m, "; that is an average over regimes, which change %s %s%s%s",
                   bytes ? "where a step reads" : "at", place_text(m, row),
                   next == SIZE_MAX ? "" : " and ", next == SIZE_MAX ? "" : place_text(m, next));
}

/* One judgement a mode, against what decode reads first: the x's go together. */
int il__regime_findings(il__making *m, const char *backend)
{
    static const char *const keys[] = {"backend", "mode", "x", "batch_size"};
    static const char *const modes[] = {"kv_decode", "prefill"};
    const il_artifact *t = &m->facts->regimes;
    for (size_t k = 0; k < 2; k++) {
        size_t i = regime_row(t, backend, modes[k]);
        if (i == SIZE_MAX) {
            continue;
        }
        const char *name = il__name(m, backend), *what = il__mode_words(modes[k]);
        const char *x = il__name(m, il_findings_x_words(il_artifact_text(t, i, "x")));
        const char *key = key_text(m, t, i, keys, 4);
        const char *sentence =
            isfinite(il_artifact_number(t, i, "break_at"))
                ? break_sentence(m, i, what)
                : il__say(m,
                          "On %s the time of %s keeps one regime over the %s that were run: no "
                          "break that would change its exponent is left possible.",
                          name, what, x);
        int rc = il__finding_add(m, false, "supported", sentence, key);
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

/* ---- crossovers ---- */

static const char *crossing_sentence(il__making *m, size_t row)
{
    const il_artifact *t = &m->facts->crossovers;
    const char *a = il__name(m, il_artifact_text(t, row, "a"));
    const char *b = il__name(m, il_artifact_text(t, row, "b"));
    const char *x = il__name(m, il_findings_x_words(il_artifact_text(t, row, "x")));
    bool found = supported(t, row);
    const char *at = found ? interval_text(m, t, row, "estimate") : "";
    if (is(t, row, "kind", "prefill_equals_decode")) {
        return found ? il__say(m, "%s takes as long as %s at a prompt of %s tokens.", a, b, at)
                     : il__say(m, "%s and %s take the same time at no prompt length that was run.",
                               a, b);
    }
    if (is(t, row, "kind", "decode_compute_bound")) {
        return found ? il__say(m,
                               "Decode of %s turns from memory-bound to compute-bound at batch "
                               "%s.",
                               a, at)
                     : il__say(m, "Decode of %s turns compute-bound at no batch that was run.", a);
    }
    const char *what = il__mode_words(il_artifact_text(t, row, "mode"));
    return found
               ? il__say(m, "%s and %s change places for %s at %s %s%s.", a, b, what, at,
                         strncmp(il_artifact_text(t, row, "x"), "params", 6) == 0 ? "million " : "",
                         x)
               : il__say(m, "%s and %s change places for %s nowhere in the range that was run.", a,
                         b, what);
}

/* Those that were found, a few of a kind; of a kind without any the first that is not there,
 * because "none in range" is an answer. */
int il__crossover_findings(il__making *m)
{
    static const char *const kinds[] = {"prefill_equals_decode", "decode_compute_bound",
                                        "backend_overtakes"};
    static const char *const keys[] = {"kind", "mode", "a", "b", "x"};
    const il_artifact *t = &m->facts->crossovers;
    for (size_t k = 0; k < 3; k++) {
        size_t rows[MOST_CROSSINGS], n = 0, none = SIZE_MAX;
        for (size_t i = 0; i < t->n_rows; i++) {
            if (is(t, i, "kind", kinds[k]) && supported(t, i) && n < MOST_CROSSINGS) {
                rows[n++] = i;
            } else if (is(t, i, "kind", kinds[k]) && is(t, i, "verdict", "none_in_range")) {
                none = none == SIZE_MAX ? i : none;
            }
        }
        if (n == 0 && none != SIZE_MAX) {
            rows[n++] = none;
        }
        for (size_t i = 0; i < n; i++) {
            int rc =
                il__finding_add(m, false, supported(t, rows[i]) ? "supported" : "none_in_range",
                                crossing_sentence(m, rows[i]), key_text(m, t, rows[i], keys, 5));
            if (rc != IL_OK) {
                return rc;
            }
        }
    }
    return IL_OK;
}

/* ---- what fails first ---- */

static const char *limit_words(const char *limit)
{
    static const char *const words[][2] = {{"itl", "the time of a token"},
                                           {"ttft", "the time to the first token"},
                                           {"tail", "the tail of a token's time"},
                                           {"memory", "memory"},
                                           {"cost", "cost"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i][0], limit) == 0) {
            return words[i][1];
        }
    }
    return limit;
}

/* The limit that gives way at the least size, where one does. */
int il__limit_findings(il__making *m)
{
    static const char *const keys[] = {"backend", "family", "limit"};
    const il_artifact *t = &m->facts->first_limit;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (il_artifact_number(t, i, "order") != 1.0 ||
            !isfinite(il_artifact_number(t, i, "size_at_limit"))) {
            continue;
        }
        const char *family = il_artifact_text(t, i, "family");
        int rc = il__finding_add(
            m, false, "supported",
            il__say(
                m,
                "On %s%s%s the first limit to give way as models grow is %s: it reaches %s %s at "
                "%s million parameters.",
                il__name(m, il_artifact_text(t, i, "backend")),
                strcmp(family, "all") == 0 ? "" : ", family ",
                strcmp(family, "all") == 0 ? "" : il__name(m, family),
                limit_words(il_artifact_text(t, i, "limit")), plain_text(m, t, i, "threshold"),
                is(t, i, "limit", "memory") ? "bytes" : "ms",
                interval_text(m, t, i, "size_at_limit")),
            key_text(m, t, i, keys, 3));
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

/* ---- claims ---- */

/* Judged claims in the order of their file; the undecided stand among what the run cannot tell. */
int il__claim_findings(il__making *m)
{
    static const char *const keys[] = {"id"};
    const il_artifact *t = &m->facts->claims;
    size_t n = 0;
    for (size_t i = 0; i < t->n_rows && n < MOST_CLAIMS; i++) {
        const char *verdict = supported(t, i)                       ? "supported"
                              : is(t, i, "verdict", "contradicted") ? "contradicted"
                              : is(t, i, "verdict", "ill_posed")    ? "ill_posed"
                                                                    : NULL;
        if (!verdict) {
            continue;
        }
        char statement[900];
        il_words_sentence(statement, sizeof statement, il_artifact_text(t, i, "statement"), 220);
        size_t len = strlen(statement);
        bool ended = len > 0 && statement[len - 1] == '.';
        const char *measured =
            isfinite(il_artifact_number(t, i, "estimate"))
                ? il__say(m, " Measured: %s.", interval_text(m, t, i, "estimate"))
                : "";
        int rc = il__finding_add(m, false, verdict,
                                 il__say(m, "Claim \xE2\x80\x9C%.*s\xE2\x80\x9D.%s",
                                         (int)(len - (ended ? 1 : 0)), statement,
                                         measured ? measured : ""),
                                 key_text(m, t, i, keys, 1));
        if (rc != IL_OK) {
            return rc;
        }
        n++;
    }
    return IL_OK;
}

/* ---- models of one shape ---- */

/* Decode of each backend and pair, the first batch size and scenario. */
int il__twin_findings(il__making *m)
{
    static const char *const keys[] = {"backend", "model_a", "model_b", "mode", "scenario"};
    const il_artifact *t = &m->facts->equivalence;
    const char *before = "";
    for (size_t i = 0; i < t->n_rows; i++) {
        const char *verdict = il_artifact_text(t, i, "verdict");
        const char *pair = il__say(m, "%s|%s", il_artifact_text(t, i, "backend"),
                                   il_artifact_text(t, i, "model_b"));
        if (!is(t, i, "mode", "kv_decode") || !pair || strcmp(pair, before) == 0 ||
            strcmp(verdict, "undecided") == 0) {
            continue;
        }
        before = pair;
        bool same = strcmp(verdict, "equivalent") == 0;
        int rc = il__finding_add(
            m, false, same ? "supported" : "contradicted",
            il__say(m,
                    "On %s, %s decodes in %s times the time of %s, which has its shape: %s within "
                    "%.0f %%.",
                    il__name(m, il_artifact_text(t, i, "backend")),
                    il__name(m, il_artifact_text(t, i, "model_b")), interval_text(m, t, i, "ratio"),
                    il__name(m, il_artifact_text(t, i, "model_a")),
                    same ? "equivalent" : "not equivalent",
                    100.0 * il_artifact_number(t, i, "margin")),
            key_text(m, t, i, keys, 5));
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}
