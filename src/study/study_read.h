/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shared among the files that read a study: sections through the parameter table, growing lists.
 */
#ifndef IL_STUDY_STUDY_READ_H
#define IL_STUDY_STUDY_READ_H

#include "study/study.h"
#include "study/yaml.h"

/* Reads every entry of a mapping into set by the table's rows of its scope. NODE entries are only
 * checked to be known; their readers take them from the mapping. */
int il__section_read(const char *origin, const il_yaml *map, il_param_set *set, il_error *err);

int il__study_add_scenario(il_study *s, const il_scenario *scenario, il_error *err);
int il__study_add_model(il_study *s, const il_study_model *model, il_error *err);
int il__study_add_backend(il_study *s, const il_study_backend *backend, il_error *err);
int il__study_note(il_study *s, il_error *err, const char *fmt, ...) IL_PRINTF(3, 4);

/* The lists of a file: mappings, or names to be found in the base file. */
int il__study_read_lists(il_study *s, const char *origin, const il_yaml *root, il_error *err);
/* Flags, suites, shapes, batch sizes, prompt lengths, filters, --map. */
int il__study_expand(il_study *s, const il_study_options *options, const char *origin,
                     const il_yaml *root, il_error *err);
/* Where a model is, what its shape is, or what is the matter. */
int il__study_resolve_models(il_study *s, il_error *err);
/* A model made from the seed; its counts are taken. */
int il__study_add_shape(il_study *s, const il_shape *shape, const char *name, int line,
                        il_error *err);
int il__study_add_suites(il_study *s, il_error *err);
int il__study_add_shapes(il_study *s, const char *origin, const il_yaml *root, il_error *err);

#endif
