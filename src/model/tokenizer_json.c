/* SPDX-License-Identifier: Apache-2.0
 *
 * A tokenizer from tokenizer.json, the file of the `tokenizers` package. Steps this program does
 * not know are refused by name: a tokenizer that is nearly right gives wrong ids without a sign.
 */
#include "model/tokenizer_internal.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_FILE_BYTES = 256 << 20 };

typedef struct reader {
    il_tokenizer *t;
    const char *path;
    il_error *err;
} reader;

static int refuse(const reader *r, const char *what, const char *name)
{
    int rc = il_fail(r->err, IL_E_UNSUPPORTED, "the tokenizer's %s \"%.60s\" is not known here",
                     what, name ? name : "(none)");
    il_error_where(r->err, "%s", r->path);
    il_error_hint(r->err, "byte-level BPE is read; give token ids for other tokenizers");
    return rc;
}

static int damaged(const reader *r, const char *what)
{
    int rc = il_fail(r->err, IL_E_DAMAGED, "%s", what);
    il_error_where(r->err, "%s", r->path);
    return rc;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* ---- normaliser ---- */

static int read_normalizer(const reader *r, const json_t *n)
{
    static const char *const names[] = {[IL__NORMAL_NFC] = "NFC",
                                        [IL__NORMAL_NFD] = "NFD",
                                        [IL__NORMAL_NFKC] = "NFKC",
                                        [IL__NORMAL_NFKD] = "NFKD"};
    if (!n || json_is_null(n)) {
        return IL_OK;
    }
    const char *type = text_of(n, "type");
    if (type && strcmp(type, "Sequence") == 0) {
        const json_t *all = json_object_get(n, "normalizers");
        int rc = json_array_size(all) <= 1 ? IL_OK : refuse(r, "normalizer", "Sequence of several");
        return rc ? rc : read_normalizer(r, json_array_get(all, 0));
    }
    for (size_t i = IL__NORMAL_NFC; type && i <= IL__NORMAL_NFKD; i++) {
        if (strcmp(type, names[i]) == 0) {
            r->t->normal = (il__normal_form)i;
            return IL_OK;
        }
    }
    return refuse(r, "normalizer", type);
}

/* ---- splitting ---- */

static int add_split(const reader *r, const json_t *step)
{
    const json_t *pattern = json_object_get(step, "pattern");
    const char *regex = text_of(pattern, "Regex");
    const char *plain = text_of(pattern, "String");
    const char *behavior = text_of(step, "behavior");
    bool invert = is_true(step, "invert");
    if (!behavior || (strcmp(behavior, "Isolated") != 0 && strcmp(behavior, "Removed") != 0)) {
        return refuse(r, "split behaviour", behavior);
    }
    il__split_kind kind = strcmp(behavior, "Isolated") == 0 ? IL__SPLIT_ISOLATED
                          : invert                          ? IL__SPLIT_MATCHES
                                                            : IL__SPLIT_REMOVED;
    if (regex) {
        return il__splitter_add(r->t->splitter, regex, kind, r->path, r->err);
    }
    if (!plain) {
        return damaged(r, "a Split without a pattern");
    }
    il_buf quoted;
    il_buf_init(&quoted, 1 << 16);
    for (const char *c = plain; *c; c++) {
        bool special = strchr("\\^$.[|()?*+{}]-#", *c) != NULL;
        (void)il_buf_printf(&quoted, special ? "\\%c" : "%c", *c);
    }
    int rc = quoted.status
                 ? il_fail(r->err, quoted.status, "a pattern too long")
                 : il__splitter_add(r->t->splitter, il_buf_text(&quoted), kind, r->path, r->err);
    il_buf_free(&quoted);
    return rc;
}

/* *byte_level is set once the step has been met that turns text into the alphabet of bytes. */
static int read_pre(const reader *r, const json_t *step, bool *byte_level, unsigned n_before)
{
    const char *type = text_of(step, "type");
    if (!type) {
        return refuse(r, "pre_tokenizer", NULL);
    }
    if (strcmp(type, "Sequence") == 0) {
        const json_t *all = json_object_get(step, "pretokenizers");
        int rc = IL_OK;
        for (size_t i = 0; i < json_array_size(all) && rc == IL_OK; i++) {
            rc = read_pre(r, json_array_get(all, i), byte_level, n_before + (unsigned)i);
        }
        return rc;
    }
    if (*byte_level) {
        return refuse(r, "step after ByteLevel", type);
    }
    if (strcmp(type, "Split") == 0) {
        return add_split(r, step);
    }
    if (strcmp(type, "Digits") == 0) {
        return il__splitter_add(r->t->splitter,
                                is_true(step, "individual_digits") ? "\\p{N}" : "\\p{N}+",
                                IL__SPLIT_ISOLATED, r->path, r->err);
    }
    if (strcmp(type, "ByteLevel") != 0) {
        return refuse(r, "pre_tokenizer", type);
    }
    *byte_level = true;
    r->t->prefix_space = is_true(step, "add_prefix_space");
    if (r->t->prefix_space && n_before > 0) {
        return refuse(r, "step before a prefix space", "ByteLevel");
    }
    const json_t *regex = json_object_get(step, "use_regex"); /* absent: true */
    return json_is_false(regex) ? IL_OK
                                : il__splitter_add(r->t->splitter, il__pattern_gpt2,
                                                   IL__SPLIT_ISOLATED, r->path, r->err);
}

/* ---- vocabulary and merges ---- */

static int read_vocab(const reader *r, const json_t *vocab)
{
    const char *key;
    json_t *value;
    char *raw = NULL;
    size_t cap = 0;
    int rc = IL_OK;
    json_object_foreach((json_t *)(uintptr_t)vocab, key, value)
    {
        size_t len = strlen(key), n;
        if (len > cap) {
            char *more = realloc(raw, 2 * len);
            if (!more) {
                rc = il_fail(r->err, IL_E_NOMEM, "no memory for a token");
                break;
            }
            raw = more;
            cap = 2 * len;
        }
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > INT32_MAX) {
            rc = damaged(r, "a token's id is no whole number");
            break;
        }
        /* what is not of the alphabet can only be an added token, and stands in that list */
        if (len > 0 && il__alphabet_to_bytes(key, len, raw, &n)) {
            rc = il__bpe_add(r->t->bpe, raw, n, (int32_t)id, r->err);
        }
        if (rc != IL_OK) {
            il_error_where(r->err, "%s", r->path);
            break;
        }
    }
    free(raw);
    return rc;
}

