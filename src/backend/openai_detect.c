/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who answers: vLLM, llama.cpp, TGI, SGLang and TensorRT-LLM speak one protocol and differ in what
 * else they answer. Told by owned_by of /v1/models, then by calls that only one of them has.
 */
#include "backend/openai.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const kind_names[] = {"other", "vllm",   "llama.cpp",
                                         "tgi",   "sglang", "tensorrt-llm"};

const char *il__openai_kind_name(il__openai_kind kind)
{
    return kind_names[kind];
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* --- refusals --------------------------------------------------------------------------------- */

void il__openai_message(const json_t *body, char *out, size_t out_bytes)
{
    const json_t *error = json_object_get(body, "error");
    const char *words[] = {text_of(error, "message"), json_string_value(error),
                           text_of(body, "message"), text_of(body, "detail")};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0] && !out[0]; i++) {
        if (words[i]) {
            (void)snprintf(out, out_bytes, "%.200s", words[i]);
        }
    }
    for (char *c = out; *c; c++) {
        *c = (unsigned char)*c < 0x20 ? ' ' : *c; /* one line, whatever the server sends */
    }
}

int il__openai_refused(const il__openai *o, int status, const char *message, il_error *err)
{
    static const struct {
        int from, to, code;
        const char *hint;
    } rows[] = {
        {401, 403, IL_E_ACCESS, "api_key_env: names the environment variable that holds the key"},
        {404, 404, IL_E_NOT_FOUND, "see which models it has: GET /v1/models; or endpoint: chat"},
        {405, 405, IL_E_UNSUPPORTED, "try endpoint: chat (or completions)"},
        {429, 429, IL_E_BUSY, "a lower concurrency or rate_per_s, or another key's quota"},
        {503, 503, IL_E_BUSY, "wait until it has loaded its model, or lower concurrency"},
        {400, 499, IL_E_INVALID, "it may not take what was asked; server: other asks for less"},
        {500, 599, IL_E_IO, "the server's own log says more"},
    };
    int code = IL_E_PROTOCOL;
    const char *hint = "is this address an OpenAI-compatible server?";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (status >= rows[i].from && status <= rows[i].to) {
            code = rows[i].code;
            hint = rows[i].hint;
            break;
        }
    }
    int rc = il_fail(err, code, "%s answered %d%s%s",
                     o->kind == IL__OPENAI_OTHER ? "the server" : il__openai_kind_name(o->kind),
                     status, message[0] ? ": " : "", message);
    il_error_hint(err, "%s", hint);
    return rc;
}

/* --- telling them apart ----------------------------------------------------------------------- */

/* The answer of a GET where it is 200 and an object, else NULL. *rc: only what breaks the way. */
static json_t *ask(il__openai *o, const char *path, int *rc, il_error *err)
{
    json_t *reply = NULL;
    int status = 0;
    if (*rc != IL_OK) {
        return NULL;
    }
    *rc = il__http_json(o->http, path, NULL, IL__OPENAI_ASK_S, &reply, &status, err);
    if (*rc == IL_OK && (status == 401 || status == 403)) {
        char message[256];
        il__openai_message(reply, message, sizeof message);
        *rc = il__openai_refused(o, status, message, err);
    }
    if (*rc == IL_OK && status == 200 && json_is_object(reply)) {
        return reply;
    }
    json_decref(reply);
    return NULL;
}

static void keep_version(il__openai *o, const json_t *reply, const char *key)
{
    const char *text = text_of(reply, key);
    if (text) {
        (void)snprintf(o->version, sizeof o->version, "%s", text);
    }
}

static bool kind_by_owner(const char *owner, il__openai_kind *kind)
{
    static const struct {
        const char *owner;
        il__openai_kind kind;
    } owners[] = {{"vllm", IL__OPENAI_VLLM},
                  {"llamacpp", IL__OPENAI_LLAMA},
                  {"sglang", IL__OPENAI_SGLANG},
                  {"tensorrt_llm", IL__OPENAI_TRTLLM},
                  {"tensorrt-llm", IL__OPENAI_TRTLLM}};
    for (size_t i = 0; owner && i < sizeof owners / sizeof owners[0]; i++) {
        if (strcasecmp(owner, owners[i].owner) == 0) {
            *kind = owners[i].kind;
            return true;
        }
    }
    return false;
}

/* What only one of them has. */
static int kind_by_calls(il__openai *o, il_error *err)
{
    int rc = IL_OK;
    json_t *props = ask(o, "/props", &rc, err);
    json_t *info = props ? NULL : ask(o, "/info", &rc, err);
    json_t *sglang = props || info ? NULL : ask(o, "/get_model_info", &rc, err);
    json_t *version = props || info || sglang ? NULL : ask(o, "/version", &rc, err);
    if (json_object_get(props, "default_generation_settings")) {
        o->kind = IL__OPENAI_LLAMA;
    } else if (text_of(info, "model_id")) {
        o->kind = IL__OPENAI_TGI;
    } else if (text_of(sglang, "model_path")) {
        o->kind = IL__OPENAI_SGLANG;
    } else if (text_of(version, "version")) {
        o->kind = IL__OPENAI_VLLM;
    }
    json_decref(props);
    json_decref(info);
    json_decref(sglang);
    json_decref(version);
    return rc;
}

