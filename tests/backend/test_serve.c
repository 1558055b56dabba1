/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Servers are played by this very program: a shell script with the name of a real one calls it with
 * a mode. It sits in a runtimes directory of our own.
 */
#include "check.h"

#include "backend/serve.h"
#include "base/file.h"
#include "os/clock.h"
#include "os/probe_command.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], self[512];

/* --- the fake server ---------------------------------------------------------------------------
 */

static void note_pid(const char *name, pid_t pid)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", getenv("FAKE_DIR"), name);
    FILE *file = fopen(path, "w");
    if (file) {
        (void)fprintf(file, "%ld\n", (long)pid);
        (void)fclose(file);
    }
}

/* Two children that would sit for ever, one of them in a session of its own. */
static void have_children(void)
{
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i == 1) {
                (void)setsid();
            }
            (void)signal(SIGTERM, SIG_IGN);
            for (;;) {
                (void)pause();
            }
        }
        note_pid(i ? "child1" : "child0", pid);
    }
}

static int serve(uint16_t port, const char *health, int not_yet)
{
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "GET %s ", health);
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 8) != 0) {
        return 9;
    }
    for (int n = 0;; n++) {
        char request[512];
        int client = accept(fd, NULL, NULL);
        ssize_t got = read(client, request, sizeof request - 1);
        request[got > 0 ? got : 0] = '\0';
        bool right = strstr(request, wanted) == request;
        const char *answer = !right        ? "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
                             : n < not_yet ? "HTTP/1.1 503 Wait\r\nContent-Length: 2\r\n\r\n{}"
                                           : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        ssize_t sent = write(client, answer, strlen(answer));
        (void)sent;
        (void)close(client);
    }
}

/* What llama-server or vllm was called with: a line a word, then a few variables. */
static int record(char **words)
{
    char path[512];
    uint16_t port = 0;
    static const char *const names[] = {"CUDA_VISIBLE_DEVICES", "VLLM_CPU_KVCACHE_SPACE",
                                        "HF_HUB_OFFLINE"};
    (void)snprintf(path, sizeof path, "%s/words", getenv("FAKE_DIR"));
    FILE *file = fopen(path, "w");
    for (; file && *words; words++) {
        (void)fprintf(file, "%s\n", *words);
        if (strcmp(*words, "--port") == 0 && words[1]) {
            port = (uint16_t)strtol(words[1], NULL, 10);
        }
    }
    for (size_t i = 0; file && i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        (void)fprintf(file, "%s=%s\n", names[i], value ? value : "(unset)");
    }
    return file && fclose(file) == 0 ? serve(port, "/health", 0) : 8;
}

static int fake_server(const char *mode)
{
    const char *host = getenv("OLLAMA_HOST");
    const char *colon = host ? strrchr(host, ':') : NULL;
    uint16_t port = colon ? (uint16_t)strtol(colon + 1, NULL, 10) : 0;
    note_pid("server", getpid());
    if (strcmp(mode, "dies") == 0) {
        (void)puts("loading\nfake: load failed: bad magic\nTraceback: error");
        (void)fflush(stdout);
        (void)fprintf(stderr, "fake: no such model\n\n");
        return 3;
    }
    if (strcmp(mode, "taken") == 0) {
        (void)fprintf(stderr, "listen tcp: bind: address already in use\n");
        FILE *file = fopen(getenv("FAKE_COUNT"), "a");
        (void)fputs("x", file);
        (void)fclose(file);
        return 1;
    }
    (void)printf("models in %s\n", getenv("OLLAMA_MODELS"));
    (void)fflush(stdout);
    if (strcmp(mode, "silent") == 0) {
        for (;;) {
            (void)pause();
        }
    }
    if (strcmp(mode, "never") == 0) {
        (void)fprintf(stderr, "fake: still loading\n");
        return serve(port, "/api/version", 1 << 30);
    }
    if (strcmp(mode, "family") == 0) {
        have_children();
    }
    return serve(port, "/api/version", 3);
}

/* --- the tests ---------------------------------------------------------------------------------
 */

static void put_file(const char *name, const char *text, mode_t mode)
{
    char path[512];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    check_ok(il_file_write_atomic(path, text, strlen(text), &err), &err);
    assert_int_equal(chmod(path, mode), 0);
}

static void put_server(const char *mode)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "#!/bin/sh\nexec %s --fake-server %s \"$@\"\n", self, mode);
    put_file("ollama/bin/ollama", text, 0755);
}

static pid_t noted(const char *name)
{
    char path[512], text[64] = "";
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    return (pid_t)strtol(text, NULL, 10);
}

