/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "wire/field.h"
#include "wire/message.h"

#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
#define TYPE_NAME(id, name) [IL_WIRE_##id] = (name),
    IL_WIRE_TYPE_MAP(TYPE_NAME)
#undef TYPE_NAME
};

int il_wire_request_read(const json_t *message, il_wire_type *type, int64_t *id, il_error *err)
{
    il__fields f = il__fields_of(message, "request", err);
    *id = il__need_i64(&f, "id", 0, INT64_MAX);
    const char *name = il__need_text(&f, "type");
    *type = IL_WIRE_TYPE_COUNT;
    for (int i = 0; name && i < IL_WIRE_TYPE_COUNT; i++) {
        if (strcmp(type_names[i], name) == 0) {
            *type = (il_wire_type)i;
        }
    }
    return f.status;
}

json_t *il_wire_request_json(il_wire_type type, int64_t id)
{
    return json_pack("{s:I,s:s}", "id", (json_int_t)id, "type", type_names[type]);
}

/* --- load
 * ----------------------------------------------------------------------------------------- */

json_t *il_wire_load_json(int64_t id, const il_wire_load *load)
{
    return json_pack("{s:I,s:s,s:s,s:s,s:s,s:I,s:s?,s:s,s:s,s:s,s:I,s:I,s:I,s:O?}", "id",
                     (json_int_t)id, "type", "load", "model", load->model, "dtype", load->dtype,
                     "device", load->device, "threads", (json_int_t)load->threads, "affinity",
                     load->affinity, "isa", load->isa, "logits", load->logits, "huge_pages",
                     load->huge_pages, "max_batch", (json_int_t)load->max_batch, "max_prompt_tok",
                     (json_int_t)load->max_prompt_tok, "max_gen_tok", (json_int_t)load->max_gen_tok,
                     "options", load->options);
}

int il_wire_load_read(const json_t *message, il_wire_load *out, il_error *err)
{
    il__fields f = il__fields_of(message, "load", err);
    *out = (il_wire_load){
        .model = il__need_text(&f, "model"),
        .dtype = il__need_text(&f, "dtype"),
        .device = il__need_text(&f, "device"),
        .isa = il__need_text(&f, "isa"),
        .logits = il__need_text(&f, "logits"),
        .huge_pages = il__need_text(&f, "huge_pages"),
        .threads = il__need_u32(&f, "threads", 0, 4096),
        .affinity = il__want_text(&f, "affinity"),
        .max_batch = il__need_u32(&f, "max_batch", 1, IL_WIRE_MAX_BATCH),
        .max_prompt_tok = il__need_u32(&f, "max_prompt_tok", 1, IL_WIRE_MAX_TOK),
        .max_gen_tok = il__need_u32(&f, "max_gen_tok", 0, IL_WIRE_MAX_TOK),
        .options = il__want_node(&f, "options", JSON_OBJECT),
    };
    return f.status;
}

/* --- prepare
 * -------------------------------------------------------------------------------------- */

