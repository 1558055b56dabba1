/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How names and numbers enter what people read. Names come from study files and foreign tables and
 * may hold anything; here they become harmless for a terminal, for Markdown and for a file system.
 * Numbers get the digits that their interval supports.
 */
#ifndef IL_REPORT_WORDS_H
#define IL_REPORT_WORDS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* One line of valid UTF-8 without control characters (they become spaces, bytes that are no UTF-8
 * become '?'), cut in its middle to at most most_chars code points (≥ 3), "…" at the cut. */
void il_words_clean(char *out, size_t out_bytes, const char *text, size_t most_chars);
/* As il_words_clean for a sentence: too long a one ends at a word, " …" behind it, so that no
 * number loses digits. */
void il_words_sentence(char *out, size_t out_bytes, const char *text, size_t most_chars);
/* Code points of clean text: its width on a terminal, near enough. */
size_t il_words_width(const char *clean);

/* Appends text so that Markdown shows it literally: no markup, no HTML, no table bar, no line
 * break. */
void il_words_markdown(il_buf *to, const char *text);

/* A part of a file name: [A-Za-z0-9.-] and '_' are kept, the rest become '_', at most 80 bytes,
 * never
 * "." or ".." or a leading dot. Returns whether anything was changed. */
bool il_words_file_part(char *out, size_t out_bytes, const char *text);

/* value with the decimals that the half-width of [low, high] supports, at most four digits; without
 * a finite interval three significant digits. "-" when value is not finite. */
void il_words_number(char *out, size_t out_bytes, double value, double low, double high);
/* "12.3 (12.1 to 12.6)", the decimals of all three the same; without an interval the value alone.
 */
void il_words_interval(char *out, size_t out_bytes, double value, double low, double high);
/* Three significant digits, no exponent below a million: "0.103", "25.0", "1374". */
void il_words_plain(char *out, size_t out_bytes, double value);

#endif
