/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/svg.h"

#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LEGEND_ROW = 22 };

/* A picture beside text on a screen or on paper, and one for the width of a telephone. */
typedef struct geometry {
    int width, box_h, left, right, bottom, em;
} geometry;
static const geometry wide = {880, 400, 66, 12, 50, 13}, narrow = {360, 300, 50, 8, 46, 11};

static const geometry *geometry_of(const il__plot *plot)
{
    return plot->narrow ? &narrow : &wide;
}

/* Okabe and Ito's colours, the lighter ones darkened on white paper. */
const char il__svg_light[] = "--s0:#0072b2;--s1:#c44e00;--s2:#00785a;--s3:#a8527f;--s4:#9a6a00;"
                             "--s5:#3182b0;--s6:#333;";
const char il__svg_dark[] = "--s0:#5ab4e8;--s1:#f08a4b;--s2:#3cc79b;--s3:#e09ac0;--s4:#e6b450;"
                            "--s5:#9bd0f2;--s6:#ddd;";

const char il__svg_style[] =
    ".plot text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;"
    "fill:var(--ink);font-variant-numeric:tabular-nums}"
    ".plot.narrow text{font-size:11px}"
    ".plot .tick,.plot .legend{fill:var(--muted)}.plot .axis{fill:var(--muted)}"
    ".plot .grid{stroke:var(--line);stroke-width:1;fill:none}"
    ".plot .frame{stroke:var(--muted);stroke-width:1;fill:none}"
    ".plot .name{paint-order:stroke;stroke:var(--page);stroke-width:3px;stroke-linejoin:round}"
    ".plot .aside{fill:var(--muted);paint-order:stroke;stroke:var(--page);stroke-width:3px;"
    "stroke-linejoin:round}"
    ".plot .line{fill:none;stroke-linecap:round;stroke-linejoin:round}"
    ".plot .ghost{stroke:var(--muted);stroke-width:1;opacity:.45}"
    ".plot .marked{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:5 4}"
    ".plot .floor{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:1.5 4}"
    ".plot .join{stroke-width:1;opacity:.55}.plot .law{stroke-width:2}"
    ".plot .weak{stroke-width:2;stroke-dasharray:8 5}"
    ".plot .band{stroke:none;opacity:.13}.plot .bar{stroke-width:1.5}"
    ".plot .mark{stroke:var(--page);stroke-width:1}"
    ".plot .f0{fill:var(--s0)}.plot .f1{fill:var(--s1)}.plot .f2{fill:var(--s2)}"
    ".plot .f3{fill:var(--s3)}.plot .f4{fill:var(--s4)}.plot .f5{fill:var(--s5)}"
    ".plot .f6{fill:var(--s6)}"
    ".plot .c0{stroke:var(--s0)}.plot .c1{stroke:var(--s1)}.plot .c2{stroke:var(--s2)}"
    ".plot .c3{stroke:var(--s3)}.plot .c4{stroke:var(--s4)}.plot .c5{stroke:var(--s5)}"
    ".plot .c6{stroke:var(--s6)}";

void il__html_text(il_buf *to, const char *text)
{
    char clean[8192];
    il_words_clean(clean, sizeof clean, text, sizeof clean / 4);
    for (const char *p = clean; *p; p++) {
        switch (*p) {
        case '<':
            (void)il_buf_puts(to, "&lt;");
            break;
        case '>':
            (void)il_buf_puts(to, "&gt;");
            break;
        case '&':
            (void)il_buf_puts(to, "&amp;");
            break;
        case '"':
            (void)il_buf_puts(to, "&quot;");
            break;
        case '\'':
            (void)il_buf_puts(to, "&#39;");
            break;
        default:
            (void)il_buf_append(to, p, 1);
        }
    }
}

void il__svg_geometry(il__plot *plot)
{
    const geometry *g = geometry_of(plot);
    plot->box_w = g->width - g->left - g->right;
    plot->box_h = g->box_h;
    plot->em = g->em;
}

typedef struct canvas {
    const il__plot *plot;
    const geometry *g;
    il_buf *to;
    double top;
} canvas;

