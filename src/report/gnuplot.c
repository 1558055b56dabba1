/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plots become one gnuplot script and data files beside it. Texts reach gnuplot in single quotes
 * with `noenhanced` only, where nothing is expanded; numbers and labels through data files.
 */
#include "report/plot.h"

#include "base/file.h"
#include "base/text.h"
#include "report/words.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, PATIENCE_MS = 300000, MOST_SCRIPT_BYTES = 64 << 20 };

/* Okabe and Ito's colours and a marker each. */
static const char *const colours[IL__PLOT_SERIES] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                     "#E69F00", "#56B4E9", "#000000"};
static const int markers[IL__PLOT_SERIES] = {7, 5, 9, 13, 11, 15, 3};

/* 'text' as a gnuplot literal. Nothing is expanded in single quotes, and no quote is let in:
 * gnuplot 5.4 reads a doubled one at the start of a text as its end. */
static void put_literal(il_buf *to, const char *text)
{
    char clean[1024];
    il_words_clean(clean, sizeof clean, text, 220);
    (void)il_buf_puts(to, "'");
    for (const char *p = clean; *p; p++) {
        if (*p == '\'' || *p == '`') {
            (void)il_buf_puts(to, "\xE2\x80\x99");
        } else {
            (void)il_buf_append(to, p, 1);
        }
    }
    (void)il_buf_puts(to, "'");
}

/* A field of a tab-separated data file. Gnuplot takes a double quote as a delimiter. */
static void put_field(il_buf *to, const char *text)
{
    char clean[1024];
    il_words_clean(clean, sizeof clean, text, 220);
    for (char *p = clean; *p; p++) {
        *p = *p == '"' || *p == '`' ? '\'' : *p;
    }
    (void)il_buf_puts(to, clean[0] ? clean : " ");
}

static void put_axis(il_buf *to, char name, const il__axis *a)
{
    (void)il_buf_printf(to, "set %clabel ", name);
    put_literal(to, a->title);
    (void)il_buf_printf(to, " font ',16' offset %s\n%s logscale %c\nset %crange [%.10g:%.10g]\n",
                        name == 'x' ? "0,-0.4" : "-1.2,0", a->log ? "set" : "unset", name, name,
                        a->low, a->high);
    (void)il_buf_printf(to, "set %ctics nomirror scale 0.6 font ',14' (", name);
    for (size_t i = 0; i < a->n_ticks; i++) {
        (void)il_buf_printf(to, "%s'%s' %.10g", i ? ", " : "", a->ticks[i].text, a->ticks[i].at);
    }
    (void)il_buf_puts(to, ")\n");
}

static void put_titles(il_buf *to, const il__plot *p)
{
    (void)il_buf_puts(to, "unset label\nset label 1 ");
    put_literal(to, p->title);
    (void)il_buf_puts(to, " at screen 0.10,0.965 left font ',19' textcolor rgb '#111111'\n");
    const char *line = p->subtitle;
    for (int i = 0; line && *line && i < 2; i++) {
        size_t n = strcspn(line, "\n");
        char text[1024];
        (void)snprintf(text, sizeof text, "%.*s", (int)n, line);
        (void)il_buf_printf(to, "set label %d ", i + 2);
        put_literal(to, text);
        (void)il_buf_printf(to, " at screen 0.10,%.3f left font ',14' textcolor rgb '#555555'\n",
                            0.925 - 0.033 * i);
        line = line[n] ? line + n + 1 : NULL;
    }
}

static const char *line_style(il__line_kind kind)
{
    static const char *const styles[IL__LINE_KINDS] = {
        "lw 2.5 dt 1", "lw 2.2 dt (12,8)", "lw 1 lc rgb '#C9C9C9' dt 1",
        "lw 1.8 lc rgb '#8A8A8A' dt (4,5)", "lw 1.8 dt 1"};
    return styles[kind];
}

static bool has_bars(const il__plot *p, unsigned series)
{
    for (size_t i = 0; i < p->n_points; i++) {
        if (p->points[i].series == series && isfinite(p->points[i].low)) {
            return true;
        }
    }
    return false;
}

