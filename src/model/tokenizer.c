/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tokenizer_internal.h"

#include "base/file.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void il_token_ids_free(il_token_ids *ids)
{
    free(ids->ids);
    *ids = (il_token_ids){0};
}

/* ---- life ---- */

static int open_directory(il_tokenizer *t, const char *dir, il_error *err)
{
    char path[4096], merges[4096];
    int rc = il_path_join(path, sizeof path, dir, "tokenizer.json");
    if (rc == IL_OK && il_path_is_file(path)) {
        return il__tokenizer_from_json(t, path, err);
    }
    rc = rc ? rc : il_path_join(path, sizeof path, dir, "vocab.json");
    rc = rc ? rc : il_path_join(merges, sizeof merges, dir, "merges.txt");
    if (rc == IL_OK && il_path_is_file(path) && il_path_is_file(merges)) {
        return il__tokenizer_from_vocab(t, path, merges, err);
    }
    rc = il_fail(err, IL_E_NOT_FOUND, "neither tokenizer.json nor vocab.json with merges.txt");
    il_error_where(err, "%s", dir);
    il_error_hint(err, "copy the tokenizer's files beside the weights, or give token ids");
    return rc;
}

int il_tokenizer_open(const char *path, il_tokenizer **out, il_error *err)
{
    il_tokenizer *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t) {
        return il_fail(err, IL_E_NOMEM, "no memory for a tokenizer");
    }
    int rc = il__bpe_make(&t->bpe, err);
    rc = rc ? rc : il__splitter_make(&t->splitter, err);
    if (rc == IL_OK) {
        rc = il_path_is_dir(path)          ? open_directory(t, path, err)
             : il_text_ends(path, ".gguf") ? il__tokenizer_from_gguf(t, path, err)
                                           : il__tokenizer_from_json(t, path, err);
    }
    if (rc != IL_OK) {
        il_tokenizer_free(t);
        return rc;
    }
    *out = t;
    return IL_OK;
}

void il_tokenizer_free(il_tokenizer *t)
{
    if (t) {
        il__bpe_free(t->bpe);
        il__splitter_free(t->splitter);
        free(t->added);
        il_arena_free(&t->arena);
        free(t);
    }
}

size_t il_tokenizer_size(const il_tokenizer *t)
{
    size_t n = il__bpe_size(t->bpe);
    for (size_t i = 0; i < t->n_added; i++) {
        n = (size_t)t->added[i].id >= n ? (size_t)t->added[i].id + 1 : n;
    }
    return n;
}

static int normalise(il__normal_form form, il__bytes in, char **owned, il__bytes *out,
                     il_error *err);

static int copy_added(il_tokenizer *t, il__added *a, il_error *err)
{
    char *owned;
    int rc = normalise(a->normalized ? t->normal : IL__NORMAL_NONE, (il__bytes){a->text, a->len},
                       &owned, &a->match, err);
    if (rc == IL_OK) {
        a->text = il_arena_strndup(&t->arena, a->text, a->len);
        a->match.text = il_arena_strndup(&t->arena, a->match.text, a->match.len);
        rc = a->text && a->match.text ? IL_OK
                                      : il_fail(err, IL_E_NOMEM, "no memory for an added token");
    }
    free(owned);
    return rc;
}

int il__tokenizer_add_added(il_tokenizer *t, il__added added, il_error *err)
{
    if (added.len == 0 || added.id < 0) {
        return il_fail(err, IL_E_DAMAGED, "an added token without text or id");
    }
    if (t->n_added == t->cap_added) {
        size_t cap = t->cap_added ? 2 * t->cap_added : 64;
        il__added *more = realloc(t->added, cap * sizeof *more);
        if (!more) {
            return il_fail(err, IL_E_NOMEM, "no memory for %zu added tokens", cap);
        }
        t->added = more;
        t->cap_added = cap;
    }
    int rc = copy_added(t, &added, err);
    if (rc != IL_OK) {
        return rc;
    }
    size_t at = t->n_added++;
    for (; at > 0 && t->added[at - 1].match.len < added.match.len; at--) {
        t->added[at] = t->added[at - 1];
    }
    t->added[at] = added;
    t->added_first_byte[added.normalized][(unsigned char)added.match.text[0]] = true;
    return IL_OK;
}

