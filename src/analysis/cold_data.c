/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/cold_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CALLS = 1000 };

/* --- one line --------------------------------------------------------------------------------- */

static bool stamp(const json_t *object, const char *key, int64_t *out)
{
    const json_t *value = json_object_get(object, key);
    *out = json_integer_value(value);
    return json_is_integer(value);
}

static double between(const json_t *object, const char *from, const char *to)
{
    int64_t a, b;
    return stamp(object, from, &a) && stamp(object, to, &b) ? (double)(b - a) * 1e-6 : NAN;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Adds a stage; parts of one name are one stage. */
static void add(il_cold_start *s, const char *name, double ms, double major_faults)
{
    if (!name || !isfinite(ms)) {
        return;
    }
    for (uint32_t i = 0; i < s->n_stages; i++) {
        if (strncmp(s->stages[i].name, name, IL_COLD_NAME_BYTES - 1) == 0) {
            s->stages[i].ms += ms;
            s->stages[i].major_faults += major_faults;
            return;
        }
    }
    if (s->n_stages < IL_COLD_MOST_STAGES) {
        il_cold_stage *stage = &s->stages[s->n_stages++];
        (void)snprintf(stage->name, sizeof stage->name, "%s", name);
        stage->ms = ms;
        stage->major_faults = major_faults;
    }
}

/* Of the stages that the process told; what it did not tell before the load is the runtime's. */
static void add_told(il_cold_start *s, const json_t *line)
{
    size_t i;
    const json_t *stage;
    double told = 0, before = number(line, "faults_load");
    json_array_foreach(json_object_get(line, "stages"), i, stage)
    {
        double faults = number(stage, "major_faults");
        told += isfinite(faults) ? faults : 0;
    }
    json_array_foreach(json_object_get(line, "stages"), i, stage)
    {
        const char *name = json_string_value(json_object_get(stage, "name"));
        bool hello = name && strcmp(name, "hello") == 0;
        double faults = hello ? fmax(before - told, 0) : number(stage, "major_faults");
        add(s, hello ? "runtime_init" : name, between(stage, "t0_ns", "t1_ns"),
            hello && isnan(before) ? NAN : faults);
    }
}

/* Of calls first … n − 1. */
static double median_of(const json_t *calls, size_t first, size_t n, const char *to)
{
    double values[MOST_CALLS];
    size_t k = 0;
    for (size_t i = first; i < n && k < MOST_CALLS; i++) {
        double ms = between(json_array_get(calls, i), "t0_ns", to);
        if (isfinite(ms)) {
            values[k++] = ms;
        }
    }
    return il_median(values, k);
}

static void read_steady(il_cold_start *s, const json_t *calls)
{
    size_t n = json_array_size(calls);
    s->n_calls = (uint32_t)n;
    s->steady_ms = n > 1 ? median_of(calls, n - n / 2, n, "t_end_ns") : NAN;
    s->steady_prefill_ms = n > 1 ? median_of(calls, n - n / 2, n, "t_first_ns") : NAN;
    s->calls_to_steady = isfinite(s->steady_ms) ? INFINITY : NAN;
    for (size_t i = 0; i < n && isinf(s->calls_to_steady); i++) {
        if (between(json_array_get(calls, i), "t0_ns", "t_end_ns") <= 1.05 * s->steady_ms) {
            s->calls_to_steady = (double)i + 1;
        }
    }
}

/* From the first stamp of the start to stamps of the first call. */
static void read_whole(il_cold_start *s, const json_t *line, const json_t *first)
{
    int64_t start, load, token, end;
    bool known = stamp(line, "t0_ns", &load) && load > 0;
    if (!stamp(line, "t_spawn_ns", &start)) {
        start = load;
    }
    s->first_token_ms = s->total_ms = NAN;
    if (known && stamp(first, "t_first_ns", &token)) {
        s->first_token_ms = (double)(token - start) * 1e-6;
    }
    if (known && stamp(first, "t_end_ns", &end)) {
        s->total_ms = (double)(end - start) * 1e-6;
    }
    s->cost_ms = s->total_ms - s->steady_ms;
}

bool il__cold_read(const json_t *line, uint64_t at, il_cold_start *out)
{
    const char *state = json_string_value(json_object_get(line, "page_cache"));
    const char *status = json_string_value(json_object_get(line, "status"));
    const json_t *sample = json_object_get(line, "sample"), *cell = json_object_get(line, "cell");
    if (!state || !status || !json_is_integer(sample) || json_integer_value(sample) < 0 ||
        !json_is_integer(cell) || json_integer_value(cell) < 0) {
        return false;
    }
    *out = (il_cold_start){.cell = (uint32_t)json_integer_value(cell),
                           .sample = (uint32_t)json_integer_value(sample),
                           .warm = strcmp(state, "warm") == 0,
                           .at = at,
                           .status = strcmp(status, "ok") == 0        ? IL_COLD_OK
                                     : strcmp(status, "flagged") == 0 ? IL_COLD_FLAGGED
                                                                      : IL_COLD_ERROR,
                           .file_bytes = number(line, "file_bytes"),
                           .resident_before = number(line, "resident_before")};
    const json_t *calls = json_object_get(line, "calls"), *first = json_array_get(calls, 0);
    add_told(out, line);
    add(out, "server_load", number(json_object_get(line, "server"), "load_ms"), NAN);
    add(out, IL_COLD_LOAD, between(line, "t0_ns", "t1_ns"), NAN);
    add(out, "prepare", between(line, "prepare_t0_ns", "prepare_t1_ns"),
        number(line, "faults_prepare") - number(line, "faults_load"));
    add(out, "first_prefill", between(first, "t0_ns", "t_first_ns"), NAN);
    add(out, "first_decode_step", between(first, "t_first_ns", "t_step1_ns"), NAN);
    add(out, "first_call", between(first, "t0_ns", "t_end_ns"), number(first, "major_faults"));
    read_steady(out, calls);
    read_whole(out, line, first);
    add(out, IL_COLD_FIRST_TOKEN, out->first_token_ms, NAN);
    add(out, IL_COLD_TOTAL, out->total_ms,
        number(line, "faults_prepare") + number(first, "major_faults"));
    add(out, IL_COLD_COST, out->cost_ms, NAN);
    add(out, IL_COLD_STEADY, out->steady_ms, NAN);
    return true;
}

/* --- groups ----------------------------------------------------------------------------------- */

static int same_sample(const void *pa, const void *pb)
{
    const il_cold_start *a = pa, *b = pb;
    int by_cell = (a->cell > b->cell) - (a->cell < b->cell);
    int by_state = by_cell ? by_cell : (int)a->warm - (int)b->warm;
    return by_state ? by_state : (a->sample > b->sample) - (a->sample < b->sample);
}

static int by_sample(const void *pa, const void *pb)
{
    const il_cold_start *a = pa, *b = pb;
    int order = same_sample(pa, pb);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

size_t il__cold_sort(il_cold_start *starts, size_t n)
{
    il_sort_records(starts, n, sizeof *starts, by_sample);
    return il_keep_last(starts, n, sizeof *starts, same_sample);
}

il_cold_group il__cold_group_at(const il_cold_start *starts, size_t n, size_t from)
{
    il_cold_group g = {.starts = starts + from};
    while (from + g.n < n && starts[from + g.n].cell == starts[from].cell &&
           starts[from + g.n].warm == starts[from].warm) {
        const il_cold_start *s = &starts[from + g.n++];
        g.n_ok += s->status == IL_COLD_OK;
        g.n_flagged += s->status == IL_COLD_FLAGGED;
        g.n_failed += s->status == IL_COLD_ERROR;
    }
    return g;
}

double il__cold_stage_ms(const il_cold_start *s, const void *name)
{
    for (uint32_t i = 0; i < s->n_stages; i++) {
        if (strcmp(s->stages[i].name, name) == 0) {
            return s->stages[i].ms;
        }
    }
    return NAN;
}

double il__cold_cost(const il_cold_start *s, const void *unused)
{
    (void)unused;
    return s->cost_ms;
}

double il__cold_requests(const il_cold_start *s, const void *unused)
{
    (void)unused;
    return s->steady_ms > 0 ? s->cost_ms / (IL_COLD_SHARE * s->steady_ms) : NAN;
}

il_interval il__cold_interval(const il_cold_group *g, il_cold_number *its, const void *context,
                              size_t *n)
{
    il_interval out = {NAN, NAN, NAN};
    double *values = malloc((g->n + 1) * sizeof *values);
    *n = 0;
    for (size_t i = 0; values && i < g->n; i++) {
        double v = g->starts[i].status == IL_COLD_OK ? its(&g->starts[i], context) : NAN;
        if (!isnan(v)) {
            values[(*n)++] = v;
        }
    }
    if (*n > 0) {
        (void)il_quantile_interval(values, *n, 0.5, 0.95, &out, NULL, NULL);
    }
    free(values);
    return out;
}