/* The plot command. Faint lines first, so that points lie on top. */
static void put_command(il_buf *to, const il__plot *p)
{
    static const il__line_kind order[IL__LINE_KINDS] = {IL__LINE_GHOST, IL__LINE_MARKED,
                                                        IL__LINE_WEAK, IL__LINE_FIT, IL__LINE_JOIN};
    (void)il_buf_puts(to, "plot NaN notitle");
    for (size_t k = 0; k < IL__LINE_KINDS; k++) {
        bool own = order[k] != IL__LINE_GHOST && order[k] != IL__LINE_MARKED;
        for (size_t i = 0; i < p->n_lines; i++) {
            if (p->lines[i].kind != order[k]) {
                continue;
            }
            (void)il_buf_printf(to,
                                ", \\\n  'data/%s.lines.dat' index %zu using 1:2 with lines %s ",
                                p->name, i, line_style(order[k]));
            if (own) {
                (void)il_buf_printf(to, "lc rgb '%s' ", colours[p->lines[i].series]);
            }
            (void)il_buf_puts(to, "notitle");
        }
    }
    for (unsigned s = 0; s < (p->n_series ? p->n_series : 1); s++) {
        (void)il_buf_printf(to,
                            ", \\\n  'data/%s.points.dat' using ($1==%u?$2:NaN):3 with points pt "
                            "%d ps 1.3 lc rgb '%s' ",
                            p->name, s, markers[s], colours[s]);
        if (p->series[s]) {
            (void)il_buf_puts(to, "title ");
            put_literal(to, p->series[s]);
        } else {
            (void)il_buf_puts(to, "notitle");
        }
        if (has_bars(p, s)) {
            (void)il_buf_printf(to,
                                ", \\\n  'data/%s.points.dat' using ($1==%u?$2:NaN):3:4:5 with "
                                "yerrorbars pt %d ps 1.3 lw 1.5 lc rgb '%s' notitle",
                                p->name, s, markers[s], colours[s]);
        }
    }
    static const struct {
        char align;
        const char *word;
    } aligns[] = {{'l', "left"}, {'c', "center"}, {'r', "right"}};
    for (size_t a = 0; a < 3; a++) {
        for (int grey = 0; grey < 2; grey++) {
            bool any = false;
            for (size_t i = 0; i < p->n_labels; i++) {
                any = any || (p->labels[i].align == aligns[a].align && p->labels[i].grey == grey);
            }
            if (any) {
                (void)il_buf_printf(to,
                                    ", \\\n  'data/%s.labels.dat' using "
                                    "($1==%zu?$2:NaN):3:4 with labels %s font ',13' textcolor rgb "
                                    "'%s' notitle",
                                    p->name, a * 2 + (size_t)grey, aligns[a].word,
                                    grey ? "#6A6A6A" : "#222222");
            }
        }
    }
    (void)il_buf_puts(to, "\n");
}

/* Cairo's PNG has smooth lines; the plain one is what a minimal gnuplot has. */
#define TERMINAL_COMMON "size W, H font 'DejaVu Sans,15' noenhanced"
static const char *const terminals[] = {
    "W = %d; H = %d\nif (cairo) { set terminal pngcairo " TERMINAL_COMMON
    " background rgb 'white' } else { set terminal png truecolor " TERMINAL_COMMON " }\n",
    "W = %d; H = %d\nset terminal svg " TERMINAL_COMMON
    " fontscale 1.333 dynamic background rgb 'white'\n"};

static void put_plot(il_buf *to, const il__plot *p)
{
    (void)il_buf_printf(to, "\n# %s\n", p->name);
    put_axis(to, 'x', &p->x);
    put_axis(to, 'y', &p->y);
    put_titles(to, p);
    (void)il_buf_puts(to, p->n_series > 1
                              ? "set key at screen 0.095,0.865 left top horizontal Left reverse "
                                "samplen 1 width 2 font ',14' noenhanced\n"
                              : "unset key\n");
    static const char *const suffix[] = {"png", "svg"};
    for (int i = 0; i < 2; i++) {
        (void)il_buf_printf(to, terminals[i], IL__PLOT_WIDTH_PX, IL__PLOT_HEIGHT_PX);
        (void)il_buf_printf(to, "set output '%s.%s'\n", p->name, suffix[i]);
        put_command(to, p);
        (void)il_buf_puts(to, "unset output\n");
    }
}

