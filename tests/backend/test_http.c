/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/mock.h"

#include "backend/http.h"
#include "os/clock.h"

enum { MOST = 64 };

typedef struct reader {
    uint32_t n; /* lines with data */
    int64_t t_ns[MOST];
    char last[4096];
    char all[8192];
    int stop_at; /* 0 = never */
} reader;

static mock server;

static int on_line(const char *line, size_t n_bytes, int64_t t_ns, void *user)
{
    reader *r = user;
    size_t n, used = strlen(r->all);
    const char *data = il__sse_data(line, n_bytes, &n);
    if (n_bytes > 0 && used + n_bytes + 2 < sizeof r->all) {
        memcpy(r->all + used, line, n_bytes);
        memcpy(r->all + used + n_bytes, "\n", 2);
    }
    if (data && r->n < MOST && !(n == 6 && memcmp(data, "[DONE]", 6) == 0)) {
        r->t_ns[r->n++] = t_ns;
        (void)snprintf(r->last, sizeof r->last, "%.*s", (int)n, data);
    }
    return r->stop_at > 0 && r->n >= (uint32_t)r->stop_at ? IL_E_INTERRUPTED : IL_OK;
}

static int start(void **state)
{
    (void)state;
    mock_start(&server, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    mock_stop(&server);
    return 0;
}

static il__http *open_http(void)
{
    il__http *http;
    il_error err = {0};
    check_ok(il__http_open(server.url, NULL, &http, &err), &err);
    return http;
}

/* One stream of the mock with options; returns its code. */
static int ask(il__http *http, const char *options, int n_tok, il__http_stream *s, reader *r,
               il_error *err)
{
    static char body[2][1024];
    static int which;
    which = !which;
    *r = (reader){.stop_at = r->stop_at};
    int n = snprintf(body[which], sizeof body[which],
                     "{\"model\":\"m\",\"prompt\":\"a b\",\"stream\":true,\"max_tokens\":%d,"
                     "\"mock\":{%s}}",
                     n_tok, options);
    *s = (il__http_stream){.path = "/v1/completions",
                           .body = body[which],
                           .n_body = (size_t)n,
                           .deadline_s = s->deadline_s ? s->deadline_s : 10,
                           .on_line = on_line,
                           .user = r};
    return il__http_run(http, s, err);
}

static void addresses_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "127.0.0.1 8000", "ftp://h", "http://u:p@h", "http://h?k=1", "http://"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        il__http *http;
        il_error err = {0};
        assert_int_equal(il__http_open(bad[i], NULL, &http, &err), IL_E_USAGE);
        assert_null(http);
        assert_true(err.hint[0] != '\0');
    }
}

static void json_goes_and_comes(void **state)
{
    (void)state;
    il__http *http = open_http();
    json_t *reply;
    int status;
    il_error err = {0};
    check_ok(il__http_json(http, "/version", NULL, 5, &reply, &status, &err), &err);
    assert_int_equal(status, 200);
    assert_string_equal(json_string_value(json_object_get(reply, "version")), "0.32.0");
    assert_string_equal(il__http_server(http), "uvicorn");
    json_decref(reply);
    check_ok(il__http_json(http, "/nothing", NULL, 5, &reply, &status, &err), &err);
    assert_int_equal(status, 404);
    json_decref(reply);
    il__http_close(http);
}

static void nobody_there_is_not_found(void **state)
{
    (void)state;
    il__http *http;
    json_t *reply;
    int status;
    il_error err = {0};
    check_ok(il__http_open("http://127.0.0.1:1", NULL, &http, &err), &err);
    assert_int_equal(il__http_json(http, "/", NULL, 5, &reply, &status, &err), IL_E_NOT_FOUND);
    assert_null(reply);
    assert_non_null(strstr(err.hint, "127.0.0.1:1"));
    il__http_close(http);
}

static void a_line_split_over_packets_comes_once(void **state)
{
    (void)state;
    il__http *http = open_http();
    reader whole = {0}, split = {0};
    il__http_stream s = {0};
    il_error err = {0};
    check_ok(ask(http, "\"ttft_ms\":1,\"itl_ms\":1", 9, &s, &whole, &err), &err);
    assert_true(s.new_connection);
    check_ok(ask(http, "\"ttft_ms\":1,\"itl_ms\":1,\"split\":1", 9, &s, &split, &err), &err);
    assert_false(s.new_connection); /* the connection was kept */
    assert_int_equal(whole.n, 10);
    assert_int_equal(split.n, 10);
    assert_string_equal(whole.all, split.all);
    assert_true(s.t_sent_ns < s.t_first_byte_ns && s.t_first_byte_ns < split.t_ns[0] + 1);
    assert_true(split.t_ns[9] <= s.t_end_ns);
    il__http_close(http);
}

