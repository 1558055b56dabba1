/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Grids of shapes: n_layer × d_model × n_head, at a fixed aspect, or at a fixed number of
 * parameters. The section is one grid or a list of them.
 */
#include "study/study_read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VOCAB_DEFAULT = 50257, POSITIONS_DEFAULT = 1024 };

typedef struct grid {
    il_study *s;
    int64_t vocab, positions;
    int64_t aspect, head_dim; /* 0 = not given */
    double iso;               /* 0 = no limit */
    int line;
    uint32_t n_left_out, n_twice;
} grid;

static int grid_shape(const grid *g, int64_t layers, int64_t width, int64_t heads, il_shape *out,
                      double *params, il_error *err)
{
    char flags[200];
    (void)snprintf(flags, sizeof flags,
                   "family=gpt2,n_layer=%lld,d_model=%lld,n_head=%lld,vocab_size=%lld,"
                   "n_positions=%lld",
                   (long long)layers, (long long)width, (long long)heads, (long long)g->vocab,
                   (long long)g->positions);
    il_param_counts counts;
    int rc = il_shape_from_flags(flags, out, err);
    rc = rc == IL_OK ? il_shape_count(out, &counts, err) : rc;
    if (rc == IL_OK) {
        *params = (double)counts.total;
    }
    return rc;
}

/* What is not the usual size stands in the name, so that a name is one shape. */
static void name_shape(const grid *g, int64_t layers, int64_t width, int64_t heads, il_shape *shape)
{
    char vocab[24] = "", positions[24] = "";
    if (g->vocab != VOCAB_DEFAULT) {
        (void)snprintf(vocab, sizeof vocab, "-v%lld", (long long)g->vocab);
    }
    if (g->positions != POSITIONS_DEFAULT) {
        (void)snprintf(positions, sizeof positions, "-p%lld", (long long)g->positions);
    }
    (void)snprintf(shape->name, sizeof shape->name, "gpt2-L%lld-d%lld-h%lld%s%s", (long long)layers,
                   (long long)width, (long long)heads, vocab, positions);
}

