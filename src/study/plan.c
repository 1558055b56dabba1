/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/plan.h"

#include "base/file.h"
#include "model/vocab.h"
#include "study/plan_files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a machine of two cores does, for estimates before anything is measured. */
#define GUESS_READ_BYTES_PER_MS 20e6
#define GUESS_FLOPS_PER_MS      80e6
#define GUESS_STEP_OVERHEAD_MS  0.15
#define GUESS_LOAD_BYTES_PER_MS 1e6
#define GUESS_SPAWN_MS          20.0
#define GUESS_PARITY_MS         100.0
#define GUESS_SERVER_CALL_MS    3000.0

static bool kind_is(const char *kind, const char *other)
{
    return strcmp(kind, other) == 0;
}

/* ollama meets ollama, openai meets openai, every other backend runs checkpoint directories; a
 * server that is started for the study (`serve: auto`) runs those too. */
static bool is_server(const char *kind)
{
    return kind_is(kind, "ollama") || kind_is(kind, "openai");
}

/* noop and replay compute nothing: they need no model on disk. */
static bool needs_model(const char *kind)
{
    return !kind_is(kind, "noop") && !kind_is(kind, "replay");
}

/* "hf_cpu" names "hf_cpu_bs8" too, and the sides "hf_cpu@a" and "hf_cpu@b" of a pair: expansions
 * inherit what was said of the entry. */
static bool on_names(const char *on, const char *backend)
{
    size_t n = strlen(on);
    if (strncmp(on, backend, n) != 0) {
        return false;
    }
    const char *rest = backend + n;
    if (strncmp(rest, "_bs", 3) == 0) {
        rest += 3 + strspn(rest + 3, "0123456789");
    }
    return *rest == '\0' || strcmp(rest, "@a") == 0 || strcmp(rest, "@b") == 0;
}

static bool meets(const il_study_backend *b, const il_study_model *m)
{
    for (size_t i = 0; i < m->n_on; i++) {
        if (on_names(m->on[i], b->name)) {
            return true;
        }
    }
    if (m->on) {
        return false;
    }
    if (is_server(b->kind) && kind_is(m->kind, "hf")) {
        /* A server that the driver starts is given the checkpoint in its own format. */
        return kind_is(il_param_text(&b->set, IL_P_SERVE), "auto");
    }
    return is_server(b->kind) || is_server(m->kind) ? kind_is(b->kind, m->kind) : true;
}

/* --- why a cell cannot run -------------------------------------------------------------------- */

static void skip_no_backend(const il_study_backend *b, il_error *skip)
{
    if (kind_is(b->kind, "hf")) {
        (void)il_fail(skip, IL_E_UNSUPPORTED,
                      "PyTorch with transformers is not driven by this "
                      "version");
        il_error_hint(skip, "--map hf=native runs these cells on inferlaw's own engine");
    } else {
        (void)il_fail(skip, IL_E_UNSUPPORTED, "this version has no backend of kind %s", b->kind);
        il_error_hint(skip, "inferlaw doctor lists the runtimes it can drive");
    }
}

/* Can a row of ids be written as a text that is split back into them? Known of the vocabularies
 * this program makes; others are tried when the call is made. */
static bool ids_have_text(const il_study_model *m)
{
    return m->has_shape && m->shape.vocab_size >= IL_VOCAB_LEAST;
}

static void check_prompt(const il_plan *p, il_cell *c)
{
    const il_study *s = p->study;
    const il_scenario *scenario = &s->scenarios[c->scenario];
    const il_study_model *m = &s->models[c->model];
    uint32_t caps = p->ops[c->backend]->caps;
    bool ids = (caps & IL_CAP_TOKEN_IDS) != 0;
    if ((caps & IL_CAP_SERVER) && scenario->prompt) {
        /* A text goes to a server as it stands; the server counts it. */
    } else if (ids && scenario->prompt_tokens == 0) {
        (void)il_fail(
            &c->skip, IL_E_UNSUPPORTED,
            "the prompt of scenario %s has no known token count and there is no tokenizer",
            scenario->name);
        il_error_hint(&c->skip, "give the scenario prompt_tokens: N");
    } else if (!ids && !scenario->prompt && !ids_have_text(m)) {
        (void)il_fail(&c->skip, IL_E_UNSUPPORTED,
                      "scenario %s is a list of ids, and this server takes text", scenario->name);
        il_error_hint(&c->skip, "give the scenario a prompt text");
    } else if (ids && m->has_shape && m->shape.n_positions > 0 &&
               (uint64_t)scenario->depth_tok + c->seq_len + c->gen_tokens > m->shape.n_positions) {
        (void)il_fail(
            &c->skip, IL_E_RANGE,
            "%u tokens of context and prompt and %u steps exceed the model's %u positions",
            scenario->depth_tok + c->seq_len, c->gen_tokens, m->shape.n_positions);
        il_error_hint(&c->skip, "a shorter prompt or fewer gen_tokens");
    }
}

