/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf.h"

#include "base/arena.h"
#include "base/checked.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* More of either than any model has: a damaged count must not ask for all memory. */
enum { MOST_PAIRS = 1 << 16, MOST_TENSORS = 1 << 20, MOST_NAME_BYTES = 1 << 16 };

static const char not_gguf_hint[] =
    "it is another file, or was cut: copy it again; a pointer of Git LFS must be fetched first";

typedef struct pair {
    const char *key;
    il_gguf_value value;
} pair;

struct il_gguf {
    il_arena arena;
    const uint8_t *bytes;
    size_t n_bytes;
    const char *path;
    pair *pairs;
    size_t n_pairs;
    il_gguf_tensor *tensors;
    size_t n_tensors;
};

/* Where reading stands; `ok` false once anything did not fit. */
typedef struct cursor {
    const uint8_t *bytes;
    size_t n_bytes, at;
    bool ok;
} cursor;

const il_ggml_layout *il_ggml_layout_of(uint32_t number)
{
    static const il_ggml_layout layouts[] = {
#define LAYOUT(id, number, block, bytes) {IL_GGML_##id, #id, block, bytes},
        IL_GGML_MAP(LAYOUT)
#undef LAYOUT
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        if ((uint32_t)layouts[i].type == number) {
            return &layouts[i];
        }
    }
    return NULL;
}

static const uint8_t *take(cursor *c, uint64_t n)
{
    if (!c->ok || n > c->n_bytes - c->at) {
        c->ok = false;
        return NULL;
    }
    const uint8_t *at = c->bytes + c->at;
    c->at += (size_t)n;
    return at;
}

static uint64_t read_le(const uint8_t *at, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++) {
        v |= (uint64_t)at[i] << (8 * i);
    }
    return v;
}

static uint64_t take_u64(cursor *c)
{
    const uint8_t *at = take(c, 8);
    return at ? read_le(at, 8) : 0;
}

static uint32_t take_u32(cursor *c)
{
    const uint8_t *at = take(c, 4);
    return at ? (uint32_t)read_le(at, 4) : 0;
}

/* A length and that many bytes; a name has no NUL inside. */
static const char *take_name(cursor *c, il_arena *arena)
{
    uint64_t len = take_u64(c);
    c->ok = c->ok && len <= MOST_NAME_BYTES;
    const uint8_t *at = take(c, len);
    if (!at || memchr(at, 0, (size_t)len)) {
        c->ok = false;
        return NULL;
    }
    const char *name = il_arena_strndup(arena, (const char *)at, (size_t)len);
    c->ok = name != NULL;
    return name;
}

/* Bytes of a scalar; 0 for strings and arrays, whose size is in the file. */
static unsigned scalar_bytes(il_gguf_type type)
{
    static const unsigned char sizes[IL_GGUF_TYPE_COUNT] = {
        [IL_GGUF_U8] = 1,  [IL_GGUF_I8] = 1,  [IL_GGUF_U16] = 2, [IL_GGUF_I16] = 2,
        [IL_GGUF_U32] = 4, [IL_GGUF_I32] = 4, [IL_GGUF_F32] = 4, [IL_GGUF_BOOL] = 1,
        [IL_GGUF_U64] = 8, [IL_GGUF_I64] = 8, [IL_GGUF_F64] = 8};
    return sizes[type];
}

static void skip_text(cursor *c)
{
    uint64_t len = take_u64(c);
    (void)take(c, len);
}

static void take_array(cursor *c, il_gguf_value *out)
{
    uint32_t element = take_u32(c);
    out->count = take_u64(c);
    c->ok = c->ok && element < IL_GGUF_TYPE_COUNT && element != IL_GGUF_ARRAY;
    if (!c->ok) {
        return;
    }
    out->element = (il_gguf_type)element;
    size_t from = c->at;
    uint64_t n_bytes;
    if (out->element == IL_GGUF_STRING) {
        for (uint64_t i = 0; i < out->count && c->ok; i++) {
            skip_text(c);
        }
    } else if (il_mul_u64(out->count, scalar_bytes(out->element), &n_bytes)) {
        (void)take(c, n_bytes);
    } else {
        c->ok = false;
    }
    out->data = c->bytes + from;
    out->n_bytes = c->at - from;
}

