/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What every backend kind whose runtime is a child process shares: the life of the worker, the
 * exchange of messages, and the words for each way a worker can fail. Used by src/backend alone.
 *
 * A worker that died, kept silent past its deadline or wrote nonsense is ended and forgotten; only
 * a load starts another one.
 */
#ifndef IL_BACKEND_PROCESS_H
#define IL_BACKEND_PROCESS_H

#include "backend/backend.h"
#include "os/process.h"
#include "wire/channel.h"

typedef struct il__process_backend {
    il_backend base;
    const il_param_set *entry;
    const char *program; /* our worker's file name; NULL: only `command:` or words can name one */
    const char *const *words; /* argv of a worker that is a script, ended by NULL; NULL: none */
    const il_param_id *told;  /* parameters of the entry that go into the options of `load` */
    uint32_t n_told;
    bool takes_file;     /* `load` names the model's file where there is one, not its directory */
    il_process *process; /* NULL: no worker runs */
    pid_t compute_pid;   /* what hello said: a wrapper's child may be it */
    il_wire_channel channel;
    int64_t next_id;
    bool step_times, unsplit, logits; /* what the worker said that it can */
    uint64_t capacity_bytes;          /* memory a model may take; 0: not asked yet */
} il__process_backend;

/* The ops of such a kind. program: as above. */
int il__process_open(const il_backend_ops *ops, const char *program, const il_param_set *entry,
                     il_backend **out, il_error *err);
int il__process_load(il_backend *b, const il_backend_model *model, il_load_result *out,
                     il_error *err);
int il__process_prepare(il_backend *b, const il_call_request *request, il_error *err);
int il__process_call(il_backend *b, const il_call_request *request, il_call_result *result,
                     il_error *err);
int il__process_logits(il_backend *b, const int32_t *ids, uint32_t n_ids, const char *path,
                       il_error *err);
int il__process_unload(il_backend *b, il_error *err);
pid_t il__process_pid(const il_backend *b);
void il__process_close(il_backend *b);

/* Does the entry name a worker of its own? */
bool il__process_has_command(const il__process_backend *p);
/* IL_E_UNSUPPORTED for a model without a directory, IL_E_NOT_FOUND for one that is not there. */
int il__check_model_dir(const il_backend_model *model, il_error *err);

#define IL__PROCESS_CAPS                                                                           \
    (IL_CAP_STEP_TIMES | IL_CAP_UNSPLIT | IL_CAP_LOGITS | IL_CAP_TOKEN_IDS | IL_CAP_PROCESS)

/* All of an ops row but kind, caps, open and supports. */
#define IL__PROCESS_OPS                                                                            \
    .version = IL_BACKEND_VERSION, .load = il__process_load, .prepare = il__process_prepare,       \
    .call = il__process_call, .logits = il__process_logits, .unload = il__process_unload,          \
    .pid = il__process_pid, .close = il__process_close

extern const il_backend_ops il__backend_native, il__backend_hf, il__backend_onnxruntime,
    il__backend_ollama, il__backend_openai, il__backend_noop, il__backend_replay;

#endif
