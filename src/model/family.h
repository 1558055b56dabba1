/* SPDX-License-Identifier: Apache-2.0
 *
 * What is usual in a family: the values a config.json may leave out (the defaults of the reference
 * implementation) and the facts that no key of it states (kind of norm, biases, tensor names).
 */
#ifndef IL_MODEL_FAMILY_H
#define IL_MODEL_FAMILY_H

#include "model/shape.h"

/* A shape with sizes that depend on the model left at 0. */
const il_shape *il__family_usual(il_arch arch);
/* The "architectures" entry of config.json, as "GPT2LMHeadModel". */
const char *il__family_class(il_arch arch);
/* The family by model_type or by its name here; IL_ARCH_COUNT when it is neither. */
il_arch il__family_find(const char *name);
/* IL_E_UNSUPPORTED naming `word`, the nearest supported name (or all of them) in the hint. */
int il__family_unknown(const char *word, bool hf_names, il_error *err);

#endif