static void take_value(cursor *c, il_gguf_value *out)
{
    uint32_t type = take_u32(c);
    *out = (il_gguf_value){0};
    c->ok = c->ok && type < IL_GGUF_TYPE_COUNT;
    if (!c->ok) {
        return;
    }
    out->type = (il_gguf_type)type;
    if (out->type == IL_GGUF_ARRAY) {
        take_array(c, out);
        return;
    }
    size_t from = c->at;
    if (out->type == IL_GGUF_STRING) {
        skip_text(c);
    } else {
        (void)take(c, scalar_bytes(out->type));
    }
    out->data = c->bytes + from;
    out->n_bytes = c->at - from;
}

static int damaged(const il_gguf *file, const char *what, size_t at, il_error *err)
{
    int rc = il_fail(err, IL_E_DAMAGED, "%s does not hold together", what);
    il_error_where(err, "%s: byte %zu", file->path, at);
    il_error_hint(err, "the file is cut or altered: make or copy it again");
    return rc;
}

static int read_tensor(il_gguf *file, cursor *c, il_gguf_tensor *t, il_error *err)
{
    t->name = take_name(c, &file->arena);
    t->n_dims = take_u32(c);
    c->ok = c->ok && t->n_dims >= 1 && t->n_dims <= 4;
    t->n_values = 1;
    for (uint32_t d = 0; d < t->n_dims && c->ok; d++) {
        t->dims[d] = take_u64(c);
        c->ok = c->ok && il_mul_u64(t->n_values, t->dims[d], &t->n_values);
    }
    uint32_t type = take_u32(c);
    t->n_bytes = take_u64(c); /* the offset, until the data's begin is known */
    if (!c->ok) {
        return damaged(file, "a tensor's description", c->at, err);
    }
    t->layout = il_ggml_layout_of(type);
    if (!t->layout) {
        int rc = il_fail(err, IL_E_UNSUPPORTED, "tensor %s is of the unknown type %" PRIu32,
                         t->name, type);
        il_error_where(err, "%s", file->path);
        il_error_hint(err, "quantise the model as Q8_0, Q4_0 or Q4_K");
        return rc;
    }
    return t->dims[0] % t->layout->block_values == 0
               ? IL_OK
               : damaged(file, "a row that is no multiple of its block", c->at, err);
}

