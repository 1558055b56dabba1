/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a checkpoint: graph, memory, conversion, facts.
 */
#include "engine/core/engine_internal.h"

#include "os/clock.h"

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

static int convert_weights(il_engine_model *model, const il_checkpoint *ckpt, il_error *err)
{
    il__region measure = {0};
    il__weights_layout(&model->graph, &measure);
    int rc = il__region_map(&measure, model->pages, "weights", err);
    if (rc != IL_OK) {
        return rc;
    }
    model->weights = measure;
    il__weights_layout(&model->graph, &model->weights);
    return il__weights_load(&model->graph, ckpt, model->pool, err);
}

static void set_facts(il_engine_model *model, const il_checkpoint *ckpt)
{
    const il_shape *shape = &model->graph.shape;
    model->facts = (il_engine_facts){
        .isa = il_isa_name(model->isa),
        .n_threads = il_pool_size(model->pool),
        .weight_bytes = model->weights.size_bytes,
        .params_total = il_checkpoint_params(ckpt),
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

int il_engine_model_open(const char *dir, const il_engine_options *options, il_engine_model **out,
                         il_error *err)
{
    il_checkpoint *ckpt = NULL;
    il_engine_model *model = calloc(1, sizeof *model);
    if (!model) {
        return il_fail(err, IL_E_NOMEM, "no memory for a model handle");
    }
    model->pages = options->pages;
    stage_begin(&model->stages[0], "open");
    int rc = il_checkpoint_open(dir, &ckpt, err);
    if (rc == IL_OK) {
        rc = choose_compute(model, options, err);
    }
    if (rc == IL_OK) {
        rc = il__graph_build(il_checkpoint_shape(ckpt), options->dtype, model->isa, &model->arena,
                             &model->graph, err);
    }
    stage_end(&model->stages[0]);
    if (rc == IL_OK) {
        stage_begin(&model->stages[1], "convert");
        rc = convert_weights(model, ckpt, err);
        stage_end(&model->stages[1]);
    }
    if (rc == IL_OK) {
        set_facts(model, ckpt);
        *out = model;
    } else {
        il_error_where(err, "%s", dir);
        il_engine_model_close(model);
    }
    il_checkpoint_close(ckpt);
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
