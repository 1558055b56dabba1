/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The size of label text in pixels where the plot names none. */
static const double gnuplot_em = 17.3;

/* Places and sizes below are for letters of that size; others scale. */
static double scale_of(const il__plot *p)
{
    return p->em / gnuplot_em;
}

/* Width of clean text in DejaVu Sans, by three classes of letters. */
static double text_width(const il__plot *p, const char *text)
{
    double w = 0.0;
    for (const char *c = text; *c; c++) {
        if (((unsigned char)*c & 0xC0) != 0x80) {
            w += strchr("iljtfrI.,:;|'!-()[]/ ", *c) ? 0.40 : strchr("mwMW@%", *c) ? 0.96 : 0.645;
        }
    }
    return w * p->em + 6.0; /* and a gap, so that neighbours read as two */
}

typedef struct rect {
    double x0, y0, x1, y1;
} rect;

static double to_px(const il__axis *a, double v, double size)
{
    double low = a->log ? log10(a->low) : a->low, high = a->log ? log10(a->high) : a->high;
    return ((a->log ? log10(v) : v) - low) / (high - low) * size;
}

static double from_px(const il__axis *a, double px, double size)
{
    double low = a->log ? log10(a->low) : a->low, high = a->log ? log10(a->high) : a->high;
    double v = low + px / size * (high - low);
    return a->log ? pow(10.0, v) : v;
}

static void tick_add(il__axis *a, double at)
{
    if (at < a->low * (a->log ? 0.999999 : 1.0) - (a->log ? 0.0 : 1e-9) ||
        at > a->high * 1.000001 || a->n_ticks == IL__PLOT_MOST_TICKS) {
        return;
    }
    il__tick *t = &a->ticks[a->n_ticks++];
    t->at = at == 0.0 ? 0.0 : at; /* no minus zero */
    (void)snprintf(t->text, sizeof t->text, fabs(t->at) >= 1e6 ? "%.0e" : "%.6g", t->at);
}

/* A step of 1, 2 or 5 times a power of ten, 4 to 8 numbers. */
static void ticks_linear(il__axis *a)
{
    double raw = (a->high - a->low) / 6.0, unit = pow(10.0, floor(log10(raw)));
    double step = raw / unit < 1.5 ? unit : raw / unit < 3.5 ? 2 * unit : 5 * unit;
    for (double k = ceil(a->low / step - 1e-9); k * step <= a->high * 1.000001; k += 1.0) {
        tick_add(a, k * step);
    }
}

/* Log axes: even steps below half a decade, then 1-2-5, 1-3 and whole decades. */
static void ticks_choose(il__axis *a)
{
    static const double fine[] = {1, 1.5, 2, 3, 4, 5, 7}, middle[] = {1, 2, 5}, coarse[] = {1, 3},
                        bare[] = {1};
    if (a->n_ticks > 0) {
        return; /* given */
    }
    double decades = a->log ? log10(a->high / a->low) : 0.0;
    if (decades < 0.5) {
        ticks_linear(a);
        return;
    }
    const double *steps = decades < 1.0   ? fine
                          : decades < 2.4 ? middle
                          : decades < 4.5 ? coarse
                                          : bare;
    size_t n = decades < 1.0 ? 7 : decades < 2.4 ? 3 : decades < 4.5 ? 2 : 1;
    for (double d = floor(log10(a->low)); d <= log10(a->high); d += 1.0) {
        for (size_t i = 0; i < n; i++) {
            tick_add(a, steps[i] * pow(10.0, d));
        }
    }
}

static void range_take(double *low, double *high, double v, bool log_axis)
{
    if (isfinite(v) && (!log_axis || v > 0.0)) {
        *low = fmin(*low, v);
        *high = fmax(*high, v);
    }
}

static void range_choose(il__axis *a, double low, double high, double air_low, double air_high)
{
    if (isfinite(a->low) && isfinite(a->high) && a->low < a->high) {
        return; /* given */
    }
    if (!(low <= high)) {
        low = a->log ? 1.0 : 0.0;
        high = low;
    }
    if (a->log) {
        double span = fmax(log10(high / low), 0.15);
        a->low = low * pow(10.0, -air_low * span);
        a->high = high * pow(10.0, air_high * span);
        return;
    }
    double span = fmax(high - low, fmax(fabs(high), 1.0) * 1e-3);
    a->low = low - air_low * span;
    a->high = high + air_high * span;
}

static void ranges_choose(il__plot *p)
{
    double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
    for (size_t i = 0; i < p->n_points; i++) {
        const il__point *q = &p->points[i];
        range_take(&x0, &x1, q->x, p->x.log);
        range_take(&y0, &y1, q->y, p->y.log);
        range_take(&y0, &y1, q->low, p->y.log);
        range_take(&y0, &y1, q->high, p->y.log);
    }
    for (size_t i = 0; i < p->n_curves; i++) {
        const il__curve *c = &p->curves[i];
        for (size_t k = 0; c->kind != IL__CURVE_BAND && k < c->n; k++) {
            range_take(&x0, &x1, c->x[k], p->x.log);
            range_take(&y0, &y1, c->y[k], p->y.log);
        }
    }
    range_choose(&p->x, x0, x1, 0.07, 0.17);
    range_choose(&p->y, y0, y1, 0.12, 0.14);
    ticks_choose(&p->x);
    ticks_choose(&p->y);
}