static double along(const il__axis *a, double v)
{
    double low = a->log ? log10(a->low) : a->low, high = a->log ? log10(a->high) : a->high;
    double at = a->log ? (v > 0.0 ? log10(v) : low - (high - low)) : v;
    /* Far outside is as good as outside, and keeps the numbers short. */
    return fmin(fmax((at - low) / (high - low), -2.0), 3.0);
}

static double x_px(const canvas *c, double v)
{
    return c->g->left + along(&c->plot->x, v) * c->plot->box_w;
}

static double y_px(const canvas *c, double v)
{
    return c->top + (1.0 - along(&c->plot->y, v)) * c->plot->box_h;
}

/* A marker of a shape of its own for each series. */
static void put_mark(il_buf *to, double x, double y, unsigned series)
{
    static const char *const shapes[IL__PLOT_SERIES] = {
        NULL,
        "m-5-5h10v10h-10z",
        "m0-6.5 6.5 6.5-6.5 6.5-6.5-6.5z",
        "m0-6 6 11h-12z",
        "m0 6 6-11h-12z",
        "m0-6 5.7 4.1-2.2 6.7h-7l-2.2-6.7z",
        "m-2-5.5h4v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5v-4h3.5z"};
    unsigned s = series % IL__PLOT_SERIES;
    if (!shapes[s]) {
        (void)il_buf_printf(to, "<circle class=\"mark f%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>", s,
                            x, y);
        return;
    }
    (void)il_buf_printf(to, "<path class=\"mark f%u\" d=\"M%.1f %.1f%s\"/>", s, x, y, shapes[s]);
}

