/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * HTTP over libcurl's multi interface: one loop for one request and for many. Each request is an
 * easy handle that is kept for the next one, so connections live as long as the server lets them.
 */
#include "backend/http.h"

#include "base/buf.h"
#include "base/json.h"
#include "os/clock.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_LINE_BYTES = 16 << 20,
    MAX_REPLY_BYTES = 64 << 20,
    MAX_HEADER_BYTES = 256 << 10,
    LINE_ROOM_BYTES = 64 << 10, /* there before the first byte arrives */
    CONNECT_MS = 10000,
    SPIN_NS = 1500000 /* poll counts in milliseconds; what is left before a due time is spun away */
};

/* One request under way, and the easy handle that the next one uses again. */
typedef struct exchange {
    struct exchange *next; /* in the list of free ones, or of those under way */
    il__http *http;
    CURL *easy;
    il__http_stream *stream; /* NULL while free */
    il_buf line;             /* a line whose end has not come */
    int64_t t_last_ns;
    size_t n_reply, n_headers;
    int end; /* why we ended it ourselves, IL_OK: we did not */
    char why[CURL_ERROR_SIZE];
} exchange;

struct il__http {
    CURLM *multi;
    exchange *free, *flying;
    struct curl_slist *headers;
    char *base; /* without a final slash */
    bool loopback;
    char server[128]; /* of the last answer */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void start_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* --- opening ---------------------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

/* Is it an address that curl can use, and does it mean this machine? */
static int check_url(const char *url, bool *loopback, il_error *err)
{
    char *scheme = NULL, *host = NULL, *user = NULL, *query = NULL;
    CURLU *parts = curl_url();
    int rc = IL_OK;
    if (!parts) {
        return il_fail(err, IL_E_NOMEM, "no memory for an address");
    }
    if (curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        rc = il_fail(err, IL_E_USAGE, "'%s' is not the address of a server", url);
        il_error_hint(err, "write it as http://127.0.0.1:8000");
    } else if (curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK ||
               curl_url_get(parts, CURLUPART_QUERY, &query, 0) == CURLUE_OK) {
        rc = il_fail(err, IL_E_USAGE, "the address of a server holds no user, key or query");
        il_error_hint(err, "put the key into an environment variable and name it by api_key_env:");
    } else {
        *loopback = is_loopback(host);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_free(query);
    curl_url_cleanup(parts);
    return rc;
}

static bool add_header(il__http *http, const char *text)
{
    struct curl_slist *more = curl_slist_append(http->headers, text);
    http->headers = more ? more : http->headers;
    return more != NULL;
}

static bool add_headers(il__http *http, const char *bearer)
{
    bool ok = add_header(http, "Content-Type: application/json") &&
              add_header(http, "Accept: application/json, text/event-stream") &&
              add_header(http, "Expect:");
    if (ok && bearer) {
        il_buf text;
        il_buf_init(&text, 16 << 10);
        ok = il_buf_printf(&text, "Authorization: Bearer %s", bearer) == IL_OK &&
             !strpbrk(bearer, "\r\n") && add_header(http, il_buf_text(&text));
        il_buf_free(&text);
    }
    return ok;
}

int il__http_open(const char *url, const char *bearer, il__http **out, il_error *err)
{
    *out = NULL;
    (void)pthread_once(&curl_once, start_curl);
    if (curl_ready != CURLE_OK) {
        return il_fail(err, IL_E_INTERNAL, "libcurl: %s", curl_easy_strerror(curl_ready));
    }
    bool loopback = false;
    int rc = check_url(url, &loopback, err);
    if (rc != IL_OK) {
        return rc;
    }
    il__http *http = calloc(1, sizeof *http);
    if (!http) {
        return il_fail(err, IL_E_NOMEM, "no memory for a connection");
    }
    http->loopback = loopback;
    http->multi = curl_multi_init();
    http->base = strdup(url);
    if (!http->multi || !http->base || !add_headers(http, bearer)) {
        il__http_close(http);
        rc = il_fail(err, IL_E_INVALID, "a connection cannot be set up");
        il_error_hint(err, "a key is one line of at most 16,000 bytes");
        return rc;
    }
    for (size_t n = strlen(http->base); n > 0 && http->base[n - 1] == '/'; n--) {
        http->base[n - 1] = '\0';
    }
    *out = http;
    return IL_OK;
}

void il__http_close(il__http *http)
{
    if (!http) {
        return;
    }
    assert(!http->flying);
    while (http->free) {
        exchange *x = http->free;
        http->free = x->next;
        curl_easy_cleanup(x->easy);
        il_buf_free(&x->line);
        free(x);
    }
    curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
    free(http->base);
    free(http);
}

const char *il__http_server(const il__http *http)
{
    return http->server;
}

/* --- what curl calls -------------------------------------------------------------------------- */

static int end_with(exchange *x, int code)
{
    x->end = code;
    return code;
}

static int over_limit(exchange *x, const char *what, size_t most)
{
    (void)snprintf(x->stream->what, sizeof x->stream->what, "%s of more than %zu KiB", what,
                   most >> 10);
    return end_with(x, IL_E_PROTOCOL);
}

static size_t on_header(char *bytes, size_t size, size_t n, void *user)
{
    static const char name[] = "server:";
    exchange *x = user;
    size_t n_bytes = size * n;
    x->n_headers += n_bytes;
    if (x->n_headers > MAX_HEADER_BYTES) {
        (void)over_limit(x, "headers", MAX_HEADER_BYTES);
        return 0;
    }
    if (n_bytes > sizeof name && strncasecmp(bytes, name, sizeof name - 1) == 0) {
        size_t from = sizeof name - 1, to = n_bytes;
        while (from < to && bytes[from] == ' ') {
            from++;
        }
        while (to > from && (bytes[to - 1] == '\r' || bytes[to - 1] == '\n')) {
            to--;
        }
        (void)snprintf(x->http->server, sizeof x->http->server, "%.*s", (int)(to - from),
                       bytes + from);
    }
    return n_bytes;
}

/* One whole line to the caller, its '\r' dropped. */
static int give(exchange *x, const char *line, size_t n_bytes, int64_t t_ns)
{
    if (n_bytes > 0 && line[n_bytes - 1] == '\r') {
        n_bytes--;
    }
    int rc = x->stream->on_line(line, n_bytes, t_ns, x->stream->user);
    if (rc != IL_OK) {
        (void)snprintf(x->stream->what, sizeof x->stream->what, "ended by its reader");
    }
    return rc == IL_OK ? IL_OK : end_with(x, rc);
}

static int keep(exchange *x, const char *bytes, size_t n_bytes)
{
    if (x->line.len + n_bytes > MAX_LINE_BYTES) {
        return over_limit(x, "a line", MAX_LINE_BYTES);
    }
    if (il_buf_append(&x->line, bytes, n_bytes) != IL_OK) {
        (void)snprintf(x->stream->what, sizeof x->stream->what, "no memory for the answer");
        return end_with(x, IL_E_NOMEM);
    }
    return IL_OK;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
    int64_t t_ns = il_clock_ns();
    exchange *x = user;
    size_t n_bytes = size * n, at = 0;
    if (x->stream->t_first_byte_ns == 0) {
        x->stream->t_first_byte_ns = t_ns;
    }
    x->t_last_ns = t_ns;
    x->n_reply += n_bytes;
    if (x->n_reply > MAX_REPLY_BYTES) {
        (void)over_limit(x, "an answer", MAX_REPLY_BYTES);
        return 0;
    }
    while (at < n_bytes) {
        const char *end = memchr(bytes + at, '\n', n_bytes - at);
        size_t n_line = end ? (size_t)(end - bytes) - at : n_bytes - at;
        int rc;
        if (!end) {
            rc = keep(x, bytes + at, n_line);
        } else if (x->line.len == 0) {
            rc = give(x, bytes + at, n_line, t_ns);
        } else {
            rc = keep(x, bytes + at, n_line);
            rc = rc == IL_OK ? give(x, x->line.data, x->line.len, t_ns) : rc;
            il_buf_clear(&x->line);
        }
        if (rc != IL_OK) {
            return 0;
        }
        at += n_line + (end ? 1 : 0);
    }
    return n_bytes;
}

static int on_socket(void *user, curl_socket_t fd, curlsocktype purpose)
{
    (void)user;
    (void)purpose;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* a server that we start must not inherit it */
    return CURL_SOCKOPT_OK;
}

/* --- one exchange ----------------------------------------------------------------------------- */

static exchange *exchange_take(il__http *http)
{
    exchange *x = http->free;
    if (x) {
        http->free = x->next;
        return x;
    }
    x = calloc(1, sizeof *x);
    if (!x || !(x->easy = curl_easy_init())) {
        free(x);
        return NULL;
    }
    x->http = http;
    il_buf_init(&x->line, (size_t)MAX_LINE_BYTES + 1);
    static const char room[LINE_ROOM_BYTES];
    (void)il_buf_append(&x->line, room, sizeof room);
    return x;
}

static void set_up(exchange *x, const char *url)
{
    CURL *e = x->easy;
    const il__http_stream *s = x->stream;
    double ms = s->deadline_s > 0 ? s->deadline_s * 1e3 : 0;
    curl_easy_reset(e);
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->http->headers);
    curl_easy_setopt(e, CURLOPT_PRIVATE, x);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->why);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_socket);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "inferlaw/" IL_VERSION);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     ms > 0 && ms < CONNECT_MS ? (long)ms + 1 : (long)CONNECT_MS);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, ms > 0 && ms < 2e9 ? (long)ms + 1 : 0L);
    if (x->http->loopback) {
        curl_easy_setopt(e, CURLOPT_PROXY, "");
    }
    if (s->body) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, s->body);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->n_body);
    }
}