/* The tensors' data begin at the next multiple of the alignment. */
static int place_tensors(il_gguf *file, size_t end, il_error *err)
{
    int64_t align = 32;
    int rc = il_gguf_get_i64(file, "general.alignment", false, &align, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (align < 1 || align > 1 << 20 || (align & (align - 1)) != 0) {
        return damaged(file, "general.alignment", end, err);
    }
    size_t mask = (size_t)align - 1;
    size_t begin = (end + mask) & ~mask;
    for (size_t i = 0; i < file->n_tensors; i++) {
        il_gguf_tensor *t = &file->tensors[i];
        uint64_t offset = t->n_bytes;
        uint64_t stop;
        if (offset & mask ||
            !il_mul_u64(t->n_values / t->layout->block_values, t->layout->block_bytes,
                        &t->n_bytes) ||
            begin > file->n_bytes || !il_add_u64(offset, t->n_bytes, &stop) ||
            stop > file->n_bytes - begin) {
            rc = il_fail(err, IL_E_DAMAGED, "tensor %s lies beyond the end of the file", t->name);
            il_error_where(err, "%s", file->path);
            il_error_hint(err, "the file is cut or altered: make or copy it again");
            return rc;
        }
        t->data = file->bytes + begin + (size_t)offset;
    }
    return IL_OK;
}

static int read_all(il_gguf *file, il_error *err)
{
    cursor c = {file->bytes, file->n_bytes, 0, true};
    const uint8_t *magic = take(&c, 4);
    uint32_t version = take_u32(&c);
    uint64_t n_tensors = take_u64(&c);
    uint64_t n_pairs = take_u64(&c);
    if (!magic || memcmp(magic, "GGUF", 4) != 0) {
        int rc = il_fail(err, IL_E_DAMAGED, "this is no GGUF file");
        il_error_where(err, "%s", file->path);
        il_error_hint(err, "%s", not_gguf_hint);
        return rc;
    }
    if (version != 2 && version != 3) {
        int rc =
            il_fail(err, IL_E_UNSUPPORTED, "GGUF version %" PRIu32 " is not read here", version);
        il_error_where(err, "%s", file->path);
        il_error_hint(err, "versions 2 and 3, little endian, are: convert it again");
        return rc;
    }
    if (!c.ok || n_tensors > MOST_TENSORS || n_pairs > MOST_PAIRS) {
        return damaged(file, "the header", c.at, err);
    }
    file->pairs = il_arena_array(&file->arena, (size_t)n_pairs, sizeof *file->pairs);
    file->tensors = il_arena_array(&file->arena, (size_t)n_tensors, sizeof *file->tensors);
    if (!file->pairs || !file->tensors) {
        return il_fail(err, IL_E_NOMEM, "no memory for the contents of %s", file->path);
    }
    for (; file->n_pairs < n_pairs; file->n_pairs++) {
        file->pairs[file->n_pairs].key = take_name(&c, &file->arena);
        take_value(&c, &file->pairs[file->n_pairs].value);
        if (!c.ok) {
            return damaged(file, "the metadata", c.at, err);
        }
    }
    for (; file->n_tensors < n_tensors; file->n_tensors++) {
        int rc = read_tensor(file, &c, &file->tensors[file->n_tensors], err);
        if (rc != IL_OK) {
            return rc;
        }
    }
    return place_tensors(file, c.at, err);
}

static int map_file(il_gguf *file, il_error *err)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        int rc = il_fail_errno(err, errno, "cannot open the model");
        il_error_where(err, "%s", file->path);
        if (fd >= 0) {
            (void)close(fd);
        }
        return rc;
    }
    int rc = IL_OK;
    if (!S_ISREG(st.st_mode) || st.st_size < 24) {
        rc = il_fail(err, IL_E_DAMAGED, "this is no GGUF file");
        il_error_where(err, "%s", file->path);
        il_error_hint(err, "%s", not_gguf_hint);
    } else {
        file->n_bytes = (size_t)st.st_size;
        void *map = mmap(NULL, file->n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            rc = il_fail_errno(err, errno, "cannot map the model");
            il_error_where(err, "%s", file->path);
        } else {
            file->bytes = map;
        }
    }
    (void)close(fd);
    return rc;
}

int il_gguf_open(const char *path, il_gguf **out, il_error *err)
{
    il_arena arena = {0};
    il_gguf *file = il_arena_alloc(&arena, sizeof *file);
    *out = NULL;
    if (!file) {
        return il_fail(err, IL_E_NOMEM, "no memory to open %s", path);
    }
    file->path = il_arena_strdup(&arena, path);
    file->arena = arena;
    int rc = file->path ? map_file(file, err) : il_fail(err, IL_E_NOMEM, "no memory for a path");
    rc = rc ? rc : read_all(file, err);
    if (rc != IL_OK) {
        il_gguf_close(file);
        return rc;
    }
    *out = file;
    return IL_OK;
}

void il_gguf_close(il_gguf *file)
{
    if (file) {
        if (file->bytes) {
            (void)munmap((void *)(uintptr_t)file->bytes, file->n_bytes);
        }
        il_arena arena = file->arena; /* the struct lies in it */
        il_arena_free(&arena);
    }
}

const il_gguf_value *il_gguf_find(const il_gguf *file, const char *key)
{
    for (size_t i = 0; i < file->n_pairs; i++) {
        if (strcmp(file->pairs[i].key, key) == 0) {
            return &file->pairs[i].value;
        }
    }
    return NULL;
}

size_t il_gguf_tensor_count(const il_gguf *file)
{
    return file->n_tensors;
}

const il_gguf_tensor *il_gguf_tensor_at(const il_gguf *file, size_t index)
{
    return &file->tensors[index];
}

const il_gguf_tensor *il_gguf_tensor_find(const il_gguf *file, const char *name)
{
    for (size_t i = 0; i < file->n_tensors; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) {
            return &file->tensors[i];
        }
    }
    return NULL;
}

