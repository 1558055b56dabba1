/* SPDX-License-Identifier: Apache-2.0 */
#include "base/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_BUFFER = 1 << 20, MOST_RECORD = 64 << 20, MOST_FIELDS = 65536 };

struct il_csv_reader {
    int fd;
    char *path;
    char *data;
    size_t start, end, cap; /* unread bytes are data[start, end) */
    bool at_eof;
    uint64_t line, next_line; /* of the last record, of the next */
    il_csv_field *fields;
    size_t n_fields, fields_cap;
};

int il_csv_open(const char *path, il_csv_reader **out, il_error *err)
{
    int rc = IL_OK;
    *out = NULL;
    il_csv_reader *r = calloc(1, sizeof *r);
    if (!r) {
        return il_fail(err, IL_E_NOMEM, "no memory for a CSV reader");
    }
    r->fd = -1;
    r->next_line = 1;
    r->cap = FIRST_BUFFER;
    r->fields_cap = 128;
    r->path = strdup(path);
    r->data = malloc(r->cap + 1);
    r->fields = malloc(r->fields_cap * sizeof *r->fields);
    if (!r->path || !r->data || !r->fields) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for a CSV reader");
        goto out;
    }
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (r->fd < 0 || fstat(r->fd, &st) != 0) {
        rc = il_fail_errno(err, errno, "cannot open the file");
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = il_fail(err, IL_E_INVALID, "not a regular file");
        goto out;
    }
    (void)posix_fadvise(r->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
out:
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
        il_csv_free(r);
        return rc;
    }
    *out = r;
    return IL_OK;
}

void il_csv_free(il_csv_reader *r)
{
    if (!r) {
        return;
    }
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    free(r->path);
    free(r->data);
    free(r->fields);
    free(r);
}

uint64_t il_csv_line(const il_csv_reader *r)
{
    return r->line;
}

const char *il_csv_path(const il_csv_reader *r)
{
    return r->path;
}

static int damaged(const il_csv_reader *r, il_error *err, const char *what)
{
    int rc = il_fail(err, IL_E_DAMAGED, "%s", what);
    il_error_where(err, "%s:%llu", r->path, (unsigned long long)r->line);
    return rc;
}

