/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rankings.csv: which backend is fastest at models of a size, and how sure that is. Contestants are
 * compared over the models and scenarios that all of them ran, block by block; our own engine
 * stands beside the contest unless the study asks or there is nobody else (docs/limits.md).
 */
#include "analysis/limits.h"

#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {
    "mode",    "size_bin",   "backend", "rank",     "p_best",   "ratio_to_best", "ci_low",
    "ci_high", "batch_size", "n_cells", "n_models", "n_blocks", "reference",     "note"};

enum { LEAST_TO_JUDGE = 5 };

/* Cells of one mode, batch size and decade of parameters. */
typedef struct entry {
    const il_cell *cell;
    int decade; /* of parameters */
} entry;

typedef struct contestant {
    const char *name;
    il_text_id backend;
    bool reference;
    size_t n;      /* cells in the bin */
    bool contends; /* else it stands beside */
    bool out;      /* shares too little with the others */
    double score, ratio, low, high, p_best;
    size_t rank;
} contestant;

/* One bin while it is judged. */
typedef struct contest {
    const il__run *run;
    const entry *entries;
    size_t n_entries;
    contestant *who;
    size_t n_who;
    bool *common; /* of entries: model and scenario that everyone who contends ran */
    size_t n_common, n_models;
    il__block_table table; /* a series per contestant */
} contest;

static const il__run *sorted_run;

static int by_bin(const void *pa, const void *pb)
{
    const entry *a = pa;
    const entry *b = pb;
    int order = strcmp(il__text(sorted_run, a->cell->mode), il__text(sorted_run, b->cell->mode));
    order = order ? order
                  : (a->cell->batch_size > b->cell->batch_size) -
                        (a->cell->batch_size < b->cell->batch_size);
    order = order ? order : (a->decade > b->decade) - (a->decade < b->decade);
    return order ? order : (a->cell > b->cell) - (a->cell < b->cell);
}

static bool same_bin(const entry *a, const entry *b)
{
    return a->cell->mode == b->cell->mode && a->cell->batch_size == b->cell->batch_size &&
           a->decade == b->decade;
}

/* What is compared must have been asked alike: logits at every position are another computation. */
static bool same_work(const il__run *run, const il_cell *a, const il_cell *b)
{
    const il_plan_cell *p = il__plan_cell_of(run, a);
    const il_plan_cell *q = il__plan_cell_of(run, b);
    return a->model == b->model && a->scenario == b->scenario &&
           (!p || !q || p->logits_all == q->logits_all);
}

/* A decode counts by its steps, which servers choose; unknown steps compare with nothing. */
static double divisor_of(const il__run *run, const il_cell *cell)
{
    return il__is_mode(run, cell, "kv_decode") ? il__cell_steps(run, cell) : 1;
}

/* --- who meets whom --------------------------------------------------------------------------- */

static void find_contestants(contest *c)
{
    c->n_who = 0;
    for (size_t i = 0; i < c->n_entries; i++) {
        const il_cell *cell = c->entries[i].cell;
        size_t k = 0;
        while (k < c->n_who && c->who[k].backend != cell->backend) {
            k++;
        }
        if (k == c->n_who) {
            c->who[c->n_who++] = (contestant){.name = il__text(c->run, cell->backend),
                                              .backend = cell->backend,
                                              .reference = cell->reference};
        }
        c->who[k].n++;
    }
    bool all_reference = true;
    for (size_t k = 0; k < c->n_who; k++) {
        all_reference = all_reference && c->who[k].reference;
    }
    for (size_t k = 0; k < c->n_who; k++) {
        c->who[k].contends = !c->who[k].reference || all_reference || c->run->facts->rank_reference;
    }
}

static const il_cell *cell_of(const contest *c, const contestant *who, const il_cell *like)
{
    for (size_t i = 0; i < c->n_entries; i++) {
        const il_cell *cell = c->entries[i].cell;
        if (cell->backend == who->backend && same_work(c->run, cell, like)) {
            return cell;
        }
    }
    return NULL;
}

/* Marks the cells of the first contestant that all others have too. */
static void find_common(contest *c)
{
    const contestant *first = NULL;
    c->n_common = c->n_models = 0;
    for (size_t k = 0; k < c->n_who && !first; k++) {
        first = c->who[k].contends && !c->who[k].out ? &c->who[k] : NULL;
    }
    for (size_t i = 0; i < c->n_entries; i++) {
        const il_cell *cell = c->entries[i].cell;
        c->common[i] = first && cell->backend == first->backend;
        for (size_t k = 0; k < c->n_who && c->common[i]; k++) {
            const contestant *who = &c->who[k];
            c->common[i] = !who->contends || who->out || cell_of(c, who, cell);
        }
        bool seen = false; /* cells of a model do not stand together: scenarios come first */
        for (size_t k = 0; k < i && c->common[i] && !seen; k++) {
            seen = c->common[k] && c->entries[k].cell->model == cell->model;
        }
        c->n_common += c->common[i];
        c->n_models += c->common[i] && !seen;
    }
}

/* Takes out the contestant with the fewest cells until the others share some. Whoever stands beside
 * the contest narrows nothing: without all of its cells it stays out. */
