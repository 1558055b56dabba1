/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/energy_data.h"

#include "stats/order.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static const json_t *meter_of(const json_t *list, const char *name)
{
    size_t i;
    const json_t *meter;
    json_array_foreach(list, i, meter)
    {
        if (strcmp(text(meter, "name"), name) == 0) {
            return meter;
        }
    }
    return NULL;
}

/* Joules and seconds of one meter over a window, by the meter's own stamps. */
static bool over(const json_t *window, const char *name, double *joules, double *seconds)
{
    const json_t *a = meter_of(json_object_get(window, "before"), name);
    const json_t *b = meter_of(json_object_get(window, "after"), name);
    *joules = (number(b, "energy_uj") - number(a, "energy_uj")) * 1e-6;
    *seconds = (number(b, "at_ns") - number(a, "at_ns")) * 1e-9;
    return *joules >= 0 && *seconds > 0;
}

size_t il__energy_meters(const json_t *line)
{
    return strcmp(text(line, "status"), "ok") == 0
               ? json_array_size(json_object_get(json_object_get(line, "idle"), "before"))
               : 0;
}

/* A call with n steps takes prefill + n·step; two lengths tell them apart. */
static void tokens_of(double short_j, double long_j, double n_short, double n_long, double batch,
                      double prompt, double *prefill_j, double *decode_j)
{
    double step = (long_j - short_j) / (n_long - n_short);
    *decode_j = step / batch;
    *prefill_j = (short_j - n_short * step) / (batch * prompt);
}

bool il__energy_read(const json_t *line, size_t index, uint64_t at, il_energy_sample *out)
{
    const json_t *idle = json_object_get(line, "idle");
    const json_t *few = json_object_get(line, "short"), *many = json_object_get(line, "long");
    const json_t *meter = json_array_get(json_object_get(idle, "before"), index);
    const char *name = text(meter, "name");
    const json_t *cell = json_object_get(line, "cell"), *sample = json_object_get(line, "sample");
    double idle_j, idle_s, few_j, few_s, many_j, many_s;
    if (!json_is_integer(cell) || json_integer_value(cell) < 0 || !json_is_integer(sample) ||
        !over(idle, name, &idle_j, &idle_s) || !over(few, name, &few_j, &few_s) ||
        !over(many, name, &many_j, &many_s)) {
        return false;
    }
    *out = (il_energy_sample){
        .cell = (uint32_t)json_integer_value(cell),
        .sample = (uint32_t)json_integer_value(sample),
        .at = at,
        .resolution_ms = number(meter_of(json_object_get(many, "after"), name), "resolution_ms"),
        .idle_w = idle_j / idle_s,
        .short_w = few_j / few_s,
        .long_w = many_j / many_s,
        .window_s = fmin(few_s, many_s)};
    (void)snprintf(out->meter, sizeof out->meter, "%s", name);
    (void)snprintf(out->kind, sizeof out->kind, "%s", text(meter, "kind"));
    double batch = number(line, "batch"), prompt = number(line, "prompt_tokens");
    double n_few = number(few, "decode_steps"), n_many = number(many, "decode_steps");
    double calls_few = number(few, "calls"), calls_many = number(many, "calls");
    tokens_of(few_j / calls_few, many_j / calls_many, n_few, n_many, batch, prompt, &out->prefill_j,
              &out->decode_j);
    tokens_of((few_j - out->idle_w * few_s) / calls_few,
              (many_j - out->idle_w * many_s) / calls_many, n_few, n_many, batch, prompt,
              &out->prefill_net_j, &out->decode_net_j);
    return isfinite(out->decode_j);
}

static int same_sample(const void *pa, const void *pb)
{
    const il_energy_sample *a = pa, *b = pb;
    int by_cell = (a->cell > b->cell) - (a->cell < b->cell);
    int by_meter = by_cell ? by_cell : strcmp(a->meter, b->meter);
    return by_meter ? by_meter : (a->sample > b->sample) - (a->sample < b->sample);
}

static int by_sample(const void *pa, const void *pb)
{
    const il_energy_sample *a = pa, *b = pb;
    int order = same_sample(pa, pb);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

size_t il__energy_sort(il_energy_sample *samples, size_t n)
{
    il_sort_records(samples, n, sizeof *samples, by_sample);
    return il_keep_last(samples, n, sizeof *samples, same_sample);
}