/* A stream that cannot be begun has its code and is done. */
static bool exchange_start(il__http *http, il__http_stream *s)
{
    il_buf url;
    s->t_sent_ns = s->t_first_byte_ns = s->t_end_ns = 0;
    s->status = 0;
    s->code = IL_OK;
    s->what[0] = '\0';
    s->new_connection = false;
    exchange *x = exchange_take(http);
    if (!x) {
        s->code = IL_E_NOMEM;
        (void)snprintf(s->what, sizeof s->what, "no memory for a request");
        return false;
    }
    il_buf_init(&url, 16 << 10);
    bool ok = il_buf_printf(&url, "%s%s", http->base, s->path) == IL_OK;
    x->stream = s;
    x->n_reply = x->n_headers = 0;
    x->t_last_ns = 0;
    x->end = IL_OK;
    x->why[0] = '\0';
    il_buf_clear(&x->line);
    if (ok) {
        set_up(x, il_buf_text(&url)); /* curl copies it */
        s->t_sent_ns = il_clock_ns();
        ok = curl_multi_add_handle(http->multi, x->easy) == CURLM_OK;
    }
    il_buf_free(&url);
    exchange **list = ok ? &http->flying : &http->free;
    x->next = *list;
    *list = x;
    if (!ok) {
        s->code = IL_E_INTERNAL;
        (void)snprintf(s->what, sizeof s->what, "the request cannot be made");
    }
    return ok;
}

