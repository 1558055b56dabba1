/* SPDX-License-Identifier: Apache-2.0
 *
 * "family=gpt2,n_layer=12,d_model=768,n_head=12" → shape.
 */
#include "model/shape.h"

#include "base/text.h"
#include "model/family.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct flag_key {
    const char *name;
    size_t offset; /* of a uint32_t in il_shape */
} flag_key;

static const flag_key keys[] = {
    {"n_layer", offsetof(il_shape, n_layer)},
    {"d_model", offsetof(il_shape, d_model)},
    {"n_head", offsetof(il_shape, n_head)},
    {"n_kv_head", offsetof(il_shape, n_kv_head)},
    {"d_head", offsetof(il_shape, d_head)},
    {"d_ff", offsetof(il_shape, d_ff)},
    {"vocab_size", offsetof(il_shape, vocab_size)},
    {"n_positions", offsetof(il_shape, n_positions)},
    {"n_expert", offsetof(il_shape, n_expert)},
    {"n_expert_used", offsetof(il_shape, n_expert_used)},
    {"sliding_window", offsetof(il_shape, sliding_window)},
};
enum { N_KEYS = sizeof keys / sizeof *keys, MOST_FLAG_BYTES = 1024 };

static int unknown_key(const char *key, il_error *err)
{
    const char *names[N_KEYS + 3] = {"family", "name", "tied"};
    for (size_t i = 0; i < N_KEYS; i++) {
        names[i + 3] = keys[i].name;
    }
    int rc = il_fail(err, IL_E_INVALID, "a shape has no \"%.60s\"", key);
    const char *nearest = il_text_nearest(key, names, N_KEYS + 3);
    il_error_hint(err, "%s%s%s", nearest ? "did you mean " : "the keys are family, n_layer, ",
                  nearest ? nearest : "d_model, n_head, n_kv_head, d_head, d_ff, vocab_size, ",
                  nearest ? "?" : "n_positions, tied, n_expert, n_expert_used, sliding_window");
    return rc;
}

static int set_key(il_shape *s, const char *key, const char *value, il_error *err)
{
    if (strcmp(key, "family") == 0) {
        return IL_OK;
    }
    if (strcmp(key, "name") == 0) {
        if (strlen(value) >= sizeof s->name || strchr(value, '/') || value[0] == '.') {
            return il_fail(err, IL_E_INVALID, "\"%.60s\" cannot name a model", value);
        }
        (void)snprintf(s->name, sizeof s->name, "%s", value);
        return IL_OK;
    }
    if (strcmp(key, "tied") == 0) {
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0) {
            return il_fail(err, IL_E_INVALID, "tied is true or false, not \"%.40s\"", value);
        }
        s->tied = value[0] == 't';
        return IL_OK;
    }
    for (size_t i = 0; i < N_KEYS; i++) {
        if (strcmp(key, keys[i].name) != 0) {
            continue;
        }
        int64_t n;
        int rc = il_text_to_i64(value, &n);
        if (rc != IL_OK || n < 1 || n > INT32_MAX) {
            return il_fail(err, IL_E_INVALID, "%s must be an integer from 1 to %d, not \"%.40s\"",
                           key, INT32_MAX, value);
        }
        memcpy((char *)s + keys[i].offset, &(uint32_t){(uint32_t)n}, sizeof(uint32_t));
        return IL_OK;
    }
    return unknown_key(key, err);
}

/* Splits the next "key=value" off *rest in place. */
static int next_pair(char **rest, char **key, char **value, il_error *err)
{
    char *item = *rest;
    char *comma = strchr(item, ',');
    *rest = comma ? comma + 1 : NULL;
    if (comma) {
        *comma = '\0';
    }
    char *equals = strchr(item, '=');
    if (!equals || equals == item || equals[1] == '\0') {
        int rc = il_fail(err, IL_E_INVALID, "\"%.60s\" is not KEY=VALUE", item);
        il_error_hint(err, "a shape reads family=gpt2,n_layer=12,d_model=768,n_head=12");
        return rc;
    }
    *equals = '\0';
    *key = item;
    *value = equals + 1;
    return IL_OK;
}

