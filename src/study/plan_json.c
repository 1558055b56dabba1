/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal's plan line (docs/journal.md).
 */
#include "study/plan.h"

#include "base/json.h"

#include <math.h>
#include <string.h>

static json_t *count_or_null(uint64_t n)
{
    return n ? json_integer((json_int_t)n) : json_null();
}

static json_t *scenario_json(const il_scenario *c)
{
    json_t *item =
        json_pack("{s:s,s:s?,s:o,s:s}", "name", c->name, "prompt", c->prompt, "prompt_tokens",
                  count_or_null(c->prompt_tokens), "prompt_source", c->source);
    if (item && c->depth_tok) {
        (void)json_object_set_new(item, "depth_tok", json_integer(c->depth_tok));
    }
    return item;
}

static json_t *model_json(const il_study_model *m)
{
    const il_shape *h = &m->shape;
    bool known = m->has_shape;
    json_t *item = json_pack("{s:s,s:s,s:s?,s:o,s:o}", "name", m->name, "kind", m->kind, "path",
                             m->path, "params_millions_config", il_json_real(m->params_millions),
                             "params_millions_measured",
                             known ? json_real((double)m->counts.total / 1e6) : json_null());
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"params_total", m->counts.total},
        {"params_non_embedding", m->counts.non_embedding},
        {"params_active", m->counts.active},
        {"params_read_per_step", m->counts.read_per_step},
        {"n_layer", h->n_layer},
        {"d_model", h->d_model},
        {"n_head", h->n_head},
        {"n_kv_head", h->n_kv_head},
        {"d_ff", h->d_ff},
        {"vocab_size", h->vocab_size},
        {"n_positions", h->n_positions},
    };
    for (size_t i = 0; item && i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)json_object_set_new(item, numbers[i].key,
                                  known ? count_or_null(numbers[i].value) : json_null());
    }
    if (item) {
        (void)json_object_set_new(item, "arch",
                                  known ? json_string(il_arch_name(h->arch)) : json_null());
        (void)json_object_set_new(item, "synthetic", json_boolean(m->synthetic));
        if (m->twin_of) {
            (void)json_object_set_new(item, "twin_of", json_string(m->twin_of));
        }
        (void)json_object_set_new(item, "config", known ? il_shape_hf_config(h) : json_null());
    }
    return item;
}

/* What tells two entries apart, for the analysis that says which remedy made the difference. */
static int put_aspects(const il_param_set *set, json_t *backend)
{
    static const struct {
        const char *key;
        il_param_id id;
    } texts[] = {{"server", IL_P_SERVER},       {"endpoint", IL_P_ENDPOINT},
                 {"weights", IL_P_WEIGHTS},     {"launch", IL_P_LAUNCH},
                 {"attention", IL_P_ATTENTION}, {"compile_mode", IL_P_COMPILE_MODE},
                 {"kv_cache", IL_P_KV_CACHE},   {"provider", IL_P_PROVIDER},
                 {"affinity", IL_P_AFFINITY}};
    int bad = json_object_set_new(backend, "concurrency",
                                  json_integer(il_param_i64(set, IL_P_CONCURRENCY)));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = il_param_text(set, texts[i].id);
        bad |= json_object_set_new(backend, texts[i].key, json_string(text ? text : ""));
    }
    return bad;
}