static double overlap(rect a, rect b)
{
    double w = fmin(a.x1, b.x1) - fmax(a.x0, b.x0), h = fmin(a.y1, b.y1) - fmax(a.y0, b.y0);
    return w > 0.0 && h > 0.0 ? w * h : 0.0;
}

/* Pixels of a line inside a rectangle, found by walking it in steps of about 4 pixels. */
static double line_inside(const il__plot *p, const il__line *l, rect r)
{
    double ax = to_px(&p->x, l->x0, p->box_w), ay = to_px(&p->y, l->y0, p->box_h);
    double bx = to_px(&p->x, l->x1, p->box_w), by = to_px(&p->y, l->y1, p->box_h);
    if (fmax(ax, bx) < r.x0 || fmin(ax, bx) > r.x1 || fmax(ay, by) < r.y0 || fmin(ay, by) > r.y1) {
        return 0.0;
    }
    double length = fmin(hypot(bx - ax, by - ay), 4000.0);
    size_t inside = 0, steps = (size_t)(length / 4.0) + 2;
    for (size_t i = 0; i < steps; i++) {
        double at = ((double)i + 0.5) / (double)steps;
        double x = ax + (bx - ax) * at, y = ay + (by - ay) * at;
        inside += x > r.x0 && x < r.x1 && y > r.y0 && y < r.y1;
    }
    return (double)inside * length / (double)steps;
}

static rect point_box(const il__plot *p, const il__point *q)
{
    double x = to_px(&p->x, q->x, p->box_w), y = to_px(&p->y, q->y, p->box_h);
    double marker = 8.0 * scale_of(p);
    rect r = {x - marker, y - marker, x + marker, y + marker};
    if (isfinite(q->low) && isfinite(q->high)) {
        r.y0 = fmin(r.y0, to_px(&p->y, q->low, p->box_h));
        r.y1 = fmax(r.y1, to_px(&p->y, q->high, p->box_h));
    }
    return r;
}

typedef struct place {
    double dx, dy; /* of the anchor from the point, pixels */
    char align;
    double taste; /* cost of the place itself */
} place;

static rect place_box(const il__plot *p, double px, double py, const place *at, double w)
{
    double x = px + at->dx, y = py + at->dy, text_h = 19.0 * scale_of(p);
    double left = at->align == 'l' ? x : at->align == 'r' ? x - w : x - w / 2;
    return (rect){left, y - text_h / 2, left + w, y + text_h / 2};
}

/* A label is not worth covering another one, or a point: above this cost it is left out. */
static const double too_dear = 2500.0;

static double place_cost(const il__plot *p, rect r, const rect *taken, size_t n_taken)
{
    double cost = 0.0;
    if (r.x0 < 2 || r.y0 < 2 || r.x1 > p->box_w - 2 || r.y1 > p->box_h - 2) {
        return 2 * too_dear;
    }
    for (size_t i = 0; i < n_taken; i++) {
        if (overlap(r, taken[i]) > 0.0) {
            return 2 * too_dear;
        }
    }
    for (size_t i = 0; i < p->n_points; i++) {
        cost += 12.0 * overlap(r, point_box(p, &p->points[i]));
    }
    for (size_t i = 0; i < p->n_lines; i++) {
        bool faint = p->lines[i].kind == IL__LINE_GHOST;
        cost += (faint ? 0.25 : 4.0) * line_inside(p, &p->lines[i], r);
    }
    for (size_t i = 0; i < p->n_curves; i++) {
        const il__curve *c = &p->curves[i];
        for (size_t k = 1; c->kind != IL__CURVE_BAND && k < c->n; k++) {
            il__line chord = {.x0 = c->x[k - 1], .y0 = c->y[k - 1], .x1 = c->x[k], .y1 = c->y[k]};
            cost += 4.0 * line_inside(p, &chord, r);
        }
    }
    return cost;
}

static double distance(rect r, double x, double y)
{
    double dx = fmax(fmax(r.x0 - x, x - r.x1), 0.0), dy = fmax(fmax(r.y0 - y, y - r.y1), 0.0);
    return hypot(dx, dy);
}

/* A label nearer to another point than to its own at (x, y) would be read as the other's. */
static double confusion_cost(const il__plot *p, rect r, double x, double y)
{
    double own = distance(r, x, y), cost = 0.0;
    for (size_t i = 0; i < p->n_points; i++) {
        double ox = to_px(&p->x, p->points[i].x, p->box_w),
               oy = to_px(&p->y, p->points[i].y, p->box_h);
        if (hypot(ox - x, oy - y) > 1.0 && distance(r, ox, oy) < own + 2.0) {
            cost += 0.6 * too_dear;
        }
    }
    return cost;
}

