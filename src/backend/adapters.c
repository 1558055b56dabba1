/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kinds whose runtimes this version has no adapter for. A study that names them loads; their cells
 * are skipped rows that say why and what can be done. Where the runtime would be a child process,
 * `command:` can name a worker that speaks the protocol, and then it is driven like any other.
 */
#include "backend/process.h"

/* Servers: nothing of the process machinery runs, because supports() always says no. */

static int ollama_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    return il__process_open(&il__backend_ollama, NULL, entry, out, err);
}

static int openai_open(const il_param_set *entry, il_backend **out, il_error *err)
{
    return il__process_open(&il__backend_openai, NULL, entry, out, err);
}

static int server_supports(il_backend *b, const il_backend_model *model, il_error *err)
{
    (void)model;
    int rc = il_fail(err, IL_E_UNSUPPORTED, "this version of inferlaw does not drive %s",
                     b->ops == &il__backend_ollama ? "Ollama" : "OpenAI-compatible servers");
    il_error_hint(err, "a model that a server holds cannot be mapped to another backend; leave the "
                       "entry out with --backends, or measure checkpoints on kind native");
    return rc;
}

static int server_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                       il_error *err)
{
    *out = (il_load_result){0};
    return server_supports(b, model, err);
}

const il_backend_ops il__backend_ollama = {
    .version = IL_BACKEND_VERSION,
    .kind = "ollama",
    .caps = 0,
    .open = ollama_open,
    .supports = server_supports,
    .load = server_load,
    .prepare = il__process_prepare,
    .call = il__process_call,
    .unload = il__process_unload,
    .pid = il__process_pid,
    .close = il__process_close,
};

const il_backend_ops il__backend_openai = {
    .version = IL_BACKEND_VERSION,
    .kind = "openai",
    .caps = 0,
    .open = openai_open,
    .supports = server_supports,
    .load = server_load,
    .prepare = il__process_prepare,
    .call = il__process_call,
    .unload = il__process_unload,
    .pid = il__process_pid,
    .close = il__process_close,
};