static json_t *backend_json(const il_plan *p, uint32_t i)
{
    const il_study_backend *b = &p->study->backends[i];
    const il_param_set *set = &b->set;
    bool reference = p->ops[i] && (p->ops[i]->caps & IL_CAP_REFERENCE);
    json_t *out =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:s,s:s?,s:b,s:s}", "name", b->name, "kind",
                  b->kind, "kind_asked", b->kind_asked, "device", il_param_text(set, IL_P_DEVICE),
                  "dtype", il_param_text(set, IL_P_DTYPE), "batch_size",
                  (json_int_t)il_param_i64(set, IL_P_BATCH_SIZE), "threads",
                  (json_int_t)il_param_i64(set, IL_P_THREADS), "isa", il_param_text(set, IL_P_ISA),
                  "logits", il_param_text(set, IL_P_LOGITS), "compat",
                  il_param_text(set, IL_P_COMPAT), "url", il_param_text(set, IL_P_URL), "reference",
                  reference, "replication", il_plan_replication(p, i));
    if (out && put_aspects(set, out) != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

static json_t *cell_json(const il_plan *p, uint32_t i)
{
    const il_study *s = p->study;
    const il_cell *c = &p->cells[i];
    json_t *skip = json_null();
    if (c->skip.code != IL_OK) {
        skip = json_pack("{s:s,s:s,s:s}", "reason", il_code_name(c->skip.code), "message",
                         c->skip.what, "hint", c->skip.hint);
    }
    return json_pack(
        "{s:I,s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "cell", (json_int_t)i, "backend",
        s->backends[c->backend].name, "model", s->models[c->model].name, "scenario",
        s->scenarios[c->scenario].name, "batch_size", (json_int_t)c->batch, "gen_tokens",
        (json_int_t)c->gen_tokens, "seq_len", count_or_null(c->seq_len), "bytes_per_step",
        count_or_null(c->bytes_per_step), "flops_prefill",
        c->flops_prefill > 0 ? json_real(c->flops_prefill) : json_null(), "flops_decode_step",
        c->flops_decode_step > 0 ? json_real(c->flops_decode_step) : json_null(), "skip", skip);
}

static json_t *extension_json(const il_plan *p, uint32_t block)
{
    json_t *cells = json_array();
    for (uint32_t c = 0; cells && c < p->n_cells; c++) {
        if (il_plan_has(p, c, block)) {
            (void)json_array_append_new(cells, json_integer(c));
        }
    }
    return json_pack("{s:I,s:o}", "block", (json_int_t)block, "cells", cells);
}

json_t *il_plan_sampling_json(const il_plan *p)
{
    const il_plan_sampling *s = &p->sampling;
    json_t *extensions = json_array();
    for (uint32_t b = s->least; extensions && b < s->rounds; b++) {
        (void)json_array_append_new(extensions, extension_json(p, b));
    }
    return json_pack(
        "{s:s,s:f,s:I,s:I,s:o,s:o,s:o,s:o}", "question", s->question, "target", s->target,
        "blocks_least", (json_int_t)s->least, "blocks_most", (json_int_t)p->blocks, "extensions",
        extensions, "stop", s->stop[0] ? json_string(s->stop) : json_null(), "half_width",
        il_json_real(s->half_width), "widest", s->widest[0] ? json_string(s->widest) : json_null());
}

/* What the run is held against: told apart from what is measured, so no part of study_sha256. */
static void put_limits(const il_study *s, json_t *plan)
{
    if (plan && s->has_slo) {
        (void)json_object_set_new(plan, "slo", il_param_set_json(&s->slo));
    }
    if (plan && s->has_cold_start) {
        (void)json_object_set_new(plan, "cold_start", il_param_set_json(&s->cold_start));
    }
    if (plan && il_param_flag(&s->top, IL_P_RANK_REFERENCE)) {
        (void)json_object_set_new(plan, "rank_reference", json_true());
    }
}

json_t *il_plan_json(const il_plan *p, const char *run_id)
{
    const il_study *s = p->study;
    json_t *scenarios = json_array(), *models = json_array();
    json_t *backends = json_array(), *cells = json_array();
    for (size_t i = 0; i < s->n_scenarios; i++) {
        (void)json_array_append_new(scenarios, scenario_json(&s->scenarios[i]));
    }
    for (size_t i = 0; i < s->n_models; i++) {
        (void)json_array_append_new(models, model_json(&s->models[i]));
    }
    for (uint32_t i = 0; i < s->n_backends; i++) {
        (void)json_array_append_new(backends, backend_json(p, i));
    }
    for (uint32_t i = 0; i < p->n_cells; i++) {
        (void)json_array_append_new(cells, cell_json(p, i));
    }
    json_t *plan = json_pack(
        "{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:I,s:I}", "run_id", run_id, "run_name",
        s->run_name, "study_sha256", p->study_sha256, "seed",
        (json_int_t)il_param_i64(&s->top, IL_P_SEED), "blocks", (json_int_t)p->blocks,
        "repetitions", (json_int_t)p->repetitions, "warmup_repetitions", (json_int_t)p->warmups,
        "scenarios", scenarios, "models", models, "backends", backends, "cells", cells, "n_calls",
        (json_int_t)p->n_calls, "records_expected", (json_int_t)(3 * il_plan_planned_calls(p)));
    if (plan && p->sampling.adaptive) {
        (void)json_object_set_new(plan, "sampling", il_plan_sampling_json(p));
    }
    put_limits(s, plan);
    return plan;
}
