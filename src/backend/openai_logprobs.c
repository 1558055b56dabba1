/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Log-probabilities of a greedy generation: llama.cpp's own call, which names tokens by id, and
 * vLLM's completions with tokens written as "token_id:N". The other servers name tokens by text
 * alone, which is no identity.
 */
#include "backend/openai.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 20 };

static json_t *ids_json(const int32_t *ids, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < n; i++) {
        (void)json_array_append_new(list, json_integer(ids[i]));
    }
    return list;
}

static void add_top(il_logprob_top *top, int64_t id, double logprob)
{
    if (top->n < TOP) {
        top->ids[top->n] = id >= 0 && id <= INT32_MAX ? (int32_t)id : -1;
        top->logprobs[top->n++] = logprob;
    }
}

/* One position as llama.cpp writes it: {"id", "logprob", "top_logprobs": [{"id", "logprob"}]}. */
static void read_llama(const json_t *position, il_logprob_top *out)
{
    size_t i;
    const json_t *item;
    const json_t *id = json_object_get(position, "id");
    *out = (il_logprob_top){.chosen = json_is_integer(id) ? (int32_t)json_integer_value(id) : -1};
    json_array_foreach(json_object_get(position, "top_logprobs"), i, item)
    {
        id = json_object_get(item, "id");
        add_top(out, json_is_integer(id) ? (int64_t)json_integer_value(id) : -1,
                json_number_value(json_object_get(item, "logprob")));
    }
}

/* The number in "token_id:N", −1 for any other text. */
static int64_t id_of(const char *text)
{
    static const char prefix[] = "token_id:";
    char *end;
    if (!text || strncmp(text, prefix, sizeof prefix - 1) != 0) {
        return -1;
    }
    long long id = strtoll(text + sizeof prefix - 1, &end, 10);
    return *end == '\0' && end != text + sizeof prefix - 1 && id >= 0 && id <= INT32_MAX ? id : -1;
}

static void sort_top(il_logprob_top *top)
{
    for (uint32_t i = 1; i < top->n; i++) {
        for (uint32_t k = i; k > 0 && top->logprobs[k] > top->logprobs[k - 1]; k--) {
            double p = top->logprobs[k];
            int32_t id = top->ids[k];
            top->logprobs[k] = top->logprobs[k - 1];
            top->ids[k] = top->ids[k - 1];
            top->logprobs[k - 1] = p;
            top->ids[k - 1] = id;
        }
    }
}

/* Position i as vLLM writes it: {"tokens": […], "top_logprobs": [{"token_id:N": logprob}]}. */
static void read_vllm(const json_t *logprobs, uint32_t i, il_logprob_top *out)
{
    const json_t *top = json_array_get(json_object_get(logprobs, "top_logprobs"), i);
    const char *text = json_string_value(json_array_get(json_object_get(logprobs, "tokens"), i));
    const char *key;
    json_t *value;
    *out = (il_logprob_top){.chosen = (int32_t)id_of(text)};
    json_object_foreach((json_t *)(uintptr_t)top, key, value)
    {
        add_top(out, id_of(key), json_number_value(value));
    }
    sort_top(out);
}

int il__openai_logprobs(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *prompt,
                        uint32_t n_gen, il_logprob_top *out, il_error *err)
{
    il__openai *o = (il__openai *)b;
    bool llama = o->kind == IL__OPENAI_LLAMA;
    json_t *reply = NULL;
    int status = 0;
    if (!llama && o->kind != IL__OPENAI_VLLM) {
        return il_fail(err, IL_E_UNSUPPORTED, "%s names no token ids beside its log-probabilities",
                       il__openai_kind_name(o->kind));
    }
    json_t *what = ids ? ids_json(ids, n_ids) : json_string(prompt);
    json_t *body =
        llama ? json_pack("{s:o,s:I,s:i,s:i,s:b,s:b,s:b}", "prompt", what, "n_predict",
                          (json_int_t)n_gen, "n_probs", TOP, "temperature", 0, "ignore_eos", 0,
                          "cache_prompt", 0, "stream", 0)
              : json_pack("{s:s,s:o,s:I,s:i,s:i,s:b,s:b,s:b}", "model", o->model, "prompt", what,
                          "max_tokens", (json_int_t)n_gen, "logprobs", TOP, "temperature", 0,
                          "ignore_eos", 1, "return_tokens_as_token_ids", 1, "stream", 0);
    int rc = body ? il__http_json(o->http, llama ? "/completion" : "/v1/completions", body,
                                  il_param_f64(o->entry, IL_P_DEADLINE_S), &reply, &status, err)
                  : il_fail(err, IL_E_NOMEM, "no memory for a request");
    json_decref(body);
    if (rc == IL_OK && status != 200) {
        char message[256];
        il__openai_message(reply, message, sizeof message);
        rc = il__openai_refused(o, status, message, err);
    }
    const json_t *list = json_object_get(reply, "completion_probabilities");
    const json_t *logprobs =
        json_object_get(json_array_get(json_object_get(reply, "choices"), 0), "logprobs");
    size_t n = json_array_size(llama ? list : json_object_get(logprobs, "top_logprobs"));
    if (rc == IL_OK && n < n_gen) {
        /* none at all: it cannot, or every token was a piece of a character that never ended */
        rc = il_fail(err, IL_E_TOO_FEW, "this server gives log-probabilities of %zu tokens, not %u",
                     n, n_gen);
    }
    for (uint32_t i = 0; rc == IL_OK && i < n_gen; i++) {
        if (llama) {
            read_llama(json_array_get(list, i), &out[i]);
        } else {
            read_vllm(logprobs, i, &out[i]);
        }
    }
    json_decref(reply);
    return rc;
}
