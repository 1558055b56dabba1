/* SPDX-License-Identifier: Apache-2.0 */
#include "base/csv.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 1 << 16 };

int il_csv_create(const char *path, il_csv_writer *out, il_error *err)
{
    int rc = IL_OK;
    *out = (il_csv_writer){.fd = -1};
    size_t n = strlen(path) + 32;
    out->path = strdup(path);
    out->temporary = malloc(n);
    out->data = malloc(BUFFER);
    if (!out->path || !out->temporary || !out->data) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for a CSV writer");
        goto out;
    }
    (void)snprintf(out->temporary, n, "%s.tmp-%ld", path, (long)getpid());
    out->fd = open(out->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out->fd < 0) {
        rc = il_fail_errno(err, errno, "cannot create the file");
    }
out:
    if (rc != IL_OK) {
        il_error_where(err, "%s", path);
        il_csv_abandon(out);
    }
    return rc;
}

static void flush(il_csv_writer *w)
{
    if (w->code == IL_OK && w->len > 0) {
        il_error err = {0};
        w->code = il_fd_write_all(w->fd, w->data, w->len, &err);
        w->os_errno = err.os_errno;
    }
    w->len = 0;
}

void il_csv_raw(il_csv_writer *w, const char *bytes, size_t n_bytes)
{
    if (w->code != IL_OK) {
        return;
    }
    if (n_bytes > BUFFER - w->len) {
        flush(w);
    }
    if (n_bytes > BUFFER) {
        il_error err = {0};
        w->code = il_fd_write_all(w->fd, bytes, n_bytes, &err);
        w->os_errno = err.os_errno;
        return;
    }
    memcpy(w->data + w->len, bytes, n_bytes);
    w->len += n_bytes;
}

static void separate(il_csv_writer *w)
{
    if (w->mid_row) {
        il_csv_raw(w, ",", 1);
    }
    w->mid_row = true;
}

void il_csv_text_n(il_csv_writer *w, const char *text, size_t len)
{
    separate(w);
    bool formula = len > 0 && strchr("=+-@\t\r", text[0]) != NULL && text[0] != '\0';
    bool quote = formula && (text[0] == '\r');
    for (size_t i = 0; i < len && !quote; i++) {
        quote = text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    }
    if (quote) {
        il_csv_raw(w, "\"", 1);
    }
    if (formula) {
        il_csv_raw(w, "'", 1);
    }
    if (!quote) {
        il_csv_raw(w, text, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"') {
            il_csv_raw(w, "\"", 1);
        }
        il_csv_raw(w, text + i, 1);
    }
    il_csv_raw(w, "\"", 1);
}

void il_csv_text(il_csv_writer *w, const char *text)
{
    il_csv_text_n(w, text ? text : "", text ? strlen(text) : 0);
}

size_t il_number_print(double x, char out[IL_NUMBER_BYTES])
{
    out[0] = '\0';
    if (!isfinite(x)) {
        return 0;
    }
    if (fabs(x) < 1e15 && x == trunc(x)) {
        return (size_t)snprintf(out, IL_NUMBER_BYTES, "%" PRId64, (int64_t)x);
    }
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(out, IL_NUMBER_BYTES, "%.*g", digits, x);
        if (digits == 17 || strtod(out, NULL) == x) {
            break;
        }
    }
    return (size_t)n;
}

void il_csv_f64(il_csv_writer *w, double x)
{
    char text[IL_NUMBER_BYTES];
    size_t n = il_number_print(x, text);
    separate(w);
    il_csv_raw(w, text, n);
}

void il_csv_i64(il_csv_writer *w, int64_t x)
{
    char text[IL_NUMBER_BYTES];
    int n = snprintf(text, sizeof text, "%" PRId64, x);
    separate(w);
    il_csv_raw(w, text, (size_t)n);
}

void il_csv_bool(il_csv_writer *w, bool x)
{
    separate(w);
    il_csv_raw(w, x ? "True" : "False", x ? 4 : 5);
}

void il_csv_empty(il_csv_writer *w)
{
    separate(w);
}

void il_csv_end_row(il_csv_writer *w)
{
    il_csv_raw(w, "\n", 1);
    w->mid_row = false;
}

void il_csv_row(il_csv_writer *w, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        il_csv_text(w, texts[i]);
    }
    il_csv_end_row(w);
}

int il_csv_close(il_csv_writer *w, il_error *err)
{
    flush(w);
    int rc = w->code;
    if (rc != IL_OK) {
        rc = w->os_errno ? il_fail_errno(err, w->os_errno, "cannot write the file")
                         : il_fail(err, rc, "cannot write the file");
    } else if (fsync(w->fd) != 0 || rename(w->temporary, w->path) != 0) {
        rc = il_fail_errno(err, errno, "cannot replace the file");
    }
    if (rc != IL_OK) {
        il_error_where(err, "%s", w->path);
    } else {
        w->temporary[0] = '\0';
    }
    il_csv_abandon(w);
    return rc;
}

void il_csv_abandon(il_csv_writer *w)
{
    if (w->fd >= 0) {
        (void)close(w->fd);
    }
    if (w->temporary && w->temporary[0] != '\0' && w->fd >= 0) {
        (void)unlink(w->temporary);
    }
    free(w->path);
    free(w->temporary);
    free(w->data);
    *w = (il_csv_writer){.fd = -1, .code = IL_E_INTERNAL};
}