static void put_axis_x(canvas *c)
{
    const il__plot *p = c->plot;
    double bottom = c->top + p->box_h;
    for (size_t i = 0; i < p->x.n_ticks; i++) {
        double x = x_px(c, p->x.ticks[i].at);
        (void)il_buf_printf(c->to, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, c->top,
                            bottom);
        (void)il_buf_printf(c->to,
                            "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x,
                            bottom + 18);
        il__html_text(c->to, p->x.ticks[i].text);
        (void)il_buf_puts(c->to, "</text>");
    }
    (void)il_buf_printf(c->to, "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                        c->g->left + p->box_w / 2, bottom + 40);
    il__html_text(c->to, p->x.title);
    (void)il_buf_puts(c->to, "</text>\n");
}

static void put_axis_y(canvas *c)
{
    const il__plot *p = c->plot;
    for (size_t i = 0; i < p->y.n_ticks; i++) {
        double y = y_px(c, p->y.ticks[i].at);
        (void)il_buf_printf(c->to, "<path class=\"grid\" d=\"M%d %.1fH%.1f\"/>", c->g->left, y,
                            c->g->left + p->box_w);
        (void)il_buf_printf(c->to, "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
                            c->g->left - 8, y + 4.5);
        il__html_text(c->to, p->y.ticks[i].text);
        (void)il_buf_puts(c->to, "</text>");
    }
    (void)il_buf_printf(c->to,
                        "<text class=\"axis\" transform=\"translate(15 %.1f)rotate(-90)\" "
                        "text-anchor=\"middle\">",
                        c->top + p->box_h / 2);
    il__html_text(c->to, p->y.title);
    (void)il_buf_printf(c->to, "</text>\n<path class=\"frame\" d=\"M%d %.1fV%.1fH%.1f\"/>\n",
                        c->g->left, c->top, c->top + p->box_h, c->g->left + p->box_w);
}

static void put_band(canvas *c, const il__curve *v)
{
    (void)il_buf_printf(c->to, "<path class=\"band f%u\" d=\"M", v->series);
    for (size_t i = 0; i < v->n; i++) {
        (void)il_buf_printf(c->to, "%s%.1f %.1f", i ? "L" : "", x_px(c, v->x[i]), y_px(c, v->y[i]));
    }
    for (size_t i = v->n; i-- > 0;) {
        (void)il_buf_printf(c->to, "L%.1f %.1f", x_px(c, v->x[i]), y_px(c, v->high[i]));
    }
    (void)il_buf_puts(c->to, "z\"/>\n");
}

/* The floor and the bands, or the laws: ghosts are drawn between them. */
static void put_curves(canvas *c, bool laws)
{
    static const char *const classes[] = {"law", "weak", "floor", "band"};
    for (size_t i = 0; i < c->plot->n_curves; i++) {
        const il__curve *v = &c->plot->curves[i];
        if (laws != (v->kind == IL__CURVE_LAW || v->kind == IL__CURVE_WEAK)) {
            continue;
        }
        if (v->kind == IL__CURVE_BAND) {
            put_band(c, v);
            continue;
        }
        (void)il_buf_printf(c->to, "<path class=\"line %s", classes[v->kind]);
        if (v->kind != IL__CURVE_FLOOR) {
            (void)il_buf_printf(c->to, " c%u", v->series);
        }
        (void)il_buf_puts(c->to, "\" d=\"M");
        for (size_t k = 0; k < v->n; k++) {
            (void)il_buf_printf(c->to, "%s%.1f %.1f", k ? "L" : "", x_px(c, v->x[k]),
                                y_px(c, v->y[k]));
        }
        (void)il_buf_puts(c->to, "\"/>\n");
    }
}

static void put_lines(canvas *c)
{
    static const char *const classes[IL__LINE_KINDS] = {"law", "weak", "ghost", "marked", "join"};
    for (size_t i = 0; i < c->plot->n_lines; i++) {
        const il__line *l = &c->plot->lines[i];
        bool grey = l->kind == IL__LINE_GHOST || l->kind == IL__LINE_MARKED;
        (void)il_buf_printf(c->to, "<path class=\"line %s", classes[l->kind]);
        if (!grey) {
            (void)il_buf_printf(c->to, " c%u", l->series);
        }
        (void)il_buf_printf(c->to, "\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", x_px(c, l->x0),
                            y_px(c, l->y0), x_px(c, l->x1), y_px(c, l->y1));
    }
}

/* A point with its bar; what it stands for shows when the pointer rests on it. */
static void put_points(canvas *c)
{
    const il__plot *p = c->plot;
    for (size_t i = 0; i < p->n_points; i++) {
        const il__point *q = &p->points[i];
        double x = x_px(c, q->x), y = y_px(c, q->y);
        unsigned s = q->series % IL__PLOT_SERIES;
        char a[32], b[96];
        il_words_plain(a, sizeof a, q->x);
        il_words_interval(b, sizeof b, q->y, q->low, q->high);
        (void)il_buf_puts(c->to, "<g><title>");
        il__html_text(c->to, q->label ? q->label : "");
        (void)il_buf_printf(c->to, "%s%s; %s</title>", q->label ? ": " : "", a, b);
        if (isfinite(q->low) && isfinite(q->high)) {
            double low = y_px(c, q->low), high = y_px(c, q->high);
            (void)il_buf_printf(
                c->to, "<path class=\"bar c%u\" d=\"M%.1f %.1fV%.1fm-4 0h8M%.1f %.1fh8\"/>", s, x,
                low, high, x - 4, low);
        }
        put_mark(c->to, x, y, s);
        (void)il_buf_puts(c->to, "</g>\n");
    }
}

static void put_labels(canvas *c)
{
    for (size_t i = 0; i < c->plot->n_labels; i++) {
        const il__label *l = &c->plot->labels[i];
        (void)il_buf_printf(c->to, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\"%s>",
                            l->grey ? "aside" : "name", x_px(c, l->x), y_px(c, l->y) + 4.5,
                            l->align == 'r'   ? " text-anchor=\"end\""
                            : l->align == 'c' ? " text-anchor=\"middle\""
                                              : "");
        il__html_text(c->to, l->text);
        (void)il_buf_puts(c->to, "</text>\n");
    }
}

/* ---- legend ---- */

typedef enum sample { SAMPLE_SERIES, SAMPLE_BAND, SAMPLE_GHOST, SAMPLE_FLOOR } sample;

typedef struct entry {
    sample kind;
    unsigned series;
    const char *text;
} entry;

enum { MOST_ENTRIES = IL__PLOT_SERIES + 3 };

static size_t legend_make(const il__plot *p, entry out[MOST_ENTRIES])
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_series; i++) {
        out[n++] = (entry){.series = (unsigned)i, .text = p->series[i]};
    }
    for (size_t i = 0; i < p->n_curves; i++) {
        if (p->curves[i].kind == IL__CURVE_BAND) {
            out[n++] = (entry){.kind = SAMPLE_BAND,
                               .series = p->curves[i].series,
                               .text = "95 % prediction for a new model"};
            break;
        }
    }
    for (size_t i = 0; i < p->n_lines; i++) {
        if (p->lines[i].kind == IL__LINE_GHOST) {
            out[n++] = (entry){.kind = SAMPLE_GHOST, .text = "the law without one model"};
            break;
        }
    }
    for (size_t i = 0; i < p->n_curves; i++) {
        if (p->curves[i].kind == IL__CURVE_FLOOR) {
            out[n++] = (entry){.kind = SAMPLE_FLOOR, .text = "floor of memory and arithmetic"};
            break;
        }
    }
    return n;
}