static il_backend_model cell_model(const il_plan *p, const il_cell *c)
{
    const il_study_model *m = &p->study->models[c->model];
    return (il_backend_model){.name = m->name,
                              .path = m->path,
                              .file = p->files[c->group],
                              .kind = m->kind,
                              .vocab_size = m->has_shape ? m->shape.vocab_size : 0,
                              .head_size = m->has_shape ? m->shape.d_head : 0,
                              .max_batch = c->batch,
                              .max_prompt_tok = c->seq_len,
                              .max_gen_tok = c->gen_tokens};
}

/* A model or file that is made later cannot be asked about yet. */
static bool is_there(const il_plan *p, const il_cell *c)
{
    const char *file = p->files[c->group];
    return !p->study->models[c->model].to_make && (!file || il_path_is_file(file));
}

static void check_cell(il_plan *p, il_cell *c, const il_error *opened)
{
    il_study *s = p->study;
    const il_study_backend *b = &s->backends[c->backend];
    const il_study_model *m = &s->models[c->model];
    if (!p->ops[c->backend]) {
        skip_no_backend(b, &c->skip);
    } else if (!p->open[c->backend]) {
        c->skip = opened[c->backend];
    } else if (m->problem.code != IL_OK && needs_model(b->kind)) {
        c->skip = m->problem;
    } else {
        check_prompt(p, c);
    }
    bool told_by_shape = kind_is(b->kind, "openai"); /* its files are read by its server alone */
    if (c->skip.code == IL_OK && (told_by_shape || is_there(p, c))) {
        il_backend_model model = cell_model(p, c);
        (void)p->ops[c->backend]->supports(p->open[c->backend], &model, &c->skip);
    }
}

/* --- sizes and estimates ---------------------------------------------------------------------- */

/* Time of a start that no size explains: imports, a server coming up, compilation. Guesses of the
 * right order for a quiet CPU, as all of a plan's times are. */
static double start_ms(const il_study_backend *b)
{
    const struct {
        const char *kind;
        double ms;
    } starts[] = {{"hf", 4000}, {"onnxruntime", 600}, {"ollama", 1500}, {"openai", 1000}};
    if (kind_is(b->kind, "hf") && kind_is(il_param_text(&b->set, IL_P_LAUNCH), "compile")) {
        return 25000; /* later processes read what the first compiled, and still trace it */
    }
    if (kind_is(b->kind, "openai") && kind_is(il_param_text(&b->set, IL_P_SERVER), "vllm")) {
        return 45000;
    }
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (kind_is(b->kind, starts[i].kind)) {
            return starts[i].ms;
        }
    }
    return GUESS_SPAWN_MS;
}

static il_dtype backend_dtype(const il_study_backend *b)
{
    il_dtype dtype = IL_DTYPE_F32;
    (void)il_dtype_parse(il_param_text(&b->set, IL_P_DTYPE), &dtype);
    return dtype;
}

/* Bytes of a decode step as this entry stores the model's weights. */
static uint64_t bytes_per_step(const il_study_backend *b, const il_study_model *m, il_dtype dtype,
                               uint32_t batch, uint32_t context_tok)
{
    bool native = kind_is(b->kind, "native");
    il_gguf_step step = m->step;
    bool gguf = m->is_gguf;
    il_gguf_recipe recipe;
    if (!gguf && il__file_format_of(b, m) == IL__FILE_GGUF) {
        gguf = il_gguf_recipe_parse(il__file_weights(b), &recipe) == IL_OK &&
               il_gguf_recipe_step(&m->shape, recipe, &step, NULL) == IL_OK;
    }
    /* llama.cpp's cache is fp16 unless told otherwise */
    return gguf ? il_gguf_step_bytes(&m->shape, step, native ? dtype : IL_DTYPE_F16, batch,
                                     context_tok)
                : il_shape_bytes_per_step(&m->shape, dtype, dtype, batch, context_tok);
}

