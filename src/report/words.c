/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/words.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the valid UTF-8 sequence at p, 0 when there is none. */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
               : (p[0] & 0xF0) == 0xE0       ? 3
               : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    if (n == 3 && ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] >= 0xA0))) {
        return 0; /* overlong, surrogate */
    }
    if (n == 4 && ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] >= 0x90))) {
        return 0;
    }
    return n;
}

/* What stands for the sequence of n bytes at p: itself, a space for control characters (C0, DEL,
 * C1, and the format characters that reorder or hide text), '?' for a byte that is no UTF-8. */
static size_t harmless(const unsigned char *p, size_t n, char out[4])
{
    bool control = n == 1 && (p[0] < 0x20 || p[0] == 0x7F);
    control = control || (n == 2 && p[0] == 0xC2 && p[1] < 0xA0);
    control = control || (n == 3 && p[0] == 0xE2 && p[1] == 0x80 &&
                          ((p[2] >= 0x8B && p[2] <= 0x8F) || (p[2] >= 0xA8 && p[2] <= 0xAE)));
    control = control || (n == 3 && p[0] == 0xE2 && p[1] == 0x81 && p[2] >= 0xA0);
    control = control || (n == 3 && p[0] == 0xEF && p[1] == 0xBB && p[2] == 0xBF);
    if (n == 0 || control) {
        out[0] = n == 0 ? '?' : ' ';
        return 1;
    }
    memcpy(out, p, n);
    return n;
}

size_t il_words_width(const char *clean)
{
    size_t n = 0;
    for (const char *p = clean; *p; p++) {
        n += ((unsigned char)*p & 0xC0) != 0x80;
    }
    return n;
}

void il_words_clean(char *out, size_t out_bytes, const char *text, size_t most_chars)
{
    assert(out_bytes >= 8 && most_chars >= 3);
    size_t total = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; total++) {
        size_t n = utf8_length(p);
        p += n ? n : 1;
    }
    bool cut = total > most_chars;
    size_t head = cut ? (most_chars - 1 + 1) / 2 : total;
    size_t tail_from = cut ? total - (most_chars - 1 - head) : total;
    size_t len = 0, i = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; i++) {
        size_t n = utf8_length(p);
        if (i < head || i >= tail_from) {
            char bytes[4];
            size_t m = harmless(p, n, bytes);
            if (len + m >= out_bytes) {
                break;
            }
            memcpy(out + len, bytes, m);
            len += m;
        } else if (i == head && len + 3 < out_bytes) {
            memcpy(out + len, "\xE2\x80\xA6", 3);
            len += 3;
        }
        p += n ? n : 1;
    }
    out[len] = '\0';
}

void il_words_sentence(char *out, size_t out_bytes, const char *text, size_t most_chars)
{
    il_words_clean(out, out_bytes, text, out_bytes);
    if (il_words_width(out) <= most_chars) {
        return;
    }
    size_t end = 0, chars = 0;
    for (size_t i = 0; out[i] && chars + 2 <= most_chars; i++) {
        end = out[i] == ' ' ? i : end;
        chars += ((unsigned char)out[i] & 0xC0u) != 0x80u;
    }
    if (end + sizeof " …" <= out_bytes) {
        memcpy(out + end, " …", sizeof " …");
    }
}

static bool is_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

void il_words_markdown(il_buf *to, const char *text)
{
    char clean[8192];
    il_words_clean(clean, sizeof clean, text, sizeof clean / 4);
    for (const char *p = clean; *p; p++) {
        bool inner = p > clean && is_word((unsigned char)p[-1]) && is_word((unsigned char)p[1]);
        if (*p == '<') {
            (void)il_buf_puts(to, "&lt;");
        } else if (*p == '>') {
            (void)il_buf_puts(to, "&gt;");
        } else if (*p == '&') {
            (void)il_buf_puts(to, "&amp;");
        } else {
            /* An underscore between letters is no markup; a leading # + - = is, at a line's start.
             */
            if (strchr("\\`*[]|~$!@", *p) || (*p == '_' && !inner) ||
                (p == clean && strchr("#+-=", *p))) {
                (void)il_buf_puts(to, "\\");
            }
            (void)il_buf_append(to, p, 1);
        }
    }
}

bool il_words_file_part(char *out, size_t out_bytes, const char *text)
{
    enum { MOST = 80 };
    assert(out_bytes > MOST);
    size_t n = 0;
    bool changed = false;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (n == MOST) {
            changed = true;
            break;
        }
        bool keep = (*p < 0x80 && is_word(*p)) || *p == '-' || *p == '_' || (*p == '.' && n > 0);
        out[n++] = keep ? (char)*p : '_';
        changed = changed || !keep;
    }
    if (n == 0) {
        out[n++] = '_';
        changed = true;
    }
    out[n] = '\0';
    return changed;
}

/* Decimals that show `unit` with `significant` digits. */
static int decimals_for(double unit, int significant)
{
    int d = significant - 1 - (int)floor(log10(unit));
    return d < 0 ? 0 : d > 9 ? 9 : d;
}

/* Two digits of the half-width when it begins with 1 to 3.5, one beyond (the Particle Data Group's
 * rule), and never more than four digits of the value: an interval that narrow means nothing to a
 * reader. */
static int number_decimals(double value, double low, double high)
{
    double half = (high - low) / 2.0, size = fabs(value);
    if (!isfinite(half) || !(half > 0.0)) {
        return size > 0.0 ? decimals_for(size, isfinite(half) ? 4 : 3) : 0;
    }
    double lead = half / pow(10.0, floor(log10(half)));
    int d = decimals_for(half, lead < 3.55 ? 2 : 1);
    int most = size > 0.0 ? decimals_for(size, 4) : d;
    return d < most ? d : most;
}

void il_words_number(char *out, size_t out_bytes, double value, double low, double high)
{
    if (!isfinite(value)) {
        (void)snprintf(out, out_bytes, "-");
        return;
    }
    (void)snprintf(out, out_bytes, "%.*f", number_decimals(value, low, high), value);
}

void il_words_interval(char *out, size_t out_bytes, double value, double low, double high)
{
    if (!isfinite(value) || !isfinite(low) || !isfinite(high)) {
        il_words_number(out, out_bytes, value, NAN, NAN);
        return;
    }
    double most = fmax(fabs(value), fmax(fabs(low), fabs(high)));
    if ((most > 0 && most < 1e-4) || most >= 1e10) { /* rows of digits that nobody reads */
        (void)snprintf(out, out_bytes, "%.2g (%.2g to %.2g)", value, low, high);
        return;
    }
    int d = number_decimals(value, low, high);
    (void)snprintf(out, out_bytes, "%.*f (%.*f to %.*f)", d, value, d, low, d, high);
}

void il_words_plain(char *out, size_t out_bytes, double value)
{
    if (isfinite(value) && fabs(value) >= 1e6) {
        (void)snprintf(out, out_bytes, "%.3g", value);
        return;
    }
    il_words_number(out, out_bytes, value, NAN, NAN);
}
