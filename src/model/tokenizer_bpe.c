/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte-pair encoding (Sennrich, Haddow & Birch 2016) of a word: of all neighbouring pairs that may
 * merge, the one of the least rank merges first, the leftmost of equals. Pairs wait in a heap, so
 * that a long word costs n log n; short words seen before come from a cache.
 */
#include "model/tokenizer_internal.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { CACHE_SLOTS = 1 << 14, CACHE_WORD_BYTES = 32, CACHE_IDS = 10, FIRST_SLOTS = 1 << 16 };

typedef struct merge {
    int32_t left, right; /* left −1: free */
    int32_t rank, made;
} merge;

typedef struct cached {
    uint8_t len, n; /* len 0: free */
    char word[CACHE_WORD_BYTES];
    int32_t ids[CACHE_IDS];
} cached;

typedef struct symbol {
    int32_t id; /* −1: merged into its left neighbour */
    int32_t prev, next;
} symbol;

typedef struct waiting {
    int32_t rank;
    uint32_t at; /* of the left symbol */
    int32_t left, right, made;
} waiting;

struct il__bpe {
    il_arena arena;
    il__bytes *tokens; /* by id */
    size_t n_tokens, cap_tokens;
    int32_t *slots; /* id + 1 by hash of the bytes; 0 free */
    size_t n_slots, n_used;
    merge *merges;
    size_t n_merge_slots, n_merges;
    int32_t byte_ids[256]; /* −1: no token */
    bool whole_words;
    cached *cache;
    symbol *symbols;
    waiting *heap;
    size_t cap_symbols;
};

int il__ids_push(il_token_ids *out, int32_t id, il_error *err)
{
    if (out->n == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 64;
        int32_t *more = realloc(out->ids, cap * sizeof *more);
        if (!more) {
            return il_fail(err, IL_E_NOMEM, "no memory for %zu token ids", cap);
        }
        out->ids = more;
        out->cap = cap;
    }
    out->ids[out->n++] = id;
    return IL_OK;
}

int il__bpe_make(il__bpe **out, il_error *err)
{
    il__bpe *b = calloc(1, sizeof *b);
    *out = b;
    if (b) {
        memset(b->byte_ids, 0xff, sizeof b->byte_ids);
        b->n_slots = FIRST_SLOTS;
        b->n_merge_slots = FIRST_SLOTS;
        b->slots = calloc(b->n_slots, sizeof *b->slots);
        b->merges = malloc(b->n_merge_slots * sizeof *b->merges);
        b->cache = calloc(CACHE_SLOTS, sizeof *b->cache);
    }
    if (!b || !b->slots || !b->merges || !b->cache) {
        il__bpe_free(b);
        *out = NULL;
        return il_fail(err, IL_E_NOMEM, "no memory for a tokenizer");
    }
    memset(b->merges, 0xff, b->n_merge_slots * sizeof *b->merges);
    return IL_OK;
}

void il__bpe_free(il__bpe *b)
{
    if (b) {
        free(b->tokens);
        free(b->slots);
        free(b->merges);
        free(b->cache);
        free(b->symbols);
        free(b->heap);
        il_arena_free(&b->arena);
        free(b);
    }
}

void il__bpe_whole_words(il__bpe *b, bool on)
{
    b->whole_words = on;
}

size_t il__bpe_size(const il__bpe *b)
{
    return b->n_tokens;
}

il__bytes il__bpe_token(const il__bpe *b, int32_t id)
{
    return id >= 0 && (size_t)id < b->n_tokens ? b->tokens[id] : (il__bytes){NULL, 0};
}

/* The slot of these bytes, or the free one where they belong. */
static size_t token_slot(const il__bpe *b, const char *text, size_t len)
{
    size_t mask = b->n_slots - 1;
    size_t at = (size_t)il_fnv1a64(text, len) & mask;
    for (; b->slots[at]; at = (at + 1) & mask) {
        const il__bytes *t = &b->tokens[b->slots[at] - 1];
        if (t->len == len && memcmp(t->text, text, len) == 0) {
            break;
        }
    }
    return at;
}

static int32_t find_token(const il__bpe *b, const char *text, size_t len)
{
    return b->slots[token_slot(b, text, len)] - 1;
}

static int grow_slots(il__bpe *b, il_error *err)
{
    size_t old = b->n_slots;
    int32_t *was = b->slots;
    int32_t *more = calloc(2 * old, sizeof *more);
    if (!more) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu tokens", b->n_used);
    }
    b->slots = more;
    b->n_slots = 2 * old;
    for (size_t i = 0; i < old; i++) {
        if (was[i]) {
            const il__bytes *t = &b->tokens[was[i] - 1];
            b->slots[token_slot(b, t->text, t->len)] = was[i];
        }
    }
    free(was);
    return IL_OK;
}

