/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A stored file against one made again, by what it is made of: fields, keys or numbers. Files are
 * streamed: what a comparison holds in memory is one record of each.
 */
#include "cli/verify.h"

#include "base/csv.h"
#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SHOWN = 3, TEXT_BYTES = 160 };

/* How many differences of a file are told one by one; the rest are counted. */
typedef struct tally {
    il_verify *verify;
    const char *artifact;
    size_t n;
} tally;

static void tell(tally *t, uint64_t line, const char *column, const char *stored,
                 const char *recomputed, const char *text)
{
    t->n++;
    if (t->n <= MOST_SHOWN) {
        il__verify_differs(t->verify, t->artifact, line, column, stored, recomputed, text);
    }
}

static void close_tally(tally *t, const char *what, uint64_t n)
{
    char text[96];
    if (t->n == 0) {
        (void)snprintf(text, sizeof text, "%llu %s", (unsigned long long)n, what);
        il__verify_ok(t->verify, t->artifact, text);
    } else if (t->n > MOST_SHOWN) {
        (void)snprintf(text, sizeof text, "%zu differences more", t->n - MOST_SHOWN);
        il__verify_note(t->verify, t->artifact, text);
    }
}

/* --- CSV -------------------------------------------------------------------------------------- */

static void field_text(il_csv_field field, char out[TEXT_BYTES])
{
    (void)snprintf(out, TEXT_BYTES, "%.*s", (int)(field.len < 120 ? field.len : 120), field.text);
}

/* Names of the columns, kept over the rows. */
static char **keep_names(const il_csv_field *fields, size_t n)
{
    char **names = calloc(n + 1, sizeof *names);
    for (size_t i = 0; names && i < n; i++) {
        names[i] = strndup(fields[i].text, fields[i].len);
    }
    return names;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; names && i < n; i++) {
        free(names[i]);
    }
    free(names);
}

static void compare_record(tally *t, uint64_t line, char *const *names, size_t n_names,
                           const il_csv_field *a, size_t n_a, const il_csv_field *b, size_t n_b)
{
    char stored[TEXT_BYTES], fresh[TEXT_BYTES];
    if (n_a != n_b) {
        (void)snprintf(stored, sizeof stored, "%zu fields", n_a);
        (void)snprintf(fresh, sizeof fresh, "%zu fields", n_b);
        tell(t, line, NULL, stored, fresh, NULL);
        return;
    }
    for (size_t i = 0; i < n_a; i++) {
        if (a[i].len != b[i].len || memcmp(a[i].text, b[i].text, a[i].len) != 0) {
            field_text(a[i], stored);
            field_text(b[i], fresh);
            tell(t, line, i < n_names ? names[i] : NULL, stored, fresh, NULL);
        }
    }
}

/* A record of the stored file that cannot be read is a difference, not an error of the check. */
static int next_stored(tally *t, il_csv_reader *csv, const il_csv_field **fields, size_t *n,
                       bool *broken, il_error *err)
{
    il_error damage = {0};
    int rc = il_csv_next(csv, fields, n, &damage);
    if (rc == IL_E_DAMAGED) {
        tell(t, 0, NULL, NULL, NULL, damage.what);
        *broken = true;
        return IL_OK;
    }
    if (rc != IL_OK && err) {
        *err = damage;
    }
    return rc;
}

int il__verify_csv(il_verify *v, const char *artifact, const char *stored, const char *fresh,
                   il_error *err)
{
    tally t = {v, artifact, 0};
    il_csv_reader *a = NULL, *b = NULL;
    char **names = NULL;
    size_t n_names = 0;
    uint64_t n_rows = 0;
    bool broken = false;
    int rc = il_csv_open(stored, &a, err);
    rc = rc ? rc : il_csv_open(fresh, &b, err);
    while (rc == IL_OK) {
        const il_csv_field *fa, *fb;
        size_t n_a = 0, n_b = 0;
        rc = next_stored(&t, a, &fa, &n_a, &broken, err);
        rc = rc ? rc : il_csv_next(b, &fb, &n_b, err);
        if (rc != IL_OK || broken || (n_a == 0 && n_b == 0)) {
            break;
        }
        if (n_a == 0 || n_b == 0) {
            tell(&t, il_csv_line(n_a ? a : b), NULL, NULL, NULL,
                 n_a ? "rows that the journal does not give" : "rows are missing");
            break;
        }
        if (!names) {
            names = keep_names(fb, n_b);
            n_names = names ? n_b : 0;
        }
        compare_record(&t, il_csv_line(a), names, n_names, fa, n_a, fb, n_b);
        n_rows++;
    }
    if (rc == IL_OK) {
        close_tally(&t, "rows", n_rows > 0 ? n_rows - 1 : 0);
    }
    free_names(names, n_names);
    il_csv_free(a);
    il_csv_free(b);
    return rc;
}

/* --- lines ------------------------------------------------------------------------------------ */

typedef struct lines {
    FILE *file;
    char *text;
    size_t cap;
    ssize_t len; /* −1 at the end */
} lines;

static int open_lines(const char *path, lines *out, il_error *err)
{
    *out = (lines){.file = fopen(path, "rbe")};
    if (!out->file) {
        int rc = il_fail_errno(err, errno, "cannot read an artifact");
        il_error_where(err, "%s", path);
        return rc;
    }
    return IL_OK;
}

