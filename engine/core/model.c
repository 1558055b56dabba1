/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a checkpoint: graph, memory, conversion, facts.
 */
#include "engine/core/engine_internal.h"

#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>

static void stage_begin(il_engine_stage *stage, const char *name)
{
    stage->name = name;
    stage->major_faults = il__major_faults();
    stage->t0_ns = il_clock_ns();
}

static void stage_end(il_engine_stage *stage)
{
    stage->t1_ns = il_clock_ns();
    stage->major_faults = il__major_faults() - stage->major_faults;
}

static int choose_compute(il_engine_model *model, const il_engine_options *options, il_error *err)
{
    if (options->dtype != IL_DTYPE_F32 && options->dtype != IL_DTYPE_BF16) {
        (void)il_fail(err, IL_E_UNSUPPORTED, "the native engine does not compute with %s weights",
                      il_dtype_name(options->dtype));
        il_error_hint(err, "dtype fp32 or bf16; a checkpoint of any type is converted");
        return IL_E_UNSUPPORTED;
    }
    int rc = il_isa_choose(options->isa, &model->isa, err);
    if (rc == IL_OK) {
        rc = il_pool_create(options->n_threads, &model->pool, err);
    }
    if (rc == IL_OK) {
        rc = il_pool_create(1, &model->solo, err);
    }
    if (rc == IL_OK) {
        model->rows = il_row_kernels_for(model->isa);
        il__flush_denormals_on_helpers(model->pool);
    }
    return rc;
}

/* What the weights come from: one of the two. */
typedef struct source {
    il_checkpoint *ckpt;
    il_gguf_weights *gguf;
} source;

static int open_source(const char *path, source *out, il_error *err)
{
    return il_path_is_gguf(path) ? il_gguf_weights_open(path, &out->gguf, err)
                                 : il_checkpoint_open(path, &out->ckpt, err);
}

static int build_graph(il_engine_model *model, const source *from, const il_engine_options *options,
                       il_error *err)
{
    const il_shape *shape =
        from->gguf ? il_gguf_weights_shape(from->gguf) : il_checkpoint_shape(from->ckpt);
    int rc = il__graph_build(shape, options->dtype, model->isa, &model->arena, &model->graph, err);
    if (rc == IL_OK && from->gguf) {
        rc = il__gguf_bind(&model->graph, from->gguf, options->expand, &model->arena, err);
    }
    return rc;
}

static int convert_weights(il_engine_model *model, const source *from, il_error *err)
{
    il__region measure = {0};
    il__weights_layout(&model->graph, &measure);
    int rc = il__region_map(&measure, model->pages, "weights", err);
    if (rc != IL_OK) {
        return rc;
    }
    model->weights = measure;
    il__weights_layout(&model->graph, &model->weights);
    return from->gguf ? il__gguf_load(&model->graph, from->gguf, model->pool, err)
                      : il__weights_load(&model->graph, from->ckpt, model->pool, err);
}

/* Bytes of matrices that one row reads: of experts the share it is routed to. */
static uint64_t pass_bytes(const il__graph *graph)
{
    double n_weights = 0, n_bytes = 0;
    for (uint32_t i = 0; i < graph->n_matrices; i++) {
        for (uint32_t p = 0; p < graph->matrices[i].n_parts; p++) {
            const il_linear *part = &graph->matrices[i].parts[p];
            n_weights += (double)part->n_in * part->n_out;
            n_bytes += (double)il_linear_packed_bytes(part);
        }
    }
    return (uint64_t)(n_bytes * ((double)graph->n_weights / n_weights));
}

static void set_facts(il_engine_model *model, const source *from, bool expand)
{
    const il_shape *shape = &model->graph.shape;
    model->pass_bytes = pass_bytes(&model->graph);
    if (from->gguf) {
        (void)snprintf(model->weights_text, sizeof model->weights_text, "%s%s",
                       il_gguf_weights_type(from->gguf), expand ? ", expanded" : "");
    }
    model->facts = (il_engine_facts){
        .isa = il_isa_name(model->isa),
        .n_threads = il_pool_size(model->pool),
        .weight_bytes = model->weights.size_bytes,
        .params_total =
            from->gguf ? il_gguf_weights_params(from->gguf) : il_checkpoint_params(from->ckpt),
        .weights = from->gguf ? model->weights_text : il_dtype_name(model->graph.dtype),
        .n_layer = shape->n_layer,
        .d_model = shape->d_model,
        .n_head = shape->n_head,
        .vocab_size = shape->vocab_size,
        .n_positions = shape->n_positions,
        .denormals_flushed = il__denormals_can_be_flushed(),
        .stages = model->stages,
        .n_stages = IL__N_STAGES,
    };
}

int il_engine_model_open(const char *path, const il_engine_options *options, il_engine_model **out,
                         il_error *err)
{
    source from = {0};
    il_engine_model *model = calloc(1, sizeof *model);
    if (!model) {
        return il_fail(err, IL_E_NOMEM, "no memory for a model handle");
    }
    model->pages = options->pages;
    stage_begin(&model->stages[0], "open");
    int rc = open_source(path, &from, err);
    if (rc == IL_OK) {
        rc = choose_compute(model, options, err);
    }
    if (rc == IL_OK) {
        rc = build_graph(model, &from, options, err);
    }
    stage_end(&model->stages[0]);
    if (rc == IL_OK) {
        stage_begin(&model->stages[1], "convert");
        rc = convert_weights(model, &from, err);
        stage_end(&model->stages[1]);
    }
    if (rc == IL_OK) {
        set_facts(model, &from, options->expand);
        *out = model;
    } else {
        il_error_where(err, "%s", path);
        il_engine_model_close(model);
    }
    il_checkpoint_close(from.ckpt);
    il_gguf_weights_close(from.gguf);
    return rc;
}

void il_engine_model_close(il_engine_model *model)
{
    if (!model) {
        return;
    }
    if (model->pool) {
        il_pool_destroy(model->pool);
    }
    if (model->solo) {
        il_pool_destroy(model->solo);
    }
    il__region_unmap(&model->weights);
    il_arena_free(&model->arena);
    free(model);
}

const il_engine_facts *il_engine_model_facts(const il_engine_model *model)
{
    return &model->facts;
}