static void size_cell(const il_plan *p, il_cell *c)
{
    const il_study_model *m = &p->study->models[c->model];
    const il_study_backend *b = &p->study->backends[c->backend];
    uint32_t depth = p->study->scenarios[c->scenario].depth_tok;
    if (kind_is(b->kind, "noop") || kind_is(b->kind, "replay")) {
        c->estimate_ms = 0.2;
    }
    if (!m->has_shape) {
        c->estimate_ms = c->estimate_ms > 0 ? c->estimate_ms : GUESS_SERVER_CALL_MS;
        return;
    }
    il_dtype dtype = backend_dtype(b);
    uint32_t middle = depth + c->seq_len + c->gen_tokens / 2;
    bool all = strcmp(il_param_text(&b->set, IL_P_LOGITS), "all") == 0;
    c->bytes_per_step = bytes_per_step(b, m, dtype, c->batch, middle);
    c->flops_prefill = il_shape_flops(&m->shape, c->batch, c->seq_len, depth, all ? c->seq_len : 1);
    c->flops_decode_step = il_shape_flops(&m->shape, c->batch, 1, middle, 1);
    if (c->estimate_ms > 0) {
        return;
    }
    double weights = (double)m->counts.read_per_step * (double)il_dtype_bytes(dtype);
    double prefill = fmax(c->flops_prefill / GUESS_FLOPS_PER_MS, weights / GUESS_READ_BYTES_PER_MS);
    double step = fmax((double)c->bytes_per_step / GUESS_READ_BYTES_PER_MS,
                       c->flops_decode_step / GUESS_FLOPS_PER_MS) +
                  GUESS_STEP_OVERHEAD_MS;
    c->estimate_ms = prefill + GUESS_STEP_OVERHEAD_MS + step * c->gen_tokens;
}

uint64_t il_plan_group_bytes(const il_plan *p, uint32_t group)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        const il_study_model *m = &p->study->models[c->model];
        if (c->group != group || !m->has_shape) {
            continue;
        }
        const il_study_backend *b = &p->study->backends[c->backend];
        il_dtype dtype = backend_dtype(b);
        uint64_t context =
            (uint64_t)p->study->scenarios[c->scenario].depth_tok + c->seq_len + c->gen_tokens;
        uint64_t bytes = m->counts.total * il_dtype_bytes(dtype) +
                         il_shape_kv_bytes_per_token(&m->shape, dtype) * c->batch * context;
        most = bytes > most ? bytes : most;
    }
    return most;
}

double il_plan_load_estimate_ms(const il_plan *p, uint32_t group)
{
    for (uint32_t i = 0; i < p->n_cells; i++) {
        if (p->cells[i].group == group) {
            const il_study_backend *b = &p->study->backends[p->cells[i].backend];
            return needs_model(b->kind) ? start_ms(b) + (double)il_plan_group_bytes(p, group) /
                                                            GUESS_LOAD_BYTES_PER_MS
                                        : 0.0;
        }
    }
    return 0.0;
}

/* A/A arms: the fastest, the median and the slowest cell of each backend, about three means, twice
 * each in a fresh process or server. */
static double arms_estimate_ms(const il_plan *p)
{
    double ms = 0;
    for (size_t b = 0; b < p->study->n_backends; b++) {
        double one = 0;
        uint32_t n = 0;
        for (uint32_t i = 0; i < p->n_cells; i++) {
            if (p->cells[i].backend == b && p->cells[i].skip.code == IL_OK) {
                n++;
                one += p->cells[i].estimate_ms * il_plan_arm_calls(p) +
                       il_plan_load_estimate_ms(p, p->cells[i].group);
            }
        }
        ms += n > 0 ? 2.0 * (n < 3 ? n : 3) * one / n : 0;
    }
    return ms;
}

double il_plan_arms_estimate_s(const il_plan *p)
{
    return p->aa ? arms_estimate_ms(p) / 1000.0 : 0;
}

