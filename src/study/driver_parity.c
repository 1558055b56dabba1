/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The parity gate (docs/parity.md): before the cells of a (backend, model) group are timed for the
 * first time, the backend answers a fixed probe and is compared with the native fp32 reference. The
 * verdict is a line of the journal, and a word or a status on every row after it.
 *
 * A runtime in a process of its own answers in one that does nothing else, so that the timed
 * processes are all alike; a server answers after its load, before its first call.
 */
#include "study/driver_parts.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/text.h"
#include "model/make.h"
#include "os/clock.h"
#include "study/order.h"
#include "study/plan_files.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The plain C kernels take 0.1 s a token and 100M parameters. */
enum { PROBE_TOK = 32, SLOW_PROBE_TOK = 12, STEPS = 8, PROBES = 8, TWIN_LAYERS = 2 };

/* What is asked, of whom, and what came back. */
typedef struct gate {
    uint32_t group, backend, model;
    const il_backend_ops *ops;
    il_backend_model asked, reference; /* the files each side reads */
    const char *reads;                 /* "checkpoint", "file" or "twin" */
    const char *isa;                   /* of the reference */
    char twin_dir[4096];
    bool by_median; /* a router, or activations in 8 bits */
    uint32_t n_layer, n_vocab, n_probe, n_steps;
    il_buf text;                        /* of the probe, for servers; empty: none */
    int32_t leading;                    /* what a server may put before it, -1: nothing */
    int32_t ids[PROBE_TOK + STEPS + 2]; /* the probe, then what was generated */
    uint32_t n_chosen;                  /* generated ids known, from the first on */
    float *rows;                        /* [n_probe][columns], NULL: no logits */
    uint32_t columns;
    il_logprob_top *tops; /* [n_tops], NULL: none */
    uint32_t n_tops;
    il_parity_tolerance tolerance;
    il_parity_result result;
    il_parity_verdict verdict;
    il_error because; /* of not_checkable, or of a failure that is no comparison */
    int64_t began_ns;
} gate;

static bool answers_loaded(const il_backend_ops *ops)
{
    return !(ops->caps & IL_CAP_LOGITS) && (ops->caps & IL_CAP_LOGPROBS) && ops->logprobs;
}

/* --- what is compared ------------------------------------------------------------------------- */

/* The GGUF type of the file that the runtime reads; "" when it reads another format, or ours reads
 * fp32 as it is. */
static const char *gguf_type(const il__driver *d, const gate *g)
{
    const il_study_backend *b = &d->plan->study->backends[g->backend];
    const il_study_model *m = &d->plan->study->models[g->model];
    const char *path = g->asked.path ? g->asked.path : g->asked.file;
    if (path && il_text_ends(path, ".gguf")) {
        return "Q"; /* a file that came from elsewhere: taken for quantised */
    }
    bool gguf = g->asked.file && il__file_format_of(b, m) == IL__FILE_GGUF;
    const char *type = gguf ? il__file_weights(b) : "";
    return strcmp(b->kind, "native") == 0 && strcmp(type, "F32") == 0 ? "" : type;
}

/* Our own fp32 engine is held against its plain C kernels, everything else against its fastest. */
static const char *reference_isa(const il__driver *d, const gate *g)
{
    const il_param_set *entry = &d->plan->study->backends[g->backend].set;
    bool own = strcmp(g->ops->kind, "native") == 0 && gguf_type(d, g)[0] == '\0' &&
               strcmp(il_param_text(entry, IL_P_DTYPE), "fp32") == 0 &&
               strcmp(il_param_text(entry, IL_P_ISA), "reference") != 0;
    return own ? "reference" : "auto";
}

static void choose_ids(const il__driver *d, gate *g)
{
    const il_study_model *m = &d->plan->study->models[g->model];
    uint64_t seed = (uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED);
    uint32_t room = g->asked.max_prompt_tok + g->asked.max_gen_tok;
    if (m->has_shape && !answers_loaded(g->ops)) {
        room = m->shape.n_positions; /* a process of its own is sized for the probe */
    }
    g->n_vocab = m->has_shape ? m->shape.vocab_size : g->asked.vocab_size;
    g->n_steps = room / 4 < STEPS ? room / 4 : STEPS;
    uint32_t most = strcmp(g->isa, "reference") == 0 ? SLOW_PROBE_TOK : PROBE_TOK;
    g->n_probe = room - g->n_steps < most ? room - g->n_steps : most;
    g->n_layer = m->has_shape ? m->shape.n_layer : 0;
    g->by_median = m->has_shape && m->shape.n_expert > 0;
    if (g->n_vocab >= 2) {
        il_study_prompt_ids(seed, "parity probe", 0, g->n_vocab, g->n_probe, g->ids);
    }
}

