/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/journal.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const char crc_key[] = ",\"crc32\":\"";

/* The key, eight digits, the closing quote and brace. */
enum { CRC_KEY_BYTES = sizeof crc_key - 1, CRC_TAIL_BYTES = CRC_KEY_BYTES + 8 + 2 };

static uint32_t crc_of(const char *bytes, size_t n_bytes)
{
    /* A line has at most 64 MiB, so one call takes it whole. */
    return (uint32_t)crc32(crc32(0L, Z_NULL, 0), (const Bytef *)bytes, (uInt)n_bytes);
}

/* --- reading ---------------------------------------------------------------------------------- */

typedef struct reader {
    const char *path;
    il_journal_visit visit;
    void *user;
    il_journal_info info;
    bool visitor_failed; /* the code is the visitor's, not a verdict on the line */
} reader;

static int damaged(const reader *r, il_error *err, const char *why)
{
    int rc = il_fail(err, IL_E_DAMAGED, "the journal is damaged: %s", why);
    il_error_where(err, "%s:%llu", r->path, (unsigned long long)r->info.n_lines + 1);
    il_error_hint(err,
                  "the lines before it are intact; restore the file from a copy, or measure again");
    return rc;
}

/* NULL when the n_bytes of a line (no newline) are what was written, else what is wrong. */
static const char *crc_complaint(const char *line, size_t n_bytes)
{
    if (n_bytes < CRC_TAIL_BYTES + 1 || line[0] != '{' || line[n_bytes - 1] != '}') {
        return "a line is cut short";
    }
    size_t body = n_bytes - CRC_TAIL_BYTES;
    char digits[9];
    (void)snprintf(digits, sizeof digits, "%08x", crc_of(line, body));
    if (memcmp(line + body, crc_key, CRC_KEY_BYTES) != 0 ||
        memcmp(line + body + CRC_KEY_BYTES, digits, 8) != 0 || line[n_bytes - 2] != '"') {
        return "a line does not match its CRC-32";
    }
    return NULL;
}

static int line_take(reader *r, const char *line, size_t n_bytes, il_error *err)
{
    const char *why = crc_complaint(line, n_bytes);
    if (why) {
        return damaged(r, err, why);
    }
    json_t *value = json_loadb(line, n_bytes, JSON_REJECT_DUPLICATES, NULL);
    int rc = IL_OK;
    if (!json_is_object(value) || !json_is_string(json_object_get(value, "kind"))) {
        rc = damaged(r, err, "a line is not a JSON object with a kind");
    } else if (json_integer_value(json_object_get(value, "v")) != IL_JOURNAL_VERSION) {
        rc = damaged(r, err, "a line was written in a format this program does not know");
    } else if ((uint64_t)json_integer_value(json_object_get(value, "seq")) != r->info.n_lines) {
        rc = damaged(r, err, "lines are missing, repeated or out of order");
    } else if (r->visit) {
        rc = r->visit(value, r->info.n_lines + 1, r->user, err);
        r->visitor_failed = rc != IL_OK;
    }
    json_decref(value);
    if (rc == IL_OK) {
        r->info.n_lines++;
        r->info.valid_bytes += n_bytes + 1;
    }
    return rc;
}

/* Takes the whole lines of buf. Whether a line is the last one, and so may be torn, shows only at
 * the end of the file: until then the line that ends the buffer waits. */
static int lines_take(reader *r, il_buf *buf, bool ended, il_error *err)
{
    size_t done = 0;
    int rc = IL_OK;
    while (rc == IL_OK && done < buf->len) {
        const char *line = buf->data + done;
        size_t left = buf->len - done;
        const char *end = memchr(line, '\n', left);
        size_t n = end ? (size_t)(end - line) : left;
        bool at_end = !end || n + 1 == left;
        if (at_end && !ended) {
            break;
        }
        /* A last line that is intact but out of sequence was written whole: that is damage. */
        if (at_end && (!end || crc_complaint(line, n))) {
            r->info.torn_bytes = left;
            done = buf->len;
        } else {
            rc = line_take(r, line, n, err);
            done += n + 1;
        }
    }
    il_buf_consume(buf, done);
    return rc;
}

static int stream_lines(reader *r, int fd, il_error *err)
{
    enum { BLOCK_BYTES = 1 << 18 };
    il_buf buf;
    il_buf_init(&buf, IL_JOURNAL_MAX_LINE_BYTES + BLOCK_BYTES);
    char *block = malloc(BLOCK_BYTES);
    int rc = block ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory");
    while (rc == IL_OK) {
        ssize_t n = read(fd, block, BLOCK_BYTES);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            rc = il_fail_errno(err, errno, "cannot read the journal");
            break;
        }
        if (n > 0 && il_buf_append(&buf, block, (size_t)n) != IL_OK) {
            rc = buf.status == IL_E_NOMEM ? il_fail(err, IL_E_NOMEM, "out of memory")
                                          : damaged(r, err, "a line has more than 64 MiB");
            break;
        }
        rc = lines_take(r, &buf, n == 0, err);
        if (n == 0) {
            break;
        }
    }
    free(block);
    il_buf_free(&buf);
    return rc;
}