static int data_write(const char *dir, const char *name, const char *suffix, const il_buf *text,
                      il_error *err)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/data/%s.%s.dat", dir, name, suffix);
    if (n < 0 || (size_t)n >= sizeof path) {
        return il_fail(err, IL_E_RANGE, "the path of a plot's data is too long");
    }
    return text->status == IL_OK ? il_file_write_atomic(path, il_buf_text(text), text->len, err)
                                 : il_fail(err, text->status, "cannot hold a plot's data");
}

static int plot_data_write(const il__plot *p, const char *dir, il_error *err)
{
    il_buf text;
    il_buf_init(&text, MOST_SCRIPT_BYTES);
    (void)il_buf_puts(&text, "# series\tx\ty\tlow\thigh\tlabel\n");
    for (size_t i = 0; i < p->n_points; i++) {
        const il__point *q = &p->points[i];
        (void)il_buf_printf(&text, "%u\t%.10g\t%.10g\t", q->series, q->x, q->y);
        if (isfinite(q->low) && isfinite(q->high)) {
            (void)il_buf_printf(&text, "%.10g\t%.10g\t", q->low, q->high);
        } else {
            (void)il_buf_puts(&text, "NaN\tNaN\t");
        }
        put_field(&text, q->label ? q->label : " ");
        (void)il_buf_puts(&text, "\n");
    }
    int rc = data_write(dir, p->name, "points", &text, err);
    il_buf_clear(&text);
    for (size_t i = 0; rc == IL_OK && i < p->n_lines; i++) {
        const il__line *l = &p->lines[i];
        (void)il_buf_printf(&text, "%.10g\t%.10g\n%.10g\t%.10g\n\n\n", l->x0, l->y0, l->x1, l->y1);
    }
    rc = rc == IL_OK ? data_write(dir, p->name, "lines", &text, err) : rc;
    il_buf_clear(&text);
    (void)il_buf_puts(&text, "# place\tx\ty\ttext\n");
    for (size_t i = 0; rc == IL_OK && i < p->n_labels; i++) {
        const il__label *l = &p->labels[i];
        int place = (l->align == 'l' ? 0 : l->align == 'c' ? 2 : 4) + l->grey;
        (void)il_buf_printf(&text, "%d\t%.10g\t%.10g\t", place, l->x, l->y);
        put_field(&text, l->text);
        (void)il_buf_puts(&text, "\n");
    }
    rc = rc == IL_OK ? data_write(dir, p->name, "labels", &text, err) : rc;
    il_buf_free(&text);
    return rc;
}

static int script_write(const il__plot *plots, size_t n_plots, const char *dir, il_error *err)
{
    il_buf text;
    il_buf_init(&text, MOST_SCRIPT_BYTES);
    (void)il_buf_puts(&text, "# Redraw in this folder with: gnuplot -d plots.gp\n"
                             "set encoding utf8\n"
                             "set datafile separator tab\nset datafile commentschars '#'\n"
                             "cairo = strstrt(GPVAL_TERMINALS, 'pngcairo') > 0\n"
                             "set lmargin at screen 0.10\nset rmargin at screen 0.96\n"
                             "set bmargin at screen 0.12\nset tmargin at screen 0.82\n"
                             "set border 3 lw 1.2 lc rgb '#444444'\n"
                             "set grid lc rgb '#DDDDDD' lw 1 dt 1\nset errorbars 1.6\n"
                             "set style textbox noborder\n");
    for (size_t i = 0; i < n_plots; i++) {
        put_plot(&text, &plots[i]);
    }
    char path[PATH_BYTES];
    int rc = il_path_join(path, sizeof path, dir, "plots.gp");
    if (rc == IL_OK && text.status != IL_OK) {
        rc = text.status;
    }
    rc = rc == IL_OK ? il_file_write_atomic(path, il_buf_text(&text), text.len, err)
                     : il_fail(err, rc, "cannot write the script of the plots");
    il_buf_free(&text);
    return rc;
}