double il_plan_block_estimate_s(const il_plan *p)
{
    double per_block_ms = p->sentinel ? IL_PLAN_BLOCK_OVERHEAD_MS : 0;
    for (uint32_t g = 0; g < p->n_groups; g++) {
        double calls_ms = 0;
        for (uint32_t i = 0; i < p->n_cells; i++) {
            const il_cell *c = &p->cells[i];
            if (c->group == g && c->skip.code == IL_OK) {
                calls_ms += c->estimate_ms * (il_plan_calls_per_block(p) + p->closure);
            }
        }
        per_block_ms += calls_ms > 0 ? calls_ms + il_plan_load_estimate_ms(p, g) : 0;
    }
    per_block_ms += p->aa ? arms_estimate_ms(p) : 0;
    return per_block_ms / 1000.0;
}

static bool group_runs(const il_plan *p, uint32_t group)
{
    for (uint32_t i = 0; i < p->n_cells; i++) {
        if (p->cells[i].group == group && p->cells[i].skip.code == IL_OK) {
            return true;
        }
    }
    return false;
}

double il_plan_loads_estimate_s(const il_plan *p)
{
    double ms = 0;
    for (uint32_t g = 0; g < p->n_groups; g++) {
        ms += group_runs(p, g) ? il_plan_load_estimate_ms(p, g) : 0;
    }
    return ms / 1000.0;
}

/* Each backend and model once, in a load of its own; the reference is loaded beside it and passes
 * over the probe. */
double il_plan_parity_estimate_s(const il_plan *p)
{
    double ms = 0;
    bool on = il_param_flag(&p->study->schedule, IL_P_PARITY);
    for (uint32_t g = 0; on && g < p->n_groups; g++) {
        ms += group_runs(p, g)
                  ? GUESS_PARITY_MS + il_plan_load_estimate_ms(p, g) +
                        2.0 * (double)il_plan_group_bytes(p, g) / GUESS_LOAD_BYTES_PER_MS
                  : 0;
    }
    return ms / 1000.0;
}

/* Cold starts of the whole run: each loads and makes its calls of the group's first cell. */
double il_plan_cold_estimate_s(const il_plan *p)
{
    const il_param_set *set = &p->study->cold_start;
    double ms = 0;
    for (uint32_t g = 0; p->study->has_cold_start && g < p->n_groups; g++) {
        uint32_t i = 0;
        while (i < p->n_cells && (p->cells[i].group != g || p->cells[i].skip.code != IL_OK)) {
            i++;
        }
        if (i < p->n_cells) {
            ms += il_plan_load_estimate_ms(p, g) +
                  p->cells[i].estimate_ms * (double)il_param_i64(set, IL_P_COLD_CALLS);
        }
    }
    return p->study->has_cold_start ? ms * 1e-3 * (double)il_param_i64(set, IL_P_SAMPLES) *
                                          (double)set->values[IL_P_PAGE_CACHE].n
                                    : 0;
}

double il_plan_estimate_s(const il_plan *p)
{
    return il_plan_block_estimate_s(p) * p->sampling.rounds + il_plan_cold_estimate_s(p) +
           il_plan_parity_estimate_s(p);
}

/* --- making ----------------------------------------------------------------------------------- */

uint32_t il_plan_arm_calls(const il_plan *p)
{
    return (p->warmups > 0 ? p->warmups : 1) + p->repetitions;
}

uint32_t il_plan_calls_per_block(const il_plan *p)
{
    return p->warmups + p->repetitions;
}

uint64_t il_plan_call_idx(const il_plan *p, uint32_t cell, uint32_t block, uint32_t i)
{
    uint64_t per_block = il_plan_calls_per_block(p);
    return cell * (uint64_t)p->blocks * per_block + block * per_block + i;
}

bool il_plan_has(const il_plan *p, uint32_t cell, uint32_t block)
{
    const il_plan_sampling *s = &p->sampling;
    return block < s->least ||
           (block < s->rounds && s->extra[(size_t)block * p->n_groups + p->cells[cell].group]);
}

uint64_t il_plan_planned_calls(const il_plan *p)
{
    uint64_t blocks = 0;
    for (uint32_t c = 0; c < p->n_cells; c++) {
        blocks += p->sampling.least;
        for (uint32_t b = p->sampling.least; b < p->sampling.rounds; b++) {
            blocks += il_plan_has(p, c, b);
        }
    }
    return blocks * il_plan_calls_per_block(p);
}

