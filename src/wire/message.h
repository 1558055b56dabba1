/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of docs/wire.md as structs, both directions. `…_json` builds a message (NULL when
 * memory is out or a text is not UTF-8; il_wire_send reports that). `…_read` validates one: a key
 * that is missing, of a wrong type or out of its range is IL_E_PROTOCOL, and the error says which
 * message and which key. Texts and json_t pointers in a struct that was read belong to the message
 * and live as long as it does. Unknown keys are ignored.
 */
#ifndef IL_WIRE_MESSAGE_H
#define IL_WIRE_MESSAGE_H

#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IL_WIRE_PROTOCOL = 1 };

/* Limits of what a request may ask for; a larger number is a mistake, not a study. */
enum { IL_WIRE_MAX_BATCH = 65536, IL_WIRE_MAX_TOK = 1 << 24 };

#define IL_WIRE_TYPE_MAP(X)                                                                        \
    X(LOAD, "load")                                                                                \
    X(PREPARE, "prepare")                                                                          \
    X(CALL, "call")                                                                                \
    X(LOGITS, "logits")                                                                            \
    X(TELEMETRY, "telemetry")                                                                      \
    X(UNLOAD, "unload")                                                                            \
    X(BYE, "bye")

typedef enum il_wire_type {
#define IL_WIRE_TYPE_ENUM(id, name) IL_WIRE_##id,
    IL_WIRE_TYPE_MAP(IL_WIRE_TYPE_ENUM)
#undef IL_WIRE_TYPE_ENUM
        IL_WIRE_TYPE_COUNT /* also: a type this program does not know */
} il_wire_type;

/* --- hello: worker → driver, once --------------------------------------------------------------
 */

typedef struct il_wire_hello {
    uint32_t protocol;
    const char *worker, *version;
    const char *source_hash; /* NULL when it has none */
    int64_t pid, t_main_ns;
    bool step_times, unsplit, logits;
    const json_t *dtypes, *devices, *families; /* arrays of strings; families NULL = not said */
    const char *runtime_name, *runtime_version;
} il_wire_hello;

json_t *il_wire_hello_json(const il_wire_hello *hello);
/* Another protocol number is IL_E_PROTOCOL. */
int il_wire_hello_read(const json_t *message, il_wire_hello *out, il_error *err);
/* Is text among the strings of an array? false for NULL. */
bool il_wire_list_has(const json_t *list, const char *text);

/* --- requests: driver → worker ------------------------------------------------------------------
 */

/* Reads type and id of any request. An unknown type is IL_WIRE_TYPE_COUNT and no error. */
int il_wire_request_read(const json_t *message, il_wire_type *type, int64_t *id, il_error *err);
/* A request without anything but type and id: telemetry, unload, bye. */
json_t *il_wire_request_json(il_wire_type type, int64_t id);

typedef struct il_wire_load {
    const char *model; /* checkpoint directory, absolute */
    const char *dtype, *device, *isa, *logits, *huge_pages;
    uint32_t threads;     /* 0: the worker's choice */
    const char *affinity; /* "0-3,8" or NULL */
    uint32_t max_batch, max_prompt_tok, max_gen_tok;
    json_t *options; /* of the runtime, NULL for none; borrowed */
} il_wire_load;

json_t *il_wire_load_json(int64_t id, const il_wire_load *load);
int il_wire_load_read(const json_t *message, il_wire_load *out, il_error *err);

typedef struct il_wire_prepare {
    uint32_t batch, n_ids; /* batch prompts of n_ids tokens each */
    const int32_t *ids;    /* batch × n_ids; of a message read: malloc'd, the caller frees */
    uint32_t gen_tokens, depth_tok;
} il_wire_prepare;

json_t *il_wire_prepare_json(int64_t id, const il_wire_prepare *prepare);
int il_wire_prepare_read(const json_t *message, il_wire_prepare *out, il_error *err);

json_t *il_wire_call_json(int64_t id, bool split);
int il_wire_call_read(const json_t *message, bool *split, il_error *err);

typedef struct il_wire_logits {
    uint32_t n_ids;
    const int32_t *ids; /* of a message read: malloc'd, the caller frees */
    const char *path;
} il_wire_logits;

json_t *il_wire_logits_json(int64_t id, const il_wire_logits *logits);
int il_wire_logits_read(const json_t *message, il_wire_logits *out, il_error *err);

/* --- replies: worker → driver -------------------------------------------------------------------
 */

/* A failure reply made of an error; any bytes in its texts are fit for JSON afterwards. */
json_t *il_wire_failure_json(int64_t id, const il_error *failure);
/* {"id": id, "ok": true}, to which a reply adds its keys. */
json_t *il_wire_ok_json(int64_t id);

/* The head of any reply. IL_E_PROTOCOL: no or another id, no ok. Of a failure reply, *refused is
 * set and its code and words are returned as an error of ours; *refused false with an error means
 * that the worker cannot be trusted any more. */
int il_wire_reply_read(const json_t *message, il_wire_type type, int64_t id, bool *refused,
                       il_error *err);

typedef struct il_wire_load_reply {
    int64_t t0_ns, t1_ns;
    json_t *stages; /* array of {name, t0_ns, t1_ns, major_faults}, NULL when none were told */
    json_t *facts;  /* object, NULL when none were told */
} il_wire_load_reply;

json_t *il_wire_load_reply_json(int64_t id, const il_wire_load_reply *reply); /* adds references */
int il_wire_load_reply_read(const json_t *message, il_wire_load_reply *out, il_error *err);

typedef struct il_wire_call_reply {
    bool split;
    int64_t t0_ns, t_first_ns, t_end_ns; /* t_first 0 when unsplit */
    int64_t *t_step_ns;                  /* n_steps stamps; storage of the caller */
    uint32_t n_steps, prompt_tok;
    uint64_t major_faults, minor_faults, ctx_involuntary;
    double prefill_event_ms, decode_event_ms, gpu_peak_mb; /* NaN: not measured */
    uint32_t batch;
    const int32_t *gen_ids; /* to write: batch × (n_steps + 1), argmax of prefill first; or NULL */
    int32_t *gen_ids_out;   /* to read: room for n_steps + 1 ids of the first row; or NULL */
} il_wire_call_reply;

json_t *il_wire_call_reply_json(int64_t id, const il_wire_call_reply *reply);
/* out->split, out->n_steps (what was asked for) and out->t_step_ns (room for that many; not needed
 * when unsplit) are set by the caller. Stamps that step back, another number of steps, stamps in an
 * unsplit reply: IL_E_PROTOCOL. gen_ids_out is left alone where the reply has no such ids. */
int il_wire_call_reply_read(const json_t *message, il_wire_call_reply *out, il_error *err);

typedef struct il_wire_logits_reply {
    uint32_t rows, columns;
} il_wire_logits_reply;

json_t *il_wire_logits_reply_json(int64_t id, const il_wire_logits_reply *reply);
int il_wire_logits_reply_read(const json_t *message, il_wire_logits_reply *out, il_error *err);

typedef struct il_wire_telemetry_reply {
    int64_t rss_bytes, pss_bytes;       /* −1: not measured */
    int64_t major_faults, minor_faults; /* since the process began; −1: not measured */
} il_wire_telemetry_reply;

json_t *il_wire_telemetry_reply_json(int64_t id, const il_wire_telemetry_reply *reply);
int il_wire_telemetry_reply_read(const json_t *message, il_wire_telemetry_reply *out,
                                 il_error *err);

#endif
