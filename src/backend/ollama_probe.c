/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Untimed generations that tell something of the server: how many steps its counters cover, and
 * what it gives the most likely tokens.
 */
#include "backend/ollama.h"

#include "base/buf.h"
#include "base/json.h"
#include "os/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PROBE_S   300.0
#define ENOUGH_NS 3000000000LL

enum { LEAST_ROUNDS = 4, MOST_ROUNDS = 24 };

/* --- how many steps a counter covers ---------------------------------------------------------- */

/* What the client saw of the same steps. The first and the last chunk are left out: while all cores
 * compute, the first reaches the client late, and that delay looks like a step. */
static json_t *probe_point(const il__ollama *o, const il__ollama_answer *a)
{
    int64_t missing = a->eval_n - a->n_chunks;
    bool end_token = missing == 1 && strcmp(a->done_reason, "stop") == 0;
    if (a->n_chunks < 4 || a->eval_ns < 0 || (missing != 0 && !end_token)) {
        return NULL; /* several tokens in a chunk: the client cannot tell */
    }
    int64_t first_ns = o->store.lines[1].t_ns, last_ns = o->store.lines[a->n_chunks - 2].t_ns;
    return json_pack("{s:I,s:I,s:I,s:I}", "n", (json_int_t)a->eval_n, "eval_ns",
                     (json_int_t)a->eval_ns, "steps", (json_int_t)a->n_chunks - 3, "client_ns",
                     (json_int_t)(last_ns - first_ns));
}

/* False when there was no answer: a call that meets the same will say why. */
static bool probe_once(il__ollama *o, unsigned i, uint32_t n_predict, json_t *points)
{
    il__ollama_answer answer;
    char prompt[64];
    (void)snprintf(prompt, sizeof prompt, "%u one two three four five six seven eight nine", i);
    il__ollama_ask_for ask = {.prompt = prompt,
                              .n_predict = n_predict,
                              .stream = true,
                              .deadline_s = fmin(PROBE_S, il_param_f64(o->entry, IL_P_DEADLINE_S))};
    if (il__ollama_generate(o, &ask, &answer, NULL) != IL_OK) {
        return false;
    }
    json_t *point = probe_point(o, &answer);
    if (point) {
        (void)json_array_append_new(points, point);
    }
    return true;
}

const json_t *il__ollama_prove(il__ollama *o)
{
    static const uint32_t lengths[] = {5, 14, 9};
    const json_t *known = json_object_get(o->proved, o->name);
    if (known) {
        return known;
    }
    json_t *points = json_array();
    int64_t start_ns = il_clock_ns();
    bool answers = points != NULL;
    for (unsigned round = 0; answers && round < MOST_ROUNDS; round++) {
        if (round >= LEAST_ROUNDS && il_clock_ns() - start_ns > ENOUGH_NS) {
            break;
        }
        for (unsigned i = 0; answers && i < 3; i++) {
            answers = probe_once(o, 3 * round + i, lengths[(round + i) % 3], points);
        }
    }
    json_t *proof = json_pack("{s:s,s:o}", "counter", "eval_duration", "points", points);
    if (!proof || json_object_set_new(o->proved, o->name, proof) != 0) {
        return NULL;
    }
    return proof;
}

/* --- log-probabilities ------------------------------------------------------------------------ */

/* The id of a token given as its bytes; −1 when they are not one token of ours. */
static int32_t token_id(il_tokenizer *tokenizer, const json_t *token)
{
    const json_t *bytes = json_object_get(token, "bytes");
    const char *text = json_string_value(json_object_get(token, "token"));
    char plain[512];
    size_t n = json_array_size(bytes);
    if (n > 0 && n < sizeof plain) {
        for (size_t i = 0; i < n; i++) {
            plain[i] = (char)json_integer_value(json_array_get(bytes, i));
        }
    } else {
        n = text ? strlen(text) : 0;
        if (n == 0 || n >= sizeof plain) {
            return -1;
        }
        memcpy(plain, text, n);
    }
    plain[n] = '\0';
    int32_t special = il_tokenizer_special(tokenizer, plain);
    il_token_ids ids = {0};
    int32_t id = -1;
    if (special >= 0) {
        return special;
    }
    if (il_tokenizer_encode(tokenizer, plain, n, false, &ids, NULL) == IL_OK && ids.n == 1) {
        id = ids.ids[0];
    }
    il_token_ids_free(&ids);
    return id;
}

