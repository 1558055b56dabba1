/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/bench_server.h"

#include "base/file.h"
#include "base/log.h"
#include "stats/order.h"
#include "study/journal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_CALLS_UNDER_LOAD = 8 };

/* --- the study -------------------------------------------------------------------------------- */

json_t *il_bench_server_study(const il_param_set *flags, json_t *scenarios, int64_t gen_tokens)
{
    const il_param_value *names = &flags->values[IL_P_MODEL_DIR];
    const char *server = il_param_text(flags, IL_P_SERVER);
    const char *kind = server && strcmp(server, "ollama") == 0 ? "ollama" : "openai";
    const char *key = il_param_text(flags, IL_P_API_KEY_ENV);
    int64_t concurrency = il_param_i64(flags, IL_P_CONCURRENCY);
    bool open = il_param_has(flags, IL_P_RATE_PER_S);
    int64_t calls = 2 * concurrency;
    calls = concurrency == 1 && !open        ? 1
            : calls < LEAST_CALLS_UNDER_LOAD ? LEAST_CALLS_UNDER_LOAD
                                             : calls;
    json_t *models = json_array();
    for (size_t i = 0; i < names->n; i++) {
        (void)json_array_append_new(models,
                                    json_pack("{s:s,s:s}", "name", names->texts[i], "kind", kind));
    }
    if (names->n == 0) {
        (void)json_array_append_new(models, json_pack("{s:s,s:s}", "name", "auto", "kind", kind));
    }
    json_t *entry =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:I}", "name", "server", "kind", kind, "url",
                  il_param_text(flags, IL_P_URL), "server", server, "endpoint",
                  il_param_text(flags, IL_P_ENDPOINT), "concurrency", (json_int_t)concurrency);
    if (entry && open) {
        (void)json_object_set_new(entry, "rate_per_s",
                                  json_real(il_param_f64(flags, IL_P_RATE_PER_S)));
    }
    if (entry && key) {
        (void)json_object_set_new(entry, "api_key_env", json_string(key));
    }
    return json_pack("{s:s,s:I,s:I,s:i,s:{s:I,s:b,s:b,s:b},s:o,s:[o],s:o}", "run_name", "bench",
                     "gen_tokens", (json_int_t)gen_tokens, "repetitions", (json_int_t)calls,
                     "warmup_repetitions", 1, "schedule", "blocks",
                     (json_int_t)il_param_i64(flags, IL_P_BENCH_REPETITIONS), "aa", 0, "closure", 0,
                     "sentinel", 0, "scenarios", scenarios, "backends", entry, "models", models);
}

/* --- what was measured ------------------------------------------------------------------------ */

/* id, name, unit */
#define MEASURE_MAP(X)                                                                             \
    X(BYTE, "first byte", "ms")                                                                    \
    X(TTFT, "first token (TTFT)", "ms")                                                            \
    X(VISIBLE, "first visible token", "ms")                                                        \
    X(ITL, "between tokens (ITL)", "ms")                                                           \
    X(E2E, "end to end", "ms")                                                                     \
    X(RATE, "tokens out", "tokens/s")

enum {
#define MEASURE_ENUM(id, name, unit) id,
    MEASURE_MAP(MEASURE_ENUM)
#undef MEASURE_ENUM
        N_MEASURES
};

static const struct {
    const char *name, *unit;
} measures[] = {
#define MEASURE_ROW(id, name, unit) {name, unit},
    MEASURE_MAP(MEASURE_ROW)
#undef MEASURE_ROW
};

typedef struct block_calls {
    double *values[N_MEASURES]; /* [repetitions] */
    size_t n[N_MEASURES];
    double from_ns, to_ns, tokens;
} block_calls;

typedef struct probe {
    uint32_t n, told, hits, faster, same;
} probe;

typedef struct collect {
    const il_plan *plan;
    block_calls *blocks; /* [cell · blocks + block] */
    probe *probes;       /* [cell] */
    uint32_t *ok, *failed;
    char (*reason)[300]; /* [cell]: of the first failure */
    char served[256];    /* what the server calls the model; "" unknown */
} collect;

