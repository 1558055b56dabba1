/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int il_text_to_i64(const char *text, int64_t *out)
{
    const char *p = text;
    if (*p == '-') {
        p++;
    }
    if (!is_digit(*p) || (*p == '0' && p[1] != '\0')) {
        return IL_E_PARSE;
    }
    for (const char *q = p; *q; q++) {
        if (!is_digit(*q)) {
            return IL_E_PARSE;
        }
    }
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno == ERANGE) {
        return IL_E_RANGE;
    }
    *out = value;
    return IL_OK;
}

int il_text_to_f64(const char *text, double *out)
{
    if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0' || text[0] == '+') {
        return IL_E_PARSE;
    }
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0') {
        return IL_E_PARSE;
    }
    if (!isfinite(value)) {
        return IL_E_RANGE;
    }
    *out = value;
    return IL_OK;
}

bool il_text_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool il_text_ends(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

unsigned il_text_distance(const char *a, const char *b)
{
    enum { MOST = 64 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= MOST || m >= MOST) {
        return 255;
    }
    unsigned row[MOST + 1];
    for (size_t j = 0; j <= m; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

const char *il_text_nearest(const char *text, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    unsigned least = 255;
    for (size_t i = 0; i < n; i++) {
        unsigned d = il_text_distance(text, names[i]);
        unsigned third = (unsigned)(strlen(names[i]) / 3);
        if (d < least && d <= (third > 2 ? third : 2)) {
            least = d;
            nearest = names[i];
        }
    }
    return nearest;
}

uint64_t il_fnv1a64(const void *bytes, size_t n_bytes)
{
    const unsigned char *p = bytes;
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n_bytes; i++) {
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    }
    return h;
}
