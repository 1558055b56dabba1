/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw-bench analyze [ROWS [MB]]: the analysis of a foreign metrics.csv of a million rows,
 * against reading the same bytes. Peak memory is that of the heap and other private pages
 * (RssAnon): pages of files are the kernel's to drop. With MB the analysis may not allocate more
 * than that (RLIMIT_DATA), so that memory which grows with rows fails instead of passing unseen.
 */
#include "bench.h"

#include "analysis/analysis.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const double params[] = {0.103, 5.037, 25.016, 45.171, 51.476, 74.825, 96.088};
static const char *const modes[] = {"prefill", "kv_decode", "e2e_kv"};

/* Latencies with full digits and a little scatter, so that reading them costs what it costs. */
static double latency_of(int64_t row, int backend, int model)
{
    double scatter = 1 + 0.05 * sin((double)(row * 7919 % 100003));
    return (backend + 1) * 3.1 * pow(params[model] + 1, 0.3) * scatter;
}

static int write_rows(const char *path, int64_t n_rows, il_error *err)
{
    static const char *const header[] = {"call_idx",
                                         "scenario",
                                         "prompt",
                                         "backend",
                                         "backend_kind",
                                         "model",
                                         "model_kind",
                                         "params_millions_config",
                                         "gen_tokens_target",
                                         "is_warmup",
                                         "rep",
                                         "mode",
                                         "status",
                                         "started_at_unix",
                                         "batch_size",
                                         "seq_len",
                                         "prompt_tokens",
                                         "gen_tokens_raw",
                                         "prefill_ms",
                                         "kv_decode_ms",
                                         "latency_ms",
                                         "tokens_total",
                                         "tokens_per_s",
                                         "gen_tokens"};
    il_csv_writer w;
    int rc = il_csv_create(path, &w, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_csv_row(&w, header, sizeof header / sizeof header[0]);
    for (int64_t i = 0; i < n_rows; i++) {
        int64_t call = i / 3;
        int model = (int)(call % 7);
        int scenario = (int)(call / 7 % 3);
        int backend = (int)(call / 21 % 3);
        double ms = latency_of(i, backend, model) * (i % 3 ? 60 : 1);
        char name[32];
        il_csv_i64(&w, call);
        (void)snprintf(name, sizeof name, "scenario%d", scenario);
        il_csv_text(&w, name);
        il_csv_text(&w, "Explain how backpressure works, and when to enable queueing.");
        (void)snprintf(name, sizeof name, "hf_cpu_%d", backend);
        il_csv_text(&w, name);
        il_csv_text(&w, "hf");
        (void)snprintf(name, sizeof name, "models/model-%d", model);
        il_csv_text(&w, name);
        il_csv_text(&w, "hf");
        il_csv_f64(&w, params[model]);
        il_csv_i64(&w, 64);
        il_csv_bool(&w, call / 63 % 4 == 0);
        il_csv_i64(&w, call / 63);
        il_csv_text(&w, modes[i % 3]);
        il_csv_text(&w, "ok");
        il_csv_f64(&w, 1.7e9 + (double)call * 0.1);
        il_csv_i64(&w, 1);
        il_csv_i64(&w, 9);
        il_csv_i64(&w, 9);
        il_csv_i64(&w, 64);
        il_csv_f64(&w, ms / 60);
        il_csv_f64(&w, ms);
        il_csv_f64(&w, ms);
        il_csv_i64(&w, 73);
        il_csv_f64(&w, 73000 / ms);
        il_csv_i64(&w, 64);
        il_csv_end_row(&w);
    }
    return il_csv_close(&w, err);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Seconds that reading the file alone takes: what no analysis of it can be faster than. */
static double read_seconds(const char *path, double *megabytes)
{
    static char block[1 << 20];
    int64_t start = il_clock_ns();
    double total = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    while (fd >= 0 && (n = read(fd, block, sizeof block)) > 0) {
        total += (double)n;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    *megabytes = total / 1e6;
    return (double)(il_clock_ns() - start) / 1e9;
}

/* Private pages in memory now, in MB; what the process shares with files is not in it. */
static double anonymous_mb(void)
{
    char line[256];
    double kb = NAN;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file)) {
        (void)sscanf(line, "RssAnon: %lf kB", &kb);
    }
    if (file) {
        (void)fclose(file);
    }
    return kb / 1024;
}

typedef struct watch {
    pthread_t thread;
    atomic_bool stop;
    double most_mb;
} watch;

static void *watch_memory(void *arg)
{
    watch *w = arg;
    while (!atomic_load(&w->stop)) {
        w->most_mb = fmax(w->most_mb, anonymous_mb());
        (void)usleep(2000);
    }
    return NULL;
}

static int watch_start(watch *w)
{
    pthread_attr_t small;
    *w = (watch){.most_mb = anonymous_mb()};
    if (pthread_attr_init(&small) != 0) {
        return -1;
    }
    (void)pthread_attr_setstacksize(&small, 256 << 10);
    int failed = pthread_create(&w->thread, &small, watch_memory, w);
    (void)pthread_attr_destroy(&small);
    return failed;
}

static double watch_end(watch *w)
{
    atomic_store(&w->stop, true);
    (void)pthread_join(w->thread, NULL);
    return w->most_mb;
}

static int limit_memory(int64_t mb, il_error *err)
{
    const struct rlimit limit = {(rlim_t)mb << 20, (rlim_t)mb << 20};
    return mb == 0 || setrlimit(RLIMIT_DATA, &limit) == 0
               ? IL_OK
               : il_fail_errno(err, errno, "cannot limit memory to %lld MB", (long long)mb);
}

static int measure(const char *dir, const char *path, int64_t limit_mb, il_error *err)
{
    const il_analysis_options options = {.n_resamples = 1000, .seed = 42};
    double megabytes;
    double least = read_seconds(path, &megabytes);
    int rc = limit_memory(limit_mb, err);
    for (int run = 0; run < 3 && rc == IL_OK; run++) {
        watch memory;
        il_analysis_summary summary;
        int64_t start = il_clock_ns();
        double cpu = cpu_seconds();
        if (watch_start(&memory) != 0) {
            return il_fail(err, IL_E_NOMEM, "cannot start a thread to watch memory");
        }
        rc = il_analysis_run(dir, &options, &summary, err);
        double most_mb = watch_end(&memory);
        double wall = (double)(il_clock_ns() - start) / 1e9;
        if (rc == IL_OK) {
            (void)printf("%zu rows, %.0f MB: %.2f s wall, %.2f s CPU, %.0f times reading the file, "
                         "peak %.1f MB of private memory\n",
                         summary.n_rows, megabytes, wall, cpu_seconds() - cpu, wall / least,
                         most_mb);
        }
    }
    return rc;
}

int bench_analyze(int argc, char **argv)
{
    int64_t n_rows = 1000584;
    int64_t limit_mb = 0;
    if ((argc > 0 && (il_text_to_i64(argv[0], &n_rows) != IL_OK || n_rows < 1)) ||
        (argc > 1 && (il_text_to_i64(argv[1], &limit_mb) != IL_OK || limit_mb < 1))) {
        (void)fprintf(stderr, "usage: inferlaw-bench analyze [ROWS [MB]]\n");
        return 1;
    }
    char dir[1024];
    char path[1100];
    il_error err = {0};
    if (il_dir_make_scratch("inferlaw-bench", dir, sizeof dir, &err) != IL_OK) {
        il_log_error(&err);
        return 2;
    }
    (void)snprintf(path, sizeof path, "%s/metrics.csv", dir);
    int rc = write_rows(path, n_rows, &err);
    rc = rc ? rc : measure(dir, path, limit_mb, &err);
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    (void)unlink(path);
    (void)printf("tables left in %s/analysis\n", dir);
    return rc == IL_OK ? 0 : 2;
}