static void agree(contest *c)
{
    for (find_common(c); c->n_common == 0; find_common(c)) {
        size_t least = SIZE_MAX;
        for (size_t k = 0; k < c->n_who; k++) {
            if (c->who[k].contends && !c->who[k].out &&
                (least == SIZE_MAX || c->who[k].n <= c->who[least].n)) {
                least = k;
            }
        }
        if (least == SIZE_MAX) {
            return;
        }
        c->who[least].out = true;
    }
    for (size_t i = 0; i < c->n_entries; i++) {
        for (size_t k = 0; k < c->n_who && c->common[i]; k++) {
            c->who[k].out = c->who[k].out || !cell_of(c, &c->who[k], c->entries[i].cell);
        }
    }
}

/* --- how they did ----------------------------------------------------------------------------- */

/* Geometric mean over the common cells within each block; the cells' blocks common to all. */
static int gather(contest *c, il_error *err)
{
    size_t n_series = 0;
    for (size_t k = 0; k < c->n_who; k++) {
        n_series += c->who[k].out ? 0 : c->n_common;
    }
    il__series *series = malloc((n_series + 1) * sizeof *series);
    if (!series) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu cells", n_series);
    }
    size_t n = 0;
    for (size_t k = 0; k < c->n_who; k++) {
        for (size_t i = 0; i < c->n_entries && !c->who[k].out; i++) {
            if (c->common[i]) {
                const il_cell *cell = cell_of(c, &c->who[k], c->entries[i].cell);
                series[n++] = (il__series){cell, IL_Q_latency, divisor_of(c->run, cell)};
            }
        }
    }
    il__block_table all;
    int rc = il__block_table_build(c->run, series, n, &all, err);
    free(series);
    c->table = (il__block_table){
        .n_series = n / c->n_common, .n_blocks = all.n_blocks, .by_block = all.by_block};
    if (rc == IL_OK) {
        c->table.logs = calloc(c->table.n_series * all.n_blocks + 1, sizeof(double));
        rc = c->table.logs ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for blocks");
    }
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        for (size_t b = 0; b < all.n_blocks; b++) {
            c->table.logs[i / c->n_common * all.n_blocks + b] +=
                all.logs[i * all.n_blocks + b] / (double)c->n_common;
        }
    }
    il__block_table_free(&all);
    return rc;
}

/* Equal ones share a win. */
static void add_wins(contestant *const *in, const double *scores, size_t n, double least,
                     double *wins)
{
    double n_equal = 0;
    for (size_t k = 0; k < n; k++) {
        n_equal += in[k]->contends && scores[k] == least;
    }
    for (size_t k = 0; k < n; k++) {
        wins[k] += in[k]->contends && scores[k] == least ? 1 / n_equal : 0;
    }
}

/* Ranks by the median over blocks; resamples whole blocks. scores has the order of the table. */
static int judge(contest *c, contestant **in, size_t n_in, il_error *err)
{
    const il__block_table *t = &c->table;
    size_t n = c->run->n_resamples_own;
    double *scratch = malloc((2 * t->n_blocks + 2 * n_in + n_in * n + 1) * sizeof *scratch);
    if (!scratch) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu resamples", n);
    }
    double *scores = scratch + 2 * t->n_blocks;
    double *wins = scores + n_in;
    double *ratios = wins + n_in;
    size_t best = SIZE_MAX;
    il__block_medians(t, NULL, scratch, scores);
    for (size_t k = 0; k < n_in; k++) {
        in[k]->score = scores[k];
        wins[k] = 0;
        best = in[k]->contends && (best == SIZE_MAX || scores[k] < scores[best]) ? k : best;
    }
    const il_cell *cell = c->entries[0].cell;
    char row[1024];
    (void)snprintf(row, sizeof row, "%s|%g|%d", il__text(c->run, cell->mode), cell->batch_size,
                   c->entries[0].decade);
    il_stream stream = il_stream_open(c->run->seed, "rankings.csv", row);
    bool enough = t->n_blocks >= LEAST_TO_JUDGE;
    for (size_t i = 0; i < n && enough; i++) {
        il__block_medians(t, &stream, scratch, scores);
        double least = scores[best];
        for (size_t k = 0; k < n_in; k++) {
            ratios[k * n + i] = scores[k] - scores[best];
            least = in[k]->contends ? fmin(least, scores[k]) : least;
        }
        add_wins(in, scores, n_in, least, wins);
    }
    size_t tail = enough ? il__resample_tail(n, t->n_blocks) : 0;
    for (size_t k = 0; k < n_in; k++) {
        contestant *who = in[k];
        who->ratio = exp(who->score - in[best]->score);
        who->p_best = enough && in[k]->contends ? wins[k] / (double)n : NAN;
        who->low = who->high = NAN;
        if (enough && k != best) {
            il_sort(ratios + k * n, n);
            who->low = exp(ratios[k * n + tail]);
            who->high = exp(ratios[k * n + n - 1 - tail]);
        }
        who->rank = in[k]->contends;
        for (size_t o = 0; o < n_in && in[k]->contends; o++) {
            who->rank += in[o]->contends && in[o]->score < who->score;
        }
    }
    free(scratch);
    return IL_OK;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* "10M-100M": the decade from 10^decade parameters. */