static double number(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void put(block_calls *b, int measure, double value, uint32_t most)
{
    if (isfinite(value) && b->n[measure] < most) {
        b->values[measure][b->n[measure]++] = value;
    }
}

static void take_call(collect *c, const json_t *line, int64_t cell, int64_t block)
{
    const json_t *steps = json_object_get(line, "t_step_ns");
    const char *status = json_string_value(json_object_get(line, "status"));
    size_t n = json_array_size(steps);
    if (json_is_true(json_object_get(line, "is_warmup"))) {
        return;
    }
    if (!status || strcmp(status, "ok") != 0 || n == 0) {
        c->failed[cell]++;
        return;
    }
    block_calls *b = &c->blocks[cell * c->plan->blocks + block];
    uint32_t most = c->plan->repetitions;
    double t0 = number(line, "t0_ns"), due = number(line, "t_scheduled_ns");
    double first = number(line, "t_first_ns"), n_steps = number(line, "decode_steps");
    double last = json_number_value(json_array_get(steps, n - 1));
    double from = isnan(due) ? t0 : due;
    put(b, BYTE, (number(line, "t_first_byte_ns") - from) * 1e-6, most);
    put(b, TTFT, (first - from) * 1e-6, most);
    put(b, VISIBLE, (number(line, "t_first_visible_ns") - from) * 1e-6, most);
    put(b, ITL, (last - first) * 1e-6 / n_steps, most);
    put(b, E2E, (last - from) * 1e-6, most);
    b->from_ns = c->ok[cell] == 0 || b->tokens == 0 || t0 < b->from_ns ? t0 : b->from_ns;
    b->to_ns = b->tokens == 0 || last > b->to_ns ? last : b->to_ns;
    b->tokens += n_steps + 1;
    c->ok[cell]++;
}

static void take_failure(collect *c, const json_t *line, int64_t cell)
{
    const char *message = json_string_value(json_object_get(line, "message"));
    const char *hint = json_string_value(json_object_get(line, "hint"));
    c->failed[cell]++;
    if (message && !c->reason[cell][0]) {
        (void)snprintf(c->reason[cell], sizeof c->reason[cell], "%s%s%s", message, hint ? "; " : "",
                       hint ? hint : "");
    }
}

static void take_probe(collect *c, const json_t *line, int64_t cell)
{
    const json_t *fresh = json_object_get(line, "fresh_ttft_ms");
    double a = json_number_value(json_array_get(fresh, 0));
    double b = json_number_value(json_array_get(fresh, 1));
    double repeat = number(line, "repeat_ttft_ms"), hits = number(line, "repeat_cached_tok");
    double least = a < b ? a : b;
    probe *p = &c->probes[cell];
    if (isnan(repeat) || !(least > 0)) {
        return;
    }
    p->n++;
    p->told += isnan(hits) ? 0 : 1;
    p->hits += hits > 1 ? 1 : 0;
    p->faster += repeat < 0.7 * least ? 1 : 0;
    p->same += repeat > 0.9 * least ? 1 : 0;
}

/* The server's word first; times alone only where all of three or more blocks agree. */
static const char *cache_verdict(const probe *p)
{
    if (p->hits > 0) {
        return "on";
    }
    if (p->n > 0 && p->told == p->n) {
        return "off";
    }
    return p->n >= 3 && p->faster == p->n ? "on" : p->n >= 3 && p->same == p->n ? "off" : "unknown";
}

static int take_line(json_t *line, uint64_t at, void *user, il_error *err)
{
    (void)at;
    (void)err;
    collect *c = user;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const json_t *cell_of = json_object_get(line, "cell");
    int64_t block = json_integer_value(json_object_get(line, "block"));
    int64_t cell = json_is_integer(cell_of) ? json_integer_value(cell_of) : -1;
    const char *served =
        json_string_value(json_object_get(json_object_get(line, "facts"), "served_model"));
    if (served) {
        (void)snprintf(c->served, sizeof c->served, "%s", served);
    }
    if (!kind || block < 0 || block >= c->plan->blocks || cell < 0 || cell >= c->plan->n_cells) {
        return IL_OK;
    }
    if (strcmp(kind, "call") == 0) {
        take_call(c, line, cell, block);
    } else if (strcmp(kind, "failure") == 0) {
        take_failure(c, line, cell);
    } else if (strcmp(kind, "cache_probe") == 0) {
        take_probe(c, line, cell);
    }
    return IL_OK;
}

static int collect_make(const il_plan *plan, il_arena *arena, collect *c, il_error *err)
{
    size_t n_cells = plan->n_cells, n = n_cells * plan->blocks;
    *c = (collect){.plan = plan};
    c->blocks = il_arena_array(arena, n, sizeof *c->blocks);
    c->probes = il_arena_array(arena, n_cells, sizeof *c->probes);
    c->ok = il_arena_array(arena, n_cells, sizeof *c->ok);
    c->failed = il_arena_array(arena, n_cells, sizeof *c->failed);
    c->reason = il_arena_array(arena, n_cells, sizeof *c->reason);
    double *values = il_arena_array(arena, n * N_MEASURES * plan->repetitions, sizeof *values);
    if (!c->blocks || !c->probes || !c->ok || !c->failed || !c->reason || !values) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n * N_MEASURES; i++) {
        c->blocks[i / N_MEASURES].values[i % N_MEASURES] = values + i * plan->repetitions;
    }
    return IL_OK;
}

