/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/names.h"

#include "base/file.h"
#include "report/words.h"

#include <string.h>

enum { MOST_CHARS = 30 };

/* Where the last piece "-v1024" of a name of n bytes begins (a dash, a small letter, digits); n
 * where it ends otherwise, or begins with the piece. */
static size_t piece_start(const char *name, size_t n)
{
    size_t digits = n;
    while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') {
        digits--;
    }
    bool piece = digits < n && digits >= 3 && name[digits - 1] >= 'a' && name[digits - 1] <= 'z' &&
                 name[digits - 2] == '-';
    return piece ? digits - 2 : n;
}

static bool ends_with(const char *name, const char *tail, size_t n_tail)
{
    size_t n = strlen(name);
    return n > n_tail && memcmp(name + n - n_tail, tail, n_tail) == 0;
}

const char *il_facts_shared_tail(const il_facts *facts)
{
    const il_medians *m = &facts->medians;
    const char *first = m->n_rows > 0 ? m->rows[0].model : "";
    size_t end = strlen(first), start = end;
    bool differ = false;
    for (size_t next; (next = piece_start(first, start)) < start; start = next) {
        bool shared = true;
        for (size_t i = 1; shared && i < m->n_rows; i++) {
            shared = ends_with(m->rows[i].model, first + next, end - next);
            differ = differ || strcmp(m->rows[i].model, first) != 0;
        }
        if (!shared) {
            break;
        }
    }
    return differ ? first + start : "";
}

const char *il_facts_model_name(const il_facts *facts, const char *model)
{
    const char *base = il_path_base(model);
    bool alone = base[0] != '\0';
    for (size_t i = 0; alone && i < facts->medians.n_rows; i++) {
        const char *other = facts->medians.rows[i].model;
        alone = strcmp(other, model) == 0 || strcmp(il_path_base(other), base) != 0;
    }
    const char *tail = il_facts_shared_tail(facts);
    size_t n = strlen(alone ? base : model), n_tail = strlen(tail);
    char *whole = il_arena_strdup((il_arena *)&facts->arena, alone ? base : model);
    if (!whole) {
        return "?";
    }
    if (ends_with(whole, tail, n_tail)) {
        whole[n - n_tail] = '\0';
    }
    char clean[4 * MOST_CHARS + 8];
    il_words_clean(clean, sizeof clean, whole, MOST_CHARS);
    /* The arena is memory of the facts, not part of what they say. */
    const char *copy = il_arena_strdup((il_arena *)&facts->arena, clean);
    return copy ? copy : "?";
}