static bool is_there(const il_study *s, const char *name)
{
    for (size_t i = 0; i < s->n_models; i++) {
        if (strcmp(s->models[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int grid_add(grid *g, int64_t layers, int64_t width, int64_t heads, il_error *err)
{
    il_shape shape;
    double params;
    if (heads < 1 || width % heads != 0) {
        g->n_left_out++;
        return IL_OK;
    }
    int rc = grid_shape(g, layers, width, heads, &shape, &params, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (g->iso > 0 && fabs(params / g->iso - 1.0) > 0.2) {
        g->n_left_out++;
        return IL_OK;
    }
    name_shape(g, layers, width, heads, &shape);
    if (is_there(g->s, shape.name)) {
        g->n_twice++; /* grids may cross: a sweep meets its iso-parameter sibling */
        return IL_OK;
    }
    return il__study_add_shape(g->s, &shape, shape.name, g->line, err);
}

/* The width, a multiple of 8 a head, whose parameters come nearest to iso: they grow with width. */
static int grid_solve(grid *g, int64_t layers, int64_t heads, il_error *err)
{
    int64_t step = heads * 8, low = 1, high = 1048576 / step;
    il_shape shape;
    double params;
    int rc = high >= 1 ? IL_OK : il_fail(err, IL_E_RANGE, "too many heads for a grid");
    while (rc == IL_OK && high - low > 1) {
        int64_t middle = (low + high) / 2;
        rc = grid_shape(g, layers, middle * step, heads, &shape, &params, err);
        *(params > g->iso ? &high : &low) = middle;
    }
    double below = 0, above = 0;
    rc = rc == IL_OK ? grid_shape(g, layers, low * step, heads, &shape, &below, err) : rc;
    rc = rc == IL_OK ? grid_shape(g, layers, high * step, heads, &shape, &above, err) : rc;
    if (rc != IL_OK) {
        return rc;
    }
    int64_t best = fabs(below - g->iso) <= fabs(above - g->iso) ? low : high;
    return grid_add(g, layers, best * step, heads, err);
}

/* All heads of one depth and width. */
static int grid_heads(grid *g, const il_param_value *heads, int64_t layers, int64_t width,
                      il_error *err)
{
    if (g->head_dim > 0) {
        return grid_add(g, layers, width, width % g->head_dim ? 0 : width / g->head_dim, err);
    }
    int rc = IL_OK;
    for (size_t h = 0; rc == IL_OK && h < heads->n; h++) {
        rc = grid_add(g, layers, width, heads->i64s[h], err);
    }
    return rc;
}

static int grid_walk(grid *g, const il_param_set *set, il_error *err)
{
    const il_param_value *layers = &set->values[IL_P_GRID_LAYERS];
    const il_param_value *widths = &set->values[IL_P_GRID_WIDTHS];
    const il_param_value *heads = &set->values[IL_P_GRID_HEADS];
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < layers->n; i++) {
        int64_t depth = layers->i64s[i];
        for (size_t w = 0; rc == IL_OK && w < widths->n; w++) {
            rc = grid_heads(g, heads, depth, widths->i64s[w], err);
        }
        if (rc == IL_OK && g->aspect > 0) {
            rc = grid_heads(g, heads, depth, g->aspect * depth, err);
        }
        for (size_t h = 0; rc == IL_OK && widths->n == 0 && g->aspect == 0 && h < heads->n; h++) {
            rc = grid_solve(g, depth, heads->i64s[h], err);
        }
    }
    return rc;
}

static int check_keys(const il_param_set *set, const grid *g, il_error *err)
{
    size_t n_widths = set->values[IL_P_GRID_WIDTHS].n;
    if (set->values[IL_P_GRID_LAYERS].n == 0 || (n_widths == 0 && g->iso <= 0 && g->aspect == 0)) {
        return il_fail(err, IL_E_USAGE, "shapes needs n_layer, and d_model, aspect or iso_params");
    }
    if (n_widths > 0 && g->aspect > 0) {
        return il_fail(err, IL_E_USAGE, "d_model and aspect both say how wide: give one");
    }
    if (g->head_dim > 0 && set->values[IL_P_GRID_HEADS].origin == IL_ORIGIN_FILE) {
        return il_fail(err, IL_E_USAGE, "n_head and head_dim both say how many heads: give one");
    }
    if (g->head_dim > 0 && n_widths == 0 && g->aspect == 0) {
        return il_fail(err, IL_E_USAGE,
                       "head_dim needs d_model or aspect: a width that is solved "
                       "for takes n_head");
    }
    return IL_OK;
}

static int64_t optional(const il_param_set *set, il_param_id id)
{
    return il_param_has(set, id) ? il_param_i64(set, id) : 0;
}

static int add_grid(il_study *s, const char *origin, const il_yaml *node, il_error *err)
{
    il_param_set set;
    int rc = il_param_set_init(&set, IL_SCOPE_SHAPES, &s->arena, err);
    rc = rc == IL_OK ? il__section_read(origin, node, &set, err) : rc;
    if (rc != IL_OK) {
        return rc;
    }
    grid g = {.s = s,
              .line = node->line,
              .vocab = il_param_i64(&set, IL_P_GRID_VOCAB),
              .positions = il_param_i64(&set, IL_P_GRID_POSITIONS),
              .aspect = optional(&set, IL_P_GRID_ASPECT),
              .head_dim = optional(&set, IL_P_GRID_HEAD_DIM)};
    g.iso = il_param_has(&set, IL_P_ISO_PARAMS) ? il_param_f64(&set, IL_P_ISO_PARAMS) : 0;
    size_t n_before = s->n_models;
    rc = check_keys(&set, &g, err);
    rc = rc == IL_OK ? grid_walk(&g, &set, err) : rc;
    if (rc == IL_OK && s->n_models == n_before && g.n_twice == 0) {
        rc = il_fail(err, IL_E_USAGE, "no shape of the grid is left%s",
                     g.iso > 0 ? " within 20 % of iso_params" : ": n_head must divide d_model");
    }
    if (rc == IL_OK && g.n_left_out > 0) {
        rc = il__study_note(s, err,
                            "%u shapes of the grid are left out (n_head does not divide "
                            "d_model%s)",
                            g.n_left_out, g.iso > 0 ? ", or not within 20 % of iso_params" : "");
    }
    if (rc != IL_OK) {
        il_yaml_where(err, origin, node);
    }
    return rc;
}

int il__study_add_shapes(il_study *s, const char *origin, const il_yaml *root, il_error *err)
{
    const il_yaml *node = il_yaml_get(root, "shapes");
    if (!node || node->type != IL_YAML_LIST) {
        return node ? add_grid(s, origin, node, err) : IL_OK;
    }
    int rc = IL_OK;
    for (const il_yaml *item = node->first; rc == IL_OK && item; item = item->next) {
        rc = add_grid(s, origin, item, err);
    }
    return rc;
}
