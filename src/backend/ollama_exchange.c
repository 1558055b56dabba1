/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/ollama.h"

#include "base/json.h"
#include "base/text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ASK_S 10.0 /* for anything that computes nothing */

int il__ollama_refusal(const il__ollama *o, int status, const char *text, il_error *err)
{
    int code = status == 404 ? IL_E_NOT_FOUND : status < 500 ? IL_E_INVALID : IL_E_IO;
    int rc = il_fail(err, code, "Ollama refused with status %d: %.240s", status,
                     text && text[0] ? text : "no reason given");
    if (status == 404) {
        il_error_hint(err, "ollama pull %s", o->name[0] ? o->name : "NAME");
    } else if (status == 503) {
        il_error_hint(err, "another client keeps the server busy; stop it, or start a server of "
                           "your own with serve: auto");
    } else if (text && strstr(text, "context length")) {
        il_error_hint(err, "a shorter prompt, or a larger num_ctx on the backend entry");
    } else if (status >= 500) {
        il_error_hint(err, "the log of `ollama serve` says more; a model that needs more memory "
                           "than is free fails this way");
    } else {
        il_error_hint(err, "look at `options` of the backend entry; this server is version %s",
                      o->version[0] ? o->version : "unknown");
    }
    return rc;
}

int il__ollama_ask(il__ollama *o, const char *path, const json_t *body, double deadline_s,
                   json_t **reply, il_error *err)
{
    json_t *answer = NULL;
    int status = 0;
    int rc = il__http_json(o->http, path, body, deadline_s, &answer, &status, err);
    if (rc != IL_OK) {
        return rc;
    }
    const char *said = json_string_value(json_object_get(answer, "error"));
    if (status != 200 || said) {
        /* 200 with an error inside is an error of the server's. */
        rc = il__ollama_refusal(o, status == 200 ? 500 : status, said, err);
    } else if (!json_is_object(answer)) {
        rc = il_fail(err, IL_E_INVALID, "the answer to %s is no JSON object", path);
        il_error_hint(err, "is this an Ollama server? An OpenAI-compatible one is kind: openai");
    }
    if (rc == IL_OK && reply) {
        *reply = answer;
        return IL_OK;
    }
    json_decref(answer);
    return rc;
}

static int no_server(const il__ollama *o, il_error *err)
{
    const char *url = il_param_text(o->entry, IL_P_URL);
    int rc = il_fail(err, IL_E_NOT_FOUND, "no Ollama server answers at %s",
                     url ? url : "http://127.0.0.1:11434");
    il_error_hint(err, "start one with `ollama serve`, or write serve: auto on the backend entry "
                       "after `inferlaw runtimes install ollama`");
    return rc;
}

/* Asks for its version, which any Ollama answers at once. */
static int check_version(il__ollama *o, double deadline_s, il_error *err)
{
    json_t *reply = NULL;
    il_error why = {0};
    int rc = il__ollama_ask(o, "/api/version", NULL, deadline_s, &reply, &why);
    if (rc == IL_E_NOT_FOUND && why.what[0] && !strstr(why.what, "status")) {
        return no_server(o, err);
    }
    if (rc != IL_OK) {
        rc = il_fail(err, rc, "what answers at this address is no Ollama server: %.250s", why.what);
        il_error_hint(err, "an OpenAI-compatible server is kind: openai");
        return rc;
    }
    const char *version = json_string_value(json_object_get(reply, "version"));
    (void)snprintf(o->version, sizeof o->version, "%s", version ? version : "");
    json_decref(reply);
    if (!version) {
        rc = il_fail(err, IL_E_INVALID, "what answers at this address names no version of Ollama");
        il_error_hint(err, "an OpenAI-compatible server is kind: openai");
    }
    return rc;
}

static int start_server(il__ollama *o, int64_t *t_spawn_ns, int64_t *t_ready_ns, il_error *err)
{
    il__serve_request request = {.kind = "ollama",
                                 .device = il_param_text(o->entry, IL_P_DEVICE),
                                 .threads = (uint32_t)il_param_i64(o->entry, IL_P_THREADS),
                                 .affinity = il_param_text(o->entry, IL_P_AFFINITY),
                                 .parallel = 1,
                                 .ready_s = 60};
    int64_t spawn_ns = 0, ready_ns = 0;
    int rc = il__server_start(&request, &o->server, &spawn_ns, &ready_ns, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (t_spawn_ns && t_ready_ns) {
        *t_spawn_ns = spawn_ns;
        *t_ready_ns = ready_ns;
    }
    return il__http_open(il__server_url(o->server), NULL, &o->http, err);
}

int il__ollama_reach(il__ollama *o, int64_t *t_spawn_ns, int64_t *t_ready_ns, il_error *err)
{
    bool ours = strcmp(il_param_text(o->entry, IL_P_SERVE), "auto") == 0;
    if (ours && o->server && !il__server_alive(o->server)) {
        il__http_close(o->http);
        il__server_stop(o->server);
        o->http = NULL;
        o->server = NULL;
        o->loaded = false;
    }
    if (ours && !o->server) {
        int rc = start_server(o, t_spawn_ns, t_ready_ns, err);
        if (rc != IL_OK) {
            return rc;
        }
    }
    return check_version(o, 3.0, err);
}

int il__ollama_show(il__ollama *o, const char *name, json_t **reply, il_error *err)
{
    json_t *body = json_pack("{s:s}", "model", name);
    int rc = il__ollama_ask(o, "/api/show", body, ASK_S, reply, err);
    json_decref(body);
    if (rc == IL_E_NOT_FOUND) {
        rc = il_fail(err, rc, "Ollama has no model %s", name);
        il_error_hint(err, "ollama pull %s", name);
    }
    return rc;
}

bool il__ollama_same_name(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    const char latest[] = ":latest";
    size_t n = sizeof latest - 1;
    if (n_a > n && strcasecmp(a + n_a - n, latest) == 0) {
        n_a -= n;
    }
    if (n_b > n && strcasecmp(b + n_b - n, latest) == 0) {
        n_b -= n;
    }
    return n_a == n_b && strncasecmp(a, b, n_a) == 0;
}

int il__ollama_running(il__ollama *o, const char *name, json_t **item, il_error *err)
{
    json_t *reply = NULL;
    *item = NULL;
    int rc = il__ollama_ask(o, "/api/ps", NULL, ASK_S, &reply, err);
    size_t i;
    json_t *model;
    json_array_foreach(json_object_get(reply, "models"), i, model)
    {
        const char *its = json_string_value(json_object_get(model, "name"));
        if (!*item && its && il__ollama_same_name(its, name)) {
            *item = json_incref(model);
        }
    }
    json_decref(reply);
    return rc;
}

double il__ollama_millions(const char *text)
{
    char number[32];
    size_t n = text ? strlen(text) : 0;
    double value;
    if (n < 2 || n >= sizeof number) {
        return (double)NAN;
    }
    memcpy(number, text, n - 1);
    number[n - 1] = '\0';
    if (il_text_to_f64(number, &value) != IL_OK || value <= 0) {
        return (double)NAN;
    }
    switch (toupper((unsigned char)text[n - 1])) {
    case 'K':
        return value / 1e3;
    case 'M':
        return value;
    case 'B':
        return value * 1e3;
    case 'T':
        return value * 1e6;
    default:
        return (double)NAN;
    }
}