/* Both sides of a merge: "a b", or ["a", "b"] in newer files. */
static bool merge_sides(const json_t *item, const char **left, size_t *left_len, const char **right,
                        size_t *right_len)
{
    if (json_is_array(item)) {
        *left = json_string_value(json_array_get(item, 0));
        *right = json_string_value(json_array_get(item, 1));
        *left_len = *left ? strlen(*left) : 0;
    } else {
        *left = json_string_value(item);
        const char *space = *left ? strchr(*left, ' ') : NULL;
        *right = space ? space + 1 : NULL;
        *left_len = space ? (size_t)(space - *left) : 0;
    }
    *right_len = *right ? strlen(*right) : 0;
    return *left_len > 0 && *right_len > 0;
}

static int read_merges(const reader *r, const json_t *merges)
{
    char raw[2][1024];
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const char *left, *right;
        size_t left_len, right_len, n_left, n_right;
        if (!merge_sides(json_array_get(merges, i), &left, &left_len, &right, &right_len) ||
            left_len > sizeof raw[0] || right_len > sizeof raw[1] ||
            !il__alphabet_to_bytes(left, left_len, raw[0], &n_left) ||
            !il__alphabet_to_bytes(right, right_len, raw[1], &n_right)) {
            (void)il_fail(r->err, IL_E_DAMAGED, "merge %zu is no two tokens", i + 1);
            il_error_where(r->err, "%s", r->path);
            return IL_E_DAMAGED;
        }
        int rc = il__bpe_add_merge(r->t->bpe, (il__bytes){raw[0], n_left},
                                   (il__bytes){raw[1], n_right}, r->err);
        if (rc != IL_OK) {
            il_error_where(r->err, "%s", r->path);
            return rc;
        }
    }
    return IL_OK;
}

