/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/driver_parts.h"

#include "os/clock.h"
#include "study/order.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

bool il__driver_stopping(il__driver *d)
{
    if (!d->stopped && d->options->stop && *d->options->stop) {
        d->stopped = d->result->interrupted = true;
    }
    double elapsed_s = (double)(il_clock_ns() - d->started_ns) * 1e-9;
    if (!d->stopped && d->budget_s > 0 && elapsed_s >= d->budget_s) {
        d->stopped = d->result->out_of_time = true;
    }
    return d->stopped;
}

void il__driver_say(const il__driver *d, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (d->options->say) {
        d->options->say(text, d->options->user);
    }
}

/* How far a block is and how long one takes. Estimates share out the first block alone; from then
 * on blocks that ran tell what a block takes, A/A arms and loads included. */
static double block_share(const il__driver *d, double in_block_s, double *block_s)
{
    if (d->blocks_run > 0) {
        *block_s = (double)(d->block_ns - d->measuring_ns) * 1e-9 / d->blocks_run;
        return fmin(in_block_s / *block_s, 0.99);
    }
    double expected_ms = d->work_ms / d->plan->sampling.rounds;
    double share = expected_ms > 0 ? fmin(d->done_ms / expected_ms, 0.99) : 0;
    *block_s = share > 0.05 ? in_block_s / share : (double)NAN;
    return share;
}

void il__driver_tick(il__driver *d, uint32_t block, const char *what, double done_ms)
{
    d->done_ms += done_ms;
    if (!d->options->progress) {
        return;
    }
    int64_t now_ns = il_clock_ns();
    double in_block_s = (double)(now_ns - d->block_ns) * 1e-9, block_s;
    double share = block_share(d, in_block_s, &block_s);
    uint32_t blocks = d->plan->sampling.rounds;
    il_driver_progress p = {.block = block + 1, .blocks = blocks, .what = what};
    p.done = (block + share) / blocks;
    p.elapsed_s = (double)(now_ns - d->measuring_ns) * 1e-9;
    p.left_s = block_s * (blocks - block - share);
    d->options->progress(&p, d->options->user);
}

/* --- what happens in a block ------------------------------------------------------------------ */

/* Groups are items 0 … n_groups − 1, arms n_groups + 2·pair + arm. */
static int run_item(il__driver *d, uint32_t block, uint32_t item, il_error *err)
{
    uint32_t n_groups = d->plan->n_groups;
    if (item < n_groups) {
        return il__driver_group(d, item, block, err);
    }
    uint32_t pair = (item - n_groups) / 2;
    return il_plan_has(d->plan, d->pair_cell[pair], block)
               ? il__driver_arm(d, block, pair, (item - n_groups) % 2, err)
               : IL_OK;
}

static int run_items(il__driver *d, uint32_t block, const char *purpose, uint32_t first, uint32_t n,
                     il_error *err)
{
    uint64_t seed = (uint64_t)il_param_i64(&d->plan->study->top, IL_P_SEED);
    il_seeded stream = il_seeded_of(seed, purpose, block);
    for (uint32_t i = 0; i < n; i++) {
        d->order[i] = first + i;
    }
    il_seeded_shuffle(&stream, d->order, n);
    if (d->plan->study->paired) {
        il__driver_pair_up(d->plan, d->order, n);
    }
    int rc = IL_OK;
    for (uint32_t i = 0; rc == IL_OK && i < n && !il__driver_stopping(d); i++) {
        rc = run_item(d, block, d->order[i], err);
    }
    return rc;
}

static int run_block(il__driver *d, uint32_t block, il_error *err)
{
    uint32_t n_groups = d->plan->n_groups;
    int rc = il__driver_block_facts(d, block, err);
    if (rc != IL_OK || il__driver_stopping(d)) {
        return rc;
    }
    if (block > 0 || !d->plan->aa) {
        rc = run_items(d, block, "block", 0, n_groups + 2 * d->n_pairs, err);
    } else {
        rc = run_items(d, block, "block", 0, n_groups, err);
        if (rc == IL_OK && !il__driver_stopping(d)) {
            rc = il__driver_pick_pairs(d, err);
            rc = rc == IL_OK ? run_items(d, block, "arms", n_groups, 2 * d->n_pairs, err) : rc;
        }
    }
    return rc == IL_OK ? il__driver_colds(d, block, err) : rc;
}

static bool block_complete(const il__driver *d, uint32_t block)
{
    const il_plan *p = d->plan;
    for (uint32_t c = 0; c < p->n_cells; c++) {
        if (p->cells[c].skip.code != IL_OK || !il_plan_has(p, c, block)) {
            continue;
        }
        for (uint32_t i = 0; i < il_plan_calls_per_block(p); i++) {
            if (il_history_pending(&d->history, c, block, i)) {
                return false;
            }
        }
        if (p->closure && (p->ops[p->cells[c].backend]->caps & IL_CAP_UNSPLIT) &&
            !d->history.closures[(size_t)c * p->blocks + block]) {
            return false;
        }
    }
    for (uint32_t i = 0; p->aa && i < 2 * d->n_pairs; i++) {
        if (il_plan_has(p, d->pair_cell[i / 2], block) &&
            !il_history_arm_done(&d->history, (size_t)block * d->history.n_pairs * 2 + i)) {
            return false;
        }
    }
    if (!il__driver_colds_done(d, block)) {
        return false;
    }
    return !p->sentinel || (d->history.sentinels[block] && d->history.ceilings[block]);
}

