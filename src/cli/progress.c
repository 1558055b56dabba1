/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/progress.h"

#include "base/log.h"
#include "os/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { REFRESH_NS = 100 * 1000 * 1000, BAR_WIDTH = 20 };

static void clear_line(int before)
{
    if (before) {
        (void)fputs("\r\033[K", stderr);
    }
}

void il_progress_init(il_progress *p, bool quiet)
{
    *p = (il_progress){.tty = isatty(STDERR_FILENO) == 1, .quiet = quiet};
    if (p->tty && !quiet) {
        il_log_set_hook(clear_line);
    }
}

void il_progress_time(double seconds, char *out, size_t out_bytes)
{
    if (!(seconds >= 0)) {
        (void)snprintf(out, out_bytes, "?");
    } else if (seconds < 90) {
        (void)snprintf(out, out_bytes, "%.0f s", seconds);
    } else if (seconds < 5400) {
        (void)snprintf(out, out_bytes, "%d min %02d s", (int)seconds / 60, (int)seconds % 60);
    } else {
        (void)snprintf(out, out_bytes, "%.0f h %02d min", floor(seconds / 3600),
                       (int)fmod(seconds, 3600) / 60);
    }
}

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

static void show_bar(const il_progress *p, const il_driver_progress *now)
{
    char bar[BAR_WIDTH + 1], left[32], line[512];
    int filled = (int)(now->done * BAR_WIDTH);
    memset(bar, '-', BAR_WIDTH);
    memset(bar, '#', (size_t)(filled < BAR_WIDTH ? filled : BAR_WIDTH));
    bar[BAR_WIDTH] = '\0';
    il_progress_time(now->left_s, left, sizeof left);
    (void)snprintf(line, sizeof line, "[%s] %3.0f %%  %s left  block %u/%u  %s", bar,
                   100 * now->done, left, now->block, now->blocks, p->what);
    int width = terminal_width() - 1;
    (void)fprintf(stderr, "\r%.*s\033[K", width, line);
}

void il_progress_show(const il_driver_progress *now, void *user)
{
    il_progress *p = user;
    if (p->quiet) {
        return;
    }
    if (now->what) {
        (void)snprintf(p->what, sizeof p->what, "%s", now->what);
    }
    if (!p->tty) {
        if (now->block != p->block) {
            char left[32] = "";
            char text[48] = "";
            if (!isnan(now->left_s)) {
                il_progress_time(now->left_s, left, sizeof left);
                (void)snprintf(text, sizeof text, ", about %s left", left);
            }
            il_log(IL_LOG_INFO, "block %u of %u%s", now->block, now->blocks, text);
        }
        p->block = now->block;
        return;
    }
    int64_t t = il_clock_ns();
    if (t - p->shown_ns >= REFRESH_NS) {
        p->shown_ns = t;
        show_bar(p, now);
    }
}

void il_progress_say(const char *text, void *user)
{
    (void)user;
    il_log(IL_LOG_INFO, "%s", text);
}

void il_progress_end(il_progress *p)
{
    if (p->tty && !p->quiet) {
        clear_line(1);
        il_log_set_hook(NULL);
    }
}