int32_t il_tokenizer_special(const il_tokenizer *t, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < t->n_added; i++) {
        if (t->added[i].len == len && memcmp(t->added[i].text, text, len) == 0) {
            return t->added[i].id;
        }
    }
    return -1;
}

/* ---- text that is UTF-8 ---- */

/* Length of the character at text, or 0 with *broken set to the length of the maximal broken part
 * (Unicode standard, 3.9, "U+FFFD substitution of maximal subparts"). */
static size_t character(const unsigned char *s, size_t n, size_t *broken)
{
    static const unsigned char low[] = {0x80, 0xA0, 0x80, 0x90, 0x80};
    *broken = 1;
    if (s[0] < 0x80) {
        return 1;
    }
    size_t len = s[0] >= 0xC2 && s[0] <= 0xDF   ? 2
                 : s[0] >= 0xE0 && s[0] <= 0xEF ? 3
                 : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4
                                                : 0;
    if (len == 0) {
        return 0;
    }
    unsigned char least = s[0] == 0xE0 ? low[1] : s[0] == 0xF0 ? low[3] : 0x80;
    unsigned char most = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < len; i++) {
        if (i >= n || s[i] < least || s[i] > most) {
            *broken = i;
            return 0;
        }
        least = 0x80;
        most = 0xBF;
    }
    return len;
}

/* The text itself where it is valid, else a mended copy in buf. */
static int valid_text(il__bytes in, il_buf *buf, il__bytes *out, il_error *err)
{
    const unsigned char *s = (const unsigned char *)in.text;
    size_t begin = 0, broken;
    for (size_t i = 0; i < in.len;) {
        size_t len = character(s + i, in.len - i, &broken);
        if (len == 0) {
            (void)il_buf_append(buf, in.text + begin, i - begin);
            (void)il_buf_puts(buf, "\xEF\xBF\xBD");
            begin = i + broken;
        }
        i += len ? len : broken;
    }
    *out = in;
    if (begin > 0) {
        (void)il_buf_append(buf, in.text + begin, in.len - begin);
        *out = (il__bytes){il_buf_text(buf), buf->len};
    }
    return buf->status == IL_OK ? IL_OK : il_fail(err, buf->status, "cannot hold the text");
}

static int normalise(il__normal_form form, il__bytes in, char **owned, il__bytes *out,
                     il_error *err)
{
    static const utf8proc_option_t options[] = {
        [IL__NORMAL_NFC] = UTF8PROC_COMPOSE,
        [IL__NORMAL_NFD] = UTF8PROC_DECOMPOSE,
        [IL__NORMAL_NFKC] = UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [IL__NORMAL_NFKD] = UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };
    *out = in;
    *owned = NULL;
    bool ascii = true;
    for (size_t i = 0; i < in.len && ascii; i++) {
        ascii = (unsigned char)in.text[i] < 0x80;
    }
    if (form == IL__NORMAL_NONE || ascii) {
        return IL_OK;
    }
    utf8proc_uint8_t *text = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)in.text, (utf8proc_ssize_t)in.len,
                                      &text, options[form] | UTF8PROC_STABLE);
    if (n < 0) {
        return il_fail(err, IL_E_NOMEM, "cannot normalise the text: %s", utf8proc_errmsg(n));
    }
    *owned = (char *)text;
    *out = (il__bytes){*owned, (size_t)n};
    return IL_OK;
}

/* ---- encoding ---- */

typedef struct encoding {
    il_tokenizer *t;
    il_token_ids *out;
} encoding;