static int run_blocks(il__driver *d, il_error *err)
{
    int rc = IL_OK;
    if (d->plan->aa && d->options->resume) {
        rc = il__driver_pick_pairs(d, err);
    }
    for (uint32_t b = 0; rc == IL_OK && !il__driver_stopping(d); b++) {
        bool more = b < d->plan->sampling.rounds;
        if (!more) {
            rc = il__driver_extend(d, b, &more, err);
        }
        if (rc != IL_OK || !more) {
            break;
        }
        /* The first block also chooses the A/A cells, which is quick when all else is done. */
        if (b == 0 || !block_complete(d, b)) {
            d->block_ns = il_clock_ns();
            rc = b == 0 && block_complete(d, b) && d->n_pairs > 0 ? IL_OK : run_block(d, b, err);
            d->blocks_run++;
        }
    }
    rc = rc == IL_OK ? il__driver_energy(d, err) : rc;
    rc = rc == IL_OK ? il__driver_memory(d, err) : rc;
    il__driver_unload(d);
    if (rc == IL_OK && d->result->out_of_time && d->plan->sampling.adaptive) {
        (void)snprintf(d->plan->sampling.stop, sizeof d->plan->sampling.stop, "budget");
        d->result->stop = IL_SAMPLER_BUDGET;
        rc = il__driver_write_plan(d, err);
    }
    d->result->blocks = d->plan->sampling.rounds;
    return rc;
}

/* --- before and after ------------------------------------------------------------------------- */

/* Journal bytes of the whole plan: a stamp takes some 20 bytes, a line some 1.2 kB besides. */
static uint64_t journal_bytes(const il_plan *p)
{
    uint32_t blocks = p->sampling.rounds;
    double lines = (double)il_plan_planned_calls(p) + (double)p->n_cells * blocks +
                   (20.0 + 6.0 * (double)p->study->n_backends * p->repetitions) * blocks;
    double gen = il_study_gen_tokens(p->study);
    return (uint64_t)(lines * (1200.0 + 20.0 * gen)) + (4u << 20);
}

static int storage(il__driver *d, il_error *err)
{
    const il_plan *p = d->plan;
    size_t most_ids = 1, most_steps = 1;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        size_t n_ids = (size_t)c->batch * c->seq_len;
        most_ids = n_ids > most_ids ? n_ids : most_ids;
        most_steps = c->gen_tokens > most_steps ? c->gen_tokens : most_steps;
    }
    uint32_t n_pairs = (uint32_t)p->study->n_backends * IL__PICKS_PER_BACKEND;
    d->stamps = il_arena_array(&d->arena, most_steps, sizeof *d->stamps);
    d->stamp_tok = il_arena_array(&d->arena, most_steps, sizeof *d->stamp_tok);
    d->ids = il_arena_array(&d->arena, most_ids, sizeof *d->ids);
    d->order = il_arena_array(&d->arena, (size_t)p->n_groups + 2 * n_pairs, sizeof *d->order);
    d->cells = il_arena_array(&d->arena, p->n_cells, sizeof *d->cells);
    d->pair_cell = il_arena_array(&d->arena, n_pairs, sizeof *d->pair_cell);
    d->runtimes = json_object();
    il_buf_init(&d->text, 64 << 20);
    if (!d->stamps || !d->stamp_tok || !d->ids || !d->order || !d->cells || !d->pair_cell ||
        !d->runtimes) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    return il_history_init(&d->history, d->plan, n_pairs, err);
}

static void new_run_id(il__driver *d)
{
    char utc[32];
    struct tm tm;
    time_t now = time(NULL);
    d->history.started_at_unix = d->started_at_unix;
    (void)gmtime_r(&now, &tm);
    (void)strftime(utc, sizeof utc, "%Y%m%dT%H%M%SZ", &tm);
    (void)snprintf(d->history.run_id, sizeof d->history.run_id, "%s-%.8s-%04x", utc,
                   d->plan->study_sha256, (unsigned)(il_clock_ns() >> 10) & 0xffffu);
}