static void next_line(lines *l)
{
    l->len = getline(&l->text, &l->cap, l->file);
}

static void close_lines(lines *l)
{
    if (l->file) {
        (void)fclose(l->file);
    }
    free(l->text);
}

typedef void (*compare_line)(tally *t, uint64_t line, const char *stored, const char *fresh);

static int compare_lines(il_verify *v, const char *artifact, const char *stored, const char *fresh,
                         compare_line compare, il_error *err)
{
    tally t = {v, artifact, 0};
    lines a = {0}, b = {0};
    uint64_t line = 0;
    int rc = open_lines(stored, &a, err);
    rc = rc ? rc : open_lines(fresh, &b, err);
    while (rc == IL_OK) {
        next_line(&a);
        next_line(&b);
        if (a.len < 0 && b.len < 0) {
            break;
        }
        line++;
        if (a.len < 0 || b.len < 0) {
            tell(&t, line, NULL, NULL, NULL,
                 a.len < 0 ? "lines are missing" : "lines that the journal does not give");
            break;
        }
        if (a.len != b.len || memcmp(a.text, b.text, (size_t)a.len) != 0) {
            compare(&t, line, a.text, b.text);
        }
    }
    if (rc == IL_OK) {
        close_tally(&t, "lines", line);
    }
    close_lines(&a);
    close_lines(&b);
    return rc;
}

/* The value as text; freed by the caller. */
static char *value_text(const json_t *value)
{
    return value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("nothing");
}

static void compare_json(tally *t, uint64_t line, const char *stored, const char *fresh)
{
    json_t *a = json_loads(stored, 0, NULL);
    json_t *b = json_loads(fresh, 0, NULL);
    size_t before = t->n;
    const char *key;
    json_t *value;
    json_object_foreach(b, key, value)
    {
        const json_t *its = json_object_get(a, key);
        if (!a || !its || !json_equal(its, value)) {
            char *x = a ? value_text(its) : strdup("no JSON"), *y = value_text(value);
            tell(t, line, key, x, y, NULL);
            free(x);
            free(y);
            if (!a) {
                break;
            }
        }
    }
    if (t->n == before) {
        tell(t, line, NULL, NULL, NULL, "the text of the line");
    }
    json_decref(a);
    json_decref(b);
}

int il__verify_json_lines(il_verify *v, const char *artifact, const char *stored, const char *fresh,
                          il_error *err)
{
    return compare_lines(v, artifact, stored, fresh, compare_json, err);
}

/* --- text ------------------------------------------------------------------------------------- */

/* The next number from *at: digits with their point, sign and exponent; its length, 0 at the end.
 */
static size_t next_number(const char **at)
{
    const char *p = *at;
    while (*p && !isdigit((unsigned char)*p)) {
        p++;
    }
    const char *from = p;
    if (*p && from > *at && (from[-1] == '-' || from[-1] == '.')) {
        from--;
    }
    while (isdigit((unsigned char)*p) || *p == '.' ||
           ((*p == 'e' || *p == 'E') &&
            (isdigit((unsigned char)p[1]) ||
             ((p[1] == '-' || p[1] == '+') && isdigit((unsigned char)p[2])))) ||
           ((*p == '-' || *p == '+') && (p[-1] == 'e' || p[-1] == 'E'))) {
        p++;
    }
    *at = from;
    return (size_t)(p - from);
}

/* Where two texts part, some bytes of each. */
static void put_parting(const char *stored, const char *fresh, char a[TEXT_BYTES],
                        char b[TEXT_BYTES])
{
    size_t same = 0;
    while (stored[same] && stored[same] == fresh[same]) {
        same++;
    }
    size_t from = same > 20 ? same - 20 : 0;
    (void)snprintf(a, TEXT_BYTES, "…%.*s",
                   (int)strcspn(stored + from, "\n") > 60 ? 60 : (int)strcspn(stored + from, "\n"),
                   stored + from);
    (void)snprintf(b, TEXT_BYTES, "…%.*s",
                   (int)strcspn(fresh + from, "\n") > 60 ? 60 : (int)strcspn(fresh + from, "\n"),
                   fresh + from);
}

static void compare_text(tally *t, uint64_t line, const char *stored, const char *fresh)
{
    const char *p = stored, *q = fresh;
    char a[TEXT_BYTES], b[TEXT_BYTES];
    for (;;) {
        size_t n = next_number(&p), m = next_number(&q);
        if (n == 0 || m == 0) {
            break;
        }
        if (n != m || memcmp(p, q, n) != 0) {
            (void)snprintf(a, sizeof a, "%.*s", (int)(n < 80 ? n : 80), p);
            (void)snprintf(b, sizeof b, "%.*s", (int)(m < 80 ? m : 80), q);
            tell(t, line, NULL, a, b, "a number");
            return;
        }
        p += n;
        q += m;
    }
    put_parting(stored, fresh, a, b);
    tell(t, line, NULL, a, b, "the text");
}

int il__verify_text(il_verify *v, const char *artifact, const char *stored, const char *fresh,
                    il_error *err)
{
    return compare_lines(v, artifact, stored, fresh, compare_text, err);
}