static int put_word(const char *text, size_t len, void *user, il_error *err)
{
    encoding *e = user;
    return il__bpe_word(e->t->bpe, text, len, e->out, err);
}

/* A segment without added tokens, normalised. */
static int encode_plain(encoding *e, il__bytes s, il_error *err)
{
    if (s.len == 0) {
        return IL_OK;
    }
    if (!e->t->prefix_space || s.text[0] == ' ') {
        return il__splitter_each(e->t->splitter, s.text, s.len, put_word, e, err);
    }
    il_buf spaced;
    il_buf_init(&spaced, SIZE_MAX / 2);
    (void)il_buf_puts(&spaced, " ");
    int rc = il_buf_append(&spaced, s.text, s.len);
    rc = rc ? il_fail(err, rc, "cannot hold the text")
            : il__splitter_each(e->t->splitter, il_buf_text(&spaced), spaced.len, put_word, e, err);
    il_buf_free(&spaced);
    return rc;
}

static utf8proc_int32_t code_at(il__bytes s, size_t at)
{
    utf8proc_int32_t code = -1;
    (void)utf8proc_iterate((const utf8proc_uint8_t *)s.text + at, (utf8proc_ssize_t)(s.len - at),
                           &code);
    return code;
}

/* The character before `at`. */
static utf8proc_int32_t code_before(il__bytes s, size_t at, size_t *begin)
{
    while (at > 0 && ((unsigned char)s.text[--at] & 0xC0) == 0x80) {
    }
    *begin = at;
    return code_at(s, at);
}

static bool is_white(utf8proc_int32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static bool is_word(utf8proc_int32_t c)
{
    if (c < 0) {
        return false;
    }
    utf8proc_category_t k = utf8proc_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NL) || k == UTF8PROC_CATEGORY_PC ||
           c == 0x200C || c == 0x200D;
}

static bool stands_alone(il__bytes s, size_t at, size_t len)
{
    size_t unused;
    return !(at > 0 && is_word(code_before(s, at, &unused))) &&
           !(at + len < s.len && is_word(code_at(s, at + len)));
}

/* The longest added token that begins at `at`, or NULL. */
static const il__added *added_at(const il_tokenizer *t, bool normalized, il__bytes s, size_t at)
{
    if (!t->added_first_byte[normalized][(unsigned char)s.text[at]]) {
        return NULL;
    }
    for (size_t i = 0; i < t->n_added; i++) {
        const il__added *a = &t->added[i];
        if (a->normalized == normalized && a->match.len <= s.len - at &&
            memcmp(a->match.text, s.text + at, a->match.len) == 0 &&
            (!a->single_word || stands_alone(s, at, a->match.len))) {
            return a;
        }
    }
    return NULL;
}

static int encode_normal(encoding *e, il__bytes s, il_error *err);

/* Cuts out the added tokens of one kind; what lies between goes on. */
static int cut_added(encoding *e, bool normalized, il__bytes s,
                     int (*rest)(encoding *, il__bytes, il_error *), il_error *err)
{
    size_t done = 0;
    int rc = IL_OK;
    for (size_t at = 0; at < s.len && rc == IL_OK;) {
        const il__added *a = added_at(e->t, normalized, s, at);
        if (!a) {
            at++;
            continue;
        }
        size_t begin = at, end = at + a->match.len, before;
        while (a->left_strip && begin > done && is_white(code_before(s, begin, &before))) {
            begin = before;
        }
        while (a->right_strip && end < s.len && is_white(code_at(s, end))) {
            do {
                end++;
            } while (end < s.len && ((unsigned char)s.text[end] & 0xC0) == 0x80);
        }
        rc = rest(e, (il__bytes){s.text + done, begin - done}, err);
        rc = rc ? rc : il__ids_push(e->out, a->id, err);
        done = at = end;
    }
    return rc ? rc : rest(e, (il__bytes){s.text + done, s.len - done}, err);
}