int il_journal_read(const char *path, il_journal_visit visit, void *user, il_journal_info *info,
                    il_error *err)
{
    reader r = {.path = path, .visit = visit, .user = user};
    struct stat st;
    int rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        rc = il_fail_errno(err, errno, "cannot open the journal");
        goto out;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = il_fail(err, IL_E_INVALID, "the journal is not a regular file");
        goto out;
    }
    rc = stream_lines(&r, fd, err);
out:
    if (rc != IL_OK && !r.visitor_failed) {
        il_error_where(err, "%s", path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (info) {
        *info = r.info;
    }
    return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

struct il_journal {
    int fd;
    uint64_t seq;
    uint64_t n_bytes; /* of intact lines */
    il_error broken;  /* code IL_OK while writing works */
    char *path;
};

static int open_at(const char *path, int flags, il_journal **out, il_error *err)
{
    il_journal *j = calloc(1, sizeof *j);
    if (!j || !(j->path = strdup(path))) {
        free(j);
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    j->fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
    if (j->fd < 0) {
        int rc = il_fail_errno(err, errno, "cannot open the journal");
        il_error_where(err, "%s", path);
        il_journal_close(j);
        return rc;
    }
    *out = j;
    return IL_OK;
}

/* The name of a new file is durable once its directory is. */
static int sync_directory(const char *path, il_error *err)
{
    char *dir = strdup(path);
    if (!dir) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    char *slash = strrchr(dir, '/');
    if (slash) {
        slash[slash == dir] = '\0';
    }
    int rc = IL_OK, fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        rc = il_fail_errno(err, errno, "cannot sync the run directory");
        il_error_where(err, "%s", path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(dir);
    return rc;
}

int il_journal_create(const char *path, il_journal **out, il_error *err)
{
    int rc = open_at(path, O_CREAT | O_EXCL, out, err);
    if (rc != IL_OK) {
        return rc;
    }
    rc = sync_directory(path, err);
    if (rc != IL_OK) {
        il_journal_close(*out);
        *out = NULL;
    }
    return rc;
}

int il_journal_append_to(const char *path, const il_journal_info *info, il_journal **out,
                         il_error *err)
{
    int rc = open_at(path, 0, out, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_journal *j = *out;
    j->seq = info->n_lines;
    j->n_bytes = info->valid_bytes;
    if (ftruncate(j->fd, (off_t)j->n_bytes) != 0 || lseek(j->fd, (off_t)j->n_bytes, SEEK_SET) < 0 ||
        fdatasync(j->fd) != 0) {
        rc = il_fail_errno(err, errno, "cannot cut the journal's torn last line");
        il_error_where(err, "%s", path);
        il_journal_close(j);
        *out = NULL;
    }
    return rc;
}

static int line_format(const il_journal *j, const char *kind, const json_t *body, il_buf *line)
{
    char *text = il_json_dump(body);
    if (!text) {
        return IL_E_NOMEM;
    }
    (void)il_buf_printf(line, "{\"v\":%d,\"seq\":%llu,\"kind\":\"%s\",\"at_unix\":%.6f",
                        IL_JOURNAL_VERSION, (unsigned long long)j->seq, kind, il_clock_unix_s());
    if (json_object_size(body) > 0) {
        (void)il_buf_puts(line, ",");
        (void)il_buf_append(line, text + 1, strlen(text) - 2);
    }
    free(text);
    if (line->status == IL_OK) {
        uint32_t crc = crc_of(il_buf_text(line), line->len);
        (void)il_buf_printf(line, "%s%08x\"}\n", crc_key, crc);
    }
    return line->status;
}

int il_journal_write(il_journal *j, const char *kind, json_t *body, il_error *err)
{
    il_buf line;
    il_buf_init(&line, IL_JOURNAL_MAX_LINE_BYTES);
    int rc = IL_OK;
    if (j->broken.code != IL_OK) {
        rc = il_fail(err, j->broken.code, "%s", j->broken.what);
        goto out;
    }
    rc = json_is_object(body) ? line_format(j, kind, body, &line) : IL_E_NOMEM;
    if (rc != IL_OK) {
        rc = il_fail(err, rc, "cannot format a journal line: %s", il_code_text(rc));
        goto out;
    }
    rc = il_fd_write_all(j->fd, line.data, line.len, &j->broken);
    if (rc == IL_OK && fdatasync(j->fd) != 0) {
        rc = il_fail_errno(&j->broken, errno, "cannot make a journal line durable");
    }
    if (rc == IL_OK) {
        j->seq++;
        j->n_bytes += line.len;
        goto out;
    }
    /* Half a line would be a torn tail; cutting it needs no space. */
    if (ftruncate(j->fd, (off_t)j->n_bytes) == 0) {
        (void)lseek(j->fd, (off_t)j->n_bytes, SEEK_SET);
    }
    (void)il_fail(err, rc, "%s", j->broken.what);
out:
    if (rc != IL_OK) {
        il_error_where(err, "%s", j->path);
        il_error_hint(err,
                      rc == IL_E_NO_SPACE
                          ? "free some space, then go on with --resume; nothing measured is lost"
                          : "what is in the journal is intact; go on with --resume");
    }
    il_buf_free(&line);
    json_decref(body);
    return rc;
}

uint64_t il_journal_next_seq(const il_journal *j)
{
    return j->seq;
}

void il_journal_close(il_journal *j)
{
    if (!j) {
        return;
    }
    if (j->fd >= 0) {
        (void)close(j->fd);
    }
    free(j->path);
    free(j);
}
