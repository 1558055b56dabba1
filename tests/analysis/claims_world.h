/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Worlds whose truth is known: rows of a run made from a law with noise, and claims about them
 * whose right verdict is the first letter of their ids: s, c, n, i.
 */
#ifndef IL_TESTS_ANALYSIS_CLAIMS_WORLD_H
#define IL_TESTS_ANALYSIS_CLAIMS_WORLD_H

#include "table.h"

#include "analysis/tables.h"
#include "base/file.h"
#include "stats/stream.h"

typedef struct world {
    char dir[512];
    il_rows *rows;
    il_stream random;
} world;

typedef struct world_row {
    const char *backend, *model, *mode, *flags;
    double ms, block, n_layer, d_model, n_head, params;
    bool warmup;
} world_row;

static inline void world_open(world *w, const char *dir, uint64_t seed, const char *name)
{
    il_error err = {0};
    *w = (world){.random = il_stream_open(seed, "claims", name)};
    (void)snprintf(w->dir, sizeof w->dir, "%s", dir);
    check_ok(il_rows_open(dir, &w->rows, &err), &err);
}

static inline void world_text(il_metric_row *row, il_column column, const char *text)
{
    row->v[column] = (il_value){text, strlen(text), NAN};
}

static inline void world_number(il_metric_row *row, il_column column, double x)
{
    row->v[column] = (il_value){"", isnan(x) ? 0U : 1U, x};
}

static inline void world_add(world *w, const world_row *r)
{
    il_metric_row row;
    il_error err = {0};
    il_metric_row_clear(&row);
    world_text(&row, IL_C_backend, r->backend);
    world_text(&row, IL_C_backend_kind, "noop");
    world_text(&row, IL_C_model, r->model);
    world_text(&row, IL_C_mode, r->mode);
    world_text(&row, IL_C_status, "ok");
    world_text(&row, IL_C_scenario, "s");
    world_text(&row, IL_C_flags, r->flags ? r->flags : "");
    world_number(&row, IL_C_latency_ms, r->ms);
    world_number(&row, IL_C_batch_size, 1);
    world_number(&row, IL_C_is_warmup, r->warmup);
    if (!isnan(r->block)) {
        world_number(&row, IL_C_block, r->block);
    }
    world_number(&row, IL_C_params_total, r->params * 1e6);
    world_number(&row, IL_C_n_layer, r->n_layer);
    world_number(&row, IL_C_d_model, r->d_model);
    world_number(&row, IL_C_n_head, r->n_head);
    check_ok(il_rows_add(w->rows, &row, &err), &err);
}

/* Judges the claims and loads the table; the world is used up. */
static inline void world_judge(world *w, const char *claims, table *out)
{
    char path[600];
    il_error err = {0};
    static const il_run_facts facts;
    static const il_shapes shapes;
    check_ok(il_rows_seal(w->rows, &err), &err);
    (void)snprintf(path, sizeof path, "%s/claims.yaml", w->dir);
    check_ok(il_file_write_atomic(path, claims, strlen(claims), &err), &err);
    const il__run run = {.run_dir = w->dir,
                         .out_dir = w->dir,
                         .rows = w->rows,
                         .facts = &facts,
                         .shapes = &shapes,
                         .seed = 1};
    check_ok(il__write_claims(&run, &err), &err);
    il_rows_free(w->rows);
    (void)snprintf(path, sizeof path, "%s/claims.csv", w->dir);
    table_load(path, out);
}

/* --- a grid of depth and width on two backends -------------------------------------------------
 */

typedef struct grid {
    double depth, width;       /* exponents */
    double ratio;              /* prefill of x over y */
    double cross, tilt;        /* decode: x takes as long as y at `cross` million parameters */
    double share;              /* decode over prefill, on x */
    double warm;               /* first call over the others, prefill */
    double model_sd, block_sd; /* of logs */
    int blocks;
    double flagged; /* share of rows with a flag word */
} grid;

static inline void world_grid(world *w, const grid *g)
{
    static const double depths[] = {2, 4, 8, 16};
    static const double widths[] = {128, 256, 512};
    for (int m = 0; m < 12; m++) {
        double L = depths[m % 4], d = widths[m / 4];
        double params = 12 * L * d * d / 1e6;
        double base =
            g->depth * log(L) + g->width * log(d) - 4 + g->model_sd * il_stream_normal(&w->random);
        char name[32];
        (void)snprintf(name, sizeof name, "m%.0fx%.0f", L, d);
        for (int b = 0; b < g->blocks; b++) {
            for (int k = 0; k < 2; k++) {
                double process = g->block_sd * il_stream_normal(&w->random);
                double prefill = base + (k == 0 ? log(g->ratio) : 0) + process;
                double decode = base + (k == 0 ? g->tilt * log(params / g->cross) : 0) +
                                log(g->share) + process;
                const char *flags = il_stream_uniform(&w->random) < g->flagged ? "steal" : NULL;
                world_row r = {.backend = k == 0 ? "x" : "y",
                               .model = name,
                               .mode = "prefill",
                               .flags = flags,
                               .ms = exp(prefill + g->block_sd / 3 * il_stream_normal(&w->random)),
                               .block = b,
                               .n_layer = L,
                               .d_model = d,
                               .n_head = 2,
                               .params = params};
                world_add(w, &r);
                r.warmup = true;
                r.ms = g->warm * exp(prefill + g->block_sd / 3 * il_stream_normal(&w->random));
                world_add(w, &r);
                r.warmup = false;
                r.mode = "kv_decode";
                r.ms = exp(decode + g->block_sd / 3 * il_stream_normal(&w->random));
                world_add(w, &r);
            }
        }
    }
}

/* --- a ladder of sizes --------------------------------------------------------------------------
 */

typedef struct ladder {
    int models, blocks;
    double slope, bend, at; /* exponent below, what is added above `at` million parameters */
    double model_sd, block_sd;
    double tiny;     /* size of an extra model far below, 0: none */
    double tiny_log; /* its log time */
} ladder;

/* Depth and width move together, so that they cannot be told apart. */
static inline void world_ladder(world *w, const ladder *l)
{
    for (int m = 0; m < l->models + (l->tiny > 0); m++) {
        bool tiny = m == l->models;
        double params = tiny ? l->tiny : pow(1000, (double)m / (l->models - 1));
        double x = log(params);
        double base = tiny ? l->tiny_log
                           : l->slope * x + l->bend * fmax(0, x - log(l->at)) + 2 +
                                 l->model_sd * il_stream_normal(&w->random);
        char name[32];
        (void)snprintf(name, sizeof name, "%s%02d", tiny ? "tiny" : "m", m);
        for (int b = 0; b < l->blocks; b++) {
            const world_row r = {.backend = "x",
                                 .model = name,
                                 .mode = "kv_decode",
                                 .ms = exp(base + l->block_sd * il_stream_normal(&w->random)),
                                 .block = b,
                                 .n_layer = ceil(4 * pow(params, 1.0 / 3)),
                                 .d_model = ceil(100 * pow(params, 1.0 / 3)),
                                 .n_head = 2,
                                 .params = params};
            world_add(w, &r);
        }
    }
}

#endif