static int code_of(CURLcode result)
{
    switch (result) {
    case CURLE_OK:
        return IL_OK;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return IL_E_NOT_FOUND;
    case CURLE_OPERATION_TIMEDOUT:
        return IL_E_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return IL_E_NOMEM;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return IL_E_PROTOCOL;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return IL_E_ACCESS;
    default:
        return IL_E_CRASHED;
    }
}

static void say_why(const exchange *x, CURLcode result)
{
    il__http_stream *s = x->stream;
    const char *curl_says = x->why[0] ? x->why : curl_easy_strerror(result);
    switch (s->code) {
    case IL_E_NOT_FOUND:
        (void)snprintf(s->what, sizeof s->what, "nobody answers at %s: %s", x->http->base,
                       curl_says);
        break;
    case IL_E_TIMEOUT:
        (void)snprintf(s->what, sizeof s->what, "no %s within %.3g s",
                       s->t_first_byte_ns ? "end of the answer" : "answer", s->deadline_s);
        break;
    case IL_E_CRASHED:
        (void)snprintf(s->what, sizeof s->what, "the answer was cut short after %zu bytes: %s",
                       x->n_reply, curl_says);
        break;
    default:
        (void)snprintf(s->what, sizeof s->what, "%s", curl_says);
        break;
    }
}

static void exchange_end(exchange *x, CURLcode result)
{
    il__http *http = x->http;
    il__http_stream *s = x->stream;
    long status = 0, connects = 0;
    s->t_end_ns = il_clock_ns();
    (void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &connects);
    s->status = (int)status;
    s->new_connection = connects > 0;
    if (result == CURLE_OK && x->line.len > 0) {
        (void)give(x, x->line.data, x->line.len, x->t_last_ns);
    }
    if (x->end != IL_OK) {
        s->code = x->end;
    } else {
        s->code = code_of(result);
        if (s->code != IL_OK) {
            say_why(x, result);
        }
    }
    (void)curl_multi_remove_handle(http->multi, x->easy);
    x->stream = NULL;
    exchange **at = &http->flying;
    while (*at != x) {
        at = &(*at)->next;
    }
    *at = x->next;
    x->next = http->free;
    http->free = x;
}

