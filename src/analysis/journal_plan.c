/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/journal_plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static char *copy_text(const json_t *object, const char *key)
{
    const char *text = text_of(object, key);
    return strdup(text ? text : "");
}

/* The item of that name in one of the plan's lists; NULL and SIZE_MAX when there is none. */
static const json_t *named(const json_t *plan, const char *list, const char *name, size_t *at)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(plan, list), i, item)
    {
        const char *its = text_of(item, "name");
        if (name && its && strcmp(its, name) == 0) {
            *at = i;
            return item;
        }
    }
    *at = SIZE_MAX;
    return NULL;
}

/* A shape that this version cannot read is one that is not known. */
static int add_models(const json_t *plan, il_run_facts *f, il_error *err)
{
    const json_t *models = json_object_get(plan, "models");
    size_t i;
    const json_t *item;
    f->models = calloc(json_array_size(models) + 1, sizeof *f->models);
    if (!f->models) {
        return il_fail(err, IL_E_NOMEM, "no memory for the plan");
    }
    json_array_foreach(models, i, item)
    {
        il_plan_model *m = &f->models[f->n_models++];
        const json_t *config = json_object_get(item, "config");
        const char *arch = text_of(item, "arch");
        m->name = copy_text(item, "name");
        m->twin_of = copy_text(item, "twin_of");
        (void)snprintf(m->arch, sizeof m->arch, "%s", arch ? arch : "");
        if (!m->name || !m->twin_of) {
            return il_fail(err, IL_E_NOMEM, "no memory for the plan");
        }
        m->has_shape = json_is_object(config) &&
                       il_shape_from_hf_config(config, m->name, &m->shape, NULL) == IL_OK;
    }
    return IL_OK;
}

static double params_of(const json_t *plan, const char *model)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(plan, "models"), i, item)
    {
        const char *name = text_of(item, "name");
        if (model && name && strcmp(name, model) == 0) {
            return number(item, "params_total");
        }
    }
    return NAN;
}

static void read_limits(const json_t *plan, il_run_facts *f)
{
    const json_t *slo = json_object_get(plan, "slo");
    f->slo = (il_slo){number(slo, "itl_ms"), number(slo, "ttft_ms"), number(slo, "tail_ms"),
                      number(slo, "tail_quantile"), number(slo, "memory_bytes")};
    f->keep_alive_s = number(json_object_get(plan, "cold_start"), "keep_alive_s");
    f->rank_reference = json_is_true(json_object_get(plan, "rank_reference"));
}

static void fill_plan_cell(const json_t *plan, const json_t *cell, il_plan_cell *out)
{
    double gen_tokens = number(cell, "gen_tokens");
    *out = (il_plan_cell){.backend = copy_text(cell, "backend"),
                          .model = copy_text(cell, "model"),
                          .scenario = copy_text(cell, "scenario"),
                          .batch_size = number(cell, "batch_size"),
                          .gen_tokens = isnan(gen_tokens) ? 0 : (int64_t)gen_tokens,
                          .seq_len = number(cell, "seq_len"),
                          .bytes_per_step = number(cell, "bytes_per_step"),
                          .flops_prefill = number(cell, "flops_prefill"),
                          .flops_decode_step = number(cell, "flops_decode_step")};
    size_t at;
    const json_t *backend = named(plan, "backends", out->backend, &at);
    const char *logits = text_of(backend, "logits");
    const char *dtype = text_of(backend, "dtype");
    (void)snprintf(out->dtype, sizeof out->dtype, "%.7s", dtype ? dtype : "");
    out->threads = number(backend, "threads");
    const char *device = text_of(backend, "device");
    out->on_cpu = device && strcmp(device, "cpu") == 0;
    out->logits_all = logits && strcmp(logits, "all") == 0;
    double depth = number(named(plan, "scenarios", out->scenario, &at), "depth_tok");
    out->depth_tok = isnan(depth) ? 0 : depth;
    (void)named(plan, "models", out->model, &out->model_at);
    out->params_total = params_of(plan, out->model);
    out->skipped = json_is_object(json_object_get(cell, "skip"));
}

int il__journal_plan_facts(const json_t *plan, il_run_facts *f, il_error *err)
{
    const json_t *cells = json_object_get(plan, "cells");
    size_t n = json_array_size(cells);
    f->cells = calloc(n + 1, sizeof *f->cells);
    int rc =
        f->cells ? add_models(plan, f, err) : il_fail(err, IL_E_NOMEM, "no memory for the plan");
    read_limits(plan, f);
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        il_plan_cell *out = &f->cells[f->n_cells++];
        fill_plan_cell(plan, json_array_get(cells, i), out);
        if (!out->backend || !out->model || !out->scenario) {
            rc = il_fail(err, IL_E_NOMEM, "no memory for the plan");
        }
    }
    return rc;
}