static int find_family(const char *text, il_arch *out, il_error *err)
{
    char copy[MOST_FLAG_BYTES], *rest = copy, *key, *value;
    (void)snprintf(copy, sizeof copy, "%s", text);
    while (rest) {
        int rc = next_pair(&rest, &key, &value, err);
        if (rc != IL_OK) {
            return rc;
        }
        if (strcmp(key, "family") == 0) {
            *out = il__family_find(value);
            return *out == IL_ARCH_COUNT ? il__family_unknown(value, false, err) : IL_OK;
        }
    }
    int rc = il_fail(err, IL_E_INVALID, "the shape names no family");
    il_error_hint(err, "a shape reads family=gpt2,n_layer=12,d_model=768,n_head=12");
    return rc;
}

/* What the family's models usually take for what was left out. Gated feed-forwards are 8/3 of the
 * width, rounded up to a multiple of 64; the others 4 times. */
static int fill_in(il_shape *s, il_error *err)
{
    const struct {
        const char *name;
        uint32_t value;
    } needed[] = {{"n_layer", s->n_layer}, {"d_model", s->d_model}, {"n_head", s->n_head}};
    for (size_t i = 0; i < 3; i++) {
        if (needed[i].value == 0) {
            return il_fail(err, IL_E_INVALID, "the shape needs %s", needed[i].name);
        }
    }
    if (s->n_kv_head == 0) {
        s->n_kv_head = s->n_head;
    }
    if (s->d_head == 0) {
        if (s->d_model % s->n_head != 0) {
            int rc = il_fail(err, IL_E_INVALID, "%u heads do not divide the width %u", s->n_head,
                             s->d_model);
            il_error_hint(err, "choose a width that is a multiple of the heads");
            return rc;
        }
        s->d_head = s->d_model / s->n_head;
    }
    if (s->d_ff == 0) {
        uint64_t wide = 4ull * s->d_model;
        uint64_t ff = s->gated_ffn ? (wide * 2 / 3 + 63) / 64 * 64 : wide;
        s->d_ff = ff > INT32_MAX ? INT32_MAX : (uint32_t)ff;
    }
    s->attn_scale = 1.0 / sqrt((double)s->d_head);
    if (s->arch == IL_ARCH_GEMMA3) {
        s->embed_scale = sqrt((double)s->d_model);
    }
    if (s->position == IL_POSITION_ROPE) {
        s->rope_dims = s->arch == IL_ARCH_GPT_NEOX ? (s->d_head / 4) & ~1u : s->d_head;
        if (s->rope_dims == 0) {
            s->rope_dims = s->d_head & ~1u;
        }
    }
    return IL_OK;
}

int il_shape_from_flags(const char *text, il_shape *out, il_error *err)
{
    char copy[MOST_FLAG_BYTES], *rest = copy, *key, *value;
    il_arch arch = IL_ARCH_COUNT;
    int rc = IL_OK;
    if (strlen(text) >= sizeof copy) {
        rc = il_fail(err, IL_E_RANGE, "the shape is longer than %d bytes", MOST_FLAG_BYTES);
        goto out;
    }
    rc = find_family(text, &arch, err);
    if (rc != IL_OK) {
        goto out;
    }
    il_shape shape = *il__family_usual(arch);
    (void)snprintf(copy, sizeof copy, "%s", text);
    while (rc == IL_OK && rest) {
        rc = next_pair(&rest, &key, &value, err);
        if (rc == IL_OK) {
            rc = set_key(&shape, key, value, err);
        }
    }
    if (rc == IL_OK) {
        rc = fill_in(&shape, err);
    }
    if (rc == IL_OK) {
        rc = il_shape_check(&shape, err);
    }
    if (rc == IL_OK) {
        *out = shape;
    }
out:
    if (rc != IL_OK) {
        il_error_where(err, "shape \"%.200s\"", text);
    }
    return rc;
}
