/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/names.h"

#include "base/file.h"
#include "report/words.h"

#include <string.h>

enum { MOST_CHARS = 30 };

const char *il_facts_model_name(const il_facts *facts, const char *model)
{
    const char *base = il_path_base(model);
    bool alone = base[0] != '\0';
    for (size_t i = 0; alone && i < facts->medians.n_rows; i++) {
        const char *other = facts->medians.rows[i].model;
        alone = strcmp(other, model) == 0 || strcmp(il_path_base(other), base) != 0;
    }
    char clean[4 * MOST_CHARS + 8];
    il_words_clean(clean, sizeof clean, alone ? base : model, MOST_CHARS);
    /* The arena is memory of the facts, not part of what they say. */
    const char *copy = il_arena_strdup((il_arena *)&facts->arena, clean);
    return copy ? copy : "?";
}