/* An orphan is gone once init has reaped it. */
static bool gone(pid_t pid)
{
    for (int i = 0; i < 300 && kill(pid, 0) == 0; i++) {
        char path[64], text[256] = "";
        (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
        FILE *file = fopen(path, "r");
        if (file) {
            size_t n = fread(text, 1, sizeof text - 1, file);
            (void)fclose(file);
            text[n] = '\0';
        }
        const char *state = strrchr(text, ')');
        if (state && state[2] == 'Z') {
            return true; /* in a container without an init it stays a zombie */
        }
        (void)usleep(10000);
    }
    return kill(pid, 0) != 0;
}

static int start(double ready_s, il__server **server, il_error *err)
{
    int64_t t_spawn = 0, t_ready = 0;
    il__serve_request request = {
        .kind = "ollama", .device = "cpu", .parallel = 1, .n_ctx = 128, .ready_s = ready_s};
    int rc = il__server_start(&request, server, &t_spawn, &t_ready, err);
    if (rc == IL_OK) {
        assert_true(t_spawn > 0 && t_ready > t_spawn && t_ready <= il_clock_ns());
    }
    return rc;
}

static uint16_t port_of(const il__server *server)
{
    return (uint16_t)strtol(strrchr(il__server_url(server), ':') + 1, NULL, 10);
}

static unsigned private_dirs(void)
{
    char path[512];
    unsigned n = 0;
    (void)snprintf(path, sizeof path, "%s/.serve", dir);
    DIR *open = opendir(path);
    for (struct dirent *e; open && (e = readdir(open)) != NULL;) {
        n += e->d_name[0] != '.';
    }
    if (open) {
        (void)closedir(open);
    }
    return n;
}

static void comes_and_goes(void **state)
{
    (void)state;
    il_error err = {0};
    il__server *server = NULL;
    put_server("plain");
    check_ok(start(10, &server, &err), &err);
    assert_non_null(strstr(il__server_url(server), "http://127.0.0.1:"));
    assert_true(il__server_alive(server));
    assert_int_equal(il__server_pid(server), noted("server"));
    assert_int_equal(getpgid(il__server_pid(server)), il__server_pid(server));
    /* Standard output is kept too, and the private directory lies where it should. */
    assert_non_null(strstr(il__server_last_line(server), "models in "));
    assert_non_null(strstr(il__server_last_line(server), dir));
    assert_int_equal(private_dirs(), 1);
    uint16_t port = port_of(server);
    assert_true(il_probe_port(port, 1000));
    pid_t pid = il__server_pid(server);
    int64_t t0 = il_clock_ns();
    il__server_stop(server);
    assert_true(il_clock_ns() - t0 < 2000000000); /* SIGTERM was enough */
    assert_true(gone(pid));
    assert_false(il_probe_port(port, 200));
    assert_int_equal(private_dirs(), 0);
    il__server_stop(NULL);
}

static void dies_at_once(void **state)
{
    (void)state;
    il_error err = {0};
    il__server *server = NULL;
    put_server("dies");
    assert_int_equal(start(10, &server, &err), IL_E_CRASHED);
    assert_non_null(strstr(err.what, "status 3"));
    assert_non_null(strstr(err.what, "fake: no such model"));
    assert_non_null(strstr(err.what, "before: fake: load failed: bad magic"));
    assert_non_null(strstr(err.where, "ollama/bin/ollama"));
    assert_int_equal(private_dirs(), 0);
}

static void never_ready(void **state)
{
    (void)state;
    static const struct {
        const char *mode, *words;
    } cases[] = {{"never", "503"}, {"silent", "nothing answers"}};
    for (size_t i = 0; i < 2; i++) {
        bool told = false;
        put_server(cases[i].mode);
        /* On a busy machine it may take longer than that until it answers at all. */
        for (double ready_s = 0.4; !told && ready_s < 15; ready_s *= 3) {
            il_error err = {0};
            il__server *server = NULL;
            int64_t t0 = il_clock_ns();
            assert_int_equal(start(ready_s, &server, &err), IL_E_TIMEOUT);
            double s = (double)(il_clock_ns() - t0) * 1e-9;
            assert_true(s >= ready_s && s < ready_s + 10);
            assert_true(strlen(err.hint) > 0);
            told = strstr(err.what, cases[i].words) != NULL;
            assert_true(gone(noted("server")));
        }
        assert_true(told);
    }
}

static void a_taken_port_is_tried_again(void **state)
{
    (void)state;
    char path[512], text[16] = "";
    il_error err = {0};
    il__server *server = NULL;
    (void)snprintf(path, sizeof path, "%s/count", dir);
    assert_int_equal(setenv("FAKE_COUNT", path, 1), 0);
    put_server("taken");
    assert_int_equal(start(10, &server, &err), IL_E_CRASHED);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    assert_string_equal(text, "xxx");
}

static void children_end_too(void **state)
{
    (void)state;
    il_error err = {0};
    il__server *server = NULL;
    put_server("family");
    check_ok(start(10, &server, &err), &err);
    pid_t child0 = noted("child0"), child1 = noted("child1");
    assert_int_equal(kill(child0, 0), 0);
    assert_int_not_equal(getpgid(child1), il__server_pid(server));
    il__server_stop(server);
    assert_true(gone(child0));
    assert_true(gone(child1));
}

static void a_server_that_died_is_seen(void **state)
{
    (void)state;
    il_error err = {0};
    il__server *server = NULL;
    put_server("family");
    check_ok(start(10, &server, &err), &err);
    pid_t child0 = noted("child0");
    assert_int_equal(kill(il__server_pid(server), SIGSEGV), 0);
    for (int i = 0; i < 300 && il__server_alive(server); i++) {
        (void)usleep(10000);
    }
    assert_false(il__server_alive(server));
    assert_true(gone(child0));
    il__server_stop(server);
    (void)kill(noted("child1"), SIGKILL); /* left its group and its parent died: beyond reach */
}

/* The driver is killed with SIGKILL: server and children end by themselves. */
static void ends_with_us(void **state)
{
    (void)state;
    int ready[2];
    put_server("family");
    assert_int_equal(pipe(ready), 0);
    pid_t driver = fork();
    if (driver == 0) {
        il_error err = {0};
        il__server *server = NULL;
        char ok = start(10, &server, &err) == IL_OK ? 'y' : 'n';
        ssize_t n = write(ready[1], &ok, 1);
        (void)n;
        for (;;) {
            (void)pause();
        }
    }
    char ok = 0;
    assert_int_equal(read(ready[0], &ok, 1), 1);
    assert_int_equal(ok, 'y');
    pid_t server = noted("server"), child0 = noted("child0"), child1 = noted("child1");
    assert_int_equal(private_dirs(), 1);
    assert_int_equal(kill(driver, SIGKILL), 0);
    assert_int_equal(waitpid(driver, NULL, 0), driver);
    assert_true(gone(server));
    assert_true(gone(child0));
    (void)kill(child1, SIGKILL);
    (void)close(ready[0]);
    (void)close(ready[1]);
    /* What it could not remove, the next one does. */
    il_error err = {0};
    il__server *next = NULL;
    put_server("plain");
    check_ok(start(10, &next, &err), &err);
    assert_int_equal(private_dirs(), 1);
    il__server_stop(next);
    assert_int_equal(private_dirs(), 0);
}

/* Starts it, stops it, returns what it was called with. */
static const char *called_with(const il__serve_request *request)
{
    static char text[4096];
    char path[512];
    int64_t t_spawn, t_ready;
    il_error err = {0};
    il__server *server = NULL;
    check_ok(il__server_start(request, &server, &t_spawn, &t_ready, &err), &err);
    il__server_stop(server);
    (void)snprintf(path, sizeof path, "%s/words", dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    (void)fclose(file);
    assert_int_equal(remove(path), 0);
    return text;
}

static void put_recorder(const char *name, const char *program)
{
    char path[512], text[1024];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s/bin", dir, name);
    check_ok(il_dir_make(path, &err), &err);
    (void)snprintf(path, sizeof path, "%s/VERSION", name);
    put_file(path, "fake 1\n", 0644);
    (void)snprintf(path, sizeof path, "%s/bin/%s", name, program);
    (void)snprintf(text, sizeof text, "#!/bin/sh\nexec %s --record \"$@\"\n", self);
    put_file(path, text, 0755);
}

static void drop_recorder(const char *name, const char *program)
{
    char path[512];
    const char *const tails[] = {"/bin/", "/VERSION", "/bin", ""};
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s%s%s", dir, name, tails[i], i == 0 ? program : "");
        assert_int_equal(remove(path), 0);
    }
}

static void each_program_is_called_its_way(void **state)
{
    (void)state;
    il_error err = {0};
    il__server *server = NULL;
    int64_t t;
    put_recorder("llama.cpp", "llama-server");
    put_recorder("vllm", "vllm");
    il__serve_request request = {.kind = "llama.cpp",
                                 .model = "/models/a b.gguf",
                                 .served_name = "small",
                                 .dtype = "bf16",
                                 .device = "cpu",
                                 .threads = 3,
                                 .n_ctx = 512,
                                 .parallel = 2,
                                 .ready_s = 10};
    const char *words = called_with(&request);
    assert_non_null(strstr(words, "--model\n/models/a b.gguf\n"));
    assert_non_null(strstr(words, "--threads\n3\n"));
    assert_non_null(strstr(words, "--ctx-size\n1024\n")); /* divided among two sequences */
    assert_non_null(strstr(words, "--parallel\n2\n"));
    assert_non_null(strstr(words, "--alias\nsmall\n"));
    assert_non_null(strstr(words, "--n-gpu-layers\n0\n"));
    assert_non_null(strstr(words, "CUDA_VISIBLE_DEVICES=\n"));
    request.kind = "vllm";
    words = called_with(&request);
    assert_ptr_equal(strstr(words, "serve\n/models/a b.gguf\n"), words);
    assert_non_null(strstr(words, "--dtype\nbfloat16\n"));
    assert_non_null(strstr(words, "--max-model-len\n512\n"));
    assert_non_null(strstr(words, "--max-num-seqs\n2\n"));
    assert_non_null(strstr(words, "--no-enable-prefix-caching\n"));
    assert_non_null(strstr(words, "--served-model-name\nsmall\n"));
    assert_non_null(strstr(words, "VLLM_CPU_KVCACHE_SPACE=2\nHF_HUB_OFFLINE=1\n"));
    assert_int_equal(setenv("CUDA_VISIBLE_DEVICES", "1", 1), 0);
    request.device = "cuda";
    words = called_with(&request);
    assert_non_null(strstr(words, "CUDA_VISIBLE_DEVICES=1\nVLLM_CPU_KVCACHE_SPACE=(unset)\n"));
    assert_int_equal(unsetenv("CUDA_VISIBLE_DEVICES"), 0);
    request.model = NULL;
    assert_int_equal(il__server_start(&request, &server, &t, &t, &err), IL_E_USAGE);
    assert_int_equal(private_dirs(), 0);
    drop_recorder("llama.cpp", "llama-server");
    drop_recorder("vllm", "vllm");
}

static void what_is_missing_has_a_command(void **state)
{
    (void)state;
    char program[512], old[4096];
    il_error err = {0};
    (void)snprintf(old, sizeof old, "%s", getenv("PATH"));
    assert_int_equal(setenv("PATH", dir, 1), 0);
    assert_int_equal(il__serve_find("vllm", program, sizeof program, &err), IL_E_NOT_FOUND);
    assert_string_equal(err.hint, "inferlaw runtimes install vllm");
    assert_int_equal(il__serve_find("llama.cpp", program, sizeof program, &err), IL_E_NOT_FOUND);
    assert_string_equal(err.hint, "inferlaw runtimes install llama.cpp");
    assert_int_equal(il__serve_find("sglang", program, sizeof program, &err), IL_E_USAGE);
    check_ok(il__serve_find("ollama", program, sizeof program, &err), &err);
    /* An installation that was cut short has no VERSION. */
    char version[512];
    (void)snprintf(version, sizeof version, "%s/ollama/VERSION", dir);
    assert_int_equal(unlink(version), 0);
    assert_int_equal(il__serve_find("ollama", program, sizeof program, &err), IL_E_NOT_FOUND);
    assert_int_equal(setenv("PATH", old, 1), 0);
}

static int set_up(void **state)
{
    (void)state;
    char path[512];
    il_error err = {0};
    (void)snprintf(dir, sizeof dir, "%.60s", check_scratch_dir("serve"));
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    (void)snprintf(path, sizeof path, "%s/ollama/bin", dir);
    check_ok(il_dir_make(path, &err), &err);
    put_file("ollama/VERSION", "fake 1\n", 0644);
    return setenv("INFERLAW_RUNTIMES", dir, 1) || setenv("FAKE_DIR", dir, 1);
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = {"ollama/bin/ollama",
                                        "ollama/bin",
                                        "ollama",
                                        "server",
                                        "child0",
                                        "child1",
                                        "count",
                                        ".serve",
                                        ""};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        (void)remove(path);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--fake-server") == 0) {
        return fake_server(argv[2]);
    }
    if (argc > 1 && strcmp(argv[1], "--record") == 0) {
        return record(argv + 2);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_and_goes),
        cmocka_unit_test(dies_at_once),
        cmocka_unit_test(never_ready),
        cmocka_unit_test(a_taken_port_is_tried_again),
        cmocka_unit_test(children_end_too),
        cmocka_unit_test(a_server_that_died_is_seen),
        cmocka_unit_test(ends_with_us),
        cmocka_unit_test(each_program_is_called_its_way),
        cmocka_unit_test(what_is_missing_has_a_command),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