static int grow_tokens(il__bpe *b, size_t n, il_error *err)
{
    if (n > b->cap_tokens) {
        size_t cap = n > 2 * b->cap_tokens ? n + 1024 : 2 * b->cap_tokens;
        il__bytes *more = realloc(b->tokens, cap * sizeof *more);
        if (!more) {
            return il_fail(err, IL_E_NOMEM, "no memory for %zu tokens", cap);
        }
        memset(more + b->cap_tokens, 0, (cap - b->cap_tokens) * sizeof *more);
        b->tokens = more;
        b->cap_tokens = cap;
    }
    b->n_tokens = n > b->n_tokens ? n : b->n_tokens;
    return IL_OK;
}

int il__bpe_add(il__bpe *b, const char *text, size_t len, int32_t id, il_error *err)
{
    if (id < 0 || id > 1 << 26) {
        return il_fail(err, IL_E_DAMAGED, "token id %d is out of range", (int)id);
    }
    int rc = grow_tokens(b, (size_t)id + 1, err);
    rc = rc || 2 * b->n_used < b->n_slots ? rc : grow_slots(b, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (b->tokens[id].text) {
        return il_fail(err, IL_E_DAMAGED, "two tokens have the id %d", (int)id);
    }
    const char *copy = il_arena_strndup(&b->arena, text, len);
    if (!copy) {
        return il_fail(err, IL_E_NOMEM, "no memory for a token");
    }
    b->tokens[id] = (il__bytes){copy, len};
    size_t slot = token_slot(b, text, len);
    if (!b->slots[slot]) { /* of two tokens of the same bytes the first counts */
        b->slots[slot] = id + 1;
        b->n_used++;
    }
    if (len == 1 && b->byte_ids[(unsigned char)text[0]] < 0) {
        b->byte_ids[(unsigned char)text[0]] = id;
    }
    return IL_OK;
}

static size_t merge_slot(const il__bpe *b, int32_t left, int32_t right)
{
    size_t mask = b->n_merge_slots - 1;
    uint64_t key =
        ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9E3779B97F4A7C15);
    size_t at = (size_t)(key >> 32) & mask;
    while (b->merges[at].left >= 0 &&
           (b->merges[at].left != left || b->merges[at].right != right)) {
        at = (at + 1) & mask;
    }
    return at;
}

static int grow_merges(il__bpe *b, il_error *err)
{
    size_t old = b->n_merge_slots;
    merge *was = b->merges;
    merge *more = malloc(2 * old * sizeof *more);
    if (!more) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu merges", b->n_merges);
    }
    memset(more, 0xff, 2 * old * sizeof *more);
    b->merges = more;
    b->n_merge_slots = 2 * old;
    for (size_t i = 0; i < old; i++) {
        if (was[i].left >= 0) {
            b->merges[merge_slot(b, was[i].left, was[i].right)] = was[i];
        }
    }
    free(was);
    return IL_OK;
}

int il__bpe_add_merge(il__bpe *b, il__bytes left, il__bytes right, il_error *err)
{
    char small[256];
    size_t len = left.len + right.len;
    char *both = len <= sizeof small ? small : malloc(len);
    if (!both) {
        return il_fail(err, IL_E_NOMEM, "no memory for a merge");
    }
    memcpy(both, left.text, left.len);
    memcpy(both + left.len, right.text, right.len);
    merge m = {find_token(b, left.text, left.len), find_token(b, right.text, right.len),
               (int32_t)b->n_merges, find_token(b, both, len)};
    if (both != small) {
        free(both);
    }
    if (m.left < 0 || m.right < 0 || m.made < 0) {
        return il_fail(err, IL_E_DAMAGED, "merge %zu joins to what is no token", b->n_merges + 1);
    }
    int rc = 2 * b->n_merges < b->n_merge_slots ? IL_OK : grow_merges(b, err);
    if (rc == IL_OK) {
        size_t at = merge_slot(b, m.left, m.right);
        if (b->merges[at].left < 0) {
            b->merges[at] = m;
        } else { /* doubled: the later rank counts, as in the reference */
            b->merges[at].rank = m.rank;
        }
        b->n_merges++;
    }
    return rc;
}

/* ---- one word ---- */

