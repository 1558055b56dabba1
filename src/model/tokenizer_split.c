/* SPDX-License-Identifier: Apache-2.0
 *
 * Text into words, by PCRE2. A pattern runs over each piece the pattern before it left, so that an
 * assertion at a piece's end sees the end, as in the reference.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tokenizer_internal.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

const char il__pattern_gpt2[] =
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* Unicode's White_Space: PCRE2's own \s takes in U+180E, which lost that property. */
static const char white[] = "\\t-\\r\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}"
                            "\\x{2029}\\x{202F}\\x{205F}\\x{3000}";

typedef struct pattern {
    pcre2_code *code;
    il__split_kind kind;
} pattern;

struct il__splitter {
    pattern items[IL__MOST_SPLITS];
    size_t n;
    pcre2_match_data *match[IL__MOST_SPLITS]; /* a pattern's words are split while it waits */
};

int il__splitter_make(il__splitter **out, il_error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a tokenizer");
}

void il__splitter_free(il__splitter *s)
{
    if (s) {
        for (size_t i = 0; i < s->n; i++) {
            pcre2_code_free(s->items[i].code);
            pcre2_match_data_free(s->match[i]);
        }
        free(s);
    }
}

/* The pattern with \s and \S written out; in a class \s alone can be. */
static int write_out(const char *text, il_buf *out)
{
    bool in_class = false;
    for (size_t i = 0; text[i] && out->status == IL_OK; i++) {
        if (text[i] == '\\' && (text[i + 1] == 's' || text[i + 1] == 'S')) {
            bool inside = in_class && text[i + 1] == 's';
            if (in_class && !inside) {
                return IL_E_UNSUPPORTED;
            }
            (void)il_buf_printf(out, inside ? "%s%s%s" : "[%s%s%s",
                                !inside && text[i + 1] == 'S' ? "^" : "", white, inside ? "" : "]");
            i++;
        } else if (text[i] == '\\' && text[i + 1]) {
            (void)il_buf_append(out, text + i, 2);
            i++;
        } else {
            in_class = text[i] == '[' || (in_class && text[i] != ']');
            (void)il_buf_append(out, text + i, 1);
        }
    }
    return out->status;
}

int il__splitter_add(il__splitter *s, const char *text, il__split_kind kind, const char *origin,
                     il_error *err)
{
    il_buf full;
    il_buf_init(&full, 1 << 16);
    int rc = s->n < IL__MOST_SPLITS ? write_out(text, &full) : IL_E_UNSUPPORTED;
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *compiled = NULL;
    if (rc == IL_OK) {
        compiled = pcre2_compile((PCRE2_SPTR)il_buf_text(&full), full.len, PCRE2_UTF | PCRE2_UCP,
                                 &code, &at, NULL);
        rc = compiled ? IL_OK : IL_E_UNSUPPORTED;
    }
    il_buf_free(&full);
    pcre2_match_data *match = compiled ? pcre2_match_data_create(1, NULL) : NULL;
    if (rc == IL_OK && !match) {
        pcre2_code_free(compiled);
        rc = IL_E_NOMEM;
    }
    if (rc != IL_OK) {
        (void)il_fail(err, rc, "the tokenizer splits by a pattern this program cannot use: %.120s",
                      text);
        il_error_where(err, "%s", origin);
        return rc;
    }
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* without it: slower, the same words */
    s->items[s->n] = (pattern){compiled, kind};
    s->match[s->n++] = match;
    return IL_OK;
}

typedef struct walk {
    il__splitter *splitter;
    int (*word)(const char *text, size_t len, void *user, il_error *err);
    void *user;
} walk;

static int split_piece(const walk *w, size_t level, const char *text, size_t len, il_error *err);

static int pass_on(const walk *w, size_t level, const char *text, size_t len, il_error *err)
{
    if (len == 0) {
        return IL_OK;
    }
    return level + 1 < w->splitter->n ? split_piece(w, level + 1, text, len, err)
                                      : w->word(text, len, w->user, err);
}

static int split_piece(const walk *w, size_t level, const char *text, size_t len, il_error *err)
{
    const pattern *p = &w->splitter->items[level];
    pcre2_match_data *match = w->splitter->match[level];
    size_t done = 0, from = 0;
    int rc = IL_OK;
    while (rc == IL_OK && from <= len) {
        int found =
            pcre2_match(p->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_UTF_CHECK, match, NULL);
        if (found == PCRE2_ERROR_NOMATCH) {
            break;
        }
        if (found < 0) {
            return il_fail(err, IL_E_RANGE, "splitting text fails inside PCRE2 (%d)", found);
        }
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(match);
        size_t begin = span[0], end = span[1];
        if (end == begin) { /* an empty match is no word: go on behind the next character */
            from = end + 1;
            while (from < len && ((unsigned char)text[from] & 0xC0) == 0x80) {
                from++;
            }
            continue;
        }
        rc = p->kind == IL__SPLIT_MATCHES ? IL_OK
                                          : pass_on(w, level, text + done, begin - done, err);
        if (rc == IL_OK && p->kind != IL__SPLIT_REMOVED) {
            rc = pass_on(w, level, text + begin, end - begin, err);
        }
        done = from = end;
    }
    if (rc == IL_OK && p->kind != IL__SPLIT_MATCHES) {
        rc = pass_on(w, level, text + done, len - done, err);
    }
    return rc;
}

int il__splitter_each(il__splitter *s, const char *text, size_t len,
                      int (*word)(const char *text, size_t len, void *user, il_error *err),
                      void *user, il_error *err)
{
    const walk w = {s, word, user};
    if (len == 0) {
        return IL_OK;
    }
    return s->n > 0 ? split_piece(&w, 0, text, len, err) : word(text, len, user, err);
}