/* Without a target every block is planned at once. */
static int plan_blocks(il_plan *p, il_error *err)
{
    const il_param_set *schedule = &p->study->schedule;
    il_plan_sampling *s = &p->sampling;
    *s = (il_plan_sampling){.least = p->blocks, .rounds = p->blocks, .half_width = (double)NAN};
    if (!il_param_has(schedule, IL_P_TARGET_CI)) {
        return IL_OK;
    }
    uint32_t least = (uint32_t)il_param_i64(schedule, IL_P_BLOCKS_LEAST);
    s->adaptive = true;
    s->question = il_param_text(schedule, IL_P_QUESTION);
    s->target = il_param_f64(schedule, IL_P_TARGET_CI);
    s->least = s->rounds = least < p->blocks ? least : p->blocks;
    s->extra = il_arena_array(&p->arena, (size_t)p->blocks * p->n_groups + 1, sizeof *s->extra);
    return s->extra ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory");
}

static int add_cells(il_plan *p, uint32_t backend, uint32_t model, const il_error *opened)
{
    il_study *s = p->study;
    if (!meets(&s->backends[backend], &s->models[model])) {
        return 0;
    }
    p->files[p->n_groups] = il__file_path(s, &s->backends[backend], &s->models[model]);
    for (uint32_t k = 0; k < s->n_scenarios; k++) {
        il_cell *c = &p->cells[p->n_cells++];
        *c = (il_cell){.backend = backend, .model = model, .scenario = k, .group = p->n_groups};
        c->batch = (uint32_t)il_param_i64(&s->backends[backend].set, IL_P_BATCH_SIZE);
        c->gen_tokens = il_study_gen_tokens(s);
        c->seq_len = s->scenarios[k].prompt_tokens;
        check_cell(p, c, opened);
        size_cell(p, c);
    }
    p->n_groups++;
    return 1;
}

/* The identity that a resume must share. */
static int hash_definition(il_plan *p, il_error *err)
{
    json_t *study = il_study_json(p->study);
    int rc = study ? il_study_hash(study, p->study_sha256) : IL_E_NOMEM;
    json_decref(study);
    return rc == IL_OK ? rc : il_fail(err, rc, "out of memory");
}

static int open_backends(il_plan *p, il_backend_lookup lookup, il_error *opened, il_error *err)
{
    il_study *s = p->study;
    for (size_t i = 0; i < s->n_backends; i++) {
        p->ops[i] = lookup(s->backends[i].kind);
        if (p->ops[i] && p->ops[i]->version != IL_BACKEND_VERSION) {
            return il_fail(err, IL_E_INTERNAL, "backend %s is of version %u, not %d",
                           s->backends[i].kind, p->ops[i]->version, IL_BACKEND_VERSION);
        }
        if (p->ops[i] && p->ops[i]->open(&s->backends[i].set, &p->open[i], &opened[i]) != IL_OK) {
            p->open[i] = NULL;
        }
    }
    return IL_OK;
}

int il_plan_make(il_study *s, il_backend_lookup lookup, il_plan *out, il_error *err)
{
    *out = (il_plan){.study = s, .blocks = il_study_blocks(s)};
    il_plan *p = out;
    p->warmups = (uint32_t)il_param_i64(&s->top, IL_P_WARMUP_REPETITIONS);
    p->repetitions = (uint32_t)il_param_i64(&s->top, IL_P_REPETITIONS);
    p->closure = il_study_flag(s, IL_P_CLOSURE);
    p->aa = il_study_flag(s, IL_P_AA);
    p->sentinel = il_study_flag(s, IL_P_SENTINEL);
    size_t most = s->n_backends * s->n_models * s->n_scenarios;
    if (most > 1000000) {
        return il_fail(err, IL_E_RANGE, "%zu cells: more than a million in one run", most);
    }
    p->ops = il_arena_array(&p->arena, s->n_backends, sizeof(void *));
    p->open = il_arena_array(&p->arena, s->n_backends, sizeof(void *));
    il_error *opened = il_arena_array(&p->arena, s->n_backends, sizeof *opened);
    p->cells = il_arena_array(&p->arena, most, sizeof *p->cells);
    p->files = il_arena_array(&p->arena, s->n_backends * s->n_models, sizeof *p->files);
    if (!p->ops || !p->open || !opened || !p->cells || !p->files) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    int rc = open_backends(p, lookup, opened, err);
    for (uint32_t b = 0; rc == IL_OK && b < s->n_backends; b++) {
        for (uint32_t m = 0; m < s->n_models; m++) {
            (void)add_cells(p, b, m, opened);
        }
    }
    if (rc == IL_OK && p->n_cells == 0) {
        rc = il_fail(err, IL_E_USAGE, "no backend of the study meets any of its models");
        il_error_hint(err, "kinds must fit: ollama with ollama, openai with openai, checkpoints "
                           "with the others; or name backends under on:");
    }
    p->n_calls = (uint64_t)p->n_cells * p->blocks * il_plan_calls_per_block(p);
    rc = rc == IL_OK ? plan_blocks(p, err) : rc;
    return rc == IL_OK ? hash_definition(p, err) : rc;
}

