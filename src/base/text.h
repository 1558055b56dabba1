/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict reading of numbers and small string questions. Locale plays no part: the program never
 * calls setlocale, so the C locale holds throughout.
 */
#ifndef IL_BASE_TEXT_H
#define IL_BASE_TEXT_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A decimal integer and nothing else: optional '-', digits without a leading zero. "064", "1e2",
 * "64abc", "+5", "" are IL_E_PARSE; too large is IL_E_RANGE. */
int il_text_to_i64(const char *text, int64_t *out);
/* A finite decimal number and nothing else ("1e2", "0.5", "-3"); no hex, no inf, no nan. */
int il_text_to_f64(const char *text, double *out);

bool il_text_starts(const char *text, const char *prefix);
bool il_text_ends(const char *text, const char *suffix);
/* Edit distance (Levenshtein) capped at 255 for texts of up to 63 bytes; longer ones give 255. */
unsigned il_text_distance(const char *a, const char *b);
/* The nearest of n names within a third of its length (at least 2 edits), or NULL: the "did you
 * mean" of every complaint about a key. */
const char *il_text_nearest(const char *text, const char *const *names, size_t n);
/* FNV-1a, 64 bits. */
uint64_t il_fnv1a64(const void *bytes, size_t n_bytes);

#endif