static void take_position(il_tokenizer *tokenizer, const json_t *position, il_logprob_top *out)
{
    const json_t *tops = json_object_get(position, "top_logprobs");
    size_t i;
    const json_t *top;
    *out = (il_logprob_top){.chosen = token_id(tokenizer, position)};
    json_array_foreach(tops, i, top)
    {
        const json_t *value = json_object_get(top, "logprob");
        if (out->n < IL__OLLAMA_MOST_LOGPROBS && json_is_number(value)) {
            out->ids[out->n] = token_id(tokenizer, top);
            out->logprobs[out->n++] = json_number_value(value);
        }
    }
}

static int too_old(const il__ollama *o, il_error *err)
{
    int rc = il_fail(err, IL_E_UNSUPPORTED, "this Ollama (%s) gives no log-probabilities",
                     o->version[0] ? o->version : "of unknown version");
    il_error_hint(err, "version 0.12.11 and later do");
    return rc;
}

static int take_positions(il__ollama *o, const il__ollama_answer *answer, uint32_t n_gen,
                          il_logprob_top *out, il_error *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < answer->n_chunks; i++) {
        int64_t t_ns;
        json_t *chunk = il__ollama_chunk(o, i, &t_ns);
        const json_t *list = json_object_get(chunk, "logprobs");
        for (size_t k = 0; k < json_array_size(list) && n < n_gen; k++) {
            take_position(o->tokenizer, json_array_get(list, k), &out[n++]);
        }
        json_decref(chunk);
    }
    if (n == 0 && answer->n_chunks > 0) {
        return too_old(o, err);
    }
    if (n < n_gen) {
        return il_fail(err, IL_E_TOO_FEW, "%s ended after %u of %u tokens of the probe", o->name, n,
                       n_gen);
    }
    return IL_OK;
}

int il__ollama_logprobs(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *prompt,
                        uint32_t n_gen, il_logprob_top *out, il_error *err)
{
    il__ollama *o = (il__ollama *)b;
    il_tokenizer *tokenizer = il__ollama_tokenizer(o);
    il_buf text;
    int rc = IL_OK;
    if (!tokenizer) {
        rc = il_fail(err, IL_E_UNSUPPORTED,
                     "no tokenizer here can tell which tokens %s names in its log-probabilities",
                     o->name);
        il_error_hint(err, "a model given as a GGUF file or checkpoint with a byte-level tokenizer "
                           "can be checked");
        return rc;
    }
    il_buf_init(&text, 64u << 20);
    rc = prompt ? il_buf_puts(&text, prompt)
                : il_tokenizer_decode(tokenizer, ids, n_ids, false, &text, err);
    if (rc == IL_OK) {
        il__ollama_answer answer;
        il__ollama_ask_for ask = {.prompt = il_buf_text(&text),
                                  .n_predict = n_gen,
                                  .stream = true,
                                  .logprobs = true,
                                  .deadline_s = PROBE_S};
        rc = il__ollama_generate(o, &ask, &answer, err);
        rc = rc ? rc : take_positions(o, &answer, n_gen, out, err);
        if (rc == IL_OK && ids && answer.prompt_n > 0 && answer.prompt_n != n_ids &&
            answer.prompt_n != (int64_t)n_ids + 1) {
            rc = il_fail(err, IL_E_UNSUPPORTED,
                         "the server cuts the probe into %lld tokens, ours are %u",
                         (long long)answer.prompt_n, n_ids);
        }
    }
    il_buf_free(&text);
    return rc;
}