static json_t *ids_json(const int32_t *ids, uint32_t n)
{
    json_t *array = json_array();
    for (uint32_t i = 0; array && i < n; i++) {
        if (json_array_append_new(array, json_integer(ids[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

json_t *il_wire_prepare_json(int64_t id, const il_wire_prepare *prepare)
{
    json_t *prompts = json_array();
    for (uint32_t b = 0; b < prepare->batch; b++) {
        const int32_t *prompt = prepare->ids + (size_t)b * prepare->n_ids;
        if (json_array_append_new(prompts, ids_json(prompt, prepare->n_ids)) != 0) {
            json_decref(prompts);
            return NULL;
        }
    }
    return json_pack("{s:I,s:s,s:I,s:o,s:I,s:I}", "id", (json_int_t)id, "type", "prepare", "batch",
                     (json_int_t)prepare->batch, "ids", prompts, "gen_tokens",
                     (json_int_t)prepare->gen_tokens, "depth_tok", (json_int_t)prepare->depth_tok);
}

/* The prompts, all of one length, one after the other. */
static int32_t *read_prompts(il__fields *f, const json_t *prompts, uint32_t batch, uint32_t *n_ids)
{
    size_t n_prompts = json_array_size(prompts), n_first = 0, n_all = 0;
    n_first = json_array_size(json_array_get(prompts, 0));
    if (n_prompts != batch || n_first < 1 || n_first > IL_WIRE_MAX_TOK ||
        !il_mul_size(n_prompts, n_first, &n_all)) {
        il__fields_fail(f, "key \"ids\" must hold %u prompts of at least one token", batch);
        return NULL;
    }
    int32_t *ids = calloc(n_all, sizeof *ids);
    if (!ids) {
        il__fields_fail(f, "out of memory for %zu token ids", n_all);
        return NULL;
    }
    for (size_t b = 0; b < n_prompts && f->status == IL_OK; b++) {
        const json_t *prompt = json_array_get(prompts, b);
        if (json_array_size(prompt) != n_first) {
            il__fields_fail(f, "key \"ids\" holds prompts of different lengths");
        }
        il__read_ids(f, "ids", prompt, (uint32_t)n_first, ids + b * n_first);
    }
    if (f->status != IL_OK) {
        free(ids);
        return NULL;
    }
    *n_ids = (uint32_t)n_first;
    return ids;
}

int il_wire_prepare_read(const json_t *message, il_wire_prepare *out, il_error *err)
{
    il__fields f = il__fields_of(message, "prepare", err);
    *out = (il_wire_prepare){
        .batch = il__need_u32(&f, "batch", 1, IL_WIRE_MAX_BATCH),
        .gen_tokens = il__need_u32(&f, "gen_tokens", 0, IL_WIRE_MAX_TOK),
        .depth_tok = (uint32_t)il__want_i64(&f, "depth_tok", 0, IL_WIRE_MAX_TOK, 0),
    };
    const json_t *prompts = il__want_node(&f, "ids", JSON_ARRAY);
    if (f.status == IL_OK) {
        out->ids = read_prompts(&f, prompts, out->batch, &out->n_ids);
    }
    return f.status;
}

/* --- call, logits
 * ----------------------------------------------------------------------------------- */

json_t *il_wire_call_json(int64_t id, bool split)
{
    return json_pack("{s:I,s:s,s:b}", "id", (json_int_t)id, "type", "call", "split", (int)split);
}

int il_wire_call_read(const json_t *message, bool *split, il_error *err)
{
    il__fields f = il__fields_of(message, "call", err);
    *split = il__need_bool(&f, "split");
    return f.status;
}

json_t *il_wire_logits_json(int64_t id, const il_wire_logits *logits)
{
    return json_pack("{s:I,s:s,s:o,s:s}", "id", (json_int_t)id, "type", "logits", "ids",
                     ids_json(logits->ids, logits->n_ids), "path", logits->path);
}

int il_wire_logits_read(const json_t *message, il_wire_logits *out, il_error *err)
{
    il__fields f = il__fields_of(message, "logits", err);
    *out = (il_wire_logits){.path = il__need_text(&f, "path")};
    const json_t *array = il__want_node(&f, "ids", JSON_ARRAY);
    size_t n = json_array_size(array);
    if (n < 1 || n > IL_WIRE_MAX_TOK) {
        il__fields_fail(&f, "key \"ids\" must hold at least one token");
        return f.status;
    }
    int32_t *ids = f.status == IL_OK ? calloc(n, sizeof *ids) : NULL;
    if (!ids) {
        il__fields_fail(&f, "out of memory for %zu token ids", n);
        return f.status;
    }
    il__read_ids(&f, "ids", array, (uint32_t)n, ids);
    if (f.status != IL_OK) {
        free(ids);
        return f.status;
    }
    out->ids = ids;
    out->n_ids = (uint32_t)n;
    return IL_OK;
}