static void every_break_has_its_code(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        int code, status;
    } cases[] = {
        {"\"cut_after\":3", IL_E_CRASHED, 200},
        {"\"cut_after\":1", IL_E_CRASHED, 200},
        {"\"status\":503", IL_OK, 503},
        {"\"long_line\":17000000", IL_E_PROTOCOL, 200},
        {"\"many_headers\":400000", IL_E_PROTOCOL, 200},
        {"\"no_end\":1", IL_OK, 200},
        {"\"close\":1", IL_OK, 200},
    };
    il__http *http = open_http();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reader r = {0};
        il__http_stream s = {0};
        il_error err = {0};
        char options[200];
        (void)snprintf(options, sizeof options, "\"ttft_ms\":1,\"itl_ms\":1,%s", cases[i].options);
        int code = ask(http, options, 5, &s, &r, &err);
        if (code != cases[i].code || s.status != cases[i].status) {
            print_error("%s: code %d status %d (%s)\n", cases[i].options, code, s.status, s.what);
        }
        assert_int_equal(code, cases[i].code);
        assert_int_equal(s.status, cases[i].status);
        assert_int_equal(s.what[0] != '\0', code != IL_OK);
        if (s.status == 503) {
            assert_non_null(strstr(r.all, "the mock says no"));
        }
    }
    /* the reader's own code comes back, and the next request works */
    reader r = {.stop_at = 2};
    il__http_stream s = {0};
    il_error err = {0};
    assert_int_equal(ask(http, "\"ttft_ms\":1,\"itl_ms\":1", 5, &s, &r, &err), IL_E_INTERRUPTED);
    r.stop_at = 0;
    check_ok(ask(http, "\"ttft_ms\":1,\"itl_ms\":1", 5, &s, &r, &err), &err);
    il__http_close(http);
}

static void a_deadline_is_kept(void **state)
{
    (void)state;
    il__http *http = open_http();
    reader r = {0};
    il__http_stream s = {.deadline_s = 0.2};
    il_error err = {0};
    int64_t t0 = il_clock_ns();
    assert_int_equal(ask(http, "\"hang\":1", 5, &s, &r, &err), IL_E_TIMEOUT);
    double took = (double)(il_clock_ns() - t0) * 1e-9;
    assert_true(took >= 0.19 && took < 1.5);
    assert_non_null(strstr(err.hint, "deadline_s"));
    il__http_close(http);
}

static void many_keep_their_order_limit_and_due_times(void **state)
{
    (void)state;
    enum { N = 12 };
    static const char body[] = "{\"model\":\"m\",\"prompt\":\"a\",\"stream\":true,\"max_tokens\":3,"
                               "\"mock\":{\"ttft_ms\":20,\"itl_ms\":5}}";
    il__http *http = open_http();
    static reader r[N];
    il__http_stream s[N] = {0};
    il_error err = {0};
    int64_t t0 = il_clock_ns();
    for (int i = 0; i < N; i++) {
        r[i] = (reader){0};
        s[i] = (il__http_stream){.path = "/v1/completions",
                                 .body = body,
                                 .n_body = sizeof body - 1,
                                 .deadline_s = 10,
                                 .on_line = on_line,
                                 .user = &r[i],
                                 .t_due_ns = t0 + (int64_t)i * 7000000};
    }
    check_ok(il__http_run_many(http, s, N, 3, &err), &err);
    for (int i = 0; i < N; i++) {
        int flying = 0;
        assert_int_equal(s[i].code, IL_OK);
        assert_int_equal(r[i].n, 4);
        assert_true(s[i].t_sent_ns >= s[i].t_due_ns);
        assert_true(i == 0 || s[i].t_sent_ns >= s[i - 1].t_sent_ns);
        for (int k = 0; k < N; k++) {
            flying += s[k].t_sent_ns <= s[i].t_sent_ns && s[k].t_end_ns > s[i].t_sent_ns;
        }
        assert_true(flying <= 3);
    }
    il__http_close(http);
}

static void events_are_taken_apart(void **state)
{
    (void)state;
    size_t n = 99;
    assert_null(il__sse_data("", 0, &n));
    assert_null(il__sse_data(": ping", 6, &n));
    assert_null(il__sse_data("event: x", 8, &n));
    assert_null(il__sse_data("data", 4, &n));
    assert_non_null(il__sse_data("data:", 5, &n));
    assert_int_equal(n, 0);
    assert_memory_equal(il__sse_data("data: {}", 8, &n), "{}", 2);
    assert_int_equal(n, 2);
    assert_memory_equal(il__sse_data("data:{}", 7, &n), "{}", 2);
    assert_int_equal(n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(json_goes_and_comes),
        cmocka_unit_test(nobody_there_is_not_found),
        cmocka_unit_test(a_line_split_over_packets_comes_once),
        cmocka_unit_test(every_break_has_its_code),
        cmocka_unit_test(a_deadline_is_kept),
        cmocka_unit_test(many_keep_their_order_limit_and_due_times),
        cmocka_unit_test(events_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