/* Reads more bytes behind data[end), moving or growing the buffer as needed. */
static int fill(il_csv_reader *r, il_error *err)
{
    if (r->start > 0) {
        memmove(r->data, r->data + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    if (r->end == r->cap) {
        if (r->cap >= MOST_RECORD) {
            return damaged(r, err, "a record of more than 64 MiB; is a quote left open?");
        }
        char *grown = realloc(r->data, r->cap * 2 + 1);
        if (!grown) {
            return il_fail(err, IL_E_NOMEM, "no memory for a long record");
        }
        r->data = grown;
        r->cap *= 2;
    }
    ssize_t n;
    do {
        n = read(r->fd, r->data + r->end, r->cap - r->end);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        int rc = il_fail_errno(err, errno, "cannot read the file");
        il_error_where(err, "%s", r->path);
        return rc;
    }
    r->at_eof = n == 0;
    r->end += (size_t)n;
    return IL_OK;
}

/* Finds the end of the record that begins at start: *length without and *consumed with its line
 * end; *lines counts newlines. False when more bytes are needed. */
static bool find_record(const il_csv_reader *r, size_t *length, size_t *consumed, uint64_t *lines,
                        bool *quotes)
{
    const char *p = r->data + r->start;
    const char *end = r->data + r->end;
    const char *begin = p;
    *quotes = false;
    *lines = 0;
    for (;;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;
        const char *quote = memchr(p, '"', (size_t)(stop - p));
        if (quote) {
            *quotes = true;
            /* A quoted stretch ends at the next quote; a doubled one opens it again at once. */
            const char *close = memchr(quote + 1, '"', (size_t)(end - quote - 1));
            if (!close) {
                return false;
            }
            for (const char *q = quote; (q = memchr(q, '\n', (size_t)(close - q))) != NULL; q++) {
                (*lines)++;
            }
            p = close + 1;
            continue;
        }
        if (!newline) {
            if (!r->at_eof) {
                return false;
            }
            *length = *consumed = (size_t)(end - begin);
            return true;
        }
        *length = (size_t)(newline - begin);
        *consumed = *length + 1;
        (*lines)++;
        return true;
    }
}

static int add_field(il_csv_reader *r, const char *text, size_t len, il_error *err)
{
    if (r->n_fields == r->fields_cap) {
        if (r->fields_cap >= MOST_FIELDS) {
            return damaged(r, err, "a record of more than 65536 fields");
        }
        il_csv_field *grown = realloc(r->fields, 2 * r->fields_cap * sizeof *grown);
        if (!grown) {
            return il_fail(err, IL_E_NOMEM, "no memory for a wide record");
        }
        r->fields = grown;
        r->fields_cap *= 2;
    }
    r->fields[r->n_fields++] = (il_csv_field){text, len};
    return IL_OK;
}

static int split_plain(il_csv_reader *r, char *p, char *end, il_error *err)
{
    int rc = IL_OK;
    for (;;) {
        char *q = p;
        while (q < end && *q != ',') {
            q++;
        }
        rc = add_field(r, p, (size_t)(q - p), err);
        if (rc != IL_OK || q == end) {
            return rc;
        }
        p = q + 1;
    }
}

/* Unquotes in place: the text only gets shorter. */
static int split_quoted(il_csv_reader *r, char *p, char *end, il_error *err)
{
    for (;;) {
        char *field = p;
        char *to = p;
        if (p < end && *p == '"') {
            p++;
            for (;;) {
                char *close = memchr(p, '"', (size_t)(end - p));
                if (!close) {
                    return damaged(r, err, "a quote is left open");
                }
                memmove(to, p, (size_t)(close - p));
                to += close - p;
                p = close + 1;
                if (p < end && *p == '"') {
                    *to++ = '"';
                    p++;
                    continue;
                }
                break;
            }
            if (p < end && *p != ',') {
                return damaged(r, err, "text after a closing quote");
            }
        } else {
            while (p < end && *p != ',') {
                if (*p == '"') {
                    return damaged(r, err, "a quote inside an unquoted field");
                }
                p++;
            }
            to = p;
        }
        int rc = add_field(r, field, (size_t)(to - field), err);
        if (rc != IL_OK || p == end) {
            return rc;
        }
        p++;
    }
}

int il_csv_next(il_csv_reader *r, const il_csv_field **fields, size_t *n_fields, il_error *err)
{
    *fields = r->fields;
    *n_fields = 0;
    for (;;) {
        size_t length, consumed;
        uint64_t lines;
        bool quotes;
        r->line = r->next_line;
        while (r->start == r->end || !find_record(r, &length, &consumed, &lines, &quotes)) {
            if (r->at_eof) {
                return r->start == r->end ? IL_OK : damaged(r, err, "a quote is left open");
            }
            int rc = fill(r, err);
            if (rc != IL_OK) {
                return rc;
            }
            if (r->next_line == 1 && r->end >= 3 && memcmp(r->data, "\xef\xbb\xbf", 3) == 0) {
                r->start = 3;
            }
        }
        char *p = r->data + r->start;
        r->start += consumed;
        r->next_line += lines;
        if (length > 0 && p[length - 1] == '\r') {
            length--;
        }
        if (length == 0) {
            continue;
        }
        if (memchr(p, '\0', length)) {
            return damaged(r, err, "a NUL byte: not a CSV file");
        }
        r->n_fields = 0;
        int rc = quotes ? split_quoted(r, p, p + length, err) : split_plain(r, p, p + length, err);
        *fields = r->fields;
        *n_fields = rc == IL_OK ? r->n_fields : 0;
        return rc;
    }
}

static bool looks_like_formula(char c)
{
    return c == '=' || c == '+' || c == '-' || c == '@' || c == '\t' || c == '\r';
}

il_csv_field il_csv_unprefix(il_csv_field field)
{
    if (field.len >= 2 && field.text[0] == '\'' && looks_like_formula(field.text[1])) {
        return (il_csv_field){field.text + 1, field.len - 1};
    }
    return field;
}

static bool slow_number(const char *text, size_t len, double *out)
{
    char copy[400];
    if (len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *end;
    double x = strtod(copy, &end);
    if (*end != '\0' || !isfinite(x)) {
        return false;
    }
    *out = x;
    return true;
}

bool il_csv_to_f64(il_csv_field field, double *out)
{
    const char *p = field.text;
    const char *end = p + field.len;
    bool negative = p < end && *p == '-';
    p += negative;
    uint64_t digits = 0;
    int n_digits = 0;
    int exponent = 0;
    bool any = false;
    bool point = false;
    for (; p < end; p++) {
        if (*p >= '0' && *p <= '9') {
            any = true;
            if (n_digits < 19) {
                digits = digits * 10 + (uint64_t)(*p - '0');
                n_digits += digits > 0;
                exponent -= point;
            } else {
                return slow_number(field.text, field.len, out);
            }
        } else if (*p == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (!any) {
        return false;
    }
    if (p < end) {
        return (*p == 'e' || *p == 'E') && strspn(p, "eE+-0123456789") >= (size_t)(end - p) &&
               slow_number(field.text, field.len, out);
    }
#if LDBL_MANT_DIG == 64
    static const long double powers[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,
                                         1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
                                         1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L};
    if (exponent >= -19) {
        /* Digits and power are exact in 64 bits, so the quotient is rounded once there. Rounding it
         * again to 53 bits is right unless it lies within a unit of the middle of two doubles. */
        long double x = (long double)digits / powers[-exponent];
        uint64_t mantissa;
        memcpy(&mantissa, &x, sizeof mantissa);
        uint64_t below = mantissa & 0x7ff;
        if (below < 0x3ff || below > 0x401) {
            *out = negative ? -(double)x : (double)x;
            return true;
        }
    }
#endif
    return slow_number(field.text, field.len, out);
}
