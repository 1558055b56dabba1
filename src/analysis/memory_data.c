/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/memory_data.h"

#include "stats/order.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_STEPS = 64 };

const char *const il_rung_axis_names[] = {"size", "context", "batch"};

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double median_step(const json_t *steps)
{
    double values[MOST_STEPS];
    size_t n = 0, i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        if (json_is_number(step) && n < MOST_STEPS) {
            values[n++] = json_number_value(step);
        }
    }
    return il_median(values, n);
}

static void copy_word(char out[16], const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));
    (void)snprintf(out, 16, "%.15s", text ? text : "");
}

bool il__memory_read(const json_t *line, uint64_t at, il_memory_rung *out)
{
    const char *axis = json_string_value(json_object_get(line, "axis"));
    const char *status = json_string_value(json_object_get(line, "status"));
    const json_t *cell = json_object_get(line, "cell");
    if (!axis || !status || !json_is_integer(cell) || json_integer_value(cell) < 0) {
        return false;
    }
    *out = (il_memory_rung){.cell = (uint32_t)json_integer_value(cell),
                            .at = at,
                            .x = number(line, "x"),
                            .batch = number(line, "batch"),
                            .context_tok = number(line, "context_tok"),
                            .failed = strcmp(status, "ok") != 0,
                            .predicted = number(line, "predicted_bytes"),
                            .weights = number(line, "weight_bytes"),
                            .kv_per_token = number(line, "kv_bytes_per_token"),
                            .rss_load = number(line, "rss_load_bytes"),
                            .rss_peak = number(line, "rss_peak_bytes"),
                            .pss = number(line, "pss_bytes"),
                            .gpu_peak = number(line, "gpu_peak_mb") * 1048576,
                            .limit = number(line, "limit_bytes"),
                            .prefill_ms = number(line, "prefill_ms"),
                            .step_ms = median_step(json_object_get(line, "step_ms")),
                            .faults_per_pass =
                                number(line, "major_faults") / (number(line, "decode_steps") + 1)};
    copy_word(out->reason, line, "reason");
    copy_word(out->limit_by, line, "limit_by");
    for (int i = 0; i < 3; i++) {
        if (strcmp(axis, il_rung_axis_names[i]) == 0) {
            out->axis = (il_rung_axis)i;
            return isfinite(out->x);
        }
    }
    return false;
}

static int same_rung(const void *pa, const void *pb)
{
    const il_memory_rung *a = pa, *b = pb;
    int by_axis = (a->axis > b->axis) - (a->axis < b->axis);
    int by_cell = (a->cell > b->cell) - (a->cell < b->cell);
    int by_x = (a->x > b->x) - (a->x < b->x);
    if (by_axis) {
        return by_axis;
    }
    return a->axis == IL_RUNG_SIZE ? (by_x ? by_x : by_cell) : (by_cell ? by_cell : by_x);
}

static int by_rung(const void *pa, const void *pb)
{
    const il_memory_rung *a = pa, *b = pb;
    int order = same_rung(pa, pb);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

size_t il__memory_sort(il_memory_rung *rungs, size_t n)
{
    il_sort_records(rungs, n, sizeof *rungs, by_rung);
    return il_keep_last(rungs, n, sizeof *rungs, same_rung);
}

void il__memory_climb_add(il_memory_climb *c, const il_memory_rung *rung)
{
    if (rung->failed) {
        c->first_failed = c->first_failed ? c->first_failed : rung;
        c->n_failed++;
        return;
    }
    /* A page a pass, on average: what is read back every time. */
    if (!c->paging && rung->faults_per_pass >= 1) {
        c->paging = rung;
        c->before_paging = c->last_ok;
    }
    c->last_ok = rung;
    c->n_ok++;
}