static int make_group_file(il_plan *p, uint32_t group, const il_make_options *options,
                           il_error *skip)
{
    for (uint32_t i = 0; i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        if (c->group == group && c->skip.code == IL_OK) {
            return il__file_make(&p->study->backends[c->backend], &p->study->models[c->model],
                                 p->files[group], options, skip);
        }
    }
    return IL_OK;
}

int il_plan_make_files(il_plan *p, const il_make_options *options, il_error *err)
{
    for (uint32_t g = 0; g < p->n_groups; g++) {
        il_error skip = {0};
        int rc = p->files[g] ? make_group_file(p, g, options, &skip) : IL_OK;
        if (rc == IL_E_NO_SPACE || rc == IL_E_INTERRUPTED) {
            *err = skip;
            return rc;
        }
        for (uint32_t i = 0; i < p->n_cells; i++) {
            il_cell *c = &p->cells[i];
            if (c->group != g || c->skip.code != IL_OK || !p->files[g]) {
                continue;
            }
            il_backend_model model = cell_model(p, c);
            c->skip = skip;
            if (rc == IL_OK) {
                (void)p->ops[c->backend]->supports(p->open[c->backend], &model, &c->skip);
            }
        }
    }
    return IL_OK;
}

void il_plan_free(il_plan *p)
{
    for (size_t i = 0; p->open && i < p->study->n_backends; i++) {
        if (p->open[i]) {
            p->ops[i]->close(p->open[i]);
        }
    }
    il_arena_free(&p->arena);
    *p = (il_plan){0};
}

bool il_plan_keeps_process(const il_plan *p, uint32_t backend)
{
    const char *restart = il_param_text(&p->study->backends[backend].set, IL_P_RESTART);
    bool process = p->ops[backend] && (p->ops[backend]->caps & IL_CAP_PROCESS);
    return restart ? strcmp(restart, "block") != 0 : !process;
}

const char *il_plan_replication(const il_plan *p, uint32_t backend)
{
    bool process = p->ops[backend] && (p->ops[backend]->caps & IL_CAP_PROCESS);
    if (p->blocks == 1) {
        return "call";
    }
    /* One process lives at a time, so with other groups beside it a kept one ends all the same. */
    return process && (!il_plan_keeps_process(p, backend) || p->n_groups > 1) ? "process" : "none";
}

void il_plan_group_model(const il_plan *p, uint32_t group, il_backend_model *out)
{
    *out = (il_backend_model){0};
    for (uint32_t i = 0; i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        if (c->group != group) {
            continue;
        }
        const il_study_model *m = &p->study->models[c->model];
        uint32_t prompt = c->seq_len + p->study->scenarios[c->scenario].depth_tok;
        out->name = m->name;
        out->path = m->path;
        out->file = p->files[group];
        out->kind = m->kind;
        out->vocab_size = m->has_shape ? m->shape.vocab_size : 0;
        out->head_size = m->has_shape ? m->shape.d_head : 0;
        if (c->skip.code == IL_OK) {
            out->max_batch = c->batch > out->max_batch ? c->batch : out->max_batch;
            out->max_prompt_tok = prompt > out->max_prompt_tok ? prompt : out->max_prompt_tok;
            out->max_gen_tok = c->gen_tokens > out->max_gen_tok ? c->gen_tokens : out->max_gen_tok;
        }
    }
}