/* Version and context of the one that answers. */
static int learn_facts(il__openai *o, il_error *err)
{
    static const char *const paths[] = {NULL,    "/version",         "/props",
                                        "/info", "/get_server_info", "/version"};
    static const char *const keys[] = {NULL,      "version", "build_info",
                                       "version", "version", "version"};
    int rc = IL_OK;
    int64_t n_ctx = 0;
    if (!paths[o->kind]) {
        return IL_OK;
    }
    json_t *reply = ask(o, paths[o->kind], &rc, err);
    keep_version(o, reply, keys[o->kind]);
    const json_t *settings = json_object_get(reply, "default_generation_settings");
    if (il_json_get_i64(settings, "n_ctx", false, &n_ctx, NULL) == IL_OK && n_ctx > 0 &&
        n_ctx < UINT32_MAX) {
        o->n_ctx = (uint32_t)n_ctx;
    }
    json_decref(reply);
    return rc;
}

/* --- the model -------------------------------------------------------------------------------- */

/* "dir/SmolLM2.gguf" is called "SmolLM2" too. */
static bool same_name(const char *listed, const char *name)
{
    if (strcmp(listed, name) == 0) {
        return true;
    }
    const char *a = strrchr(listed, '/'), *b = strrchr(name, '/');
    a = a ? a + 1 : listed;
    b = b ? b + 1 : name;
    size_t n_a = strlen(a), n_b = strlen(b);
    n_a -= n_a > 5 && strcmp(a + n_a - 5, ".gguf") == 0 ? 5 : 0;
    n_b -= n_b > 5 && strcmp(b + n_b - 5, ".gguf") == 0 ? 5 : 0;
    return n_a == n_b && n_a > 0 && strncmp(a, b, n_a) == 0;
}

/* The model's entry in the list; the only one where we started the server or none was named. */
static const json_t *find_model(const json_t *list, const char *name, bool only)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *id = text_of(item, "id");
        if (id && name[0] && strcmp(id, name) == 0) {
            return item;
        }
    }
    json_array_foreach(list, i, item)
    {
        const char *id = text_of(item, "id");
        if (id && name[0] && same_name(id, name)) {
            return item;
        }
    }
    return only && json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
}

static int no_such_model(const json_t *list, const char *name, il_error *err)
{
    char names[300] = "";
    size_t i, used = 0;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *id = text_of(item, "id");
        if (id && used + strlen(id) + 3 < sizeof names) {
            used +=
                (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", id);
        }
    }
    int rc = name[0] ? il_fail(err, IL_E_NOT_FOUND, "the server has no model '%.200s'", name)
                     : il_fail(err, IL_E_USAGE, "the server has %zu models: name one",
                               json_array_size(list));
    il_error_hint(err, "it has: %s", names[0] ? names : "none");
    return rc;
}

int il__openai_meet(il__openai *o, const char *name, il_error *err)
{
    int rc = IL_OK;
    const char *asked = il_param_text(o->entry, IL_P_SERVER);
    json_t *models = ask(o, "/v1/models", &rc, err);
    const json_t *list = json_object_get(models, "data");
    bool only = o->child != NULL || name[0] == '\0';
    const json_t *model = find_model(list, name, only);
    const char *id = text_of(model, "id");
    if (rc == IL_OK && json_array_size(list) > 0 && !id) {
        rc = no_such_model(list, name, err);
    } else if (rc == IL_OK && !id && name[0] == '\0') {
        rc = il_fail(err, IL_E_USAGE, "the server does not list its models: name one");
        il_error_hint(err, "-m NAME, or name: in the study");
    }
    if (rc == IL_OK) {
        int64_t longest = 0;
        free(o->model);
        o->model = strdup(id ? id : name);
        rc = o->model ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a name");
        if (il_json_get_i64(model, "max_model_len", false, &longest, NULL) == IL_OK &&
            longest > 0 && longest < UINT32_MAX) {
            o->n_ctx = (uint32_t)longest;
        }
    }
    o->kind = IL__OPENAI_OTHER;
    for (size_t k = 1; asked && k < sizeof kind_names / sizeof kind_names[0]; k++) {
        o->kind = strcmp(asked, kind_names[k]) == 0 ? (il__openai_kind)k : o->kind;
    }
    if (rc == IL_OK && (!asked || strcmp(asked, "auto") == 0) &&
        !kind_by_owner(text_of(json_array_get(list, 0), "owned_by"), &o->kind)) {
        rc = kind_by_calls(o, err);
    }
    rc = rc == IL_OK ? learn_facts(o, err) : rc;
    json_decref(models);
    return rc;
}
