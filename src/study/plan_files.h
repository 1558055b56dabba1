/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The files that runtimes read in place of a checkpoint directory: which file a (backend, model)
 * pair needs, where it stands, and how it is made of the checkpoint. Used by src/study alone.
 *
 *   ollama, llama.cpp's server, native with `weights:`   GGUF, PATH-<type>.gguf
 *   onnxruntime                                          ONNX, PATH-<dtype>.onnx
 *
 * Synthetic checkpoints have their files beside them, others in the model cache.
 */
#ifndef IL_STUDY_PLAN_FILES_H
#define IL_STUDY_PLAN_FILES_H

#include "model/make.h"
#include "study/study.h"

typedef enum il__file_format { IL__FILE_NONE, IL__FILE_GGUF, IL__FILE_ONNX } il__file_format;

/* What the backend reads of a model with a directory; NONE: the directory itself, or a model that
 * only the server knows. */
il__file_format il__file_format_of(const il_study_backend *backend, const il_study_model *model);
/* The GGUF type: `weights`, else by dtype. */
const char *il__file_weights(const il_study_backend *backend);
/* Where the file stands or is to stand, in the study's arena; NULL when none is needed or memory
 * is out. */
const char *il__file_path(il_study *study, const il_study_backend *backend,
                          const il_study_model *model);
/* Makes it; what is there already and the same is kept. */
int il__file_make(const il_study_backend *backend, const il_study_model *model, const char *path,
                  const il_make_options *options, il_error *err);

#endif