/* Returns whether text found a place near (x, y); the box is added to taken. */
static bool label_place(il__plot *p, double x, double y, const char *text, const place *places,
                        size_t n_places, bool grey, rect *taken, size_t *n_taken)
{
    double px = to_px(&p->x, x, p->box_w), py = to_px(&p->y, y, p->box_h), best = INFINITY;
    double width = text_width(p, text);
    size_t chosen = 0;
    for (size_t i = 0; i < n_places; i++) {
        rect r = place_box(p, px, py, &places[i], width);
        double cost = place_cost(p, r, taken, *n_taken) + places[i].taste +
                      (grey ? 0.0 : confusion_cost(p, r, px, py));
        if (cost < best) {
            best = cost;
            chosen = i;
        }
    }
    if (best > too_dear) {
        return false;
    }
    taken[(*n_taken)++] = place_box(p, px, py, &places[chosen], width);
    p->labels[p->n_labels++] = (il__label){.x = from_px(&p->x, px + places[chosen].dx, p->box_w),
                                           .y = from_px(&p->y, py + places[chosen].dy, p->box_h),
                                           .align = places[chosen].align,
                                           .grey = grey,
                                           .text = text};
    return true;
}

static void point_labels(il__plot *p, rect *taken, size_t *n_taken)
{
    static const place large[] = {
        {13, 0, 'l', 0},    {-13, 0, 'r', 4},    {11, 15, 'l', 8},  {11, -15, 'l', 8},
        {-11, 15, 'r', 10}, {-11, -15, 'r', 10}, {0, 23, 'c', 12},  {0, -23, 'c', 12},
        {0, 40, 'c', 60},   {0, -40, 'c', 60},   {16, 32, 'l', 60}, {16, -32, 'l', 60},
        {-16, 32, 'r', 60}, {-16, -32, 'r', 60},
    };
    enum { N_PLACES = sizeof large / sizeof *large };
    place places[N_PLACES];
    for (size_t i = 0; i < N_PLACES; i++) {
        places[i] = large[i];
        places[i].dx *= scale_of(p);
        places[i].dy *= scale_of(p);
    }
    for (size_t i = 0; i < p->n_points; i++) {
        const il__point *q = &p->points[i];
        if (q->label && !q->quiet) {
            (void)label_place(p, q->x, q->y, q->label, places, N_PLACES, false, taken, n_taken);
        }
    }
}

/* A line's label stands above or below it, clear of its slope, at the place along it that is
 * freest. */
static void line_label(il__plot *p, const il__line *l, rect *taken, size_t *n_taken)
{
    enum { STOPS = 12 };
    place places[STOPS * 2];
    double ax = to_px(&p->x, l->x0, p->box_w), ay = to_px(&p->y, l->y0, p->box_h);
    double bx = to_px(&p->x, l->x1, p->box_w), by = to_px(&p->y, l->y1, p->box_h);
    double text_h = 19.0 * scale_of(p);
    double rise = bx > ax ? fabs(by - ay) / (bx - ax) * text_width(p, l->label) / 2 : 0.0;
    for (int i = 0; i < STOPS; i++) {
        double along = 0.88 - 0.76 * (double)i / STOPS;
        for (int side = 0; side < 2; side++) {
            double off = (text_h / 2 + 4 + rise) * (side ? -1 : 1);
            places[i * 2 + side] = (place){.dx = (bx - ax) * along,
                                           .dy = (by - ay) * along + off,
                                           .align = 'c',
                                           .taste = 6.0 * i};
        }
    }
    (void)label_place(p, l->x0, l->y0, l->label, places, STOPS * 2, true, taken, n_taken);
}

int il__plot_layout(il__plot *plot, il_arena *arena, il_error *err)
{
    plot->box_w = plot->box_w > 0.0 ? plot->box_w : IL__PLOT_WIDTH_PX * 0.86;
    plot->box_h = plot->box_h > 0.0 ? plot->box_h : IL__PLOT_HEIGHT_PX * 0.70;
    plot->em = plot->em > 0.0 ? plot->em : gnuplot_em;
    ranges_choose(plot);
    size_t most = plot->n_points + plot->n_lines + plot->n_curves + 1;
    plot->labels = il_arena_array(arena, most, sizeof *plot->labels);
    rect *taken = il_arena_array(arena, most, sizeof *taken);
    if (!plot->labels || !taken) {
        return il_fail(err, IL_E_NOMEM, "no memory for the labels of a plot");
    }
    size_t n_taken = 0;
    plot->n_labels = 0;
    point_labels(plot, taken, &n_taken);
    for (size_t i = 0; i < plot->n_lines; i++) {
        if (plot->lines[i].label) {
            line_label(plot, &plot->lines[i], taken, &n_taken);
        }
    }
    for (size_t i = 0; i < plot->n_curves; i++) {
        const il__curve *c = &plot->curves[i];
        if (c->label && c->n >= 2) { /* its right half is straight enough to carry a label */
            size_t from = c->n / 2 < c->n - 1 ? c->n / 2 : c->n - 2;
            il__line chord = {.x0 = c->x[from],
                              .y0 = c->y[from],
                              .x1 = c->x[c->n - 1],
                              .y1 = c->y[c->n - 1],
                              .label = c->label};
            line_label(plot, &chord, taken, &n_taken);
        }
    }
    return IL_OK;
}
