/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One picture as data: points with intervals and labels, lines, two axes. plot_layout.c decides
 * ranges, ticks and where each label stands; gnuplot.c writes and draws. Shared by the files of
 * src/report only.
 */
#ifndef IL_REPORT_PLOT_H
#define IL_REPORT_PLOT_H

#include "base/arena.h"
#include "base/buf.h"
#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    IL__PLOT_WIDTH_PX = 1200,
    IL__PLOT_HEIGHT_PX = 800,
    IL__PLOT_MOST_TICKS = 24,
    IL__PLOT_SERIES = 7, /* colours that stay apart for every kind of colour blindness */
};

typedef enum il__line_kind {
    IL__LINE_FIT,    /* a law that stands */
    IL__LINE_WEAK,   /* a fitted line whose law is not identifiable: dashed */
    IL__LINE_GHOST,  /* the law without one model: thin, grey */
    IL__LINE_MARKED, /* the ghost that decides: grey, dashed, labelled */
    IL__LINE_JOIN,   /* joins points of a series */
    IL__LINE_KINDS
} il__line_kind;

typedef struct il__point {
    double x, y, low, high; /* low, high NaN: no bar */
    unsigned series;
    const char *label; /* NULL none */
    bool quiet;        /* the label is said of the point, and not drawn */
} il__point;

typedef struct il__line {
    double x0, y0, x1, y1;
    il__line_kind kind;
    unsigned series;
    const char *label; /* stands at its right end; NULL none */
} il__line;

/* A line through many points, or an area between two: drawn by svg.c alone. */
typedef enum il__curve_kind {
    IL__CURVE_LAW,   /* a law that stands */
    IL__CURVE_WEAK,  /* one that is not identifiable: dashed */
    IL__CURVE_FLOOR, /* what physics allows */
    IL__CURVE_BAND,  /* filled between y and high */
} il__curve_kind;

typedef struct il__curve {
    il__curve_kind kind;
    const double *x, *y, *high; /* n each; high for a band alone */
    size_t n;
    unsigned series;
    const char *label; /* beside its right half; NULL none */
} il__curve;

typedef struct il__tick {
    double at;
    char text[16];
} il__tick;

typedef struct il__axis {
    const char *title;
    bool log;
    double low, high; /* chosen by il__plot_layout unless already finite and different */
    il__tick ticks[IL__PLOT_MOST_TICKS];
    size_t n_ticks;
} il__axis;

/* Where a label was put: data coordinates of its anchor and how the text hangs on it. */
typedef struct il__label {
    double x, y;
    char align; /* 'l', 'c', 'r' */
    bool grey;
    const char *text;
} il__label;

typedef struct il__plot {
    const char *name;     /* file name without suffix, already safe */
    const char *title;    /* one line */
    const char *subtitle; /* smaller, below; may hold one '\n'; "" none */
    il__axis x, y;
    il__point *points;
    size_t n_points;
    il__line *lines;
    size_t n_lines;
    il__curve *curves;
    size_t n_curves;
    bool narrow;             /* svg.c: for the width of a telephone */
    double box_w, box_h, em; /* of the box and its letters, pixels; 0: what gnuplot.c draws */
    const char *series[IL__PLOT_SERIES]; /* legend; NULL when there is none */
    size_t n_series;
    il__label *labels; /* by il__plot_layout */
    size_t n_labels;
} il__plot;

/* Chooses ranges (with air for labels), ticks and label places. A label that fits nowhere without
 * covering another is left out. */
int il__plot_layout(il__plot *plot, il_arena *arena, il_error *err);

/* Draws all plots as NAME.png and NAME.svg into dir with one gnuplot process; the script plots.gp
 * and its data stay beside them in dir/data. *drawn is false, and the result IL_OK, when gnuplot is
 * not installed. A gnuplot that fails is IL_E_CRASHED with its own first words. */
int il__gnuplot_draw(const il__plot *plots, size_t n_plots, const char *dir, bool *drawn,
                     il_error *err);

#endif