static int write_skips(il__driver *d, il_error *err)
{
    const il_plan *p = d->plan;
    int rc = IL_OK;
    for (uint32_t c = 0; rc == IL_OK && c < p->n_cells; c++) {
        uint32_t blocks = p->cells[c].skip.code != IL_OK ? p->sampling.rounds : 0;
        uint32_t n = blocks * il_plan_calls_per_block(p);
        for (uint32_t k = 0; rc == IL_OK && k < n; k++) {
            il__slot slot = {c, k / il_plan_calls_per_block(p), k % il_plan_calls_per_block(p)};
            if (il_history_pending(&d->history, c, slot.block, slot.i)) {
                rc = il__driver_write_failure(d, &slot, "skipped", &p->cells[c].skip, NULL, err);
            }
        }
    }
    return rc;
}

static void observe_again(void *user, uint32_t cell, uint32_t block, uint32_t rep,
                          double prefill_ms, double decode_ms)
{
    il__driver_observe(user, cell, block, rep, prefill_ms, decode_ms);
}

static int open_journal(il__driver *d, il_error *err)
{
    if (!d->options->resume) {
        new_run_id(d);
        return il_journal_create(d->dir.journal, &d->journal, err);
    }
    int rc = il_history_read(&d->history, d->dir.journal, observe_again, d, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (d->history.info.n_lines == 0) {
        new_run_id(d); /* killed before the first line */
    }
    if (d->history.info.torn_bytes > 0) {
        il__driver_say(d, "the last line of the journal was cut short and is dropped (%llu bytes)",
                       (unsigned long long)d->history.info.torn_bytes);
    }
    return il_journal_append_to(d->dir.journal, &d->history.info, &d->journal, err);
}

static void say_pilot(il__driver *d)
{
    double percent = d->options->resume ? (double)NAN : il__driver_pilot_percent(d);
    if (percent > 100) {
        il__driver_say(d, "fixed work varies so much right now that effects below 100 %% may stay "
                          "without a verdict (an estimate from 30 samples)");
    } else if (!isnan(percent)) {
        il__driver_say(d,
                       "smallest effect this run may be able to call: about %.1f %% (an estimate "
                       "from 30 samples of fixed work; the A/A arms will tell)",
                       percent);
    }
}

static void count_results(il__driver *d)
{
    uint64_t counts[IL_CALL_ERROR + 1];
    il_history_count(&d->history, counts);
    d->result->ok = counts[IL_CALL_OK];
    d->result->flagged = counts[IL_CALL_FLAGGED];
    d->result->skipped = counts[IL_CALL_SKIPPED];
    d->result->error = counts[IL_CALL_ERROR];
    d->result->not_run = counts[IL_CALL_MISSING];
    d->result->elapsed_s = (double)(il_clock_ns() - d->started_ns) * 1e-9;
}

static int prepare_run(il__driver *d, il_error *err)
{
    int rc = storage(d, err);
    if (rc == IL_OK) {
        rc = il_rundir_open(d->options->dir, d->options->resume, journal_bytes(d->plan), &d->dir,
                            err);
    }
    rc = rc == IL_OK ? il_machine_probe(&d->machine, err) : rc;
    rc = rc == IL_OK ? open_journal(d, err) : rc;
    rc = rc == IL_OK ? il__driver_write_plan(d, err) : rc;
    rc = rc == IL_OK ? il__manifest_write(d, false, err) : rc;
    return rc == IL_OK ? write_skips(d, err) : rc;
}

int il_driver_run(il_plan *plan, const il_driver_options *options, il_driver_result *out,
                  il_error *err)
{
    il__driver d = {.plan = plan,
                    .options = options,
                    .dir.fd = -1,
                    .loaded = IL__NO_GROUP,
                    .load_ms = (double)NAN,
                    .salt = -1,
                    .started_ns = il_clock_ns(),
                    .started_at_unix = il_clock_unix_s(),
                    .parity_on = il_param_flag(&plan->study->schedule, IL_P_PARITY),
                    .work_ms = il_plan_estimate_s(plan) * 1000,
                    .result = out};
    *out = (il_driver_result){0};
    if (plan->sampling.adaptive && !options->sampler) {
        return il_fail(err, IL_E_INTERNAL, "a plan with a target needs a sampler");
    }
    if (il_param_has(&plan->study->schedule, IL_P_TIME_BUDGET_S)) {
        d.budget_s = il_param_f64(&plan->study->schedule, IL_P_TIME_BUDGET_S);
    }
    int rc = prepare_run(&d, err);
    if (rc == IL_OK) {
        say_pilot(&d);
        d.measuring_ns = il_clock_ns();
        rc = run_blocks(&d, err);
        count_results(&d);
        il_error last = {0};
        int written = il__manifest_write(&d, true, &last);
        if (rc == IL_OK && written != IL_OK) {
            *err = last;
            rc = written;
        }
    }
    if (d.sentinel_open) {
        il_sentinel_close(&d.sentinel);
    }
    il_journal_close(d.journal);
    il_rundir_close(&d.dir);
    il_history_free(&d.history);
    il__driver_parity_close(&d);
    json_decref(d.runtimes);
    il__server_prompts_free(d.prompts);
    il_buf_free(&d.text);
    il_arena_free(&d.arena);
    return rc;
}