/* The same widths with fewer layers, for a model whose fp32 weights do not fit here. */
static int make_twin(il__driver *d, gate *g, il_error *why)
{
    const il_study *s = d->plan->study;
    const il_study_model *m = &s->models[g->model];
    if (!m->synthetic || !m->has_shape || m->shape.n_layer <= TWIN_LAYERS || !g->asked.path ||
        g->asked.file || answers_loaded(g->ops)) {
        return why->code; /* a real model, or one that cannot be exchanged: too large to check */
    }
    il_shape shape = m->shape;
    shape.n_layer = TWIN_LAYERS;
    (void)snprintf(shape.name, sizeof shape.name, "%.80s-first%d", m->shape.name, TWIN_LAYERS);
    il_make_options options = {.seed = (uint64_t)il_param_i64(&s->top, IL_P_SEED),
                               .dtype = IL_DTYPE_F32,
                               .stop = d->options->stop};
    int rc = il_model_ensure(&shape, s->cache, &options, g->twin_dir, sizeof g->twin_dir, why);
    if (rc == IL_OK) {
        g->asked.path = g->reference.path = g->twin_dir;
        g->reads = "twin";
        g->n_layer = TWIN_LAYERS;
        *why = (il_error){0};
        rc = il__reference_supports(d, &g->reference, why);
    }
    return rc;
}

/* What the reference reads, and whether it can. */
static int choose_reference(il__driver *d, gate *g, il_error *why)
{
    const il_param_set *entry = &d->plan->study->backends[g->backend].set;
    const char *dtype = il_param_text(entry, IL_P_DTYPE);
    const char *type = gguf_type(d, g);
    g->reference = g->asked;
    g->reference.file = NULL;
    g->reference.max_batch = 1;
    g->reference.max_prompt_tok = g->n_probe + g->n_steps;
    g->reference.max_gen_tok = 1;
    g->reads = "checkpoint";
    if (type[0] == 'Q') { /* the very blocks, expanded */
        g->reference.path = g->asked.file ? g->asked.file : g->asked.path;
        g->reads = "file";
    }
    if (!g->reference.path) {
        return il_fail(why, IL_E_UNSUPPORTED,
                       "its weights are not here: a model that only its server holds");
    }
    if (g->n_vocab < 2 || g->n_probe == 0) {
        return il_fail(why, IL_E_UNSUPPORTED, "vocabulary or context of the model is unknown");
    }
    int rc = il__reference_supports(d, &g->reference, why);
    if (rc == IL_E_NOMEM) {
        rc = make_twin(d, g, why);
    }
    g->tolerance = il_parity_tolerance_of(dtype, type, g->n_layer);
    g->by_median = g->by_median || g->tolerance.noise == IL_PARITY_Q8;
    return rc;
}

/* --- what the backend answers ------------------------------------------------------------------
 */

/* Greedy steps from the cache after the probe: their tokens, where the runtime tells them. */
static void ask_steps(const gate *g, il_backend *b, int32_t chosen[STEPS + 1])
{
    int64_t stamps[STEPS + 1];
    il_call_request request = {.batch = 1,
                               .n_ids = g->n_probe,
                               .ids = g->ids,
                               .salted = true,
                               .gen_tokens = g->n_steps,
                               .split = (g->ops->caps & IL_CAP_STEP_TIMES) != 0};
    il_call_result result = {.t_step_ns = stamps, .gen_ids = chosen};
    for (uint32_t i = 0; i <= STEPS; i++) {
        chosen[i] = -1;
    }
    if (g->n_steps > 0 && g->ops->prepare(b, &request, NULL) == IL_OK) {
        if (g->ops->call(b, &request, &result, NULL) != IL_OK) {
            chosen[0] = -1;
        }
        json_decref(result.server);
        json_decref(result.flags);
    }
}