/* --- the loop --------------------------------------------------------------------------------- */

static uint32_t take_ended(il__http *http)
{
    uint32_t n = 0;
    int left;
    const CURLMsg *m;
    while ((m = curl_multi_info_read(http->multi, &left)) != NULL) {
        exchange *x = NULL;
        if (m->msg == CURLMSG_DONE &&
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x) == CURLE_OK && x) {
            exchange_end(x, m->data.result);
            n++;
        }
    }
    return n;
}

/* Waits for bytes, at most until t_due_ns (0: for ever). */
static void wait_for_bytes(il__http *http, int64_t t_due_ns)
{
    int ms = 1000;
    if (t_due_ns != 0) {
        int64_t left = t_due_ns - il_clock_ns() - SPIN_NS;
        ms = left <= 0 ? 0 : left > 1000000000 ? 1000 : (int)(left / 1000000);
    }
    (void)curl_multi_poll(http->multi, NULL, 0, ms, NULL);
}

int il__http_run_many(il__http *http, il__http_stream *streams, uint32_t n, uint32_t concurrency,
                      il_error *err)
{
    uint32_t begun = 0, done = 0, flying = 0;
    concurrency = concurrency ? concurrency : 1;
    while (done < n) {
        while (begun < n && flying < concurrency &&
               (streams[begun].t_due_ns == 0 || streams[begun].t_due_ns <= il_clock_ns())) {
            if (exchange_start(http, &streams[begun])) {
                flying++;
            } else {
                done++;
            }
            begun++;
        }
        int running;
        CURLMcode code = curl_multi_perform(http->multi, &running);
        if (code != CURLM_OK) {
            while (http->flying) { /* none may outlive the streams it writes to */
                exchange_end(http->flying, CURLE_ABORTED_BY_CALLBACK);
            }
            return il_fail(err, IL_E_INTERNAL, "libcurl: %s", curl_multi_strerror(code));
        }
        uint32_t ended = take_ended(http);
        done += ended;
        flying -= ended;
        bool may_begin = begun < n && flying < concurrency;
        if (done < n && ended == 0) {
            wait_for_bytes(http, may_begin ? streams[begun].t_due_ns : 0);
        }
    }
    return IL_OK;
}

int il__http_run(il__http *http, il__http_stream *stream, il_error *err)
{
    int rc = il__http_run_many(http, stream, 1, 1, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (stream->code != IL_OK) {
        (void)il_fail(err, stream->code, "%s", stream->what);
        if (stream->code == IL_E_NOT_FOUND) {
            il_error_hint(err, "start the server, or correct url: (it is %s)", http->base);
        } else if (stream->code == IL_E_TIMEOUT) {
            il_error_hint(err, "deadline_s: gives it longer");
        }
    }
    return stream->code;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static int collect(const char *line, size_t n_bytes, int64_t t_ns, void *user)
{
    (void)t_ns;
    il_buf *text = user;
    int rc = il_buf_append(text, line, n_bytes);
    return rc == IL_OK ? il_buf_append(text, "\n", 1) : rc;
}

int il__http_json(il__http *http, const char *path, const json_t *body, double deadline_s,
                  json_t **reply, int *status, il_error *err)
{
    il_buf text;
    char *sent = NULL;
    *reply = NULL;
    *status = 0;
    il_buf_init(&text, (size_t)MAX_REPLY_BYTES + (1 << 20));
    if (body && !(sent = il_json_dump(body))) {
        return il_fail(err, IL_E_NOMEM, "no memory for a request");
    }
    il__http_stream s = {.path = path,
                         .body = sent,
                         .n_body = sent ? strlen(sent) : 0,
                         .deadline_s = deadline_s,
                         .on_line = collect,
                         .user = &text};
    int rc = il__http_run(http, &s, err);
    if (rc == IL_OK) {
        *status = s.status;
        if (text.len > 0) {
            (void)il_json_parse(text.data, text.len, path, reply, NULL);
        }
    }
    free(sent);
    il_buf_free(&text);
    return rc;
}

const char *il__sse_data(const char *line, size_t n_bytes, size_t *n)
{
    if (n_bytes < 5 || memcmp(line, "data:", 5) != 0) {
        return NULL;
    }
    size_t from = n_bytes > 5 && line[5] == ' ' ? 6 : 5;
    *n = n_bytes - from;
    return line + from;
}
