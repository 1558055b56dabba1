/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A plot as SVG of our own: text stays text, colours are CSS variables, so that one picture serves
 * light, dark and paper. The same plot gives the same bytes. Shared by the files of src/report
 * only.
 */
#ifndef IL_REPORT_SVG_H
#define IL_REPORT_SVG_H

#include "report/plot.h"

/* The box and letters that il__svg_put draws; set before il__plot_layout. */
void il__svg_geometry(il__plot *plot);
/* `<svg …>…</svg>` for a page whose style sheet holds il__svg_style. alone: a file of its own, with
 * name space, style sheet and background. */
void il__svg_put(const il__plot *plot, bool alone, il_buf *to);

/* Rules for the classes used; they need the variables --ink, --muted, --line, --page and --s0 to
 * --s6. */
extern const char il__svg_style[];
/* Those variables: light, then dark. */
extern const char il__svg_light[], il__svg_dark[];

/* Appends text so that HTML and XML show it literally, also inside a quoted attribute. */
void il__html_text(il_buf *to, const char *text);

#endif