static void take_chosen(gate *g, const int32_t *chosen, uint32_t n)
{
    while (g->n_chosen < n && chosen[g->n_chosen] >= 0 &&
           (uint32_t)chosen[g->n_chosen] < g->n_vocab) {
        g->ids[g->n_probe + g->n_chosen] = chosen[g->n_chosen];
        g->n_chosen++;
    }
}

/* In a process that is started for it and ends with it. */
static int ask_logits(il__driver *d, gate *g, il_error *why)
{
    il_backend *b = d->plan->open[g->backend];
    il_load_result load = {0};
    char path[1024];
    int32_t chosen[STEPS + 1];
    il_backend_model sized = g->asked;
    sized.max_batch = 1;
    sized.max_prompt_tok = g->n_probe + g->n_steps;
    sized.max_gen_tok = g->n_steps + 1;
    il__driver_unload(d);
    int rc = il__parity_scratch(d, "answer.f32", path, sizeof path, why);
    rc = rc ? rc : g->ops->load(b, &sized, &load, why);
    json_decref(load.stages);
    json_decref(load.facts);
    if (rc == IL_OK) {
        il__driver_note_pid(d, g->ops->pid(b));
        rc = g->ops->logits(b, g->ids, g->n_probe, path, why);
    }
    if (rc == IL_OK) {
        ask_steps(g, b, chosen);
        take_chosen(g, chosen, g->n_steps + 1);
    }
    (void)g->ops->unload(b, NULL);
    il__driver_note_pid(d, 0);
    rc = rc ? rc : il__logits_read(path, g->n_probe, &g->rows, &g->columns, why);
    if (d->parity_dir[0]) {
        (void)unlink(path);
    }
    return rc;
}

/* One probe of its own for each attempt. */
static int ask_logprobs_once(il__driver *d, gate *g, uint32_t attempt, uint32_t n, il_error *why)
{
    uint64_t seed = (uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED);
    if (attempt > 0 && g->n_vocab >= 2) {
        il_study_prompt_ids(seed, "parity probe", attempt, g->n_vocab, g->n_probe, g->ids);
    }
    int rc =
        il__server_probe_ids(d, g->group, attempt, g->n_probe, g->ids, &g->text, &g->leading, why);
    const char *text = g->text.len > 0 ? il_buf_text(&g->text) : NULL;
    return rc ? rc
              : g->ops->logprobs(d->plan->open[g->backend], g->ids, g->n_probe, text, n, g->tops,
                                 why);
}

static int ask_logprobs(il__driver *d, gate *g, il_error *why)
{
    int32_t chosen[STEPS + 1];
    uint32_t n = g->n_steps > 0 ? g->n_steps : 1;
    g->tops = calloc(n, sizeof *g->tops);
    if (!g->tops) {
        return il_fail(why, IL_E_NOMEM, "no memory for log-probabilities");
    }
    int rc = ask_logprobs_once(d, g, 0, n, why);
    /* A server keeps back what is no whole character yet, its log-probabilities too, and random
     * weights may choose such bytes for ever: another probe leads elsewhere. */
    for (uint32_t i = 1; rc == IL_E_TOO_FEW && i < PROBES; i++) {
        *why = (il_error){0};
        rc = ask_logprobs_once(d, g, i, n, why);
    }
    if (rc == IL_OK) {
        g->n_tops = n;
        for (uint32_t i = 0; i < n; i++) {
            chosen[i] = g->tops[i].chosen;
        }
        take_chosen(g, chosen, n);
    }
    return rc;
}

/* --- comparing ---------------------------------------------------------------------------------
 */

static void compare(gate *g, const float *reference)
{
    const double tolerance = g->tolerance.tolerance;
    const size_t n = g->n_vocab;
    il_parity_result_init(&g->result);
    for (uint32_t i = 0; g->rows && i < g->n_probe; i++) {
        il_parity_compare_logits(reference + i * n, g->rows + i * n, g->n_vocab, tolerance,
                                 &g->result);
    }
    /* Row n_probe − 1 + i precedes the i-th generated token; what follows an unknown one is not
     * comparable. */
    const float *row = reference + (g->n_probe - 1) * n;
    for (uint32_t i = 0; g->rows && i < g->n_chosen; i++, row += n) {
        il_parity_compare_choice(row, g->ids[g->n_probe + i], g->n_vocab, tolerance, &g->result);
    }
    for (uint32_t i = 0; i < g->n_tops && i <= g->n_chosen; i++, row += n) {
        il_parity_compare_logprobs(row, &g->tops[i], g->n_vocab, tolerance, &g->result);
    }
}