static void bin_name(int decade, char out[32])
{
    static const char units[] = " kMGTPE";
    char ends[2][12];
    for (int i = 0; i < 2; i++) {
        int d = decade + i < 0 ? 0 : decade + i;
        int unit = d / 3 < 6 ? d / 3 : 6;
        static const char *const digits[] = {"1", "10", "100"};
        (void)snprintf(ends[i], sizeof ends[i], "%s%.1s", digits[d % 3], unit ? &units[unit] : "");
    }
    (void)snprintf(out, 32, "%s-%s", ends[0], ends[1]);
}

static void write_row(const contest *c, const contestant *who, il_csv_writer *out)
{
    const entry *first = &c->entries[0];
    char bin[32], note[160] = "";
    bin_name(first->decade, bin);
    if (c->table.n_blocks < LEAST_TO_JUDGE) {
        (void)snprintf(note, sizeof note, "no interval: %zu blocks, it takes %d", c->table.n_blocks,
                       LEAST_TO_JUDGE);
    } else if (!c->table.by_block) {
        (void)snprintf(note, sizeof note,
                       "replicates are calls: what a block does to all is not in the interval");
    }
    il_csv_text(out, il__text(c->run, first->cell->mode));
    il_csv_text(out, bin);
    il_csv_text(out, who->name);
    if (who->rank > 0) {
        il_csv_i64(out, (int64_t)who->rank);
    } else {
        il_csv_empty(out);
    }
    il_csv_f64(out, who->p_best);
    il_csv_f64(out, who->ratio);
    il_csv_f64(out, who->low);
    il_csv_f64(out, who->high);
    il_csv_f64(out, first->cell->batch_size);
    il_csv_i64(out, (int64_t)c->n_common);
    il_csv_i64(out, (int64_t)c->n_models);
    il_csv_i64(out, (int64_t)c->table.n_blocks);
    il_csv_bool(out, who->reference);
    il_csv_text(out, note);
    il_csv_end_row(out);
}

static int by_rank(const void *pa, const void *pb)
{
    const contestant *a = *(contestant *const *)pa;
    const contestant *b = *(contestant *const *)pb;
    int order = (a->rank == 0) - (b->rank == 0);
    order = order ? order : (a->score > b->score) - (a->score < b->score);
    return order ? order : strcmp(a->name, b->name);
}

static int write_bin(contest *c, il_csv_writer *out, il_error *err)
{
    find_contestants(c);
    agree(c);
    contestant **in = malloc((c->n_who + 1) * sizeof *in);
    size_t n_in = 0;
    int rc = in ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for backends");
    for (size_t k = 0; k < c->n_who && rc == IL_OK; k++) {
        if (!c->who[k].out) {
            in[n_in++] = &c->who[k];
        }
    }
    if (rc == IL_OK && n_in >= 2 && c->n_common > 0) {
        rc = gather(c, err);
        if (rc == IL_OK && c->table.n_blocks > 0) {
            rc = judge(c, in, n_in, err);
            qsort(in, n_in, sizeof(contestant *), by_rank);
            for (size_t k = 0; k < n_in && rc == IL_OK; k++) {
                write_row(c, in[k], out);
            }
        }
        il__block_table_free(&c->table);
    }
    free(in);
    return rc;
}

static size_t collect(const il__run *run, entry *entries)
{
    size_t n = 0;
    for (size_t i = 0; i < il_rows_cell_count(run->rows); i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        double millions = il__cell_millions(cell);
        if (cell->n_measured > 0 && millions > 0 && divisor_of(run, cell) > 0) {
            entries[n++] = (entry){cell, (int)floor(log10(millions * 1e6) + 1e-9)};
        }
    }
    sorted_run = run;
    if (n > 1) {
        qsort(entries, n, sizeof *entries, by_bin);
    }
    return n;
}

int il__write_rankings(const il__run *run, il_error *err)
{
    il_csv_writer out;
    size_t n_cells = il_rows_cell_count(run->rows);
    entry *entries = malloc((n_cells + 1) * sizeof *entries);
    contestant *who = malloc((n_cells + 1) * sizeof *who);
    bool *common = malloc(n_cells + 1);
    int rc = entries && who && common
                 ? il__table_open(run, "rankings.csv", columns, IL__COUNT_OF(columns), &out, err)
                 : il_fail(err, IL_E_NOMEM, "no memory to compare %zu cells", n_cells);
    if (rc != IL_OK) {
        free(entries);
        free(who);
        free(common);
        return rc;
    }
    size_t n = collect(run, entries);
    for (size_t from = 0, to; from < n && rc == IL_OK; from = to) {
        for (to = from + 1; to < n && same_bin(&entries[from], &entries[to]); to++) {
        }
        contest c = {.run = run,
                     .entries = entries + from,
                     .n_entries = to - from,
                     .who = who,
                     .common = common};
        rc = write_bin(&c, &out, err);
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    free(entries);
    free(who);
    free(common);
    return rc;
}