static int encode_normal(encoding *e, il__bytes s, il_error *err)
{
    char *owned;
    il__bytes normal;
    int rc = normalise(e->t->normal, s, &owned, &normal, err);
    rc = rc ? rc : cut_added(e, true, normal, encode_plain, err);
    free(owned);
    return rc;
}

int il_tokenizer_encode(il_tokenizer *t, const char *text, size_t len, bool add_special,
                        il_token_ids *out, il_error *err)
{
    encoding e = {t, out};
    il_buf mended;
    il__bytes valid;
    il_buf_init(&mended, SIZE_MAX / 2);
    int rc = valid_text((il__bytes){text, len}, &mended, &valid, err);
    for (size_t i = 0; add_special && i < t->n_before && rc == IL_OK; i++) {
        rc = il__ids_push(out, t->before[i], err);
    }
    rc = rc ? rc : cut_added(&e, false, valid, encode_normal, err);
    for (size_t i = 0; add_special && i < t->n_after && rc == IL_OK; i++) {
        rc = il__ids_push(out, t->after[i], err);
    }
    il_buf_free(&mended);
    return rc;
}

/* ---- decoding ---- */

static const il__added *added_of(const il_tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->n_added; i++) {
        if (t->added[i].id == id) {
            return &t->added[i];
        }
    }
    return NULL;
}

int il_tokenizer_decode(const il_tokenizer *t, const int32_t *ids, size_t n, bool keep_special,
                        il_buf *out, il_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const il__added *a = added_of(t, ids[i]);
        il__bytes token = a ? (il__bytes){a->text, a->len} : il__bpe_token(t->bpe, ids[i]);
        if (!token.text) {
            return il_fail(err, IL_E_RANGE, "token id %d is not in the vocabulary of %zu",
                           (int)ids[i], il_tokenizer_size(t));
        }
        if (!(a && a->special && !keep_special)) {
            (void)il_buf_append(out, token.text, token.len);
        }
    }
    return out->status == IL_OK ? IL_OK : il_fail(err, out->status, "cannot hold the text");
}

static bool is_plain_word(il__bytes token)
{
    bool plain = token.text && token.len >= 2 && token.text[0] == ' ';
    for (size_t i = 1; plain && i < token.len; i++) {
        plain = token.text[i] >= 'a' && token.text[i] <= 'z';
    }
    return plain;
}

int il_tokenizer_words(il_tokenizer *t, il_token_ids *out, il_error *err)
{
    il_token_ids back = {0};
    int rc = IL_OK;
    for (int32_t id = 0; rc == IL_OK && (size_t)id < il__bpe_size(t->bpe); id++) {
        il__bytes token = il__bpe_token(t->bpe, id);
        if (!is_plain_word(token)) {
            continue;
        }
        back.n = 0;
        rc = il_tokenizer_encode(t, token.text, token.len, false, &back, err);
        if (rc == IL_OK && back.n == 1 && back.ids[0] == id) {
            rc = il__ids_push(out, id, err);
        }
    }
    il_token_ids_free(&back);
    return rc;
}

int il_tokenizer_text(const il_tokenizer *t, const int32_t *ids, size_t n, bool keep_special,
                      char *out, size_t out_bytes, size_t *n_bytes, il_error *err)
{
    il_buf text;
    il_buf_init(&text, (size_t)1 << 30);
    int rc = il_tokenizer_decode(t, ids, n, keep_special, &text, err);
    if (rc == IL_OK && text.len >= out_bytes) {
        rc = il_fail(err, IL_E_RANGE, "the text has %zu bytes, there is room for %zu", text.len,
                     out_bytes > 0 ? out_bytes - 1 : 0);
    }
    if (rc == IL_OK) {
        memcpy(out, il_buf_text(&text), text.len + 1);
        if (n_bytes) {
            *n_bytes = text.len;
        }
    }
    il_buf_free(&text);
    return rc;
}