static int compare_with_reference(il__driver *d, gate *g, il_error *why)
{
    float *reference = NULL;
    uint32_t columns = 0, n_fed = g->n_chosen;
    uint32_t most = g->n_tops > 0 ? g->n_tops - 1 : g->n_steps;
    n_fed = n_fed < most ? n_fed : most;
    int rc = il__reference_rows(d, &g->reference, g->isa, g->ids, g->n_probe + n_fed, &reference,
                                &columns, why);
    if (rc != IL_OK) {
        return rc;
    }
    if (columns != g->n_vocab) {
        rc = il_fail(why, IL_E_INTERNAL, "the reference has %u logits a token, not %u", columns,
                     g->n_vocab);
    } else if (g->rows && g->columns != g->n_vocab) {
        g->verdict = IL_PARITY_FAILED;
        (void)il_fail(&g->because, IL_E_PROTOCOL,
                      "it gives %u logits a token, the vocabulary has %u", g->columns, g->n_vocab);
    } else {
        compare(g, reference);
        g->verdict = il_parity_judge(&g->result, g->tolerance.tolerance, g->by_median);
        if (g->verdict == IL_PARITY_NOT_CHECKABLE) {
            (void)il_fail(&g->because, IL_E_UNSUPPORTED, "no token of its answer is known here");
        }
    }
    free(reference);
    return rc;
}

/* --- the line ----------------------------------------------------------------------------------
 */

static json_t *count_or_null(bool known, uint32_t n)
{
    return known ? json_integer(n) : json_null();
}

static int write_line(il__driver *d, const gate *g, uint32_t block, il_error *err)
{
    const il_study *s = d->plan->study;
    const il_parity_result *r = &g->result;
    bool compared = r->n_rows > 0 || r->n_top1 > 0, asked = g->tolerance.n_layer > 0;
    char because[1024] = "";
    if (g->because.code != IL_OK) {
        (void)snprintf(because, sizeof because, "%s%s%s", g->because.what,
                       g->because.hint[0] ? "; " : "", g->because.hint);
    } else if (r->nonfinite) {
        (void)snprintf(because, sizeof because, "a logit is not finite");
    } else if (g->verdict == IL_PARITY_FAILED) {
        (void)snprintf(because, sizeof because, "%s",
                       r->max_rel > g->tolerance.tolerance
                           ? "its answers differ by more than number formats explain"
                           : "it chose other tokens than the reference, and not by a near tie");
    }
    json_t *line = json_pack(
        "{s:s,s:s,s:I,s:o,s:o,s:s?,s:s?,s:s?,s:o,s:o,s:o,s:s?,s:o,s:o,s:o,s:s,s:s?,s:o}", "backend",
        s->backends[g->backend].name, "model", s->models[g->model].name, "block", (json_int_t)block,
        "probe_tokens", count_or_null(compared, g->n_probe), "steps",
        count_or_null(compared, g->n_chosen), "compared",
        !compared ? NULL
        : g->rows ? "logits"
                  : "logprobs",
        "reference", compared ? g->reads : NULL, "reference_isa", compared ? g->isa : NULL,
        "max_rel_error", il_json_real(compared ? r->max_rel : (double)NAN), "median_rel_error",
        il_json_real(compared ? il_parity_median(r) : (double)NAN), "rms_rel_error",
        il_json_real(compared ? r->rms_rel : (double)NAN), "judged_by",
        !compared      ? NULL
        : g->by_median ? "median"
                       : "max",
        "top1_checked", count_or_null(compared, r->n_top1), "top1_match",
        compared && r->n_top1 > 0 ? json_boolean(r->n_top1_wrong == 0) : json_null(), "tolerance",
        asked && compared
            ? json_pack("{s:f,s:s,s:f,s:f,s:I}", "value", g->tolerance.tolerance, "noise",
                        g->tolerance.name, "error", g->tolerance.error, "factor",
                        g->tolerance.factor, "layers", (json_int_t)g->tolerance.n_layer)
            : json_null(),
        "verdict", il_parity_verdict_name(g->verdict), "because", because[0] ? because : NULL,
        "elapsed_ms", json_real((double)(il_clock_ns() - g->began_ns) * 1e-6));
    return il_journal_write(d->journal, "parity", line, err);
}