static int read_model(const reader *r, const json_t *model)
{
    const char *type = text_of(model, "type");
    const json_t *vocab = json_object_get(model, "vocab");
    const json_t *merges = json_object_get(model, "merges");
    static const char *const marks[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    if ((type && strcmp(type, "BPE") != 0) || is_true(model, "byte_fallback")) {
        return refuse(r, "model", type && strcmp(type, "BPE") != 0 ? type : "BPE, byte fallback");
    }
    for (size_t i = 0; i < 2; i++) {
        const char *mark = text_of(model, marks[i]);
        if (mark && mark[0]) {
            return refuse(r, marks[i], mark);
        }
    }
    if (!json_is_object(vocab) || !json_is_array(merges)) {
        return damaged(r, "the model has no vocab and merges");
    }
    il__bpe_whole_words(r->t->bpe, is_true(model, "ignore_merges"));
    int rc = read_vocab(r, vocab);
    return rc ? rc : read_merges(r, merges);
}

/* ---- added tokens and the template ---- */

static int read_added(const reader *r, const json_t *list)
{
    int rc = IL_OK;
    for (size_t i = 0; i < json_array_size(list) && rc == IL_OK; i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = text_of(item, "content");
        const json_t *id = json_object_get(item, "id");
        if (!text || !json_is_integer(id) || json_integer_value(id) > INT32_MAX) {
            return damaged(r, "an added token without content or id");
        }
        rc = il__tokenizer_add_added(r->t,
                                     (il__added){.text = text,
                                                 .len = strlen(text),
                                                 .id = (int32_t)json_integer_value(id),
                                                 .special = is_true(item, "special"),
                                                 .normalized = is_true(item, "normalized"),
                                                 .left_strip = is_true(item, "lstrip"),
                                                 .right_strip = is_true(item, "rstrip"),
                                                 .single_word = is_true(item, "single_word")},
                                     r->err);
        if (rc != IL_OK) {
            il_error_where(r->err, "%s", r->path);
        }
    }
    return rc;
}

static int template_ids(const reader *r, const json_t *known, const char *name, int32_t *to,
                        size_t *n)
{
    const json_t *ids = json_object_get(json_object_get(known, name), "ids");
    if (json_array_size(ids) == 0 || *n + json_array_size(ids) > 8) {
        return damaged(r, "the template names a special token that is not there");
    }
    for (size_t i = 0; i < json_array_size(ids); i++) {
        to[(*n)++] = (int32_t)json_integer_value(json_array_get(ids, i));
    }
    return IL_OK;
}

static int read_template(const reader *r, const json_t *post)
{
    const json_t *single = json_object_get(post, "single");
    const json_t *known = json_object_get(post, "special_tokens");
    bool seen = false;
    int rc = IL_OK;
    for (size_t i = 0; i < json_array_size(single) && rc == IL_OK; i++) {
        const json_t *piece = json_array_get(single, i);
        const char *name = text_of(json_object_get(piece, "SpecialToken"), "id");
        if (name) {
            rc = seen ? template_ids(r, known, name, r->t->after, &r->t->n_after)
                      : template_ids(r, known, name, r->t->before, &r->t->n_before);
        } else {
            seen = true;
        }
    }
    return rc;
}

static int read_post(const reader *r, const json_t *post)
{
    const char *type = text_of(post, "type");
    if (!type || strcmp(type, "ByteLevel") == 0) {
        return IL_OK; /* only offsets */
    }
    if (strcmp(type, "TemplateProcessing") == 0) {
        return read_template(r, post);
    }
    if (strcmp(type, "Sequence") == 0) {
        const json_t *all = json_object_get(post, "processors");
        int rc = IL_OK;
        for (size_t i = 0; i < json_array_size(all) && rc == IL_OK; i++) {
            rc = read_post(r, json_array_get(all, i));
        }
        return rc;
    }
    return refuse(r, "post_processor", type);
}

int il__tokenizer_from_json(il_tokenizer *t, const char *path, il_error *err)
{
    const reader r = {t, path, err};
    json_t *root = NULL;
    bool byte_level = false;
    int rc = il_json_load(path, MOST_FILE_BYTES, &root, err);
    rc = rc ? rc : read_normalizer(&r, json_object_get(root, "normalizer"));
    rc = rc ? rc : read_pre(&r, json_object_get(root, "pre_tokenizer"), &byte_level, 0);
    if (rc == IL_OK && !byte_level) {
        rc = refuse(&r, "pre_tokenizer", "without ByteLevel");
    }
    rc = rc ? rc : read_model(&r, json_object_get(root, "model"));
    rc = rc ? rc : read_added(&r, json_object_get(root, "added_tokens"));
    rc = rc ? rc : read_post(&r, json_object_get(root, "post_processor"));
    json_decref(root);
    return rc;
}