/* Draws the legend, or (to NULL) only counts its rows. */
static size_t legend_put(const il__plot *p, il_buf *to)
{
    entry entries[MOST_ENTRIES];
    size_t n = legend_make(p, entries), rows = n > 0;
    const geometry *g = geometry_of(p);
    double x = g->left;
    for (size_t i = 0; i < n; i++) {
        char text[160];
        il_words_clean(text, sizeof text, entries[i].text, 36);
        double width = 40.0 + 0.53 * g->em * (double)il_words_width(text);
        if (x > g->left && x + width > g->width) {
            x = g->left;
            rows++;
        }
        double y = (double)(rows - 1) * LEGEND_ROW + 11.0;
        if (to && entries[i].kind == SAMPLE_SERIES) {
            put_mark(to, x + 6, y, entries[i].series);
        } else if (to && entries[i].kind == SAMPLE_BAND) {
            (void)il_buf_printf(to, "<path class=\"band f%u\" d=\"M%.1f %.1fh22v12h-22z\"/>",
                                entries[i].series, x - 4, y - 6);
        } else if (to) {
            (void)il_buf_printf(to, "<path class=\"line %s\" d=\"M%.1f %.1fh20\"/>",
                                entries[i].kind == SAMPLE_GHOST ? "ghost" : "floor", x - 3, y);
        }
        if (to) {
            double at = x + (entries[i].kind == SAMPLE_SERIES ? 17 : 24);
            (void)il_buf_printf(to, "<text class=\"legend\" x=\"%.1f\" y=\"%.1f\">", at, y + 4.5);
            il__html_text(to, text);
            (void)il_buf_puts(to, "</text>\n");
        }
        x += width;
    }
    return rows;
}

void il__svg_put(const il__plot *plot, bool alone, il_buf *to)
{
    canvas c = {.plot = plot,
                .g = geometry_of(plot),
                .to = to,
                .top = (double)legend_put(plot, NULL) * LEGEND_ROW + 8.0};
    const char *suffix = plot->narrow ? "-narrow" : "";
    double height = c.top + plot->box_h + c.g->bottom;
    (void)il_buf_printf(to, "<svg class=\"plot%s\" viewBox=\"0 0 %d %.0f\" role=\"img\"",
                        plot->narrow ? " narrow" : "", c.g->width, height);
    if (alone) {
        (void)il_buf_printf(to,
                            " xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\"",
                            c.g->width, height);
    }
    (void)il_buf_puts(to, "><title>");
    il__html_text(to, plot->title);
    (void)il_buf_puts(to, "</title>\n");
    if (alone) {
        (void)il_buf_printf(to,
                            "<style>.plot{--ink:#1d2025;--muted:#5a6069;--line:#e6e7e4;"
                            "--page:#fff;%s}%s</style>\n<rect width=\"100%%\" height=\"100%%\" "
                            "fill=\"#fff\"/>\n",
                            il__svg_light, il__svg_style);
    }
    (void)il_buf_printf(to,
                        "<clipPath id=\"clip-%s%s\"><rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" "
                        "height=\"%.1f\"/></clipPath>\n",
                        plot->name, suffix, c.g->left, c.top, plot->box_w, plot->box_h);
    (void)legend_put(plot, to);
    put_axis_x(&c);
    put_axis_y(&c);
    (void)il_buf_printf(to, "<g clip-path=\"url(#clip-%s%s)\">\n", plot->name, suffix);
    put_curves(&c, false);
    put_lines(&c);
    put_curves(&c, true);
    put_points(&c);
    (void)il_buf_puts(to, "</g>\n");
    put_labels(&c);
    (void)il_buf_puts(to, "</svg>\n");
}