static void say_verdict(const il__driver *d, const gate *g)
{
    const il_study *s = d->plan->study;
    if (g->verdict == IL_PARITY_FAILED) {
        il__driver_say(d,
                       "parity: %s on %s does not give the reference's answers (%s %.2g, "
                       "tolerance %.2g); its rows are flagged and stay out of every fit",
                       s->models[g->model].name, s->backends[g->backend].name,
                       g->because.code ? g->because.what : "largest relative error",
                       g->result.max_rel, g->tolerance.tolerance);
    }
}

/* --- the gate ----------------------------------------------------------------------------------
 */

static void run_gate(il__driver *d, gate *g)
{
    il_error *why = &g->because;
    il_parity_result_init(&g->result);
    il_plan_group_model(d->plan, g->group, &g->asked);
    if (il_parity_is_exempt(d->plan->study->backends[g->backend].kind)) {
        g->verdict = IL_PARITY_EXEMPT;
        (void)il_fail(why, IL_E_UNSUPPORTED, "a backend of this kind computes nothing");
        return;
    }
    g->verdict = IL_PARITY_NOT_CHECKABLE;
    bool logits = (g->ops->caps & IL_CAP_LOGITS) && g->ops->logits;
    if (!logits && !answers_loaded(g->ops)) {
        (void)il_fail(why, IL_E_UNSUPPORTED, "it gives neither logits nor log-probabilities");
        return;
    }
    g->isa = reference_isa(d, g);
    choose_ids(d, g);
    if (choose_reference(d, g, why) != IL_OK) {
        return;
    }
    int rc = logits ? ask_logits(d, g, why) : ask_logprobs(d, g, why);
    if (rc == IL_E_NONFINITE) {
        g->verdict = IL_PARITY_FAILED;
    }
    if (rc == IL_OK) {
        (void)compare_with_reference(d, g, why);
    }
    /* A server that is given text may begin it with a token of its own. */
    if (g->verdict == IL_PARITY_FAILED && g->n_tops > 0 && g->leading >= 0 &&
        !(g->ops->caps & IL_CAP_TOKEN_IDS)) {
        memmove(g->ids + 1, g->ids, (g->n_probe + g->n_chosen) * sizeof *g->ids);
        g->ids[0] = g->leading;
        g->n_probe++;
        (void)compare_with_reference(d, g, why);
    }
}

int il__driver_parity(il__driver *d, uint32_t group, uint32_t block, il_error *err)
{
    const il_plan *p = d->plan;
    gate g = {.group = group, .leading = -1, .began_ns = il_clock_ns()};
    char what[512];
    if (!d->parity_on || d->history.parity[group] != IL_PARITY_UNKNOWN) {
        return IL_OK;
    }
    g.backend = il__driver_group_backend(d, group, &g.model);
    g.ops = p->ops[g.backend];
    if (answers_loaded(g.ops) != (d->loaded == group)) {
        return IL_OK; /* before the load, or after it */
    }
    (void)snprintf(what, sizeof what, "parity  %s  %s", p->study->backends[g.backend].name,
                   p->study->models[g.model].name);
    il__driver_tick(d, block, what, 0);
    il_buf_init(&g.text, 1u << 20);
    run_gate(d, &g);
    d->history.parity[group] = (uint8_t)g.verdict;
    say_verdict(d, &g);
    il_buf_free(&g.text);
    free(g.rows);
    free(g.tops);
    return write_line(d, &g, block, err);
}

void il__driver_parity_mark(const il__driver *d, uint32_t group, il_call_result *result,
                            json_t *flags)
{
    uint8_t verdict = d->history.parity[group];
    if (verdict == IL_PARITY_FAILED && strcmp(result->status, "flagged") != 0) {
        (void)snprintf(result->status, sizeof result->status, "flagged");
        (void)snprintf(result->reason, sizeof result->reason, "parity");
    } else if (verdict == IL_PARITY_NOT_CHECKABLE) {
        (void)json_array_append_new(flags, json_string("parity_not_checked"));
    }
}

void il__driver_parity_close(il__driver *d)
{
    DIR *dir = d->parity_dir[0] ? opendir(d->parity_dir) : NULL;
    if (!dir) {
        return;
    }
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        (void)unlinkat(dirfd(dir), e->d_name, 0);
    }
    (void)closedir(dir);
    (void)rmdir(d->parity_dir);
    d->parity_dir[0] = '\0';
}