/* Starts `gnuplot -d plots.gp` in dir (-d: no init files of the user) with its words in a pipe. */
static int gnuplot_start(const char *dir, pid_t *pid, int *words_fd, il_error *err)
{
    static char *const argv[] = {"gnuplot", "-d", "plots.gp", NULL};
    extern char **environ;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return il_fail_errno(err, errno, "cannot make a pipe for gnuplot");
    }
    posix_spawn_file_actions_t actions;
    int e = posix_spawn_file_actions_init(&actions);
    if (e == 0) {
        e = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        e = e ? e : posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
        e = e ? e : posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
        e = e ? e : posix_spawn_file_actions_addchdir_np(&actions, dir);
        e = e ? e : posix_spawnp(pid, "gnuplot", &actions, NULL, argv, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)close(fds[1]);
    if (e != 0) {
        (void)close(fds[0]);
        return il_fail_errno(err, e, "cannot start gnuplot");
    }
    *words_fd = fds[0];
    return IL_OK;
}

/* Keeps the first words of gnuplot, drains the rest, and returns whether it ended in time. */
static bool words_read(int fd, char *words, size_t words_bytes)
{
    size_t n = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, PATIENCE_MS);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready <= 0) {
            break;
        }
        char block[4096];
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            words[n] = '\0';
            return got == 0;
        }
        for (ssize_t i = 0; i < got && n + 1 < words_bytes; i++) {
            words[n++] = block[i];
        }
    }
    words[n] = '\0';
    return false;
}

/* The first line that says something: gnuplot echoes the faulty command and a caret above it. */
static void words_message(const char *words, char *out, size_t out_bytes)
{
    const char *at = strstr(words, "plots.gp");
    at = at ? at : words;
    char line[256];
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    il_words_clean(out, out_bytes, line, 200);
}

static int gnuplot_run(const char *dir, bool *drawn, il_error *err)
{
    pid_t pid = -1;
    int fd = -1;
    il_error local = {0};
    int rc = gnuplot_start(dir, &pid, &fd, &local);
    if (rc == IL_E_NOT_FOUND && local.os_errno == ENOENT) {
        *drawn = false;
        return IL_OK;
    }
    if (rc != IL_OK) {
        if (err) {
            *err = local;
        }
        return rc;
    }
    char words[8192], message[320];
    bool ended = words_read(fd, words, sizeof words);
    (void)close(fd);
    if (!ended) {
        (void)kill(pid, SIGKILL);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (ended && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        *drawn = true;
        return IL_OK;
    }
    words_message(words, message, sizeof message);
    rc = il_fail(err, ended ? IL_E_CRASHED : IL_E_TIMEOUT, "gnuplot %s: %s",
                 ended ? "failed" : "did not end within five minutes",
                 message[0] ? message : "it said nothing");
    il_error_where(err, "%s/plots.gp", dir);
    il_error_hint(err, "run gnuplot -d plots.gp in that folder; --no-plots goes on without plots");
    return rc;
}

int il__gnuplot_draw(const il__plot *plots, size_t n_plots, const char *dir, bool *drawn,
                     il_error *err)
{
    *drawn = false;
    char data[PATH_BYTES];
    int rc = il_path_join(data, sizeof data, dir, "data");
    rc = rc == IL_OK ? il_dir_make(data, err)
                     : il_fail(err, rc, "the path of the plots is too long");
    for (size_t i = 0; rc == IL_OK && i < n_plots; i++) {
        rc = plot_data_write(&plots[i], dir, err);
    }
    rc = rc == IL_OK ? script_write(plots, n_plots, dir, err) : rc;
    return rc == IL_OK ? gnuplot_run(dir, drawn, err) : rc;
}