static bool read_i64(il_gguf_type type, const uint8_t *data, int64_t *out)
{
    unsigned n = type == IL_GGUF_F32 || type == IL_GGUF_F64 || type == IL_GGUF_STRING ||
                         type == IL_GGUF_ARRAY
                     ? 0
                     : scalar_bytes(type);
    if (n == 0) {
        return false;
    }
    uint64_t v = read_le(data, n);
    bool is_signed = type == IL_GGUF_I8 || type == IL_GGUF_I16 || type == IL_GGUF_I32;
    if (is_signed && v >> (8 * n - 1)) {
        v |= ~UINT64_C(0) << (8 * n);
    }
    if (type == IL_GGUF_U64 && v > INT64_MAX) {
        return false;
    }
    *out = (int64_t)v;
    return true;
}

/* NULL with *rc set: IL_OK when it may be absent. */
static const il_gguf_value *find_typed(const il_gguf *file, const char *key, bool required, int *rc,
                                       il_error *err)
{
    const il_gguf_value *value = il_gguf_find(file, key);
    *rc = IL_OK;
    if (!value && required) {
        *rc = il_fail(err, IL_E_DAMAGED, "%s is not there", key);
        il_error_where(err, "%s", file->path);
    }
    return value;
}

static int wrong_type(const il_gguf *file, const char *key, const char *wanted, il_error *err)
{
    int rc = il_fail(err, IL_E_DAMAGED, "%s is no %s", key, wanted);
    il_error_where(err, "%s", file->path);
    return rc;
}

int il_gguf_get_i64(const il_gguf *file, const char *key, bool required, int64_t *out,
                    il_error *err)
{
    int rc;
    const il_gguf_value *v = find_typed(file, key, required, &rc, err);
    if (v && !read_i64(v->type, v->data, out)) {
        rc = wrong_type(file, key, "whole number", err);
    }
    return rc;
}

int il_gguf_get_f64(const il_gguf *file, const char *key, bool required, double *out, il_error *err)
{
    int rc;
    const il_gguf_value *v = find_typed(file, key, required, &rc, err);
    int64_t whole;
    if (v && v->type == IL_GGUF_F32) {
        uint32_t bits = (uint32_t)read_le(v->data, 4);
        float f;
        memcpy(&f, &bits, sizeof f);
        *out = (double)f;
    } else if (v && v->type == IL_GGUF_F64) {
        uint64_t bits = read_le(v->data, 8);
        memcpy(out, &bits, sizeof *out);
    } else if (v && read_i64(v->type, v->data, &whole)) {
        *out = (double)whole;
    } else if (v) {
        rc = wrong_type(file, key, "number", err);
    }
    return rc;
}

int il_gguf_get_bool(const il_gguf *file, const char *key, bool *out, il_error *err)
{
    const il_gguf_value *v = il_gguf_find(file, key);
    if (v && v->type != IL_GGUF_BOOL) {
        return wrong_type(file, key, "truth value", err);
    }
    if (v) {
        *out = v->data[0] != 0;
    }
    return IL_OK;
}

int il_gguf_get_text(const il_gguf *file, const char *key, bool required, const char **text,
                     size_t *len, il_error *err)
{
    int rc;
    const il_gguf_value *v = find_typed(file, key, required, &rc, err);
    if (v && v->type != IL_GGUF_STRING) {
        return wrong_type(file, key, "text", err);
    }
    if (v) {
        *text = (const char *)v->data + 8;
        *len = v->n_bytes - 8;
    }
    return rc;
}

int il_gguf_each_text(const il_gguf *file, const char *key,
                      int (*visit)(uint64_t index, const char *text, size_t len, void *user,
                                   il_error *err),
                      void *user, il_error *err)
{
    int rc;
    const il_gguf_value *v = find_typed(file, key, true, &rc, err);
    if (!v) {
        return rc;
    }
    if (v->type != IL_GGUF_ARRAY || v->element != IL_GGUF_STRING) {
        return wrong_type(file, key, "list of texts", err);
    }
    const uint8_t *at = v->data;
    for (uint64_t i = 0; i < v->count && rc == IL_OK; i++) {
        size_t len = (size_t)read_le(at, 8); /* checked when the file was read */
        rc = visit(i, (const char *)at + 8, len, user, err);
        at += 8 + len;
    }
    return rc;
}

int64_t il_gguf_array_i64(const il_gguf_value *array, uint64_t index)
{
    int64_t out = 0;
    unsigned n = scalar_bytes(array->element);
    if (array->type == IL_GGUF_ARRAY && index < array->count && n > 0) {
        (void)read_i64(array->element, array->data + index * n, &out);
    }
    return out;
}