static bool sooner(const waiting *a, const waiting *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(waiting *heap, size_t *n, waiting item)
{
    size_t at = (*n)++;
    while (at > 0 && sooner(&item, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = item;
}

static waiting heap_pop(waiting *heap, size_t *n)
{
    waiting top = heap[0];
    waiting last = heap[--*n];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < *n; at = child) {
        child += child + 1 < *n && sooner(&heap[child + 1], &heap[child]);
        if (!sooner(&heap[child], &last)) {
            break;
        }
        heap[at] = heap[child];
    }
    heap[at] = last;
    return top;
}

static void consider(il__bpe *b, size_t *n, int32_t left_at)
{
    if (left_at < 0 || b->symbols[left_at].next < 0) {
        return;
    }
    int32_t left = b->symbols[left_at].id;
    int32_t right = b->symbols[b->symbols[left_at].next].id;
    const merge *m = &b->merges[merge_slot(b, left, right)];
    if (m->left >= 0) {
        heap_push(b->heap, n, (waiting){m->rank, (uint32_t)left_at, left, right, m->made});
    }
}

/* Every merge takes one symbol away and adds two pairs at most: 3·len pairs in all. */
static int make_room(il__bpe *b, size_t len, il_error *err)
{
    if (len > INT32_MAX / 4) {
        return il_fail(err, IL_E_RANGE, "a word of %zu bytes is too long", len);
    }
    if (len > b->cap_symbols) {
        size_t cap = 2 * len + 64;
        symbol *symbols = realloc(b->symbols, cap * sizeof *symbols);
        b->symbols = symbols ? symbols : b->symbols;
        waiting *heap = realloc(b->heap, 3 * cap * sizeof *heap);
        b->heap = heap ? heap : b->heap;
        if (!symbols || !heap) {
            return il_fail(err, IL_E_NOMEM, "no memory for a word of %zu bytes", len);
        }
        b->cap_symbols = cap;
    }
    return IL_OK;
}

static int merge_word(il__bpe *b, const char *text, size_t len, il_token_ids *out, il_error *err)
{
    int rc = make_room(b, len, err);
    if (rc != IL_OK) {
        return rc;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (b->byte_ids[byte] < 0) {
            return il_fail(err, IL_E_INVALID, "the vocabulary has no token for the byte 0x%02x",
                           byte);
        }
        b->symbols[i] =
            (symbol){b->byte_ids[byte], (int32_t)i - 1, i + 1 < len ? (int32_t)i + 1 : -1};
    }
    size_t n = 0;
    for (size_t i = 0; i + 1 < len; i++) {
        consider(b, &n, (int32_t)i);
    }
    while (n > 0) {
        waiting w = heap_pop(b->heap, &n);
        symbol *left = &b->symbols[w.at];
        if (left->id != w.left || left->next < 0 || b->symbols[left->next].id != w.right) {
            continue; /* one of the two has merged since */
        }
        symbol *right = &b->symbols[left->next];
        left->id = w.made;
        left->next = right->next;
        right->id = -1;
        if (left->next >= 0) {
            b->symbols[left->next].prev = (int32_t)w.at;
        }
        consider(b, &n, left->prev);
        consider(b, &n, (int32_t)w.at);
    }
    for (int32_t at = 0; at >= 0 && rc == IL_OK; at = b->symbols[at].next) {
        rc = il__ids_push(out, b->symbols[at].id, err);
    }
    return rc;
}

int il__bpe_word(il__bpe *b, const char *text, size_t len, il_token_ids *out, il_error *err)
{
    cached *slot = NULL;
    int rc = IL_OK;
    if (len <= CACHE_WORD_BYTES) {
        uint64_t hash = il_fnv1a64(text, len);
        slot = &b->cache[(hash ^ hash >> 32) & (CACHE_SLOTS - 1)];
        if (slot->len == len && memcmp(slot->word, text, len) == 0) {
            for (size_t i = 0; i < slot->n && rc == IL_OK; i++) {
                rc = il__ids_push(out, slot->ids[i], err);
            }
            return rc;
        }
    }
    size_t from = out->n;
    int32_t whole = b->whole_words ? find_token(b, text, len) : -1;
    rc = whole >= 0 ? il__ids_push(out, whole, err) : merge_word(b, text, len, out, err);
    if (rc == IL_OK && slot && out->n - from <= CACHE_IDS) {
        slot->len = (uint8_t)len;
        slot->n = (uint8_t)(out->n - from);
        memcpy(slot->word, text, len);
        memcpy(slot->ids, out->ids + from, slot->n * sizeof *slot->ids);
    }
    return rc;
}