/* --- the table -------------------------------------------------------------------------------- */

static const il_column columns[] = {
    {"model", "model"},
    {"test", "test"},
    {"measure", "measure"},
    {"median", "median"},
    {"95 % from", "low"},
    {"to", "high"},
    {"unit", "unit"},
    {"blocks", "blocks"},
    {"calls", "calls"},
    {"failed", "failed"},
    {"prefix cache", "prefix_cache"},
};

/* "auto" is the one model that the server has. */
static const char *model_name(const collect *c, const il_cell *cell)
{
    const char *name = c->plan->study->models[cell->model].name;
    return il_path_base(strcmp(name, "auto") == 0 && c->served[0] ? c->served : name);
}

static void test_name(const il_plan *plan, const il_cell *cell, char *out, size_t out_bytes)
{
    const il_param_set *set = &plan->study->backends[cell->backend].set;
    char load[64] = "";
    int64_t concurrency = il_param_i64(set, IL_P_CONCURRENCY);
    if (il_param_has(set, IL_P_RATE_PER_S)) {
        (void)snprintf(load, sizeof load, " at %g/s", il_param_f64(set, IL_P_RATE_PER_S));
    } else if (concurrency > 1) {
        (void)snprintf(load, sizeof load, " x%lld", (long long)concurrency);
    }
    (void)snprintf(out, out_bytes, "p%u n%u%s", cell->seq_len, cell->gen_tokens, load);
}

static void add_rows(const collect *c, uint32_t cell, double *medians, il_table *t)
{
    const il_cell *k = &c->plan->cells[cell];
    char test[96];
    test_name(c->plan, k, test, sizeof test);
    for (int m = 0; m < N_MEASURES; m++) {
        size_t n = 0;
        for (uint32_t b = 0; b < c->plan->blocks; b++) {
            const block_calls *calls = &c->blocks[(size_t)cell * c->plan->blocks + b];
            if (m == RATE && calls->to_ns > calls->from_ns) {
                medians[n++] = calls->tokens / (calls->to_ns - calls->from_ns) * 1e9;
            } else if (m != RATE && calls->n[m] > 0) {
                medians[n++] = il_median(calls->values[m], calls->n[m]);
            }
        }
        il_interval i = {(double)NAN, (double)NAN, (double)NAN};
        if (n > 0) {
            (void)il_quantile_interval(medians, n, 0.5, 0.95, &i, NULL, NULL);
        }
        il_table_text(t, model_name(c, k));
        il_table_text(t, test);
        il_table_text(t, measures[m].name);
        il_table_real(t, i.estimate, 3);
        il_table_real(t, i.low, 3);
        il_table_real(t, i.high, 3);
        il_table_text(t, measures[m].unit);
        il_table_int(t, (int64_t)n);
        il_table_int(t, c->ok[cell]);
        il_table_int(t, c->failed[cell]);
        il_table_text(t, cache_verdict(&c->probes[cell]));
    }
}

int il_bench_server_print(const il_plan *plan, const char *journal, bool json, il_error *err)
{
    collect c;
    il_table t;
    il_arena arena = {0};
    il_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    int rc = collect_make(plan, &arena, &c, err);
    double *medians = rc == IL_OK ? il_arena_array(&arena, plan->blocks, sizeof *medians) : NULL;
    if (rc == IL_OK && !medians) {
        rc = il_fail(err, IL_E_NOMEM, "out of memory");
    }
    rc = rc == IL_OK ? il_journal_read(journal, take_line, &c, NULL, err) : rc;
    for (uint32_t i = 0; rc == IL_OK && i < plan->n_cells; i++) {
        if (c.ok[i] > 0) {
            add_rows(&c, i, medians, &t);
        }
        if (c.reason[i][0]) {
            il_log(IL_LOG_WARN, "%s, %s: %s", model_name(&c, &plan->cells[i]),
                   plan->study->scenarios[plan->cells[i].scenario].name, c.reason[i]);
        }
    }
    rc = rc == IL_OK ? il_table_print(&t, json, stdout, err) : rc;
    il_table_free(&t);
    il_arena_free(&arena);
    return rc;
}
