/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/plan_files.h"

#include "base/file.h"
#include "model/gguf_model.h"
#include "model/onnx_model.h"

#include <string.h>

static bool kind_is(const il_study_backend *b, const char *kind)
{
    return strcmp(b->kind, kind) == 0;
}

il__file_format il__file_format_of(const il_study_backend *b, const il_study_model *m)
{
    if (!m->path) {
        return IL__FILE_NONE;
    }
    if (kind_is(b, "onnxruntime")) {
        return IL__FILE_ONNX;
    }
    if (kind_is(b, "native")) {
        return il_param_text(&b->set, IL_P_WEIGHTS) ? IL__FILE_GGUF : IL__FILE_NONE;
    }
    const char *server = il_param_text(&b->set, IL_P_SERVER);
    bool gguf = kind_is(b, "ollama") ||
                (kind_is(b, "openai") && server && strcmp(server, "llama.cpp") == 0);
    return gguf ? IL__FILE_GGUF : IL__FILE_NONE;
}

const char *il__file_weights(const il_study_backend *b)
{
    const char *weights = il_param_text(&b->set, IL_P_WEIGHTS);
    const char *dtype = il_param_text(&b->set, IL_P_DTYPE);
    if (weights) {
        return weights;
    }
    return dtype && strcmp(dtype, "bf16") == 0   ? "BF16"
           : dtype && strcmp(dtype, "fp16") == 0 ? "F16"
                                                 : "F32";
}

const char *il__file_path(il_study *s, const il_study_backend *b, const il_study_model *m)
{
    const char *beside = m->path;
    if (!m->path || il__file_format_of(b, m) == IL__FILE_NONE) {
        return NULL;
    }
    if (m->is_gguf && il__file_format_of(b, m) == IL__FILE_GGUF) {
        return m->path; /* as it stands, whatever type was asked for */
    }
    if (!m->synthetic) {
        beside = il_arena_printf(&s->arena, "%s/%s", s->cache, il_path_base(m->path));
    }
    if (!beside) {
        return NULL;
    }
    if (il__file_format_of(b, m) == IL__FILE_GGUF) {
        return il_arena_printf(&s->arena, "%s-%s.gguf", beside, il__file_weights(b));
    }
    return il_arena_printf(&s->arena, "%s-%s.onnx", beside, il_param_text(&b->set, IL_P_DTYPE));
}

static int make_gguf(const il_study_backend *b, const il_study_model *m, const char *path,
                     const il_make_options *options, il_error *err)
{
    /* Under this name only this model in this type can stand: what differs is of another version.
     */
    il_gguf_options o = {
        .force = true, .progress = options->progress, .user = options->user, .stop = options->stop};
    int rc = il_gguf_recipe_parse(il__file_weights(b), &o.recipe);
    il_gguf_options kept = o;
    kept.force = false;
    if (rc == IL_OK && il_path_is_file(path)) {
        rc = il_model_gguf_from_dir(m->path, path, &kept, NULL, NULL);
        if (rc == IL_OK) {
            return rc;
        }
    }
    return il_model_gguf_from_dir(m->path, path, &o, NULL, err);
}

static int make_onnx(const il_study_backend *b, const il_study_model *m, const char *path,
                     const il_make_options *options, il_error *err)
{
    il_onnx_options o = {
        .force = true, .progress = options->progress, .user = options->user, .stop = options->stop};
    il_onnx_options kept = o;
    /* CUDA's kernels of the contributed operators take no fp32. */
    bool cuda = strcmp(il_param_text(&b->set, IL_P_DEVICE), "cuda") == 0;
    int rc = il_dtype_parse(il_param_text(&b->set, IL_P_DTYPE), &o.dtype);
    o.ops = cuda && o.dtype == IL_DTYPE_F32 ? IL_ONNX_OPS_STANDARD : IL_ONNX_OPS_AUTO;
    kept.dtype = o.dtype;
    kept.ops = o.ops;
    kept.force = false;
    if (rc == IL_OK && il_path_is_file(path) &&
        il_model_onnx_from_dir(m->path, path, &kept, NULL, NULL) == IL_OK) {
        return IL_OK;
    }
    return rc == IL_OK ? il_model_onnx_from_dir(m->path, path, &o, NULL, err) : rc;
}

int il__file_make(const il_study_backend *b, const il_study_model *m, const char *path,
                  const il_make_options *options, il_error *err)
{
    if (m->is_gguf && path == m->path) {
        return IL_OK;
    }
    if (il__file_format_of(b, m) == IL__FILE_GGUF) {
        return make_gguf(b, m, path, options, err);
    }
    return make_onnx(b, m, path, options, err);
}
